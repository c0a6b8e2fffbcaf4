//! `cairn-compat-suite results`: are the committed results, and what is written from them, still so?
//!
//! ```text
//! fresh runs ──► drift from results/<subject>.tsv
//! results/*.tsv, results/public-suite/, reasons.toml ──► REPORT.md and README's table, compared
//! --accept: the results are taken, and the pages written
//! ```

use std::path::{Path, PathBuf};

use cairn_compat_suite::clients::{Row, drift, peer, rows};
use cairn_compat_suite::report::{Clients, List, Reasons, Report, Run};

/// What the command is given.
pub(crate) const USAGE: &str =
    "usage: cairn-compat-suite results --root DIR [--fresh SUBJECT=FILE.tsv] [--accept yes]";

const BEGIN: &str = "<!-- compat:begin -->\n";
const END: &str = "<!-- compat:end -->";
const HEAD: &str = "# What works with Cairn\n\n\
    Written by `cargo xtask clients --accept` from `results/` and `reasons.toml`; not by hand. `cargo xtask test` \
    runs it all again, with Garage if it is told `--long`, and fails where something ends otherwise than it stands \
    here.\n\n";

/// What was found: lines to print, and the counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) lines: Vec<String>,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Verdict {
    fn breach(&mut self, line: String) {
        self.lines.push(line);
        self.failed += 1;
    }
}

/// Compares, or takes what is new.
///
/// # Errors
/// What cannot be read or written.
pub(crate) fn run(arguments: &[String]) -> Result<Verdict, String> {
    let given = Given::parse(arguments).map_err(|why| format!("{why}\n{USAGE}"))?;
    let mut verdict = Verdict::default();
    for (subject, file) in &given.fresh {
        given.judge(subject, file, &mut verdict)?;
    }
    match given.pages()? {
        Err(wrong) => wrong.into_iter().for_each(|line| verdict.breach(line)),
        Ok(pages) => {
            for (file, text) in pages {
                if given.accept {
                    std::fs::write(&file, text)
                        .map_err(|why| format!("{}: {why}", file.display()))?;
                } else if read(&file)? != text {
                    let file = file.display();
                    verdict.breach(format!(
                        "{file} is not what the results say: cargo xtask clients --accept"
                    ));
                }
            }
        }
    }
    Ok(verdict)
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))
}

/// Files and their texts; or what is wrong with the results.
type Pages = Result<Vec<(PathBuf, String)>, Vec<String>>;

#[derive(Debug)]
struct Given {
    root: PathBuf,
    /// (subject, file)
    fresh: Vec<(String, PathBuf)>,
    accept: bool,
}

