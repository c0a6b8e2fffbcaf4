use super::*;

fn time(called: u64) -> Time {
    Time {
        client: 1,
        called,
        answered: called + 1,
    }
}

fn write(id: u64) -> What {
    What::Write {
        id,
        made: Made::Thing(Thing {
            label: Some(id),
            etag: "e".into(),
            size: 1,
        }),
        only_if: None,
        ended: Ended::Done,
        upload: None,
    }
}

fn hash(history: &History) -> String {
    let mut all = Vec::new();
    history.fold_into(&mut |bytes| all.extend_from_slice(bytes));
    cairn_compat_suite::checksums::sha256_hex(&all)
}

#[test]
fn every_kind_of_violation_is_gathered() {
    let history = History::new();
    let key = Register::object("b", "k");
    history.keep(key.clone(), time(1), write(1));
    assert_eq!(history.violations(), Vec::<String>::new());
    history.keep(key, time(3), What::Read(Sight::Absent));
    history.fault("an answer".into());
    let when = When {
        time: time(5),
        called_secs: 1,
        answered_secs: 1,
    };
    history.chunk_looked(when, "c", true);
    let asked = Asked {
        bucket: "b".into(),
        prefix: "g".into(),
        limit: 9,
        ..Asked::default()
    };
    history.uploads(time(7), asked.clone(), vec![("g1".into(), "u".into()); 2]);
    let row = Row {
        key: "g2".into(),
        etag: "e".into(),
        size: 1,
    };
    let page = Page {
        asked,
        rows: vec![row],
        prefixes: vec!["g0".into()],
        truncated: false,
    };
    history.page(time(9), page);
    history.created("v", "b", "k");
    history.aborted("v", time(11), Ended::Done);
    history.completed("v", time(13), Vec::new(), Ended::Done);
    let found = history.violations().join("\n");
    for wanted in [
        "an answer",
        "b/k: ",
        "nobody sent it",
        "listed twice",
        "never created",
        "a prefix that is no group",
        "g2 was listed and never written",
        "aborted and completed",
    ] {
        assert!(found.contains(wanted), "{wanted}: {found}");
    }
}

#[test]
fn a_label_has_one_etag() {
    let history = History::new();
    assert_eq!(history.label(1, "e"), Ok(()));
    assert_eq!(history.label(1, "e"), Ok(()));
    assert_eq!(history.label(2, "f"), Ok(()));
    assert!(history.label(1, "f").is_err());
}

#[test]
fn every_event_changes_the_trace() {
    let history = History::new();
    let mut seen = vec![hash(&history)];
    history.keep(Register::Bucket("x".into()), time(1), write(1));
    seen.push(hash(&history));
    let when = When {
        time: time(2),
        called_secs: 1,
        answered_secs: 2,
    };
    let called = Called {
        when,
        kind: "Get",
        target: "GET /b/k".into(),
        gateway: 0,
        status: 200,
    };
    history.called(called, Heard::Acknowledged);
    seen.push(hash(&history));
    history.buckets(time(3), ["x".to_owned()]);
    seen.push(hash(&history));
    history.chunk_leased(when, "c");
    seen.push(hash(&history));
    history.fault("x".into());
    seen.push(hash(&history));
    let distinct: std::collections::BTreeSet<&String> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len());
    let counts = history.counts();
    assert_eq!(counts["Get"].acknowledged, 1);
    assert_eq!(history.calls_about("/b/k").len(), 1);
    assert!(history.calls_about("/b/x").is_empty());
}
