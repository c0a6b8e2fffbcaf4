//! Manifests: what a row holds of chunks, and how it lets go.
//!
//! A short list of extents lies in its row; a long one in pages that a session staged beforehand
//! and a commit attaches. A manifest without a `0x40` row has one reference. The last release of a
//! short list happens in the entry that removes the row; of pages, one `ReleasePage` each.

use cairn_model::{Incarnation, limits};
use cairn_wire::metadata::content::Place;
use cairn_wire::metadata::{
    Bucket, Content, ExtentWrite, Extents, Pages, Refusal, ReleasePage, Reply, StagePage,
};

use super::{Context, Stop, Transaction, buckets, chunks, malformed, pins, refuse, sessions};
use crate::keyspace::manifest::{
    ManifestKey, ManifestRow, PageKey, PageRow, ReleaseKey, ReleaseRow,
};
use crate::keyspace::pin::PinTarget;
use crate::keyspace::session::{StagedKey, StagedRow};

/// Takes the references a commit brings; gives the content as stored and its length.
pub(super) fn attach(
    txn: &mut Transaction<'_>,
    context: &Context,
    bucket: &Bucket,
    content: Content,
) -> Result<(Content, u64), Stop> {
    match content.place {
        Some(Place::Inline(bytes)) => {
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if length > limits::INLINE_LEN_MAX {
                return malformed("inline content is too long");
            }
            Ok((
                Content {
                    place: Some(Place::Inline(bytes)),
                },
                length,
            ))
        }
        Some(Place::Extents(extents)) => attach_extents(txn, context, bucket, extents),
        Some(Place::Pages(pages)) => attach_pages(txn, context, bucket, pages),
        Some(Place::PartPages(_)) | None => malformed("content"),
    }
}

fn attach_extents(
    txn: &mut Transaction<'_>,
    context: &Context,
    bucket: &Bucket,
    mut extents: Extents,
) -> Result<(Content, u64), Stop> {
    if extents.extents.is_empty() || extents.extents.len() > limits::ROW_EXTENTS_MAX {
        return malformed("a row holds 1 to ROW_EXTENTS_MAX extents");
    }
    own_stamp(context, &extents.manifest)?;
    let length = take(txn, context, bucket.domain, &mut extents.extents)?;
    Ok((
        Content {
            place: Some(Place::Extents(extents)),
        },
        length,
    ))
}

fn attach_pages(
    txn: &mut Transaction<'_>,
    context: &Context,
    bucket: &Bucket,
    pages: Pages,
) -> Result<(Content, u64), Stop> {
    let key = StagedKey {
        session: sessions::require(context)?,
        manifest: stamp_here(context, &pages.manifest)?.to_bytes(),
    };
    // The row says whose the pages are: the session's that staged them, or adopted them since.
    let Some(staged) = txn.get(&key)? else {
        return refuse(Refusal::RetryUpload);
    };
    let asked = StagedRow {
        pages: pages.pages,
        length: pages.length,
        bucket: bucket.id,
        domain: bucket.domain,
    };
    if staged != asked {
        return malformed("the staged pages are others");
    }
    txn.delete(&key);
    Ok((
        Content {
            place: Some(Place::Pages(pages)),
        },
        staged.length,
    ))
}

/// Stages one page; the references count from here.
pub(super) fn stage(
    txn: &mut Transaction<'_>,
    context: &Context,
    mut command: StagePage,
) -> Result<Reply, Stop> {
    let bucket = buckets::require(txn, command.bucket)?;
    let session = sessions::require(context)?;
    let manifest = stamp_here(context, &command.manifest)?.to_bytes();
    if command.extents.is_empty() || command.extents.len() > limits::STAGE_EXTENTS_MAX {
        return malformed("a page holds 1 to STAGE_EXTENTS_MAX extents");
    }
    let key = StagedKey { session, manifest };
    let staged = match txn.get(&key)? {
        Some(staged) => staged,
        // Only the session that drew the stamp begins a manifest; one that adopted it goes on.
        None => {
            own_stamp(context, &command.manifest)?;
            StagedRow {
                bucket: bucket.id,
                domain: bucket.domain,
                ..StagedRow::default()
            }
        }
    };
    let full = usize::try_from(staged.pages).is_ok_and(|pages| pages >= limits::MANIFEST_PAGES_MAX);
    if staged.bucket != bucket.id || staged.pages != command.page || full {
        return malformed("pages are staged in order, for one bucket, up to MANIFEST_PAGES_MAX");
    }
    let page_key = PageKey {
        manifest,
        page: command.page,
    };
    if txn.get(&page_key)?.is_some() {
        return malformed("a manifest that was attached or adopted is not begun again");
    }
    let length = take(txn, context, bucket.domain, &mut command.extents)?;
    let page = PageRow {
        extents: command.extents,
        parts: Vec::new(),
    };
    txn.put(&page_key, &page);
    let row = StagedRow {
        pages: staged.pages + 1,
        length: staged.length + length,
        ..staged
    };
    txn.put(&key, &row);
    Ok(Reply::default())
}

/// Registers every extent's chunk and points its hint at the writing that was kept.
fn take(
    txn: &mut Transaction<'_>,
    context: &Context,
    domain: u64,
    extents: &mut [ExtentWrite],
) -> Result<u64, Stop> {
    let mut length = 0_u64;
    for extent in extents {
        let end = u64::from(extent.offset) + u64::from(extent.length);
        if extent.length == 0 || end > u64::from(extent.chunk_length) {
            return malformed("the extent is not inside its chunk");
        }
        length += u64::from(extent.length);
        chunks::register(txn, context, domain, extent)?;
    }
    if length > limits::OBJECT_LEN_MAX {
        return refuse(Refusal::TooLarge);
    }
    Ok(length)
}

