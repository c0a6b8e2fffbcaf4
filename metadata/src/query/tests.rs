//! Listing against a plain model, and the small answers.

use std::collections::BTreeSet;

use bytes::Bytes;
use cairn_wire::metadata::{FindObject, GetObject, ListObjects, ListUploads};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::apply::tests::{State, create_bucket, put_inline};

fn list(state: &State, query: ListObjects) -> cairn_wire::metadata::ListAnswer {
    match answer(
        state,
        Query {
            query: Some(Asked::ListObjects(query)),
        },
    )
    .unwrap()
    .answer
    {
        Some(Kind::List(page)) => page,
        other => panic!("{other:?}"),
    }
}

/// What a listing should hold, from a plain set of keys.
fn model(keys: &BTreeSet<String>, prefix: &str, delimiter: &str) -> Vec<String> {
    let mut items = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix)) {
        let rest = &key[prefix.len()..];
        let item = match rest.find(delimiter).filter(|_| !delimiter.is_empty()) {
            Some(at) => key[..prefix.len() + at + delimiter.len()].to_owned(),
            None => key.clone(),
        };
        if items.last() != Some(&item) {
            items.push(item);
        }
    }
    items
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn pages_add_up_to_the_model(
        keys in proptest::collection::btree_set("[ab/\u{0}é]{1,5}", 0..20),
        prefix in "[ab/]{0,2}", delimiter in prop_oneof![Just(""), Just("/"), Just("ab"), Just("\u{0}")],
        limit in 1_u32..5,
    ) {
        let mut state = State::with_bucket();
        state.done(create_bucket("other", "alice"));
        for key in &keys {
            state.done(put_inline(key, b"x"));
        }
        let mut after = Bytes::new();
        let mut seen = Vec::new();
        loop {
            let page = list(&state, ListObjects {
                bucket: 1,
                prefix: prefix.clone().into(),
                delimiter: delimiter.into(),
                after: after.clone(),
                limit,
            });
            let mut items: Vec<Bytes> = page.objects.iter().map(|object| object.key.clone()).collect();
            items.extend(page.common_prefixes);
            items.sort();
            prop_assert!(items.len() <= limit as usize);
            prop_assert_eq!(page.next_after.clone(), items.last().cloned().unwrap_or_default());
            seen.extend(items.iter().map(|item| String::from_utf8(item.to_vec()).unwrap()));
            if !page.truncated {
                break;
            }
            after = page.next_after;
        }
        prop_assert_eq!(seen, model(&keys, &prefix, delimiter));
    }

    #[test]
    fn a_start_anywhere_gives_what_comes_after(
        keys in proptest::collection::btree_set("[ab/]{1,4}", 0..20), after in "[ab/]{1,4}",
    ) {
        let mut state = State::with_bucket();
        for key in &keys {
            state.done(put_inline(key, b"x"));
        }
        let page = list(&state, ListObjects { bucket: 1, after: after.clone().into(), limit: 1_000, ..ListObjects::default() });
        let got: Vec<String> = page.objects.iter().map(|o| String::from_utf8(o.key.to_vec()).unwrap()).collect();
        let expected: Vec<String> = keys.iter().filter(|key| **key > after).cloned().collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn queries_never_panic(bucket: u64, a in vec(any::<u8>(), 0..40), b in vec(any::<u8>(), 0..20), limit: u32) {
        let state = State::with_bucket();
        let (a, b) = (Bytes::from(a), Bytes::from(b));
        let asked = [
            Asked::GetObject(GetObject { bucket, key: a.clone() }),
            Asked::FindObject(FindObject { bucket: "bucket".to_owned(), key: a.clone(), chunks: limit }),
            Asked::ListObjects(ListObjects { bucket, prefix: a.clone(), delimiter: b.clone(), after: a.clone(), limit }),
            Asked::ListUploads(ListUploads {
                bucket, prefix: b.clone(), delimiter: a.clone(), after_key: a.clone(), after_upload: b, limit,
            }),
            Asked::GetPages(cairn_wire::metadata::GetPages { manifest: a, from: u32::MAX, count: limit }),
        ];
        for query in asked {
            let _any = answer(&state, Query { query: Some(query) });
        }
    }
}

