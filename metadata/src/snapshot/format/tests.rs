use super::*;
use proptest::prelude::*;

fn meta() -> impl Strategy<Value = SnapshotMeta> {
    let position = any::<Option<(u64, u64, u64)>>().prop_map(|position| {
        position.map(|(term, leader, index)| LogPosition {
            term,
            leader,
            index,
        })
    });
    (
        position,
        prop::collection::vec(any::<u8>(), 0..50),
        any::<[u8; 32]>(),
    )
        .prop_map(|(position, membership, hash)| SnapshotMeta {
            position,
            membership,
            hash,
        })
}

fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (any::<[u8; 16]>(), meta())
            .prop_map(|(cluster_id, meta)| Frame::Header { cluster_id, meta }),
        prop::collection::vec(any::<u8>(), 0..500).prop_map(|body| Frame::Rows(body.into())),
        (any::<u64>(), any::<[u8; 32]>())
            .prop_map(|(rows, digest)| Frame::Trailer { rows, digest }),
    ]
}

fn read(bytes: &[u8], offset: u64) -> Result<Frame, &'static str> {
    let head = FrameHead::decode(bytes)?;
    head.body(
        offset,
        Bytes::copy_from_slice(bytes.get(FRAME_HEAD..).unwrap_or_default()),
    )
}

proptest! {
    #[test]
    fn frames_come_back_only_where_they_were_written(frame in frame(), offset in any::<u32>()) {
        let offset = u64::from(offset);
        let mut bytes = Vec::new();
        frame.encode(offset, &mut bytes);
        prop_assert_eq!(read(&bytes, offset), Ok(frame));
        prop_assert!(read(&bytes, offset + 1).is_err());
    }

    #[test]
    fn a_flipped_or_missing_byte_is_noticed(frame in frame(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = Vec::new();
        frame.encode(9, &mut bytes);
        let at = at.index(bytes.len());
        prop_assert!(read(&bytes[..at], 9).is_err());
        bytes[at] ^= 1 << bit;
        prop_assert!(read(&bytes, 9).is_err());
    }

    #[test]
    fn rows_come_back(rows in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 0..50)), 0..20)) {
        let mut body = Vec::new();
        for (key, value) in &rows {
            put_row(&mut body, key, value);
        }
        let mut body = Bytes::from(body);
        let mut back = Vec::new();
        while let Some((key, value)) = take_row(&mut body).unwrap() {
            back.push((key.to_vec(), value.to_vec()));
        }
        prop_assert_eq!(back, rows);
    }

    #[test]
    fn nonsense_rows_end_in_an_error_or_an_end(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut body = Bytes::from(bytes);
        while let Ok(Some(_)) = take_row(&mut body) {}
    }
}

#[test]
fn a_frame_too_long_and_a_version_too_new_are_refused() {
    let long = u32::try_from(FRAME_MAX).unwrap().to_le_bytes();
    let head = [&long[..], &[KIND_ROWS], &[0; 8]].concat();
    assert_eq!(FrameHead::decode(&head).unwrap_err(), "a frame is too long");
    let message = HeaderMessage {
        version: VERSION + 1,
        ..HeaderMessage::default()
    };
    let error = header(message.encode_to_vec().into()).unwrap_err();
    assert_eq!(error, "the snapshot's version is not known here");
}
