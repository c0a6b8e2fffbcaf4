//! One client: its dice, what it has seen, and how it asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cairn_compat_suite::{Call, Payload, checksums};
use cairn_world::sim::SeededRng;

use super::uploads::Open;
use super::{Kind, Workload, document};
use crate::simulated::content::{Body, Class, Content};
use crate::simulated::door::{Answer, Door, Heard};
use crate::simulated::history::{self, Called, History, Register, Time, When};

/// Calls before the clients go on to other names.
const CALLS_PER_GENERATION: u64 = 150;
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest target that is written into the trace whole.
const TARGET: usize = 160;

/// What the clients of a run share.
pub(super) struct Shared {
    pub(super) workload: Workload,
    pub(super) door: Arc<dyn Door>,
    pub(super) history: Arc<History>,
    board: Mutex<Board>,
}

/// What any client may go on with.
#[derive(Default)]
pub(super) struct Board {
    steps: u64,
    large: u64,
    /// Uploads that nobody has seen the end of.
    pub(super) uploads: Vec<Open>,
    /// Chunks that were sent under `/cas`, by SHA-256.
    pub(super) chunks: BTreeMap<String, Body>,
}

impl Shared {
    pub(super) fn new(workload: Workload, door: Arc<dyn Door>, history: Arc<History>) -> Self {
        let board = Mutex::default();
        Self {
            workload,
            door,
            history,
            board,
        }
    }

    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) bucket: String,
    pub(super) key: String,
}

impl Place {
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }

    pub(super) fn register(&self) -> Register {
        Register::object(&self.bucket, &self.key)
    }
}

/// How slowly a body comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) piece: usize,
    pub(super) pause: Duration,
}

/// What came of a call.
pub(super) struct Asked {
    pub(super) when: When,
    pub(super) told: Told,
}

/// What an answer, or none, says.
pub(super) enum Told {
    /// Something that the caller must judge.
    Answer(Answer),
    /// A head whose body broke off.
    Broken { head: Answer, received: Bytes },
    /// It may have happened.
    Unknown,
    /// It has not happened.
    Nothing,
}

pub(super) struct Client {
    pub(super) name: u64,
    pub(super) rng: SeededRng,
    pub(super) shared: Arc<Shared>,
    /// The ETags last seen.
    pub(super) etags: BTreeMap<Register, String>,
    /// Where to look in the next steps, and how often.
    pub(super) look_at: Option<(Place, u32)>,
}

impl Client {
    pub(super) fn new(name: u64, rng: SeededRng, shared: Arc<Shared>) -> Self {
        Self {
            name,
            rng,
            shared,
            etags: BTreeMap::new(),
            look_at: None,
        }
    }

    pub(super) fn door(&self) -> &dyn Door {
        self.shared.door.as_ref()
    }

    pub(super) fn history(&self) -> &History {
        &self.shared.history
    }

    /// A rest, and one drawn call, or a few that belong together.
    pub(super) async fn step(&mut self) {
        self.rest().await;
        self.shared.board().steps += 1;
        if let Some((place, left)) = self.look_at.take() {
            self.look_at = (left > 1).then(|| (place.clone(), left - 1));
            self.get(Kind::Get, &place).await;
            return;
        }
        let kind = self.draw();
        if !self.act(kind).await {
            let place = self.place();
            self.get(Kind::Get, &place).await;
        }
    }

    /// Does it; false where there was nothing to do it with.
    async fn act(&mut self, kind: Kind) -> bool {
        match kind {
            Kind::Put | Kind::PutIfAbsent | Kind::PutIfMatch | Kind::PutSlowly => {
                self.put(kind).await;
            }
            Kind::Delete | Kind::DeleteIfMatch => self.delete(kind).await,
            Kind::DeleteMany => self.delete_many().await,
            Kind::Get | Kind::Head | Kind::GetIfNoneMatch => {
                let place = self.place();
                self.get(kind, &place).await;
            }
            Kind::GetRange => self.get_range().await,
            Kind::Copy | Kind::CopyReplace => self.copy(kind).await,
            Kind::UploadCreate => self.upload_create().await,
            Kind::UploadPart => return self.upload_part().await,
            Kind::UploadPartCopy => return self.upload_part_copy().await,
            Kind::UploadList => return self.upload_list().await,
            Kind::UploadComplete => return self.upload_complete().await,
            Kind::UploadRace => return self.upload_race().await,
            Kind::UploadAbort => return self.upload_abort().await,
            Kind::List => self.list().await,
            Kind::ListUploads => self.list_uploads().await,
            Kind::ListBuckets => drop(self.list_buckets().await),
            Kind::ChunkPut => self.chunk_put().await,
            Kind::ChunkGet | Kind::ChunkHead => self.chunk_get(kind).await,
            Kind::ChunkMissing => self.chunk_missing().await,
            Kind::ChunkObject => return self.chunk_object().await,
            Kind::BucketCreate
            | Kind::BucketDelete
            | Kind::BucketHead
            | Kind::BucketPut
            | Kind::BucketGet
            | Kind::BucketEmpty => self.bucket(kind).await,
        }
        true
    }

