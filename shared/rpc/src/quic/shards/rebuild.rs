//! Shards made anew on another node. It may take minutes, so the node gives signs of life, and the
//! caller's time limit is for silence only.

use std::sync::Arc;

use async_trait::async_trait;
use cairn_model::{ChunkId, DiskId, limits};
use cairn_wire::storage as wire;
use cairn_wire::storage::reply::Outcome;
use cairn_wire::storage::request::Call as Asked;
use cairn_world::Clock;

use super::client::{ShardClient, outcome};
use super::convert;
use super::failure::unexpected;
use super::server::answer;
use crate::quic::dispatch::{Abort, ServerCall};
use crate::quic::tuning;
use crate::{Rebuild, Rebuilt, ShardError, ShardRebuild};

fn order_to(order: &Rebuild) -> wire::Rebuild {
    let source = |(shard, disk): &(u8, DiskId)| wire::Source {
        shard: u32::from(*shard),
        disk: convert::disk_to(*disk),
    };
    wire::Rebuild {
        chunk: convert::bytes(order.chunk.to_bytes()),
        incarnation: convert::bytes(order.incarnation.to_bytes()),
        coding: Some(order.coding.into()),
        chunk_length: order.chunk_len,
        table_digest: convert::bytes(order.table_digest),
        shard: u32::from(order.shard),
        disk: convert::disk_to(order.disk),
        epoch: order.epoch,
        sources: order.sources.iter().map(source).collect(),
        thorough: order.thorough,
    }
}

/// An order that can be: shards within its coding, a length a chunk can have, no more sources than
/// are read.
pub(super) fn order_of(asked: &wire::Rebuild) -> Option<Rebuild> {
    let coding = asked.coding?.read()?;
    let shard_of = |shard: u32| {
        let shard = u8::try_from(shard).ok()?;
        (usize::from(shard) < coding.shards()).then_some(shard)
    };
    let source =
        |source: &wire::Source| Some((shard_of(source.shard)?, convert::disk_of(&source.disk)?));
    let length = 1..=limits::CHUNK_LEN_MAX;
    let fits =
        length.contains(&asked.chunk_length) && asked.sources.len() <= limits::REBUILD_SOURCES_MAX;
    fits.then_some(())?;
    Some(Rebuild {
        chunk: ChunkId::from_bytes(&asked.chunk)?,
        incarnation: convert::stamp_of(&asked.incarnation)?,
        coding,
        chunk_len: asked.chunk_length,
        table_digest: asked.table_digest.as_ref().try_into().ok()?,
        shard: shard_of(asked.shard)?,
        disk: convert::disk_of(&asked.disk)?,
        epoch: asked.epoch,
        sources: asked.sources.iter().map(source).collect::<Option<_>>()?,
        thorough: asked.thorough,
    })
}

fn manner_to(rebuilt: Rebuilt) -> wire::Rebuilt {
    let manner = match rebuilt {
        Rebuilt::Found => wire::Manner::Found,
        Rebuilt::Written => wire::Manner::Written,
    };
    wire::Rebuilt {
        manner: manner.into(),
    }
}

fn manner_of(rebuilt: &wire::Rebuilt) -> Option<Rebuilt> {
    match rebuilt.manner() {
        wire::Manner::Found => Some(Rebuilt::Found),
        wire::Manner::Written => Some(Rebuilt::Written),
        wire::Manner::Unknown => None,
    }
}

/// What serves the call here.
#[derive(Debug)]
pub(super) struct Rebuilds {
    pub(super) rebuild: Arc<dyn ShardRebuild>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Rebuilds {
    /// Carries an order out, with a sign of life now and then.
    pub(super) async fn carry_out(
        &self,
        order: Rebuild,
        call: &mut ServerCall,
    ) -> Result<(), Abort> {
        let mut work = self.rebuild.rebuild(order);
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut work => break outcome,
                () = self.clock.sleep(tuning::AT_WORK) => {
                    answer(call, Ok(Outcome::AtWork(wire::AtWork {}))).await?;
                }
            }
        };
        answer(call, outcome.map(|done| Outcome::Rebuilt(manner_to(done)))).await
    }
}

