//! Inputs, in [`inputs`]; outputs, in [`outputs`]; copies and attributes, in [`copies`]; what
//! listings share, here.

mod copies;
mod inputs;
mod outputs;

use proptest::prelude::*;

use super::*;
use crate::dates::Timestamp;
use crate::digest::{Algorithm, ChecksumType};
use crate::error::Code;

fn body(response: &Response) -> &str {
    let text = std::str::from_utf8(response.body()).unwrap();
    text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
        .unwrap_or(text)
}

fn owner() -> Owner {
    Owner {
        id: "id1".into(),
        display_name: "A & B".into(),
    }
}

/// 2009-10-12T17:50:30.123Z
const AT: Timestamp = Timestamp::from_test_millis(1_255_369_830_123);

fn entry(key: &str) -> Entry {
    Entry {
        key: key.into(),
        last_modified: AT,
        etag: "abc".into(),
        size: 5,
        checksum: Some((Algorithm::Crc64Nvme, ChecksumType::FullObject)),
        storage_class: "STANDARD".into(),
        owner: None,
    }
}

#[test]
fn a_token_is_opaque_and_checked() {
    let token = ContinuationToken::after("dir/\r\u{1}é");
    let text = token.to_text();
    assert!(
        !text.contains("dir")
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    );
    assert_eq!(
        ContinuationToken::parse(&text).unwrap().last(),
        "dir/\r\u{1}é"
    );
    let other = ContinuationToken::after("x").to_text();
    let mixed = format!("{}{}", &other[..4], &text[4..]);
    for text in [
        "",
        "x",
        "????",
        "AQ",
        &mixed,
        &format!("{text}A"),
        &text[..text.len() - 2],
    ] {
        let error = ContinuationToken::parse(text).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{text}");
        assert_eq!(error.field("ArgumentName"), Some("continuation-token"));
    }
}

proptest! {
    #[test]
    fn any_position_comes_back(last in "[^\0]{0,80}") {
        let text = ContinuationToken::after(last.clone()).to_text();
        let token = ContinuationToken::parse(&text).unwrap();
        prop_assert_eq!(token.last(), last);
    }

    #[test]
    fn reading_a_token_never_panics(text: String) {
        let _ = ContinuationToken::parse(&text);
    }
}
