use super::*;
use proptest::prelude::*;

fn seed() -> Seed {
    Seed {
        salt: [1; 16],
        cluster_id: [2; 16],
        node_id: 3,
    }
}

fn position() -> impl Strategy<Value = LogPosition> {
    (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(term, leader, index)| LogPosition {
        term,
        leader,
        index,
    })
}

fn record() -> impl Strategy<Value = Record> {
    let payload = prop::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        (any::<u64>(), any::<u64>(), any::<bool>()).prop_map(|(term, leader, committed)| {
            Record::Vote(Vote {
                term,
                leader,
                committed,
            })
        }),
        position().prop_map(Record::Committed),
        position().prop_map(Record::Purged),
        any::<Option<u64>>().prop_map(|keep| match keep {
            Some(keep) => Record::Truncate(Some(keep)),
            None => Record::Truncate(None),
        }),
        (position(), payload).prop_map(|(at, payload)| Record::Entry(at, payload.into())),
    ]
}

fn header() -> impl Strategy<Value = GroupHeader> {
    (
        any::<[u64; 5]>(),
        any::<u32>(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(numbers, payload_len, seal, first)| {
            let [lap, number, durable_upto, oldest_lap, payload_sum] = numbers;
            GroupHeader {
                lap,
                number,
                durable_upto,
                oldest_lap,
                payload_len,
                payload_sum,
                seal,
                first,
            }
        })
}

proptest! {
    #[test]
    fn records_come_back(records in prop::collection::vec(record(), 0..20)) {
        let mut payload = Vec::new();
        let mut ends = Vec::new();
        for record in &records {
            let before = payload.len();
            record.encode(&mut payload);
            prop_assert_eq!(payload.len() - before, record.encoded_len());
            ends.push(payload.len());
        }
        let decoded = decode_records(&payload.into()).unwrap();
        let (back, found): (Vec<_>, Vec<_>) = decoded.into_iter().unzip();
        prop_assert_eq!(back, records);
        prop_assert_eq!(found, ends);
    }

    #[test]
    fn nonsense_is_no_records_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        if let Some(records) = decode_records(&bytes) {
            let mut again = Vec::new();
            for (record, _) in &records {
                record.encode(&mut again);
            }
            prop_assert_eq!(again.len(), bytes.len());
        }
        let place = Place { file: 1, offset: 0 };
        prop_assert_eq!(GroupHeader::decode(&seed(), place, &bytes), None);
    }

    #[test]
    fn a_cut_payload_is_no_payload(records in prop::collection::vec(record(), 1..5), cut in any::<prop::sample::Index>()) {
        let mut payload = Vec::new();
        let mut ends = vec![0];
        for record in &records {
            record.encode(&mut payload);
            ends.push(payload.len());
        }
        let cut = cut.index(payload.len());
        payload.truncate(cut);
        prop_assert_eq!(decode_records(&payload.into()).is_some(), ends.contains(&cut));
    }

    #[test]
    fn headers_come_back_only_where_they_were_written(header in header(), file in any::<u32>(), block in any::<u16>()) {
        let place = Place { file, offset: u64::from(block) * BLOCK as u64 };
        let bytes = header.encode(&seed(), place);
        prop_assert_eq!(GroupHeader::decode(&seed(), place, &bytes), Some(header));
        let elsewhere = Place { offset: place.offset + BLOCK as u64, ..place };
        prop_assert_eq!(GroupHeader::decode(&seed(), elsewhere, &bytes), None);
        let other_file = Place { file: file.wrapping_add(1), ..place };
        prop_assert_eq!(GroupHeader::decode(&seed(), other_file, &bytes), None);
        for other in [
            Seed { salt: [9; 16], ..seed() },
            Seed { cluster_id: [9; 16], ..seed() },
            Seed { node_id: 9, ..seed() },
        ] {
            prop_assert_eq!(GroupHeader::decode(&other, place, &bytes), None);
        }
    }

    #[test]
    fn a_flipped_bit_in_a_header_is_noticed(header in header(), bit in 0..HEADER_LEN * 8) {
        let place = Place { file: 1, offset: 0 };
        let mut bytes = header.encode(&seed(), place);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(GroupHeader::decode(&seed(), place, &bytes), None);
    }
}

#[test]
fn unknown_flags_are_no_header() {
    let place = Place { file: 1, offset: 0 };
    let header = GroupHeader {
        lap: 1,
        number: 1,
        durable_upto: 0,
        oldest_lap: 1,
        payload_len: 0,
        payload_sum: 0,
        seal: true,
        first: false,
    };
    let mut bytes = header.encode(&seed(), place);
    bytes[44] |= 0x80;
    let (head, tail) = bytes.split_at_mut(HEADER_LEN - 8);
    tail.copy_from_slice(&seed().header_sum(place, head).to_le_bytes());
    assert_eq!(GroupHeader::decode(&seed(), place, &bytes), None);
}

/// What is on disks today: this must read the same for ever.
#[test]
fn the_bytes_of_a_header_are_fixed() {
    let header = GroupHeader {
        lap: 7,
        number: 52,
        durable_upto: 51,
        oldest_lap: 6,
        payload_len: 300,
        payload_sum: 0x0102_0304_0506_0708,
        seal: false,
        first: true,
    };
    let bytes = header.encode(
        &seed(),
        Place {
            file: 2,
            offset: 8_192,
        },
    );
    let mut expected = Vec::new();
    expected.extend_from_slice(b"CAIRNJL1");
    for number in [7u64, 52, 51, 6] {
        expected.extend_from_slice(&number.to_le_bytes());
    }
    expected.extend_from_slice(&300u32.to_le_bytes());
    expected.extend_from_slice(&2u32.to_le_bytes());
    expected.extend_from_slice(&0x0102_0304_0506_0708u64.to_le_bytes());
    expected.extend_from_slice(&[0; 16]);
    assert_eq!(&bytes[..72], expected.as_slice());
    let covered = [
        &[1u8; 16][..],
        &[2; 16],
        &3u64.to_le_bytes(),
        &2u32.to_le_bytes(),
        &8_192u64.to_le_bytes(),
        &expected,
    ]
    .concat();
    let sum = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, &covered);
    assert_eq!(bytes[72..], sum.to_le_bytes());
}
