//! Buckets.

use cairn_model::limits;
use cairn_wire::metadata::{Bucket, CreateBucket, DeleteBucket, ForgetBucket, Refusal, Reply};

use super::{Context, Stop, Transaction, malformed, refuse};
use crate::keyspace::Present;
use crate::keyspace::bucket::{BucketKey, BucketNameKey, BucketNameRow, DeadBucketKey};
use crate::keyspace::object::ObjectKey;
use crate::keyspace::upload::UploadKey;
use crate::keyspace::user::UserIdKey;

/// Makes a bucket in its owner's domain. An existing name is refused, with the owner in `detail`.
pub(super) fn create(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: CreateBucket,
) -> Result<Reply, Stop> {
    context.cluster()?;
    let (shortest, longest) = limits::BUCKET_NAME_LEN;
    if !(shortest..=longest).contains(&command.name.len()) {
        return malformed("bucket name");
    }
    let name = BucketNameKey(command.name.clone());
    if let Some(BucketNameRow { id }) = txn.get(&name)? {
        let owner = txn
            .get(&BucketKey(id))?
            .map(|bucket| bucket.owner)
            .unwrap_or_default();
        return Err(Stop::Refused(Refusal::BucketExists, owner));
    }
    let Some(owner) = txn.get(&UserIdKey(command.owner.clone()))? else {
        return refuse(Refusal::NoSuchUser);
    };
    txn.counters_mut().bucket += 1;
    let id = txn.counters().bucket;
    let bucket = Bucket {
        id,
        name: command.name,
        owner: command.owner,
        domain: owner.domain,
        created_ms: context.now_ms,
        location: command.location,
    };
    txn.put(&name, &BucketNameRow { id });
    txn.put(&BucketKey(id), &bucket);
    Ok(Reply {
        number: id,
        ..Reply::default()
    })
}

/// Removes an empty bucket. Its uploads vanish with it and are taken apart in the background.
pub(super) fn delete(txn: &mut Transaction<'_>, command: &DeleteBucket) -> Result<Reply, Stop> {
    let name = BucketNameKey(command.name.clone());
    let Some(BucketNameRow { id }) = txn.get(&name)? else {
        return refuse(Refusal::NoSuchBucket);
    };
    if !txn
        .scan::<ObjectKey>(&ObjectKey::keys_with(id, b""), 1)?
        .is_empty()
    {
        return refuse(Refusal::BucketNotEmpty);
    }
    if !txn
        .scan::<UploadKey>(&UploadKey::keys_with(id, b""), 1)?
        .is_empty()
    {
        txn.put(&DeadBucketKey(id), &Present {});
    }
    txn.delete(&name);
    txn.delete(&BucketKey(id));
    Ok(Reply::default())
}

/// Forgets a deleted bucket once its uploads are gone.
pub(super) fn forget(txn: &mut Transaction<'_>, command: &ForgetBucket) -> Result<Reply, Stop> {
    if !txn
        .scan::<UploadKey>(&UploadKey::keys_with(command.bucket, b""), 1)?
        .is_empty()
    {
        return refuse(Refusal::BucketNotEmpty);
    }
    txn.delete(&DeadBucketKey(command.bucket));
    Ok(Reply::default())
}

/// The bucket behind an id.
pub(super) fn require(txn: &Transaction<'_>, id: u64) -> Result<Bucket, Stop> {
    match txn.get(&BucketKey(id))? {
        Some(bucket) => Ok(bucket),
        None => refuse(Refusal::NoSuchBucket),
    }
}
