//! Uploads that outlast their session: what they staged goes with them to a newer one, and is let
//! go exactly once.

use cairn_wire::metadata::{AdoptStaged, Pages, PutPart, StagePage};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::keyspace::chunk::ChunkKey;
use crate::keyspace::manifest::{PageKey, ReleaseKey};
use crate::keyspace::object::ObjectKey;
use crate::keyspace::session::StagedKey;
use crate::keyspace::upload::PartKey;

fn adopt(from: u64, manifest: &Bytes) -> Command {
    Command::AdoptStaged(AdoptStaged {
        from,
        manifest: manifest.clone(),
    })
}

/// One page of one fresh writing of `session`.
fn page(state: &mut State, session: u64, manifest: &Bytes, page: u32, name: u8) -> Command {
    Command::StagePage(StagePage {
        bucket: 1,
        manifest: manifest.clone(),
        page,
        extents: vec![state.extent(session, name)],
    })
}

fn pages(manifest: &Bytes, pages: u32) -> Place {
    Place::Pages(Pages {
        manifest: manifest.clone(),
        pages,
        length: 100_000 * u64::from(pages),
    })
}

/// An upload of one page in an old session, and a newer session to move to.
fn begun() -> (State, u64, u64, Bytes) {
    let mut state = State::with_bucket();
    let old = state.begin();
    let manifest = state.stamp(old);
    let first = page(&mut state, old, &manifest, 0, 1);
    state.done_in(old, first);
    let new = state.begin();
    (state, old, new, manifest)
}

fn owners(state: &State) -> Vec<u64> {
    let staged = state.rows_of::<StagedKey>().into_iter();
    staged.map(|(key, _)| key.session).collect()
}

/// **[bug]** The end of the old session releases what the newer one has adopted.
#[test]
fn what_was_adopted_outlives_the_session_that_wrote_it() {
    let (mut state, old, new, manifest) = begun();
    state.done_in(new, adopt(old, &manifest));
    assert_eq!(owners(&state), [new]);
    mark::check(&state);
    state.done(end(old));
    garbage::settle(&mut state);
    assert!(state.rows_of::<ReleaseKey>().is_empty());
    let second = page(&mut state, new, &manifest, 1, 2);
    state.done_in(new, second);
    state.done_in(new, put_content("slow", pages(&manifest, 2)));
    state.done(end(new));
    garbage::settle(&mut state);
    assert_eq!(state.rows_of::<PageKey>().len(), 2);
    assert_eq!(state.rows_of::<ChunkKey>().len(), 2);
    state.done(delete("slow"));
    garbage::settle(&mut state);
    assert!(state.rows_of::<PageKey>().is_empty());
    assert!(state.rows_of::<ChunkKey>().is_empty());
}

/// The gateway died before it moved, or after: either way one session's end lets go of all.
#[test]
fn the_end_of_its_owner_lets_go_of_it() {
    for adopted in [false, true] {
        let (mut state, old, new, manifest) = begun();
        if adopted {
            state.done_in(new, adopt(old, &manifest));
        }
        let (owner, other) = if adopted { (new, old) } else { (old, new) };
        state.done(end(other));
        garbage::settle(&mut state);
        assert_eq!(owners(&state), [owner], "the other's end means nothing");
        state.done(end(owner));
        garbage::settle(&mut state);
        assert!(owners(&state).is_empty());
        assert!(state.rows_of::<PageKey>().is_empty());
        assert!(state.rows_of::<ChunkKey>().is_empty());
    }
}

#[test]
fn an_upload_moves_as_often_as_it_needs_to_and_may_end_as_a_part() {
    let (mut state, mut owner, mut next, manifest) = begun();
    for at in 1..5 {
        state.done_in(next, adopt(owner, &manifest));
        state.done(end(owner));
        garbage::settle(&mut state);
        let more = page(&mut state, next, &manifest, at, u8::try_from(at).unwrap());
        state.done_in(next, more);
        mark::check(&state);
        (owner, next) = (next, state.begin());
    }
    let upload = state.stamp(owner);
    let create = cairn_wire::metadata::CreateUpload {
        bucket: 1,
        key: "big".into(),
        upload: upload.clone(),
        ..Default::default()
    };
    state.done_in(owner, Command::CreateUpload(create));
    let part = PutPart {
        bucket: 1,
        key: "big".into(),
        upload,
        number: 1,
        content: Some(Content {
            place: Some(pages(&manifest, 5)),
        }),
        ..PutPart::default()
    };
    state.done_in(owner, Command::PutPart(part));
    state.done(end(owner));
    garbage::settle(&mut state);
    assert_eq!(state.rows_of::<PartKey>()[0].1.length, 500_000);
    assert_eq!(state.rows_of::<PageKey>().len(), 5);
}

