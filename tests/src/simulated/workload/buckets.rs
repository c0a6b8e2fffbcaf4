//! Buckets: those that stay, and one of each generation that comes and goes with its one key.
//!
//! Bucket and key are one register: absent, empty, or the object. A bucket is deleted only when it is
//! empty, and what is put into one that is gone is refused.

use std::time::Duration;

use cairn_compat_suite::Call;

use super::ask::{Asked, Told};
use super::client::Client;
use super::{Kind, reads};
use crate::simulated::content::bare;
use crate::simulated::door::Answer;
use crate::simulated::history::{Ended, Form, Like, Made, Register, Sight, Thing, What};

/// The ETag that stands for an empty bucket.
const EMPTY: &str = "";
const KEY: &str = "only";
/// Attempts to make a bucket that stays.
const TRIES: usize = 100;

impl Client {
    /// Makes a bucket that stays.
    pub(super) async fn make_main_bucket(&self, name: &str) {
        for attempt in 0..TRIES {
            let gateway = attempt % self.door().gateways().max(1);
            let asked = self
                .ask(Kind::BucketCreate, gateway, Call::new("PUT", name))
                .await;
            match asked.told {
                Told::Answer(answer) if answer.status == 200 => return,
                Told::Answer(answer) => return self.strange(&asked.when, name, &answer),
                _ => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
        self.history()
            .fault(format!("bucket {name} cannot be made"));
    }

    /// Whatever is done with a bucket that comes and goes.
    pub(super) async fn bucket(&mut self, kind: Kind) {
        let name = format!("extra-{:05}", self.generation());
        self.bucket_named(kind, &name).await;
    }

    /// The same with this one; true if there was an answer.
    pub(super) async fn bucket_named(&mut self, kind: Kind, name: &str) -> bool {
        let path = format!("{name}/{KEY}");
        let id = self.history().value();
        let mut form = None;
        let call = match kind {
            Kind::BucketCreate => Call::new("PUT", name),
            Kind::BucketDelete => Call::new("DELETE", name),
            Kind::BucketHead => Call::new("HEAD", name),
            Kind::BucketEmpty => Call::new("DELETE", &path),
            Kind::BucketPut => {
                let body = self.body();
                let history = self.history();
                let made = history.forms(|forms| forms.of_one_piece(&body));
                history.chunks_sent(history.tick(), made.chunks.clone());
                form = Some(made);
                let call = Call::new("PUT", &path).header("x-amz-meta-value", &id.to_string());
                self.with_body(call, &body)
            }
            _ => Call::new("GET", &path),
        };
        let gateway = self.gateway();
        let asked = self.ask(kind, gateway, call).await;
        let change = change(kind, id, form.as_deref());
        match self.judge_bucket(kind, &asked, change) {
            Ok(Some(what)) => {
                let register = Register::Bucket(name.to_owned());
                self.history().keep(register, asked.when.time, what);
            }
            Ok(None) => {}
            Err(why) => self.fault(&asked.when, &path, why),
        }
        matches!(asked.told, Told::Answer(_))
    }

    fn judge_bucket(
        &self,
        kind: Kind,
        asked: &Asked,
        change: Option<What>,
    ) -> Result<Option<What>, String> {
        match &asked.told {
            Told::Nothing => Ok(None),
            // Without an answer a change may have been made, and a look says nothing.
            Told::Unknown | Told::Broken { .. } => Ok(change),
            Told::Answer(answer) => match judge(kind, answer)? {
                Judged::Done => Ok(change.map(acknowledged)),
                Judged::Saw(sight) => Ok(Some(What::Read(sight))),
                Judged::Object => {
                    let (like, form) = reads::shown(self.history(), answer)?;
                    form.body.verify(&answer.body)?;
                    Ok(Some(What::Read(Sight::Present(like))))
                }
            },
        }
    }
}

/// What a call makes of the bucket, its outcome not known; none where it only looks.
fn change(kind: Kind, id: u64, form: Option<&Form>) -> Option<What> {
    let write = |etag: &str, size, label, only_if| What::Write {
        id,
        made: Made::Thing(Thing {
            label,
            etag: etag.to_owned(),
            size,
        }),
        only_if: Some(only_if),
        ended: Ended::Unknown,
        upload: None,
    };
    let there = Sight::Present(Like::default());
    match (kind, form) {
        (Kind::BucketCreate, _) => Some(write(EMPTY, 0, None, Sight::Absent)),
        (Kind::BucketEmpty, _) => Some(write(EMPTY, 0, None, there)),
        (Kind::BucketPut, Some(form)) => Some(write(&form.etag, form.size, Some(id), there)),
        (Kind::BucketDelete, _) => Some(What::Remove {
            only_if: Some(Sight::Present(Like::etag(EMPTY))),
            ended: Ended::Unknown,
        }),
        _ => None,
    }
}

/// The same, acknowledged. Creating a bucket that is there is acknowledged too.
fn acknowledged(change: What) -> What {
    match change {
        What::Write {
            id,
            made,
            only_if,
            upload,
            ..
        } => What::Write {
            ended: if only_if == Some(Sight::Absent) {
                Ended::IfMet
            } else {
                Ended::Done
            },
            id,
            made,
            only_if,
            upload,
        },
        What::Remove { only_if, .. } => What::Remove {
            only_if,
            ended: Ended::Done,
        },
        What::Read(sight) => What::Read(sight),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Judged {
    /// The change was acknowledged.
    Done,
    /// A look, or a refusal that tells as much.
    Saw(Sight),
    /// The object, which the answer shows.
    Object,
}

fn judge(kind: Kind, answer: &Answer) -> Result<Judged, String> {
    let saw = |sight| Ok(Judged::Saw(sight));
    let code = reads::code(answer);
    match (kind, answer.status, code.as_str()) {
        (Kind::BucketHead, 200, _) => saw(Sight::Present(Like::default())),
        (Kind::BucketHead, 404, _) | (_, 404, "NoSuchBucket") => saw(Sight::Absent),
        (Kind::BucketCreate, 200, _)
        | (Kind::BucketDelete | Kind::BucketEmpty, 204, _)
        | (Kind::BucketPut, 200, _) => Ok(Judged::Done),
        (Kind::BucketDelete, 409, "BucketNotEmpty") => saw(Sight::Present(Like::not_etag(EMPTY))),
        (Kind::BucketGet, 404, "NoSuchKey") => saw(Sight::Present(Like::etag(EMPTY))),
        (Kind::BucketGet, 200, _) if answer.header("etag").map(bare) != Some(EMPTY) => {
            Ok(Judged::Object)
        }
        (_, status, _) => Err(format!("{status} {}", answer.text())),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::simulated::history::{History, Time};

    fn answer(status: u16, code: &str) -> Answer {
        let body = match code {
            "" => String::new(),
            code => format!("<Error><Code>{code}</Code></Error>"),
        };
        Answer {
            status,
            headers: vec![("etag".into(), "\"e\"".into())],
            body: Bytes::from(body),
        }
    }

    #[test]
    fn answers_tell_absent_from_empty_from_full() {
        let saw = |kind, status, code| judge(kind, &answer(status, code));
        let sight = |sight| Ok(Judged::Saw(sight));
        assert_eq!(saw(Kind::BucketCreate, 200, ""), Ok(Judged::Done));
        assert_eq!(saw(Kind::BucketDelete, 204, ""), Ok(Judged::Done));
        assert_eq!(saw(Kind::BucketGet, 200, ""), Ok(Judged::Object));
        assert_eq!(saw(Kind::BucketHead, 404, ""), sight(Sight::Absent));
        assert_eq!(
            saw(Kind::BucketPut, 404, "NoSuchBucket"),
            sight(Sight::Absent)
        );
        let full = saw(Kind::BucketDelete, 409, "BucketNotEmpty");
        assert_eq!(full, sight(Sight::Present(Like::not_etag(EMPTY))));
        let empty = saw(Kind::BucketGet, 404, "NoSuchKey");
        assert_eq!(empty, sight(Sight::Present(Like::etag(EMPTY))));
        for (kind, status, code) in [
            (Kind::BucketPut, 404, "NoSuchKey"),
            (Kind::BucketCreate, 409, "BucketAlreadyExists"),
            (Kind::BucketDelete, 200, ""),
            (Kind::BucketGet, 404, ""),
            (Kind::BucketHead, 403, ""),
        ] {
            assert!(saw(kind, status, code).is_err(), "{kind:?} {status} {code}");
        }
    }

    /// Calls one after the other, each acknowledged or seen as given.
    fn judged(calls: &[(Kind, &Answer)]) -> usize {
        let history = History::new();
        let form = Form {
            etag: "e".into(),
            size: 1,
            body: crate::simulated::content::Body::default(),
            chunks: Vec::new(),
        };
        for (at, (kind, answer)) in (1..).zip(calls) {
            let what = match judge(*kind, answer).unwrap() {
                Judged::Done => acknowledged(change(*kind, at, Some(&form)).unwrap()),
                Judged::Saw(sight) => What::Read(sight),
                Judged::Object => What::Read(Sight::Present(Like::etag("e"))),
            };
            let time = Time {
                client: 1,
                called: 2 * at,
                answered: 2 * at + 1,
            };
            history.keep(Register::Bucket("x".into()), time, what);
        }
        history.violations().len()
    }

    #[test]
    fn a_bucket_is_deleted_only_when_it_is_empty_and_nothing_survives_it() {
        let (ok, gone) = (answer(200, ""), answer(204, ""));
        let (full, empty) = (answer(409, "BucketNotEmpty"), answer(404, "NoSuchKey"));
        let absent = answer(404, "NoSuchBucket");
        use Kind::{BucketCreate, BucketDelete, BucketEmpty, BucketGet, BucketPut};
        let right: [&[(Kind, &Answer)]; 3] = [
            &[
                (BucketPut, &absent),
                (BucketCreate, &ok),
                (BucketCreate, &ok),
                (BucketGet, &empty),
                (BucketPut, &ok),
                (BucketCreate, &ok),
                (BucketGet, &ok),
                (BucketDelete, &full),
            ],
            &[
                (BucketCreate, &ok),
                (BucketPut, &ok),
                (BucketEmpty, &gone),
                (BucketDelete, &gone),
                (BucketGet, &absent),
            ],
            &[
                (BucketCreate, &ok),
                (BucketDelete, &gone),
                (BucketCreate, &ok),
                (BucketGet, &empty),
            ],
        ];
        for calls in right {
            assert_eq!(judged(calls), 0, "{calls:?}");
        }
        let wrong: [&[(Kind, &Answer)]; 5] = [
            &[(BucketPut, &ok)],
            &[(BucketCreate, &ok), (BucketPut, &ok), (BucketDelete, &gone)],
            &[(BucketCreate, &ok), (BucketDelete, &full)],
            &[
                (BucketCreate, &ok),
                (BucketPut, &ok),
                (BucketCreate, &ok),
                (BucketGet, &empty),
            ],
            &[
                (BucketCreate, &ok),
                (BucketDelete, &gone),
                (BucketGet, &empty),
            ],
        ];
        for calls in wrong {
            assert_eq!(judged(calls), 1, "{calls:?}");
        }
    }
}
