use cairn_wire::metadata::entry::Command;
use http_body_util::BodyExt;

use super::*;
use crate::data::read_body::{Aborted, ReadBody};
use crate::fakes::{DiskFault, Rig, Script, pattern};

#[tokio::test]
async fn inline_content_is_checked_too() {
    let rig = Rig::new(1, 0, 1).await;
    rig.put("key", Script::new(pattern(100))).await.unwrap();
    assert_eq!(
        rig.read("key", 7..30).await,
        (pattern(100)[7..30].to_vec(), Ok(()))
    );
    rig.metadata.edit(|state| {
        for object in state.objects().values_mut() {
            object.place = Some(Place::Inline(Bytes::from_static(&[0; 100])));
        }
    });
    assert_eq!(
        rig.read("key", 7..30).await,
        (Vec::new(), Err(ReadError::Lost))
    );
}

#[tokio::test]
async fn a_whole_chunk_is_given_only_if_its_crc_agrees() {
    let rig = Rig::new(1, 0, 1).await;
    let body = pattern(1 << 20);
    rig.put("key", Script::new(body.clone())).await.unwrap();
    rig.metadata.edit(|state| {
        state
            .chunks()
            .values_mut()
            .for_each(|row| row.crc64nvme ^= 1)
    });
    let (sent, outcome) = rig.read("key", 0..body.len() as u64).await;
    assert_eq!(outcome, Err(ReadError::Lost));
    assert!(sent.len() < body.len(), "the last bytes were held back");
    let (sent, outcome) = rig.read("key", 1..body.len() as u64).await;
    assert_eq!(
        (sent.len(), outcome),
        (body.len() - 1, Ok(())),
        "cells alone vouch for a part"
    );
}

#[tokio::test]
async fn many_chunks_and_their_seams() {
    let rig = Rig::new(2, 1, 3).await;
    let body = pattern((33 << 20) + 77);
    rig.put("key", Script::new(body.clone())).await.unwrap();
    let chunk = 16 << 20;
    for range in [
        0..body.len(),
        chunk - 1..chunk + 1,
        chunk..2 * chunk,
        2 * chunk - 5..body.len(),
    ] {
        let (sent, outcome) = rig.read("key", range.start as u64..range.end as u64).await;
        assert_eq!(outcome, Ok(()));
        assert!(sent == body[range.clone()], "{range:?}");
    }
}

fn extent(object: &wire::Object) -> wire::ExtentRead {
    match &object.place {
        Some(Place::Extents(list)) => list.extents[0].clone(),
        other => panic!("{other:?}"),
    }
}

/// Stages `count` extents of one chunk, each one byte further into it, as an object of pages.
async fn paged(rig: &Rig, count: u32) -> wire::Object {
    rig.put("chunk", Script::new(pattern(20_000)))
        .await
        .unwrap();
    let written = match rig
        .write(Script::new(pattern(20_000)))
        .await
        .unwrap()
        .stored
    {
        crate::data::writer::Stored::Chunks(extents) => extents[0].clone(),
        other => panic!("{other:?}"),
    };
    let session = rig.sessions.enter().await.unwrap();
    let manifest = Bytes::from_static(&[5; 16]);
    for (page, offsets) in (0..count).collect::<Vec<_>>().chunks(3).enumerate() {
        let extent = |offset: &u32| wire::ExtentWrite {
            offset: *offset,
            length: 2,
            ..written.clone()
        };
        let stage = wire::StagePage {
            bucket: rig.bucket.id,
            manifest: manifest.clone(),
            page: u32::try_from(page).unwrap(),
            extents: offsets.iter().map(extent).collect(),
        };
        // Staged chunks belong to the session that wrote them: the same one here.
        session.propose(Command::StagePage(stage)).await.unwrap();
    }
    let pages = wire::Pages {
        manifest,
        pages: count.div_ceil(3),
        length: u64::from(count) * 2,
    };
    let mut object = rig.object("chunk").await;
    object.length = pages.length;
    object.place = Some(Place::Pages(pages));
    object
}

