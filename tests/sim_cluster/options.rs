//! What a run is asked for on its command line.

use std::path::PathBuf;
use std::time::Duration;

use cairn_world::planted::Bug;

pub(crate) const USAGE: &str =
    "usage: sim_cluster --seed N [--rounds N] [--minutes N] [--plant BUG] \
[--calm] [--restore] [--trace FILE] [--log FILTER]
       sim_cluster --list-bugs";

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    /// Storms, each followed by healing and looking.
    pub(crate) rounds: u64,
    /// How long a storm lasts.
    pub(crate) storm: Duration,
    pub(crate) plant: Option<Bug>,
    /// No faults at all: what is found then is the harness's or the product's everyday.
    pub(crate) calm: bool,
    /// A restore from a backup after each storm, not only where the seed has one.
    pub(crate) restore: bool,
    /// Where every note of the trace is written.
    pub(crate) trace: Option<PathBuf>,
    /// Which log lines are shown.
    pub(crate) log: Option<String>,
}

/// Whether the words ask for the names of the planted bugs, one a line, and for nothing else.
pub(crate) fn asks_for_bugs(mut words: impl Iterator<Item = String>) -> bool {
    words.next().as_deref() == Some("--list-bugs") && words.next().is_none()
}

impl Options {
    /// Reads the words of a command line.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            seed: 0,
            rounds: 2,
            storm: Duration::from_secs(120),
            plant: None,
            calm: false,
            restore: false,
            trace: None,
            log: None,
        };
        let mut words = words;
        let mut seed = None;
        while let Some(word) = words.next() {
            match word.as_str() {
                "--calm" => options.calm = true,
                "--restore" => options.restore = true,
                _ => {}
            }
            if word == "--calm" || word == "--restore" {
                continue;
            }
            let value = words
                .next()
                .ok_or_else(|| format!("{word} wants a value"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("{word} {value}"));
            match word.as_str() {
                "--seed" => seed = Some(number()?),
                "--rounds" => options.rounds = number()?,
                "--minutes" => options.storm = Duration::from_secs(60 * number()?),
                "--plant" => {
                    options.plant = Some(value.parse().map_err(|_| format!("no bug {value}"))?)
                }
                "--trace" => options.trace = Some(value.into()),
                "--log" => options.log = Some(value),
                _ => return Err(format!("{word} is not known")),
            }
        }
        options.seed = seed.ok_or("--seed is missing")?;
        Ok(options)
    }

    /// The command line that does the same again.
    pub(crate) fn command(&self) -> String {
        let minutes = self.storm.as_secs() / 60;
        let mut command = format!(
            "cargo xtask sim --seed {} --rounds {} --minutes {minutes}",
            self.seed, self.rounds
        );
        if let Some(bug) = self.plant {
            command += &format!(" --plant {}", bug.name());
        }
        if self.calm {
            command += " --calm";
        }
        if self.restore {
            command += " --restore";
        }
        command
    }
}
