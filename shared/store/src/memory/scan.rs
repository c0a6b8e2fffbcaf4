//! A scan of the memory engine: a few rows per look, so that writers get in between.

use super::{MemoryView, Version, visible};
use crate::bounds::{self, Span};
use crate::{Row, StoreError};
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Bound;

/// Rows of the first look; each look takes twice as many as the one before.
const FIRST_LOOK: usize = 2;
/// Most rows of a look.
const LOOK_MAX: usize = 64;

/// A scan in progress.
pub(super) struct MemoryScan<'a> {
    view: &'a MemoryView,
    /// What is left to look at; `None` at the end.
    left: Option<Span>,
    backward: bool,
    ready: VecDeque<Row>,
    look: usize,
}

impl<'a> MemoryScan<'a> {
    pub(super) fn forward(view: &'a MemoryView, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Self {
        let left = bounds::span(from, to);
        Self {
            view,
            left,
            backward: false,
            ready: VecDeque::new(),
            look: FIRST_LOOK,
        }
    }

    pub(super) fn backward(view: &'a MemoryView, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Self {
        Self {
            backward: true,
            ..Self::forward(view, from, to)
        }
    }

    fn look(&mut self) {
        let Some((from, to)) = self.left.take() else {
            return;
        };
        if bounds::is_empty(&from, &to) {
            return;
        }
        let versions = self.view.store.read();
        let span = (
            from.as_ref().map(Vec::as_slice),
            to.as_ref().map(Vec::as_slice),
        );
        let rows = versions.rows.range::<[u8], _>(span);
        let seen = |(key, history): (&Bytes, &Vec<Version>)| {
            Some((key.clone(), visible(history, self.view.batch)?.clone()))
        };
        if self.backward {
            self.ready
                .extend(rows.rev().filter_map(seen).take(self.look));
        } else {
            self.ready.extend(rows.filter_map(seen).take(self.look));
        }
        if let (Some((last, _)), true) = (self.ready.back(), self.ready.len() == self.look) {
            let past = Bound::Excluded(last.to_vec());
            self.left = Some(if self.backward {
                (from, past)
            } else {
                (past, to)
            });
            self.look = (2 * self.look).min(LOOK_MAX);
        }
    }
}

impl Iterator for MemoryScan<'_> {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            self.look();
        }
        self.ready.pop_front().map(Ok)
    }
}
