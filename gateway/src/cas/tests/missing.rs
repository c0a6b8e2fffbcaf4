use cairn_model::limits;
use serde_json::json;

use super::*;
use crate::cas::EMPTY;
use crate::fakes::Fault;

async fn ask(site: &Site, name: &str, hashes: &[Sha256]) -> Got {
    let hashes: Vec<String> = hashes.iter().map(Sha256::to_string).collect();
    let document = json!({ "chunks": hashes }).to_string();
    site.call_as(name, Method::POST, "/cas/missing", &[], document)
        .await
}

fn missing(got: &Got) -> Vec<Sha256> {
    assert_eq!(got.status, 200, "{}", got.text());
    let named = body(got)["missing"].as_array().unwrap().clone();
    named
        .iter()
        .map(|hash| Sha256::from_hex(hash.as_str().unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn what_is_missing_is_named_once_in_order_and_the_rest_is_leased() {
    let site = Site::new(2, 1);
    let (there, _) = put(&site, &pattern(5_000)).await;
    let (also, _) = put(&site, &pattern(70_000)).await;
    let before = [leased(&site, there), leased(&site, also)];
    let (b, a) = (Sha256([0xbb; 32]), Sha256([0xaa; 32]));
    let got = ask(&site, "alice", &[b, there, a, EMPTY, b, there]).await;
    assert_eq!(missing(&got), [b, a]);
    assert!(
        leased(&site, there) > before[0],
        "renewed before the answer"
    );
    assert_eq!(leased(&site, also), before[1], "not asked for");
    assert_eq!(leased(&site, a), None);
    let upper = json!({ "chunks": [a.to_string().to_uppercase()] }).to_string();
    let got = site.call(Method::POST, "/cas/missing", upper).await;
    assert_eq!(missing(&got), [a]);
    assert!(missing(&ask(&site, "alice", &[]).await).is_empty());
}

#[tokio::test]
async fn a_suspect_or_condemned_chunk_is_missing() {
    let site = Site::new(2, 1);
    let (suspect, _) = put(&site, &pattern(5_000)).await;
    let (condemned, _) = put(&site, &pattern(6_000)).await;
    let (weak, _) = put(&site, &pattern(7_000)).await;
    let (bare, _) = put(&site, &pattern(8_000)).await;
    let domain = domain(&site, "alicekey").0;
    spoil(&site, suspect);
    site.metadata.edit(|state| {
        let key = |hash: Sha256| (domain, hash.0.to_vec().into());
        state.chunks().get_mut(&key(condemned)).unwrap().live = false;
        let debt = cairn_wire::metadata::Debt::default();
        state.chunks().get_mut(&key(weak)).unwrap().debt = vec![debt];
        let coding = state.chunks().get_mut(&key(bare)).unwrap().coding.as_mut();
        coding.unwrap().parity = 0;
    });
    let all = [suspect, condemned, weak, bare];
    assert_eq!(missing(&ask(&site, "alice", &all).await), all);
}

#[tokio::test]
async fn one_that_goes_before_the_entry_is_missing() {
    let site = Site::new(2, 1);
    let (there, _) = put(&site, &pattern(5_000)).await;
    site.metadata.edit(|state| state.refuse_next_lease());
    assert_eq!(missing(&ask(&site, "alice", &[there]).await), [there]);
}

#[tokio::test]
async fn no_answer_comes_before_the_lease_is_committed() {
    let site = Site::new(2, 1);
    let (there, _) = put(&site, &pattern(5_000)).await;
    let refused = Fault::Refuse(cairn_wire::metadata::Refusal::SessionEnded);
    site.metadata.fault(refused);
    let got = ask(&site, "alice", &[there]).await;
    assert_eq!(refusal(&got), (503, "ServiceUnavailable".to_owned()));
}

#[tokio::test]
async fn nobody_learns_of_anothers_chunks() {
    let site = Site::new(2, 1);
    let bytes = pattern(5_000);
    let (named, _) = put(&site, &bytes).await;
    assert_eq!(missing(&ask(&site, "bob", &[named]).await), [named]);
    for method in [Method::GET, Method::HEAD] {
        let got = site.call_as("bob", method, &path(named), &[], "").await;
        assert_eq!(got.status, 404);
    }
    let root = site
        .call_as("root", Method::GET, &path(named), &[], "")
        .await;
    assert_eq!(root.status, 404, "root has a domain of its own");
    let theirs = site
        .call_as("bob", Method::PUT, &path(named), &[], bytes.clone())
        .await;
    assert_eq!(theirs.status, 201, "stored again, not adopted");
    let got = site
        .call_as("bob", Method::GET, &path(named), &[], "")
        .await;
    assert_eq!(got.body, bytes);
    assert_eq!(rows(&site), [(named, 1)], "alice's is as it was");
}

#[tokio::test]
async fn what_is_no_list_or_too_long_a_list_is_refused() {
    let site = Site::new(1, 0);
    let post = async |document: String| site.call(Method::POST, "/cas/missing", document).await;
    for document in [
        "",
        "{}",
        r#"["aa"]"#,
        r#"{"chunks":["aa"]}"#,
        r#"{"chunks":[],"x":1}"#,
    ] {
        let got = post(document.to_owned()).await;
        assert_eq!(
            refusal(&got),
            (400, "InvalidArgument".to_owned()),
            "{document}"
        );
    }
    let many = vec![Sha256([1; 32]).to_string(); limits::CAS_MISSING_MAX + 1];
    let got = post(json!({ "chunks": many }).to_string()).await;
    assert_eq!(refusal(&got).0, 400);
    let long = " ".repeat(usize::try_from(limits::CAS_MISSING_LEN_MAX).unwrap() + 1);
    assert_eq!(
        refusal(&post(long.clone()).await),
        (413, "EntityTooLarge".to_owned())
    );
    let signed = site
        .signer("alice")
        .sign(&Method::POST, "/cas/missing", &[], long.as_bytes());
    let got = site.stream(signed, vec![long.into()]).await;
    assert_eq!(refusal(&got).0, 413, "nor in chunked transfer");
}

#[tokio::test]
async fn a_thousand_are_leased_in_entries_of_bounded_size() {
    let site = Site::new(1, 0);
    let (one, _) = put(&site, &pattern(5_000)).await;
    let domain = domain(&site, "alicekey").0;
    let names: Vec<Sha256> = (0..1_000_u32).map(|n| hash(&n.to_be_bytes())).collect();
    site.metadata.edit(|state| {
        let row = state.chunks()[&(domain, one.0.to_vec().into())].clone();
        for name in &names {
            let sha256 = bytes::Bytes::copy_from_slice(&name.0);
            let row = cairn_wire::metadata::Chunk {
                sha256: sha256.clone(),
                ..row.clone()
            };
            state.chunks().insert((domain, sha256), row);
        }
    });
    assert!(missing(&ask(&site, "alice", &names).await).is_empty());
    let sizes: Vec<usize> = site
        .metadata
        .log()
        .iter()
        .filter_map(|command| match command {
            cairn_wire::metadata::entry::Command::PutLeases(put) => Some(put.chunks.len()),
            _ => None,
        })
        .collect();
    assert_eq!(
        sizes,
        [
            1,
            limits::LEASES_PER_ENTRY,
            1_000 - limits::LEASES_PER_ENTRY
        ]
    );
    assert!(names.iter().all(|name| leased(&site, *name).is_some()));
}