#[test]
fn an_adoption_needs_an_open_older_session_and_one_of_its_own() {
    let (mut state, old, new, manifest) = begun();
    let ended = state.begin();
    let newest = state.begin();
    state.done(end(ended));
    for from in [0, ended, newest, newest + 1] {
        let refused = state.run_in(newest, adopt(from, &manifest));
        assert_eq!(refused.refusal(), Refusal::SessionEnded, "from {from}");
    }
    let without = state.run(adopt(old, &manifest));
    assert_eq!(without.refusal(), Refusal::SessionEnded);
    let short = Bytes::from_static(b"not 16 bytes");
    assert_eq!(
        state.run_in(new, adopt(old, &short)).refusal(),
        Refusal::Malformed
    );
    let unknown = state.stamp(old);
    assert_eq!(
        state.run_in(new, adopt(old, &unknown)).refusal(),
        Refusal::RetryUpload
    );
    assert_eq!(owners(&state), [old]);
    mark::check(&state);
}

#[test]
fn an_ended_session_has_nothing_left_to_adopt() {
    let (mut state, old, new, manifest) = begun();
    state.done(end(old));
    assert_eq!(
        state.run_in(new, adopt(old, &manifest)).refusal(),
        Refusal::SessionEnded
    );
    assert!(owners(&state).is_empty());
    mark::check(&state);
}

#[test]
fn an_adoption_sent_again_is_done_once_and_answered_the_same() {
    let (mut state, old, new, manifest) = begun();
    let first = state.run_as(new, 900, adopt(old, &manifest));
    assert_eq!(first.refusal(), Refusal::None);
    let rows = state.rows.clone();
    assert_eq!(state.run_as(new, 900, adopt(old, &manifest)), first);
    assert_eq!(state.rows, rows);
    let third = state.begin();
    assert_eq!(
        state.run_in(third, adopt(old, &manifest)).refusal(),
        Refusal::RetryUpload,
        "it is not the old one's to give any more"
    );
    assert_eq!(owners(&state), [new]);
}

#[test]
fn the_old_session_can_neither_add_to_nor_attach_nor_begin_again_what_it_gave_away() {
    let (mut state, old, new, manifest) = begun();
    state.done_in(new, adopt(old, &manifest));
    for at in [0, 1] {
        let more = page(&mut state, old, &manifest, at, 3);
        assert_eq!(
            state.run_in(old, more).refusal(),
            Refusal::Malformed,
            "page {at}"
        );
    }
    let attach = put_content("stolen", pages(&manifest, 1));
    assert_eq!(state.run_in(old, attach).refusal(), Refusal::RetryUpload);
    mark::check(&state);
    state.done_in(new, put_content("slow", pages(&manifest, 1)));
    let again = page(&mut state, old, &manifest, 0, 3);
    assert_eq!(state.run_in(old, again).refusal(), Refusal::Malformed);
    mark::check(&state);
}

#[test]
fn a_session_adopts_the_manifest_and_not_the_right_to_write_under_its_stamps() {
    let (mut state, old, new, manifest) = begun();
    state.done_in(new, adopt(old, &manifest));
    let theirs = state.extent(old, 2);
    let stage = |extent| {
        Command::StagePage(StagePage {
            bucket: 1,
            manifest: manifest.clone(),
            page: 1,
            extents: vec![extent],
        })
    };
    assert_eq!(
        state.run_in(new, stage(theirs)).refusal(),
        Refusal::RetryUpload
    );
    let others = state.stamp(old);
    let begin = page(&mut state, new, &others, 0, 2);
    assert_eq!(
        state.run_in(new, begin).refusal(),
        Refusal::RetryUpload,
        "only what was adopted"
    );
    let ours = state.extent(new, 2);
    state.done_in(new, stage(ours));
    mark::check(&state);
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    End(usize),
    /// A new upload in some session.
    Start(usize),
    Stage(usize, u8),
    Adopt(usize, usize),
    Commit(usize, u8),
    Delete(u8),
    Round,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Begin),
        1 => any::<usize>().prop_map(Step::End),
        2 => any::<usize>().prop_map(Step::Start),
        5 => (any::<usize>(), 0_u8..4).prop_map(|(upload, name)| Step::Stage(upload, name)),
        4 => (any::<usize>(), any::<usize>()).prop_map(|(upload, to)| Step::Adopt(upload, to)),
        2 => (any::<usize>(), 0_u8..3).prop_map(|(upload, key)| Step::Commit(upload, key)),
        1 => (0_u8..3).prop_map(Step::Delete),
        1 => Just(Step::Round),
    ]
}

/// An upload as its gateway sees it.
#[derive(Clone, Debug)]
struct Slow {
    owner: u64,
    manifest: Bytes,
    pages: u32,
}

