//! A network between hosts of one process that loses, delays, repeats and cuts, by a seed.

use async_trait::async_trait;
use bytes::Bytes;
use cairn_metadata::raft::{Member, RaftHost, RaftTransport, TransportError};
use cairn_world::Entropy;
use cairn_world::sim::SimEntropy;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How bad the network is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Calls of a thousand that never arrive, and answers too.
    pub(crate) lost: u64,
    /// Calls of a thousand that arrive a second time, later.
    pub(crate) repeated: u64,
    /// Longest delay of a call and of an answer.
    pub(crate) delay: Duration,
}

/// What of a call is of interest here: a piece of a snapshot.
#[derive(Clone, PartialEq, Message)]
struct Peek {
    #[prost(bytes = "bytes", optional, tag = "7")]
    piece: Option<Bytes>,
}

/// Who is reachable.
#[derive(Clone)]
pub(crate) struct Exchange(Arc<Mutex<Lines>>);

struct Lines {
    hosts: BTreeMap<u64, RaftHost>,
    /// From, to.
    cut: BTreeSet<(u64, u64)>,
    weather: Weather,
    random: SimEntropy,
    /// Bytes of snapshot pieces that were sent on.
    piece_bytes: u64,
    /// Pieces go through until this many bytes have.
    piece_limit: u64,
    longest: usize,
}

/// What becomes of a call.
struct Fate {
    lost: bool,
    answer_lost: bool,
    repeated: bool,
    there: Duration,
    back: Duration,
}

impl Exchange {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            hosts: BTreeMap::new(),
            cut: BTreeSet::new(),
            weather: Weather::default(),
            random: SimEntropy::new(seed),
            piece_bytes: 0,
            piece_limit: u64::MAX,
            longest: 0,
        })))
    }

    pub(crate) fn connect(&self, id: u64, host: RaftHost) {
        self.0.lock().unwrap().hosts.insert(id, host);
    }

    pub(crate) fn disconnect(&self, id: u64) {
        self.0.lock().unwrap().hosts.remove(&id);
    }

    pub(crate) fn weather(&self, weather: Weather) {
        self.0.lock().unwrap().weather = weather;
    }

    /// Nothing goes from `from` to `to`.
    pub(crate) fn cut_way(&self, from: u64, to: u64) {
        self.0.lock().unwrap().cut.insert((from, to));
    }

    /// Nothing goes between the two sides.
    pub(crate) fn split(&self, one: &[u64], other: &[u64]) {
        for a in one {
            for b in other {
                self.cut_way(*a, *b);
                self.cut_way(*b, *a);
            }
        }
    }

    pub(crate) fn mend(&self) {
        self.0.lock().unwrap().cut.clear();
    }

    pub(crate) fn piece_bytes(&self) -> u64 {
        self.0.lock().unwrap().piece_bytes
    }

    pub(crate) fn limit_pieces(&self, bytes: u64) {
        self.0.lock().unwrap().piece_limit = bytes;
    }

    /// Longest call seen.
    pub(crate) fn longest(&self) -> usize {
        self.0.lock().unwrap().longest
    }

    pub(crate) fn from(&self, from: u64) -> Caller {
        Caller {
            exchange: self.clone(),
            from,
        }
    }

    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.0.lock().unwrap().below(bound)
    }

    fn host(&self, from: u64, to: u64) -> Result<RaftHost, TransportError> {
        let lines = self.0.lock().unwrap();
        if lines.cut.contains(&(from, to)) {
            return Err(TransportError("cut".to_owned()));
        }
        let host = lines.hosts.get(&to).cloned();
        host.ok_or_else(|| TransportError("down".to_owned()))
    }

    fn note(&self, call: &Bytes) -> Result<(), TransportError> {
        let mut lines = self.0.lock().unwrap();
        lines.longest = lines.longest.max(call.len());
        if let Ok(Peek { piece: Some(piece) }) = Peek::decode(call.clone()) {
            if lines.piece_bytes >= lines.piece_limit {
                return Err(TransportError("the line broke".to_owned()));
            }
            lines.piece_bytes += piece.len() as u64;
        }
        Ok(())
    }
}

impl Lines {
    fn below(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_le_bytes(bytes) % bound.max(1)
    }

    fn delay(&mut self) -> Duration {
        let longest = u64::try_from(self.weather.delay.as_micros()).unwrap();
        // Most are quick.
        let micros = self.below(longest + 1) * self.below(5) / 4;
        Duration::from_micros(micros)
    }

    fn fate(&mut self) -> Fate {
        Fate {
            lost: self.below(1_000) < self.weather.lost,
            answer_lost: self.below(1_000) < self.weather.lost,
            repeated: self.below(1_000) < self.weather.repeated,
            there: self.delay(),
            back: self.delay(),
        }
    }
}

/// One host's side of the exchange.
pub(crate) struct Caller {
    exchange: Exchange,
    from: u64,
}

#[async_trait]
impl RaftTransport for Caller {
    async fn call(&self, target: &Member, call: Bytes) -> Result<Bytes, TransportError> {
        let (from, to) = (self.from, target.id);
        let fate = self.exchange.0.lock().unwrap().fate();
        tokio::time::sleep(fate.there).await;
        if fate.lost {
            return std::future::pending().await;
        }
        let host = self.exchange.host(from, to)?;
        self.exchange.note(&call)?;
        if fate.repeated {
            let (host, call) = (host.clone(), call.clone());
            tokio::spawn(async move {
                tokio::time::sleep(fate.there * 3 + fate.back).await;
                host.handle(from, call).await
            });
        }
        // Who asks may stop waiting; what has arrived is carried out all the same.
        let answered = tokio::spawn(async move { host.handle(from, call).await }).await;
        tokio::time::sleep(fate.back).await;
        if fate.answer_lost {
            return std::future::pending().await;
        }
        self.exchange.host(to, from)?;
        answered.map_err(|error| TransportError(error.to_string()))
    }
}
