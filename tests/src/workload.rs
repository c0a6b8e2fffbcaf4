//! Mixed load of several workers, until the server is gone.
//!
//! Each worker owns its keys, so the operations on one key are in order and its oracle is exact.
//! A worker ends at the first operation without an answer: the server was killed under it. Before a
//! cluster it goes on, and the keys without an answer stay in doubt until they are looked at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cairn_compat_suite::{Call, Client, HttpError, Response};

use crate::content::{Content, Piece};
use crate::oracle::{Answer, Broken, Oracle};
use crate::random::Random;
use crate::s3;

const KEYS_PER_WORKER: u64 = 14;
const PART_MIN: usize = 5 << 20;
/// After an operation that nobody answered, where the load goes on.
const REST: Duration = Duration::from_millis(30);

/// Object sizes around every border of the format, small ones more often.
const SIZES: [usize; 22] = [
    0,
    1,
    100,
    1_000,
    4_095,
    4_096,
    4_097,
    5_000,
    10_000,
    30_000,
    65_535,
    65_536,
    65_537,
    100_000,
    262_144,
    300_001,
    1 << 20,
    (1 << 20) + 7,
    4 << 20,
    (16 << 20) - 1,
    (16 << 20) + 1,
    20 << 20,
];
/// Sizes up to here are drawn nine times in ten.
const SMALL_SIZES: usize = 16;

/// A multipart upload with acknowledged parts that nobody has ended.
#[derive(Debug, Clone)]
struct OpenUpload {
    key: String,
    id: String,
    parts: Vec<(Piece, String)>,
}

/// One worker: its keys, its dice and what it knows.
#[derive(Debug)]
pub struct Worker {
    name: u64,
    bucket: String,
    random: Random,
    /// What must be, may be and must not be at this worker's keys.
    pub oracle: Oracle,
    left_open: Option<OpenUpload>,
    /// Operations that were acknowledged.
    pub acknowledged: u64,
    /// Reads under load that found something else than acknowledged.
    pub broken: Vec<Broken>,
    /// The last operation without a clear answer, for messages.
    pub last_unknown: String,
    /// Nobody answers at the server's address any more.
    gone: bool,
}

impl Worker {
    /// Worker `name` of a run.
    #[must_use]
    pub fn new(name: u64, bucket: &str, seed: u64) -> Self {
        Self {
            name,
            bucket: bucket.to_owned(),
            random: Random::new(seed ^ (name << 32)),
            oracle: Oracle::default(),
            left_open: None,
            acknowledged: 0,
            broken: Vec::new(),
            last_unknown: String::new(),
            gone: false,
        }
    }

    /// Sends a call, and remembers one that leaves its outcome open.
    fn send(&mut self, client: &Client, call: &Call) -> Result<Response, HttpError> {
        let result = client.send(call);
        let outcome = match &result {
            Ok(response) if response.status < 500 => return result,
            Ok(response) => format!("{} {}", response.status, response.text()),
            Err(error) => error.to_string(),
        };
        self.gone |= matches!(result, Err(HttpError::Connect(_)));
        self.last_unknown = format!("{} {} {:?}: {outcome}", call.method, call.path, call.query);
        result
    }

    /// Runs operations until told to stop or until one has no answer.
    pub fn run(&mut self, client: &Client, stop: &AtomicBool) {
        self.gone = false;
        while !self.gone && !stop.load(Ordering::Relaxed) {
            let answer = self.step(client);
            self.acknowledged += u64::from(answer == Answer::Acknowledged);
            if answer == Answer::Unknown {
                return;
            }
        }
    }

