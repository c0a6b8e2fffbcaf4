use super::*;
use std::collections::BTreeSet;

#[test]
fn names_are_kebab_case_unique_and_read_back() {
    let names: BTreeSet<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
    assert_eq!(names.len(), Bug::ALL.len());
    assert!(names.len() >= 24);
    for bug in Bug::ALL {
        let name = bug.name();
        assert!(
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
            "{name}"
        );
        assert_eq!(name.parse(), Ok(*bug));
        assert_eq!(bug.to_string(), name);
        let variant = format!("{bug:?}").to_ascii_lowercase();
        assert_eq!(
            variant,
            name.replace('-', ""),
            "variant and name say the same"
        );
    }
}

#[test]
fn every_bug_has_one_row_in_the_documentation() {
    let table = include_str!("../../../../docs/simulation.md");
    let named = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let (_story, tables) = table
        .split_once("## Planted bugs")
        .expect("a table of bugs");
    let (bugs, _points) = tables.split_once("## Buggify points").expect("two tables");
    let rows: Vec<String> = bugs.lines().filter_map(named).collect();
    let names: BTreeSet<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
    assert_eq!(rows.len(), names.len(), "one row each");
    assert!(
        rows.iter().all(|row| names.contains(row.as_str())),
        "{rows:?}"
    );
}

#[test]
fn an_unknown_name_is_refused_by_name() {
    for name in ["", "Weak-Ack", "weak-ack ", "weakack"] {
        assert_eq!(name.parse::<Bug>(), Err(UnknownBug(name.to_owned())));
    }
    let refusal = UnknownBug("x".to_owned()).to_string();
    assert_eq!(refusal, "no planted bug is called \"x\"");
}

#[cfg(not(feature = "simulation"))]
#[test]
fn nothing_is_planted_without_the_feature() {
    assert!(Bug::ALL.iter().all(|bug| !planted(*bug)));
}

/// One test, since what it plants stays for the rest of the process.
#[cfg(feature = "simulation")]
#[test]
fn one_bug_is_planted_once_and_no_other_beside_it() {
    assert!(Bug::ALL.iter().all(|bug| !planted(*bug)));
    plant(Bug::WeakAck);
    plant(Bug::WeakAck);
    let seen: Vec<_> = Bug::ALL.iter().filter(|bug| planted(**bug)).collect();
    assert_eq!(seen, [&Bug::WeakAck]);
    let second = std::panic::catch_unwind(|| plant(Bug::StaleRead));
    assert!(second.is_err());
    assert!(planted(Bug::WeakAck) && !planted(Bug::StaleRead));
}
