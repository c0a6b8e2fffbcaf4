//! What the three listings of keys share.

use bytes::Bytes;
use cairn_s3::api::{Entry, ListRequest, Owner};
use cairn_s3::digest::Algorithm;
use cairn_s3::{Code, S3Error, Timestamp};
use cairn_wire::metadata as wire;

use super::attributes;
use crate::error;
use crate::pipeline::Call;

/// A page of keys.
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    pub(super) common_prefixes: Vec<String>,
    /// The last key or common prefix given, where there is more behind it.
    pub(super) next: Option<String>,
}

/// Reads the page behind `after`.
pub(super) async fn page(
    call: &Call,
    request: &ListRequest,
    after: &str,
    owner: Option<&Owner>,
) -> Result<Page, S3Error> {
    if request.max_keys == 0 {
        return Ok(Page {
            entries: Vec::new(),
            common_prefixes: Vec::new(),
            next: None,
        });
    }
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let query = wire::ListObjects {
        bucket: call.bucket()?.id,
        prefix: bytes(&request.prefix),
        delimiter: bytes(request.delimiter.as_deref().unwrap_or("")),
        after: bytes(after),
        limit: request.max_keys,
    };
    let answer = call
        .gateway
        .path
        .metadata
        .objects(query)
        .await
        .map_err(error::of_query)?;
    let entries = answer
        .objects
        .into_iter()
        .map(|row| entry(row, owner))
        .collect::<Result<_, _>>()?;
    Ok(Page {
        entries,
        common_prefixes: answer
            .common_prefixes
            .into_iter()
            .map(text)
            .collect::<Result<_, _>>()?,
        next: answer
            .truncated
            .then(|| text(answer.next_after))
            .transpose()?,
    })
}

/// Keys are UTF-8: nothing else is let in.
pub(super) fn text(bytes: Bytes) -> Result<String, S3Error> {
    String::from_utf8(bytes.into()).map_err(|_| S3Error::new(Code::InternalError))
}

fn entry(row: wire::ListedObject, owner: Option<&Owner>) -> Result<Entry, S3Error> {
    let algorithm = row
        .checksum_algorithms
        .first()
        .and_then(|name| Algorithm::from_name(name));
    let storage_class = match row.storage_class.as_str() {
        "" => "STANDARD".to_owned(),
        _ => row.storage_class,
    };
    Ok(Entry {
        key: text(row.key)?,
        last_modified: Timestamp::from_millis(row.modified_ms),
        etag: row.etag,
        size: row.length,
        checksum: algorithm.map(|algorithm| (algorithm, attributes::kind(row.checksum_composite))),
        storage_class,
        owner: owner.cloned(),
    })
}

/// The bucket's owner as listings show it.
pub(super) async fn owner(call: &Call) -> Result<Owner, S3Error> {
    let id = call.bucket()?.owner.clone();
    if id == call.user.id {
        let display_name = call.user.display_name.clone();
        return Ok(Owner { id, display_name });
    }
    let users = call.gateway.path.metadata.users(wire::ListUsers {}).await;
    let users = users.map_err(error::of_query)?.users;
    let found = users.into_iter().find(|user| user.id == id);
    let display_name = found.map_or_else(|| id.clone(), |user| user.display_name);
    Ok(Owner { id, display_name })
}
