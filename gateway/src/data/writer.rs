//! A body to chunks: cut, stored, and given back as extents with the proof that it was verified.
//!
//! ```text
//!   up to 4 KiB      inline (never where one chunk is asked for)
//!   one stripe       read whole, verified, then written: a bad body touches no disk
//!   longer           this task: body ─> stripe buffers ──(two at most wait)──> a task of its own:
//!                    SHA-256, codec, disks. MD5 and framing run beside hashing and coding.
//! ```
//!
//! A body that comes slowly leaves its session once that is an hour old, between two chunks: what is
//! sealed is staged, and the manifest taken along ([`manifest::carry`]). A session is thus held for
//! one chunk more at most, at the lowest rate 4.6 hours. Only a body that must be one chunk, which
//! may be longer, stays where it began.
//!
//! The last chunk is sealed only after the body's end has been verified. Its digest is the body's
//! own where that is one and the same thing.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cairn_model::{Coding, DomainId, Sha256, limits};
use cairn_s3::S3Error;
use cairn_wire::metadata as wire;
use cairn_world::buggify;
use crc_fast::CrcAlgorithm::Crc64Nvme;
use crc_fast::{checksum, checksum_combine};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::data::chunk_writer::ChunkWriter;
use crate::data::manifest::{self, Staged};
use crate::data::session::Entered;
use crate::data::{DataPath, WriteError};
use crate::metadata::CommitError;
use crate::tuning;

/// Stripes that may wait between the two tasks: beside them one is being filled and one written.
const WAITING_STRIPES: usize = limits::STRIPES_PER_REQUEST - 2;

const LEAVE_AT: Duration = Duration::from_secs(limits::READ_REPIN_SECS);

/// A body, decoded and checked as it passes.
pub(crate) trait Source: Send {
    /// What it gives once all of it has been verified.
    type Proof: Send;

    /// Bytes in all, after decoding.
    fn length(&self) -> u64;

    /// Whether [`Source::finish`] will tell the SHA-256 of all its bytes.
    fn makes_sha256(&self) -> bool;

    /// Appends the next `wanted` bytes to `buffer`: exactly so many.
    fn fill(
        &mut self,
        buffer: &mut BytesMut,
        wanted: usize,
    ) -> impl Future<Output = Result<(), S3Error>> + Send;

    /// Reads what follows the last byte and verifies the whole. The SHA-256 is one that was
    /// verified against the bytes, or made from them.
    fn finish(self) -> impl Future<Output = Result<(Self::Proof, Option<Sha256>), S3Error>> + Send;
}

/// Where a body's bytes are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stored {
    /// Here.
    Inline(Bytes),
    /// In these chunks.
    Chunks(Vec<wire::ExtentWrite>),
    /// In chunks that are staged, and then in these.
    Staged(Staged, Vec<wire::ExtentWrite>),
}

/// A stored body that nothing refers to yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Written {
    /// Where.
    pub(crate) stored: Stored,
    /// How long.
    pub(crate) length: u64,
    /// CRC-64/NVME of all of it.
    pub(crate) crc64nvme: u64,
}

/// Where the chunks of a body go.
#[derive(Clone, Copy, Debug)]
struct Home {
    domain: DomainId,
    /// For which bucket they are staged; none where there is only one.
    bucket: Option<u64>,
    /// Longest chunk.
    cut: u64,
}

/// Stores a body for `bucket`. The session given back is the one to commit in: a newer one where the
/// body took long, so the caller must hold no place in the first.
///
/// # Errors
/// See [`WriteError`]; nothing refers to what may have been written.
pub(crate) async fn write<S: Source>(
    path: &Arc<DataPath>,
    session: Entered,
    bucket: &wire::Bucket,
    source: S,
) -> Result<(Entered, Written, S::Proof), WriteError> {
    if source.length() <= limits::INLINE_LEN_MAX {
        let (written, proof) = inline(source).await?;
        return Ok((session, written, proof));
    }
    let home = Home {
        domain: DomainId(bucket.domain),
        bucket: Some(bucket.id),
        cut: limits::CHUNK_LEN_DEFAULT,
    };
    let (sealed, proof) = chunks(path, session, home, source).await?;
    let (session, written) = sealed.gather();
    Ok((session, written, proof))
}

