//! One client: its dice, what it has seen, and what it does next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cairn_compat_suite::{Call, Payload, checksums};
use cairn_world::sim::SeededRng;

use super::uploads::Open;
use super::{Kind, Workload};
use crate::simulated::content::{Body, Class, Content};
use crate::simulated::door::Door;
use crate::simulated::history::{History, Register};

/// Calls before the clients go on to other names.
const CALLS_PER_GENERATION: u64 = 150;
/// Mean rest of a client that takes its time.
const LEISURE: Duration = Duration::from_secs(5);

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
    /// When the clients were started.
    started: u64,
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

    /// The clients begin, as brisk as they are.
    pub(super) fn start_brisk(&self) {
        let mut board = self.board();
        board.started = board.steps;
    }

    /// The mean rest between two calls.
    fn rest(&self) -> Duration {
        let board = self.board();
        let is_brisk = board.steps - board.started < self.workload.brisk;
        if is_brisk {
            self.workload.rest
        } else {
            self.workload.rest.max(LEISURE)
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
        let mean = self.shared.rest().as_millis() as u64;
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
}
