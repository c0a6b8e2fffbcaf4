//! An object's bytes in order, checked, a few stripes at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::{ChunkId, DomainId, limits};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::object::Place;
use cairn_world::buggify;
use crc_fast::CrcAlgorithm::Crc64Nvme;
use crc_fast::checksum;
use sha2::Digest as _;

use crate::data::chunk_reader::{ChunkReader, ChunkRow, gives_unchecked};
use crate::data::layout::{ChunkRun, Layout, Run};
use crate::data::session::{Entered, Needs};
use crate::data::{DataPath, ReadError};
use crate::tuning;

const _: () = assert!(2 * tuning::READ_STRIPES <= limits::STRIPES_PER_REQUEST as u64);

const LEAVE_AT: Duration = Duration::from_secs(limits::READ_REPIN_SECS);

/// A chunk being read.
#[derive(Debug)]
struct Open {
    reader: ChunkReader,
    /// What is still to be read of it.
    left: Range<u64>,
    /// The CRC so far, where the whole chunk is read.
    crc: Option<crc_fast::Digest>,
    /// The SHA-256 so far, where it is asked for as well.
    sha256: Option<sha2::Sha256>,
}

/// Reads a range of an object. The session must have been entered before the object's row was read.
#[derive(Debug)]
pub(crate) struct Reader {
    path: Arc<DataPath>,
    session: Entered,
    /// What must stay for as long as this reads.
    needs: Needs,
    /// The session's age at which the read moves to a newer one.
    leave_at: Duration,
    layout: Layout,
    runs: VecDeque<Run>,
    rows: BTreeMap<ChunkId, ChunkRow>,
    open: Option<Open>,
}

impl Reader {
    /// A reader of `range` of `object`, whose chunks lie in `domain`.
    pub(crate) fn new(
        path: &Arc<DataPath>,
        mut session: Entered,
        domain: DomainId,
        object: &wire::Object,
        range: Range<u64>,
    ) -> Self {
        session.hold(range.end.saturating_sub(range.start));
        Self {
            path: Arc::clone(path),
            session,
            needs: needs(domain, object),
            leave_at: LEAVE_AT,
            layout: Layout::new(path.metadata.clone(), domain, object, range),
            runs: VecDeque::new(),
            rows: BTreeMap::new(),
            open: None,
        }
    }

    /// Chunk rows that came with the object's row: they need not be asked for.
    pub(crate) fn knowing(mut self, rows: Vec<ChunkRow>) -> Self {
        self.rows = rows.into_iter().map(|row| (row.chunk, row)).collect();
        self
    }

    /// A reader of `range` of one chunk, whose row was read in the session. All of a chunk is
    /// checked by its SHA-256 too.
    pub(crate) fn of_chunk(
        path: &Arc<DataPath>,
        session: Entered,
        row: ChunkRow,
        range: Range<u64>,
    ) -> Self {
        let no_more = wire::Object::default();
        let mut reader = Self::new(path, session, row.chunk.domain, &no_more, 0..0);
        let whole = range == (0..row.length);
        reader.session.hold(range.end.saturating_sub(range.start));
        reader.open = Some(Open {
            reader: ChunkReader::new(path, &reader.session, row),
            left: range,
            crc: whole.then(|| crc_fast::Digest::new(Crc64Nvme)),
            sha256: whole.then(sha2::Sha256::new),
        });
        reader
    }