/// Stores a body of 1 to `CHUNK_LEN_MAX` bytes in `domain` as one chunk, however short it is.
///
/// # Errors
/// See [`WriteError`]; nothing refers to what may have been written.
pub(crate) async fn write_chunk<S: Source>(
    path: &Arc<DataPath>,
    session: &Entered,
    domain: DomainId,
    source: S,
) -> Result<(wire::ExtentWrite, S::Proof), WriteError> {
    let home = Home {
        domain,
        bucket: None,
        cut: limits::CHUNK_LEN_MAX,
    };
    let (sealed, proof) = chunks(path, session.clone(), home, source).await?;
    match <[wire::ExtentWrite; 1]>::try_from(sealed.extents) {
        Ok([extent]) => Ok((extent, proof)),
        Err(_) => Err(WriteError::Internal("not one chunk".to_owned())),
    }
}

/// Stores a body as chunks.
async fn chunks<S: Source>(
    path: &Arc<DataPath>,
    mut session: Entered,
    home: Home,
    mut source: S,
) -> Result<(Sealed, S::Proof), WriteError> {
    let length = source.length();
    let stripe_len = path.views.get().await?.coding(length).stripe_len();
    if length > stripe_len.min(home.cut) {
        return Lines::open(path, session, home).run(source).await;
    }
    let mut plain = buffer(length, stripe_len)?;
    source
        .fill(&mut plain, index(length)?)
        .await
        .map_err(WriteError::Body)?;
    let hash = !source.makes_sha256();
    let (proof, sha256) = source.finish().await.map_err(WriteError::Body)?;
    let mut chunk = ChunkWriter::open(path, &session, home.domain, length, hash).await?;
    session.hold(length);
    chunk.push(plain).await?;
    let sealed = Sealed {
        session,
        extents: vec![chunk.seal(sha256).await?],
        staged: None,
    };
    Ok((sealed, proof))
}

async fn inline<S: Source>(mut source: S) -> Result<(Written, S::Proof), WriteError> {
    let length = source.length();
    let mut plain = BytesMut::with_capacity(index(length)?);
    source
        .fill(&mut plain, index(length)?)
        .await
        .map_err(WriteError::Body)?;
    let (proof, _) = source.finish().await.map_err(WriteError::Body)?;
    let written = Written {
        crc64nvme: checksum(Crc64Nvme, &plain),
        stored: Stored::Inline(plain.freeze()),
        length,
    };
    Ok((written, proof))
}

/// The chunks of one body.
struct Sealed {
    /// The session that holds them.
    session: Entered,
    /// All of them, in order.
    extents: Vec<wire::ExtentWrite>,
    /// How many of the first are staged.
    staged: Option<Staged>,
}

impl Sealed {
    /// Puts them together: their CRCs make the body's.
    fn gather(mut self) -> (Entered, Written) {
        let extents = self.extents.iter();
        let (length, crc64nvme) = extents.fold((0, 0), |(length, crc), extent| {
            let more = u64::from(extent.length);
            let crc = match length {
                0 => extent.crc64nvme,
                _ => checksum_combine(Crc64Nvme, crc, extent.crc64nvme, more),
            };
            (length + more, crc)
        });
        let stored = match self.staged {
            None => Stored::Chunks(self.extents),
            Some(staged) => {
                let rest = self.extents.split_off(staged.extents);
                Stored::Staged(staged, rest)
            }
        };
        let written = Written {
            stored,
            length,
            crc64nvme,
        };
        (self.session, written)
    }
}

/// An empty buffer with room for `length` bytes and the padding of their cells.
fn buffer(length: u64, stripe_len: u64) -> Result<BytesMut, WriteError> {
    const PADDING: u64 = limits::SHARDS_MAX as u64 * (Coding::CELL_ALIGN + 1);
    Ok(BytesMut::with_capacity(index(
        stripe_len.min(length + PADDING),
    )?))
}

