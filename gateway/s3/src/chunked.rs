//! The aws-chunked decoder: frames in, payload out, nothing copied and nothing collected.
//!
//! ```text
//!   10000;chunk-signature=<64 hex>\r\n <65536 bytes> \r\n      (no extension when unsigned)
//!   0;chunk-signature=<64 hex>\r\n
//!   x-amz-checksum-crc32c:<base64>\r\n                         (only with a trailer)
//!   x-amz-trailer-signature:<64 hex>\r\n                       (only when that is signed)
//!   \r\n
//! ```
//!
//! Payload is handed out as slices of the frames it came in. A signed chunk is hashed as it passes
//! and judged at its end: its bytes may be staged before that, for only the end of the whole body
//! commits them. The decoder itself holds at most one line and one trailer block, whatever chunk
//! size a client picks; sizes are 64 bits.

use bytes::{Buf, Bytes};
use cairn_model::limits::{CHUNK_LINE_MAX, TRAILERS_LEN_MAX};
use sha2::{Digest, Sha256};

use crate::error::{Code, S3Error};
use crate::sigv4::{ChunkSigner, PayloadSigning};

/// Trailer that signs the others.
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// A streaming decoder of one body.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    /// `None` when chunks are not signed.
    chain: Option<Box<ChunkSigner>>,
    has_trailer: bool,
    /// Payload bytes still to come.
    remaining: u64,
    /// The line being read.
    line: Vec<u8>,
    trailers: Trailers,
}

/// The trailing headers of a body, verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trailers {
    /// Lower-case names and trimmed values in the order they came.
    lines: Vec<(String, String)>,
    signature: Option<String>,
    /// Bytes of trailer lines seen.
    length: usize,
}

#[derive(Clone, Debug)]
enum State {
    /// Reading a size line.
    Size,
    /// Reading payload: bytes left, hash so far, signature to come out at the end.
    Data(Chunk),
    /// Reading the line end after payload.
    DataEnd(Chunk),
    /// Reading trailer lines, the empty one last.
    Trailer,
    Done,
}

#[derive(Clone, Debug)]
struct Chunk {
    left: u64,
    /// Both only when signed.
    hash: Option<Sha256>,
    signature: String,
}

impl Trailers {
    /// The value of a trailer.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.lines
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|(name, _)| name.as_str())
    }
}

impl Decoder {
    /// A decoder of a body that must hold `decoded_len` bytes; `None` if the body is not chunked.
    #[must_use]
    pub fn new(payload: &PayloadSigning, decoded_len: u64) -> Option<Self> {
        let chain = match payload {
            PayloadSigning::Exact(_) | PayloadSigning::Unsigned => return None,
            PayloadSigning::UnsignedTrailer => None,
            PayloadSigning::SignedChunks(chain) | PayloadSigning::SignedChunksAndTrailer(chain) => {
                Some(chain.clone())
            }
        };
        Some(Self {
            state: State::Size,
            chain,
            has_trailer: payload.has_trailer(),
            remaining: decoded_len,
            line: Vec::new(),
            trailers: Trailers::default(),
        })
    }

    /// The next run of payload out of `frame`, which it shortens; `None` once the frame is used up.
    ///
    /// # Errors
    /// `InvalidRequest` for broken framing, `IncompleteBody` for more payload than announced,
    /// `SignatureDoesNotMatch`, `MalformedTrailerError`. After an error the decoder is of no use.
    pub fn next(&mut self, frame: &mut Bytes) -> Result<Option<Bytes>, S3Error> {
        while !frame.is_empty() {
            if let State::Data(chunk) = &mut self.state {
                let run = frame.split_to(chunk.take(frame.len()));
                if let Some(hash) = &mut chunk.hash {
                    hash.update(&run);
                }
                if chunk.left == 0 {
                    self.state = State::DataEnd(chunk.clone());
                }
                return Ok(Some(run));
            }
            self.read_line(frame)?;
        }
        Ok(None)
    }

    /// The trailers, once the body has ended.
    ///
    /// # Errors
    /// `IncompleteBody` if it ended early.
    pub fn finish(self) -> Result<Trailers, S3Error> {
        match self.state {
            State::Done => Ok(self.trailers),
            _ => Err(S3Error::new(Code::IncompleteBody)),
        }
    }

