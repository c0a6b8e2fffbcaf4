use bytes::Bytes;

use super::*;
use crate::simulated::content::{Body, Class, Content};

const ETAG_OF_OTHERS: &str = "00000000000000000000000000000000";

fn body() -> Body {
    Body::whole(Content {
        class: Class::Copies,
        number: 5,
    })
}

/// A history in which a body was sent under label 1, and its ETag.
fn history() -> (History, String) {
    let history = History::new();
    let form = history.forms(|forms| forms.of_one_piece(&body()));
    (history, form.etag.clone())
}

fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    Answer {
        status,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: Bytes::copy_from_slice(body),
    }
}

fn object(status: u16, label: &str, etag: &str, body: &[u8]) -> Answer {
    let etag = format!("\"{etag}\"");
    answer(
        status,
        &[("x-amz-meta-value", label), ("etag", &etag)],
        body,
    )
}

fn is_right(judged: Result<Option<Sight>, String>) -> bool {
    matches!(judged, Ok(Some(Sight::Present(like))) if like.label == Some(1))
}

#[test]
fn a_read_gives_the_bytes_of_its_etag_under_its_label() {
    let (history, etag) = history();
    let bytes = body().bytes();
    let get = |answer: Answer| judge(&history, &answer, Kind::Get, None);
    assert!(is_right(get(object(200, "1", &etag, &bytes))));
    let absent = answer(404, &[], b"<Error><Code>NoSuchKey</Code></Error>");
    assert_eq!(get(absent), Ok(Some(Sight::Absent)));
    let mut damaged = bytes.clone();
    damaged[7_000] ^= 1;
    for wrong in [
        object(200, "1", &etag, &damaged),
        object(200, "1", &etag, &bytes[..100]),
        object(200, "1", ETAG_OF_OTHERS, &bytes),
        object(200, "x", &etag, &bytes),
        answer(200, &[("etag", &etag)], &bytes),
        object(206, "1", &etag, &bytes),
        object(304, "1", &etag, b""),
        answer(403, &[], b""),
        answer(404, &[], b"<Error><Code>NoSuchBucket</Code></Error>"),
    ] {
        assert!(get(wrong.clone()).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_head_has_the_length_and_no_body() {
    let (history, etag) = history();
    let head = |length: usize| {
        let mut answer = object(200, "1", &etag, b"");
        let length = ("content-length".to_owned(), length.to_string());
        answer.headers.push(length);
        judge(&history, &answer, Kind::Head, None)
    };
    assert!(is_right(head(body().length())));
    assert!(head(0).is_err());
}

#[test]
fn what_is_known_is_not_sent_again() {
    let (history, etag) = history();
    let bytes = body().bytes();
    let get = |answer: Answer| judge(&history, &answer, Kind::GetIfNoneMatch, Some(&etag));
    let same = Ok(Some(Sight::Present(Like::etag(&etag))));
    assert_eq!(get(object(304, "1", &etag, b"")), same);
    assert!(get(object(304, "1", ETAG_OF_OTHERS, b"")).is_err());
    assert!(get(object(200, "1", &etag, &bytes)).is_err());
}

#[test]
fn ranges_are_cut_as_http_says() {
    assert_eq!(Range::FromTo(2, 5).of(10), Ok((2, 6)));
    assert_eq!(Range::FromTo(2, 50).of(10), Ok((2, 10)));
    assert_eq!(Range::FromTo(0, u64::MAX).of(10), Ok((0, 10)));
    assert_eq!(Range::From(9).of(10), Ok((9, 10)));
    assert_eq!(Range::Last(3).of(10), Ok((7, 10)));
    assert_eq!(Range::Last(30).of(10), Ok((0, 10)));
    assert_eq!(Range::Nonsense.of(10), Ok((0, 10)));
    for (range, size) in [
        (Range::From(10), 10),
        (Range::FromTo(10, 12), 10),
        (Range::Last(0), 10),
        (Range::From(0), 0),
        (Range::Last(5), 0),
    ] {
        assert_eq!(range.of(size), Err(()), "{range:?} of {size}");
    }
}

#[test]
fn a_range_is_the_right_slice() {
    let (history, etag) = history();
    let (bytes, size) = (body().bytes(), body().length() as u64);
    let get = |status, range: &str, body: &[u8], asked| {
        let mut answer = object(status, "1", &etag, body);
        answer.headers.push(("content-range".into(), range.into()));
        judge_range(&history, &answer, asked)
    };
    let asked = Range::FromTo(10, 19);
    let told = format!("bytes 10-19/{size}");
    assert!(is_right(get(206, &told, &bytes[10..20], asked)));
    assert!(get(206, &told, &bytes[11..21], asked).is_err());
    assert!(get(206, &told, &bytes[10..19], asked).is_err());
    assert!(get(206, "bytes 10-19/20", &bytes[10..20], asked).is_err());
    assert!(get(200, &told, &bytes, asked).is_err());
    assert!(is_right(get(200, "", &bytes, Range::Nonsense)));
    assert!(get(206, "", &bytes, Range::Nonsense).is_err());
    let beyond = get(416, "bytes */7", b"", asked);
    let small = Like {
        size: Some(7),
        ..Like::default()
    };
    assert_eq!(beyond, Ok(Some(Sight::Present(small))));
    assert!(get(416, "bytes */11", b"", asked).is_err());
    assert!(get(416, "", b"", asked).is_err());
}

#[test]
fn what_came_of_a_broken_body_is_right_as_far_as_it_goes() {
    let (history, etag) = history();
    let bytes = body().bytes();
    let head = |status| object(status, "1", &etag, b"");
    let got = |status, received: &[u8], range| broken(&history, &head(status), received, range);
    assert!(is_right(got(200, &bytes[..5_000], None)));
    assert!(is_right(got(200, b"", None)));
    assert!(got(200, &bytes[1..5_000], None).is_err());
    assert!(got(200, &[bytes.as_slice(), b"x"].concat(), None).is_err());
    let range = Some(Range::From(4_000));
    assert!(is_right(got(206, &bytes[4_000..4_100], range)));
    assert!(got(206, &bytes[4_001..4_100], range).is_err());
    // An error whose text broke off says nothing.
    assert_eq!(got(404, b"<Err", None), Ok(None));
}

#[test]
fn a_label_is_not_seen_with_other_bytes() {
    let (history, etag) = history();
    let other = Body::whole(Content {
        class: Class::Inline,
        number: 6,
    });
    let form = history.forms(|forms| forms.of_one_piece(&other));
    let get = |etag: &str, bytes: &[u8]| {
        let answer = object(200, "1", etag, bytes);
        judge(&history, &answer, Kind::Get, None)
    };
    assert!(is_right(get(&etag, &body().bytes())));
    assert!(get(&form.etag, &other.bytes()).is_err());
}