    /// Runs operations on whichever gateway until told to stop, past answers that do not come.
    pub fn run_through(&mut self, clients: &[Client], stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.gone = false;
            let client = self.random.pick(clients);
            let answer = self.step(client);
            self.acknowledged += u64::from(answer == Answer::Acknowledged);
            if self.gone || answer == Answer::Unknown {
                std::thread::sleep(REST);
            }
        }
    }

    fn step(&mut self, client: &Client) -> Answer {
        match self.random.below(22) {
            0..=9 => self.put(client),
            10..=12 => self.delete(client),
            13..=16 => self.read(client),
            17 | 18 => self.multipart(client),
            19 | 20 => self.copy(client),
            _ => self.resume(client),
        }
    }

    fn key(&mut self) -> String {
        let key = self.random.below(KEYS_PER_WORKER);
        format!("w{}/{key:02}", self.name)
    }

    fn path(&self, key: &str) -> String {
        format!("{}/{key}", self.bucket)
    }

    fn piece(&mut self, length: usize) -> Piece {
        Piece {
            seed: self.random.next_u64(),
            length,
        }
    }

    fn put(&mut self, client: &Client) -> Answer {
        let (small, large) = SIZES.split_at(SMALL_SIZES);
        let sizes = if self.random.below(10) == 0 {
            large
        } else {
            small
        };
        let length = *self.random.pick(sizes);
        let (key, piece) = (self.key(), self.piece(length));
        let call = s3::put(&self.path(&key), piece.bytes());
        let answer = s3::answer(&self.send(client, &call));
        self.oracle
            .record(&key, Some(Content::Whole(piece)), answer);
        answer
    }

    fn delete(&mut self, client: &Client) -> Answer {
        let key = self.key();
        let call = Call::new("DELETE", &self.path(&key));
        let answer = s3::answer(&self.send(client, &call));
        self.oracle.record(&key, None, answer);
        answer
    }

    /// Reads a certain key: what was acknowledged must be seen at once.
    fn read(&mut self, client: &Client) -> Answer {
        let key = self.key();
        if self.oracle.certain(&key).is_none() {
            return Answer::Refused;
        }
        match s3::observe(client, &self.path(&key)) {
            Ok(seen) => {
                self.broken.extend(self.oracle.observe(&key, &seen).err());
                Answer::Acknowledged
            }
            Err(why) => {
                self.last_unknown = format!("GET {why}");
                Answer::Unknown
            }
        }
    }

    /// Copies a certain object over another key, or onto itself: its bytes and its ETag go along.
    fn copy(&mut self, client: &Client) -> Answer {
        let (from, to) = (self.key(), self.key());
        let Some(Some(content)) = self.oracle.certain(&from).cloned() else {
            return Answer::Refused;
        };
        let call = Call::new("PUT", &self.path(&to)).header("x-amz-copy-source", &self.path(&from));
        let call = call.header("x-amz-metadata-directive", "REPLACE");
        let answer = s3::answer(&self.send(client, &call));
        if answer == Answer::Refused && !self.gone {
            let what = format!("a copy of it to {to} was refused");
            self.broken.push(Broken { key: from, what });
        }
        self.oracle.record(&to, Some(content), answer);
        answer
    }

    fn multipart(&mut self, client: &Client) -> Answer {
        let key = self.key();
        let call = Call::new("POST", &self.path(&key)).query("uploads", "");
        let created = self.send(client, &call);
        let answer = s3::answer(&created);
        let Some(id) = created.ok().as_ref().and_then(s3::upload_id) else {
            return answer;
        };
        let mut upload = OpenUpload {
            key,
            id,
            parts: Vec::new(),
        };
        let tail = *self.random.pick(&[1, 5_000, 1 << 20]);
        for (number, length) in [(1, PART_MIN), (2, tail)] {
            let piece = self.piece(length);
            let call = s3::put(&self.path(&upload.key), piece.bytes());
            let call = call
                .query("uploadId", &upload.id)
                .query("partNumber", &number.to_string());
            let sent = self.send(client, &call);
            match (s3::answer(&sent), sent) {
                (Answer::Acknowledged, Ok(part)) => {
                    let etag = part.header("etag").unwrap_or_default().to_owned();
                    upload.parts.push((piece, etag));
                }
                (answer, _) => return answer,
            }
        }
        match self.random.below(4) {
            0 => self.abort(client, &upload),
            1 => {
                self.left_open = Some(upload);
                Answer::Acknowledged
            }
            _ => self.complete(client, &upload),
        }
    }

    /// Completes an upload left open, perhaps before a crash: its parts were acknowledged.
    fn resume(&mut self, client: &Client) -> Answer {
        let Some(upload) = self.left_open.take() else {
            return Answer::Refused;
        };
        let answer = self.complete(client, &upload);
        if answer == Answer::Refused {
            if self.gone {
                self.left_open = Some(upload);
            } else {
                let what = format!("upload {} with acknowledged parts was refused", upload.id);
                self.broken.push(Broken {
                    key: upload.key,
                    what,
                });
            }
        }
        answer
    }

    fn complete(&mut self, client: &Client, upload: &OpenUpload) -> Answer {
        let etags: Vec<String> = upload.parts.iter().map(|(_, etag)| etag.clone()).collect();
        let call = Call::new("POST", &self.path(&upload.key)).query("uploadId", &upload.id);
        let call = call.body(s3::completion(&etags));
        let answer = s3::completion_answer(&self.send(client, &call));
        let pieces = upload.parts.iter().map(|(piece, _)| *piece).collect();
        self.oracle
            .record(&upload.key, Some(Content::Parts(pieces)), answer);
        answer
    }

    /// Aborts; the object at the key is as before, whatever the answer.
    fn abort(&mut self, client: &Client, upload: &OpenUpload) -> Answer {
        let call = Call::new("DELETE", &self.path(&upload.key)).query("uploadId", &upload.id);
        s3::answer(&self.send(client, &call))
    }

    /// Reads every key there ever was and judges it.
    ///
    /// # Errors
    /// Answers other than 200 and 404, in words.
    pub fn look_at_everything(&mut self, client: &Client) -> Result<(), String> {
        let keys: Vec<String> = self.oracle.keys().map(str::to_owned).collect();
        for key in keys {
            let seen = s3::observe(client, &self.path(&key))?;
            self.broken.extend(self.oracle.observe(&key, &seen).err());
        }
        let prefix = format!("w{}/", self.name);
        let mut listing = s3::list_all(client, &self.bucket, 11)?;
        listing.retain(|row| row.key.starts_with(&prefix));
        self.broken.extend(self.oracle.judge_listing(&listing));
        Ok(())
    }
}
