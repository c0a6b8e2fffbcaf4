use super::super::event::{Ended, Made, Thing};
use super::super::registers::violations;
use super::*;

fn time(called: u64) -> Time {
    Time {
        client: 1,
        called,
        answered: called + 1,
    }
}

fn page(rows: &[&str], prefixes: &[&str]) -> Page {
    Page {
        asked: Asked {
            bucket: "b".into(),
            prefix: "g/".into(),
            limit: 10,
            ..Asked::default()
        },
        rows: rows
            .iter()
            .map(|key| Row {
                key: (*key).to_owned(),
                etag: "e".into(),
                size: 1,
            })
            .collect(),
        prefixes: prefixes.iter().map(|name| (*name).to_owned()).collect(),
        truncated: false,
    }
}

fn grouped(rows: &[&str], prefixes: &[&str]) -> Page {
    let mut page = page(rows, prefixes);
    page.asked.delimiter = "/".into();
    page
}

fn after(after: &str, mut page: Page) -> Page {
    page.asked.after = after.into();
    page
}

fn truncated(mut page: Page) -> Page {
    page.truncated = true;
    page
}

#[test]
fn a_page_is_in_order_within_its_bounds_and_repeats_nothing() {
    let right = [
        page(&["g/a", "g/d/x"], &[]),
        grouped(&["g/a", "g/e"], &["g/d/"]),
        after("g/a", page(&["g/b"], &[])),
        page(&[], &[]),
    ];
    for page in right {
        assert_eq!(page.faults(), Vec::<String>::new());
    }
    let mut full = page(&["g/a", "g/b"], &[]);
    full.asked.limit = 1;
    let wrong = [
        (page(&["g/b", "g/a"], &[]), "order"),
        (page(&["g/a", "g/a"], &[]), "order"),
        (grouped(&[], &["g/d/", "g/d/"]), "order"),
        (full, "more than asked"),
        (page(&["h/a"], &[]), "another prefix"),
        (after("g/b", page(&["g/b"], &[])), "what came before"),
        (grouped(&["g/d/x"], &[]), "a key of a group"),
        (grouped(&[], &["g/d"]), "a prefix that is no group"),
        (page(&[], &["g/d/"]), "a prefix that is no group"),
        (truncated(page(&[], &[])), "truncated without a key"),
    ];
    for (page, rule) in wrong {
        let faults = page.faults();
        assert!(
            faults.iter().any(|fault| fault.starts_with(rule)),
            "{rule}: {faults:?}"
        );
    }
}

#[test]
fn a_page_speaks_of_what_lies_between_its_ends() {
    let seen = |page: &Page, key: &str| page.sight(key);
    let whole = page(&["g/b"], &[]);
    assert!(matches!(seen(&whole, "g/b"), Some(Sight::Present(_))));
    assert_eq!(seen(&whole, "g/a"), Some(Sight::Absent));
    assert_eq!(seen(&whole, "g/z"), Some(Sight::Absent));
    assert_eq!(seen(&whole, "h/a"), None);
    let first = truncated(whole.clone());
    assert_eq!(seen(&first, "g/a"), Some(Sight::Absent));
    assert_eq!(seen(&first, "g/c"), None);
    let second = after("g/a", whole);
    assert_eq!(seen(&second, "g/a"), None);
    assert_eq!(seen(&second, "g/c"), Some(Sight::Absent));
    let groups = grouped(&["g/b"], &["g/d/"]);
    assert_eq!(seen(&groups, "g/d/x"), None);
    assert_eq!(seen(&groups, "g/e/x"), Some(Sight::Absent));
    let behind = after("g/d/", grouped(&["g/e"], &[]));
    assert_eq!(seen(&behind, "g/d/x"), None);
    assert_eq!(seen(&behind, "g/d0"), Some(Sight::Absent));
    let shown = truncated(grouped(&[], &["g/d/"]));
    assert_eq!(seen(&shown, "g/a"), Some(Sight::Absent));
    assert_eq!(seen(&shown, "g/e"), None);
}

fn write(register: Register, registers: &mut Registers) {
    let event = Event {
        time: time(1),
        what: What::Write {
            id: registers.len() as u64 + 1,
            made: Made::Thing(Thing {
                label: None,
                etag: "e".into(),
                size: 1,
            }),
            only_if: None,
            ended: Ended::Done,
            upload: None,
        },
    };
    registers.entry(register).or_default().push(event);
}

/// Object `g/a`, bucket `x`, upload `u` of `g/a`; all made before 3.
fn registers() -> Registers {
    let mut registers = Registers::new();
    write(Register::object("b", "g/a"), &mut registers);
    write(Register::Bucket("x".into()), &mut registers);
    let upload = Register::Upload {
        bucket: "b".into(),
        key: "g/a".into(),
        id: "u".into(),
    };
    write(upload, &mut registers);
    registers
}

fn judge(listings: &Listings) -> Vec<String> {
    let mut registers = registers();
    let lost = LostCreations::from([(("b".into(), "g/b".into()), vec![4])]);
    let mut found = settle(listings, &lost, &mut registers);
    found.extend(violations(&registers));
    found
}

#[test]
fn an_object_that_is_not_listed_or_listed_wrong_is_found() {
    let listed = |page: Page| {
        judge(&Listings {
            pages: vec![(time(3), page)],
            ..Listings::default()
        })
    };
    assert_eq!(listed(page(&["g/a"], &[])), Vec::<String>::new());
    assert_eq!(listed(page(&[], &[])).len(), 1);
    let mut wrong = page(&["g/a"], &[]);
    wrong.rows[0].size = 2;
    assert_eq!(listed(wrong).len(), 1);
    let strange = listed(page(&["g/a", "g/z"], &[]));
    assert!(
        strange[0].contains("g/z was listed and never written"),
        "{strange:?}"
    );
}

#[test]
fn an_upload_that_is_not_listed_or_was_never_created_is_found() {
    let listed = |called, rows: &[(&str, &str)]| {
        let rows = rows.iter().map(|(key, id)| ((*key).into(), (*id).into()));
        let asked = Asked {
            bucket: "b".into(),
            prefix: "g/".into(),
            ..Asked::default()
        };
        judge(&Listings {
            uploads: vec![(time(called), asked, rows.collect())],
            ..Listings::default()
        })
    };
    assert_eq!(listed(6, &[("g/a", "u")]), Vec::<String>::new());
    assert_eq!(listed(6, &[]).len(), 1);
    assert_eq!(listed(6, &[("g/a", "u"), ("g/a", "v")]).len(), 1);
    // Its creation was not answered.
    assert_eq!(listed(6, &[("g/a", "u"), ("g/b", "v")]).len(), 0);
    assert_eq!(listed(2, &[("g/a", "u"), ("g/b", "v")]).len(), 1);
}

#[test]
fn a_bucket_that_is_not_listed_is_found() {
    let listed = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        judge(&Listings {
            buckets: vec![(time(3), names)],
            ..Listings::default()
        })
    };
    assert_eq!(listed(&["x", "y"]), Vec::<String>::new());
    assert_eq!(listed(&["y"]).len(), 1);
}