#[tokio::test]
async fn pages_are_turned_as_the_range_asks() {
    let rig = Rig::new(1, 0, 1).await;
    let object = paged(&rig, 200).await;
    let plain: Vec<u8> = (0..200)
        .flat_map(|at| pattern(20_000)[at..at + 2].to_vec())
        .collect();
    let domain = DomainId(rig.bucket.domain);
    for range in [0..400_u64, 0..1, 399..400, 13..14, 5..391, 200..201] {
        let session = rig.sessions.enter().await.unwrap();
        let mut reader = Reader::new(&rig.path, session, domain, &object, range.clone());
        let mut sent = Vec::new();
        while let Some(pieces) = reader.next().await.unwrap() {
            sent.extend(pieces.concat());
        }
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert!(sent == plain[range.clone()], "{range:?}");
    }
}

#[tokio::test]
async fn a_manifest_that_ends_early_is_an_error() {
    let rig = Rig::new(1, 0, 1).await;
    rig.put("key", Script::new(pattern(5_000))).await.unwrap();
    let (sent, outcome) = rig.read("key", 0..5_001).await;
    assert_eq!(sent.len(), 0, "told before the first byte");
    assert!(matches!(outcome, Err(ReadError::Query(_))));
    let object = rig.object("key").await;
    assert_eq!(extent(&object).length, 5_000);
}

#[tokio::test]
async fn a_chunk_without_a_row_is_lost_not_empty() {
    let rig = Rig::new(1, 0, 1).await;
    rig.put("key", Script::new(pattern(5_000))).await.unwrap();
    rig.metadata.edit(|state| state.chunks().clear());
    assert_eq!(
        rig.read("key", 0..5_000).await,
        (Vec::new(), Err(ReadError::Lost))
    );
}

#[tokio::test]
async fn rows_that_came_along_are_not_asked_for_and_others_are() {
    let rig = Rig::new(1, 0, 1).await;
    let body = pattern(33 << 20);
    rig.put("key", Script::new(body.clone())).await.unwrap();
    let object = rig.object("key").await;
    let rows = rig.metadata.edit(|state| state.chunks().clone());
    let known: Vec<ChunkRow> = rows.values().filter_map(ChunkRow::read).collect();
    assert_eq!(known.len(), 2, "two are the same");
    let read = async |known: Vec<ChunkRow>| {
        let session = rig.sessions.enter().await.unwrap();
        let domain = DomainId(rig.bucket.domain);
        let mut reader = Reader::new(&rig.path, session, domain, &object, 0..object.length);
        reader = reader.knowing(known);
        let mut sent = Vec::new();
        while let Some(pieces) = reader.next().await? {
            sent.extend(pieces.concat());
        }
        Ok::<_, ReadError>(sent)
    };
    let asked = || rig.metadata.edit(|state| state.asked());
    let before = asked();
    assert!(read(known.clone()).await.unwrap() == body);
    assert_eq!(asked() - before, 0);
    assert!(read(known[..1].to_vec()).await.unwrap() == body);
    assert_eq!(asked() - before, 1);
    rig.metadata.edit(|state| state.chunks().clear());
    assert!(read(known.clone()).await.unwrap() == body);
    assert_eq!(read(known[..1].to_vec()).await, Err(ReadError::Lost));
}

