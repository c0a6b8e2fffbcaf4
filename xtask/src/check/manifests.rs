//! What every `Cargo.toml` and the cargo settings must and must not say.

use super::violation::Violation;
use crate::repository::SourceFile;

const RULE: &str = "manifests";

/// Checks one `.toml` file of the tree; files that are neither a package nor settings pass.
pub(crate) fn violations(file: &SourceFile) -> Vec<Violation> {
    if file.path.ends_with("Cargo.toml") {
        package(file)
    } else if file.path.starts_with(".cargo/") {
        settings(file)
    } else {
        Vec::new()
    }
}

fn breach(file: &SourceFile, line: usize, found: &str, mend: &str) -> Violation {
    Violation {
        path: file.path.clone(),
        line,
        rule: RULE,
        found: found.to_owned(),
        mend: mend.to_owned(),
    }
}

fn package(file: &SourceFile) -> Vec<Violation> {
    let Some(name) = value_after(&file.text, "[package]", "name") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if value_after(&file.text, "[lints]", "workspace").as_deref() != Some("true") {
        found.push(breach(
            file,
            0,
            "no workspace lints",
            "add [lints] workspace = true",
        ));
    }
    let folder = file
        .path
        .trim_end_matches("/Cargo.toml")
        .rsplit('/')
        .next()
        .unwrap_or("");
    let expected = if folder == "cli" {
        "cairn".to_owned()
    } else {
        format!("cairn-{folder}")
    };
    if name != expected {
        let what = format!("folder {folder} holds package {name}");
        found.push(breach(file, 0, &what, &format!("call it {expected}")));
    }
    found
}

/// `key`'s value in the table headed `table`, without quotes.
fn value_after(text: &str, table: &str, key: &str) -> Option<String> {
    let inside = text.lines().skip_while(|line| line.trim() != table).skip(1);
    let inside = inside.take_while(|line| !line.trim_start().starts_with('['));
    let mut pairs = inside.filter_map(|line| line.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim() == key)?;
    Some(value.trim().trim_matches('"').to_owned())
}

fn settings(file: &SourceFile) -> Vec<Violation> {
    let mut found = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for word in ["target-cpu", "target-dir"] {
            if line
                .split('#')
                .next()
                .is_some_and(|code| code.contains(word))
            {
                let what = format!("{word} is set");
                found.push(breach(
                    file,
                    index + 1,
                    &what,
                    "kernels are chosen at run time",
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"cairn-wire\"\n\n[lints]\nworkspace = true\n";

    fn found(path: &str, text: &str) -> usize {
        violations(&SourceFile::new(path, text)).len()
    }

    #[test]
    fn takes_a_good_package() {
        assert_eq!(found("shared/wire/Cargo.toml", GOOD), 0);
        assert_eq!(found("Cargo.toml", "[workspace]\nmembers = []\n"), 0);
        assert_eq!(
            found("cli/Cargo.toml", &GOOD.replace("cairn-wire", "cairn")),
            0
        );
    }

    #[test]
    fn refuses_missing_lints_and_a_name_unlike_its_folder() {
        assert_eq!(
            found("shared/wire/Cargo.toml", &GOOD.replace("true", "false")),
            1
        );
        assert_eq!(found("shared/wires/Cargo.toml", GOOD), 1);
    }

    #[test]
    fn refuses_a_fixed_cpu_or_target_folder() {
        let text = "[build]\nrustflags = [\"-C\", \"target-cpu=native\"]\ntarget-dir = \"x\"\n";
        assert_eq!(found(".cargo/config.toml", text), 2);
        assert_eq!(found(".cargo/config.toml", "# no target-cpu here\n"), 0);
    }
}
