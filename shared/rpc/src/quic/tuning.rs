//! Times and sizes of the transport that nobody outside need know. The bounds are in
//! `cairn_model::limits`.

use std::time::Duration;

/// Largest UDP payload that discovery tries. Ten segments of it (quinn's most) must stay under
/// 65,535 bytes, else sendmsg fails and is taken for loss.
pub(crate) const MTU_MAX: u16 = 6_500;
/// What quinn receives into, for each endpoint: 32 messages of the kernel's at once, each of up to 64
/// datagrams, each as long as may be. An allocator that clears it holds all of it.
pub(crate) const RECEIVE_BUFFER: usize = 32 * 64 * MTU_MAX as usize;
/// Unread bytes of one stream.
pub(crate) const STREAM_WINDOW: u32 = 16 << 20;
/// Unread bytes of one connection, and unacknowledged bytes sent.
pub(crate) const CONNECTION_WINDOW: u32 = 64 << 20;
/// Asked of the kernel, which gives what `net.core.rmem_max` allows.
pub(crate) const SOCKET_BUFFER: usize = 8 << 20;
/// A connection silent for this long is dead, and the calls on it have no answer: this is how long a
/// command waits for a leader that was killed.
pub(crate) const IDLE: Duration = Duration::from_secs(3);
/// Sent on a connection without traffic.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_millis(900);
/// For a connection to be made, HELLO included, on either side.
pub(crate) const CONNECT: Duration = Duration::from_secs(5);
/// For a join to be asked and answered, an entry of the cluster included.
pub(crate) const JOIN: Duration = Duration::from_secs(15);
/// For the first frame of a call to arrive whole.
pub(crate) const FIRST_FRAME: Duration = Duration::from_secs(30);
/// Between two signs of life of a call that takes long.
pub(crate) const AT_WORK: Duration = Duration::from_secs(1);
/// Wait after the first failed connection; it doubles.
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// Longest wait between connections tried.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// For connections to say goodbye.
pub(crate) const GOODBYE: Duration = Duration::from_secs(2);

const _: () = {
    assert!(MTU_MAX as u32 * 10 < 65_535);
    assert!(RECEIVE_BUFFER <= 16 << 20);
    assert!(KEEP_ALIVE.as_millis() * 3 < IDLE.as_millis());
    assert!(PING_EVERY.as_millis() < AWAY.as_millis() && AWAY.as_millis() < SILENT.as_millis());
    assert!(STREAM_WINDOW <= CONNECTION_WINDOW);
    assert!(cairn_model::limits::RPC_UPLOAD_WINDOW < STREAM_WINDOW as u64);
};

/// How often members are asked whether they are there.
pub(crate) const PING_EVERY: Duration = Duration::from_millis(500);
/// How long they have to say so.
pub(crate) const PING_PATIENCE: Duration = Duration::from_secs(1);
/// A member silent for longer than this missed a ping: it was away.
pub(crate) const AWAY: Duration = Duration::from_millis(750);
/// A member silent for this long is passed over by whoever has a choice.
pub(crate) const SILENT: Duration = Duration::from_millis(1_600);
