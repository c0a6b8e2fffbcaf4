use std::sync::Arc;

use cairn_model::Coding;
use proptest::prelude::*;

use super::*;
use crate::fakes::{FakeMetadata, HandClock};

/// A part: how its bytes lie, and how long its pieces are.
#[derive(Clone, Debug)]
enum Shape {
    Inline(u8),
    Extents(Vec<u8>),
    Pages(Vec<Vec<u8>>),
}

fn lengths() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(1_u8..20, 1..5)
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        (1_u8..20).prop_map(Shape::Inline),
        lengths().prop_map(Shape::Extents),
        proptest::collection::vec(lengths(), 1..4).prop_map(Shape::Pages),
    ]
}

/// Builds an object of such parts, and writes down where each of its bytes is: in which piece,
/// and at which place of that.
#[derive(Default)]
struct Builder {
    pieces: u8,
    bytes: Vec<(u8, u64)>,
    manifests: u8,
}

impl Builder {
    fn piece(&mut self, offset: u64, length: u8) -> u8 {
        self.pieces += 1;
        let piece = self.pieces;
        self.bytes
            .extend((0..u64::from(length)).map(|at| (piece, offset + at)));
        piece
    }

    fn extent(&mut self, length: u8) -> wire::ExtentRead {
        let piece = self.piece(3, length);
        wire::ExtentRead {
            sha256: vec![piece; 32].into(),
            offset: 3,
            length: length.into(),
            chunk_length: u32::from(length) + 7,
            ..Default::default()
        }
    }

    fn part(&mut self, fake: &FakeMetadata, number: u32, shape: &Shape) -> wire::PartRead {
        let before = self.bytes.len();
        let place = match shape {
            Shape::Inline(length) => {
                let piece = self.piece(0, *length);
                wire::part_read::Place::Inline(vec![piece; usize::from(*length)].into())
            }
            Shape::Extents(lengths) => {
                let extents = lengths.iter().map(|length| self.extent(*length)).collect();
                wire::part_read::Place::Extents(wire::ExtentList { extents })
            }
            Shape::Pages(pages) => {
                self.manifests += 1;
                let manifest = Bytes::from(vec![self.manifests; 16]);
                let pages: Vec<Vec<_>> = pages
                    .iter()
                    .map(|lengths| lengths.iter().map(|length| self.extent(*length)).collect())
                    .collect();
                let count = u32::try_from(pages.len()).unwrap();
                fake.edit(|state| state.put_pages(manifest.clone(), pages));
                let length = (self.bytes.len() - before) as u64;
                wire::part_read::Place::Pages(wire::Pages {
                    manifest,
                    pages: count,
                    length,
                })
            }
        };
        wire::PartRead {
            number,
            length: (self.bytes.len() - before) as u64,
            place: Some(place),
            checksums: Vec::new(),
        }
    }
}

fn build(fake: &FakeMetadata, shapes: &[Shape]) -> (wire::Object, Vec<(u8, u64)>) {
    let mut builder = Builder::default();
    let parts: Vec<wire::PartRead> = (1..)
        .zip(shapes)
        .map(|(number, shape)| builder.part(fake, number, shape))
        .collect();
    let manifest = Bytes::from_static(&[0xee; 16]);
    let length = builder.bytes.len() as u64;
    let pages = fake.edit(|state| state.put_part_list(manifest.clone(), parts));
    let object = wire::Object {
        length,
        place: Some(wire::object::Place::PartPages(wire::PartPages {
            manifest,
            pages,
            length,
        })),
        ..Default::default()
    };
    (object, builder.bytes)
}

async fn walk(mut layout: Layout) -> Result<Vec<(u8, u64)>, QueryError> {
    let mut bytes = Vec::new();
    while let Some(run) = layout.next().await? {
        match run {
            Run::Inline {
                bytes: all, wanted, ..
            } => {
                bytes.extend(wanted.map(|at| (all[at], at as u64)));
            }
            Run::Chunk(run) => {
                let piece = run.chunk.sha256.0[0];
                bytes.extend((run.offset..run.offset + run.length).map(|at| (piece, at)));
            }
        }
    }
    Ok(bytes)
}

fn rig() -> (Arc<FakeMetadata>, Metadata) {
    let fake = Arc::new(FakeMetadata::new(Coding::new(1, 0).unwrap(), 1));
    let metadata = Metadata::new(fake.clone(), Arc::new(HandClock::new()));
    (fake, metadata)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #[test]
    fn any_range_of_any_object_is_its_bytes_in_order(
        shapes in proptest::collection::vec(shape(), 1..7),
        cut in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let (fake, metadata) = rig();
        let (object, bytes) = build(&fake, &shapes);
        let (one, two) = (cut.0.index(bytes.len() + 1), cut.1.index(bytes.len() + 1));
        let range = one.min(two)..one.max(two);
        let asked = range.start as u64..range.end as u64;
        let layout = Layout::new(metadata.clone(), DomainId(1), &object, asked);
        prop_assert_eq!(block_on(walk(layout)).unwrap(), &bytes[range]);
        let beyond = Layout::new(metadata, DomainId(1), &object, 0..object.length + 1);
        prop_assert_eq!(block_on(walk(beyond)), Err(MALFORMED), "never silently short");
    }

    #[test]
    fn parts_are_found_where_they_lie(shapes in proptest::collection::vec(shape(), 1..7)) {
        let (fake, metadata) = rig();
        let (object, bytes) = build(&fake, &shapes);
        let Some(wire::object::Place::PartPages(list)) = &object.place else { unreachable!() };
        let mut start = 0;
        for number in 1..=u32::try_from(shapes.len()).unwrap() {
            let (range, part) = block_on(find_part(&metadata, list, number)).unwrap().unwrap();
            prop_assert_eq!((range.start, range.end), (start, start + part.length));
            start = range.end;
        }
        prop_assert_eq!(start, bytes.len() as u64);
        let none = block_on(find_part(&metadata, list, 9_999)).unwrap();
        prop_assert!(none.is_none());
    }
}

#[test]
fn rows_that_make_no_sense_are_errors() {
    let (_, metadata) = rig();
    let good = wire::ExtentRead {
        sha256: Bytes::from_static(&[1; 32]),
        length: 5,
        chunk_length: 5,
        ..Default::default()
    };
    let beyond = wire::ExtentRead {
        offset: 1,
        ..good.clone()
    };
    let nameless = wire::ExtentRead {
        sha256: Bytes::from_static(b"short"),
        ..good.clone()
    };
    for (extent, fine) in [(good, true), (beyond, false), (nameless, false)] {
        let list = wire::ExtentList {
            extents: vec![extent],
        };
        let object = wire::Object {
            length: 5,
            place: Some(wire::object::Place::Extents(list)),
            ..Default::default()
        };
        let layout = Layout::new(metadata.clone(), DomainId(1), &object, 0..5);
        assert_eq!(block_on(walk(layout)).is_ok(), fine);
    }
    let lost = wire::Object {
        place: Some(wire::object::Place::Pages(wire::Pages {
            manifest: Bytes::from_static(&[9; 16]),
            pages: 1,
            length: 5,
        })),
        ..Default::default()
    };
    let layout = Layout::new(metadata, DomainId(1), &lost, 0..5);
    assert_eq!(block_on(walk(layout)), Err(MALFORMED));
    assert_eq!(coding(None), None);
    assert_eq!(
        coding(Some(wire::Coding {
            data: 300,
            parity: 1,
            cell: 65_536,
            layout: 1
        })),
        None
    );
}
