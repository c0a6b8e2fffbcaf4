//! Where one HTTP/1 request ends and the next begins, as it comes off the wire.
//!
//! ```text
//!   Head ──empty line──> Length(n) | Chunked ──last byte──> Complete ──answer sent──> Head
//!     └── framing in doubt, or broken ──> Lost: one more answer, which refuses
//! ```
//!
//! hyper parses; this only watches, for two reasons. hyper forgives what another parser in front of
//! it may read differently (two lengths, a bare LF, codings before `chunked`), and nobody could tell
//! afterwards. And it reads ahead: it is given one request at a time, so that none passes unseen.

use std::mem;

/// The framing of the requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Framing {
    state: State,
    /// A head has been passed on whose answer is not sent yet.
    answering: bool,
    doubt: Option<Doubt>,
}

#[derive(Debug)]
enum State {
    Head(Head),
    Length(u64),
    Chunked(Chunked),
    Complete,
    Lost,
}

impl Default for State {
    fn default() -> Self {
        Self::Head(Head::default())
    }
}

/// Why nobody can be sure where a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Content-Length and Transfer-Encoding.
    Both,
    /// More than one Content-Length, even with the same value.
    Lengths,
    /// A Content-Length that is not a plain number.
    Length,
    /// A Transfer-Encoding that is not just `chunked`, once.
    Coding,
    /// A line that ends in LF alone.
    BareLf,
    /// A header that goes on in the next line.
    Folded,
    /// The request before this one was broken.
    Lost,
}

impl Doubt {
    /// For the client.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Both => "Content-Length and Transfer-Encoding must not be given together.",
            Self::Lengths => "Content-Length must be given once.",
            Self::Length => "Content-Length must be a number.",
            Self::Coding => "The only Transfer-Encoding is chunked, given once.",
            Self::BareLf => "Lines of a request head must end in CR LF.",
            Self::Folded => "Headers must not be folded.",
            Self::Lost => "The end of the request before this one cannot be told.",
        }
    }
}

impl Framing {
    /// How many of these bytes, which come next, are for the request at hand. The others are to be
    /// shown again once its answer is sent.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while let Some(rest) = bytes.get(passed..).filter(|rest| !rest.is_empty()) {
            let taken = match &mut self.state {
                State::Complete if self.answering => break,
                State::Complete => {
                    self.state = State::default();
                    0
                }
                State::Lost => rest.len(),
                State::Head(head) => {
                    let taken = head.feed(rest);
                    if head.done {
                        self.end_head();
                    }
                    taken
                }
                State::Length(left) => {
                    let taken = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= taken as u64;
                    if *left == 0 {
                        self.state = State::Complete;
                    }
                    taken
                }
                State::Chunked(chunked) => match chunked.feed(rest) {
                    (taken, Progress::More) => taken,
                    (taken, Progress::End) => {
                        self.state = State::Complete;
                        taken
                    }
                    (_, Progress::Broken) => {
                        self.state = State::Lost;
                        0
                    }
                },
            };
            passed += taken;
        }
        passed
    }

    fn end_head(&mut self) {
        let State::Head(head) = mem::take(&mut self.state) else {
            return;
        };
        self.answering = true;
        (self.state, self.doubt) = match head.verdict() {
            Err(doubt) => (State::Lost, Some(doubt)),
            Ok(Body::Chunked) => (State::Chunked(Chunked::default()), None),
            Ok(Body::Length(0)) => (State::Complete, None),
            Ok(Body::Length(length)) => (State::Length(length), None),
        };
    }

    /// Whether a part of a head, but not all of it, has been passed on.
    pub(super) fn in_head(&self) -> bool {
        matches!(&self.state, State::Head(head) if head.started || !head.line.is_empty())
    }

    /// A head has been parsed: what is doubtful about it.
    pub(super) fn begin(&mut self) -> Option<Doubt> {
        let unseen = !self.answering;
        self.answering = true;
        self.doubt.take().or(unseen.then_some(Doubt::Lost))
    }

    /// Its answer has been sent, or given up.
    pub(super) fn end(&mut self) {
        self.answering = false;
    }
}

enum Body {
    Length(u64),
    Chunked,
}

/// A head, line by line.
#[derive(Debug, Default)]
struct Head {
    /// The beginning of the current line.
    line: Vec<u8>,
    started: bool,
    done: bool,
    lengths: u32,
    length: Option<u64>,
    codings: u32,
    chunked: bool,
    bare_lf: bool,
    folded: bool,
    was_cr: bool,
}

impl Head {
    /// Enough for every header looked for; a longer one of these is not what it should be.
    const LINE_KEPT: usize = 64;

