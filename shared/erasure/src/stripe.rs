//! Chunks as stripes of cells: the layout of `cairn_model::Coding` on real bytes.
//!
//! ```text
//!   chunk    |  stripe 0                |  stripe 1                | last: rest, then zeros  |
//!   buffer   | cell 0 | .. | cell k-1   | cell 0 | .. | cell k-1   | cell 0 | .. | cell k-1  |
//!                │ cells are slices of the buffer: nothing is copied
//!                └──► parity cells k .. k+m-1 of each stripe, from one allocation per buffer
//! ```
//!
//! [`StripeEncoder`] makes cells and the cell table, [`StripeDecoder`] goes back and answers for
//! every byte it gives out, and [`RangePlan`] says which cells a byte range needs. With k = 1 the
//! parity cells are the data cell itself, not even copied.

mod decoder;
mod encoder;
mod range;

pub use decoder::{DecodeError, DecodedStripe, ShardCell, StripeDecoder};
pub use encoder::{EncodeError, Stripe, StripeEncoder, StripeFault};
pub use range::{CellPiece, RangePlan};

#[cfg(test)]
mod tests;
