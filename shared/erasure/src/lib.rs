//! Stripe encode and decode over one Reed-Solomon codec.
//!
//! ```text
//!   plain bytes ──► StripeEncoder ──► k data cells, m parity cells per stripe ──► k + m shards
//!                        └──────────► CellTable: CRC-32C of every plain data cell, as it came in
//!
//!   any k cells of a stripe ──► StripeDecoder ──► plain cells, each checked against the CellTable
//!                                   └───────────► which shards are bad
//! ```
//!
//! [`gf256`] is the field and its kernels, [`Codec`] the matrix maths on equal-length slices, and
//! [`stripe`] knows the layout of `cairn_model::Coding`. Everything is pure: bytes in, bytes out.
//!
//! The maths of Reed-Solomon answers *something* for any k slices, also for swapped or rotten ones.
//! So nothing decoded is ever given out before the cell table, which was made from the plain bytes
//! at ingest and whose digest lies in the chunk row, has agreed.

pub mod cell_table;
pub mod codec;
pub mod gf256;
mod matrix;
mod shard_set;
pub mod stripe;

pub use cell_table::{CellTable, CellTableError, crc32c};
pub use codec::{Codec, CodecError};
pub use gf256::Kernel;
pub use shard_set::ShardSet;
pub use stripe::{
    CellPiece, DecodeError, DecodedStripe, EncodeError, RangePlan, ShardCell, Stripe,
    StripeDecoder, StripeEncoder, StripeFault,
};
