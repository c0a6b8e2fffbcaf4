//! Calls survive the wire, and bytes that are none never panic.

use super::*;
use cairn_model::{Coding, DomainId, SessionId, Sha256};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

fn any_stamp() -> impl Strategy<Value = Incarnation> {
    let u48 = 0..=cairn_model::incarnation::U48_MAX;
    (any::<u16>(), any::<u16>(), u48.clone(), u48).prop_map(
        |(group, generation, session, counter)| Incarnation {
            group,
            generation,
            session: SessionId(session),
            counter,
        },
    )
}

fn any_chunk() -> impl Strategy<Value = ChunkId> {
    any::<(u64, [u8; 32])>().prop_map(|(domain, digest)| ChunkId {
        domain: DomainId(domain),
        sha256: Sha256(digest),
    })
}

/// What the other side decodes.
fn sent<M: Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

proptest! {
    #[test]
    fn headers_and_receipts_round_trip(
        disk: [u8; 16], epoch: u64, incarnation in any_stamp(), k in 1_u8..=16, m in 0_u8..=8,
        shard in any::<prop::sample::Index>(), chunk_len in 0..=limits::CHUNK_LEN_MAX,
    ) {
        let coding = Coding::new(k, m).unwrap();
        let shard = shard.index(coding.shards()) as u8;
        let disk = DiskId(disk);
        let header = ShardHeader { disk, epoch, incarnation, shard, coding, chunk_len };
        prop_assert_eq!(header_of(&sent(&header_to(&header))), Some(header));
        let receipt = ShardReceipt { disk, incarnation, shard };
        prop_assert_eq!(receipt_of(&sent(&receipt_to(&receipt))), Some(receipt));
    }

    #[test]
    fn reads_trailers_and_lists_round_trip(
        disk: [u8; 16], numbers: (u64, u64, u32, u8, bool), incarnation in any_stamp(),
        chunk in any_chunk(), table in vec(any::<u32>(), 0..50),
    ) {
        let disk = DiskId(disk);
        let (epoch, first_cell, cells, shard, with_table) = numbers;
        let read = ShardRead { disk, epoch, chunk, incarnation, shard, first_cell, cells, with_table };
        prop_assert_eq!(read_of(&sent(&read_to(&read))), Some(read));
        let trailer = ShardTrailer { chunk, cell_table: table.into() };
        prop_assert_eq!(trailer_of(sent(&trailer_to(&trailer))), Some(trailer));
        let deletes = vec![ShardDelete { chunk, incarnation }; 3];
        let heard = deletes_of(&sent(&deletes_to(disk, 7, &deletes)));
        prop_assert_eq!(heard, Some((disk, 7, deletes)));
        let found = vec![ShardFound { chunk, incarnation, shard }; 3];
        prop_assert_eq!(found_of(&sent(&found_to(&found))), Some(found));
        let asked = wire::Inventory {
            disk: disk_to(disk),
            after: Some(place_to((incarnation, shard))),
            limit: 7,
        };
        let read = Some((disk, Some((incarnation, shard)), 7));
        prop_assert_eq!(inventory_of(&sent(&asked)), read);
    }

    #[test]
    fn any_message_is_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        let bytes = bytes.as_slice();
        let _ = wire::Prepare::decode(bytes).map(|message| header_of(&message));
        let _ = wire::Read::decode(bytes).map(|message| read_of(&message));
        let _ = wire::Trailer::decode(bytes).map(trailer_of);
        let _ = wire::Delete::decode(bytes).map(|message| deletes_of(&message));
        let _ = wire::Inventory::decode(bytes).map(|message| inventory_of(&message));
        let _ = wire::Found::decode(bytes).map(|message| found_of(&message));
        let _ = wire::Receipt::decode(bytes).map(|message| receipt_of(&message));
    }
}

#[test]
fn refuses_lists_and_tables_beyond_their_bounds() {
    let delete = wire::Delete {
        disk: disk_to(DiskId([1; 16])),
        writings: vec![wire::Writing::default(); limits::RPC_DELETES_MAX + 1],
        generation: 1,
    };
    assert_eq!(deletes_of(&delete), None);
    assert!(table_of(vec![0; TABLE_CELLS_MAX]).is_some());
    assert!(table_of(vec![0; TABLE_CELLS_MAX + 1]).is_none());
}

/// The bounds in `limits` count on these sizes.
#[test]
fn the_longest_lists_fit_a_frame() {
    let stamp = Incarnation {
        group: u16::MAX,
        generation: u16::MAX,
        session: SessionId(1),
        counter: 1,
    };
    let chunk = ChunkId {
        domain: DomainId(u64::MAX),
        sha256: Sha256([255; 32]),
    };
    let most = limits::WIRE_PAYLOAD_MAX as usize;
    let found = ShardFound {
        chunk,
        incarnation: stamp,
        shard: 255,
    };
    let found = found_to(&vec![found; limits::RPC_INVENTORY_MAX]);
    assert!(found.encoded_len() + 16 < most);
    let delete = ShardDelete {
        chunk,
        incarnation: stamp,
    };
    let deletes = vec![delete; limits::RPC_DELETES_MAX];
    assert!(deletes_to(DiskId([1; 16]), u16::MAX, &deletes).encoded_len() + 16 < most);
}
