//! `POST /bucket?delete`

use bytes::Bytes;
use cairn_model::limits;
use cairn_s3::api::Response;
use cairn_s3::api::delete_objects::{
    DeleteObjects, DeleteObjectsOutput, Deleted, Deletion, ObjectToDelete,
};
use cairn_s3::upload::Document;
use cairn_s3::{Code, S3Error};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::Refusal;
use cairn_wire::metadata::entry::Command;
use prost::Message;

use super::attributes;
use super::get_object::check_version;
use crate::error;
use crate::pipeline::Call;

/// Bytes of items in one entry.
const ENTRY_BYTES: usize = (limits::ENTRY_LEN_MAX - 8 * limits::KIB) as usize;

pub(super) async fn delete(call: &Call, document: Document) -> Result<Response, S3Error> {
    let input = DeleteObjects::from_document(document)?;
    let mut results: Vec<Deletion> = Vec::with_capacity(input.objects.len());
    let mut asked: Vec<(usize, wire::DeleteItem)> = Vec::new();
    for object in input.objects {
        let item = item(&object);
        if let Ok(item) = &item {
            asked.push((results.len(), item.clone()));
        }
        results.push(Deletion {
            key: object.key,
            version_id: object.version_id,
            outcome: item.map(|_| Deleted::default()),
        });
    }
    let session = call.enter().await?;
    for batch in batches(asked) {
        let (places, items): (Vec<usize>, Vec<wire::DeleteItem>) = batch.into_iter().unzip();
        let bucket = call.bucket()?.id;
        let command = Command::DeleteObjects(wire::DeleteObjects { bucket, items });
        let reply = session.propose(command).await.map_err(error::of_commit);
        for (at, place) in places.into_iter().enumerate() {
            if let Some(result) = results.get_mut(place) {
                result.outcome = match &reply {
                    Ok(reply) => outcome(reply.deleted.get(at)).map(|()| Deleted::default()),
                    Err(error) => Err(error.clone()),
                };
            }
        }
    }
    let quiet = input.quiet;
    Ok(DeleteObjectsOutput { results, quiet }.into_response())
}

fn item(object: &ObjectToDelete) -> Result<wire::DeleteItem, S3Error> {
    let key = object.checked.clone()?;
    check_version(object.version_id.as_deref())?;
    Ok(wire::DeleteItem {
        key: Bytes::from(key.into_string()),
        conditions: attributes::delete_conditions(&object.conditions),
    })
}

/// Cuts items so that each batch fits an entry. One item alone always fits: its ETags come from a
/// bounded document, and one too long is refused by the metadata, not by us.
fn batches(items: Vec<(usize, wire::DeleteItem)>) -> Vec<Vec<(usize, wire::DeleteItem)>> {
    let mut batches = Vec::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for item in items {
        let length = item.1.encoded_len() + 6;
        let full = batch.len() == limits::DELETE_KEYS_PER_ENTRY || bytes + length > ENTRY_BYTES;
        if full && !batch.is_empty() {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += length;
        batch.push(item);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// What became of one key. One that was not there is deleted, as S3 has it, whatever the
/// conditions.
pub(super) fn outcome(row: Option<&wire::DeleteOutcome>) -> Result<(), S3Error> {
    let row = row.ok_or_else(|| S3Error::new(Code::InternalError))?;
    match Refusal::try_from(row.refusal) {
        Ok(Refusal::None | Refusal::NoSuchKey) => Ok(()),
        Ok(refusal) => Err(error::of_refusal(refusal, "a delete")),
        Err(_) => Err(S3Error::new(Code::InternalError)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_fit_their_entries_and_keep_every_key(
            keys in proptest::collection::vec((1_usize..=1_024, 0_usize..3_000), 0..300),
        ) {
            let item = |(key, tag): &(usize, usize)| wire::DeleteItem {
                key: vec![b'k'; *key].into(),
                conditions: Some(wire::Conditions {
                    if_match: vec!["t".repeat(*tag)],
                    ..Default::default()
                }),
            };
            let items: Vec<_> = keys.iter().map(item).enumerate().collect();
            let batches = batches(items.clone());
            for batch in &batches {
                prop_assert!(!batch.is_empty() && batch.len() <= limits::DELETE_KEYS_PER_ENTRY);
                let items = batch.iter().map(|(_, item)| item.clone()).collect();
                let entry = wire::Entry {
                    command: Some(Command::DeleteObjects(wire::DeleteObjects { bucket: u64::MAX, items })),
                    ..Default::default()
                };
                prop_assert!((entry.encoded_len() as u64) + 64 < limits::ENTRY_LEN_MAX);
            }
            prop_assert_eq!(batches.concat(), items);
        }
    }
}