    /// Takes bytes up to the end of the head; gives how many.
    fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut left = bytes;
        while let Some(length) = memchr::memchr(b'\n', left) {
            let (line, after) = left.split_at(length);
            self.keep(line);
            self.bare_lf |= !self.was_cr;
            self.was_cr = false;
            self.end_line();
            left = after.get(1..).unwrap_or_default();
            if self.done {
                return bytes.len() - left.len();
            }
        }
        self.keep(left);
        bytes.len()
    }

    /// A run within one line.
    fn keep(&mut self, run: &[u8]) {
        let room = Self::LINE_KEPT.saturating_sub(self.line.len());
        self.line.extend(run.iter().take(room));
        if let Some(last) = run.last() {
            self.was_cr = *last == b'\r';
        }
    }

    fn end_line(&mut self) {
        let mut kept = mem::take(&mut self.line);
        let line = kept.strip_suffix(b"\r").unwrap_or(&kept);
        if line.is_empty() {
            // Empty lines before the request line are skipped, as hyper does.
            self.done = self.started;
        } else if self.started {
            self.header(line);
        }
        self.started |= !line.is_empty();
        kept.clear();
        self.line = kept;
    }

    fn header(&mut self, line: &[u8]) {
        self.folded |= line.first().is_some_and(u8::is_ascii_whitespace);
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => line.split_at(colon),
            None => (line, b":".as_slice()),
        };
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths += 1;
            self.length = number(value).filter(|_| line.len() < Self::LINE_KEPT);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.codings += 1;
            self.chunked = value.eq_ignore_ascii_case(b"chunked") && line.len() < Self::LINE_KEPT;
        }
    }

    fn verdict(&self) -> Result<Body, Doubt> {
        match (self.lengths, self.codings) {
            _ if self.bare_lf => Err(Doubt::BareLf),
            _ if self.folded => Err(Doubt::Folded),
            (0, 0) => Ok(Body::Length(0)),
            (1, 0) => self.length.map(Body::Length).ok_or(Doubt::Length),
            (0, 1) if self.chunked => Ok(Body::Chunked),
            (_, 0) => Err(Doubt::Lengths),
            (0, _) => Err(Doubt::Coding),
            _ => Err(Doubt::Both),
        }
    }
}

fn number(text: &[u8]) -> Option<u64> {
    let text = str::from_utf8(text).ok()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

enum Progress {
    More,
    End,
    Broken,
}

/// A chunked body, as strict as hyper's decoder.
#[derive(Debug, Default)]
struct Chunked {
    part: Part,
    size: u64,
    digits: u32,
    /// The line at hand has a byte, in the trailer.
    in_line: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    TrailerLf,
}

impl Chunked {
    fn feed(&mut self, bytes: &[u8]) -> (usize, Progress) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if self.part == Part::Data {
                let here = usize::try_from(self.size).unwrap_or(usize::MAX);
                let here = here.min(bytes.len() - at);
                self.size -= here as u64;
                at += here;
                if self.size == 0 {
                    self.part = Part::DataCr;
                }
                continue;
            }
            at += 1;
            match self.step(*byte) {
                Progress::More => {}
                other => return (at, other),
            }
        }
        (at, Progress::More)
    }

    fn step(&mut self, byte: u8) -> Progress {
        self.part = match (self.part, byte) {
            (Part::Size, byte) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                self.digits += 1;
                match self.size.checked_mul(16) {
                    Some(size) => self.size = size + u64::from(digit),
                    None => return Progress::Broken,
                }
                Part::Size
            }
            (Part::Size, _) if self.digits == 0 => return Progress::Broken,
            (Part::Size, b'\t' | b' ' | b';') => Part::Extension,
            (Part::Size | Part::Extension, b'\r') => Part::SizeLf,
            (Part::Extension, b'\n') => return Progress::Broken,
            (Part::Extension, _) => Part::Extension,
            (Part::SizeLf, b'\n') => {
                self.digits = 0;
                if self.size == 0 {
                    Part::Trailer
                } else {
                    Part::Data
                }
            }
            (Part::DataCr, b'\r') => Part::DataLf,
            (Part::DataLf, b'\n') => Part::Size,
            (Part::Trailer, b'\r') => Part::TrailerLf,
            (Part::Trailer, _) => {
                self.in_line = true;
                Part::Trailer
            }
            (Part::TrailerLf, b'\n') if self.in_line => {
                self.in_line = false;
                Part::Trailer
            }
            (Part::TrailerLf, b'\n') => return Progress::End,
            _ => return Progress::Broken,
        };
        Progress::More
    }
}

#[cfg(test)]
mod tests;
