//! The whole record format: built here, taken apart here.

use super::*;
use crate::format::record::{decode_header, decode_trailer};
use crate::tuning::{UNIT, UNIT_U64};
use cairn_model::{Coding, DomainId, Incarnation, SessionId, Sha256};
use proptest::prelude::*;

const SALT: Salt = Salt([0x5a; 16]);

fn shape(k: u8, cell: u32, chunk_len: u64, shard: u8) -> Shape {
    Shape {
        incarnation: Incarnation {
            group: 1,
            generation: 2,
            session: SessionId(3),
            counter: 4,
        },
        shard,
        coding: Coding::from_parts(k, 2, cell, Coding::LAYOUT).unwrap(),
        chunk_len,
    }
}

fn chunk() -> ChunkId {
    ChunkId {
        domain: DomainId(7),
        sha256: Sha256([8; 32]),
    }
}

fn cell_bytes(shape: &Shape, cell: u64) -> Vec<u8> {
    (0..shape.cell_len(cell))
        .map(|i| (i.wrapping_mul(31) ^ cell.wrapping_mul(7)) as u8)
        .collect()
}

fn table(shape: &Shape) -> Arc<[u32]> {
    (0..shape.cells())
        .flat_map(|stripe| (0..shape.coding.data()).map(move |column| (stripe, column)))
        .map(|(stripe, column)| {
            if column == usize::from(shape.shard) {
                crc32c(&cell_bytes(shape, stripe))
            } else {
                (stripe * 100 + column as u64) as u32
            }
        })
        .collect()
}

/// The record's bytes, put together from its runs.
fn record(shape: &Shape, salt: Salt, unit: u32, sequence: u64) -> Vec<u8> {
    let mut writer = RecordWriter::new(*shape, salt, unit);
    let mut runs = Vec::new();
    for cell in 0..shape.cells() {
        runs.extend(writer.push(&cell_bytes(shape, cell)).unwrap());
    }
    runs.extend(writer.finish(chunk(), table(shape)).unwrap().seal(sequence));
    let mut bytes = Vec::new();
    for run in runs {
        assert_eq!(run.offset, bytes.len() as u64);
        assert!(run.bytes.len() <= RUN_LEN && run.bytes.len().is_multiple_of(UNIT));
        bytes.extend(run.bytes.as_slice());
    }
    bytes
}

fn stored_fits(shape: &Shape, bytes: &[u8], salt: Salt, at: u64, as_cell: u64) -> bool {
    let start = shape.cell_offset(at) as usize;
    let (cell, rest) = bytes[start..].split_at(shape.cell_len(at) as usize);
    let stored = u32::from_be_bytes(rest[..4].try_into().unwrap());
    stored ^ cell::key(salt, shape.incarnation, shape.shard, as_cell) == crc32c(cell)
}