    /// Now nothing, now a breath, now a long while.
    async fn rest(&mut self) {
        let mean = self.shared.workload.rest.as_millis() as u64;
        let rest = match self.rng.below(20) {
            0..=5 => 0,
            6..=18 => self.rng.below(2 * mean + 1),
            _ => self.rng.below(20 * mean + 1),
        };
        tokio::time::sleep(Duration::from_millis(rest)).await;
    }

    fn draw(&mut self) -> Kind {
        let weights = &self.shared.workload.weights;
        let mut drawn = self.rng.below(weights.values().sum());
        for (kind, weight) in weights {
            if drawn < *weight {
                return *kind;
            }
            drawn -= weight;
        }
        Kind::Get
    }

    /// The generation of names in use; now and then the one before.
    pub(super) fn generation(&mut self) -> u64 {
        let now = self.shared.board().steps / CALLS_PER_GENERATION;
        now.saturating_sub(u64::from(self.rng.chance(1, 15)))
    }

    /// A name of the generation.
    pub(super) fn place(&mut self) -> Place {
        let generation = self.generation();
        let names = &self.shared.workload.names;
        let name = self.rng.pick(names);
        let (bucket, key) = name.copied().unwrap_or((super::BUCKETS[0], "a"));
        Place {
            bucket: bucket.to_owned(),
            key: format!("g{generation:05}/{key}"),
        }
    }

    pub(super) fn gateway(&mut self) -> usize {
        let gateways = self.door().gateways() as u64;
        self.rng.below(gateways) as usize
    }

    /// A body of a drawn size: mostly one of a few that are sent again and again, under other names
    /// and after they were deleted, for some time.
    pub(super) fn body(&mut self) -> Body {
        let workload = &self.shared.workload;
        if workload.large > 0 && self.rng.chance(1, 80) {
            let mut board = self.shared.board();
            if board.large < workload.large {
                board.large += 1;
                drop(board);
                return self.body_of(Class::Large);
            }
        }
        let classes = &workload.classes;
        let mut drawn = self.rng.below(classes.values().sum());
        for (class, weight) in classes {
            if drawn < *weight {
                return self.body_of(*class);
            }
            drawn -= weight;
        }
        self.body_of(Class::Copies)
    }

    pub(super) fn body_of(&mut self, class: Class) -> Body {
        let contents = self.shared.workload.contents;
        let number = if self.rng.chance(1, 8) {
            1_000_000 + self.history().value()
        } else {
            self.shared.board().steps / (2 * CALLS_PER_GENERATION) + self.rng.below(contents)
        };
        let number = u32::try_from(number).unwrap_or(0);
        Body::whole(Content { class, number })
    }

    /// A call with a body, signed and framed in one of the ways there are.
    pub(super) fn with_body(&mut self, call: Call, body: &Body) -> Call {
        const FRAME: usize = 64 << 10;
        let payload = match self.rng.below(8) {
            0 => Payload::Chunked(FRAME),
            1 => Payload::UnsignedTrailer(FRAME, checksums::Algorithm::Crc32c),
            2 => Payload::ChunkedTrailer(FRAME, checksums::Algorithm::Crc64Nvme),
            3 => Payload::Unsigned,
            _ => Payload::Signed,
        };
        call.body(body.bytes()).payload(payload)
    }

    /// Sends a call and waits for its answer.
    pub(super) async fn ask(&self, kind: Kind, gateway: usize, call: Call) -> Asked {
        let target = target(&call);
        let begun = self.begin();
        let heard = tokio::time::timeout(PATIENCE, self.door().send(gateway, call)).await;
        self.end(begun, kind, gateway, target, heard.unwrap_or(Heard::Lost))
    }

    /// The same with a slow body.
    pub(super) async fn ask_slowly(
        &self,
        kind: Kind,
        gateway: usize,
        call: Call,
        pace: Pace,
    ) -> Asked {
        let target = target(&call);
        // Frames and signatures come on top of the plain body.
        let pieces = 2 + call.body.len() / pace.piece.max(1) * 11 / 10;
        let patience = PATIENCE + pace.pause * u32::try_from(pieces).unwrap_or(u32::MAX);
        let begun = self.begin();
        let sent = self
            .door()
            .send_slowly(gateway, call, pace.piece, pace.pause);
        let heard = tokio::time::timeout(patience, sent).await;
        self.end(begun, kind, gateway, target, heard.unwrap_or(Heard::Lost))
    }

