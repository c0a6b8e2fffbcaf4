//! Files, folders and crates are named after what they hold.

use super::violation::Violation;

const RULE: &str = "names";
const JUNK: [&str; 10] = [
    "common",
    "util",
    "utils",
    "helper",
    "helpers",
    "manager",
    "misc",
    "core",
    "mod",
    "utilities",
];

/// Every path whose last part is a junk word. Given all paths, folders included.
pub(crate) fn violations(paths: &[String]) -> Vec<Violation> {
    paths.iter().filter_map(|path| breach(path)).collect()
}

fn breach(path: &str) -> Option<Violation> {
    let last = path.rsplit('/').next().unwrap_or(path);
    let (stem, is_source) = match last.strip_suffix(".rs") {
        Some(stem) => (stem, true),
        None => (last, false),
    };
    if !is_source && last.contains('.') {
        return None;
    }
    let junk = JUNK.contains(&stem) && (is_source || stem != "mod");
    junk.then(|| Violation {
        path: path.to_owned(),
        line: 0,
        rule: RULE,
        found: format!("`{last}` says nothing"),
        mend: match stem {
            "mod" => "write foo.rs beside foo/".to_owned(),
            _ => "name it after the noun it holds".to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> usize {
        violations(&[path.to_owned()]).len()
    }

    #[test]
    fn refuses_junk_names() {
        for path in [
            "a/src/x/mod.rs",
            "a/src/util.rs",
            "shared/common",
            "a/core/src",
            "a/misc.rs",
        ] {
            let junk = found(path) + found(path.trim_end_matches("/src"));
            assert!(junk > 0, "{path}");
        }
    }

    #[test]
    fn takes_names_that_say_something() {
        for path in [
            "a/src/modify.rs",
            "a/src/core_dump.rs",
            "docs/core.txt",
            "shared",
            "a/lib.rs",
        ] {
            assert_eq!(found(path), 0, "{path}");
        }
    }
}
