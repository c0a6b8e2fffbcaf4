//! A response body that never ends short with success.
//!
//! A task reads ahead by one step while the last one is being sent. If a chunk cannot be read, or the
//! client takes bytes slower than the minimum rate, the body ends with an error, on which hyper
//! closes the connection: the client sees an aborted transfer, never wrong or missing bytes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cairn_model::limits;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::data::reader::Reader;
use crate::data::{DataPath, ReadError};

/// The transfer was given up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Aborted {
    /// The bytes could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The reading task is gone.
    #[error("the object ended early")]
    Short,
}

/// The body of a GET: exactly so many checked bytes, or an error.
#[derive(Debug)]
pub(crate) struct ReadBody {
    ready: VecDeque<Bytes>,
    ahead: Option<mpsc::Receiver<Result<Vec<Bytes>, ReadError>>>,
    left: u64,
}

impl ReadBody {
    /// Reads the first step, so that what fails at once is answered with an error, and then goes on
    /// behind. `length` is that of the reader's range.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub(crate) async fn open(
        path: &Arc<DataPath>,
        mut reader: Reader,
        length: u64,
    ) -> Result<Self, ReadError> {
        let ready: VecDeque<Bytes> = reader.next().await?.unwrap_or_default().into();
        let first: u64 = ready.iter().map(len).sum();
        let ahead = (first < length).then(|| {
            let (sender, receiver) = mpsc::channel(1);
            tokio::spawn(read_ahead(Arc::clone(path), reader, sender));
            receiver
        });
        Ok(Self {
            ready,
            ahead,
            left: length,
        })
    }
}

fn len(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Ends when all is sent, on an error, when the body is dropped, or when it is taken too slowly.
async fn read_ahead(
    path: Arc<DataPath>,
    mut reader: Reader,
    sender: mpsc::Sender<Result<Vec<Bytes>, ReadError>>,
) {
    loop {
        let next = tokio::select! {
            biased;
            () = sender.closed() => return,
            next = reader.next() => next,
        };
        let Some(step) = next.transpose() else {
            return;
        };
        let failed = step.is_err();
        let bytes: u64 = step
            .as_ref()
            .map_or(0, |pieces| pieces.iter().map(len).sum());
        let patience = limits::BODY_RATE_WINDOW_SECS + bytes / limits::BODY_RATE_MIN;
        tokio::select! {
            biased;
            sent = sender.send(step) => if failed || sent.is_err() { return },
            () = path.clock.sleep(Duration::from_secs(patience)) => {
                tracing::debug!("a client took a body too slowly");
                return;
            }
        }
    }
}

impl Body for ReadBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        loop {
            if self.left == 0 {
                return Poll::Ready(None);
            }
            if let Some(piece) = self.ready.pop_front() {
                if len(&piece) > self.left {
                    self.left = 0;
                    return Poll::Ready(Some(Err(Aborted::Short)));
                }
                self.left -= len(&piece);
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            let Some(ahead) = &mut self.ahead else {
                return Poll::Ready(Some(Err(Aborted::Short)));
            };
            match std::task::ready!(ahead.poll_recv(context)) {
                Some(Ok(pieces)) => self.ready.extend(pieces),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => return Poll::Ready(Some(Err(Aborted::Short))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