/// The state machine, and what it must hold.
struct Player {
    state: State,
    open: Vec<u64>,
    uploads: Vec<Slow>,
    committed: BTreeMap<u8, Slow>,
}

impl Player {
    fn new() -> Self {
        let mut state = State::with_bucket();
        let open = vec![state.begin()];
        Self {
            state,
            open,
            uploads: Vec::new(),
            committed: BTreeMap::new(),
        }
    }

    fn pick(&self, pick: usize) -> Option<u64> {
        (!self.open.is_empty()).then(|| self.open[pick % self.open.len()])
    }

    fn upload(&self, pick: usize) -> Option<usize> {
        (!self.uploads.is_empty()).then(|| pick % self.uploads.len())
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::Begin => self.open.push(self.state.begin()),
            Step::End(pick) => {
                if let Some(target) = self.pick(pick) {
                    self.state.done(end(target));
                    self.open.retain(|session| *session != target);
                    self.uploads.retain(|upload| upload.owner != target);
                }
            }
            Step::Start(pick) => {
                if let Some(owner) = self.pick(pick) {
                    let manifest = self.state.stamp(owner);
                    let pages = 0;
                    self.uploads.push(Slow {
                        owner,
                        manifest,
                        pages,
                    });
                }
            }
            Step::Stage(pick, name) => {
                if let Some(at) = self.upload(pick) {
                    let Slow {
                        owner,
                        manifest,
                        pages,
                    } = self.uploads[at].clone();
                    let stage = page(&mut self.state, owner, &manifest, pages, name);
                    self.state.done_in(owner, stage);
                    self.uploads[at].pages += 1;
                }
            }
            Step::Adopt(upload, to) => self.adopt(upload, to),
            Step::Commit(pick, key) => self.commit(pick, key),
            Step::Delete(key) => {
                self.state.done(delete(&key.to_string()));
                self.committed.remove(&key);
            }
            Step::Round => garbage::settle(&mut self.state),
        }
    }

    fn adopt(&mut self, upload: usize, to: usize) {
        let (Some(at), Some(to)) = (self.upload(upload), self.pick(to)) else {
            return;
        };
        let Slow {
            owner,
            manifest,
            pages,
        } = self.uploads[at].clone();
        let reply = self.state.run_in(to, adopt(owner, &manifest));
        let expected = match (owner < to, pages) {
            (false, _) => Refusal::SessionEnded,
            (true, 0) => Refusal::RetryUpload,
            (true, _) => Refusal::None,
        };
        assert_eq!(reply.refusal(), expected);
        if expected == Refusal::None {
            self.uploads[at].owner = to;
        }
    }

    fn commit(&mut self, pick: usize, key: u8) {
        let Some(at) = self.upload(pick).filter(|at| self.uploads[*at].pages > 0) else {
            return;
        };
        let done = self.uploads.remove(at);
        let put = put_content(&key.to_string(), pages(&done.manifest, done.pages));
        self.state.done_in(done.owner, put);
        self.committed.insert(key, done);
    }

    /// Counts equal a full mark, every open upload is its owner's alone, and every object is whole.
    fn check(&self) {
        mark::check(&self.state);
        let mut expected: Vec<(u64, Bytes, u32)> = (self.uploads.iter())
            .filter(|upload| upload.pages > 0)
            .map(|upload| (upload.owner, upload.manifest.clone(), upload.pages))
            .collect();
        expected.sort_unstable();
        let staged = self.state.rows_of::<StagedKey>().into_iter();
        let staged: Vec<(u64, Bytes, u32)> = staged
            .map(|(key, row)| (key.session, key.manifest.to_vec().into(), row.pages))
            .collect();
        assert_eq!(staged, expected);
        assert_eq!(
            self.state.rows_of::<ObjectKey>().len(),
            self.committed.len()
        );
        for held in self.uploads.iter().chain(self.committed.values()) {
            for page in 0..held.pages {
                let manifest = held.manifest.as_ref().try_into().unwrap();
                let key = PageKey { manifest, page };
                assert!(self.state.row(&key).is_some(), "page {page} of {held:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn however_uploads_move_and_sessions_end_counts_equal_a_full_mark(steps in vec(step(), 1..80)) {
        let mut player = Player::new();
        for step in &steps {
            player.play(step);
            player.check();
        }
        while !player.open.is_empty() {
            player.play(&Step::End(0));
            player.check();
        }
        for key in 0..3 {
            player.play(&Step::Delete(key));
        }
        garbage::settle(&mut player.state);
        prop_assert!(player.state.rows_of::<PageKey>().is_empty());
        prop_assert!(player.state.rows_of::<ChunkKey>().is_empty());
        prop_assert!(player.state.rows_of::<ReleaseKey>().is_empty());
    }
}