impl Given {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let (mut root, mut fresh, mut accept) = (None, Vec::new(), false);
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
            match (name.as_str(), value.split_once('=')) {
                ("--root", _) => root = Some(PathBuf::from(value)),
                ("--fresh", Some((subject, file))) => fresh.push((subject.to_owned(), file.into())),
                ("--accept", None) if value == "yes" => accept = true,
                _ => return Err(format!("unknown option {name} {value}")),
            }
        }
        let root = root.ok_or("--root is needed")?;
        Ok(Self {
            root,
            fresh,
            accept,
        })
    }

    fn results(&self, name: &str) -> PathBuf {
        self.root.join("compat-suite/results").join(name)
    }

    fn reasons(&self) -> Result<Reasons, String> {
        let text = read(&self.root.join("compat-suite/reasons.toml"))?;
        Reasons::parse(&text).map_err(|why| format!("reasons.toml: {why}"))
    }

    /// Committed rows; none where there is no such file.
    fn committed(&self, subject: &str) -> Result<Vec<Row>, String> {
        let file = self.results(&format!("{subject}.tsv"));
        if !file.exists() {
            return Ok(Vec::new());
        }
        rows::read(&read(&file)?).map_err(|why| format!("{}: {why}", file.display()))
    }

    fn judge(&self, subject: &str, file: &Path, verdict: &mut Verdict) -> Result<(), String> {
        let committed = self.committed(subject)?;
        let fresh = rows::read(&read(file)?).map_err(|why| format!("{}: {why}", file.display()))?;
        let fresh = self.reasons()?.steadied(subject, fresh);
        let drift = drift::between(&committed, &fresh);
        for absent in &drift.absent {
            verdict.lines.push(format!("skipped: {subject}: {absent}"));
        }
        if self.accept {
            let taken = rows::write(&taken(committed, fresh, &drift.absent));
            let file = self.results(&format!("{subject}.tsv"));
            std::fs::write(&file, taken).map_err(|why| format!("{}: {why}", file.display()))?;
            return Ok(());
        }
        let breaches = drift.breaches.into_iter();
        breaches.for_each(|breach| verdict.breach(format!("{subject}: {breach}")));
        verdict.skipped += drift.absent.len();
        // What a peer passes is no test of ours; that it is as committed was one.
        if subject == "cairn" {
            verdict.passed += drift.passed;
            verdict.skipped += drift.known;
        }
        Ok(())
    }

    /// Each file that is written from the results, with its text; or why none can be.
    fn pages(&self) -> Result<Pages, String> {
        let mut peers = Vec::new();
        for peer in peer::NAMES {
            let rows = self.committed(peer)?;
            if !rows.is_empty() {
                peers.push((peer.to_owned(), rows));
            }
        }
        let clients = Clients {
            cairn: self.committed("cairn")?,
            peers,
        };
        let public = self.public_suite(self.reasons()?)?;
        let (ours, theirs) = (clients.page(&self.reasons()?), public.section());
        let (ours, theirs) = match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (ours, theirs) => {
                let wrong = [ours.err(), theirs.err()].into_iter().flatten().flatten();
                return Ok(Err(wrong.collect()));
            }
        };
        let readme = self.root.join("README.md");
        let table = in_place(&read(&readme)?, &clients.summary())?;
        let page = format!("{HEAD}{ours}\n## The public suite\n\n{theirs}");
        Ok(Ok(vec![
            (self.root.join("compat-suite/REPORT.md"), page),
            (readme, table),
        ]))
    }

    fn public_suite(&self, reasons: Reasons) -> Result<Report, String> {
        let folder = self.results("public-suite");
        let text = |name: &str| read(&folder.join(name));
        let http = text("http.tsv")?;
        let date = http.lines().find_map(|line| line.strip_prefix("# run on "));
        Ok(Report {
            revision: text("REVISION")?.trim().to_owned(),
            date: date.unwrap_or("an unknown day").to_owned(),
            runs: vec![
                Run::parse("http", &http)?,
                Run::parse("tls", &text("tls.tsv")?)?,
            ],
            lists: vec![List::parse("core", &text("core.txt")?)],
            reasons,
        })
    }
}

/// The committed rows with those of every client that ran in their place.
fn taken(committed: Vec<Row>, fresh: Vec<Row>, absent: &[String]) -> Vec<Row> {
    let is_absent = |row: &Row| {
        absent
            .iter()
            .any(|line| line.starts_with(&format!("{}: ", row.client)))
    };
    let fresh: Vec<Row> = fresh.into_iter().filter(|row| !is_absent(row)).collect();
    let ran = |row: &Row| fresh.iter().any(|other| other.client == row.client);
    let mut all: Vec<Row> = committed.into_iter().filter(|row| !ran(row)).collect();
    all.extend(fresh);
    all.sort_by(|one, other| one.client.cmp(&other.client));
    all
}

