//! The gateway's sessions: the ground on which garbage is safely told from work in progress.
//!
//! ```text
//!   begin ──> current ──(a minute old, or many outcomes)──> retired ──(no guard left)──> EndSession
//!               │ enter()                                      ▲
//!               └──> Entered ── stamps, operation numbers ─────┘ dropped
//! ```
//!
//! Every upload and every read holds an [`Entered`]. A chunk that was live when a session was
//! entered is not deleted before that session ends, so neither a slow upload nor a slow read loses
//! a chunk under its feet. A read that lasts long pins what it needs in a newer session and leaves
//! its own, so that it holds nothing but that; an upload has a newer session adopt what it staged.
//! A command runs in a task of its own that holds a guard until the outcome
//! is known: a client that goes away neither cancels it half way nor lets the session end early.
//! Numbers and stamps come from the session's counters and are never given twice.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cairn_model::{Incarnation, SessionId, limits};
use cairn_rpc::MetadataError;
use cairn_wire::metadata as wire;
use cairn_wire::metadata::Refusal;
use cairn_wire::metadata::entry::Command;
use cairn_world::{Bug, Clock, buggify, planted};
use tokio::sync::{Notify, oneshot};

use crate::metadata::{Backoff, CommitError, Metadata};
use crate::tuning;

mod moves;
mod occupied;

pub(crate) use occupied::Occupied;

/// One session. Reached only through [`Entered`].
#[derive(Debug)]
struct Session {
    id: u64,
    /// What its stamps carry. Ids of one generation are none of another's, so a gateway that has not
    /// heard of a restore can only be refused.
    generation: u16,
    begun: Duration,
    guards: AtomicUsize,
    operations: AtomicU64,
    stamps: AtomicU64,
    /// Bytes that requests hold in it.
    held: AtomicU64,
    /// Some outcome stayed unknown for good, so that only the leader may end this session; or it has
    /// ended without this gateway.
    abandoned: AtomicBool,
    idle: Arc<Notify>,
}

/// What a read needs to stay: the chunks its row names, or the manifest whose pages name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) chunks: Vec<wire::ChunkKey>,
    pub(crate) manifests: Vec<Bytes>,
}

/// A place in an open session. While one lives, its session is not ended by this gateway.
#[derive(Debug)]
pub(crate) struct Entered {
    session: Arc<Session>,
    sessions: Arc<Sessions>,
    /// What of the session's held bytes is this place's.
    held: u64,
}

impl Clone for Entered {
    fn clone(&self) -> Self {
        self.session.guards.fetch_add(1, Ordering::Relaxed);
        Self {
            session: Arc::clone(&self.session),
            sessions: Arc::clone(&self.sessions),
            held: 0,
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.session.held.fetch_sub(self.held, Ordering::Relaxed);
        if self.session.guards.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.session.idle.notify_one();
        }
    }
}

impl Entered {
    fn new(session: &Arc<Session>, sessions: &Arc<Sessions>) -> Self {
        session.guards.fetch_add(1, Ordering::Relaxed);
        Self {
            session: Arc::clone(session),
            sessions: Arc::clone(sessions),
            held: 0,
        }
    }

    /// How long the session has been open.
    pub(crate) fn age(&self) -> Duration {
        let now = self.sessions.clock.monotonic();
        now.saturating_sub(self.session.begun)
    }

    /// Moves a read to the current session. What the read still needs is pinned there before the old
    /// session is left, so at no moment is it held by neither.
    ///
    /// # Errors
    /// See [`CommitError`]; the read is still in its old session.
    pub(crate) async fn renew(&mut self, needs: Needs) -> Result<(), CommitError> {
        let mut newer = self.sessions.enter().await?;
        if newer.session.id == self.session.id {
            return Ok(());
        }
        let pin = wire::PinRead {
            from: self.session.id,
            chunks: needs.chunks,
            manifests: needs.manifests,
        };
        newer.propose(Command::PinRead(pin)).await?;
        tracing::debug!(
            from = self.session.id,
            to = newer.session.id,
            "a read moved on"
        );
        newer.hold(self.held);
        *self = newer;
        Ok(())
    }

    /// The session's number.
    #[cfg(test)]
    pub(crate) fn id(&self) -> u64 {
        self.session.id
    }

