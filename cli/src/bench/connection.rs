//! One HTTP/1.1 connection with one request at a time, read as far as the load needs it.

use std::io::{Error, ErrorKind};

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::signer::hex;

/// Bytes read at once.
const BUFFER: usize = 256 << 10;
/// Bytes of a body that repeat; each block is stamped, so that no two have the same digest.
const BLOCK: usize = 1 << 20;
/// A body up to this goes out with its head in one write.
const TOGETHER: usize = 64 << 10;
/// Headers of an answer.
const HEADERS_MAX: usize = 64;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Bytes of the body.
    pub(super) len: u64,
    /// The beginning of a body that says what went wrong.
    pub(super) refusal: Option<String>,
}

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// Bytes of `input` that were read and not used.
    filled: usize,
    block: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(host: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        // Nothing compresses it, and it is the same in every run.
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut block = Vec::with_capacity(BLOCK);
        while block.len() < BLOCK {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend_from_slice(&state.to_le_bytes());
        }
        Ok(Self {
            stream,
            input: vec![0; BUFFER],
            filled: 0,
            block,
        })
    }

    /// The bytes of body `number` from the beginning of one of its blocks.
    fn stamped(&mut self, number: u64, at: u64, len: usize) -> &[u8] {
        let (first, second) = (number.to_le_bytes(), at.to_le_bytes());
        for (to, from) in self.block.iter_mut().zip(first.iter().chain(&second)) {
            *to = *from;
        }
        self.block.get(..len).unwrap_or_default()
    }

    /// The digest of body `number`, in hex.
    pub(super) fn digest(&mut self, number: u64, len: u64) -> String {
        let mut digest = Sha256::new();
        let mut at = 0;
        while at < len {
            let next = block_len(len - at);
            digest.update(self.stamped(number, at, next));
            at += u64::try_from(next).unwrap_or(u64::MAX);
        }
        hex(&digest.finalize())
    }

    /// Sends a request with body `number` of `len` bytes, and reads the answer to its end.
    pub(super) async fn call(
        &mut self,
        mut head: Vec<u8>,
        number: u64,
        len: u64,
        head_only: bool,
    ) -> Result<Answer, Error> {
        let mut sent = 0_u64;
        match usize::try_from(len) {
            Ok(len) if len <= TOGETHER => {
                head.extend_from_slice(self.stamped(number, 0, len));
                self.stream.write_all(&head).await?;
            }
            _ => {
                self.stream.write_all(&head).await?;
                while sent < len {
                    let next = block_len(len - sent);
                    self.stamped(number, sent, next);
                    let block = self.block.get(..next).unwrap_or_default();
                    self.stream.write_all(block).await?;
                    sent += u64::try_from(next).unwrap_or(0);
                }
            }
        }
        self.answer(head_only).await
    }

    async fn more(&mut self) -> Result<(), Error> {
        let free = self.input.get_mut(self.filled..).unwrap_or_default();
        if free.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "a head that does not end",
            ));
        }
        match self.stream.read(free).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            read => {
                self.filled += read;
                Ok(())
            }
        }
    }

    /// Takes `used` bytes from the front.
    fn consume(&mut self, used: usize) {
        self.input.copy_within(used..self.filled, 0);
        self.filled -= used;
    }

    async fn answer(&mut self, head_only: bool) -> Result<Answer, Error> {
        let (status, framing) = loop {
            let read = self.input.get(..self.filled).unwrap_or_default();
            match head(read)? {
                Some((used, 100, _)) => self.consume(used),
                Some((used, status, framing)) => {
                    self.consume(used);
                    break (status, framing);
                }
                None => self.more().await?,
            }
        };
        let framing = if head_only {
            Framing::Length(0)
        } else {
            framing
        };
        let mut kept = Vec::new();
        let keep = if status >= 400 { 512 } else { 0 };
        let len = match framing {
            Framing::Length(len) => self.drain(len, keep, &mut kept).await?,
            Framing::Chunked => self.drain_chunks(keep, &mut kept).await?,
        };
        let refusal = (keep > 0).then(|| String::from_utf8_lossy(&kept).into_owned());
        Ok(Answer {
            status,
            len,
            refusal,
        })
    }

    async fn drain(&mut self, len: u64, keep: usize, kept: &mut Vec<u8>) -> Result<u64, Error> {
        let mut left = len;
        while left > 0 {
            if self.filled == 0 {
                self.more().await?;
            }
            let used = usize::try_from(left).unwrap_or(BUFFER).min(self.filled);
            let wanted = keep.saturating_sub(kept.len()).min(used);
            kept.extend_from_slice(self.input.get(..wanted).unwrap_or_default());
            self.consume(used);
            left -= u64::try_from(used).unwrap_or(0);
        }
        Ok(len)
    }

    async fn drain_chunks(&mut self, keep: usize, kept: &mut Vec<u8>) -> Result<u64, Error> {
        let mut total = 0;
        loop {
            let read = self.input.get(..self.filled).unwrap_or_default();
            let parsed = httparse::parse_chunk_size(read)
                .map_err(|error| Error::new(ErrorKind::InvalidData, error.to_string()))?;
            let (used, len) = match parsed {
                httparse::Status::Complete(found) => found,
                httparse::Status::Partial => {
                    self.more().await?;
                    continue;
                }
            };
            self.consume(used);
            total += self.drain(len, keep, kept).await?;
            self.drain(2, 0, &mut Vec::new()).await?;
            if len == 0 {
                return Ok(total);
            }
        }
    }
}

