//! How a client asks, and what an answer, or none, tells it.

use std::time::Duration;

use bytes::Bytes;
use cairn_compat_suite::Call;

use super::client::Client;
use super::{Kind, document};
use crate::simulated::door::{Answer, Heard};
use crate::simulated::history::{self, Called, Time, When};

/// How long a client waits for an answer: longer than a read pauses under buggify.
const PATIENCE: Duration = Duration::from_secs(130);
/// The same in calm, where a read may pause again and again and must be answered all the same.
const PATIENCE_IN_CALM: Duration = Duration::from_secs(900);
/// Longest target that is written into the trace whole.
const TARGET: usize = 160;

/// How slowly a body comes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) piece: usize,
    pub(super) pause: Duration,
}

/// When a call was made, and whether in calm.
#[derive(Clone, Copy)]
struct Begun {
    called: u64,
    secs: u64,
    calm: bool,
}

/// What came of a call.
pub(super) struct Asked {
    pub(super) when: When,
    pub(super) told: Told,
}

/// What an answer, or none, says.
pub(super) enum Told {
    /// Something that the caller must judge.
    Answer(Answer),
    /// A head whose body broke off.
    Broken { head: Answer, received: Bytes },
    /// It may have happened.
    Unknown,
    /// It has not happened.
    Nothing,
}

impl Client {
    /// Sends a call and waits for its answer.
    pub(super) async fn ask(&self, kind: Kind, gateway: usize, call: Call) -> Asked {
        let target = target(&call);
        let begun = self.begin();
        let patience = if begun.calm {
            PATIENCE_IN_CALM
        } else {
            PATIENCE
        };
        let heard = tokio::time::timeout(patience, self.door().send(gateway, call)).await;
        self.end(begun, kind, gateway, target, heard.unwrap_or(Heard::Lost))
    }

    /// The same with a slow body.
    pub(super) async fn ask_slowly(
        &self,
        kind: Kind,
        gateway: usize,
        call: Call,
        pace: Pace,
    ) -> Asked {
        let target = target(&call);
        // Frames and signatures come on top of the plain body.
        let pieces = 2 + call.body.len() / pace.piece.max(1) * 11 / 10;
        let patience = PATIENCE + pace.pause * u32::try_from(pieces).unwrap_or(u32::MAX);
        let begun = self.begin();
        let sent = self
            .door()
            .send_slowly(gateway, call, pace.piece, pace.pause);
        let heard = tokio::time::timeout(patience, sent).await;
        self.end(begun, kind, gateway, target, heard.unwrap_or(Heard::Lost))
    }

    fn begin(&self) -> Begun {
        Begun {
            called: self.history().tick(),
            secs: self.door().now_secs(),
            calm: self.history().is_calm(),
        }
    }

    fn end(&self, begun: Begun, kind: Kind, gateway: usize, target: String, heard: Heard) -> Asked {
        let time = Time {
            client: self.name,
            called: begun.called,
            answered: self.history().tick(),
        };
        let when = When {
            time,
            called_secs: begun.secs,
            answered_secs: self.door().now_secs(),
        };
        if let Some(undue) = undue(&heard).filter(|_| begun.calm && self.history().is_calm()) {
            self.fault(
                &when,
                &target,
                format!("{undue}, though nothing went wrong"),
            );
        }
        let told = told(heard);
        let (status, counted) = match &told {
            Told::Answer(answer) if answer.status < 400 => {
                (answer.status, history::Heard::Acknowledged)
            }
            Told::Answer(answer) => (answer.status, history::Heard::Refused),
            Told::Broken { head, .. } => (head.status, history::Heard::Unknown),
            Told::Unknown => (0, history::Heard::Unknown),
            Told::Nothing => (0, history::Heard::Refused),
        };
        let kind = kind.name();
        let called = Called {
            when,
            kind,
            target,
            gateway,
            status,
        };
        self.history().called(called, counted);
        Asked { when, told }
    }

    /// Notes an answer that no server may give.
    pub(super) fn fault(&self, asked: &When, target: &str, what: impl std::fmt::Display) {
        let Time {
            client,
            called,
            answered,
        } = asked.time;
        let (from, to) = (asked.called_secs, asked.answered_secs);
        let text =
            format!("client {client} [{called}..{answered}] {from}..{to} s, {target}: {what}");
        self.history().fault(text);
    }

