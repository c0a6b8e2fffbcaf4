//! `MetadataService` over the network.
//!
//! ```text
//!   propose     lost before it was sent: Unavailable      sent, no answer: Unknown
//!   query, keep_alive     either: Unavailable, since asking again is free
//! ```

mod client;
mod failure;
mod server;

pub use client::MetadataClient;
pub use server::MetadataHandler;