/// Bytes of the next block where `left` bytes of a body are left.
fn block_len(left: u64) -> usize {
    usize::try_from(left).unwrap_or(BLOCK).min(BLOCK)
}

/// Length, status and framing of a head, where it is all there.
fn head(bytes: &[u8]) -> Result<Option<(usize, u16, Framing)>, Error> {
    let wrong = |why: &dyn std::fmt::Display| Error::new(ErrorKind::InvalidData, why.to_string());
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let used = match response.parse(bytes).map_err(|error| wrong(&error))? {
        httparse::Status::Complete(used) => used,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.ok_or_else(|| wrong(&"no status"))?;
    let mut framing = Framing::Length(0);
    for header in response.headers {
        let value = std::str::from_utf8(header.value).map_err(|error| wrong(&error))?;
        if header.name.eq_ignore_ascii_case("content-length") {
            framing = Framing::Length(
                value
                    .parse()
                    .map_err(|_| wrong(&"a length that is no number"))?,
            );
        } else if header.name.eq_ignore_ascii_case("transfer-encoding")
            && value.eq_ignore_ascii_case("chunked")
        {
            framing = Framing::Chunked;
            break;
        }
    }
    Ok(Some((used, status, framing)))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Bytes of a stamp.
    const STAMP: usize = 16;

    #[test]
    fn heads_are_read_as_far_as_the_load_needs_them() {
        let read = |text: &str| head(text.as_bytes());
        assert_eq!(read("HTTP/1.1 200 OK\r\ncontent-le").unwrap(), None);
        let whole = "HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\nrest";
        assert_eq!(
            read(whole).unwrap(),
            Some((whole.len() - 4, 404, Framing::Length(12)))
        );
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(
            read(chunked).unwrap(),
            Some((chunked.len(), 200, Framing::Chunked))
        );
        assert!(read("SSH-2.0-OpenSSH\r\n\r\n").is_err());
        assert!(read("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").is_err());
    }

    /// What is said to whom sends what; answers are cut into small pieces.
    async fn exchange(
        answers: &'static str,
        calls: usize,
        len: u64,
    ) -> (Vec<Result<Answer, Error>>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut from, mut to) = stream.split();
            let mut heard = Vec::new();
            let said = async {
                for piece in answers.as_bytes().chunks(7) {
                    to.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
                to.shutdown().await.unwrap();
            };
            let (_, ()) = tokio::join!(from.read_to_end(&mut heard), said);
            heard
        });
        let mut connection = Connection::open(&host).await.unwrap();
        let mut answered = Vec::new();
        for number in (0..).take(calls) {
            answered.push(
                connection
                    .call(b"HEAD\r\n".to_vec(), number, len, false)
                    .await,
            );
        }
        drop(connection);
        (answered, server.await.unwrap())
    }

    #[tokio::test]
    async fn answers_are_read_to_their_end_whatever_their_framing() {
        let answers = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc\
            HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n1;x=y\r\ne\r\n0\r\n\r\n\
            HTTP/1.1 503 Slow Down\r\ncontent-length: 4\r\n\r\nslow";
        let (answered, _) = exchange(answers, 4, 0).await;
        let good = |len| Answer {
            status: 200,
            len,
            refusal: None,
        };
        let slow = Answer {
            status: 503,
            len: 4,
            refusal: Some("slow".to_owned()),
        };
        let (read, last) = answered.split_at(3);
        let read: Vec<_> = read
            .iter()
            .map(|answer| answer.as_ref().unwrap().clone())
            .collect();
        assert_eq!(read, [good(3), good(5), slow]);
        assert_eq!(
            last[0].as_ref().unwrap_err().kind(),
            ErrorKind::UnexpectedEof
        );
    }

    #[tokio::test]
    async fn bodies_have_their_length_and_no_two_blocks_are_equal() {
        let answers = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n\
            HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        let len = BLOCK as u64 * 2 + 5;
        let (answered, heard) = exchange(answers, 2, len).await;
        assert!(answered.iter().all(Result::is_ok));
        let one = 6 + BLOCK * 2 + 5;
        assert_eq!(heard.len(), one * 2);
        let (first, second) = heard.split_at(one);
        assert_ne!(first[6..6 + BLOCK], first[6 + BLOCK..6 + 2 * BLOCK]);
        assert_ne!(first[6..6 + BLOCK], second[6..6 + BLOCK]);
        assert_eq!(first[6 + STAMP..6 + BLOCK], second[6 + STAMP..6 + BLOCK]);
    }

    #[tokio::test]
    async fn the_digest_is_of_what_is_sent() {
        let answers = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        for len in [0, 100, BLOCK as u64 + 1] {
            let (_, heard) = exchange(answers, 1, len).await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let host = listener.local_addr().unwrap().to_string();
            let mut connection = Connection::open(&host).await.unwrap();
            let sent = hex(&Sha256::digest(&heard[6..]));
            assert_eq!(connection.digest(0, len), sent, "{len}");
        }
    }
}
