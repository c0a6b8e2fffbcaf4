//! A client's way to the gateways of a simulated cluster.

use std::time::Duration;

use bytes::Bytes;
use cairn_compat_suite::Call;

/// How clients reach gateways; the simulation implements it.
#[async_trait::async_trait]
pub trait Door: Send + Sync {
    /// How many gateways there are.
    fn gateways(&self) -> usize;

    /// Unix seconds of true simulated time, for signing.
    fn now_secs(&self) -> u64;

    /// Sends one request, its body whole, to a gateway.
    async fn send(&self, gateway: usize, call: Call) -> Heard;

    /// The same with a body that comes slowly: `piece` bytes at a time, each after a `pause`.
    async fn send_slowly(&self, gateway: usize, call: Call, piece: usize, pause: Duration)
    -> Heard;
}

/// What a client heard of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A whole answer.
    Answer(Answer),
    /// A head, and a body that broke off: aborted, never ended short.
    BrokenBody {
        /// The head.
        status: u16,
        /// Lower-case names.
        headers: Vec<(String, String)>,
        /// What came.
        received: Bytes,
    },
    /// No answer: whether anything happened is not known.
    Lost,
    /// The gateway was down: nothing happened.
    Refused,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    /// All of it.
    pub body: Bytes,
}

impl Answer {
    /// The first header of that lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The first header of that lower-case name.
#[must_use]
pub fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    let mut named = headers.iter().filter(|(known, _)| known == name);
    named.next().map(|(_, value)| value.as_str())
}