    /// The next pieces, every byte of them checked; none at the end.
    ///
    /// # Errors
    /// See [`ReadError`]. After one, nothing more may be given to the client.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Bytes>>, ReadError> {
        if self.session.age() >= self.leave_at || buggify("read-moves-on") {
            self.leave_session().await;
            if buggify("read-lingers") {
                // Long enough for what the old session held to be let go of.
                self.path.clock.sleep(Duration::from_secs(40)).await;
            }
        }
        loop {
            if let Some(open) = &mut self.open {
                if !open.left.is_empty() {
                    return open.read().await.map(Some);
                }
                self.open = None;
            }
            match self.next_run().await? {
                None => return Ok(None),
                Some(Run::Inline {
                    bytes,
                    wanted,
                    crc64nvme,
                }) => return inline(&bytes, wanted, crc64nvme).map(|bytes| Some(vec![bytes])),
                Some(Run::Chunk(run)) => self.open = Some(self.open(run)?),
            }
        }
    }

    /// Moves to a newer session. Where that fails now the old one goes on to hold what is read.
    async fn leave_session(&mut self) {
        if let Err(error) = self.session.renew(self.needs.clone()).await {
            tracing::warn!(%error, "a long read stays in its session");
            self.leave_at = self.session.age() + Duration::from_secs(limits::SESSION_SECS);
            return;
        }
        self.leave_at = LEAVE_AT;
        if let Some(open) = &mut self.open {
            open.reader.move_to(&self.session);
        }
    }

    /// The next run; the rows of many chunks are read at once.
    async fn next_run(&mut self) -> Result<Option<Run>, ReadError> {
        if self.runs.is_empty() {
            let ahead = if buggify("chunk-rows-one-by-one") {
                1
            } else {
                tuning::CHUNK_ROWS_AHEAD
            };
            while self.runs.len() < ahead
                && let Some(run) = self.layout.next().await?
            {
                self.runs.push_back(run);
            }
            let chunks = self.runs.iter().filter_map(|run| match run {
                Run::Chunk(run) => Some(run.chunk),
                Run::Inline { .. } => None,
            });
            let chunks: BTreeSet<ChunkId> = chunks.collect();
            self.rows.retain(|chunk, _| chunks.contains(chunk));
            let unknown = chunks.into_iter();
            let unknown: Vec<ChunkId> = unknown
                .filter(|chunk| !self.rows.contains_key(chunk))
                .collect();
            if !unknown.is_empty() {
                let rows = ChunkRow::fetch(&self.path.metadata, unknown).await?;
                self.rows.extend(rows);
            }
        }
        Ok(self.runs.pop_front())
    }

    fn open(&self, run: ChunkRun) -> Result<Open, ReadError> {
        let row = self
            .rows
            .get(&run.chunk)
            .filter(|row| row.length == run.chunk_length);
        let Some(row) = row.cloned() else {
            tracing::error!(chunk = ?run.chunk, "a manifest names a chunk that has no such row");
            return Err(ReadError::Lost);
        };
        let whole = run.offset == 0 && run.length == run.chunk_length;
        Ok(Open {
            reader: ChunkReader::new(&self.path, &self.session, row),
            left: run.offset..run.offset + run.length,
            crc: whole.then(|| crc_fast::Digest::new(Crc64Nvme)),
            sha256: None,
        })
    }
}

/// What a row names, as pins name it. Pages keep all that they name.
fn needs(domain: DomainId, object: &wire::Object) -> Needs {
    match &object.place {
        None | Some(Place::Inline(_)) => Needs::default(),
        Some(Place::Extents(list)) => {
            let extents = list.extents.iter();
            let chunks = extents.map(|extent| wire::ChunkKey {
                domain: domain.0,
                sha256: extent.sha256.clone(),
            });
            Needs {
                chunks: chunks.collect(),
                manifests: Vec::new(),
            }
        }
        Some(
            Place::Pages(wire::Pages { manifest, .. })
            | Place::PartPages(wire::PartPages { manifest, .. }),
        ) => Needs {
            chunks: Vec::new(),
            manifests: vec![manifest.clone()],
        },
    }
}

impl Open {
    /// The next stripes. The last are given only if the digests of the whole agree.
    async fn read(&mut self) -> Result<Vec<Bytes>, ReadError> {
        let end = self
            .reader
            .piece_end(self.left.start, tuning::READ_STRIPES)
            .min(self.left.end);
        let range = self.left.start..end;
        let pieces = self.reader.read(range.clone()).await?;
        let length: usize = pieces.iter().map(Bytes::len).sum();
        if u64::try_from(length).ok() != Some(range.end - range.start) {
            tracing::error!(chunk = ?self.reader.row().chunk, "a chunk is shorter than its row says");
            return Err(ReadError::Lost);
        }
        self.left.start = end;
        if let Some(crc) = &mut self.crc {
            pieces.iter().for_each(|piece| crc.update(piece));
            let differs = || crc.finalize() != self.reader.row().crc64nvme;
            if self.left.is_empty() && differs() && !gives_unchecked() {
                self.reader
                    .report("the CRC-64/NVME of the whole chunk differs");
                return Err(ReadError::Lost);
            }
        }
        if let Some(sha256) = &mut self.sha256 {
            pieces.iter().for_each(|piece| sha256.update(piece));
            let named = self.reader.row().chunk.sha256.0;
            if self.left.is_empty() && sha256.finalize_reset().as_slice() != named.as_slice() {
                self.reader.report("the SHA-256 of the whole chunk differs");
                return Err(ReadError::Lost);
            }
        }
        Ok(pieces)
    }
}

fn inline(bytes: &Bytes, wanted: Range<usize>, crc: Option<u64>) -> Result<Bytes, ReadError> {
    if crc.is_some_and(|crc| checksum(Crc64Nvme, bytes) != crc) {
        tracing::error!("inline content does not agree with its CRC-64/NVME");
        return Err(ReadError::Lost);
    }
    Ok(bytes.slice(wanted))
}

#[cfg(test)]
mod tests;
