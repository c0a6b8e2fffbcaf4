//! What a process tells about itself: counters, and the ids of requests.
//!
//! ```text
//!   Registry (one per process, passed down, never global)
//!      └── family: name, help, kind, label names
//!             └── series: label values ──► Counter | Gauge | Histogram   atomics, shared by Arc
//!                                              │
//!   prometheus::render ◄───────────────────────┘
//! ```
//!
//! Knows nothing of clocks or randomness: durations and random bytes are arguments.

pub mod counter;
pub mod prometheus;
pub mod request_id;

pub use counter::{Buckets, Counter, Gauge, GaugeGuard, Histogram, Registry, Unit};
pub use request_id::{RequestId, RequestIdError};
