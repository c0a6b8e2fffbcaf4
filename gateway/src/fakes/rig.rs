//! A data path over the fakes, and a body to send down it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cairn_model::{Coding, DomainId, Sha256};
use cairn_s3::{Code, S3Error};
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;
use cairn_world::Clock as _;
use sha2::Digest;

use super::{FakeDisks, FakeMetadata, HandClock};
use crate::data::nodes::Nodes;
use crate::data::reader::Reader;
use crate::data::session::Sessions;
use crate::data::view::Views;
use crate::data::writer::{self, Source, Written};
use crate::data::{DataPath, ReadError, WriteError, manifest};
use crate::metadata::Metadata;

/// What of a [`Script`] goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Good,
    /// It stops after so many bytes.
    ShortAt(u64),
    /// All of it comes, but it is not what was signed.
    BadDigest,
}

/// A body.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) bytes: Bytes,
    pub(crate) ending: Ending,
    pub(crate) makes_sha256: bool,
    /// Bytes given so far.
    pub(crate) given: Arc<AtomicU64>,
}

impl Script {
    pub(crate) fn new(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            ending: Ending::Good,
            makes_sha256: false,
            given: Arc::default(),
        }
    }
}

impl Source for Script {
    type Proof = ();

    fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn makes_sha256(&self) -> bool {
        self.makes_sha256
    }

    async fn fill(&mut self, buffer: &mut BytesMut, wanted: usize) -> Result<(), S3Error> {
        tokio::task::yield_now().await;
        let from = self.given.load(Ordering::SeqCst);
        let to = from + wanted as u64;
        if let Ending::ShortAt(at) = self.ending
            && to > at
        {
            return Err(S3Error::new(Code::IncompleteBody));
        }
        buffer.extend_from_slice(&self.bytes[usize::try_from(from).unwrap()..][..wanted]);
        self.given.store(to, Ordering::SeqCst);
        Ok(())
    }

    async fn finish(self) -> Result<((), Option<Sha256>), S3Error> {
        assert_eq!(self.given.load(Ordering::SeqCst), self.bytes.len() as u64);
        if self.ending == Ending::BadDigest {
            return Err(S3Error::new(Code::BadDigest));
        }
        let sha256 = Sha256(sha2::Sha256::digest(&self.bytes).into());
        Ok(((), self.makes_sha256.then_some(sha256)))
    }
}

/// The data path over fakes, with one bucket.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) metadata: Arc<FakeMetadata>,
    pub(crate) disks: FakeDisks,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) path: Arc<DataPath>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) bucket: wire::Bucket,
}

impl Rig {
    pub(crate) async fn new(data: u8, parity: u8, disks: u8) -> Self {
        Self::with_coding(Coding::new(data, parity).unwrap(), disks).await
    }

    pub(crate) async fn with_coding(coding: Coding, count: u8) -> Self {
        let fake = Arc::new(FakeMetadata::new(coding, count));
        let disks = FakeDisks::new();
        let clock = Arc::new(HandClock::new());
        let metadata = Metadata::new(fake.clone(), clock.clone());
        let path = Arc::new(DataPath {
            metadata: metadata.clone(),
            nodes: Nodes::new(disks.routes(count), clock.clone()),
            views: Views::new(metadata.clone(), clock.clone()),
            clock: clock.clone(),
        });
        let sessions = Arc::new(Sessions::new(
            metadata.clone(),
            clock.clone(),
            "rig".to_owned(),
        ));
        let create = Command::CreateBucket(wire::CreateBucket {
            name: "bucket".to_owned(),
            owner: "root".to_owned(),
            location: String::new(),
        });
        sessions
            .enter()
            .await
            .unwrap()
            .propose(create)
            .await
            .unwrap();
        let get = wire::GetBucket {
            name: "bucket".to_owned(),
        };
        let bucket = metadata.bucket(get).await.unwrap().buckets.pop().unwrap();
        Self {
            metadata: fake,
            disks,
            clock,
            path,
            sessions,
            bucket,
        }
    }

    /// Lets waits run out while something else goes on.
    pub(crate) fn let_time_pass(&self) -> tokio::task::JoinHandle<()> {
        self.let_time_pass_by(Duration::from_millis(100))
    }

    /// The same in steps of another length.
    pub(crate) fn let_time_pass_by(&self, step: Duration) -> tokio::task::JoinHandle<()> {
        let clock = Arc::clone(&self.clock);
        tokio::spawn(async move {
            loop {
                for _ in 0..200 {
                    tokio::task::yield_now().await;
                }
                clock.advance(step);
            }
        })
    }

    pub(crate) async fn write(&self, body: Script) -> Result<Written, WriteError> {
        let session = self.sessions.enter().await.unwrap();
        Ok(writer::write(&self.path, session, &self.bucket, body)
            .await?
            .1)
    }

    /// Writes and commits.
    pub(crate) async fn put<S: Source>(&self, key: &str, body: S) -> Result<(), WriteError> {
        let session = self.sessions.enter().await.unwrap();
        let stored = writer::write(&self.path, session, &self.bucket, body).await?;
        let (session, written, _) = stored;
        let crc = Bytes::copy_from_slice(&written.crc64nvme.to_be_bytes());
        let content =
            manifest::content(&session, session.stamp(1), self.bucket.id, written).await?;
        let attributes = wire::Attributes {
            checksums: vec![wire::Checksum {
                algorithm: "crc64nvme".to_owned(),
                value: crc,
                composite: false,
            }],
            ..Default::default()
        };
        let put = wire::PutObject {
            bucket: self.bucket.id,
            key: Bytes::copy_from_slice(key.as_bytes()),
            attributes: Some(attributes),
            content: Some(content),
            conditions: None,
        };
        session.propose(Command::PutObject(put)).await?;
        Ok(())
    }

    pub(crate) async fn object(&self, key: &str) -> wire::Object {
        let get = wire::GetObject {
            bucket: self.bucket.id,
            key: Bytes::copy_from_slice(key.as_bytes()),
        };
        self.path
            .metadata
            .object(get)
            .await
            .unwrap()
            .object
            .unwrap()
    }

    pub(crate) async fn reader(&self, key: &str, range: Range<u64>) -> Reader {
        let session = self.sessions.enter().await.unwrap();
        let object = self.object(key).await;
        Reader::new(
            &self.path,
            session,
            DomainId(self.bucket.domain),
            &object,
            range,
        )
    }

    /// What a client would be sent before the end or an error.
    pub(crate) async fn read(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> (Vec<u8>, Result<(), ReadError>) {
        let mut reader = self.reader(key, range).await;
        let mut sent = Vec::new();
        loop {
            match reader.next().await {
                Ok(Some(pieces)) => pieces
                    .iter()
                    .for_each(|piece| sent.extend_from_slice(piece)),
                Ok(None) => return (sent, Ok(())),
                Err(error) => return (sent, Err(error)),
            }
        }
    }
}

/// Bytes that tell their place.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

/// What the clock says, for tests that wait.
pub(crate) fn now(rig: &Rig) -> Duration {
    rig.clock.monotonic()
}
