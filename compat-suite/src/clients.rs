//! Real clients, driven for real: one runner for each, and what they said.
//!
//! ```text
//! runners ── a process each: the client's own program, or a script that calls its library
//!    │           (`compat-suite/clients/`, `compat-suite/rust-sdks/`), and the suite's own cases
//!    ▼ lines of JSON
//! rows ──► results/<subject>.tsv   what was found, committed: REPORT.md is written from it
//!    │
//!    └──► drift                    what a fresh run found otherwise
//! ```

pub mod drift;
pub mod peer;
pub mod rows;
pub mod runners;

pub use rows::{Outcome, Row};
pub use runners::{Bench, Order};

/// The name under which the suite's own cases stand beside the clients.
pub const OWN_CASES: &str = "cases";
/// The name of the survey of S3's model.
pub const SURVEY: &str = "survey";
