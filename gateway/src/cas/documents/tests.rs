use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn status<T: std::fmt::Debug>(read: Result<T, Refused>) -> u16 {
    read.unwrap_err().status().as_u16()
}

fn object(value: &Value) -> Result<ObjectQuery, Refused> {
    ObjectQuery::parse(value.to_string().as_bytes())
}

fn hex(byte: u8) -> String {
    Sha256([byte; 32]).to_string()
}

proptest! {
    #[test]
    fn hashes_come_back_in_either_case(digests in vec(any::<[u8; 32]>(), 0..40), upper: bool) {
        let text = |digest: &[u8; 32]| match upper {
            true => Sha256(*digest).to_string().to_uppercase(),
            false => Sha256(*digest).to_string(),
        };
        let document = json!({ "chunks": digests.iter().map(text).collect::<Vec<_>>() });
        let read = MissingQuery::parse(document.to_string().as_bytes()).unwrap();
        let expected: Vec<Sha256> = digests.into_iter().map(Sha256).collect();
        prop_assert_eq!(read.chunks, expected);
    }

    #[test]
    fn nonsense_is_400_and_never_panics(bytes in vec(any::<u8>(), 0..80)) {
        if let Err(refused) = MissingQuery::parse(&bytes) {
            prop_assert_eq!(refused.status().as_u16(), 400);
        }
        if let Err(refused) = ObjectQuery::parse(&bytes) {
            prop_assert_eq!(refused.status().as_u16(), 400);
        }
        if let Err(refused) = TokenQuery::parse(&bytes) {
            prop_assert_eq!(refused.status().as_u16(), 400);
        }
    }

    #[test]
    fn a_document_that_was_cut_or_changed_is_no_other(cut in 0_usize..300, with: u8) {
        let whole = json!({
            "chunks": [{ "sha256": hex(1), "length": 10 }, { "sha256": hex(2), "length": 20 }],
            "content_type": "text/plain", "metadata": { "a": "b" },
        });
        let text = whole.to_string();
        let cut = cut % text.len();
        prop_assert!(ObjectQuery::parse(&text.as_bytes()[..cut]).is_err());
        let mut changed = text.clone().into_bytes();
        changed[cut] = with;
        let _any = ObjectQuery::parse(&changed);
    }

    #[test]
    fn objects_come_back(
        pieces in vec((any::<[u8; 32]>(), 1..=limits::CHUNK_LEN_MAX), 0..20),
        content_type in proptest::option::of("[!-~][ -~]{0,20}[!-~]"),
        metadata in proptest::collection::btree_map("[a-z0-9-]{1,9}", "[!-~]([ -~é]{0,20}[!-~])?", 0..9),
    ) {
        let chunks: Vec<Value> = pieces
            .iter()
            .map(|(digest, length)| json!({ "sha256": Sha256(*digest).to_string(), "length": length }))
            .collect();
        let read = object(&json!({ "chunks": chunks, "content_type": content_type, "metadata": metadata })).unwrap();
        let expected: Vec<(Sha256, u32)> = pieces
            .into_iter()
            .map(|(digest, length)| (Sha256(digest), u32::try_from(length).unwrap()))
            .collect();
        prop_assert_eq!(read.chunks, expected);
        prop_assert_eq!(read.headers.content_type, content_type);
        prop_assert_eq!(read.headers.metadata, metadata.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn what_is_not_known_is_refused() {
    for document in [
        "",
        "[]",
        "{}",
        "[[]]",
        r#"{"chunks":null}"#,
        r#"{"chunks":["aa"]}"#,
        r#"{"chunks":[1]}"#,
        r#"{"chunks":[],"chunks":[]}"#,
        r#"{"chunks":[],"more":1}"#,
        r#"{"chunks":[]} {}"#,
    ] {
        assert_eq!(
            status(MissingQuery::parse(document.as_bytes())),
            400,
            "{document}"
        );
    }
    let piece = |more: Value| {
        let mut piece = json!({ "sha256": hex(1), "length": 5 });
        piece
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "chunks": [piece] })
    };
    assert!(object(&piece(json!({}))).is_ok());
    for value in [
        json!({}),
        json!([[]]),
        json!({ "chunks": [hex(1)] }),
        json!({ "chunks": [[hex(1), 5]] }),
        json!({ "chunks": [{ "sha256": hex(1) }] }),
        json!({ "chunks": [{ "length": 5 }] }),
        piece(json!({ "offset": 0 })),
        piece(json!({ "length": -1 })),
        piece(json!({ "length": 5.5 })),
        piece(json!({ "length": "5" })),
        piece(json!({ "length": 0 })),
        piece(json!({ "length": limits::CHUNK_LEN_MAX + 1 })),
        piece(json!({ "length": u64::MAX })),
        piece(json!({ "sha256": EMPTY.to_string() })),
        json!({ "chunks": [], "tags": {} }),
        json!({ "chunks": [], "metadata": [] }),
        json!({ "chunks": [], "metadata": { "a": 1 } }),
    ] {
        assert_eq!(status(object(&value)), 400, "{value}");
    }
}

#[test]
fn the_empty_chunk_adds_nothing() {
    let empty = json!({ "sha256": EMPTY.to_string(), "length": 0 });
    let read =
        object(&json!({ "chunks": [empty, { "sha256": hex(1), "length": 5 }, empty] })).unwrap();
    assert_eq!(read.chunks, [(Sha256([1; 32]), 5)]);
    assert!(object(&json!({ "chunks": [] })).unwrap().chunks.is_empty());
}

#[test]
fn counts_are_bounded_and_what_is_allowed_fits_its_document() {
    let hashes = |count: usize| json!({ "chunks": vec![hex(1); count] }).to_string();
    let most = hashes(limits::CAS_MISSING_MAX);
    assert!(most.len() as u64 <= limits::CAS_MISSING_LEN_MAX);
    assert!(MissingQuery::parse(most.as_bytes()).is_ok());
    assert_eq!(
        status(MissingQuery::parse(
            hashes(limits::CAS_MISSING_MAX + 1).as_bytes()
        )),
        400
    );
    let piece = json!({ "sha256": hex(1), "length": limits::CHUNK_LEN_MAX });
    let pieces = |count: usize| json!({ "chunks": vec![piece.clone(); count] }).to_string();
    let most = pieces(limits::CAS_OBJECT_CHUNKS_MAX);
    assert!(most.len() as u64 <= limits::CAS_OBJECT_LEN_MAX);
    assert!(ObjectQuery::parse(most.as_bytes()).is_ok());
    assert_eq!(
        status(ObjectQuery::parse(
            pieces(limits::CAS_OBJECT_CHUNKS_MAX + 1).as_bytes()
        )),
        400
    );
}

#[test]
fn metadata_is_what_headers_could_have_said() {
    let with = |metadata: Value| object(&json!({ "chunks": [], "metadata": metadata }));
    let read = with(json!({ "B": "2", "a": "" })).unwrap().headers.metadata;
    assert_eq!(
        read,
        [
            ("a".to_owned(), String::new()),
            ("b".to_owned(), "2".to_owned())
        ]
    );
    for metadata in [
        json!({ "": "x" }),
        json!({ "a b": "x" }),
        json!({ "é": "x" }),
        json!({ "a": "line\nfeed" }),
        json!({ "a": "nul\u{0}" }),
        json!({ "a": " x" }),
        json!({ "a": "1", "A": "2" }),
        json!({ "a": "x".repeat(limits::USER_METADATA_MAX) }),
        json!(
            (0..=METADATA_MAX)
                .map(|n| (n.to_string(), "x"))
                .collect::<std::collections::BTreeMap<_, _>>()
        ),
    ] {
        assert_eq!(status(with(metadata.clone())), 400, "{metadata}");
    }
    let twice = r#"{"chunks":[],"metadata":{"a":"1","a":"2"}}"#;
    assert_eq!(status(ObjectQuery::parse(twice.as_bytes())), 400);
    for content_type in ["", "a\r\nb", " text"] {
        let refused = object(&json!({ "chunks": [], "content_type": content_type }));
        assert_eq!(status(refused), 400, "{content_type:?}");
    }
}

#[test]
fn a_token_lives_a_day_unless_the_request_says_less_or_up_to_a_week() {
    let life =
        |document: &str| TokenQuery::parse(document.as_bytes()).map(|query| query.expires_in);
    assert_eq!(life("").unwrap(), limits::TOKEN_SECS_DEFAULT);
    assert_eq!(life("{}").unwrap(), limits::TOKEN_SECS_DEFAULT);
    assert_eq!(life(r#"{"expires_in":60}"#).unwrap(), 60);
    assert_eq!(life(r#"{"expires_in":604800}"#).unwrap(), 604_800);
    for document in [
        r#"{"expires_in":0}"#,
        r#"{"expires_in":604801}"#,
        r#"{"expires_in":-5}"#,
        r#"{"expires":60}"#,
        "60",
        "[]",
        "[60]",
    ] {
        assert_eq!(status(life(document)), 400, "{document}");
    }
}
