//! The clients' way to the gateways: HTTP heads and bodies without a socket.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_compat_suite::Call;
use cairn_compat_suite::sigv4::Credentials;
use cairn_tests::simulated::door::{Answer, Door, Heard};
use cairn_world::sim::SeededRng;
use futures_util::StreamExt as _;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use crate::clock::TrueTime;
use crate::cluster::{ACCESS_KEY, Gateways, SECRET_KEY};
use crate::gateway::GatewayProcess;

/// A line is given up after so long without an end of it; who asks has less patience.
const PATIENCE: Duration = Duration::from_secs(1_000);

/// All gateways.
pub(crate) struct Clients {
    pub(crate) gateways: Gateways,
    pub(crate) time: TrueTime,
}

type Body = StreamBody<
    std::pin::Pin<
        Box<dyn futures_util::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send>,
    >,
>;

impl Clients {
    fn gateway(&self, index: usize) -> Option<GatewayProcess> {
        self.gateways.lock().unwrap().get(index)?.clone()
    }

    fn request(&self, call: &Call, piece: usize, pause: Duration) -> Request<Body> {
        let credentials = Credentials {
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
        };
        let now = self.now_secs();
        let encoded = call.encode_at(now.cast_signed(), "sim", &credentials, "us-east-1");
        let head = String::from_utf8(encoded.head).unwrap();
        let mut lines = head.lines();
        let mut first = lines.next().unwrap().split(' ');
        let (method, target) = (first.next().unwrap(), first.next().unwrap());
        let mut builder = Request::builder().method(method).uri(target);
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            builder = builder.header(name, value);
        }
        let body = Bytes::from(encoded.body);
        let starts = (0..body.len()).step_by(piece.max(1));
        let pieces: Vec<Bytes> = starts
            .map(|at| body.slice(at..body.len().min(at + piece.max(1))))
            .collect();
        let frames = futures_util::stream::iter(pieces).then(move |piece| async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            Ok(Frame::data(piece))
        });
        let frames: std::pin::Pin<Box<dyn futures_util::Stream<Item = _> + Send>> =
            Box::pin(frames);
        builder.body(StreamBody::new(frames)).unwrap()
    }

    async fn exchange(&self, index: usize, request: Request<Body>, patience: Duration) -> Heard {
        let Some(gateway) = self.gateway(index) else {
            // Nobody listens there: the client waits a little before it tries again.
            tokio::time::sleep(Duration::from_millis(100)).await;
            return Heard::Refused;
        };
        let process = gateway.process.clone();
        let answering = process.spawn(async move {
            let response = gateway.gateway.respond(request).await;
            let (head, body) = response.into_parts();
            (head, read(body).await)
        });
        let _connection = Connection(answering.abort_handle());
        let answered = tokio::time::timeout(patience, answering).await;
        let Ok(Ok((head, (received, is_whole)))) = answered else {
            return Heard::Lost;
        };
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
        let headers = head.headers.iter();
        let headers: Vec<(String, String)> = headers
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect();
        let status = head.status.as_u16();
        if is_whole {
            Heard::Answer(Answer {
                status,
                headers,
                body: received,
            })
        } else {
            Heard::BrokenBody {
                status,
                headers,
                received,
            }
        }
    }
}

/// A call that a cluster at rest answers well.
pub(crate) async fn must(door: &dyn Door, call: Call) -> Result<(), String> {
    let what = format!("{} {}", call.method, call.path);
    match door.send(0, call).await {
        Heard::Answer(answer) if answer.status < 300 => Ok(()),
        other => Err(format!("{what}: {other:?}")),
    }
}

/// Bytes that nobody has sent before: a multiple of eight.
pub(crate) fn new_bytes(random: &mut SeededRng, length: usize) -> Vec<u8> {
    let words = (0..length / 8).flat_map(|_| random.next_u64().to_be_bytes());
    words.collect()
}

/// All of a body, and whether it ended as it should.
async fn read<B>(mut body: B) -> (Bytes, bool)
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let mut received = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => received.extend_from_slice(&data),
            Ok(Err(_)) => {}
            Err(_) => return (received.into(), false),
        }
    }
    (received.into(), true)
}

/// Ends with its client, who may go away at any time; what was answered is not concerned.
struct Connection(tokio::task::AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait]
impl Door for Clients {
    fn gateways(&self) -> usize {
        self.gateways.lock().unwrap().len()
    }

    fn now_secs(&self) -> u64 {
        self.time.unix_millis() / 1_000
    }

    async fn send(&self, gateway: usize, call: Call) -> Heard {
        let request = self.request(&call, 256 << 10, Duration::ZERO);
        self.exchange(gateway, request, PATIENCE).await
    }

    async fn send_slowly(
        &self,
        gateway: usize,
        call: Call,
        piece: usize,
        pause: Duration,
    ) -> Heard {
        let pieces = u32::try_from(call.body.len() / piece.max(1) + 2).unwrap();
        let request = self.request(&call, piece, pause);
        let patience = PATIENCE + pause * pieces;
        self.exchange(gateway, request, patience).await
    }
}
