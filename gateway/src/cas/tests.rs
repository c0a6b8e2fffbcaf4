//! The chunk API over the fakes.

mod access;
mod chunks;
mod missing;
mod objects;

use cairn_model::{DomainId, Sha256};
use http::Method;
use serde_json::Value;
use sha2::Digest as _;

use crate::fakes::{Got, Site, pattern};

const UNSIGNED: (&str, &str) = ("x-amz-content-sha256", "UNSIGNED-PAYLOAD");

fn hash(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

fn path(hash: Sha256) -> String {
    format!("/cas/chunks/{hash}")
}

/// Puts a chunk as alice; gives its hash.
async fn put(site: &Site, bytes: &[u8]) -> (Sha256, Got) {
    let hash = hash(bytes);
    let got = site.call(Method::PUT, &path(hash), bytes.to_vec()).await;
    (hash, got)
}

fn body(got: &Got) -> Value {
    serde_json::from_slice(&got.body).unwrap_or_else(|error| panic!("{error}: {got:?}"))
}

/// Status and error code.
fn refusal(got: &Got) -> (u16, String) {
    let code = body(got)["error"]["code"].as_str().unwrap().to_owned();
    assert!(body(got)["error"]["message"].is_string());
    assert!(body(got)["error"]["details"].is_object());
    (got.status.as_u16(), code)
}

/// Alice's chunk rows.
fn rows(site: &Site) -> Vec<(Sha256, u64)> {
    let domain = domain(site, "alicekey");
    site.metadata.edit(|state| {
        let rows = state.chunks().iter();
        rows.filter(|((of, _), _)| *of == domain.0)
            .map(|((_, hash), row)| (Sha256(hash.as_ref().try_into().unwrap()), row.refs))
            .collect()
    })
}

fn domain(site: &Site, access_key: &str) -> DomainId {
    site.metadata
        .edit(|state| DomainId(state.users()[access_key].domain))
}

/// When alice's lease of a chunk was last renewed.
fn leased(site: &Site, hash: Sha256) -> Option<u64> {
    let key = (domain(site, "alicekey").0, hash.0.to_vec().into());
    site.metadata
        .edit(|state| state.leases().get(&key).copied())
}

/// Marks alice's chunk suspect.
fn spoil(site: &Site, hash: Sha256) {
    let key = (domain(site, "alicekey").0, hash.0.to_vec().into());
    site.metadata
        .edit(|state| state.chunks().get_mut(&key).unwrap().suspect = true);
}

/// Shards that were sealed, of anyone.
fn shards(site: &Site) -> usize {
    site.disks.sealed().len()
}
