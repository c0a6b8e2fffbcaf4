//! Time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Milliseconds since the Unix epoch, UTC.
pub type WallMillis = u64;

/// A clock. Durations are measured on the monotonic face; the wall face is only ever shown to
/// people, compared with a client's date, or stamped into an entry by the leader.
pub trait Clock: Send + Sync + std::fmt::Debug + 'static {
    /// Time since a fixed point of this process; never goes back.
    fn monotonic(&self) -> Duration;

    /// Wall time; may jump either way.
    fn wall(&self) -> WallMillis;

    /// Completes once `duration` has passed on the monotonic face.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}
