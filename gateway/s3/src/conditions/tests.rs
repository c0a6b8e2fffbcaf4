use super::*;
use crate::testing::head;

const DAY: &str = "Fri, 24 May 2013 00:00:00 GMT";
const BEFORE: &str = "Thu, 23 May 2013 23:59:59 GMT";
const AFTER: &str = "Fri, 24 May 2013 00:00:01 GMT";

/// Judges an object with ETag `e`, written a fraction of a second after [`DAY`] began.
fn judge(headers: &[(&str, &str)]) -> ReadOutcome {
    let modified = Timestamp::from_millis(Timestamp::from_http_date(DAY).unwrap().millis() + 700);
    ReadConditions::from_head(&head("GET", "/b/k", headers))
        .unwrap()
        .evaluate("e", modified)
}

#[test]
fn each_condition_alone() {
    use ReadOutcome::{Failed, NotModified, Proceed};
    for (name, value, outcome) in [
        ("if-match", "\"e\"", Proceed),
        ("if-match", "e", Proceed),
        ("if-match", "*", Proceed),
        ("if-match", "\"x\", \"e\"", Proceed),
        ("if-match", "\"x\"", Failed("If-Match")),
        ("if-none-match", "\"x\"", Proceed),
        ("if-none-match", "\"e\"", NotModified),
        ("if-none-match", "W/\"e\"", NotModified),
        ("if-none-match", "*", NotModified),
        ("if-modified-since", BEFORE, Proceed),
        ("if-modified-since", DAY, NotModified),
        ("if-modified-since", AFTER, NotModified),
        ("if-unmodified-since", BEFORE, Failed("If-Unmodified-Since")),
        ("if-unmodified-since", DAY, Proceed),
        ("if-unmodified-since", AFTER, Proceed),
    ] {
        assert_eq!(judge(&[(name, value)]), outcome, "{name}: {value}");
    }
    assert_eq!(judge(&[]), Proceed);
}

#[test]
fn a_passed_if_match_silences_if_unmodified_since() {
    let both = [("if-match", "\"e\""), ("if-unmodified-since", BEFORE)];
    assert_eq!(judge(&both), ReadOutcome::Proceed);
    let both = [("if-match", "\"x\""), ("if-unmodified-since", AFTER)];
    assert_eq!(judge(&both), ReadOutcome::Failed("If-Match"));
}

#[test]
fn if_none_match_silences_if_modified_since() {
    let both = [("if-none-match", "\"e\""), ("if-modified-since", BEFORE)];
    assert_eq!(judge(&both), ReadOutcome::NotModified);
    let both = [("if-none-match", "\"x\""), ("if-modified-since", AFTER)];
    assert_eq!(judge(&both), ReadOutcome::Proceed);
}

#[test]
fn a_failed_precondition_goes_before_not_modified() {
    let both = [("if-match", "\"x\""), ("if-none-match", "\"e\"")];
    assert_eq!(judge(&both), ReadOutcome::Failed("If-Match"));
}

#[test]
fn a_date_that_is_none_and_an_empty_tag_are_no_conditions() {
    for (name, value) in [
        ("if-modified-since", "yesterday"),
        ("if-match", ""),
        ("if-match", "\"\""),
    ] {
        assert_eq!(
            judge(&[(name, value)]),
            ReadOutcome::Proceed,
            "{name}: {value}"
        );
    }
}

#[test]
fn a_condition_given_twice_is_refused() {
    let head = head("GET", "/b/k", &[("if-match", "a"), ("if-match", "b")]);
    assert_eq!(
        ReadConditions::from_head(&head).unwrap_err().code(),
        Code::InvalidArgument
    );
}

#[test]
fn copy_sources_have_their_own_headers() {
    let head = head(
        "PUT",
        "/b/k",
        &[
            ("x-amz-copy-source-if-match", "\"x\""),
            ("if-match", "\"e\""),
        ],
    );
    let conditions = ReadConditions::of_copy_source(&head).unwrap();
    assert_eq!(
        conditions.evaluate("e", Timestamp::from_millis(0)),
        ReadOutcome::Failed("If-Match")
    );
}

#[test]
fn writes_are_judged_as_the_public_suite_wants() {
    let judge = |name: &str, value: &str, current: Option<&str>| {
        let head = head("PUT", "/b/k", &[(name, value)]);
        let conditions = WriteConditions::from_head(&head).unwrap();
        assert!(!conditions.is_empty());
        conditions
            .check(current)
            .map_err(|error| (error.status().as_u16(), error.code()))
    };
    let failed = Err((412, Code::PreconditionFailed));
    let missing = Err((404, Code::NoSuchKey));
    for (name, value, current, outcome) in [
        ("if-none-match", "*", None, Ok(())),
        ("if-none-match", "*", Some("e"), failed),
        ("if-none-match", "\"e\"", Some("e"), failed),
        ("if-none-match", "badetag", Some("e"), Ok(())),
        ("if-none-match", "\"e\"", None, Ok(())),
        ("if-match", "*", Some("e"), Ok(())),
        ("if-match", "\"e\"", Some("e"), Ok(())),
        ("if-match", "\"x\"", Some("e"), failed),
        ("if-match", "*", None, missing),
        ("if-match", "badetag", None, missing),
    ] {
        assert_eq!(
            judge(name, value, current),
            outcome,
            "{name}: {value} on {current:?}"
        );
    }
    assert!(WriteConditions::default().is_empty());
}

#[test]
fn deletions_are_bound_to_time_and_size_too() {
    let read =
        |headers: &[(&str, &str)]| DeleteConditions::from_head(&head("DELETE", "/b/k", headers));
    assert!(read(&[]).unwrap().is_empty());
    let conditions = read(&[
        ("if-match", "\"e\""),
        (
            "x-amz-if-match-last-modified-time",
            "Thu, 01 Jan 1970 00:00:05 GMT",
        ),
        ("x-amz-if-match-size", "0"),
    ])
    .unwrap();
    assert_eq!(
        conditions.etags.if_match,
        Some(EtagMatch::OneOf(vec!["e".into()]))
    );
    assert_eq!(conditions.modified, Some(Timestamp::from_millis(5_000)));
    assert_eq!(conditions.size, Some(0));
    assert!(!conditions.is_empty());
    for (name, value) in [
        ("x-amz-if-match-last-modified-time", "yesterday"),
        ("x-amz-if-match-last-modified-time", ""),
        ("x-amz-if-match-size", "-1"),
        ("x-amz-if-match-size", "+1"),
        ("x-amz-if-match-size", ""),
    ] {
        let refused = read(&[(name, value)]).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{name}: {value}");
        assert_eq!(refused.field("ArgumentName"), Some(name));
    }
}
