//! Request bodies: read only when asked for, never slower than the minimum rate.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use cairn_model::{Sha256, limits};
use cairn_s3::digest::Verified;
use cairn_s3::upload::Upload;
use cairn_s3::{Code, S3Error};
use cairn_world::Clock;
use http_body_util::BodyExt;

use crate::data::writer::Source;
use crate::digesting::{Abreast, Digesting};

const WINDOW: Duration = Duration::from_secs(limits::BODY_RATE_WINDOW_SECS);
const WINDOW_BYTES_MIN: u64 = limits::BODY_RATE_MIN * limits::BODY_RATE_WINDOW_SECS;

/// A body's frames. The first poll makes hyper answer `100 Continue`.
#[derive(Debug)]
pub(crate) struct Incoming {
    body: Body,
    clock: Arc<dyn Clock>,
    /// Time spent waiting for the client in this window, and bytes that came in it.
    waited: Duration,
    received: u64,
}

impl Incoming {
    pub(crate) fn new(body: Body, clock: Arc<dyn Clock>) -> Self {
        Self {
            body,
            clock,
            waited: Duration::ZERO,
            received: 0,
        }
    }

    /// The next bytes, or none at the end.
    ///
    /// # Errors
    /// `RequestTimeout` for a client slower than the minimum rate; `IncompleteBody` for one that
    /// went away or broke the framing.
    pub(crate) async fn frame(&mut self) -> Result<Option<Bytes>, S3Error> {
        loop {
            let frame = self.wait().await?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            // HTTP trailers are no part of S3.
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                self.received += u64::try_from(data.len()).unwrap_or(u64::MAX);
                return Ok(Some(data));
            }
        }
    }

    /// All of it; none where it is longer than `longest`, of which no more than one frame is taken.
    ///
    /// # Errors
    /// As [`Incoming::frame`].
    pub(crate) async fn whole(mut self, longest: u64) -> Result<Option<Bytes>, S3Error> {
        let mut whole = BytesMut::new();
        while let Some(frame) = self.frame().await? {
            let length = u64::try_from(whole.len() + frame.len());
            if length.is_ok_and(|length| length > longest) {
                return Ok(None);
            }
            whole.extend_from_slice(&frame);
        }
        Ok(Some(whole.freeze()))
    }

    /// Only waiting for the client counts against it: time in which our disks are behind does not.
    async fn wait(&mut self) -> Result<Option<http_body::Frame<Bytes>>, S3Error> {
        let Self {
            body,
            clock,
            waited,
            received,
        } = self;
        let begun = clock.monotonic();
        let next = body.frame();
        tokio::pin!(next);
        let frame = loop {
            let patience = WINDOW.saturating_sub(*waited + clock.monotonic().saturating_sub(begun));
            let outcome = tokio::select! {
                biased;
                frame = &mut next => Some(frame),
                () = clock.sleep(patience) => None,
            };
            if let Some(frame) = outcome {
                break frame;
            }
            if *received < WINDOW_BYTES_MIN {
                return Err(S3Error::new(Code::RequestTimeout));
            }
            (*waited, *received) = (Duration::ZERO, 0);
        };
        *waited += clock.monotonic().saturating_sub(begun);
        frame.transpose().map_err(|error| {
            tracing::debug!(%error, "a request body broke off");
            S3Error::new(Code::IncompleteBody)
        })
    }
}

/// The body of a PutObject or UploadPart.
#[derive(Debug)]
pub(crate) struct ObjectBody {
    incoming: Incoming,
    upload: Upload,
    /// Who makes its MD5 beside others'; else it is made alone in the end.
    md5: Option<Digesting>,
    makes_sha256: bool,
    /// What is left of the frame being decoded, and of the run decoded from it.
    frame: Bytes,
    run: Bytes,
}