    /// Moves bytes into the line; acts on it when it is whole.
    fn read_line(&mut self, frame: &mut Bytes) -> Result<(), S3Error> {
        if matches!(self.state, State::Done) {
            return Err(malformed("bytes after the last chunk"));
        }
        let end = memchr::memchr(b'\n', frame).map_or(frame.len(), |at| at + 1);
        if self.line.len() + end > CHUNK_LINE_MAX {
            return Err(malformed("a line is too long"));
        }
        self.line
            .extend_from_slice(frame.get(..end).unwrap_or_default());
        frame.advance(end);
        if self.line.last() != Some(&b'\n') {
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        let text = line
            .strip_suffix(b"\r\n")
            .and_then(|line| std::str::from_utf8(line).ok());
        let text = text.ok_or_else(|| malformed("a line does not end in CRLF"))?;
        self.state = match std::mem::replace(&mut self.state, State::Done) {
            State::Size => self.begin_chunk(text)?,
            State::DataEnd(chunk) => self.end_chunk(chunk, text)?,
            State::Trailer => self.take_trailer(text)?,
            State::Data(_) | State::Done => State::Done,
        };
        Ok(())
    }

    fn begin_chunk(&mut self, line: &str) -> Result<State, S3Error> {
        let (size, signature) = match (line.split_once(";chunk-signature="), &self.chain) {
            (Some((size, signature)), Some(_)) => (size, signature),
            (None, None) => (line, ""),
            (Some(_), None) => return Err(malformed("a signature in an unsigned body")),
            (None, Some(_)) => return Err(malformed("a chunk without signature")),
        };
        let left = parse_size(size)?;
        if left == 0 {
            return self.end_payload(signature);
        }
        self.remaining = self
            .remaining
            .checked_sub(left)
            .ok_or_else(|| S3Error::new(Code::IncompleteBody))?;
        let hash = self.chain.is_some().then(Sha256::new);
        Ok(State::Data(Chunk {
            left,
            hash,
            signature: signature.to_owned(),
        }))
    }

    fn end_chunk(&mut self, chunk: Chunk, line: &str) -> Result<State, S3Error> {
        if !line.is_empty() {
            return Err(malformed("a chunk is longer than its size"));
        }
        if let (Some(chain), Some(hash)) = (&mut self.chain, chunk.hash) {
            chain.check_chunk(hash.finalize().into(), &chunk.signature)?;
        }
        Ok(State::Size)
    }

    /// The zero chunk.
    fn end_payload(&mut self, signature: &str) -> Result<State, S3Error> {
        if self.remaining != 0 {
            return Err(S3Error::new(Code::IncompleteBody));
        }
        if let Some(chain) = &mut self.chain {
            chain.check_chunk(Sha256::digest(b"").into(), signature)?;
        }
        Ok(State::Trailer)
    }

    fn take_trailer(&mut self, line: &str) -> Result<State, S3Error> {
        if line.is_empty() {
            self.check_trailers()?;
            return Ok(State::Done);
        }
        self.trailers.length += line.len();
        let (name, value) = line.split_once(':').ok_or_else(malformed_trailer)?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        let repeated = self.trailers.get(&name).is_some();
        // The signature must be the last line: it covers what stands before it.
        let late = self.trailers.signature.is_some();
        let too_long = self.trailers.length > TRAILERS_LEN_MAX;
        if !self.has_trailer || repeated || late || too_long || name.is_empty() {
            return Err(malformed_trailer());
        }
        if name == TRAILER_SIGNATURE {
            self.trailers.signature = Some(value.to_owned());
        } else {
            self.trailers.lines.push((name, value.to_owned()));
        }
        Ok(State::Trailer)
    }

    /// A signed trailer must carry its signature, an unsigned one must not.
    fn check_trailers(&mut self) -> Result<(), S3Error> {
        let signed = self.has_trailer && self.chain.is_some();
        match (&mut self.chain, &self.trailers.signature) {
            (Some(chain), Some(signature)) if signed => {
                let lines = self.trailers.lines.iter();
                let text: String = lines
                    .map(|(name, value)| format!("{name}:{value}\n"))
                    .collect();
                chain.check_trailer(text.as_bytes(), signature)
            }
            (_, None) if !signed => Ok(()),
            _ => Err(malformed_trailer()),
        }
    }
}

impl Chunk {
    /// How many of `available` bytes are this chunk's, counted off.
    fn take(&mut self, available: usize) -> usize {
        let available_u64 = available as u64;
        if available_u64 <= self.left {
            self.left -= available_u64;
            return available;
        }
        // Less than `available`, so it fits.
        usize::try_from(std::mem::take(&mut self.left)).unwrap_or(available)
    }
}

fn parse_size(text: &str) -> Result<u64, S3Error> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let size = u64::from_str_radix(text, 16).ok().filter(|_| digits);
    size.ok_or_else(|| malformed("a chunk size is not a number"))
}

fn malformed(what: &str) -> S3Error {
    S3Error::because(
        Code::InvalidRequest,
        format!("The aws-chunked body is malformed: {what}."),
    )
}

fn malformed_trailer() -> S3Error {
    S3Error::new(Code::MalformedTrailerError)
}

#[cfg(test)]
mod tests;