#[tokio::test]
async fn a_body_gives_every_byte_or_an_error() {
    let rig = Rig::new(2, 1, 3).await;
    let body = pattern(3 << 20);
    rig.put("key", Script::new(body.clone())).await.unwrap();
    let length = body.len() as u64;
    let reader = rig.reader("key", 0..length).await;
    let sent = ReadBody::open(&rig.path, reader, length)
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    assert!(sent.to_bytes() == body);

    let reader = rig.reader("key", 0..length).await;
    let mut broken = ReadBody::open(&rig.path, reader, length).await.unwrap();
    rig.disks.fault(0, DiskFault::Missing);
    rig.disks.fault(1, DiskFault::Missing);
    let mut sent = Vec::new();
    let error = loop {
        match broken.frame().await.expect("it never ends well") {
            Ok(frame) => sent.extend_from_slice(&frame.into_data().unwrap()),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Aborted::Read(ReadError::Lost));
    assert!(sent.len() < body.len() && body.starts_with(&sent));
}

#[tokio::test]
async fn what_fails_at_once_is_told_before_the_body() {
    let rig = Rig::new(1, 0, 1).await;
    rig.put("key", Script::new(pattern(1 << 20))).await.unwrap();
    rig.disks.fault(0, DiskFault::Missing);
    let reader = rig.reader("key", 0..1 << 20).await;
    let error = ReadBody::open(&rig.path, reader, 1 << 20)
        .await
        .unwrap_err();
    assert_eq!(error, ReadError::Lost);
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_two_steps_and_then_no_session() {
    let rig = Rig::new(2, 1, 3).await;
    let body = pattern(8 << 20);
    rig.put("key", Script::new(body.clone())).await.unwrap();
    let length = body.len() as u64;
    let reader = rig.reader("key", 0..length).await;
    let mut stalled = ReadBody::open(&rig.path, reader, length).await.unwrap();
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
    let stripes = rig.disks.reads().0 / 2;
    assert!(stripes <= 3, "{stripes} steps were read ahead");
    rig.clock.advance(Duration::from_secs(3_600));
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
    let closing = tokio::time::timeout(Duration::from_secs(5), rig.sessions.close());
    closing.await.expect("the session is free");
    let mut last = Ok(());
    while let Some(frame) = stalled.frame().await {
        if let Err(error) = frame {
            last = Err(error);
            break;
        }
    }
    assert_eq!(last, Err(Aborted::Short));
}

fn pins(rig: &Rig) -> Vec<wire::PinRead> {
    let log = rig.metadata.log().into_iter();
    log.filter_map(|command| match command {
        Command::PinRead(pin) => Some(pin),
        _ => None,
    })
    .collect()
}

const HOUR: Duration = Duration::from_secs(limits::READ_REPIN_SECS);

#[tokio::test]
async fn a_long_read_pins_its_chunks_in_a_newer_session_and_leaves_its_own() {
    let rig = Rig::new(1, 0, 1).await;
    let body = pattern(33 << 20);
    rig.put("key", Script::new(body.clone())).await.unwrap();
    let mut reader = rig.reader("key", 0..body.len() as u64).await;
    let old = rig.metadata.open_sessions();
    let mut sent = Vec::new();
    while let Some(pieces) = reader.next().await.unwrap() {
        pieces
            .iter()
            .for_each(|piece| sent.extend_from_slice(piece));
        if sent.len() == 2 << 20 {
            assert!(pins(&rig).is_empty());
            rig.clock.advance(HOUR);
        }
    }
    assert!(sent == body, "not a byte is missed by moving");
    let pins = pins(&rig);
    assert_eq!(pins.len(), 1);
    assert_eq!((pins[0].from, pins[0].chunks.len()), (old[0], 3));
    assert!(pins[0].manifests.is_empty());
    rig.sessions.end_idle().await;
    let open = rig.metadata.open_sessions();
    assert!(!open.contains(&old[0]), "the old session has ended");
    assert!(open.iter().all(|session| *session > old[0]));
}

#[tokio::test]
async fn a_long_read_of_pages_pins_their_manifest() {
    let rig = Rig::new(1, 0, 1).await;
    let object = paged(&rig, 7).await;
    let session = rig.sessions.enter().await.unwrap();
    let domain = DomainId(rig.bucket.domain);
    let length = object.length;
    let mut reader = Reader::new(&rig.path, session, domain, &object, 0..length);
    rig.clock.advance(HOUR);
    while reader.next().await.unwrap().is_some() {}
    let pins = pins(&rig);
    assert_eq!(pins.len(), 1);
    assert_eq!(pins[0].manifests, [Bytes::from_static(&[5; 16])]);
    assert!(pins[0].chunks.is_empty());
}

#[tokio::test]
async fn a_long_read_that_cannot_move_stays_and_tries_again() {
    let rig = Rig::new(1, 0, 1).await;
    let body = pattern(8 << 20);
    rig.put("key", Script::new(body.clone())).await.unwrap();
    let mut reader = rig.reader("key", 0..body.len() as u64).await;
    let old = rig.metadata.open_sessions()[0];
    rig.clock.advance(HOUR);
    rig.metadata.set_down(true);
    let passing = rig.let_time_pass();
    reader.leave_session().await;
    passing.abort();
    rig.metadata.set_down(false);
    assert!(pins(&rig).is_empty());
    assert_eq!(reader.session.id(), old, "still held by its own session");
    rig.clock
        .advance(Duration::from_secs(2 * limits::SESSION_SECS));
    assert!(reader.next().await.unwrap().is_some());
    assert_eq!(pins(&rig).len(), 1);
    assert!(reader.session.id() > old);
}
