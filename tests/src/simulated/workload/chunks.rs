//! The chunk API: chunks by themselves, claims, and objects of chunks that are leased.

use cairn_compat_suite::{Call, checksums::sha256_hex};

use super::ask::Told;
use super::client::Client;
use super::{Kind, document};
use crate::simulated::content::Body;
use crate::simulated::door::Answer;
use crate::simulated::history::{Made, Sight, Thing, What, When};

/// Most chunks of one object.
const PIECES: u64 = 4;
/// Hashes asked about at once.
const ASKED: u64 = 6;

impl Client {
    fn chunk_body(&mut self) -> Body {
        // The empty chunk is always there and is no chunk.
        loop {
            let body = self.body();
            if body.length() > 0 {
                return body;
            }
        }
    }

    pub(super) async fn chunk_put(&mut self) {
        let body = self.chunk_body();
        if self.rng.chance(1, 12) {
            return self.chunk_put_wrong(&body).await;
        }
        let hash = body.sha256();
        self.history()
            .chunks_sent(self.history().tick(), [hash.clone()]);
        let target = format!("cas/chunks/{hash}");
        let gateway = self.gateway();
        let call = Call::new("PUT", &target).body(body.bytes());
        let asked = self.ask(Kind::ChunkPut, gateway, call).await;
        // It may have been stored: others may look for it and name it.
        self.shared.board().chunks.insert(hash.clone(), body);
        if let Told::Answer(answer) = asked.told {
            match answer.status {
                200 | 201 => self.history().chunk_leased(asked.when, &hash),
                _ => self.strange(&asked.when, &target, &answer),
            }
        }
    }

    /// Bytes under a hash that is not theirs: refused, and nothing is stored under it.
    async fn chunk_put_wrong(&mut self, body: &Body) {
        let hash = sha256_hex(&self.history().value().to_be_bytes());
        let target = format!("cas/chunks/{hash}");
        let gateway = self.gateway();
        let call = Call::new("PUT", &target).body(body.bytes());
        let asked = self.ask(Kind::ChunkPut, gateway, call).await;
        if let Told::Answer(answer) = asked.told
            && answer.status != 400
        {
            self.strange(&asked.when, &target, &answer);
        }
        let head = self
            .ask(Kind::ChunkHead, gateway, Call::new("HEAD", &target))
            .await;
        if let Told::Answer(answer) = head.told {
            self.looked(&head.when, &hash, &answer, Ok(()));
        }
    }

    /// GET or HEAD of a chunk that somebody may have sent.
    pub(super) async fn chunk_get(&mut self, kind: Kind) {
        let (hash, body) = self.some_chunk();
        self.look_at_chunk(kind, &hash, &body).await;
    }

    /// Looks; true if there was an answer.
    pub(super) async fn look_at_chunk(&mut self, kind: Kind, hash: &str, body: &Body) -> bool {
        let target = format!("cas/chunks/{hash}");
        let length = body.length();
        let method = if kind == Kind::ChunkHead {
            "HEAD"
        } else {
            "GET"
        };
        let mut call = Call::new(method, &target);
        let mut run = body.clone();
        if kind == Kind::ChunkGet && self.rng.chance(1, 3) {
            let from = self.rng.below(length as u64) as usize;
            let to = from + 1 + self.rng.below((length - from) as u64) as usize;
            call = call.header("range", &format!("bytes={from}-{}", to - 1));
            run = body.slice(from, to);
        }
        let gateway = self.gateway();
        let asked = self.ask(kind, gateway, call).await;
        match asked.told {
            Told::Answer(answer) => {
                let right = match kind {
                    Kind::ChunkHead => length_is(&answer, length),
                    _ => run.verify(&answer.body),
                };
                self.looked(&asked.when, hash, &answer, right);
                true
            }
            Told::Broken { head, received } => {
                let whole = received.len() <= run.length();
                let right = run.slice(0, received.len()).verify(&received);
                if (200..300).contains(&head.status) && (!whole || right.is_err()) {
                    self.fault(&asked.when, &target, format!("broken, and {right:?}"));
                }
                false
            }
            Told::Unknown | Told::Nothing => false,
        }
    }

    fn looked(&self, when: &When, hash: &str, answer: &Answer, right: Result<(), String>) {
        match answer.status {
            200 | 206 => {
                self.history().chunk_looked(*when, hash, true);
                if let Err(why) = right {
                    self.fault(when, hash, why);
                }
            }
            404 => self.history().chunk_looked(*when, hash, false),
            _ => self.strange(when, hash, answer),
        }
    }

    /// One that was sent as a chunk, or one that an object may have brought, or that nobody sent.
    fn some_chunk(&mut self) -> (String, Body) {
        if self.rng.chance(2, 3) {
            let board = self.shared.board();
            let known: Vec<(String, Body)> = board
                .chunks
                .iter()
                .map(|(hash, body)| (hash.clone(), body.clone()))
                .collect();
            drop(board);
            if let Some(known) = self.rng.pick(&known) {
                return known.clone();
            }
        }
        let body = self.chunk_body();
        (body.sha256(), body)
    }