    fn begin(&self) -> (u64, u64) {
        (self.history().tick(), self.door().now_secs())
    }

    fn end(
        &self,
        (called, called_secs): (u64, u64),
        kind: Kind,
        gateway: usize,
        target: String,
        heard: Heard,
    ) -> Asked {
        let time = Time {
            client: self.name,
            called,
            answered: self.history().tick(),
        };
        let when = When {
            time,
            called_secs,
            answered_secs: self.door().now_secs(),
        };
        let told = told(heard);
        let (status, counted) = match &told {
            Told::Answer(answer) if answer.status < 400 => {
                (answer.status, history::Heard::Acknowledged)
            }
            Told::Answer(answer) => (answer.status, history::Heard::Refused),
            Told::Broken { head, .. } => (head.status, history::Heard::Unknown),
            Told::Unknown => (0, history::Heard::Unknown),
            Told::Nothing => (0, history::Heard::Refused),
        };
        let kind = kind.name();
        let called = Called {
            when,
            kind,
            target,
            gateway,
            status,
        };
        self.history().called(called, counted);
        Asked { when, told }
    }

    /// Notes an answer that no server may give.
    pub(super) fn fault(&self, asked: &When, target: &str, what: impl std::fmt::Display) {
        let Time {
            client,
            called,
            answered,
        } = asked.time;
        let (from, to) = (asked.called_secs, asked.answered_secs);
        let text =
            format!("client {client} [{called}..{answered}] {from}..{to} s, {target}: {what}");
        self.history().fault(text);
    }

    /// Notes an answer that has no place.
    pub(super) fn strange(&self, asked: &When, target: &str, answer: &Answer) {
        let Answer { status, .. } = answer;
        let mut text = answer.text();
        text.truncate(
            text.char_indices()
                .nth(400)
                .map_or(text.len(), |(at, _)| at),
        );
        self.fault(asked, target, format!("{status} {text}"));
    }
}

/// Method, path and query.
fn target(call: &Call) -> String {
    let query: Vec<String> = call
        .query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut target = format!("{} {}?{}", call.method, call.path, query.join("&"));
    target.truncate(
        target
            .char_indices()
            .nth(TARGET)
            .map_or(target.len(), |(at, _)| at),
    );
    target
}

/// Sorts what was heard. Of what is refused for being in another's way nothing has happened.
fn told(heard: Heard) -> Told {
    match heard {
        Heard::Refused => Told::Nothing,
        Heard::Lost => Told::Unknown,
        Heard::BrokenBody {
            status,
            headers,
            received,
        } => {
            let body = Bytes::new();
            let head = Answer {
                status,
                headers,
                body,
            };
            Told::Broken { head, received }
        }
        Heard::Answer(answer) => match answer.status {
            // Not implemented is for no call of ours.
            501 => Told::Answer(answer),
            500.. => Told::Unknown,
            409 => match document::code(&answer.text()).as_str() {
                "OperationAborted" | "ConditionalRequestConflict" => Told::Nothing,
                _ => Told::Answer(answer),
            },
            _ => Told::Answer(answer),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Heard {
        Heard::Answer(Answer {
            status,
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    #[test]
    fn answers_tell_what_happened_from_what_may_have() {
        assert!(matches!(told(answer(200, "")), Told::Answer(_)));
        assert!(matches!(told(answer(404, "")), Told::Answer(_)));
        assert!(matches!(told(answer(501, "")), Told::Answer(_)));
        for status in [500, 503, 504] {
            assert!(matches!(told(answer(status, "")), Told::Unknown));
        }
        assert!(matches!(told(Heard::Lost), Told::Unknown));
        assert!(matches!(told(Heard::Refused), Told::Nothing));
        let aborted = "<Error><Code>OperationAborted</Code></Error>";
        assert!(matches!(told(answer(409, aborted)), Told::Nothing));
        let full = "<Error><Code>BucketNotEmpty</Code></Error>";
        assert!(matches!(told(answer(409, full)), Told::Answer(_)));
        let broken = Heard::BrokenBody {
            status: 200,
            headers: Vec::new(),
            received: Bytes::from_static(b"x"),
        };
        let Told::Broken { head, received } = told(broken) else {
            panic!("a broken body is one");
        };
        assert_eq!((head.status, received.as_ref()), (200, &b"x"[..]));
    }

    #[test]
    fn targets_are_named_in_short() {
        let call = Call::new("GET", "b/k").query("a", "1").query("b", "2");
        assert_eq!(target(&call), "GET /b/k?a=1&b=2");
        assert_eq!(
            target(&Call::new("GET", &"é".repeat(500))).chars().count(),
            TARGET
        );
    }
}