#[async_trait]
impl ShardRebuild for ShardClient {
    async fn rebuild(&self, order: Rebuild) -> Result<Rebuilt, ShardError> {
        if order.sources.len() > limits::REBUILD_SOURCES_MAX {
            return Err(ShardError::Refused("too many sources"));
        }
        let mut call = self.ask(Asked::Rebuild(order_to(&order))).await?;
        call.finish();
        loop {
            match outcome(&mut call).await? {
                Outcome::AtWork(_) => call.until(self.peer.deadline(self.within)),
                Outcome::Rebuilt(done) => return manner_of(&done).ok_or_else(unexpected),
                _ => return Err(unexpected()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::{Coding, DomainId, Incarnation, SessionId, Sha256};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use prost::Message as _;

    fn order(shard: u8, sources: Vec<(u8, DiskId)>) -> Rebuild {
        Rebuild {
            chunk: ChunkId {
                domain: DomainId(7),
                sha256: Sha256([3; 32]),
            },
            incarnation: Incarnation {
                group: 1,
                generation: 2,
                session: SessionId(3),
                counter: 4,
            },
            coding: Coding::new(4, 2).unwrap(),
            chunk_len: 9_000_000,
            table_digest: [5; 16],
            shard,
            disk: DiskId([6; 16]),
            epoch: 77,
            sources,
            thorough: false,
        }
    }

    fn sent(message: &wire::Rebuild) -> wire::Rebuild {
        wire::Rebuild::decode(message.encode_to_vec().as_slice()).unwrap()
    }

    proptest! {
        #[test]
        fn orders_round_trip(
            k in 1_u8..=16, m in 0_u8..=8, chunk_len in 1..=limits::CHUNK_LEN_MAX,
            pick: prop::sample::Index, thorough: bool, numbers: (u64, [u8; 16], [u8; 16], [u8; 32]),
            sources in vec((any::<prop::sample::Index>(), any::<[u8; 16]>()), 0..40),
        ) {
            let coding = Coding::new(k, m).unwrap();
            let shard = |pick: prop::sample::Index| pick.index(coding.shards()) as u8;
            let (epoch, disk, table_digest, digest) = numbers;
            let sources = sources.into_iter().map(|(pick, disk)| (shard(pick), DiskId(disk)));
            let order = Rebuild {
                chunk: ChunkId { domain: DomainId(epoch), sha256: Sha256(digest) },
                coding, chunk_len, table_digest, epoch, thorough,
                disk: DiskId(disk),
                ..order(shard(pick), sources.collect())
            };
            prop_assert_eq!(order_of(&sent(&order_to(&order))), Some(order));
        }

        #[test]
        fn any_bytes_are_an_order_or_refused(bytes in vec(any::<u8>(), 0..200)) {
            let _ = wire::Rebuild::decode(bytes.as_slice()).map(|message| order_of(&message));
            let _ = wire::Rebuilt::decode(bytes.as_slice()).map(|message| manner_of(&message));
        }
    }

    #[test]
    fn manners_round_trip_and_one_of_tomorrow_is_no_answer() {
        for rebuilt in [Rebuilt::Found, Rebuilt::Written] {
            assert_eq!(manner_of(&manner_to(rebuilt)), Some(rebuilt));
        }
        for manner in [0, 3, -1] {
            assert_eq!(manner_of(&wire::Rebuilt { manner }), None);
        }
    }

    #[test]
    fn refuses_orders_that_cannot_be() {
        let good = order_to(&order(5, vec![(0, DiskId([1; 16]))]));
        assert!(order_of(&good).is_some());
        type Change = fn(&mut wire::Rebuild);
        let changes: [Change; 13] = [
            |order| order.shard = 6,
            |order| order.shard = 256,
            |order| order.coding = None,
            |order| order.coding.as_mut().unwrap().data = 0,
            |order| order.chunk_length = 0,
            |order| order.chunk_length = limits::CHUNK_LEN_MAX + 1,
            |order| order.table_digest = vec![1; 15].into(),
            |order| order.chunk = vec![1; 41].into(),
            |order| order.incarnation = vec![1; 15].into(),
            |order| order.disk = vec![].into(),
            |order| order.sources[0].shard = 6,
            |order| order.sources[0].disk = vec![1; 17].into(),
            |order| {
                let source = order.sources[0].clone();
                order.sources = vec![source; limits::REBUILD_SOURCES_MAX + 1];
            },
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut bad = good.clone();
            change(&mut bad);
            assert_eq!(order_of(&bad), None, "change {number}");
        }
    }
}
