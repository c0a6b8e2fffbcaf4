//! Private tuning of the gateway: what a change of these numbers moves is speed or patience, never a
//! promise. Bounds that others rely on are in `cairn_model::limits`.

use std::time::Duration;

/// Longest wait for one answer of the metadata; a query that has waited this long in all its sends
/// is not sent again: a gateway cut off with a minority says so while its client still listens.
pub(crate) const METADATA_PATIENCE: Duration = Duration::from_secs(10);
/// Sends of one metadata call that found no leader or nobody at all.
pub(crate) const METADATA_ATTEMPTS: u32 = 12;
/// Longest wait for a query over all its sends, and for a session to begin: where no majority is to be
/// had, a client hears so.
pub(crate) const METADATA_WAIT: Duration = Duration::from_secs(8);
/// Longest wait for the outcome of a command; the resolving goes on behind.
pub(crate) const OUTCOME_WAIT: Duration = Duration::from_secs(15);
/// Pause before the second send; doubles up to [`METADATA_PAUSE_MAX`].
pub(crate) const METADATA_PAUSE: Duration = Duration::from_millis(25);
/// Longest pause between two sends of a metadata call.
pub(crate) const METADATA_PAUSE_MAX: Duration = Duration::from_millis(800);
/// Sends of a command with an unknown outcome before its request is answered as unknown.
pub(crate) const RESOLVE_PATIENCE: u32 = 8;
/// Sends of a command with an unknown outcome before its session is left to the leader's expiry.
pub(crate) const RESOLVE_ATTEMPTS: u32 = 64;

/// How often the cluster view is read again without a reason.
pub(crate) const VIEW_REFRESH: Duration = Duration::from_secs(10);
/// How long a user read by access key, or a bucket read by name for a write, is believed.
pub(crate) const BELIEVED: Duration = Duration::from_secs(1);
/// Rows of each kind that are remembered for it.
pub(crate) const BELIEVED_LEN: usize = 4_096;

/// How long a disk that failed a call is passed over by new writes; doubles while it goes on failing.
pub(crate) const DISK_DOWN: Duration = Duration::from_secs(2);
/// The longest that a failing disk is passed over.
pub(crate) const DISK_DOWN_MAX: Duration = Duration::from_secs(60);
/// Incarnations drawn in search of a partition that is fully up.
pub(crate) const INCARNATION_DRAWS: u32 = 32;
/// Rounds of prepare calls for one chunk.
pub(crate) const PREPARE_ROUNDS: u32 = 4;
/// Times that the cluster view is read again for one chunk.
pub(crate) const VIEW_REREADS: u32 = 2;
/// Pause before disks are asked again where too few could be reached; doubles up to
/// [`PREPARE_PAUSE_MAX`]. A node that starts again is away for about as long as [`OPEN_PATIENCE`].
pub(crate) const PREPARE_PAUSE: Duration = Duration::from_millis(50);
/// The longest such pause.
pub(crate) const PREPARE_PAUSE_MAX: Duration = Duration::from_millis(200);
/// Longest wait for one disk to reserve room.
pub(crate) const PREPARE_PATIENCE: Duration = Duration::from_secs(1);
/// Longest wait for enough disks to reserve room: a client hears within two seconds that it must wait.
pub(crate) const OPEN_PATIENCE: Duration = Duration::from_millis(1_600);
/// Longest wait for one disk to take a stripe.
pub(crate) const SHARD_WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for one disk to seal a shard.
pub(crate) const SHARD_FINISH_PATIENCE: Duration = Duration::from_secs(20);
/// Wait for the remaining shards once the ack rule is met; the rest becomes debt.
pub(crate) const SHARD_FINISH_GRACE: Duration = Duration::from_secs(2);
/// Longest wait for one disk to give cells.
pub(crate) const SHARD_READ_PATIENCE: Duration = Duration::from_secs(10);
/// Wait for a disk's cells before others are asked as well, as long as little is known of the disk.
pub(crate) const HEDGE_START: Duration = Duration::from_millis(250);
/// The shortest such wait: below it a busy processor here looks like a slow disk there.
pub(crate) const HEDGE_MIN: Duration = Duration::from_millis(20);
/// The longest: a disk that limps is not waited for because it always limps.
pub(crate) const HEDGE_MAX: Duration = Duration::from_millis(250);
/// Answers of a disk from which on the wait is made from them.
pub(crate) const HEDGE_SAMPLES: u32 = 32;
/// Chunks of one upload that may be sealing while the next is written.
pub(crate) const SEALING_CHUNKS: usize = 2;

/// Chunk rows read ahead in one query.
pub(crate) const CHUNK_ROWS_AHEAD: usize = 64;
/// Chunks of an object whose rows come with the object's own.
pub(crate) const CHUNK_ROWS_FOUND: u32 = 8;
/// Stripes read in one step; as many wait to be sent.
pub(crate) const READ_STRIPES: u64 = 2;
/// Attempts at one piece: with a newer view, with a newer chunk row.
pub(crate) const READ_ATTEMPTS: u32 = 4;

/// Retries of Complete when the part set changed under it.
pub(crate) const COMPLETE_TRIES: u32 = 4;

/// Attempts at a copy whose source changes under it.
pub(crate) const COPY_TRIES: u32 = 8;

/// How often a replica of the metadata is asked how it and the nodes are, for `/metrics`.
pub(crate) const STATUS_EVERY: Duration = Duration::from_secs(15);

/// How often open sessions are kept alive and looked after.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

const _: () = assert!(PREPARE_PATIENCE.as_millis() < OPEN_PATIENCE.as_millis());
const _: () = assert!(KEEP_ALIVE.as_secs() * 4 < cairn_model::limits::SESSION_EXPIRY_SECS);

/// Longest wait for readiness to be judged.
pub(crate) const READY_PATIENCE: Duration = Duration::from_secs(3);
/// Time that requests in progress have to end once the gateway is to stop, and sessions after them.
pub(crate) const DRAIN: Duration = Duration::from_secs(25);
/// Pause after an accept that failed.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bytes an HTTP/2 client may send ahead on one stream: what one upload makes hyper hold.
pub(crate) const STREAM_WINDOW: u32 = 1 << 20;
/// The same for all streams of a connection, so that one stalled upload does not stop the others.
pub(crate) const CONNECTION_WINDOW: u32 = 2 << 20;
/// Longest piece of an answer given to HTTP/2 at once.
pub(crate) const STREAM_PIECE_LEN: usize = 16 << 10;
/// Bytes of answers that one stream may hold unsent.
pub(crate) const STREAM_SEND_LEN: usize = 64 << 10;
/// Streams that a client opened and reset before they were looked at; one more ends the connection.
pub(crate) const RESET_STREAMS_PENDING: usize = 20;
/// Streams reset for the client's errors; one more ends the connection.
pub(crate) const RESET_STREAMS_LOCAL: usize = 100;
/// How often an HTTP/2 client is asked whether it is still there.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(20);
/// How long it has to say so.
pub(crate) const PING_PATIENCE: Duration = Duration::from_secs(10);
/// Time an idle HTTP/2 connection has to end after it was told to.
pub(crate) const GOAWAY_PATIENCE: Duration = Duration::from_secs(10);
/// A client's mistake about a port's protocol is logged once in so long.
pub(crate) const MISTAKE_LOG_EVERY: Duration = Duration::from_secs(60);
