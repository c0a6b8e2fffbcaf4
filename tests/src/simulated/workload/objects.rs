//! Writes and deletes of objects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cairn_compat_suite::Call;
use cairn_compat_suite::checksums::content_md5;

use super::ask::{Asked, Pace, Told};
use super::client::{Client, Place};
use super::{Kind, document};
use crate::simulated::content::{Body, Class, bare};
use crate::simulated::door::Answer;
use crate::simulated::history::{
    Ended, Form, Like, Made, Register, Sight, Thing, Time, What, When,
};

/// Bytes that come at a time of a slow body.
const PIECE: usize = 4 << 10;
/// Bytes a second at the least: the product gives up a body below 1 KiB/s.
const RATE_MIN: u64 = 1_300;

impl Client {
    pub(super) async fn put(&mut self, kind: Kind) {
        let place = self.place();
        let (body, pace) = match kind {
            Kind::PutSlowly => self.slow_body(),
            _ => (self.body(), None),
        };
        let (id, form, call) = self.upload_of(&place, &body);
        let (call, only_if) = self.conditions(kind, &place, call);
        let gateway = self.gateway();
        let asked = match pace {
            Some(pace) => self.ask_slowly(kind, gateway, call, pace).await,
            None => self.ask(kind, gateway, call).await,
        };
        if pace.is_some() {
            self.look_at = Some((place.clone(), 3));
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
    }

    /// A PUT of a body under a number of its own.
    fn upload_of(&mut self, place: &Place, body: &Body) -> (u64, Arc<Form>, Call) {
        let history = self.history();
        let id = history.value();
        let form = history.forms(|forms| forms.of_one_piece(body));
        history.chunks_sent(history.tick(), form.chunks.clone());
        let call = Call::new("PUT", &place.path()).header("x-amz-meta-value", &id.to_string());
        (id, form, self.with_body(call, body))
    }

    /// Adds the condition of such a PUT; none of `If-Match` where nothing is known to match.
    fn conditions(&mut self, kind: Kind, place: &Place, call: Call) -> (Call, Option<Sight>) {
        let known = self.etags.get(&place.register()).cloned();
        match (kind, known) {
            (Kind::PutIfAbsent, _) => (call.header("if-none-match", "*"), Some(Sight::Absent)),
            (Kind::PutIfMatch, Some(etag)) => {
                let like = Like::etag(&etag);
                let call = call.header("if-match", &format!("\"{etag}\""));
                (call, Some(Sight::Present(like)))
            }
            (Kind::PutIfMatch, None) => {
                // Whatever is there.
                let call = call.header("if-match", "*");
                (call, Some(Sight::Present(Like::default())))
            }
            _ => (call, None),
        }
    }

    /// What the answer to a PUT says of its key.
    pub(super) fn judge_put(
        &mut self,
        place: &Place,
        asked: Asked,
        form: &Form,
        only_if: Option<&Sight>,
        write: impl Fn(Ended) -> What,
    ) {
        let register = place.register();
        let (when, time) = (asked.when, asked.when.time);
        let what = match asked.told {
            Told::Nothing => return,
            Told::Unknown | Told::Broken { .. } => write(Ended::Unknown),
            Told::Answer(answer) => match (answer.status, only_if) {
                (200, _) => {
                    if answer.header("etag").map(bare) != Some(&form.etag) {
                        self.strange_etag(&when, &place.path(), &answer, &form.etag);
                    }
                    self.etags.insert(register.clone(), form.etag.clone());
                    write(Ended::Done)
                }
                (412, Some(condition)) => What::Read(unmet(condition)),
                (404, Some(Sight::Present(_))) => What::Read(Sight::Absent),
                (400, _) if is_too_slow(&answer) => return,
                _ => return self.strange(&when, &place.path(), &answer),
            },
        };
        self.history().keep(register, time, what);
    }

    pub(super) fn strange_etag(&self, when: &When, target: &str, answer: &Answer, etag: &str) {
        let headers = &answer.headers;
        self.fault(
            when,
            target,
            format!("not {etag}: {headers:?} {}", answer.text()),
        );
    }

    fn slow_body(&mut self) -> (Body, Option<Pace>) {
        let large = self.shared.workload.large > 0 && self.rng.chance(1, 4);
        let class = match self.rng.below(4) {
            0 if large => Class::Large,
            0 => Class::Part,
            1 => Class::Stripe,
            _ => Class::Stripes,
        };
        let body = self.body_of(class);
        let slowest = self.shared.workload.slowest.as_secs();
        let seconds = 60 + self.rng.below(slowest.saturating_sub(60) + 1);
        let rate = (body.length() as u64 / seconds).max(RATE_MIN);
        let pause = Duration::from_millis(PIECE as u64 * 1_000 / rate);
        let piece = PIECE;
        (body, Some(Pace { piece, pause }))
    }

    pub(super) async fn delete(&mut self, kind: Kind) {
        let place = self.place();
        let register = place.register();
        let mut call = Call::new("DELETE", &place.path());
        let mut only_if = None;
        if kind == Kind::DeleteIfMatch
            && let Some(etag) = self.etags.get(&register)
        {
            call = call.header("if-match", &format!("\"{etag}\""));
            only_if = Some(Like::etag(etag));
        }
        let gateway = self.gateway();
        let asked = self.ask(kind, gateway, call).await;
        let remove = |ended| What::Remove {
            only_if: only_if.clone().map(Sight::AbsentOr),
            ended,
        };
        let what = match asked.told {
            Told::Nothing => return,
            Told::Unknown | Told::Broken { .. } => remove(Ended::Unknown),
            Told::Answer(answer) => match (answer.status, &only_if) {
                (204, _) => remove(Ended::Done),
                (412, Some(like)) => What::Read(unmet(&Sight::Present(like.clone()))),
                _ => return self.strange(&asked.when, &place.path(), &answer),
            },
        };
        self.history().keep(register, asked.when.time, what);
    }

    /// Deletes some names of one bucket, or all of them.
    pub(super) async fn delete_many(&mut self) {
        let bucket = self.place().bucket;
        let generation = self.generation();
        let names = self.shared.workload.names.clone();
        let mut keys = Vec::new();
        for (place, key) in names {
            if place == bucket && self.rng.chance(2, 3) {
                keys.push(format!("g{generation:05}/{key}"));
            }
        }
        // One that never was.
        keys.push(format!("g{generation:05}/z"));
        let quiet = self.rng.chance(1, 3);
        let body = document::delete(&keys, quiet);
        let call = Call::new("POST", &bucket).query("delete", "");
        let call = call.header("content-md5", &content_md5(body.as_bytes()));
        let gateway = self.gateway();
        let asked = self.ask(Kind::DeleteMany, gateway, call.body(body)).await;
        let time = asked.when.time;
        let answer = match asked.told {
            Told::Nothing => return,
            Told::Answer(answer) => answer,
            Told::Unknown | Told::Broken { .. } => {
                let unknown = keys.iter().map(|key| (key, Ended::Unknown));
                return self.deleted(&bucket, time, unknown);
            }
        };
        let told = match answer.status {
            200 => outcomes(&answer, &keys, quiet),
            status => Err(format!("{status} {}", answer.text())),
        };
        match told {
            Ok(outcomes) => self.deleted(&bucket, time, outcomes),
            Err(why) => self.fault(&asked.when, &bucket, why),
        }
    }

    fn deleted<'k>(
        &self,
        bucket: &str,
        time: Time,
        outcomes: impl IntoIterator<Item = (&'k String, Ended)>,
    ) {
        for (key, ended) in outcomes {
            let register = Register::object(bucket, key);
            let only_if = None;
            self.history()
                .keep(register, time, What::Remove { only_if, ended });
        }
    }
}

/// How the delete of each key ended.
fn outcomes<'k>(
    answer: &Answer,
    keys: &'k [String],
    quiet: bool,
) -> Result<Vec<(&'k String, Ended)>, String> {
    let told: BTreeMap<String, _> = document::deletions(answer)?.into_iter().collect();
    if let Some(strange) = told.keys().find(|key| !keys.contains(key)) {
        return Err(format!("{strange} was not asked for"));
    }
    let outcome = |key: &'k String| match told.get(key) {
        Some(Ok(())) if quiet => Err(format!("{key} is told though quiet was asked")),
        None if !quiet => Err(format!("nothing is told of {key}")),
        Some(Ok(())) | None => Ok((key, Ended::Done)),
        Some(Err(code)) => match code.as_str() {
            "InternalError" | "ServiceUnavailable" | "SlowDown" => Ok((key, Ended::Unknown)),
            _ => Err(format!("{key}: {code}")),
        },
    };
    keys.iter().map(outcome).collect()
}

