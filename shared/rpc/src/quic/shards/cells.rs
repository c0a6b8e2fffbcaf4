//! Between cells, whose lengths are known, and raw frames, which are cut anywhere.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use cairn_model::limits;

/// Cells, each in order, grouped into payloads of raw frames: pieces whose sum is at most
/// `limits::DATA_FRAME_LEN`. No byte is copied.
pub(super) fn raw_frames(cells: &[Bytes]) -> Vec<Vec<Bytes>> {
    let most = usize::try_from(limits::DATA_FRAME_LEN).unwrap_or(usize::MAX);
    let mut frames = Vec::new();
    let mut frame = Vec::new();
    let mut room = most;
    for cell in cells {
        let mut rest = cell.clone();
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(room));
            room -= piece.len();
            frame.push(piece);
            if room == 0 {
                frames.push(std::mem::take(&mut frame));
                room = most;
            }
        }
    }
    if !frame.is_empty() {
        frames.push(frame);
    }
    frames
}

/// Why bytes cannot be cut into the cells expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// Cuts raw frames into cells. Holds at most one cell begun; a cell that lies within one frame is not
/// copied.
#[derive(Debug)]
pub(super) struct CellCutter {
    lengths: VecDeque<usize>,
    begun: BytesMut,
    missing: u64,
}

impl CellCutter {
    /// For cells of these lengths, in order. Cells of length 0 are none.
    pub(super) fn new(lengths: impl IntoIterator<Item = u64>) -> Self {
        let lengths: VecDeque<usize> = lengths
            .into_iter()
            .filter_map(|len| usize::try_from(len).ok())
            .filter(|len| *len > 0)
            .collect();
        let missing = lengths
            .iter()
            .map(|len| u64::try_from(*len).unwrap_or(u64::MAX))
            .fold(0, u64::saturating_add);
        Self {
            lengths,
            begun: BytesMut::new(),
            missing,
        }
    }

    /// Bytes still to come.
    pub(super) fn missing(&self) -> u64 {
        self.missing
    }

    /// The cells that `bytes` complete.
    pub(super) fn take(&mut self, mut bytes: Bytes) -> Result<Vec<Bytes>, TooMany> {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.missing = self.missing.checked_sub(len).ok_or(TooMany)?;
        let mut cells = Vec::new();
        while let Some(len) = self.lengths.front().copied() {
            let want = len.saturating_sub(self.begun.len());
            if bytes.len() < want {
                if self.begun.is_empty() && !bytes.is_empty() {
                    self.begun.reserve(len);
                }
                self.begun.extend_from_slice(&bytes);
                break;
            }
            let piece = bytes.split_to(want);
            if self.begun.is_empty() {
                cells.push(piece);
            } else {
                self.begun.extend_from_slice(&piece);
                cells.push(std::mem::take(&mut self.begun).freeze());
            }
            self.lengths.pop_front();
        }
        Ok(cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn cells_of(lengths: &[u64]) -> Vec<Bytes> {
        let mut next = 0_u8;
        let mut cell = |len: &u64| {
            next = next.wrapping_add(1);
            Bytes::from(vec![next; *len as usize])
        };
        lengths.iter().map(&mut cell).collect()
    }

    fn joined(pieces: &[Bytes]) -> Bytes {
        pieces.concat().into()
    }

    proptest! {
        #[test]
        fn cells_survive_frames(lengths in vec(1_u64..400_000, 0..8)) {
            let cells = cells_of(&lengths);
            let frames = raw_frames(&cells);
            let most = limits::DATA_FRAME_LEN as usize;
            let sizes: Vec<usize> = frames.iter().map(|frame| joined(frame).len()).collect();
            prop_assert!(sizes.iter().all(|size| (1..=most).contains(size)));
            prop_assert!(sizes.iter().rev().skip(1).all(|size| *size == most), "only the last is short");
            let mut cutter = CellCutter::new(lengths.clone());
            let mut found = Vec::new();
            for frame in &frames {
                found.extend(cutter.take(joined(frame)).unwrap());
            }
            prop_assert_eq!(found, cells);
            prop_assert_eq!(cutter.missing(), 0);
        }

        #[test]
        fn cells_survive_any_cut(lengths in vec(0_u64..300, 0..10), cuts in vec(1_usize..200, 1..6)) {
            let cells = cells_of(&lengths);
            let mut bytes = joined(&cells);
            let mut cutter = CellCutter::new(lengths);
            let mut found = Vec::new();
            let mut cuts = cuts.iter().cycle();
            while !bytes.is_empty() {
                let piece = bytes.split_to((*cuts.next().unwrap()).min(bytes.len()));
                found.extend(cutter.take(piece).unwrap());
                prop_assert_eq!(cutter.missing(), bytes.len() as u64);
            }
            let expected: Vec<Bytes> = cells.into_iter().filter(|cell| !cell.is_empty()).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn refuses_more_than_its_cells() {
        let mut cutter = CellCutter::new([3, 4]);
        assert_eq!(cutter.take(Bytes::from_static(&[0; 8])), Err(TooMany));
        assert_eq!(cutter.take(Bytes::from_static(&[0; 7])).unwrap().len(), 2);
        assert_eq!(cutter.take(Bytes::from_static(&[0])), Err(TooMany));
    }

    #[test]
    fn a_cell_within_one_frame_is_not_copied() {
        let frame = Bytes::from(vec![5; 100]);
        let cells = CellCutter::new([60, 40]).take(frame.clone()).unwrap();
        assert_eq!(cells[0].as_ptr(), frame.as_ptr());
        assert_eq!(cells[1].as_ptr(), frame[60..].as_ptr());
    }
}