#[test]
fn an_object_is_found_with_its_bucket_and_a_few_chunks() {
    let mut state = State::with_bucket();
    state.done(put_inline("inline", b"x"));
    let session = state.begin();
    let put = state.put(session, "chunks", &[7, 8, 7]);
    assert_eq!(state.run_as(session, 1, put).refusal, 0);
    let find = |bucket: &str, key: &str, chunks: u32| {
        let query = Asked::FindObject(FindObject {
            bucket: bucket.to_owned(),
            key: Bytes::copy_from_slice(key.as_bytes()),
            chunks,
        });
        let found = answer(&state, Query { query: Some(query) }).unwrap();
        let Some(Kind::Found(found)) = found.answer else {
            panic!("{found:?}");
        };
        let rows = found.chunks.iter().map(|chunk| chunk.sha256[0]).collect();
        let rows: Vec<u8> = rows;
        (found.bucket.is_some(), found.object.is_some(), rows)
    };
    assert_eq!(find("no-such", "inline", 9), (false, false, vec![]));
    assert_eq!(find("photos", "no-such", 9), (true, false, vec![]));
    assert_eq!(find("photos", "inline", 9), (true, true, vec![]));
    assert_eq!(find("photos", "chunks", 0), (true, true, vec![]));
    assert_eq!(
        find("photos", "chunks", 2),
        (true, true, vec![]),
        "too many"
    );
    assert_eq!(find("photos", "chunks", 3), (true, true, vec![7, 8, 7]));
}

/// More keys in a group than are passed over one by one, before, between and after other keys.
#[test]
fn long_groups_are_skipped_and_short_ones_passed_over() {
    let mut state = State::with_bucket();
    let mut keys = BTreeSet::new();
    for group in ["a/", "b/", "d/", "e/"] {
        let members = if group < "c" { 40 } else { 3 };
        keys.extend((0..members).map(|n| format!("{group}{n:02}")));
    }
    keys.extend(["aa", "b", "c", "f"].map(str::to_owned));
    for key in &keys {
        state.done(put_inline(key, b"x"));
    }
    let mut seen = Vec::new();
    for limit in [1, 2, 3, 1_000] {
        let (mut after, mut all) = (Bytes::new(), Vec::new());
        loop {
            let query = ListObjects {
                bucket: 1,
                delimiter: "/".into(),
                after,
                limit,
                ..ListObjects::default()
            };
            let page = list(&state, query);
            let mut items: Vec<Bytes> = page.objects.into_iter().map(|object| object.key).collect();
            items.extend(page.common_prefixes);
            items.sort();
            all.extend(items);
            after = page.next_after;
            if !page.truncated {
                break;
            }
        }
        seen.push(all);
    }
    let expected = model(&keys, "", "/");
    assert_eq!(expected, ["a/", "aa", "b", "b/", "c", "d/", "e/", "f"]);
    for all in seen {
        assert_eq!(all, expected);
    }
}

#[test]
fn a_listing_of_nothing_is_empty_and_a_limit_of_zero_too() {
    let mut state = State::with_bucket();
    let all = ListObjects {
        bucket: 1,
        limit: 10,
        ..ListObjects::default()
    };
    assert_eq!(list(&state, all.clone()), Default::default());
    state.done(put_inline("a", b"x"));
    assert_eq!(
        list(
            &state,
            ListObjects {
                limit: 0,
                ..all.clone()
            }
        ),
        Default::default()
    );
    assert_eq!(
        list(&state, ListObjects { bucket: 2, ..all }),
        Default::default()
    );
}

#[test]
fn an_unknown_query_is_refused() {
    let state = State::with_bucket();
    assert!(matches!(
        answer(&state, Query { query: None }),
        Err(QueryError::Malformed(_))
    ));
}
