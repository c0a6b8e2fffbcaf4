//! The disks a rebuild reads from: in which order, and what is known of each.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cairn_erasure::{CellTable, StripeDecoder};
use cairn_model::DiskId;
use cairn_rpc::{Rebuild, ShardCells, ShardError, ShardRead, ShardRoutes, ShardService};
use cairn_world::Clock;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::attempt::Attempt;
use crate::node::StorageNode;
use crate::tuning::SOURCE_PATIENCE;

/// What the reads of an order have shown of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    Fine,
    /// It gave cells that are wrong, or lost some: asked last, for others may be right.
    Doubtful,
    /// It surely does not have the shard.
    Lost,
    /// It may have it, and does not give it now.
    Away,
}

/// A shard on a disk.
#[derive(Debug)]
struct Source {
    shard: u8,
    disk: DiskId,
    service: Option<Arc<dyn ShardService>>,
    standing: Standing,
}

/// Which source was read, and what it gave.
type Answer = (usize, Result<ShardCells, ShardError>);

/// All sources of an order.
#[derive(Debug)]
pub(super) struct Sources {
    order: Rebuild,
    clock: Arc<dyn Clock>,
    known: Vec<Source>,
    decoder: Option<StripeDecoder>,
    /// A source knows a newer partition row than the order's.
    stale: Option<u64>,
}

impl Sources {
    /// The sources of `order`. Where its own disk holds a bad record, that comes last; this node's
    /// disks are read directly.
    pub(super) fn new(
        order: Rebuild,
        is_replaced: bool,
        node: &Arc<StorageNode>,
        routes: &Arc<dyn ShardRoutes>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let source = |(shard, disk): &(u8, DiskId)| {
            let is_own = (*shard, *disk) == (order.shard, order.disk);
            let service = if node.has(*disk) {
                Some(Arc::clone(node) as Arc<dyn ShardService>)
            } else {
                routes.shards(*disk)
            };
            Source {
                shard: *shard,
                disk: *disk,
                standing: match (&service, is_own) {
                    (_, true) if is_replaced => Standing::Doubtful,
                    (_, true) => Standing::Lost,
                    (None, _) => Standing::Away,
                    (Some(_), _) => Standing::Fine,
                },
                service,
            }
        };
        let known = order.sources.iter().map(source).collect();
        Self {
            order,
            clock,
            known,
            decoder: None,
            stale: None,
        }
    }

    pub(super) fn order(&self) -> &Rebuild {
        &self.order
    }

    /// The chunk's cell table, once a source gave it.
    pub(super) fn table(&self) -> Option<&CellTable> {
        self.decoder.as_ref().map(StripeDecoder::table)
    }

    /// The wanted shard's cells of `stripes`, each made of checked ones.
    ///
    /// # Errors
    /// `Missing` where too few sources have good cells; `StaleEpoch` or `Unavailable` where they might.
    pub(super) async fn cells(&mut self, stripes: Range<u64>) -> Result<Vec<Bytes>, ShardError> {
        let short = match self.attempt(stripes.clone()).await {
            Ok(cells) => return Ok(cells),
            Err(short) => short,
        };
        if stripes.end - stripes.start <= 1 {
            return Err(short);
        }
        // A source that lost one cell gives none of a read: alone, the others may do.
        let mut cells = Vec::new();
        for stripe in stripes {
            cells.extend(self.attempt(stripe..stripe + 1).await?);
        }
        Ok(cells)
    }

    async fn attempt(&mut self, stripes: Range<u64>) -> Result<Vec<Bytes>, ShardError> {
        let mut attempt = Attempt::new(&self.order, stripes.clone(), self.ranked());
        let mut reads: FuturesUnordered<BoxFuture<'static, Answer>> = FuturesUnordered::new();
        loop {
            while let Some(number) = attempt.next() {
                match self.read(number, &stripes) {
                    Some(read) => reads.push(read),
                    None => attempt.failed(number),
                }
            }
            let Some((number, outcome)) = reads.next().await else {
                return Err(self.short(&attempt));
            };
            match outcome.and_then(|cells| self.accept(cells, &stripes)) {
                Ok(cells) => attempt.given(number, cells),
                Err(error) => {
                    self.note(number, &error);
                    attempt.failed(number);
                }
            }
            if let Some(decoder) = &self.decoder {
                for number in attempt.decode(decoder) {
                    self.note(number, &ShardError::Corrupt("wrong cells".to_owned()));
                }
            }
            if let Some(cells) = attempt.take() {
                return Ok(cells);
            }
        }
    }

