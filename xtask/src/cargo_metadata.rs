//! What `cargo metadata --no-deps` says about the workspace.

use serde_json::Value;

use crate::repository::Repository;
use crate::subprocess::{cargo, run_quiet};

/// The workspace's metadata; an error names what cargo said instead.
pub(crate) fn read(repository: &Repository) -> Result<Value, String> {
    let mut command = cargo();
    command.args([
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--locked",
        "--quiet",
    ]);
    parse(&run_quiet(&mut command, repository.root()).output)
}

/// The JSON line among what cargo printed (it may warn, or wait for a lock, on other lines).
fn parse(output: &str) -> Result<Value, String> {
    let json = output.lines().find(|line| line.starts_with('{'));
    let json = json.ok_or_else(|| format!("cargo metadata failed: {output:.500}"))?;
    serde_json::from_str(json).map_err(|why| format!("cargo metadata: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_json_between_other_lines() {
        let value = parse("Blocking waiting for file lock\n{\"packages\":[]}\n").unwrap();
        assert!(value.get("packages").is_some());
    }

    #[test]
    fn repeats_what_cargo_said_instead() {
        assert!(
            parse("error: no such manifest")
                .unwrap_err()
                .contains("no such manifest")
        );
        assert!(parse("{ not json").is_err());
    }
}
