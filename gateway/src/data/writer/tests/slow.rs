//! Bodies that outlast their session: the session ends, the upload goes on.

use std::sync::Mutex;

use super::*;
use crate::fakes::{FakeMetadata, Fault, HandClock};
use wire::object::Place;

const CUT: u64 = limits::CHUNK_LEN_DEFAULT;

/// What befalls the metadata when a chunk has come.
type Then = Box<dyn Fn(&FakeMetadata, u64) + Send>;

/// A body whose every chunk takes two hours to come.
struct Slow {
    body: Script,
    clock: Arc<HandClock>,
    sessions: Arc<crate::data::session::Sessions>,
    metadata: Arc<FakeMetadata>,
    then: Then,
    /// The sessions that were open as each chunk after the first began.
    open: Arc<Mutex<Vec<Vec<u64>>>>,
}

impl Slow {
    fn new(rig: &Rig, bytes: Vec<u8>) -> Self {
        Self {
            body: Script::new(bytes),
            clock: Arc::clone(&rig.clock),
            sessions: Arc::clone(&rig.sessions),
            metadata: Arc::clone(&rig.metadata),
            then: Box::new(|_, _| {}),
            open: Arc::default(),
        }
    }

    /// With the number of chunks that have come so far.
    fn then(self, then: impl Fn(&FakeMetadata, u64) + Send + 'static) -> Self {
        Self {
            then: Box::new(then),
            ..self
        }
    }
}

impl Source for Slow {
    type Proof = ();

    fn length(&self) -> u64 {
        self.body.length()
    }

    fn makes_sha256(&self) -> bool {
        false
    }

    async fn fill(&mut self, buffer: &mut BytesMut, wanted: usize) -> Result<(), S3Error> {
        let from = self.body.given.load(Ordering::SeqCst);
        if from > 0 && from.is_multiple_of(CUT) {
            settle().await;
            self.sessions.end_idle().await;
            let open = self.metadata.open_sessions();
            self.open.lock().unwrap().push(open);
        }
        self.body.fill(buffer, wanted).await?;
        let to = from + wanted as u64;
        if to.is_multiple_of(CUT) || to == self.length() {
            settle().await;
            (self.then)(&self.metadata, to.div_ceil(CUT));
            self.clock.advance(2 * LEAVE_AT);
        }
        Ok(())
    }

    async fn finish(self) -> Result<((), Option<Sha256>), S3Error> {
        self.body.finish().await
    }
}

/// Bytes of which no two chunks are the same.
fn unlike(length: usize) -> Vec<u8> {
    let mut bytes = pattern(length);
    for (number, chunk) in (1..).zip(bytes.chunks_mut(16 * MIB)) {
        chunk.iter_mut().for_each(|byte| *byte ^= number);
    }
    bytes
}

/// Until nobody has anything left to do.
async fn settle() {
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
    }
}

/// (extents on each staged page, the sessions that adoptions were from).
fn moves(rig: &Rig) -> (Vec<usize>, Vec<u64>) {
    let (mut pages, mut from) = (Vec::new(), Vec::new());
    for command in rig.metadata.log() {
        match command {
            Command::StagePage(page) => pages.push(page.extents.len()),
            Command::AdoptStaged(adopt) => from.push(adopt.from),
            _ => {}
        }
    }
    (pages, from)
}

async fn reads_back(rig: &Rig, body: &[u8]) {
    let (sent, outcome) = rig.read("key", 0..body.len() as u64).await;
    assert_eq!(outcome, Ok(()));
    assert!(sent == body);
}

#[tokio::test]
async fn a_slow_upload_leaves_each_session_behind_and_its_object_is_right() {
    let rig = Rig::new(2, 1, 3).await;
    let body = unlike(49 * MIB + 5);
    let slow = Slow::new(&rig, body.clone());
    let open = Arc::clone(&slow.open);
    let first = rig.metadata.open_sessions()[0];
    rig.put("key", slow).await.unwrap();
    let open = open.lock().unwrap().clone();
    let held: Vec<u64> = open.iter().map(|open| open[0]).collect();
    assert!(open.iter().all(|open| open.len() == 1), "{open:?}");
    assert!(first < held[0] && held.is_sorted_by(|one, next| one < next));
    let (pages, from) = moves(&rig);
    assert_eq!(pages, [1, 1, 1, 1], "what each session wrote, and the rest");
    assert_eq!(from, [first, held[0], held[1]]);
    let Some(Place::Pages(listed)) = rig.object("key").await.place else {
        panic!("not paged");
    };
    assert_eq!((listed.pages, listed.length), (4, body.len() as u64));
    reads_back(&rig, &body).await;
    let across = 16 * MIB - 3..32 * MIB + 3;
    let range = across.start as u64..across.end as u64;
    let (sent, outcome) = rig.read("key", range).await;
    assert_eq!(outcome, Ok(()));
    assert!(sent == body[across]);
    rig.sessions.end_idle().await;
    assert_eq!(moves(&rig).1.len(), 3, "nothing moves that has ended");
    assert_eq!(rig.sessions.occupied().bytes, 0);
}

