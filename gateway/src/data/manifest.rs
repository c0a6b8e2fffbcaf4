//! From extents to what a commit carries: in the row while they are few, in staged pages when not.

use bytes::Bytes;
use cairn_model::{Incarnation, limits};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::content::Place;
use cairn_wire::metadata::entry::Command;
use prost::Message;

use crate::data::session::Entered;
use crate::data::writer::{Stored, Written};
use crate::metadata::CommitError;

/// Bytes of extents in one staging entry: the rest is the entry around them.
const PAGE_BYTES_MAX: usize = (limits::ENTRY_LEN_MAX - 8 * limits::KIB) as usize;

/// The content of a commit in `bucket`. Pages are staged here, in the session that commits: until
/// then nothing names them, and they fall with it.
///
/// # Errors
/// See [`CommitError`]; nothing is published.
pub(crate) async fn content(
    session: &Entered,
    stamp: Incarnation,
    bucket: u64,
    written: Written,
) -> Result<wire::Content, CommitError> {
    let manifest = Bytes::copy_from_slice(&stamp.to_bytes());
    let place = match written.stored {
        Stored::Inline(bytes) => Place::Inline(bytes),
        Stored::Chunks(extents) if extents.len() <= limits::ROW_EXTENTS_MAX => {
            Place::Extents(wire::Extents { manifest, extents })
        }
        Stored::Chunks(extents) => {
            let pages = stage(session, &manifest, bucket, extents).await?;
            Place::Pages(wire::Pages {
                manifest,
                pages,
                length: written.length,
            })
        }
    };
    Ok(wire::Content { place: Some(place) })
}

async fn stage(
    session: &Entered,
    manifest: &Bytes,
    bucket: u64,
    extents: Vec<wire::ExtentWrite>,
) -> Result<u32, CommitError> {
    let mut count = 0;
    for extents in pages(extents) {
        let command = wire::StagePage {
            bucket,
            manifest: manifest.clone(),
            page: count,
            extents,
        };
        session.propose(Command::StagePage(command)).await?;
        count += 1;
    }
    Ok(count)
}

/// Cuts extents so that each page fits its entry.
fn pages(extents: Vec<wire::ExtentWrite>) -> Vec<Vec<wire::ExtentWrite>> {
    const EXTENTS_MAX: usize = if limits::STAGE_EXTENTS_MAX < limits::PAGE_EXTENTS_MAX {
        limits::STAGE_EXTENTS_MAX
    } else {
        limits::PAGE_EXTENTS_MAX
    };
    let mut pages = Vec::new();
    let (mut page, mut bytes) = (Vec::new(), 0);
    for extent in extents {
        // Its length, and at most six bytes of tag and length before it.
        let length = extent.encoded_len() + 6;
        if page.len() == EXTENTS_MAX || bytes + length > PAGE_BYTES_MAX {
            pages.push(std::mem::take(&mut page));
            bytes = 0;
        }
        bytes += length;
        page.push(extent);
    }
    if !page.is_empty() {
        pages.push(page);
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extent(debts: usize) -> wire::ExtentWrite {
        let debt = wire::Debt {
            shard: 7,
            disk: Bytes::from_static(&[9; 16]),
        };
        wire::ExtentWrite {
            sha256: Bytes::from_static(&[1; 32]),
            incarnation: Bytes::from_static(&[2; 16]),
            chunk_length: u32::MAX,
            offset: 1,
            length: u32::MAX,
            crc64nvme: u64::MAX,
            table_digest: Bytes::from_static(&[3; 16]),
            coding: Some(wire::Coding {
                data: 16,
                parity: 4,
                cell: 1 << 20,
                layout: 1,
            }),
            epoch: u64::MAX,
            debt: vec![debt; debts],
            claim: wire::Claim::Fit.into(),
        }
    }

    proptest! {
        #[test]
        fn every_page_fits_its_entry_and_none_is_lost(
            debts in proptest::collection::vec(0_usize..20, 17..2_500),
        ) {
            let extents: Vec<_> = debts.iter().map(|debts| extent(*debts)).collect();
            let pages = pages(extents.clone());
            for extents in &pages {
                prop_assert!(!extents.is_empty() && extents.len() <= limits::PAGE_EXTENTS_MAX);
                let command = Command::StagePage(wire::StagePage {
                    bucket: u64::MAX,
                    manifest: Bytes::from_static(&[4; 16]),
                    page: u32::MAX,
                    extents: extents.clone(),
                });
                let entry = wire::Entry {
                    group: u32::MAX,
                    stamp_ms: u64::MAX,
                    session: u64::MAX,
                    operation: u64::MAX,
                    command: Some(command),
                };
                prop_assert!(entry.encoded_len() as u64 <= limits::ENTRY_LEN_MAX);
            }
            prop_assert_eq!(pages.concat(), extents);
        }
    }
}
