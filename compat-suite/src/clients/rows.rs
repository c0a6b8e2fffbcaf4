//! What became of one case with one client.

use serde::Deserialize;

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As AWS documents it.
    Passed,
    /// Otherwise.
    Failed,
    /// The client cannot ask for it, or cannot run here.
    Skipped,
}

impl Outcome {
    /// `passed`, `failed` or `skipped`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        [Self::Passed, Self::Failed, Self::Skipped]
            .into_iter()
            .find(|outcome| outcome.word() == word)
    }
}

/// One case of one client.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Row {
    /// Such as `boto3`.
    pub client: String,
    /// As the client says it.
    pub version: String,
    /// S3's name of it, or what the client calls it.
    pub operation: String,
    /// What is shown, in words.
    pub case: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not pass.
    pub why: String,
}

impl Row {
    /// `operation/case`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.operation, self.case)
    }

    /// A line that says something of the runner itself.
    #[must_use]
    pub fn of_runner(client: &str, outcome: Outcome, why: &str) -> Self {
        Self {
            client: client.to_owned(),
            version: String::new(),
            operation: "runner".to_owned(),
            case: "runs to its end".to_owned(),
            outcome,
            why: steady(why),
        }
    }

    fn of_line(line: &str) -> Option<Self> {
        let mut fields = line.split('\t').map(str::to_owned);
        let mut next = || fields.next();
        Some(Self {
            client: next()?,
            version: next()?,
            operation: next()?,
            case: next()?,
            outcome: Outcome::of_word(&next()?)?,
            why: next()?,
        })
    }
}

/// Reads what a runner printed: its rows, in order.
///
/// # Errors
/// Where its last line is not `passed X of Y` with the numbers of its rows.
pub fn of_runner(printed: &str) -> Result<Vec<Row>, String> {
    let lines = printed.lines().filter(|line| line.starts_with('{'));
    let rows: Vec<Row> = lines
        .map(|line| serde_json::from_str(line).map_err(|why| format!("{why}: {line}")))
        .collect::<Result<_, _>>()?;
    let count = |wanted: &[Outcome]| {
        rows.iter()
            .filter(|row| wanted.contains(&row.outcome))
            .count()
    };
    let passed = count(&[Outcome::Passed]);
    let ran = count(&[Outcome::Passed, Outcome::Failed]);
    let last = printed.lines().last().unwrap_or_default();
    if last != format!("passed {passed} of {ran}") {
        return Err(format!("its last line is {last:?} after {passed} of {ran}"));
    }
    let steadied = rows.into_iter().map(|row| Row {
        why: steady(&row.why),
        ..row
    });
    Ok(steadied.collect())
}

/// A file of results, one row a line.
#[must_use]
pub fn write(rows: &[Row]) -> String {
    let mut text = String::from(
        "# client, version, operation, case, outcome, why: written by `cargo xtask clients --accept`\n",
    );
    for row in rows {
        let Row {
            client,
            version,
            operation,
            case,
            outcome,
            why,
        } = row;
        let word = outcome.word();
        text.push_str(&format!(
            "{client}\t{version}\t{operation}\t{case}\t{word}\t{why}\n"
        ));
    }
    text
}

/// Reads such a file.
///
/// # Errors
/// The line that is none.
pub fn read(text: &str) -> Result<Vec<Row>, String> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|(at, line)| Row::of_line(line).ok_or_else(|| format!("line {}: no result", at + 1)))
        .collect()
}

/// How much of a reason is kept.
const WHY_LEN: usize = 200;

/// A reason in one short line of text, without what differs from run to run: ids, ports, times.
fn steady(text: &str) -> String {
    let plain = |letter: char| {
        let strange = letter.is_control() && !letter.is_whitespace();
        if strange || letter == char::REPLACEMENT_CHARACTER {
            '…'
        } else {
            letter
        }
    };
    let text: String = text.chars().map(plain).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut steady = String::new();
    let mut run = String::new();
    for letter in words.join(" ").chars().chain(['\n']) {
        if letter.is_ascii_hexdigit() {
            run.push(letter);
            continue;
        }
        let port = steady.ends_with("127.0.0.1:");
        let id = run.len() >= 8 && run.chars().any(|digit| digit.is_ascii_digit());
        steady.push_str(if id || (port && !run.is_empty()) {
            "…"
        } else {
            &run
        });
        run.clear();
        steady.push(letter);
    }
    steady.trim_end().chars().take(WHY_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = r#"a warning
{"client":"c","version":"1","operation":"PutObject","case":"one","outcome":"passed","why":""}
{"client":"c","version":"1","operation":"PutObject","case":"two","outcome":"failed","why":"a\tb  c"}
{"client":"c","version":"1","operation":"PutObject","case":"three","outcome":"skipped","why":"no"}
passed 1 of 2"#;

    #[test]
    fn what_a_runner_prints_is_what_a_file_holds() {
        let rows = of_runner(PRINTED).unwrap();
        assert_eq!(rows[1].why, "a b c");
        assert_eq!((rows[1].name().as_str(), rows.len()), ("PutObject/two", 3));
        assert_eq!(read(&write(&rows)).unwrap(), rows);
    }

    #[test]
    fn a_runner_that_breaks_off_is_refused() {
        for printed in [
            "",
            "passed 1 of 1",
            PRINTED.trim_end_matches("passed 1 of 2").trim_end(),
            &PRINTED.replace("1 of 2", "2 of 2"),
            &PRINTED.replace("\"failed\"", "\"mixed\""),
        ] {
            assert!(of_runner(printed).is_err(), "{printed}");
        }
    }

    #[test]
    fn a_line_that_is_no_result_is_refused() {
        for line in ["a\tb", "a\t1\to\tc\tlost\t", "a\t1\to\tc\tpassed"] {
            assert!(read(line).is_err(), "{line}");
        }
        assert_eq!(read("# only a comment\n\n").unwrap(), []);
    }

    #[test]
    fn reasons_do_not_change_from_run_to_run() {
        assert_eq!(steady("at 127.0.0.1:39211/b  x"), "at 127.0.0.1:…/b x");
        assert_eq!(steady("curl-0a1b2c3d4e5f/k: 404"), "curl-…/k: 404");
        assert_eq!(steady("a feedface added 200000"), "a feedface added 200000");
        assert_eq!(steady("a\u{1}\u{fffd}b\nc"), "a……b c");
        assert_eq!(steady(&"ghi ".repeat(99)).chars().count(), WHY_LEN);
    }
}