fn index(length: u64) -> Result<usize, WriteError> {
    usize::try_from(length).map_err(|error| WriteError::Internal(error.to_string()))
}

/// What the body's task hands to the chunks' task.
enum Work {
    /// A chunk of this many bytes begins; whether its SHA-256 is to be made.
    Open(u64, bool),
    /// Its next stripe.
    Stripe(BytesMut),
    /// It is complete; its SHA-256 where that was not to be made.
    Seal(Option<Sha256>),
}

/// The line between the two tasks of a longer body.
struct Lines {
    work: mpsc::Sender<Work>,
    chunks: AbortOnDrop<Result<Sealed, WriteError>>,
    path: Arc<DataPath>,
    /// Longest chunk.
    cut: u64,
}

impl Lines {
    fn open(path: &Arc<DataPath>, session: Entered, home: Home) -> Self {
        let (work, waiting) = mpsc::channel(WAITING_STRIPES);
        let chunks = Chunks {
            path: Arc::clone(path),
            session,
            home,
            sealing: JoinSet::new(),
            sealed: Vec::new(),
            staged: None,
            leave_at: LEAVE_AT,
        };
        Self {
            work,
            chunks: AbortOnDrop(tokio::spawn(chunks.write(waiting))),
            path: Arc::clone(path),
            cut: home.cut,
        }
    }

    async fn run<S: Source>(self, mut source: S) -> Result<(Sealed, S::Proof), WriteError> {
        match self.feed(&mut source).await {
            Ok(()) => {}
            Err(Fed::Body(error)) => return Err(WriteError::Body(error)),
            Err(Fed::Error(error)) => return Err(error),
            Err(Fed::Closed) => return Err(self.failure().await),
        }
        let (proof, sha256) = source.finish().await.map_err(WriteError::Body)?;
        if self.work.send(Work::Seal(sha256)).await.is_err() {
            return Err(self.failure().await);
        }
        let Self { work, chunks, .. } = self;
        drop(work);
        Ok((chunks.join().await?, proof))
    }

    /// Why the other task ended before the body did.
    async fn failure(self) -> WriteError {
        match self.chunks.join().await {
            Err(error) => error,
            Ok(_) => WriteError::Internal("chunks ended before their body".to_owned()),
        }
    }

    /// All of the body but the seal of its last chunk.
    async fn feed<S: Source>(&self, source: &mut S) -> Result<(), Fed> {
        let mut left = source.length();
        let whole = left <= self.cut;
        while left > 0 {
            let length = left.min(self.cut);
            left -= length;
            let hash = !(whole && source.makes_sha256());
            self.send(Work::Open(length, hash)).await?;
            self.feed_chunk(source, length).await?;
            if left > 0 {
                self.send(Work::Seal(None)).await?;
            }
        }
        Ok(())
    }

    async fn feed_chunk<S: Source>(&self, source: &mut S, length: u64) -> Result<(), Fed> {
        let view = self
            .path
            .views
            .get()
            .await
            .map_err(|error| Fed::Error(error.into()))?;
        let stripe_len = view.coding(length).stripe_len();
        let mut left = length;
        while left > 0 {
            let next = left.min(stripe_len);
            left -= next;
            let mut plain = buffer(next, stripe_len).map_err(Fed::Error)?;
            let wanted = index(next).map_err(Fed::Error)?;
            tokio::select! {
                biased;
                filled = source.fill(&mut plain, wanted) => filled.map_err(Fed::Body)?,
                () = self.work.closed() => return Err(Fed::Closed),
            }
            self.send(Work::Stripe(plain)).await?;
        }
        Ok(())
    }

    async fn send(&self, work: Work) -> Result<(), Fed> {
        self.work.send(work).await.map_err(|_| Fed::Closed)
    }
}

/// Why feeding stopped.
enum Fed {
    Body(S3Error),
    Error(WriteError),
    /// The chunks' task has ended; it knows why.
    Closed,
}