    pub(super) async fn chunk_missing(&mut self) {
        let count = 1 + self.rng.below(ASKED);
        let mut chunks: Vec<(String, Body)> = Vec::new();
        for _ in 0..count {
            chunks.push(self.some_chunk());
        }
        let hashes: Vec<&String> = chunks.iter().map(|(hash, _)| hash).collect();
        let body = serde_json::json!({ "chunks": hashes }).to_string();
        let gateway = self.gateway();
        let call = Call::new("POST", "cas/missing").body(body);
        let asked = self.ask(Kind::ChunkMissing, gateway, call).await;
        let Told::Answer(answer) = asked.told else {
            return;
        };
        let missing = match answer.status {
            200 => document::texts(&answer, "/missing"),
            status => Err(format!("{status} {}", answer.text())),
        };
        let missing = missing.and_then(|missing| subset(missing, &hashes));
        match missing {
            Err(why) => self.fault(&asked.when, "cas/missing", why),
            Ok(missing) => {
                for (hash, body) in &chunks {
                    if !missing.contains(hash) {
                        self.history().chunk_leased(asked.when, hash);
                        let mut board = self.shared.board();
                        board.chunks.insert(hash.clone(), body.clone());
                    }
                }
            }
        }
    }

    /// An object of chunks under a lease; false where there are none.
    pub(super) async fn chunk_object(&mut self) -> bool {
        let held = self.history().chunks_held(self.door().now_secs());
        let mut chunks = Vec::new();
        for _ in 0..1 + self.rng.below(PIECES) {
            let body = self.rng.pick(&held).and_then(|hash| {
                let board = self.shared.board();
                Some((hash.clone(), board.chunks.get(hash)?.clone()))
            });
            chunks.extend(body);
        }
        if chunks.is_empty() {
            return false;
        }
        let place = self.place();
        let id = self.history().value();
        let bodies: Vec<Body> = chunks.iter().map(|(_, body)| body.clone()).collect();
        let form = self.history().forms(|forms| forms.of_chunks(&bodies));
        let pieces: Vec<_> = chunks
            .iter()
            .map(|(hash, body)| serde_json::json!({ "sha256": hash, "length": body.length() }))
            .collect();
        let metadata = serde_json::json!({ "value": id.to_string() });
        let document = serde_json::json!({ "chunks": pieces, "metadata": metadata }).to_string();
        let target = format!("cas/objects/{}", place.path());
        let mut call = Call::new("POST", &target).body(document);
        let only_if = self.rng.chance(1, 4).then_some(Sight::Absent);
        if only_if.is_some() {
            call = call.header("if-none-match", "*");
        }
        let gateway = self.gateway();
        let asked = self.ask(Kind::ChunkObject, gateway, call).await;
        if let Told::Answer(answer) = &asked.told
            && answer.status == 409
        {
            // A chunk may have become suspect: then it is named, and nothing was made.
            let hashes: Vec<&String> = chunks.iter().map(|(hash, _)| hash).collect();
            let missing = document::texts(answer, "/error/details/missing");
            let missing = missing.and_then(|missing| subset(missing, &hashes));
            match missing {
                Ok(missing) if !missing.is_empty() => {}
                other => self.fault(&asked.when, &target, format!("409, and {other:?}")),
            }
            return true;
        }
        let write = |ended| What::Write {
            id,
            made: Made::Thing(Thing {
                label: Some(id),
                etag: form.etag.clone(),
                size: form.size,
            }),
            only_if: only_if.clone(),
            ended,
            upload: None,
        };
        self.judge_put(&place, asked, &form, only_if.as_ref(), write);
        true
    }
}

/// Only what was asked about may be named.
fn subset(named: Vec<String>, asked: &[&String]) -> Result<Vec<String>, String> {
    match named.iter().find(|name| !asked.contains(name)) {
        Some(strange) => Err(format!("{strange} was not asked about")),
        None => Ok(named),
    }
}

fn length_is(answer: &Answer, length: usize) -> Result<(), String> {
    match answer.header("x-chunk-size") {
        Some(told) if told == length.to_string() => Ok(()),
        other => Err(format!("a size of {other:?}, not {length}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_about_is_named() {
        let (a, b) = ("a".to_owned(), "b".to_owned());
        assert_eq!(subset(vec!["b".into()], &[&a, &b]), Ok(vec!["b".into()]));
        assert!(subset(vec!["c".into()], &[&a, &b]).is_err());
    }

    #[test]
    fn the_size_of_a_chunk_is_told() {
        let answer = |size: &str| Answer {
            status: 200,
            headers: vec![("x-chunk-size".into(), size.into())],
            body: bytes::Bytes::new(),
        };
        assert_eq!(length_is(&answer("7"), 7), Ok(()));
        assert!(length_is(&answer("8"), 7).is_err());
    }
}