    /// The sources worth asking, by number and shard: good ones as they were ordered, then those in
    /// doubt. A data shard is read as it is where somebody has it; parity has to be worked out.
    fn ranked(&self) -> Vec<(usize, u8)> {
        let whole = usize::from(self.order.shard) < self.order.coding.data();
        let mut ranked: Vec<_> = self
            .known
            .iter()
            .enumerate()
            .filter(|(_, source)| matches!(source.standing, Standing::Fine | Standing::Doubtful))
            .map(|(number, source)| {
                let is_same = whole && source.shard == self.order.shard;
                let rank = (source.standing == Standing::Doubtful, !is_same, number);
                (rank, (number, source.shard))
            })
            .collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, source)| source).collect()
    }

    fn read(&self, number: usize, stripes: &Range<u64>) -> Option<BoxFuture<'static, Answer>> {
        let source = self.known.get(number)?;
        let service = Arc::clone(source.service.as_ref()?);
        let read = ShardRead {
            disk: source.disk,
            epoch: self.order.epoch,
            chunk: self.order.chunk,
            incarnation: self.order.incarnation,
            shard: source.shard,
            first_cell: stripes.start,
            cells: u32::try_from(stripes.end - stripes.start).unwrap_or(u32::MAX),
            with_table: self.decoder.is_none(),
        };
        let patience = self.clock.sleep(SOURCE_PATIENCE);
        Some(Box::pin(async move {
            let outcome = tokio::select! {
                biased;
                outcome = service.read(read) => outcome,
                () = patience => Err(ShardError::Unavailable("it does not answer".to_owned())),
            };
            (number, outcome)
        }))
    }

    /// What was read, if all of it came and its table, where it has one, is the chunk's.
    fn accept(&mut self, read: ShardCells, stripes: &Range<u64>) -> Result<Vec<Bytes>, ShardError> {
        let corrupt = |what: &str| ShardError::Corrupt(what.to_owned());
        if u64::try_from(read.cells.len()) != Ok(stripes.end - stripes.start) {
            return Err(corrupt("another number of cells than asked for"));
        }
        let Rebuild {
            coding, chunk_len, ..
        } = self.order;
        match (read.cell_table, &self.decoder) {
            (Some(entries), _) => {
                let digest = &self.order.table_digest;
                let table = CellTable::checked(coding, chunk_len, entries, digest)
                    .map_err(|wrong| corrupt(&wrong.to_string()))?;
                if self.decoder.is_none() {
                    let decoder = StripeDecoder::new(coding, chunk_len, table);
                    self.decoder = Some(decoder.map_err(|_| corrupt("no decoder takes it"))?);
                }
            }
            (None, None) => return Err(corrupt("no cell table came")),
            (None, Some(_)) => {}
        }
        Ok(read.cells)
    }

    /// What an error says of a source.
    fn note(&mut self, number: usize, error: &ShardError) {
        let Some(source) = self.known.get_mut(number) else {
            return;
        };
        source.standing = match error {
            ShardError::Corrupt(_) => Standing::Doubtful,
            ShardError::Missing => Standing::Lost,
            _ => Standing::Away,
        };
        if let ShardError::StaleEpoch { current } = error {
            self.stale = self.stale.max(Some(*current));
        }
        let Rebuild {
            incarnation, shard, ..
        } = self.order;
        tracing::debug!(%incarnation, wanted = shard, shard = source.shard, disk = %source.disk,
            %error, "a source does not give a shard");
    }

    /// Why an attempt came to nothing: only where no source that is away could have helped is
    /// that evidence of loss.
    fn short(&self, attempt: &Attempt) -> ShardError {
        if let Some(current) = self.stale {
            return ShardError::StaleEpoch { current };
        }
        let away = self
            .known
            .iter()
            .filter(|source| source.standing == Standing::Away);
        let away: Vec<u8> = away.map(|source| source.shard).collect();
        if attempt.might_do_with(&away) {
            return ShardError::Unavailable("too many sources cannot be read now".to_owned());
        }
        ShardError::Missing
    }
}