/// A manifest's stamp must come from the committing session, so that no two writers share one.
pub(super) fn own_stamp(context: &Context, bytes: &[u8]) -> Result<[u8; 16], Stop> {
    let stamp = stamp_here(context, bytes)?;
    if stamp.session.0 == context.session {
        Ok(stamp.to_bytes())
    } else {
        refuse(Refusal::RetryUpload)
    }
}

/// A stamp of this group and generation, whichever session drew it.
pub(super) fn stamp_here(context: &Context, bytes: &[u8]) -> Result<Incarnation, Stop> {
    let cluster = context.cluster()?;
    match Incarnation::from_bytes(bytes) {
        Some(stamp)
            if u32::from(stamp.group) == cluster.group
                && u32::from(stamp.generation) == cluster.generation =>
        {
            Ok(stamp)
        }
        Some(_) => refuse(Refusal::RetryUpload),
        None => malformed("a stamp is 16 bytes"),
    }
}

fn stored_stamp(bytes: &[u8]) -> Result<[u8; 16], Stop> {
    bytes.try_into().map_err(|_| {
        Stop::Halt(super::ApplyError::Inconsistent(
            "a stored stamp is not 16 bytes",
        ))
    })
}

/// Counts one more row that holds this content. Must come before the release of any row that holds
/// it already: with the last one its chunks are let go.
pub(super) fn share(txn: &mut Transaction<'_>, content: &Content) -> Result<(), Stop> {
    let manifest = match &content.place {
        None | Some(Place::Inline(_)) => return Ok(()),
        Some(Place::Extents(list)) => &list.manifest,
        Some(Place::Pages(pages)) => &pages.manifest,
        Some(Place::PartPages(pages)) => &pages.manifest,
    };
    let key = ManifestKey(stored_stamp(manifest)?);
    let refs = txn.get(&key)?.map_or(1, |row| row.refs);
    txn.put(&key, &ManifestRow { refs: refs + 1 });
    Ok(())
}

/// Lets go of what a removed row held. Touches at most `ROW_EXTENTS_MAX` chunk counters.
pub(super) fn release(
    txn: &mut Transaction<'_>,
    domain: u64,
    content: &Content,
) -> Result<(), Stop> {
    match &content.place {
        None | Some(Place::Inline(_)) => Ok(()),
        Some(Place::Extents(list)) => {
            if last_reference(txn, stored_stamp(&list.manifest)?)? {
                for extent in &list.extents {
                    chunks::release(txn, domain, &extent.sha256)?;
                }
            }
            Ok(())
        }
        Some(Place::Pages(pages)) => {
            release_pages(txn, domain, stored_stamp(&pages.manifest)?, pages.pages)
        }
        Some(Place::PartPages(pages)) => {
            release_pages(txn, domain, stored_stamp(&pages.manifest)?, pages.pages)
        }
    }
}

fn release_pages(
    txn: &mut Transaction<'_>,
    domain: u64,
    manifest: [u8; 16],
    pages: u32,
) -> Result<(), Stop> {
    if last_reference(txn, manifest)? {
        let epoch = txn.counters().session;
        queue_release(txn, epoch, manifest, pages, domain);
    }
    Ok(())
}

/// Queues pages to be released one entry each, once no session begun by `epoch` is open.
pub(super) fn queue_release(
    txn: &mut Transaction<'_>,
    epoch: u64,
    manifest: [u8; 16],
    pages: u32,
    domain: u64,
) {
    let row = ReleaseRow {
        next: 0,
        pages,
        domain,
    };
    txn.put(&ReleaseKey { epoch, manifest }, &row);
}

/// Counts one reference down; true where it was the last.
fn last_reference(txn: &mut Transaction<'_>, manifest: [u8; 16]) -> Result<bool, Stop> {
    let key = ManifestKey(manifest);
    match txn.get(&key)?.map(|row| row.refs) {
        None => Ok(true),
        Some(refs @ 3..) => {
            txn.put(&key, &ManifestRow { refs: refs - 1 });
            Ok(false)
        }
        Some(_) => {
            txn.delete(&key);
            Ok(false)
        }
    }
}

/// Releases the next page of a queued manifest, once no read can need it: every session begun when
/// its last reference went has ended, and none pins it.
pub(super) fn release_page(
    txn: &mut Transaction<'_>,
    command: &ReleasePage,
) -> Result<Reply, Stop> {
    let Ok(manifest) = <[u8; 16]>::try_from(command.manifest.as_ref()) else {
        return malformed("a stamp is 16 bytes");
    };
    let key = ReleaseKey {
        epoch: command.epoch,
        manifest,
    };
    let Some(release) = txn.get(&key)?.filter(|row| row.next == command.page) else {
        return Ok(Reply::default()); // another proposal was faster
    };
    let in_use = sessions::oldest_open(txn)?.is_some_and(|session| session <= key.epoch);
    if in_use || pins::pinned(txn, &PinTarget::Manifest(manifest))? {
        return refuse(Refusal::TooSoon);
    }
    let page_key = PageKey {
        manifest,
        page: release.next,
    };
    if let Some(page) = txn.get(&page_key)? {
        for extent in &page.extents {
            chunks::release(txn, release.domain, &extent.sha256)?;
        }
        for content in page.parts.iter().filter_map(|part| part.content.as_ref()) {
            self::release(txn, release.domain, content)?;
        }
        txn.delete(&page_key);
    }
    if release.next + 1 >= release.pages {
        txn.delete(&key);
    } else {
        txn.put(
            &key,
            &ReleaseRow {
                next: release.next + 1,
                ..release
            },
        );
    }
    Ok(Reply::default())
}
