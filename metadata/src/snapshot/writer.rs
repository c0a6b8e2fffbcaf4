//! Writes a snapshot file from one read view, a frame at a time.

use bytes::Bytes;
use cairn_store::View;
use cairn_world::DiskFile;
use sha2::{Digest, Sha256};
use std::io;
use std::ops::Bound;

use super::format::{self, FRAME_FULL, Frame, MAGIC, ROW_MAX};
use super::{SnapshotError, SnapshotMeta};

/// First key of the state machine; what is below belongs to the host and travels in the header.
const FIRST_KEY: &[u8] = &[1];

struct Sink<'a> {
    name: &'a str,
    file: &'a dyn DiskFile,
    at: u64,
    digest: Sha256,
}

impl Sink<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let io = |error: io::Error| SnapshotError::Io {
            name: self.name.to_owned(),
            error,
        };
        self.file.write_at(bytes, self.at).map_err(io)?;
        self.digest.update(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn frame(&mut self, frame: &Frame) -> Result<(), SnapshotError> {
        let mut out = Vec::new();
        frame.encode(self.at, &mut out);
        self.put(&out)
    }
}

/// Writes all rows of `view` but the host's; not synced. Holds one frame in memory.
pub(super) fn write(
    name: &str,
    file: &dyn DiskFile,
    cluster_id: [u8; 16],
    meta: &SnapshotMeta,
    view: &dyn View,
) -> Result<u64, SnapshotError> {
    let mut sink = Sink {
        name,
        file,
        at: 0,
        digest: Sha256::new(),
    };
    sink.put(&MAGIC)?;
    sink.frame(&Frame::Header {
        cluster_id,
        meta: meta.clone(),
    })?;
    let mut rows = 0;
    let mut body = Vec::new();
    for row in view.scan(Bound::Included(FIRST_KEY), Bound::Unbounded) {
        let (key, value) = row?;
        let len = key.len() + value.len();
        if len > ROW_MAX {
            return Err(SnapshotError::RowTooLong { len });
        }
        if !body.is_empty() && body.len() + len + 8 > FRAME_FULL {
            sink.frame(&Frame::Rows(Bytes::from(std::mem::take(&mut body))))?;
        }
        format::put_row(&mut body, &key, &value);
        rows += 1;
    }
    if !body.is_empty() {
        sink.frame(&Frame::Rows(Bytes::from(body)))?;
    }
    let digest = sink.digest.clone().finalize().into();
    sink.frame(&Frame::Trailer { rows, digest })?;
    Ok(sink.at)
}
