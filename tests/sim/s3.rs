//! Signed S3 requests into a gateway without a socket.

use bytes::Bytes;
use cairn_compat_suite::call::Call;
use cairn_compat_suite::sigv4::Credentials;
use http::Request;
use http_body::Body;
use http_body_util::{BodyExt as _, Full};

use crate::clock::START;
use crate::machine::{ACCESS_KEY, Node, SECRET_KEY};

/// Status and body of an answer, or why the body broke off.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) body: Result<Bytes, String>,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn text(&self) -> String {
        self.body
            .as_ref()
            .map(|body| String::from_utf8_lossy(body).into_owned())
            .unwrap_or_default()
    }
}

/// Sends one request and reads the whole answer.
pub(crate) async fn send(node: &Node, call: Call) -> Answer {
    send_after(node, call, 0).await
}

/// The same, signed so many seconds after the simulation's start.
pub(crate) async fn send_after(node: &Node, call: Call, seconds: u64) -> Answer {
    send_request(node, request(call, seconds)).await
}

/// Sends a signed request with a body of any kind.
pub(crate) async fn send_request<B>(node: &Node, request: Request<B>) -> Answer
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let response = node.gateway.respond(request).await;
    let status = response.status().as_u16();
    let etag = response
        .headers()
        .get("etag")
        .and_then(|tag| tag.to_str().ok())
        .map(str::to_owned);
    let body = response.into_body().collect().await;
    let body = body
        .map(|body| body.to_bytes())
        .map_err(|error| error.to_string());
    Answer { status, etag, body }
}

/// A request signed so many seconds after the simulation's start.
pub(crate) fn request(call: Call, seconds: u64) -> Request<Full<Bytes>> {
    let credentials = Credentials {
        access_key: ACCESS_KEY.into(),
        secret_key: SECRET_KEY.into(),
    };
    let now = i64::try_from(START / 1_000 + seconds).unwrap();
    let encoded = call.encode_at(now, "sim", &credentials, "us-east-1");
    let head = String::from_utf8(encoded.head).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap(), first.next().unwrap());
    let mut builder = Request::builder().method(method).uri(target);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(encoded.body.into())).unwrap()
}
