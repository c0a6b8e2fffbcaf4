//! `cairn-compat-suite report`: files in, page out.

use std::path::Path;

use cairn_compat_suite::report::{List, Reasons, Report, Run};
use cairn_compat_suite::timestamp;

/// What the command is given.
pub(crate) const USAGE: &str = "usage: cairn-compat-suite report --run LABEL=results.tsv \
                                [--run LABEL=results.tsv] [--list NAME=names.txt] --revision FILE \
                                --reasons reasons.toml --out REPORT.md";

/// Writes the page; gives what is wrong, a line each.
pub(crate) fn run(arguments: &[String]) -> Result<(), Vec<String>> {
    let options = Options::parse(arguments).map_err(|why| vec![why, USAGE.to_owned()])?;
    let report = options.read().map_err(|why| vec![why])?;
    let page = report.page()?;
    std::fs::write(&options.out, page).map_err(|why| vec![format!("{}: {why}", options.out)])
}

#[derive(Debug, Default)]
struct Options {
    /// (label, path)
    runs: Vec<(String, String)>,
    /// (name, path)
    lists: Vec<(String, String)>,
    revision: String,
    reasons: String,
    out: String,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
            let pair = || {
                let (label, path) = value.split_once('=')?;
                Some((label.to_owned(), path.to_owned()))
            };
            let pair = || pair().ok_or_else(|| format!("{name} needs NAME=FILE"));
            match name.as_str() {
                "--run" => options.runs.push(pair()?),
                "--list" => options.lists.push(pair()?),
                "--revision" => options.revision.clone_from(value),
                "--reasons" => options.reasons.clone_from(value),
                "--out" => options.out.clone_from(value),
                _ => return Err(format!("unknown option {name}")),
            }
        }
        let needed = [&options.revision, &options.reasons, &options.out];
        if options.runs.is_empty() || needed.iter().any(|value| value.is_empty()) {
            return Err("--run, --revision, --reasons and --out are needed".to_owned());
        }
        Ok(options)
    }

    fn read(&self) -> Result<Report, String> {
        let run = |(label, path): &(String, String)| Run::parse(label, &text(path)?);
        let list = |(name, path): &(String, String)| Ok(List::parse(name, &text(path)?));
        let days: Vec<String> = self
            .runs
            .iter()
            .map(|(_, path)| day(path))
            .collect::<Result<_, _>>()?;
        Ok(Report {
            revision: text(&self.revision)?.trim().to_owned(),
            date: days.into_iter().max().unwrap_or_default(),
            runs: self.runs.iter().map(run).collect::<Result<_, _>>()?,
            lists: self.lists.iter().map(list).collect::<Result<_, String>>()?,
            reasons: Reasons::parse(&text(&self.reasons)?)
                .map_err(|why| format!("{}: {why}", self.reasons))?,
        })
    }
}

fn text(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|why| format!("{path}: {why}"))
}

/// The day a file was written.
fn day(path: &str) -> Result<String, String> {
    let written = Path::new(path).metadata().and_then(|file| file.modified());
    let written = written.map_err(|why| format!("{path}: {why}"))?;
    Ok(timestamp::day(written))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    const WHOLE: &str = "--run http=a --run tls=b --list core=c --revision d --reasons e --out f";

    #[test]
    fn reads_options() {
        let read = options(WHOLE).unwrap();
        assert_eq!(read.runs[1], ("tls".to_owned(), "b".to_owned()));
        assert_eq!(read.lists, [("core".to_owned(), "c".to_owned())]);
        assert_eq!(
            (&*read.revision, &*read.reasons, &*read.out),
            ("d", "e", "f")
        );
    }

    #[test]
    fn refuses_what_is_missing_or_unknown() {
        for line in [
            "",
            "--run",
            "--run a --revision d --reasons e --out f",
            "--run http=a --reasons e --out f",
            "--verbose yes",
        ] {
            assert!(options(line).is_err(), "{line}");
        }
    }

    #[test]
    fn writes_the_page_or_says_what_is_wrong() {
        let folder = std::env::temp_dir().join(format!("report-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        std::fs::write(path("r.tsv"), "a::b\tlist\topen\tfail\n").unwrap();
        std::fs::write(path("REVISION"), "abc\n").unwrap();
        let line = format!(
            "--run http={} --revision {} --reasons {} --out {}",
            path("r.tsv"),
            path("REVISION"),
            path("why.toml"),
            path("OUT.md")
        );
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let missing = run(&words).unwrap_err();
        assert!(missing[0].contains("why.toml"), "{missing:?}");
        std::fs::write(path("why.toml"), "").unwrap();
        assert_eq!(
            run(&words).unwrap_err(),
            ["a::b fails over http without a reason"]
        );
        assert!(!Path::new(&path("OUT.md")).exists());
        std::fs::write(
            path("why.toml"),
            "[[reason]]\nwhy = \"No.\"\nareas = [\"list\"]\n",
        )
        .unwrap();
        run(&words).unwrap();
        let page = std::fs::read_to_string(path("OUT.md")).unwrap();
        assert!(page.contains("revision `abc`, run on 2"), "{page}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
