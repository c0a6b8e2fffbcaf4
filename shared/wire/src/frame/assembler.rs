//! Frames out of a stream that comes in pieces of any size.

use bytes::{Bytes, BytesMut};

use super::{FrameError, FrameHeader, FrameType, HEADER_LEN};

/// Puts frames together. Give it at most [`FrameAssembler::wanted`] bytes at a time, so that no byte
/// of the next frame is taken; it never holds more than one payload.
#[derive(Debug)]
pub struct FrameAssembler {
    version: u8,
    state: State,
}

#[derive(Debug)]
enum State {
    Header(BytesMut),
    Payload(FrameHeader, BytesMut),
}

/// What a piece completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    More,
    /// A header: a payload of this many bytes follows, at most `limits::WIRE_PAYLOAD_MAX`. No memory
    /// is taken for it before its first bytes come.
    Header(usize),
    /// A frame.
    Frame(FrameType, Bytes),
}

impl FrameAssembler {
    /// For a stream of frames of this version.
    #[must_use]
    pub fn new(version: u8) -> Self {
        Self {
            version,
            state: State::Header(BytesMut::new()),
        }
    }

    /// Bytes that are missing from the header or payload begun, at least 1.
    #[must_use]
    pub fn wanted(&self) -> usize {
        match &self.state {
            State::Header(got) => HEADER_LEN.saturating_sub(got.len()),
            State::Payload(header, got) => header.payload_len().saturating_sub(got.len()),
        }
    }

    /// Whether a stream may end here.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        matches!(&self.state, State::Header(got) if got.is_empty())
    }

    /// Takes the next piece, not longer than [`FrameAssembler::wanted`].
    ///
    /// # Errors
    /// Any [`FrameError`]; a longer piece is one too. The stream is lost then.
    pub fn take(&mut self, piece: Bytes) -> Result<Step, FrameError> {
        if piece.len() > self.wanted() {
            return Err(FrameError::TooLong(
                u64::try_from(piece.len()).unwrap_or(u64::MAX),
            ));
        }
        match &mut self.state {
            State::Header(got) => {
                got.extend_from_slice(&piece);
                let Ok(bytes) = <[u8; HEADER_LEN]>::try_from(got.as_ref()) else {
                    return Ok(Step::More);
                };
                let header = FrameHeader::from_bytes(bytes, self.version)?;
                self.state = State::Payload(header, BytesMut::new());
                if header.payload_len() == 0 {
                    self.whole(header, Bytes::new())
                } else {
                    Ok(Step::Header(header.payload_len()))
                }
            }
            State::Payload(header, got) => {
                let header = *header;
                if got.is_empty() && piece.len() == header.payload_len() {
                    return self.whole(header, piece);
                }
                if got.is_empty() {
                    got.reserve(header.payload_len());
                }
                got.extend_from_slice(&piece);
                if got.len() < header.payload_len() {
                    return Ok(Step::More);
                }
                let payload = std::mem::take(got).freeze();
                self.whole(header, payload)
            }
        }
    }

    fn whole(&mut self, header: FrameHeader, payload: Bytes) -> Result<Step, FrameError> {
        header.check(&payload)?;
        self.state = State::Header(BytesMut::new());
        Ok(Step::Frame(header.kind(), payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Feeds `stream` in pieces whose lengths come from `cuts`.
    fn feed(stream: &[u8], cuts: &[usize]) -> Result<(Vec<(FrameType, Bytes)>, bool), FrameError> {
        let mut assembler = FrameAssembler::new(1);
        let mut frames = Vec::new();
        let mut cuts = cuts.iter().cycle();
        let mut rest = stream;
        while !rest.is_empty() {
            let len = (*cuts.next().unwrap())
                .min(assembler.wanted())
                .min(rest.len());
            let (piece, after) = rest.split_at(len);
            rest = after;
            if let Step::Frame(kind, payload) = assembler.take(Bytes::copy_from_slice(piece))? {
                frames.push((kind, payload));
            }
        }
        Ok((frames, assembler.is_between_frames()))
    }

    fn stream_of(frames: &[(FrameType, Bytes)]) -> Vec<u8> {
        let mut stream = Vec::new();
        for (kind, payload) in frames {
            let header = FrameHeader::of(1, *kind, [&payload[..]]).unwrap();
            stream.extend(header.to_bytes());
            stream.extend(payload);
        }
        stream
    }

    fn any_frames() -> impl Strategy<Value = Vec<(FrameType, Bytes)>> {
        let kind = proptest::sample::select(FrameType::ALL.to_vec());
        vec((kind, vec(any::<u8>(), 0..300).prop_map(Bytes::from)), 0..6)
    }

    proptest! {
        #[test]
        fn frames_come_out_however_the_stream_is_cut(frames in any_frames(), cuts in vec(1_usize..400, 1..8)) {
            let (found, whole) = feed(&stream_of(&frames), &cuts).unwrap();
            prop_assert_eq!(found, frames);
            prop_assert!(whole);
        }

        #[test]
        fn a_stream_that_ends_early_gives_its_whole_frames_and_says_so(
            frames in any_frames(), cuts in vec(1_usize..400, 1..8), end in any::<prop::sample::Index>(),
        ) {
            let stream = stream_of(&frames);
            let end = end.index(stream.len() + 1);
            let (found, whole) = feed(&stream[..end], &cuts).unwrap();
            prop_assert_eq!(&found[..], &frames[..found.len()]);
            prop_assert_eq!(whole, stream_of(&found).len() == end);
        }

        #[test]
        fn garbage_never_panics(stream in vec(any::<u8>(), 0..400), cuts in vec(1_usize..50, 1..5)) {
            let _ = feed(&stream, &cuts);
        }
    }

    #[test]
    fn refuses_more_than_it_wants() {
        let mut assembler = FrameAssembler::new(1);
        assert_eq!(assembler.wanted(), HEADER_LEN);
        let refused = assembler.take(Bytes::from_static(&[0; 9]));
        assert_eq!(refused, Err(FrameError::TooLong(9)));
    }

    #[test]
    fn says_the_length_before_the_payload_comes() {
        let stream = stream_of(&[(FrameType::Storage, Bytes::from(vec![1; 70_000]))]);
        let mut assembler = FrameAssembler::new(1);
        let header = Bytes::copy_from_slice(&stream[..HEADER_LEN]);
        assert_eq!(assembler.take(header), Ok(Step::Header(70_000)));
        assert_eq!(assembler.wanted(), 70_000);
    }
}
