//! Manifests that several rows hold, so many at a time: each is followed for the first of its holders
//! only, and its holders are counted.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use cairn_store::{StoreError, View, prefix_end};

use super::{Discrepancy, Fault, has};
use crate::keyspace::KeyKind as _;
use crate::keyspace::manifest::ManifestKey;

/// The manifests of one pass.
#[derive(Debug)]
pub(super) struct Shared {
    manifests: BTreeMap<[u8; 16], Holders>,
    most: usize,
    first: bool,
    /// The key of the last manifest looked at, where there may be more.
    rest: Option<Bytes>,
}

#[derive(Debug)]
struct Holders {
    counted: u64,
    /// `None` where the row cannot be read.
    recorded: Option<u64>,
}

impl Shared {
    /// The first `most` manifests.
    pub(super) fn first(view: &dyn View, most: usize) -> Result<Self, StoreError> {
        let mut shared = Self {
            manifests: BTreeMap::new(),
            most: most.max(1),
            first: true,
            rest: None,
        };
        shared.load(view, &[ManifestKey::PREFIX])?;
        Ok(shared)
    }

    /// Whether this pass is the first, which counts what is not shared as well.
    pub(super) fn is_first(&self) -> bool {
        self.first
    }

    /// The next manifests; false where there are none.
    pub(super) fn advance(&mut self, view: &dyn View) -> Result<bool, StoreError> {
        let Some(rest) = self.rest.take() else {
            return Ok(false);
        };
        self.first = false;
        self.load(view, &rest)?;
        Ok(self.rest.is_some() || !self.manifests.is_empty())
    }

    fn load(&mut self, view: &dyn View, behind: &[u8]) -> Result<(), StoreError> {
        self.manifests.clear();
        let end = prefix_end(&[ManifestKey::PREFIX]);
        let rows = view.scan(Bound::Excluded(behind), end.as_ref().map(Vec::as_slice));
        for (place, row) in (1..).zip(rows) {
            let (key, value) = row?;
            // What cannot be read is told of by the pass over the rows.
            if let Ok(manifest) = ManifestKey::decode(&key) {
                let row = ManifestKey::decode_row(&value).ok();
                let holders = Holders {
                    counted: 0,
                    recorded: row.map(|row| row.refs),
                };
                self.manifests.insert(manifest.0, holders);
            }
            if place >= self.most {
                self.rest = Some(key);
                break;
            }
        }
        Ok(())
    }

    /// A row holds the manifest; true where what it names is to be counted for this row.
    pub(super) fn hold(&mut self, view: &dyn View, manifest: [u8; 16]) -> Result<bool, Fault> {
        if let Some(holders) = self.manifests.get_mut(&manifest) {
            holders.counted += 1;
            return Ok(holders.counted == 1);
        }
        let only = self.first && self.rest.is_none();
        if !only && has(view, &ManifestKey(manifest))? {
            return Ok(false); // in another pass
        }
        Ok(self.first)
    }

    /// Manifests whose count is not that of their holders, or of none that share.
    pub(super) fn differences(&self) -> impl Iterator<Item = Discrepancy> + '_ {
        self.manifests.iter().filter_map(|(manifest, holders)| {
            let (counted, recorded) = (holders.counted, holders.recorded?);
            let wrong = counted != recorded || recorded < 2;
            wrong.then_some(Discrepancy::ManifestReferences {
                manifest: *manifest,
                counted,
                recorded,
            })
        })
    }
}
