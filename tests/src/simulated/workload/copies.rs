//! CopyObject between the names of a generation, and from older ones.

use cairn_compat_suite::Call;

use super::ask::Told;
use super::client::{Client, Place};
use super::objects::unmet;
use super::{Kind, document, reads};
use crate::simulated::content::bare;
use crate::simulated::door::Answer;
use crate::simulated::history::{Ended, Like, Made, Sight, What};

/// The one condition that a copy may have.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    None,
    /// Nothing may be at the destination.
    Absent,
    /// The source must have this ETag.
    Source(String),
}

impl Client {
    pub(super) async fn copy(&mut self, kind: Kind) {
        let to = self.place();
        let mut from = self.place();
        if kind == Kind::Copy && from == to {
            // Onto itself only with new metadata: from what lies at rest.
            from = self.older(&from);
        }
        let id = self.history().value();
        let label = (kind == Kind::CopyReplace).then_some(id);
        let mut call = Call::new("PUT", &to.path()).header("x-amz-copy-source", &from.path());
        if let Some(label) = label {
            call = call.header("x-amz-metadata-directive", "REPLACE");
            call = call.header("x-amz-meta-value", &label.to_string());
        }
        let condition = self.copy_condition(&from);
        let call = match &condition {
            Condition::None => call,
            Condition::Absent => call.header("if-none-match", "*"),
            Condition::Source(etag) => {
                call.header("x-amz-copy-source-if-match", &format!("\"{etag}\""))
            }
        };
        let gateway = self.gateway();
        let asked = self.ask(kind, gateway, call).await;
        let (history, time) = (self.history(), asked.when.time);
        let write = |etag: Option<String>, ended| What::Write {
            id,
            made: Made::Copy {
                source: from.register(),
                label,
                etag,
            },
            only_if: (condition == Condition::Absent).then_some(Sight::Absent),
            ended,
            upload: None,
        };
        match asked.told {
            Told::Nothing => {}
            Told::Unknown | Told::Broken { .. } => {
                let etag = match &condition {
                    Condition::Source(etag) => Some(etag.clone()),
                    _ => None,
                };
                history.keep(to.register(), time, write(etag, Ended::Unknown));
            }
            Told::Answer(answer) => match judge(&answer, &condition) {
                Ok(Judged::Copied(etag)) => {
                    let label = label.map_or(Ok(()), |label| history.label(label, &etag));
                    if let Err(why) = label {
                        self.fault(&asked.when, &to.path(), why);
                    }
                    let what = write(Some(etag.clone()), Ended::Done);
                    self.history().keep(to.register(), time, what);
                    self.etags.insert(to.register(), etag);
                }
                Ok(Judged::Source(sight)) => history.keep(from.register(), time, What::Read(sight)),
                Ok(Judged::Destination(sight)) => {
                    history.keep(to.register(), time, What::Read(sight));
                }
                Err(why) => self.fault(&asked.when, &to.path(), why),
            },
        }
    }

    /// The same name of a generation that nobody writes any more, if there is one.
    fn older(&mut self, place: &Place) -> Place {
        let generation = self.generation();
        let back = 2 + self.rng.below(5);
        let name = place.key.split_once('/').map_or("a", |(_, name)| name);
        match generation.checked_sub(back) {
            Some(generation) => Place {
                bucket: place.bucket.clone(),
                key: format!("g{generation:05}/{name}"),
            },
            None => Place {
                bucket: place.bucket.clone(),
                key: format!("g{generation:05}/other"),
            },
        }
    }

    fn copy_condition(&mut self, from: &Place) -> Condition {
        let conditions = self
            .shared
            .workload
            .weights
            .contains_key(&Kind::PutIfAbsent);
        match self.rng.below(6) {
            0 if conditions => Condition::Absent,
            1 if conditions => match self.etags.get(&from.register()) {
                Some(etag) => Condition::Source(etag.clone()),
                None => Condition::None,
            },
            _ => Condition::None,
        }
    }
}

/// What an answer to a copy says.
#[derive(Debug, PartialEq, Eq)]
enum Judged {
    /// It was made, of bytes with this ETag.
    Copied(String),
    /// It was not, for what the source was.
    Source(Sight),
    /// It was not, for what was at the destination.
    Destination(Sight),
}

fn judge(answer: &Answer, condition: &Condition) -> Result<Judged, String> {
    match (answer.status, condition) {
        (200, _) => {
            let root = document::root(answer, "CopyObjectResult")?;
            let etag = bare(document::text(&root, "ETag")?).to_owned();
            match condition {
                Condition::Source(wanted) if *wanted != etag => {
                    Err(format!("a copy of {etag}, not of {wanted}"))
                }
                _ => Ok(Judged::Copied(etag)),
            }
        }
        (404, _) if reads::code(answer) == "NoSuchKey" => Ok(Judged::Source(Sight::Absent)),
        (412, Condition::Absent) => Ok(Judged::Destination(unmet(&Sight::Absent))),
        (412, Condition::Source(etag)) => {
            let wanted = Sight::Present(Like::etag(etag));
            Ok(Judged::Source(unmet(&wanted)))
        }
        (status, _) => Err(format!("{status} {}", answer.text())),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn answers_tell_of_the_source_or_of_the_destination() {
        let done = answer(
            200,
            "<CopyObjectResult><ETag>&quot;e&quot;</ETag></CopyObjectResult>",
        );
        let copied = Ok(Judged::Copied("e".into()));
        assert_eq!(judge(&done, &Condition::None), copied);
        assert_eq!(judge(&done, &Condition::Source("e".into())), copied);
        assert!(judge(&done, &Condition::Source("f".into())).is_err());
        let absent = answer(404, "<Error><Code>NoSuchKey</Code></Error>");
        let source = Ok(Judged::Source(Sight::Absent));
        assert_eq!(judge(&absent, &Condition::None), source);
        let unmet = answer(412, "");
        let there = Ok(Judged::Destination(Sight::Present(Like::default())));
        assert_eq!(judge(&unmet, &Condition::Absent), there);
        let other = Ok(Judged::Source(Sight::Present(Like::not_etag("e"))));
        assert_eq!(judge(&unmet, &Condition::Source("e".into())), other);
        for strange in [
            judge(&unmet, &Condition::None),
            judge(
                &answer(404, "<Error><Code>NoSuchBucket</Code></Error>"),
                &Condition::None,
            ),
            judge(&answer(200, "<Error/>"), &Condition::None),
            judge(&answer(400, ""), &Condition::None),
        ] {
            assert!(strange.is_err(), "{strange:?}");
        }
    }
}
