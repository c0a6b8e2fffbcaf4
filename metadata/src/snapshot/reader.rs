//! Reads a snapshot file, a frame at a time.

use bytes::{Bytes, BytesMut};
use cairn_model::limits;
use cairn_world::DiskFile;
use sha2::{Digest, Sha256};
use std::io;
use std::sync::Arc;

use super::format::{self, FRAME_HEAD, Frame, FrameHead, MAGIC};
use super::{SnapshotError, SnapshotMeta};

/// A snapshot on a shelf. Clones share the open file, so it stays readable while it is held, even
/// when the shelf has dropped it.
#[derive(Clone, Debug)]
pub struct SnapshotHandle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    file: Arc<dyn DiskFile>,
    len: u64,
    meta: SnapshotMeta,
}

impl SnapshotHandle {
    /// Opens a file of this cluster by its header; the rest is not looked at yet.
    pub(super) fn open(
        name: String,
        file: Arc<dyn DiskFile>,
        cluster_id: [u8; 16],
    ) -> Result<Self, SnapshotError> {
        let len = file.len().map_err(|error| SnapshotError::Io {
            name: name.clone(),
            error,
        })?;
        let mut frames = Frames::new(&name, file.as_ref(), len)?;
        let at = frames.at;
        let meta = match frames.next()? {
            Some(Frame::Header {
                cluster_id: found,
                meta,
            }) if found == cluster_id => meta,
            Some(Frame::Header { .. }) => {
                return Err(damaged(&name, at, "it belongs to another cluster"));
            }
            _ => return Err(damaged(&name, at, "it does not begin with a header")),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                name,
                file,
                len,
                meta,
            }),
        })
    }

    /// What it says about itself.
    #[must_use]
    pub fn meta(&self) -> &SnapshotMeta {
        &self.inner.meta
    }

    /// Bytes of the file.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.inner.len
    }

    /// Whether the file is empty; none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.len == 0
    }

    /// File within its disk.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Whether both are the same open file.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Bytes of the file from `offset`, at most one wire message; empty at the end.
    ///
    /// # Errors
    /// The disk's.
    pub fn read(&self, offset: u64) -> Result<Bytes, SnapshotError> {
        let left = self
            .inner
            .len
            .saturating_sub(offset)
            .min(limits::WIRE_PAYLOAD_MAX);
        let mut buf = BytesMut::zeroed(usize::try_from(left).unwrap_or(0));
        let io = |error| SnapshotError::Io {
            name: self.inner.name.clone(),
            error,
        };
        let read = self.inner.file.read_at(&mut buf, offset).map_err(io)?;
        buf.truncate(read);
        Ok(buf.freeze())
    }

    /// Reads the whole file and checks every byte of it.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`], and the disk's.
    pub fn verify(&self) -> Result<(), SnapshotError> {
        self.for_each(|_, _| Ok(()))
    }

    /// Gives every row in order to `take`, checking every byte. Damage is noticed as it is come to: what
    /// was made of the rows counts only once this has returned.
    pub(crate) fn for_each(
        &self,
        mut take: impl FnMut(Bytes, Bytes) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        let name = &self.inner.name;
        let mut frames = Frames::new(name, self.inner.file.as_ref(), self.inner.len)?;
        frames.next()?;
        let mut rows = 0;
        let mut last: Option<Bytes> = None;
        loop {
            let at = frames.at;
            let before = frames.digest.clone();
            match frames.next()? {
                Some(Frame::Rows(mut body)) => {
                    while let Some((key, value)) =
                        format::take_row(&mut body).map_err(|reason| damaged(name, at, reason))?
                    {
                        if last.as_ref().is_some_and(|last| *last >= key) {
                            return Err(damaged(name, at, "rows are out of order"));
                        }
                        last = Some(key.clone());
                        rows += 1;
                        take(key, value)?;
                    }
                }
                Some(Frame::Trailer {
                    rows: expected,
                    digest,
                }) => {
                    let found: [u8; 32] = before.finalize().into();
                    if expected != rows || digest != found {
                        return Err(damaged(name, at, "the whole checksum is wrong"));
                    }
                    if frames.at != self.inner.len {
                        return Err(damaged(
                            name,
                            frames.at,
                            "there are bytes after the trailer",
                        ));
                    }
                    return Ok(());
                }
                Some(Frame::Header { .. }) => {
                    return Err(damaged(name, at, "there is a second header"));
                }
                None => return Err(damaged(name, at, "there is no trailer")),
            }
        }
    }
}

fn damaged(name: &str, at: u64, reason: &'static str) -> SnapshotError {
    SnapshotError::Damaged {
        name: name.to_owned(),
        at,
        reason,
    }
}

/// The frames of a file.
struct Frames<'a> {
    name: &'a str,
    file: &'a dyn DiskFile,
    len: u64,
    at: u64,
    digest: Sha256,
}

impl<'a> Frames<'a> {
    fn new(name: &'a str, file: &'a dyn DiskFile, len: u64) -> Result<Self, SnapshotError> {
        let mut frames = Self {
            name,
            file,
            len,
            at: 0,
            digest: Sha256::new(),
        };
        if frames.take(MAGIC.len())?.as_ref() != MAGIC {
            return Err(damaged(name, 0, "it is no snapshot"));
        }
        Ok(frames)
    }

    fn take(&mut self, len: usize) -> Result<Bytes, SnapshotError> {
        let mut buf = BytesMut::zeroed(len);
        let io = |error: io::Error| SnapshotError::Io {
            name: self.name.to_owned(),
            error,
        };
        let read = self.file.read_at(&mut buf, self.at).map_err(io)?;
        if read < len {
            return Err(damaged(self.name, self.at, "the file ends inside a frame"));
        }
        self.digest.update(&buf);
        self.at += len as u64;
        Ok(buf.freeze())
    }

    fn next(&mut self) -> Result<Option<Frame>, SnapshotError> {
        if self.at == self.len {
            return Ok(None);
        }
        let start = self.at;
        let head = self.take(FRAME_HEAD)?;
        let head = FrameHead::decode(&head).map_err(|reason| damaged(self.name, start, reason))?;
        let body = self.take(head.body_len)?;
        let frame = head
            .body(start, body)
            .map_err(|reason| damaged(self.name, start, reason))?;
        Ok(Some(frame))
    }
}
