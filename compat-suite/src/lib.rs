//! S3 behaviour over HTTP, against any endpoint.
//!
//! The suite knows S3 as AWS documents it and HTTP/1.1 as bytes on a socket, and nothing of the
//! server it looks at: it depends on no other crate of this workspace. Its client is deliberately
//! small and blocking, so that a test decides what goes on the wire and when.
//!
//! ```text
//! cases/<operation>   one file per operation, one function per documented behaviour
//!    │
//!    ▼
//! Client ─ Call ──► sigv4 (headers, query, chunk chain, trailers) ──► http::Connection ──► server
//!    ▲                                                                     │
//!    └── xml, checksums ◄──────────────────── Response ◄───────────────────┘
//! ```

pub mod call;
pub mod cases;
pub mod checksums;
pub mod client;
pub mod clients;
pub mod expectation;
pub mod http;
pub mod report;
pub mod runner;
pub mod sigv4;
pub mod timestamp;
pub mod tls;
pub mod xml;

pub use call::{Call, Payload, Signing};
pub use client::Client;
pub use http::{HttpError, Response};