impl ObjectBody {
    /// `makes_sha256`: the signature names the SHA-256 of the whole body, so that it is verified.
    pub(crate) fn new(
        incoming: Incoming,
        upload: Upload,
        abreast: &Arc<Abreast>,
        makes_sha256: bool,
    ) -> Self {
        Self {
            incoming,
            md5: Digesting::of(abreast, upload.decoded_len()),
            upload,
            makes_sha256,
            frame: Bytes::new(),
            run: Bytes::new(),
        }
    }

    /// The next decoded run, or none at the end of the body.
    async fn run(&mut self) -> Result<Option<Bytes>, S3Error> {
        loop {
            if let Some(run) = self.upload.next(&mut self.frame)? {
                if let Some(md5) = &self.md5 {
                    md5.push(std::mem::take(self.upload.md5())).await;
                }
                return Ok(Some(run));
            }
            match self.incoming.frame().await? {
                Some(frame) => self.frame = frame,
                None => return Ok(None),
            }
        }
    }
}

impl Source for ObjectBody {
    type Proof = Verified;

    fn length(&self) -> u64 {
        self.upload.decoded_len()
    }

    fn makes_sha256(&self) -> bool {
        self.makes_sha256
    }

    async fn fill(&mut self, buffer: &mut BytesMut, wanted: usize) -> Result<(), S3Error> {
        let mut left = wanted;
        while left > 0 {
            if self.run.is_empty() {
                let run = self.run().await?;
                self.run = run.ok_or_else(|| S3Error::new(Code::IncompleteBody))?;
            }
            let taken = self.run.split_to(left.min(self.run.len()));
            buffer.extend_from_slice(&taken);
            left -= taken.len();
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(Verified, Option<Sha256>), S3Error> {
        // What should not be there any more is digested too, and then counted against the length.
        while self.run().await?.is_some() {}
        if let Some(md5) = self.md5 {
            *self.upload.md5() = md5.finish().await;
        }
        let verified = self.upload.finish()?;
        let sha256 = verified.sha256().map(Sha256);
        Ok((verified, sha256))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::HandClock;
    use tokio::sync::mpsc;

    fn incoming() -> (mpsc::Sender<Bytes>, Arc<HandClock>, Incoming) {
        let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
        let stream = futures_util::stream::poll_fn(move |context| {
            receiver
                .poll_recv(context)
                .map(|bytes| bytes.map(Ok::<_, std::io::Error>))
        });
        let clock = Arc::new(HandClock::new());
        let body = Body::from_stream(stream);
        (sender, clock.clone(), Incoming::new(body, clock))
    }

    #[tokio::test]
    async fn a_trickle_is_cut_off() {
        let (sender, clock, mut incoming) = incoming();
        let reading = tokio::spawn(async move {
            loop {
                if let Err(error) = incoming.frame().await {
                    return error;
                }
            }
        });
        for _ in 0..100 {
            sender.send(Bytes::from_static(b"drip")).await.ok();
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            clock.advance(Duration::from_secs(1));
            if clock.monotonic() < WINDOW {
                assert!(!reading.is_finished(), "it has a window's time");
            }
        }
        assert!(reading.is_finished(), "it would have gone on for ever");
        assert_eq!(reading.await.unwrap().code(), Code::RequestTimeout);
    }

    #[tokio::test]
    async fn a_slow_but_steady_client_is_served() {
        let (sender, clock, mut incoming) = incoming();
        let reading = tokio::spawn(async move {
            let mut length = 0;
            while let Some(frame) = incoming.frame().await.unwrap() {
                length += frame.len();
            }
            length
        });
        for _ in 0..200 {
            sender.send(Bytes::from(vec![0; 1_200])).await.unwrap();
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            clock.advance(Duration::from_secs(1));
        }
        drop(sender);
        assert_eq!(reading.await.unwrap(), 200 * 1_200);
    }

    #[tokio::test]
    async fn time_in_which_we_are_behind_does_not_count() {
        let (sender, clock, mut incoming) = incoming();
        for _ in 0..10 {
            sender.send(Bytes::from_static(b"x")).await.unwrap();
            clock.advance(WINDOW * 10);
            incoming.frame().await.unwrap().unwrap();
        }
    }
}
