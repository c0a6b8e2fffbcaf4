//! A request body as a machine without IO: framing, digests and expectation in one.
//!
//! ```text
//!   for each frame { while let Some(piece) = upload.next(&mut frame)? { stage(piece) } }
//!   let verified = upload.finish()?;      // only now may what was staged be committed
//! ```

use bytes::{Bytes, BytesMut};
use cairn_model::limits::PUT_LEN_MAX;

use crate::chunked::{Decoder, Trailers};
use crate::digest::md5::Owed;
use crate::digest::{Digests, Expect, MultipartChecksum, Verified};
use crate::error::{Code, S3Error};
use crate::head::Head;
use crate::op::Op;
use crate::sigv4::PayloadSigning;

/// The body of a `PutObject` or `UploadPart`.
#[derive(Clone, Debug)]
pub struct Upload {
    framing: Framing,
    digests: Digests,
    decoded_len: u64,
}

#[derive(Clone, Debug)]
enum Framing {
    /// Bytes still to come.
    Plain(u64),
    Chunked(Box<Decoder>),
}

impl Upload {
    /// The body of a `PutObject`.
    ///
    /// # Errors
    /// `MissingContentLength`, `EntityTooLarge`, `InvalidRequest` for lengths that disagree, and
    /// what [`Expect::from_head`] refuses.
    pub fn for_object(head: &Head, payload: &PayloadSigning) -> Result<Self, S3Error> {
        Self::new(head, payload, Expect::from_head(head, payload)?)
    }

    /// The body of an `UploadPart` to an upload with this checksum rule.
    ///
    /// # Errors
    /// As [`Upload::for_object`], and what [`Expect::for_part`] refuses.
    pub fn for_part(
        head: &Head,
        payload: &PayloadSigning,
        upload: MultipartChecksum,
    ) -> Result<Self, S3Error> {
        Self::new(
            head,
            payload,
            Expect::from_head(head, payload)?.for_part(upload)?,
        )
    }

    fn new(head: &Head, payload: &PayloadSigning, expect: Expect) -> Result<Self, S3Error> {
        let decoded_len = decoded_len(head, payload)?;
        if decoded_len > PUT_LEN_MAX {
            return Err(S3Error::new(Code::EntityTooLarge)
                .with("ProposedSize", decoded_len.to_string())
                .with("MaxSizeAllowed", PUT_LEN_MAX.to_string()));
        }
        let framing = match Decoder::new(payload, decoded_len) {
            Some(decoder) => Framing::Chunked(Box::new(decoder)),
            None => Framing::Plain(decoded_len),
        };
        Ok(Self {
            framing,
            digests: Digests::new(expect),
            decoded_len,
        })
    }

    /// Bytes of the object or part, framing taken off.
    #[must_use]
    pub fn decoded_len(&self) -> u64 {
        self.decoded_len
    }

    /// The next run of payload out of `frame`, digested; `None` once the frame is used up. Nothing
    /// is copied: the run shares the frame's memory.
    ///
    /// # Errors
    /// As [`Decoder::next`]; `IncompleteBody` for a plain body longer than announced.
    pub fn next(&mut self, frame: &mut Bytes) -> Result<Option<Bytes>, S3Error> {
        let run = match &mut self.framing {
            Framing::Chunked(decoder) => decoder.next(frame)?,
            Framing::Plain(left) => {
                let all = std::mem::take(frame);
                let rest = left.checked_sub(all.len() as u64);
                *left = rest.ok_or_else(|| S3Error::new(Code::IncompleteBody))?;
                Some(all).filter(|all| !all.is_empty())
            }
        };
        if let Some(run) = &run {
            self.digests.update_later(run.clone());
        }
        Ok(run)
    }

    /// The MD5 of the body so far: see [`Digests::md5`].
    pub fn md5(&mut self) -> &mut Owed {
        self.digests.md5()
    }