/// What a refusal for a condition tells of the key.
pub(super) fn unmet(condition: &Sight) -> Sight {
    match condition {
        Sight::Absent => Sight::Present(Like::default()),
        Sight::Present(like) | Sight::AbsentOr(like) => {
            let etag = like.etags.as_ref().and_then(|etags| etags.first());
            Sight::Present(etag.map_or_else(Like::default, |etag| Like::not_etag(etag)))
        }
    }
}

/// The body came below the lowest rate, and was given up.
pub(super) fn is_too_slow(answer: &Answer) -> bool {
    document::code(&answer.text()) == "RequestTimeout"
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(body: &str) -> Answer {
        Answer {
            status: 200,
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn result(rows: &str) -> Answer {
        answer(&format!("<DeleteResult>{rows}</DeleteResult>"))
    }

    #[test]
    fn every_key_of_a_delete_has_an_outcome() {
        let keys = ["a".to_owned(), "b".to_owned()];
        let both = "<Deleted><Key>a</Key></Deleted><Deleted><Key>b</Key></Deleted>";
        let done = vec![(&keys[0], Ended::Done), (&keys[1], Ended::Done)];
        assert_eq!(outcomes(&result(both), &keys, false), Ok(done.clone()));
        assert_eq!(outcomes(&result(""), &keys, true), Ok(done));
        let failed = "<Error><Key>b</Key><Code>ServiceUnavailable</Code></Error>";
        let half = vec![(&keys[0], Ended::Done), (&keys[1], Ended::Unknown)];
        assert_eq!(outcomes(&result(failed), &keys, true), Ok(half));
        for (rows, quiet) in [
            ("", false),
            (both, true),
            ("<Error><Key>b</Key><Code>AccessDenied</Code></Error>", true),
            (
                "<Error><Key>c</Key><Code>ServiceUnavailable</Code></Error>",
                true,
            ),
        ] {
            assert!(outcomes(&result(rows), &keys, quiet).is_err(), "{rows}");
        }
    }

    #[test]
    fn a_condition_that_is_not_met_tells_what_is_there() {
        assert_eq!(unmet(&Sight::Absent), Sight::Present(Like::default()));
        let same = Sight::Present(Like::etag("e"));
        assert_eq!(unmet(&same), Sight::Present(Like::not_etag("e")));
    }

    #[test]
    fn only_a_slow_body_is_given_up() {
        assert!(is_too_slow(&answer(
            "<Error><Code>RequestTimeout</Code></Error>"
        )));
        assert!(!is_too_slow(&answer(
            "<Error><Code>IncompleteBody</Code></Error>"
        )));
    }
}
