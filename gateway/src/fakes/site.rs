//! A whole gateway over the fakes, and calls to it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::Coding;
use cairn_world::Clock as _;
use cairn_world::real::OsEntropy;
use futures_util::StreamExt as _;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};

use super::{FakeDisks, FakeMetadata, HandClock, Signer};
use crate::gateway::Gateway;
use crate::settings::Settings;

/// An answer, whole.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether the body came to its end.
    pub(crate) whole: bool,
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The text of the first element of this name.
    pub(crate) fn element(&self, name: &str) -> String {
        let text = self.text();
        let after = text
            .split_once(&format!("<{name}>"))
            .map_or("", |(_, after)| after);
        after
            .split_once(&format!("</{name}>"))
            .map_or("", |(inside, _)| inside)
            .to_owned()
    }

    /// Status and S3 error code.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status.as_u16(), self.element("Code"))
    }
}

/// The gateway and what stands behind it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) gateway: Gateway,
    pub(crate) metadata: Arc<FakeMetadata>,
    pub(crate) disks: FakeDisks,
    pub(crate) clock: Arc<HandClock>,
}

impl Site {
    pub(crate) fn new(data: u8, parity: u8) -> Self {
        let metadata = Arc::new(FakeMetadata::new(
            Coding::new(data, parity).unwrap(),
            data + parity,
        ));
        metadata.add_user("alice", "alicekey", "alicesecret", false);
        metadata.add_user("bob", "bobkey", "bobsecret12", false);
        let disks = FakeDisks::new();
        let clock = Arc::new(HandClock::new());
        let settings = Settings {
            domains: vec!["vhost.test".to_owned()],
            ..Default::default()
        };
        let gateway = Gateway::new(
            settings,
            clock.clone(),
            Arc::new(OsEntropy),
            metadata.clone(),
            disks.routes(data + parity),
        );
        Self {
            gateway,
            metadata,
            disks,
            clock,
        }
    }

    pub(crate) fn signer(&self, name: &str) -> Signer {
        let secret = if name == "bob" {
            "bobsecret12".to_owned()
        } else {
            format!("{name}secret")
        };
        Signer {
            access_key: format!("{name}key"),
            secret_key: secret,
            now_ms: self.clock.wall(),
            host: "s3.test".to_owned(),
        }
    }

    /// As alice.
    pub(crate) async fn call(&self, method: Method, target: &str, body: impl Into<Bytes>) -> Got {
        self.call_with(method, target, &[], body).await
    }

    /// As alice, with headers.
    pub(crate) async fn call_with(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Got {
        self.call_as("alice", method, target, headers, body).await
    }

    pub(crate) async fn call_as(
        &self,
        name: &str,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Got {
        let body = body.into();
        let request = self.signer(name).sign(&method, target, headers, &body);
        self.send(request, body).await
    }

    /// Sends a head that was signed, with a body.
    pub(crate) async fn send(&self, request: Request<Bytes>, body: Bytes) -> Got {
        let (mut parts, _) = request.into_parts();
        parts
            .headers
            .entry("content-length")
            .or_insert_with(|| body.len().into());
        self.respond(Request::from_parts(parts, Full::new(body)))
            .await
    }

    /// Sends a head that was signed, with a body whose length nobody has announced.
    pub(crate) async fn stream(&self, request: Request<Bytes>, frames: Vec<Bytes>) -> Got {
        let frames = frames
            .into_iter()
            .map(|data| Ok::<_, std::io::Error>(Frame::data(data)));
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let (mut parts, _) = request.into_parts();
        let chunked = "chunked".parse().unwrap();
        parts.headers.insert("transfer-encoding", chunked);
        self.respond(Request::from_parts(parts, body)).await
    }

    /// Sends a head that was signed, with a body of which a MiB comes at a time, each so long after
    /// the one before. Idle sessions are ended meanwhile.
    pub(crate) async fn send_slowly(
        &self,
        request: Request<Bytes>,
        body: Bytes,
        pace: Duration,
    ) -> Got {
        let (mut parts, _) = request.into_parts();
        parts.headers.insert("content-length", body.len().into());
        let frames: Vec<Bytes> = body.chunks(1 << 20).map(Bytes::copy_from_slice).collect();
        let clock = Arc::clone(&self.clock);
        let sessions = Arc::clone(&self.gateway.inner.sessions);
        let frames = futures_util::stream::iter(frames).then(move |data| {
            let (clock, sessions) = (Arc::clone(&clock), Arc::clone(&sessions));
            async move {
                for _ in 0..200 {
                    tokio::task::yield_now().await;
                }
                clock.advance(pace);
                sessions.end_idle().await;
                Ok::<_, std::io::Error>(Frame::data(data))
            }
        });
        let body = StreamBody::new(Box::pin(frames));
        self.respond(Request::from_parts(parts, body)).await
    }

    async fn respond<B>(&self, request: Request<B>) -> Got
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, mut body) = self.gateway.respond(request).await.into_parts();
        let (mut bytes, mut whole) = (Vec::new(), true);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap()),
                Err(_) => {
                    whole = false;
                    break;
                }
            }
        }
        Got {
            status: parts.status,
            headers: parts.headers,
            body: bytes.into(),
            whole,
        }
    }

    /// Creates alice's bucket.
    pub(crate) async fn with_bucket(self) -> Self {
        assert_eq!(
            self.call(Method::PUT, "/bucket", "").await.status,
            StatusCode::OK
        );
        self
    }
}