    /// Notes an answer that has no place.
    pub(super) fn strange(&self, asked: &When, target: &str, answer: &Answer) {
        let Answer { status, .. } = answer;
        let mut text = answer.text();
        text.truncate(
            text.char_indices()
                .nth(400)
                .map_or(text.len(), |(at, _)| at),
        );
        self.fault(asked, target, format!("{status} {text}"));
    }
}

/// What a healthy cluster answers nobody.
fn undue(heard: &Heard) -> Option<String> {
    match heard {
        Heard::Lost => Some("no answer".to_owned()),
        Heard::Refused => Some("nobody was there".to_owned()),
        Heard::BrokenBody { .. } => Some("the body broke off".to_owned()),
        Heard::Answer(answer) if answer.status >= 500 && answer.status != 501 => Some(format!(
            "{} {}",
            answer.status,
            document::code(&answer.text())
        )),
        Heard::Answer(_) => None,
    }
}

/// Method, path and query.
fn target(call: &Call) -> String {
    let query: Vec<String> = call
        .query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut target = format!("{} {}?{}", call.method, call.path, query.join("&"));
    target.truncate(
        target
            .char_indices()
            .nth(TARGET)
            .map_or(target.len(), |(at, _)| at),
    );
    target
}

/// Sorts what was heard. Of what is refused for being in another's way nothing has happened.
fn told(heard: Heard) -> Told {
    match heard {
        Heard::Refused => Told::Nothing,
        Heard::Lost => Told::Unknown,
        Heard::BrokenBody {
            status,
            headers,
            received,
        } => {
            let body = Bytes::new();
            let head = Answer {
                status,
                headers,
                body,
            };
            Told::Broken { head, received }
        }
        Heard::Answer(answer) => match answer.status {
            // Not implemented is for no call of ours.
            501 => Told::Answer(answer),
            500.. => Told::Unknown,
            409 => match document::code(&answer.text()).as_str() {
                "OperationAborted" | "ConditionalRequestConflict" => Told::Nothing,
                _ => Told::Answer(answer),
            },
            _ => Told::Answer(answer),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Heard {
        Heard::Answer(Answer {
            status,
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    #[test]
    fn answers_tell_what_happened_from_what_may_have() {
        assert!(matches!(told(answer(200, "")), Told::Answer(_)));
        assert!(matches!(told(answer(404, "")), Told::Answer(_)));
        assert!(matches!(told(answer(501, "")), Told::Answer(_)));
        for status in [500, 503, 504] {
            assert!(matches!(told(answer(status, "")), Told::Unknown));
        }
        assert!(matches!(told(Heard::Lost), Told::Unknown));
        assert!(matches!(told(Heard::Refused), Told::Nothing));
        let aborted = "<Error><Code>OperationAborted</Code></Error>";
        assert!(matches!(told(answer(409, aborted)), Told::Nothing));
        let full = "<Error><Code>BucketNotEmpty</Code></Error>";
        assert!(matches!(told(answer(409, full)), Told::Answer(_)));
        let broken = Heard::BrokenBody {
            status: 200,
            headers: Vec::new(),
            received: Bytes::from_static(b"x"),
        };
        let Told::Broken { head, received } = told(broken) else {
            panic!("a broken body is one");
        };
        assert_eq!((head.status, received.as_ref()), (200, &b"x"[..]));
    }

    #[test]
    fn a_healthy_cluster_answers_everybody() {
        assert_eq!(undue(&answer(200, "")), None);
        assert_eq!(undue(&answer(404, "")), None);
        let aborted = "<Error><Code>OperationAborted</Code></Error>";
        assert_eq!(undue(&answer(409, aborted)), None);
        assert_eq!(undue(&answer(501, "")), None);
        let slow = "<Error><Code>SlowDown</Code></Error>";
        assert_eq!(undue(&answer(503, slow)).unwrap(), "503 SlowDown");
        assert!(undue(&Heard::Lost).is_some());
        assert!(undue(&Heard::Refused).is_some());
        let broken = Heard::BrokenBody {
            status: 200,
            headers: Vec::new(),
            received: Bytes::new(),
        };
        assert!(undue(&broken).is_some());
    }

    #[test]
    fn targets_are_named_in_short() {
        let call = Call::new("GET", "b/k").query("a", "1").query("b", "2");
        assert_eq!(target(&call), "GET /b/k?a=1&b=2");
        assert_eq!(
            target(&Call::new("GET", &"é".repeat(500))).chars().count(),
            TARGET
        );
    }
}