/// Buffers of records before this one, full of what must not come back.
fn leave_pages_behind() {
    for len in (64 << 10..=RUN_LEN).step_by(64 << 10) {
        AlignedBuf::unfilled(len).as_mut_slice().fill(0xee);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_written_is_read_back(
        k in 1_u8..=4, cells in 1_u32..=4, chunk_len in 0_u64..1_500_000, unit: u32, sequence: u64,
    ) {
        let shape = shape(k, cells * 4_096, chunk_len, k - 1);
        leave_pages_behind();
        let bytes = record(&shape, SALT, unit, sequence);
        prop_assert_eq!(bytes.len() as u64, u64::from(shape.units().unwrap()) * UNIT_U64);
        prop_assert_eq!(decode_header(&bytes, SALT, unit), Some(shape));
        prop_assert_eq!(decode_header(&bytes, SALT, unit.wrapping_add(1)), None);
        prop_assert_eq!(decode_header(&bytes, Salt([1; 16]), unit), None);
        let header: [u8; HEADER_LEN] = bytes[..HEADER_LEN].try_into().unwrap();
        let at = shape.trailer_offset() as usize;
        let trailer = decode_trailer(&bytes[at..], &shape, SALT, &header).unwrap();
        prop_assert_eq!(trailer.sequence, sequence);
        prop_assert_eq!(trailer.chunk, chunk());
        prop_assert_eq!(trailer.table, table(&shape));
        let end = usize::try_from(shape.len()).unwrap();
        prop_assert!(bytes[end..].iter().all(|byte| *byte == 0), "padding");
        for cell in 0..shape.cells() {
            let start = shape.cell_offset(cell) as usize;
            let len = shape.cell_len(cell) as usize;
            prop_assert_eq!(&bytes[start..start + len], cell_bytes(&shape, cell));
            prop_assert!(stored_fits(&shape, &bytes, SALT, cell, cell));
        }
    }

    #[test]
    fn a_permuted_or_misdirected_cell_does_not_fit(from in 0_u64..6, to in 0_u64..6) {
        let shape = shape(2, 4_096, 6 * 2 * 4_096, 0);
        let bytes = record(&shape, SALT, 1, 1);
        prop_assert_eq!(stored_fits(&shape, &bytes, SALT, from, to), from == to);
        prop_assert!(!stored_fits(&shape, &bytes, Salt([6; 16]), from, from));
        let other_generation = Shape {
            incarnation: Incarnation { generation: 3, ..shape.incarnation }, ..shape
        };
        prop_assert!(!stored_fits(&other_generation, &bytes, SALT, from, from));
        let other_shard = Shape { shard: 1, ..shape };
        prop_assert!(!stored_fits(&other_shard, &bytes, SALT, from, from));
    }

    #[test]
    fn no_bit_of_header_or_trailer_may_flip(bit in 0_usize..8 * 10_000) {
        let shape = shape(2, 4_096, 40_000, 1);
        let mut bytes = record(&shape, SALT, 9, 77);
        let at = shape.trailer_offset() as usize;
        let bit = bit % (8 * (HEADER_LEN + shape.trailer_len()));
        let place = if bit / 8 < HEADER_LEN { bit / 8 } else { at + bit / 8 - HEADER_LEN };
        bytes[place] ^= 1 << (bit % 8);
        let header: [u8; HEADER_LEN] = bytes[..HEADER_LEN].try_into().unwrap();
        let valid = decode_header(&bytes, SALT, 9)
            .and_then(|shape| decode_trailer(&bytes[at..], &shape, SALT, &header));
        prop_assert_eq!(valid, None);
    }

    #[test]
    fn arbitrary_bytes_are_no_record(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(decode_header(&bytes, SALT, 0), None);
        let shape = shape(1, 4_096, 10, 0);
        prop_assert_eq!(decode_trailer(&bytes, &shape, SALT, &[0; HEADER_LEN]), None);
    }
}

#[test]
fn a_trailer_of_another_record_does_not_fit() {
    let one = shape(1, 4_096, 9_000, 0);
    let two = Shape {
        incarnation: Incarnation {
            counter: 5,
            ..one.incarnation
        },
        ..one
    };
    let bytes = record(&two, SALT, 3, 1);
    let header = encode_header(&one, SALT, 3);
    let at = one.trailer_offset() as usize;
    assert_eq!(decode_trailer(&bytes[at..], &one, SALT, &header), None);
}

#[test]
fn a_small_chunk_is_one_run_of_the_fewest_units() {
    let shape = shape(1, 65_536, 65_536, 0);
    assert_eq!(shape.units(), Some(17));
    let mut writer = RecordWriter::new(shape, SALT, 1);
    assert!(writer.push(&cell_bytes(&shape, 0)).unwrap().is_empty());
    let runs = writer.finish(chunk(), table(&shape)).unwrap().seal(1);
    assert_eq!(runs.len(), 1);
}

#[test]
fn an_empty_chunk_is_a_record_without_cells() {
    let shape = shape(1, 4_096, 0, 0);
    let bytes = record(&shape, SALT, 1, 5);
    assert_eq!(bytes.len(), UNIT);
}

#[test]
fn an_exchange_that_breaks_its_word_is_refused() {
    let shape = shape(2, 4_096, 3 * 8_192, 0);
    let mut writer = RecordWriter::new(shape, SALT, 1);
    assert!(writer.push(&[0; 4_095]).is_err());
    assert!(writer.push(&cell_bytes(&shape, 0)).is_ok());
    assert_eq!(
        writer.finish(chunk(), table(&shape)).err(),
        Some("cells are missing")
    );

    let full = || {
        let mut writer = RecordWriter::new(shape, SALT, 1);
        for cell in 0..3 {
            writer.push(&cell_bytes(&shape, cell)).unwrap();
        }
        writer
    };
    assert!(full().push(&[0; 4_096]).is_err());
    assert!(full().finish(chunk(), Arc::new([0; 5])).is_err());
    let mut wrong = table(&shape).to_vec();
    wrong[2] ^= 1;
    assert_eq!(
        full().finish(chunk(), wrong.into()).err(),
        Some("the cell table contradicts the cells")
    );
    // A parity shard's own cells are not in the table: nothing to compare.
    let mut foreign = table(&shape).to_vec();
    foreign[1] ^= 1;
    assert!(full().finish(chunk(), foreign.into()).is_ok());
}
