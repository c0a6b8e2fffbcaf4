//! What a head says about its body.

use std::borrow::Cow;

use super::chunks::ChunkSigner;
use super::{EMPTY_SHA256, Place};
use crate::error::{Code, S3Error};
use crate::head::Head;

/// How the body is bound to the signature.
#[derive(Clone, Debug)]
pub enum PayloadSigning {
    /// The body must have this SHA-256.
    Exact([u8; 32]),
    /// The body is not signed.
    Unsigned,
    /// aws-chunked, every chunk signed.
    SignedChunks(Box<ChunkSigner>),
    /// aws-chunked, every chunk and the trailer signed.
    SignedChunksAndTrailer(Box<ChunkSigner>),
    /// aws-chunked with a trailer, nothing of it signed.
    UnsignedTrailer,
}

impl PayloadSigning {
    /// Whether the body is framed as aws-chunked.
    #[must_use]
    pub fn is_chunked(&self) -> bool {
        !matches!(self, Self::Exact(_) | Self::Unsigned)
    }

    /// Whether trailers follow the last chunk.
    #[must_use]
    pub fn has_trailer(&self) -> bool {
        matches!(
            self,
            Self::SignedChunksAndTrailer(_) | Self::UnsignedTrailer
        )
    }
}

/// The announcement, before the signature is known to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announced {
    Exact([u8; 32]),
    Unsigned,
    SignedChunks,
    SignedChunksAndTrailer,
    UnsignedTrailer,
}

/// Reads `x-amz-content-sha256`: the announcement, and the last line of the canonical request.
///
/// # Errors
/// `InvalidRequest` if a body follows that nothing is said about; `InvalidArgument` for a value
/// that is none of the known; `NotImplemented` for the asymmetric framings.
pub(super) fn announced(head: &Head, place: Place) -> Result<(Announced, Cow<'_, str>), S3Error> {
    let value = head.header("x-amz-content-sha256")?;
    let Some(value) = value else {
        return unannounced(head, place);
    };
    let kind = match value {
        "UNSIGNED-PAYLOAD" => Announced::Unsigned,
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Announced::SignedChunks,
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Announced::SignedChunksAndTrailer,
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Announced::UnsignedTrailer,
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
        | "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" => {
            return Err(S3Error::not_implemented(value));
        }
        hash => Announced::Exact(sha256_from_hex(hash)?),
    };
    let plain = matches!(kind, Announced::Exact(_) | Announced::Unsigned);
    if place != Place::Header && !plain {
        let message = "A presigned request must not use a streaming payload.";
        return Err(S3Error::because(Code::InvalidRequest, message));
    }
    Ok((kind, Cow::Borrowed(value)))
}

/// Without the header, a presigned request has an unsigned payload, and a bodyless one the empty
/// payload (curl signs that hash without sending it).
fn unannounced(head: &Head, place: Place) -> Result<(Announced, Cow<'_, str>), S3Error> {
    if place != Place::Header {
        return Ok((Announced::Unsigned, Cow::Borrowed("UNSIGNED-PAYLOAD")));
    }
    if !head.has_body() {
        return Ok((
            Announced::Exact(sha256_from_hex(EMPTY_SHA256)?),
            Cow::Borrowed(EMPTY_SHA256),
        ));
    }
    let message = "Missing required header for this request: x-amz-content-sha256. Send and sign \
                   the SHA-256 of the body in hex, or UNSIGNED-PAYLOAD \
                   (curl: -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD').";
    Err(S3Error::because(Code::InvalidRequest, message))
}

fn sha256_from_hex(text: &str) -> Result<[u8; 32], S3Error> {
    let lower = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut hash = [0; 32];
    match hex::decode_to_slice(text, &mut hash) {
        Ok(()) if lower => Ok(hash),
        _ => Err(S3Error::argument(
            "x-amz-content-sha256",
            text,
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
             STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a \
             valid sha256 value.",
        )),
    }
}