    /// A stamp never given before: for a writing of a chunk, a manifest or an upload.
    pub(crate) fn stamp(&self, group: u16) -> Incarnation {
        Incarnation {
            group,
            generation: self.session.generation,
            session: SessionId(self.session.id),
            counter: self.session.stamps.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }

    /// Commits a command in this session and waits for its outcome. Dropping the wait does not
    /// cancel the command.
    ///
    /// # Errors
    /// See [`CommitError`]; `Unknown` after a bounded time, while the resolving goes on behind.
    pub(crate) async fn propose(&self, command: Command) -> Result<wire::Reply, CommitError> {
        let outcome = self.wait_for(command, tuning::RESOLVE_PATIENCE);
        tokio::select! {
            biased;
            outcome = outcome => outcome,
            () = self.sessions.clock.sleep(tuning::OUTCOME_WAIT) => Err(CommitError::Unknown),
        }
    }

    /// The same for a step of something long, which nobody waits for to be answered: it is given up
    /// only when the resolving is.
    ///
    /// # Errors
    /// As [`Entered::propose`].
    pub(crate) async fn persist(&self, command: Command) -> Result<wire::Reply, CommitError> {
        self.wait_for(command, tuning::RESOLVE_ATTEMPTS).await
    }

    async fn wait_for(&self, command: Command, patience: u32) -> Result<wire::Reply, CommitError> {
        let operation = self.session.operations.fetch_add(1, Ordering::Relaxed) + 1;
        let (told, outcome) = oneshot::channel();
        tokio::spawn(self.clone().settle(operation, command, patience, told));
        outcome.await.unwrap_or(Err(CommitError::Unknown))
    }

    /// Sends (session, operation) until its outcome is known, within bounds.
    async fn settle(
        self,
        operation: u64,
        command: Command,
        patience: u32,
        told: oneshot::Sender<Result<wire::Reply, CommitError>>,
    ) {
        let mut told = Some(told);
        let mut tell = move |outcome| {
            if let Some(waiter) = told.take() {
                // A waiter that went away needs no answer.
                waiter.send(outcome).ok();
            }
        };
        let mut backoff = Backoff::new();
        let mut unknown = false;
        for attempt in 1..=tuning::RESOLVE_ATTEMPTS {
            let sent = self.send(operation, command.clone()).await;
            match sent {
                Err(CommitError::Unknown | CommitError::RetryUpload)
                    if planted(Bug::CommitRetriedInNewSession) =>
                {
                    return tell(self.in_new_session(command).await);
                }
                Err(CommitError::Unknown) => unknown = true,
                Err(CommitError::Unavailable(why)) if !unknown => {
                    if attempt >= tuning::METADATA_ATTEMPTS {
                        return tell(Err(CommitError::Unavailable(why)));
                    }
                }
                Err(CommitError::Unavailable(_)) => {}
                known => return tell(known),
            }
            if attempt == patience {
                tell(Err(CommitError::Unknown));
            }
            let mut pause = backoff.next();
            if unknown && buggify("outcome-asked-late") {
                // As after a process stood still: the session may have been ended meanwhile.
                pause += Duration::from_secs(limits::SESSION_EXPIRY_SECS + 15);
            }
            self.sessions.metadata.pause(pause).await;
        }
        self.session.abandoned.store(true, Ordering::Release);
        tracing::error!(
            session = self.session.id,
            operation,
            "the outcome of a command stayed unknown; its session is left to expire"
        );
        tell(Err(CommitError::Unknown));
    }

    async fn send(&self, operation: u64, command: Command) -> Result<wire::Reply, CommitError> {
        let sent = self
            .sessions
            .metadata
            .propose(self.session.id, operation, command)
            .await;
        let reply = sent.map_err(commit_error)?;
        if reply.refusal() == Refusal::SessionEnded {
            // It was expired, or a restore ended it: the next request begins another.
            self.session.abandoned.store(true, Ordering::Release);
        }
        if buggify("outcome-asked-again") {
            return Err(CommitError::Unknown);
        }
        check(reply)
    }

    /// The planted way to resolve an outcome: the command once more, under another number.
    async fn in_new_session(&self, command: Command) -> Result<wire::Reply, CommitError> {
        let session = self.sessions.begin().await?;
        let newer = Self::new(&session, &self.sessions);
        newer.send(1, command).await
    }
}

fn commit_error(error: MetadataError) -> CommitError {
    match error {
        MetadataError::Unknown => CommitError::Unknown,
        MetadataError::NotLeader { .. } => CommitError::Unavailable("no leader".to_owned()),
        MetadataError::Unavailable(why) => CommitError::Unavailable(why),
        MetadataError::TooLarge => CommitError::Protocol("the command is too large"),
        MetadataError::Refused(why) => CommitError::Protocol(why),
    }
}

fn check(reply: wire::Reply) -> Result<wire::Reply, CommitError> {
    match Refusal::try_from(reply.refusal) {
        Ok(Refusal::None) => Ok(reply),
        Ok(Refusal::SessionEnded | Refusal::RetryUpload) => Err(CommitError::RetryUpload),
        Ok(Refusal::Malformed) => Err(CommitError::Protocol("the command was malformed")),
        Ok(refusal) => Err(CommitError::Refused {
            refusal,
            detail: reply.detail,
        }),
        Err(_) => Err(CommitError::Protocol("an unknown refusal")),
    }
}

#[derive(Debug, Default)]
struct Held {
    current: Option<Arc<Session>>,
    retired: Vec<Arc<Session>>,
    closing: bool,
}

/// Keeps the current session fresh and ends the ones nobody is in.
#[derive(Debug)]
pub(crate) struct Sessions {
    metadata: Metadata,
    clock: Arc<dyn Clock>,
    gateway: String,
    held: Mutex<Held>,
    beginning: tokio::sync::Mutex<()>,
    ending: tokio::sync::Mutex<()>,
    idle: Arc<Notify>,
    ended: Notify,
}

impl Sessions {
    /// `gateway` names this process for people.
    pub(crate) fn new(metadata: Metadata, clock: Arc<dyn Clock>, gateway: String) -> Self {
        Self {
            metadata,
            clock,
            gateway,
            held: Mutex::default(),
            beginning: tokio::sync::Mutex::default(),
            ending: tokio::sync::Mutex::default(),
            ended: Notify::new(),
            idle: Arc::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters the current session, beginning one where there is none that is fresh.
    ///
    /// # Errors
    /// `Unavailable` where no session could be begun; nothing was done for the request yet.
    pub(crate) async fn enter(self: &Arc<Self>) -> Result<Entered, CommitError> {
        if let Some(entered) = self.enter_current() {
            return Ok(entered);
        }
        let _one_at_a_time = self.beginning.lock().await;
        if let Some(entered) = self.enter_current() {
            return Ok(entered);
        }
        let session = self.begin().await?;
        let mut held = self.held();
        if held.closing {
            held.retired.push(session);
            self.idle.notify_one();
            return Err(CommitError::Unavailable("shutting down".to_owned()));
        }
        let entered = Entered::new(&session, self);
        held.current = Some(session);
        Ok(entered)
    }

    fn enter_current(self: &Arc<Self>) -> Option<Entered> {
        let mut held = self.held();
        self.retire_stale(&mut held);
        let session = held.current.as_ref()?;
        Some(Entered::new(session, self))
    }

    fn retire_stale(&self, held: &mut Held) {
        let now = self.clock.monotonic();
        let stale = held.current.take_if(|session| {
            now.saturating_sub(session.begun) >= Duration::from_secs(limits::SESSION_SECS)
                || session.operations.load(Ordering::Relaxed) >= limits::SESSION_OUTCOMES_MAX / 2
                || session.abandoned.load(Ordering::Acquire)
                || buggify("session-rotated")
        });
        if let Some(session) = stale {
            held.retired.push(session);
            self.idle.notify_one();
        }
    }

    /// A session begun with an unknown outcome is never used, another is begun; the leader lets it
    /// expire.
    async fn begin(&self) -> Result<Arc<Session>, CommitError> {
        let command = Command::BeginSession(wire::BeginSession {
            gateway: self.gateway.clone(),
        });
        let mut backoff = Backoff::new();
        let mut attempt = 1;
        let deadline = self.metadata.deadline();
        loop {
            // Its age counts from before it was asked for.
            let begun = self.clock.monotonic();
            let sent = self.metadata.propose(0, 0, command.clone()).await;
            let error = match sent.map_err(commit_error).and_then(check) {
                Ok(reply) => return self.session(&reply, begun),
                Err(error) => error,
            };
            let again = matches!(error, CommitError::Unavailable(_) | CommitError::Unknown);
            let last = attempt == tuning::METADATA_ATTEMPTS || self.metadata.is_past(deadline);
            if last || !again {
                return Err(CommitError::Unavailable(error.to_string()));
            }
            attempt += 1;
            self.metadata.pause(backoff.next()).await;
        }
    }

    fn session(&self, reply: &wire::Reply, begun: Duration) -> Result<Arc<Session>, CommitError> {
        let id = reply.number;
        let generation = u16::try_from(reply.generation)
            .map_err(|_| CommitError::Protocol("a generation out of range"))?;
        if id == 0 || id > cairn_model::incarnation::U48_MAX {
            return Err(CommitError::Protocol("a session number out of range"));
        }
        tracing::debug!(session = id, "session begun");
        Ok(Arc::new(Session {
            id,
            generation,
            begun,
            guards: AtomicUsize::new(0),
            operations: AtomicU64::new(0),
            stamps: AtomicU64::new(0),
            held: AtomicU64::new(0),
            abandoned: AtomicBool::new(false),
            idle: Arc::clone(&self.idle),
        }))
    }

    /// Retires and ends sessions for as long as it is polled.
    pub(crate) async fn keep(&self) {
        loop {
            let tick = self
                .clock
                .sleep(Duration::from_secs(limits::SESSION_SECS) / 4);
            tokio::select! {
                () = tick => {}
                () = self.idle.notified() => {}
            }
            self.retire_stale(&mut self.held());
            self.end_idle().await;
            self.say_alive().await;
        }
    }

    /// Without this the leader would expire a session whose one long upload proposes nothing.
    async fn say_alive(&self) {
        let open: Vec<u64> = {
            let held = self.held();
            held.current
                .iter()
                .chain(&held.retired)
                .map(|session| session.id)
                .collect()
        };
        if open.is_empty() {
            return;
        }
        if let Err(error) = self.metadata.keep_alive(&open).await {
            tracing::warn!(%error, "sessions could not be kept alive");
        }
    }

    /// Takes no one in any more, and ends every session as its last guard goes.
    pub(crate) async fn close(&self) {
        {
            let mut held = self.held();
            held.closing = true;
            let current = held.current.take();
            held.retired.extend(current);
        }
        loop {
            self.end_idle().await;
            if self.held().retired.is_empty() {
                return;
            }
            tokio::select! {
                () = self.idle.notified() => {}
                () = self.ended.notified() => {}
            }
        }
    }

    pub(crate) async fn end_idle(&self) {
        let _one_at_a_time = self.ending.lock().await;
        loop {
            let ended = {
                let mut held = self.held();
                let idle = |session: &Arc<Session>| session.guards.load(Ordering::Acquire) == 0;
                let Some(at) = held.retired.iter().position(idle) else {
                    return;
                };
                held.retired.swap_remove(at)
            };
            self.end(&ended).await;
            self.ended.notify_one();
        }
    }

    /// Says that nothing begun in the session goes on. Where the word does not arrive the leader's
    /// expiry says it later: space is held a little longer, nothing else.
    async fn end(&self, session: &Session) {
        if session.abandoned.load(Ordering::Acquire) {
            return;
        }
        let command = Command::EndSession(wire::EndSession {
            target: session.id,
            expired: false,
        });
        let mut backoff = Backoff::new();
        for _ in 0..tuning::METADATA_ATTEMPTS {
            let sent = self.metadata.propose(0, 0, command.clone()).await;
            match sent.map_err(commit_error).and_then(check) {
                Ok(_) | Err(CommitError::RetryUpload) => {
                    tracing::debug!(session = session.id, "session ended");
                    return;
                }
                Err(CommitError::Unknown | CommitError::Unavailable(_)) => {
                    self.metadata.pause(backoff.next()).await;
                }
                Err(error) => {
                    tracing::error!(session = session.id, %error, "a session could not be ended");
                    return;
                }
            }
        }
        tracing::warn!(session = session.id, "a session is left to expire");
    }
}

#[cfg(test)]
mod tests;