/// The chunks' task.
struct Chunks {
    path: Arc<DataPath>,
    session: Entered,
    home: Home,
    sealing: JoinSet<(usize, Result<wire::ExtentWrite, WriteError>)>,
    sealed: Vec<Option<wire::ExtentWrite>>,
    staged: Option<Staged>,
    /// The session's age at which the upload moves to a newer one.
    leave_at: Duration,
}

impl Chunks {
    async fn write(mut self, mut waiting: mpsc::Receiver<Work>) -> Result<Sealed, WriteError> {
        let mut open: Option<ChunkWriter> = None;
        while let Some(work) = waiting.recv().await {
            match work {
                Work::Open(length, hash) => open = Some(self.open(length, hash).await?),
                Work::Stripe(plain) => open.as_mut().ok_or_else(out_of_order)?.push(plain).await?,
                Work::Seal(sha256) => {
                    self.seal(open.take().ok_or_else(out_of_order)?, sha256)
                        .await?;
                }
            }
        }
        if open.is_some() {
            return Err(WriteError::Internal("the body went away".to_owned()));
        }
        Ok(Sealed {
            extents: self.all_sealed().await?,
            session: self.session,
            staged: self.staged,
        })
    }

    async fn open(&mut self, length: u64, hash: bool) -> Result<ChunkWriter, WriteError> {
        if self.session.age() >= self.leave_at || buggify("upload-moves-on") {
            self.leave_session().await?;
        }
        self.session.hold(length);
        ChunkWriter::open(&self.path, &self.session, self.home.domain, length, hash).await
    }

    /// Moves to a newer session between two chunks: all that the old one holds is sealed. Where that
    /// cannot be done now the old one goes on to hold it.
    async fn leave_session(&mut self) -> Result<(), WriteError> {
        let Some(bucket) = self.home.bucket else {
            return Ok(());
        };
        let extents = self.all_sealed().await?;
        if self.staged.is_none() && !extents.is_empty() {
            let view = self.path.views.get().await?;
            self.staged = Some(Staged::new(self.session.stamp(view.group)));
        }
        let moved = match &mut self.staged {
            None => self.session.carry(None).await,
            Some(staged) => manifest::carry(&mut self.session, bucket, staged, &extents).await,
        };
        match moved {
            Ok(()) => self.leave_at = LEAVE_AT,
            Err(CommitError::Unavailable(error)) => {
                tracing::warn!(error, "a long upload stays in its session");
                self.leave_at = self.session.age() + Duration::from_secs(limits::SESSION_SECS);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Every chunk so far, once each is durable.
    async fn all_sealed(&mut self) -> Result<Vec<wire::ExtentWrite>, WriteError> {
        while let Some(sealed) = self.sealing.join_next().await {
            self.note(sealed)?;
        }
        let sealed = self.sealed.iter().cloned();
        sealed.collect::<Option<_>>().ok_or_else(out_of_order)
    }

    /// Seals behind, so that the disks' flush does not stop the body; few at once.
    async fn seal(&mut self, chunk: ChunkWriter, sha256: Option<Sha256>) -> Result<(), WriteError> {
        while self.sealing.len() >= tuning::SEALING_CHUNKS {
            if let Some(sealed) = self.sealing.join_next().await {
                self.note(sealed)?;
            }
        }
        let at = self.sealed.len();
        self.sealed.push(None);
        self.sealing
            .spawn(async move { (at, chunk.seal(sha256).await) });
        Ok(())
    }

    fn note(
        &mut self,
        sealed: Result<(usize, Result<wire::ExtentWrite, WriteError>), tokio::task::JoinError>,
    ) -> Result<(), WriteError> {
        let (at, extent) = sealed.map_err(|error| WriteError::Internal(error.to_string()))?;
        if let Some(place) = self.sealed.get_mut(at) {
            *place = Some(extent?);
        }
        Ok(())
    }
}

fn out_of_order() -> WriteError {
    WriteError::Internal("work out of order".to_owned())
}

/// A task that does not outlive the wait for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> AbortOnDrop<Result<T, WriteError>> {
    async fn join(mut self) -> Result<T, WriteError> {
        (&mut self.0)
            .await
            .unwrap_or_else(|error| Err(WriteError::Internal(error.to_string())))
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
