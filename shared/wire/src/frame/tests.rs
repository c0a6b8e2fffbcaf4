//! Every header round trips, and nothing else is taken for one.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const VERSION: u8 = 1;

fn any_kind() -> impl Strategy<Value = FrameType> {
    proptest::sample::select(FrameType::ALL.to_vec())
}

fn header(kind: FrameType, payload: &[u8]) -> FrameHeader {
    FrameHeader::of(VERSION, kind, [payload]).unwrap()
}

proptest! {
    #[test]
    fn a_header_round_trips(kind in any_kind(), payload in vec(any::<u8>(), 0..2_000)) {
        let made = header(kind, &payload);
        let read = FrameHeader::from_bytes(made.to_bytes(), VERSION).unwrap();
        prop_assert_eq!(read, made);
        prop_assert_eq!(read.kind(), kind);
        prop_assert_eq!(read.payload_len(), payload.len());
        prop_assert_eq!(read.check(&payload), Ok(()));
    }

    #[test]
    fn pieces_count_as_one_payload(payload in vec(any::<u8>(), 0..500), cut in any::<prop::sample::Index>()) {
        let (left, right) = payload.split_at(cut.index(payload.len() + 1));
        let pieces = FrameHeader::of(VERSION, FrameType::Storage, [left, right]).unwrap();
        prop_assert_eq!(pieces, header(FrameType::Storage, &payload));
    }

    #[test]
    fn any_eight_bytes_give_a_bounded_header_or_an_error(bytes: [u8; HEADER_LEN], expected: u8) {
        match FrameHeader::from_bytes(bytes, expected) {
            Ok(header) => {
                prop_assert!(header.payload_len() as u64 <= limits::WIRE_PAYLOAD_MAX);
                prop_assert_eq!(header.to_bytes(), bytes);
            }
            Err(error) => prop_assert_ne!(error, FrameError::Checksum),
        }
    }
}

/// What a flip changes in a CRC depends on its distance from the end alone.
#[test]
fn one_flipped_bit_is_seen() {
    let mut payload = vec![0; 512];
    let made = header(FrameType::Metadata, &payload);
    for bit in 0..payload.len() * 8 {
        payload[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(made.check(&payload), Err(FrameError::Checksum), "{bit}");
        payload[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(made.check(&payload), Ok(()));
}

#[test]
fn the_bytes_are_part_of_the_format() {
    let bytes = header(FrameType::Control, b"cairn").to_bytes();
    assert_eq!(bytes[..6], [1, 7, 0, 0, 0, 5]);
    let crc = crc_fast::crc32_iscsi(b"\x01\x07\x00\x00\x00\x05cairn");
    let folded = u16::try_from((crc >> 16) ^ (crc & 0xffff)).unwrap();
    assert_eq!(bytes[6..], folded.to_be_bytes());
}

#[test]
fn the_numbers_of_the_types_are_part_of_the_format() {
    let numbers: Vec<u8> = FrameType::ALL.iter().map(|kind| kind.number()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn refuses_unknown_types() {
    for number in (0..=u8::MAX).filter(|number| !(1..=7).contains(number)) {
        let bytes = [VERSION, number, 0, 0, 0, 0, 0, 0];
        let refused = FrameHeader::from_bytes(bytes, VERSION);
        assert_eq!(refused, Err(FrameError::Type(number)));
    }
}

#[test]
fn refuses_another_version() {
    let bytes = FrameHeader::of(2, FrameType::Control, [&b""[..]])
        .unwrap()
        .to_bytes();
    let refused = FrameHeader::from_bytes(bytes, VERSION);
    let expected = FrameError::Version {
        found: 2,
        expected: VERSION,
    };
    assert_eq!(refused, Err(expected));
}

#[test]
fn takes_a_payload_of_one_mib_and_refuses_one_byte_more() {
    let whole = vec![7; limits::WIRE_PAYLOAD_MAX as usize + 1];
    assert!(FrameHeader::of(VERSION, FrameType::Storage, [&whole[1..]]).is_ok());
    let long = limits::WIRE_PAYLOAD_MAX + 1;
    assert_eq!(
        FrameHeader::of(VERSION, FrameType::Storage, [&whole[..]]),
        Err(FrameError::TooLong(long))
    );
    let mut bytes = header(FrameType::Storage, b"").to_bytes();
    bytes[2..6].copy_from_slice(&u32::try_from(long).unwrap().to_be_bytes());
    assert_eq!(
        FrameHeader::from_bytes(bytes, VERSION),
        Err(FrameError::TooLong(long))
    );
}

#[test]
fn a_payload_cut_or_lengthened_is_seen() {
    let made = header(FrameType::Storage, b"shard bytes");
    assert_eq!(made.check(b"shard byte"), Err(FrameError::Checksum));
    assert_eq!(made.check(b"shard bytes."), Err(FrameError::Checksum));
}

#[test]
fn a_type_changed_under_way_is_seen() {
    let mut bytes = header(FrameType::Storage, b"payload").to_bytes();
    bytes[1] = FrameType::Metadata.number();
    let read = FrameHeader::from_bytes(bytes, VERSION).unwrap();
    assert_eq!(read.check(b"payload"), Err(FrameError::Checksum));
}