    /// The proof that the body was whole and right.
    ///
    /// # Errors
    /// `IncompleteBody`, and as [`Digests::finish`].
    pub fn finish(self) -> Result<Verified, S3Error> {
        let trailers = match self.framing {
            Framing::Chunked(decoder) => decoder.finish()?,
            Framing::Plain(_) => Trailers::default(),
        };
        if self.digests.length() != self.decoded_len {
            return Err(S3Error::new(Code::IncompleteBody));
        }
        self.digests.finish(&trailers)
    }
}

/// The length of the payload: `x-amz-decoded-content-length` when chunked, else `Content-Length`.
fn decoded_len(head: &Head, payload: &PayloadSigning) -> Result<u64, S3Error> {
    let missing = || S3Error::new(Code::MissingContentLength);
    let announced = decoded_header(head)?;
    if payload.is_chunked() {
        return announced.ok_or_else(missing);
    }
    let length = head.content_length()?.ok_or_else(missing)?;
    match announced {
        // Framing that was not announced would be stored as if it were the object.
        Some(other) if other != length => {
            let message = "x-amz-decoded-content-length needs a streaming x-amz-content-sha256.";
            Err(S3Error::because(Code::InvalidRequest, message))
        }
        _ => Ok(length),
    }
}

fn decoded_header(head: &Head) -> Result<Option<u64>, S3Error> {
    const NAME: &str = "x-amz-decoded-content-length";
    let Some(text) = head.header(NAME)? else {
        return Ok(None);
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let length = text.parse().ok().filter(|_| digits);
    let message = "The decoded content length is not a number.";
    length
        .map(Some)
        .ok_or_else(|| S3Error::argument(NAME, text, message))
}

/// The body of an operation that reads a document: bounded, collected, verified.
#[derive(Clone, Debug)]
pub struct Document {
    digests: Digests,
    bytes: BytesMut,
    announced: Option<u64>,
    limit: u64,
    declared: bool,
}

impl Document {
    /// The body of `op`.
    ///
    /// # Errors
    /// `MaxMessageLengthExceeded` if more is announced than `op` reads, `UnexpectedContent` if it
    /// reads nothing; `InvalidRequest` for an aws-chunked body, which only objects may have; what
    /// [`Expect::from_head`] refuses.
    pub fn new(head: &Head, op: Op, payload: &PayloadSigning) -> Result<Self, S3Error> {
        if payload.is_chunked() {
            let message = format!("{} does not take a streaming payload.", op.name());
            return Err(S3Error::because(Code::InvalidRequest, message));
        }
        let (announced, limit) = (head.content_length()?, op.document_len_max());
        let expect = if limit == 0 || op == Op::CompleteMultipartUpload {
            Expect::without_checksum(head, payload)?
        } else {
            Expect::from_head(head, payload)?
        };
        let declared = expect.is_declared();
        if announced.is_some_and(|length| length > limit) {
            return Err(too_long(limit));
        }
        let digests = Digests::new(expect);
        Ok(Self {
            digests,
            bytes: BytesMut::new(),
            announced,
            limit,
            declared,
        })
    }

    /// Whether the client gave Content-MD5 or a checksum, as `DeleteObjects` demands.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.declared
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// `MaxMessageLengthExceeded`, `UnexpectedContent`.
    pub fn push(&mut self, frame: &[u8]) -> Result<(), S3Error> {
        if self.digests.length() + frame.len() as u64 > self.limit {
            return Err(too_long(self.limit));
        }
        self.digests.update(frame);
        self.bytes.extend_from_slice(frame);
        Ok(())
    }

    /// The document, once the body has ended.
    ///
    /// # Errors
    /// `IncompleteBody`, and as [`Digests::finish`].
    pub fn finish(self) -> Result<Bytes, S3Error> {
        if self
            .announced
            .is_some_and(|length| length != self.digests.length())
        {
            return Err(S3Error::new(Code::IncompleteBody));
        }
        self.digests.finish(&Trailers::default())?;
        Ok(self.bytes.freeze())
    }
}

fn too_long(limit: u64) -> S3Error {
    if limit == 0 {
        return S3Error::new(Code::UnexpectedContent);
    }
    S3Error::new(Code::MaxMessageLengthExceeded).with("MaxMessageLengthBytes", limit.to_string())
}

#[cfg(test)]
mod tests;
