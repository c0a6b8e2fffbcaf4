//! What a sweep is asked for.

/// How the command is called.
pub(crate) const USAGE: &str = "usage: cargo xtask sim [--seeds N] [--hours H] [--first S] [--rounds N] [--minutes N] \
[--plant BUG] [--calm] [--restore]\n       cargo xtask sim --hunt [--only BUG] [--seeds N] [--first S] [--rounds N] [--minutes N]\n       \
cargo xtask sim --seed S [--rounds N] [--minutes N] [--plant BUG] [--calm] [--restore] [--trace FILE] [--log FILTER]";

/// A sweep, a hunt or one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// One run, shown.
    pub(crate) seed: Option<u64>,
    /// Each planted bug until it is found.
    pub(crate) hunt: bool,
    /// Of the planted bugs this one alone.
    pub(crate) only: Option<String>,
    /// Seeds of a sweep; of a hunt, seeds for each bug at most.
    pub(crate) seeds: u64,
    /// Simulated hours of a sweep.
    pub(crate) hours: u64,
    /// The first seed.
    pub(crate) first: u64,
    /// Storms of a run.
    pub(crate) rounds: u64,
    /// Minutes of a storm.
    pub(crate) minutes: u64,
    /// A bug that is planted in every run.
    pub(crate) plant: Option<String>,
    /// No faults.
    pub(crate) calm: bool,
    /// A restore from a backup after every storm.
    pub(crate) restore: bool,
    /// Words for one shown run alone.
    pub(crate) shown: Vec<String>,
}

impl Options {
    fn new() -> Self {
        Self {
            seed: None,
            hunt: false,
            only: None,
            seeds: 20,
            hours: 0,
            first: 1,
            rounds: 2,
            minutes: 3,
            plant: None,
            calm: false,
            restore: false,
            shown: Vec::new(),
        }
    }

    /// What every change must pass.
    pub(crate) fn short() -> Self {
        Self {
            seeds: 8,
            rounds: 1,
            minutes: 2,
            ..Self::new()
        }
    }

    /// Reads the words behind `sim`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--hunt" => options.hunt = true,
                "--calm" => options.calm = true,
                "--restore" => options.restore = true,
                _ => {
                    let value = words
                        .next()
                        .ok_or_else(|| format!("{word} wants a value"))?;
                    options.set(word, value)?;
                }
            }
        }
        if options.seed.is_none() && !options.shown.is_empty() {
            return Err("--trace and --log go with --seed".to_owned());
        }
        if options.only.is_some() && !options.hunt {
            return Err("--only goes with --hunt".to_owned());
        }
        Ok(options)
    }

    fn set(&mut self, word: &str, value: &str) -> Result<(), String> {
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| format!("{word} {value}: not a number"))
        };
        match word {
            "--seed" => self.seed = Some(number()?),
            "--seeds" => self.seeds = number()?,
            "--hours" => self.hours = number()?,
            "--first" => self.first = number()?,
            "--rounds" => self.rounds = number()?,
            "--minutes" => self.minutes = number()?,
            "--plant" => self.plant = Some(value.to_owned()),
            "--only" => self.only = Some(value.to_owned()),
            "--trace" | "--log" => self.shown.extend([word.to_owned(), value.to_owned()]),
            _ => return Err(format!("{word} is not known")),
        }
        Ok(())
    }

    /// The simulation's own words for one seed.
    pub(crate) fn of_run(&self, seed: u64) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for (word, value) in [
            ("--seed", seed),
            ("--rounds", self.rounds),
            ("--minutes", self.minutes),
        ] {
            words.extend([word.to_owned(), value.to_string()]);
        }
        words.extend(self.calm.then(|| "--calm".to_owned()));
        words.extend(self.restore.then(|| "--restore".to_owned()));
        words
    }

    /// The command that does one seed again.
    pub(crate) fn replay(&self, seed: u64) -> String {
        let mut command = format!("cargo xtask sim {}", self.of_run(seed).join(" "));
        if let Some(bug) = &self.plant {
            command += &format!(" --plant {bug}");
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_asks_for_the_same() {
        let words = [
            "--seeds",
            "5",
            "--minutes",
            "7",
            "--plant",
            "stale-list",
            "--calm",
            "--restore",
        ];
        let options = Options::parse(&words).unwrap();
        assert_eq!((options.seeds, options.minutes), (5, 7));
        let replay = options.replay(9);
        let words: Vec<&str> = replay.split(' ').skip(3).collect();
        let again = Options::parse(&words).unwrap();
        assert_eq!(again.seed, Some(9));
        assert_eq!(again.of_run(9), options.of_run(9));
        assert_eq!(again.plant, options.plant);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for words in [
            vec!["--sedes", "5"],
            vec!["--seeds"],
            vec!["--seeds", "many"],
            vec!["--log", "debug"],
            vec!["--only", "stale-list"],
        ] {
            assert!(Options::parse(&words).is_err(), "{words:?}");
        }
    }
}