/// A text with this table between its marks.
fn in_place(text: &str, table: &str) -> Result<String, String> {
    let marks = || format!("README.md has no {} … {END}", BEGIN.trim());
    let (before, rest) = text.split_once(BEGIN).ok_or_else(marks)?;
    let (_, after) = rest.split_once(END).ok_or_else(marks)?;
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use cairn_compat_suite::clients::Outcome;

    use super::*;

    const PUBLIC: &str = "# run on 2026-11-20\na::one\tlist\topen\tpass\n";

    /// A tree with results of one client and one case of the public suite.
    fn tree(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("results-{name}-{}", std::process::id()));
        std::fs::create_dir_all(root.join("compat-suite/results/public-suite")).unwrap();
        let write = |path: &str, text: &str| std::fs::write(root.join(path), text).unwrap();
        write("compat-suite/results/public-suite/http.tsv", PUBLIC);
        write("compat-suite/results/public-suite/tls.tsv", PUBLIC);
        write("compat-suite/results/public-suite/core.txt", "a::one\n");
        write("compat-suite/results/public-suite/REVISION", "abc\n");
        write("compat-suite/reasons.toml", "");
        write("README.md", &format!("before\n{BEGIN}old\n{END}\nafter\n"));
        write("fresh.tsv", &rows::write(&[row("one", Outcome::Passed)]));
        root
    }

    fn row(case: &str, outcome: Outcome) -> Row {
        Row {
            version: "1.2".to_owned(),
            operation: "PutObject".to_owned(),
            case: case.to_owned(),
            ..Row::of_runner("curl", outcome, "why")
        }
    }

    fn results(root: &Path, more: &str) -> Verdict {
        let fresh = root.join("fresh.tsv");
        let line = format!(
            "--root {} --fresh cairn={} {more}",
            root.display(),
            fresh.display()
        );
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        run(&words).unwrap()
    }

    #[test]
    fn what_is_accepted_is_then_what_is_expected() {
        let root = tree("accepted");
        assert_eq!(results(&root, "--accept yes"), Verdict::default());
        let readme = read(&root.join("README.md")).unwrap();
        assert!(
            readme.contains("| curl | 1.2 | 1 of 1 |\n") && readme.ends_with("-->\nafter\n"),
            "{readme}"
        );
        let page = read(&root.join("compat-suite/REPORT.md")).unwrap();
        for part in [
            "| curl | 1.2 | 1 of 1 |",
            "| PutObject | 1 |",
            "run on 2026-11-20",
            "| list | 1 of 1 | 1 of 1 |",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        let verdict = results(&root, "");
        assert_eq!(
            (verdict.passed, verdict.failed, verdict.lines.len()),
            (1, 0, 0),
            "{verdict:?}"
        );
        std::fs::write(root.join("compat-suite/REPORT.md"), "by hand").unwrap();
        let verdict = results(&root, "");
        assert!(
            verdict.lines[0].contains("is not what the results say"),
            "{verdict:?}"
        );
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_case_that_ends_otherwise_is_a_failure() {
        let root = tree("otherwise");
        results(&root, "--accept yes");
        std::fs::write(
            root.join("fresh.tsv"),
            rows::write(&[row("one", Outcome::Failed)]),
        )
        .unwrap();
        let verdict = results(&root, "");
        assert_eq!((verdict.passed, verdict.failed), (0, 1));
        assert_eq!(
            verdict.lines,
            ["cairn: curl: PutObject/one: failed, and passed in the results: why"]
        );
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_failure_needs_a_reason_and_a_reason_a_failure() {
        let root = tree("reasons");
        std::fs::write(
            root.join("fresh.tsv"),
            rows::write(&[row("one", Outcome::Failed)]),
        )
        .unwrap();
        let verdict = results(&root, "--accept yes");
        assert_eq!(
            verdict.lines,
            ["curl: PutObject/one fails without a reason: why"]
        );
        let reason = "[[client]]\nwhy = \"So it is.\"\ncases = [\"curl: PutObject/one\"]\n";
        std::fs::write(root.join("compat-suite/reasons.toml"), reason).unwrap();
        assert_eq!(results(&root, "--accept yes").failed, 0);
        let verdict = results(&root, "");
        assert_eq!(
            (verdict.passed, verdict.failed, verdict.skipped),
            (0, 0, 1),
            "{verdict:?}"
        );
        let page = read(&root.join("compat-suite/REPORT.md")).unwrap();
        assert!(
            page.contains("- `curl: PutObject/one`: So it is.\n"),
            "{page}"
        );
        let stale = reason.replace("PutObject/one", "PutObject/two");
        std::fs::write(root.join("compat-suite/reasons.toml"), stale).unwrap();
        assert!(
            results(&root, "")
                .lines
                .iter()
                .any(|line| line.contains("does not fail"))
        );
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_difference_to_a_peer_needs_a_reason() {
        let root = tree("peer");
        results(&root, "--accept yes");
        let peer = rows::write(&[row("one", Outcome::Failed)]);
        std::fs::write(root.join("compat-suite/results/moto.tsv"), peer).unwrap();
        assert!(results(&root, "").lines[0].contains("failed on moto"));
        let reason =
            "[[peer]]\nname = \"moto\"\nwhy = \"It does not look.\"\ncases = [\"PutObject/\"]\n";
        std::fs::write(root.join("compat-suite/reasons.toml"), reason).unwrap();
        assert_eq!(results(&root, "--accept yes").failed, 0);
        let page = read(&root.join("compat-suite/REPORT.md")).unwrap();
        let part =
            "## Beside moto\n\nPasses here alone: It does not look.\n\n- `curl: PutObject/one`\n";
        assert!(
            page.contains(part) && page.contains("| curl | 1.2 | 1 of 1 | 0 of 1 |"),
            "{page}"
        );
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn what_is_unsteady_on_a_peer_is_left_out_and_said() {
        let root = tree("unsteady");
        results(&root, "--accept yes");
        let left = "[[unsteady]]\nname = \"garage\"\nwhy = \"Its order is random.\"\ncases = [\"PutObject/one\"]\n";
        std::fs::write(root.join("compat-suite/reasons.toml"), left).unwrap();
        let file = root.join("garage.tsv");
        let more = format!("--fresh garage={}", file.display());
        for outcome in [Outcome::Failed, Outcome::Passed] {
            std::fs::write(&file, rows::write(&[row("one", outcome)])).unwrap();
            assert_eq!(results(&root, &format!("{more} --accept yes")).failed, 0);
        }
        assert_eq!(results(&root, &more).failed, 0);
        let page = read(&root.join("compat-suite/REPORT.md")).unwrap();
        let part = "## Beside garage\n\nNo case ends otherwise.\n\n\
                    Left out: Its order is random.\n\n- `curl: PutObject/one`\n";
        assert!(page.contains(part), "{page}");
        let kept = read(&root.join("compat-suite/results/garage.tsv")).unwrap();
        assert!(
            kept.contains("one\tskipped\tIts order is random.\n"),
            "{kept}"
        );
        std::fs::write(
            root.join("compat-suite/reasons.toml"),
            left.replace("one", "two"),
        )
        .unwrap();
        let lines = results(&root, "").lines;
        assert!(lines[0].contains("is no case of garage"), "{lines:?}");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn clients_that_did_not_run_keep_their_results() {
        let old = vec![
            row("one", Outcome::Passed),
            Row::of_runner("s3fs", Outcome::Passed, ""),
        ];
        let fresh = vec![
            row("two", Outcome::Passed),
            Row::of_runner("s3fs", Outcome::Skipped, "no /dev/fuse"),
        ];
        let kept = taken(old, fresh, &["s3fs: no /dev/fuse".to_owned()]);
        let found: Vec<_> = kept
            .iter()
            .map(|row| (row.case.as_str(), row.outcome))
            .collect();
        assert_eq!(
            found,
            [
                ("two", Outcome::Passed),
                ("runs to its end", Outcome::Passed)
            ]
        );
    }

    #[test]
    fn reads_its_command_line_and_refuses_others() {
        for line in [
            "",
            "--root",
            "--fresh a=b",
            "--root r --accept no",
            "--root r --fresh a",
        ] {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert!(Given::parse(&words).is_err(), "{line}");
        }
        assert!(in_place("no marks", "t").is_err());
    }
}