#[tokio::test]
async fn a_slow_upload_that_breaks_off_is_let_go_with_the_session_it_is_in() {
    let rig = Rig::new(1, 0, 1).await;
    let slow = Slow {
        body: Script {
            ending: Ending::ShortAt(40 << 20),
            ..Script::new(unlike(50 * MIB))
        },
        ..Slow::new(&rig, Vec::new())
    };
    let refused = rig.put("key", slow).await.unwrap_err();
    assert!(matches!(refused, WriteError::Body(_)), "{refused}");
    let (pages, from) = moves(&rig);
    assert_eq!((pages.len(), from.len()), (2, 2));
    assert_eq!(rig.metadata.edit(|state| state.staged().len()), 1);
    settle().await;
    rig.clock.advance(LEAVE_AT);
    drop(rig.sessions.enter().await.unwrap());
    rig.sessions.end_idle().await;
    assert_eq!(rig.metadata.edit(|state| state.staged().len()), 0);
}

#[tokio::test]
async fn an_upload_that_cannot_move_stays_and_tries_again() {
    for before in [0, 1] {
        let rig = Rig::new(1, 0, 1).await;
        let body = unlike(33 * MIB);
        let slow = Slow::new(&rig, body.clone()).then(move |metadata, chunks| {
            // The page, or the adoption behind it.
            let spared = (chunks == 1)
                .then_some(before)
                .into_iter()
                .flat_map(|n| 0..n);
            spared.for_each(|_| metadata.fault(Fault::Spared));
            for _ in 0..tuning::METADATA_ATTEMPTS * u32::from(chunks == 1) {
                metadata.fault(Fault::Unavailable);
            }
        });
        let open = Arc::clone(&slow.open);
        let first = rig.metadata.open_sessions()[0];
        let passing = rig.let_time_pass();
        rig.put("key", slow).await.unwrap();
        passing.abort();
        let (pages, from) = moves(&rig);
        assert_eq!(from, [first], "the second time");
        let expected: &[usize] = if before == 0 { &[2, 1] } else { &[1, 1, 1] };
        assert_eq!(pages, expected);
        let open = open.lock().unwrap().clone();
        assert!(open[0].contains(&first), "it held what it wrote: {open:?}");
        assert!(!open[1].contains(&first), "{open:?}");
        reads_back(&rig, &body).await;
    }
}

#[tokio::test]
async fn outcomes_that_are_long_in_coming_do_not_end_a_slow_upload() {
    let rig = Rig::new(1, 0, 1).await;
    let body = unlike(17 * MIB);
    let slow = Slow::new(&rig, body.clone()).then(|metadata, chunks| {
        let lost = 2 * tuning::RESOLVE_PATIENCE * u32::from(chunks == 1);
        (0..lost).for_each(|_| metadata.fault(Fault::LostAndUnknown));
        metadata.fault(Fault::Spared);
        (0..lost).for_each(|_| metadata.fault(Fault::DoneButUnknown));
    });
    let passing = rig.let_time_pass();
    rig.put("key", slow).await.unwrap();
    passing.abort();
    let (pages, from) = moves(&rig);
    assert_eq!((pages.len(), from.len()), (2, 1), "each done once");
    reads_back(&rig, &body).await;
}

/// Its chunks may be on their way out: not one more byte of it is worth taking.
#[tokio::test]
async fn an_upload_whose_session_was_ended_is_ended_too() {
    let rig = Rig::new(1, 0, 1).await;
    let slow = Slow::new(&rig, unlike(50 * MIB)).then(|metadata, _| {
        for session in metadata.open_sessions() {
            metadata.edit(|state| state.expire(session));
        }
    });
    let given = Arc::clone(&slow.body.given);
    let refused = rig.put("key", slow).await.unwrap_err();
    assert!(
        matches!(refused, WriteError::Commit(CommitError::RetryUpload)),
        "{refused}"
    );
    assert!(!published(&rig));
    assert!(given.load(Ordering::SeqCst) < 2 * CUT);
}

#[tokio::test]
async fn a_session_that_did_not_adopt_commits_nothing() {
    let rig = Rig::new(1, 0, 1).await;
    let slow = Slow::new(&rig, unlike(17 * MIB)).then(|metadata, chunks| {
        if chunks == 1 {
            metadata.fault(Fault::Spared);
            metadata.fault(Fault::Refuse(wire::Refusal::RetryUpload));
        }
    });
    let refused = rig.put("key", slow).await.unwrap_err();
    assert!(
        matches!(refused, WriteError::Commit(CommitError::RetryUpload)),
        "{refused}"
    );
    let put = |command: &Command| matches!(command, Command::PutObject(_));
    assert!(!rig.metadata.log().iter().any(put));
}

#[tokio::test]
async fn a_body_that_must_be_one_chunk_stays_where_it_began() {
    let rig = Rig::new(1, 0, 1).await;
    let session = rig.sessions.enter().await.unwrap();
    let slow = Slow::new(&rig, unlike(20 * MIB));
    let domain = DomainId(rig.bucket.domain);
    let (extent, ()) = write_chunk(&rig.path, &session, domain, slow)
        .await
        .unwrap();
    assert_eq!(extent.length, 20 << 20);
    let stamp = cairn_model::Incarnation::from_bytes(&extent.incarnation).unwrap();
    assert_eq!(stamp.session.0, session.id());
    assert_eq!(moves(&rig), (vec![], vec![]));
}
