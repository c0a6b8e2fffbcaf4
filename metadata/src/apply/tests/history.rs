//! Random histories: counts equal a full mark after every entry, garbage goes to zero, and how
//! entries are cut into batches changes nothing.

use cairn_wire::metadata::{
    AbortUpload, AcceptClock, CompleteUpload, CopyObject, CreateUpload, ExpireLeases, Pages,
    PutPart, StagePage,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::keyspace::chunk::ChunkKey;
use crate::keyspace::condemned::CondemnedKey;
use crate::keyspace::lease::LeaseEndKey;
use crate::keyspace::object::ObjectKey;
use crate::keyspace::session::SessionKey;
use crate::keyspace::upload::{PartKey, UploadKey};

#[derive(Clone, Debug)]
enum Step {
    Begin,
    End(usize),
    Put(usize, u8, Vec<u8>),
    PutPages(usize, u8, Vec<u8>),
    StageOnly(usize, Vec<u8>),
    Delete(u8),
    Create(usize, u8),
    Part(usize, usize, u8, u8),
    /// A part made of a stored chunk.
    PartOf(usize, usize, u8, u8),
    /// Of the first part alone: the others are left over.
    Complete(usize, usize),
    /// From one key to another, or itself.
    Copy(usize, u8, u8),
    Abort(usize),
    Lease(usize, Vec<u8>),
    Renew(usize, Vec<u8>),
    Wait(u64, bool),
    Round,
}

fn step() -> impl Strategy<Value = Step> {
    let names = || vec(0_u8..6, 1..4);
    prop_oneof![
        1 => Just(Step::Begin),
        1 => any::<usize>().prop_map(Step::End),
        4 => (any::<usize>(), 0_u8..4, names()).prop_map(|(s, k, n)| Step::Put(s, k, n)),
        2 => (any::<usize>(), 0_u8..4, names()).prop_map(|(s, k, n)| Step::PutPages(s, k, n)),
        1 => (any::<usize>(), names()).prop_map(|(s, n)| Step::StageOnly(s, n)),
        3 => (0_u8..4).prop_map(Step::Delete),
        1 => (any::<usize>(), 0_u8..4).prop_map(|(s, k)| Step::Create(s, k)),
        2 => (any::<usize>(), any::<usize>(), 0_u8..4, 0_u8..6).prop_map(|(s, u, p, n)| Step::Part(s, u, p, n)),
        1 => (any::<usize>(), any::<usize>(), 0_u8..4, 0_u8..6).prop_map(|(s, u, p, n)| Step::PartOf(s, u, p, n)),
        2 => (any::<usize>(), any::<usize>()).prop_map(|(s, u)| Step::Complete(s, u)),
        4 => (any::<usize>(), 0_u8..4, 0_u8..4).prop_map(|(s, f, t)| Step::Copy(s, f, t)),
        1 => any::<usize>().prop_map(Step::Abort),
        2 => (any::<usize>(), names()).prop_map(|(s, n)| Step::Lease(s, n)),
        2 => (any::<usize>(), names()).prop_map(|(s, n)| Step::Renew(s, n)),
        1 => (0..=limits::LEASE_MS, any::<bool>()).prop_map(|(ms, accept)| Step::Wait(ms, accept)),
        1 => Just(Step::Round),
    ]
}

/// Turns a step into entries; the state decides which sessions and uploads there are.
struct Player {
    state: State,
    sessions: Vec<u64>,
    uploads: Vec<(Bytes, Bytes)>,
    entries: Vec<Bytes>,
}

impl Player {
    fn session(&self, pick: usize) -> Option<u64> {
        (!self.sessions.is_empty()).then(|| self.sessions[pick % self.sessions.len()])
    }

    fn run(&mut self, session: u64, command: Command) -> Reply {
        self.state.operations += 1;
        let entry = self.state.entry(session, self.state.operations, command);
        self.entries.push(entry.clone());
        self.state.apply(&[entry]).remove(0).reply
    }

    fn stage(&mut self, session: u64, names: &[u8]) -> Bytes {
        let manifest = self.state.stamp(session);
        for (page, name) in (0..).zip(names) {
            let extents = vec![self.state.extent(session, *name)];
            let stage = StagePage {
                bucket: 1,
                manifest: manifest.clone(),
                page,
                extents,
            };
            self.run(session, Command::StagePage(stage));
        }
        manifest
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::Begin => {
                let begin = Command::BeginSession(BeginSession {
                    gateway: String::new(),
                });
                let id = self.run(0, begin).number;
                self.sessions.push(id);
            }
            Step::End(pick) => {
                if let Some(target) = self.session(*pick) {
                    self.run(
                        0,
                        Command::EndSession(EndSession {
                            target,
                            expired: true,
                        }),
                    );
                    self.sessions.retain(|session| *session != target);
                }
            }
            Step::Put(pick, key, names) => {
                if let Some(session) = self.session(*pick) {
                    let put = self.state.put(session, &key.to_string(), names);
                    self.run(session, put);
                }
            }
            Step::PutPages(pick, key, names) => {
                if let Some(session) = self.session(*pick) {
                    let manifest = self.stage(session, names);
                    let pages = u32::try_from(names.len()).unwrap();
                    let place = Pages {
                        manifest,
                        pages,
                        length: 100_000 * u64::from(pages),
                    };
                    self.run(session, put_content(&key.to_string(), Place::Pages(place)));
                }
            }
            Step::StageOnly(pick, names) => {
                if let Some(session) = self.session(*pick) {
                    self.stage(session, names);
                }
            }
            other => self.play_rest(other),
        }
    }

    fn part(&mut self, pick: usize, upload: usize, number: u8, name: u8, claim: Claim) {
        if let (Some(session), false) = (self.session(pick), self.uploads.is_empty()) {
            let (key, stamp) = self.uploads[upload % self.uploads.len()].clone();
            let mut extent = self.state.extent(session, name);
            extent.set_claim(claim);
            let place = Place::Extents(Extents {
                manifest: self.state.stamp(session),
                extents: vec![extent],
            });
            let part = PutPart {
                bucket: 1,
                key,
                upload: stamp,
                number: u32::from(number) + 1,
                content: Some(Content { place: Some(place) }),
                ..PutPart::default()
            };
            self.run(session, Command::PutPart(part));
        }
    }

    fn complete(&mut self, pick: usize, upload: usize) {
        let (Some(session), false) = (self.session(pick), self.uploads.is_empty()) else {
            return;
        };
        let (key, stamp) = self.uploads[upload % self.uploads.len()].clone();
        let stamp_bytes: [u8; 16] = stamp.as_ref().try_into().unwrap();
        let mut parts = self.state.rows_of::<PartKey>().into_iter();
        let first = parts.find(|(part, _)| part.upload == stamp_bytes);
        let upload = self.state.row(&UploadKey {
            bucket: 1,
            key: key.to_vec(),
            upload: stamp_bytes,
        });
        let (Some((part, row)), Some(upload)) = (first, upload) else {
            return;
        };
        let digest = parts_digest([(part.number, row.length, row.etag.as_str())]);
        let complete = CompleteUpload {
            bucket: 1,
            key,
            upload: stamp,
            revision: upload.revision,
            parts_digest: digest.to_vec().into(),
            numbers: vec![part.number],
            ..CompleteUpload::default()
        };
        let reply = self.run(session, Command::CompleteUpload(complete));
        assert_eq!(reply.refusal(), Refusal::None, "{}", reply.detail);
    }

    fn copy(&mut self, pick: usize, from: u8, to: u8) {
        let source_key = Bytes::from(from.to_string());
        let mut rows = self.state.rows_of::<ObjectKey>().into_iter();
        let source = rows.find(|(key, _)| key.key == source_key);
        if let (Some(session), Some((_, row))) = (self.session(pick), source) {
            let copy = CopyObject {
                source_bucket: 1,
                source_key,
                source_version: row.version,
                bucket: 1,
                key: to.to_string().into(),
                ..CopyObject::default()
            };
            let reply = self.run(session, Command::CopyObject(copy));
            assert_eq!(reply.refusal(), Refusal::None, "{}", reply.detail);
        }
    }

    fn play_rest(&mut self, step: &Step) {
        match step {
            Step::Delete(key) => {
                let item = DeleteItem {
                    key: key.to_string().into(),
                    conditions: None,
                };
                let delete = DeleteObjects {
                    bucket: 1,
                    items: vec![item],
                };
                self.run(0, Command::DeleteObjects(delete));
            }
            Step::Create(pick, key) => {
                if let Some(session) = self.session(*pick) {
                    let upload = self.state.stamp(session);
                    let key = Bytes::from(key.to_string());
                    self.uploads.push((key.clone(), upload.clone()));
                    let create = CreateUpload {
                        bucket: 1,
                        key,
                        upload,
                        ..Default::default()
                    };
                    self.run(session, Command::CreateUpload(create));
                }
            }
            Step::Part(pick, upload, number, name) => {
                self.part(*pick, *upload, *number, *name, Claim::Written);
            }
            Step::PartOf(pick, upload, number, name) => {
                self.part(*pick, *upload, *number, *name, Claim::Live);
            }
            Step::Complete(pick, upload) => self.complete(*pick, *upload),
            Step::Copy(pick, from, to) => self.copy(*pick, *from, *to),
            Step::Abort(upload) => {
                if !self.uploads.is_empty() {
                    let (key, upload) = self.uploads.remove(upload % self.uploads.len());
                    self.run(
                        0,
                        Command::AbortUpload(AbortUpload {
                            bucket: 1,
                            key,
                            upload,
                        }),
                    );
                }
            }
            Step::Round => garbage::settle(&mut self.state),
            other => self.play_leases(other),
        }
    }

    fn play_leases(&mut self, step: &Step) {
        match step {
            Step::Lease(pick, names) => {
                if let Some(session) = self.session(*pick) {
                    let put = leases::bring(&mut self.state, session, names);
                    self.run(session, put);
                }
            }
            Step::Renew(pick, names) => {
                if let Some(session) = self.session(*pick) {
                    self.run(session, leases::claim(names));
                }
            }
            Step::Wait(ms, accept) => {
                self.state.now_ms += ms;
                if *accept {
                    self.run(0, Command::AcceptClock(AcceptClock {}));
                }
                self.run(0, Command::ExpireLeases(ExpireLeases {}));
            }
            _ => unreachable!("played already"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn counts_equal_a_full_mark_and_garbage_goes_to_zero(steps in vec(step(), 1..60)) {
        let mut player = Player { state: State::with_bucket(), sessions: vec![], uploads: vec![], entries: vec![] };
        for step in &steps {
            player.play(step);
            mark::check(&player.state);
        }
        for target in std::mem::take(&mut player.sessions) {
            player.run(0, Command::EndSession(EndSession { target, expired: true }));
        }
        for key in 0_u8..4 {
            player.play(&Step::Delete(key));
        }
        while !player.uploads.is_empty() {
            player.play(&Step::Abort(0));
        }
        player.play(&Step::Wait(limits::LEASE_MS, true));
        garbage::settle(&mut player.state);
        prop_assert!(player.state.rows_of::<LeaseEndKey>().is_empty());
        prop_assert!(player.state.rows_of::<ChunkKey>().is_empty());
        prop_assert!(player.state.rows_of::<CondemnedKey>().is_empty());
        prop_assert!(player.state.rows_of::<SessionKey>().is_empty());
    }

    #[test]
    fn batches_cut_anywhere_give_the_same_rows(steps in vec(step(), 1..40), cuts in vec(1_usize..9, 1..9)) {
        let mut player = Player { state: State::with_bucket(), sessions: vec![], uploads: vec![], entries: vec![] };
        for step in steps.iter().filter(|step| !matches!(step, Step::Round)) {
            player.play(step);
        }
        let mut other = State::with_bucket();
        let (mut rest, mut cut) = (player.entries.as_slice(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (batch, later) = rest.split_at((*cut.next().unwrap()).min(rest.len()));
            other.apply(batch);
            rest = later;
        }
        prop_assert_eq!(other.rows, player.state.rows);
    }
}
