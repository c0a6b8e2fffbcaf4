//! Round trips of every key kind, and the order their scans rest on.

use cairn_model::{ChunkId, DomainId, Incarnation, SessionId, Sha256};
use proptest::collection::vec;
use proptest::prelude::*;

use super::bucket::{BucketKey, BucketNameKey, DeadBucketKey};
use super::chunk::{ChunkKey, ChunkRow};
use super::cluster::{ClusterKey, CountersKey, SettingsKey};
use super::condemned::CondemnedKey;
use super::debt::{DebtKey, DebtMark, DiskDebtKey, SlotDebtKey, marks};
use super::lease::{LeaseEndKey, LeaseKey};
use super::manifest::{ManifestKey, PageKey, ReleaseKey};
use super::node::{JoinTokenKey, NodeKey};
use super::object::ObjectKey;
use super::partition::PartitionKey;
use super::pin::{PinKey, PinTarget, SessionPinKey};
use super::session::{OutcomeKey, SessionKey, StagedKey};
use super::upload::{DeadUploadKey, PartKey, UploadKey};
use super::user::{UserIdKey, UserKey};
use super::*;

fn round_trip<K: KeyKind + PartialEq + std::fmt::Debug>(key: &K) {
    let bytes = key.encode();
    assert_eq!(bytes[0], K::PREFIX);
    assert_eq!(&K::decode(&bytes).unwrap(), key);
    let mut other = bytes.clone();
    other[0] ^= 0x80;
    assert!(K::decode(&other).is_err());
}

proptest! {
    #[test]
    fn every_key_round_trips(
        number: u64, small: u32, stamp: [u8; 16], digest: [u8; 32],
        key in vec(any::<u8>(), 0..40), name in "[a-z0-9.-]{3,63}",
    ) {
        round_trip(&ClusterKey);
        round_trip(&CountersKey);
        round_trip(&SettingsKey);
        round_trip(&PartitionKey(small));
        round_trip(&NodeKey(number));
        round_trip(&JoinTokenKey(digest));
        round_trip(&UserKey(name.clone()));
        round_trip(&UserIdKey(name.clone()));
        round_trip(&SessionKey(number));
        round_trip(&OutcomeKey { session: number, operation: u64::from(small) });
        round_trip(&StagedKey { session: number, manifest: stamp });
        round_trip(&BucketNameKey(name));
        round_trip(&BucketKey(number));
        round_trip(&DeadBucketKey(number));
        round_trip(&ObjectKey { bucket: number, key: key.clone() });
        round_trip(&UploadKey { bucket: number, key, upload: stamp });
        round_trip(&PartKey { upload: stamp, number: small });
        round_trip(&DeadUploadKey(stamp));
        round_trip(&ManifestKey(stamp));
        round_trip(&PageKey { manifest: stamp, page: small });
        round_trip(&ReleaseKey { epoch: number, manifest: stamp });
        let chunk = ChunkId { domain: DomainId(number), sha256: Sha256(digest) };
        round_trip(&ChunkKey(chunk));
        for target in [PinTarget::Chunk(chunk), PinTarget::Manifest(stamp)] {
            round_trip(&PinKey { target, session: number });
            round_trip(&SessionPinKey { session: number, target });
        }
        round_trip(&DebtKey { spare: digest[0], chunk });
        round_trip(&SlotDebtKey { shard: digest[0], place: small, chunk });
        round_trip(&DiskDebtKey { disk: stamp, chunk });
        round_trip(&LeaseKey(chunk));
        round_trip(&LeaseEndKey { end_ms: number, chunk });
        let incarnation = Incarnation { group: 1, generation: 2, session: SessionId(3), counter: u64::from(small) };
        round_trip(&CondemnedKey { epoch: number, chunk, incarnation });
    }

    #[test]
    fn object_rows_sort_by_key_and_none_lies_among_another_ones_versions(
        a in vec(any::<u8>(), 0..6), b in vec(any::<u8>(), 0..6),
    ) {
        let row = |key: &Vec<u8>| ObjectKey { bucket: 1, key: key.clone() }.encode();
        prop_assert_eq!(row(&a).cmp(&row(&b)), a.cmp(&b));
        prop_assert_eq!(row(&a).starts_with(&ObjectKey::keys_with(1, &b)), a.starts_with(&b));
        prop_assert_eq!(row(&a).starts_with(&ObjectKey::versions_of(1, &b)), a == b);
        prop_assert_eq!(row(&a), ObjectKey::versions_of(1, &a));
    }

    #[test]
    fn the_debt_of_a_slot_is_one_range_whatever_the_number_of_partitions(
        bits in 1_u32..=16, place: u32, shard: u8, other: u8, partition: u32, digest: [u8; 32],
    ) {
        let partition = partition >> (32 - bits);
        let chunk = ChunkId { domain: DomainId(1), sha256: Sha256(digest) };
        let key = SlotDebtKey { shard: other, place, chunk }.encode();
        let inside = std::ops::RangeBounds::contains(&SlotDebtKey::of(partition, bits, shard), &key);
        prop_assert_eq!(inside, shard == other && place >> (32 - bits) == partition);
        let own = SlotDebtKey { shard, place, chunk }.encode();
        let range = SlotDebtKey::of(place >> (32 - bits), bits, shard);
        prop_assert!(std::ops::RangeBounds::contains(&range, &own));
    }

    #[test]
    fn leases_sort_by_their_end(a: (u64, [u8; 32]), b: (u64, [u8; 32])) {
        let key = |(end_ms, digest): (u64, [u8; 32])| LeaseEndKey {
            end_ms,
            chunk: ChunkId { domain: DomainId(1), sha256: Sha256(digest) },
        };
        prop_assert_eq!(key(a).encode().cmp(&key(b).encode()), a.cmp(&b));
    }

    #[test]
    fn keys_of_other_forms_are_refused(bytes in vec(any::<u8>(), 0..80)) {
        let mut key = vec![ObjectKey::PREFIX];
        key.extend_from_slice(&bytes);
        if let Ok(read) = ObjectKey::decode(&key) {
            prop_assert_eq!(read.encode(), key);
        }
        prop_assert_eq!(OutcomeKey::read(&bytes).is_some(), bytes.len() == 16);
    }

    #[test]
    fn rows_of_other_formats_are_refused(bytes in vec(any::<u8>(), 0..80)) {
        let value = Bytes::from(bytes.clone());
        if bytes.first() != Some(&1) {
            prop_assert!(ChunkKey::decode_row(&value).is_err());
        } else {
            let _no_panic = ChunkKey::decode_row(&value);
        }
    }
}

#[test]
fn the_most_endangered_chunk_sorts_first() {
    use cairn_wire::metadata::Debt;
    let chunk = ChunkId {
        domain: DomainId(9),
        sha256: Sha256([0; 32]),
    };
    let row = |parity: u32, debts: u32, suspect: bool| ChunkRow {
        coding: Some(cairn_wire::metadata::Coding {
            data: 4,
            parity,
            cell: 65_536,
            layout: 1,
        }),
        debt: (0..debts)
            .map(|shard| Debt {
                shard,
                disk: vec![1; 16].into(),
                found: Bytes::new(),
            })
            .collect(),
        suspect,
        ..ChunkRow::default()
    };
    let spare = |row: ChunkRow| {
        let first = marks(chunk, &row).first().copied();
        match first {
            Some(DebtMark::Chunk(key)) => Some(key.spare),
            _ => None,
        }
    };
    assert_eq!(spare(row(2, 0, false)), None);
    assert_eq!(spare(row(2, 0, true)), Some(1));
    assert_eq!(spare(row(2, 1, false)), Some(1));
    assert_eq!(spare(row(2, 2, true)), Some(0), "never below none");
    assert_eq!(spare(row(3, 1, false)), Some(2));
}

#[test]
fn rows_round_trip_behind_their_format_byte() {
    let row = ChunkRow {
        refs: 7,
        suspect: true,
        ..ChunkRow::default()
    };
    let value = ChunkKey::encode_row(&row);
    assert_eq!(value[0], 1);
    assert_eq!(ChunkKey::decode_row(&value).unwrap(), row);
}

#[test]
fn no_two_kinds_share_a_prefix() {
    let mut prefixes = vec![
        ClusterKey::PREFIX,
        CountersKey::PREFIX,
        SettingsKey::PREFIX,
        PartitionKey::PREFIX,
        UserKey::PREFIX,
        UserIdKey::PREFIX,
        SessionKey::PREFIX,
        OutcomeKey::PREFIX,
        StagedKey::PREFIX,
        BucketNameKey::PREFIX,
        BucketKey::PREFIX,
        DeadBucketKey::PREFIX,
        ObjectKey::PREFIX,
        UploadKey::PREFIX,
        PartKey::PREFIX,
        DeadUploadKey::PREFIX,
        ManifestKey::PREFIX,
        PageKey::PREFIX,
        ReleaseKey::PREFIX,
        ChunkKey::PREFIX,
        CondemnedKey::PREFIX,
        LeaseKey::PREFIX,
        NodeKey::PREFIX,
        JoinTokenKey::PREFIX,
        LeaseEndKey::PREFIX,
        PinKey::PREFIX,
        SessionPinKey::PREFIX,
    ];
    let count = prefixes.len();
    prefixes.sort_unstable();
    prefixes.dedup();
    assert_eq!(prefixes.len(), count);
    assert!(!prefixes.contains(&0), "0x00 is the Raft host's");
}
