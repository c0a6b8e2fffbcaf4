//! Multipart uploads that any client may go on with: parts, copies into parts, ends that race.

mod copies;
mod ends;
mod parts;

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_compat_suite::Call;

use super::ask::{Asked, Told};
use super::client::{Client, Place};
use super::{Kind, document, reads};
use crate::simulated::content::{Class, bare};
use crate::simulated::door::Answer;
use crate::simulated::history::{Ended, Form, Like, Made, Register, Sight, Thing, What, When};

/// Uploads open at one time; one more, and the oldest is left as it is for good.
const OPEN: usize = 6;

/// An upload of which nobody has seen the end.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) place: Place,
    pub(super) id: String,
    /// `x-amz-meta-value` of what it completes to.
    label: u64,
    /// Whether its first part is long enough for a second one.
    long: bool,
    /// Parts that were acknowledged.
    parts: BTreeMap<u32, Arc<Form>>,
}

impl Open {
    fn register(&self) -> Register {
        Register::Upload {
            bucket: self.place.bucket.clone(),
            key: self.place.key.clone(),
            id: self.id.clone(),
        }
    }

    fn part(&self, number: u32) -> Register {
        Register::Part {
            id: self.id.clone(),
            number,
        }
    }

    fn call(&self, method: &str) -> Call {
        Call::new(method, &self.place.path()).query("uploadId", &self.id)
    }
}

/// A part that is about to be sent.
struct Sending {
    number: u32,
    form: Arc<Form>,
    call: Call,
}

impl Client {
    fn open(&mut self) -> Option<Open> {
        let open = self.shared.board().uploads.clone();
        self.rng.pick(&open).cloned()
    }

    /// Nobody needs to go on with it.
    fn closed(&self, upload: &Open) {
        let mut board = self.shared.board();
        board.uploads.retain(|open| open.id != upload.id);
    }

    pub(super) async fn upload_create(&mut self) {
        let place = self.place();
        let label = self.history().value();
        let call = Call::new("POST", &place.path()).query("uploads", "");
        let call = call.header("x-amz-meta-value", &label.to_string());
        let gateway = self.gateway();
        let asked = self.ask(Kind::UploadCreate, gateway, call).await;
        let time = asked.when.time;
        let answer = match asked.told {
            Told::Nothing => return,
            Told::Unknown | Told::Broken { .. } => {
                let Place { bucket, key } = &place;
                return self.history().creation_lost(time.called, bucket, key);
            }
            Told::Answer(answer) => answer,
        };
        let id = match answer.status {
            200 => document::root(&answer, "InitiateMultipartUploadResult"),
            status => Err(format!("{status} {}", answer.text())),
        };
        let id = id.and_then(|root| Ok(document::text(&root, "UploadId")?.to_owned()));
        match id {
            Err(why) => self.fault(&asked.when, &place.path(), why),
            Ok(id) => {
                let long = self.shared.workload.parts && self.rng.chance(1, 8);
                let upload = Open {
                    place,
                    id,
                    label,
                    long,
                    parts: BTreeMap::new(),
                };
                self.created(&asked.when, upload);
            }
        }
    }

    fn created(&self, when: &When, upload: Open) {
        let history = self.history();
        let Place { bucket, key } = &upload.place;
        history.created(&upload.id, bucket, key);
        let write = stored(history.value(), &Thing::default(), Ended::Done);
        history.keep(upload.register(), when.time, write);
        let mut board = self.shared.board();
        if board.uploads.len() >= OPEN {
            board.uploads.remove(0);
        }
        board.uploads.push(upload);
    }

    pub(super) async fn upload_part(&mut self) -> bool {
        let Some(upload) = self.open() else {
            return false;
        };
        let sending = self.sending(&upload);
        let gateway = self.gateway();
        let asked = self
            .ask(Kind::UploadPart, gateway, sending.call.clone())
            .await;
        self.judge_part(&upload, &sending, asked);
        true
    }

    fn sending(&mut self, upload: &Open) -> Sending {
        // One that no completion lists, now and then.
        let second = upload.parts.contains_key(&1) && upload.long || self.rng.chance(1, 10);
        let number = if second { 2 } else { 1 };
        let body = match (upload.long, number) {
            (true, 1) => self.body_of(Class::Part),
            _ => self.body(),
        };
        let history = self.history();
        let form = history.forms(|forms| forms.of_one_piece(&body));
        history.chunks_sent(history.tick(), form.chunks.clone());
        history.part_started(&upload.id, number);
        let call = upload.call("PUT").query("partNumber", &number.to_string());
        let call = self.with_body(call, &body);
        Sending { number, form, call }
    }

    fn judge_part(&self, upload: &Open, sending: &Sending, asked: Asked) {
        let Sending { number, form, .. } = sending;
        let (when, history) = (asked.when, self.history());
        let answer = match asked.told {
            Told::Nothing => return,
            Told::Unknown | Told::Broken { .. } => {
                let part = stored(history.value(), &thing(form), Ended::Unknown);
                return history.keep(upload.part(*number), when.time, part);
            }
            Told::Answer(answer) => answer,
        };
        if answer.status != 200 {
            return self.judge_end(upload, &when, &answer);
        }
        if answer.header("etag").map(bare) != Some(&form.etag) {
            self.strange_etag(&when, &upload.id, &answer, &form.etag);
        }
        self.part_stored(upload, *number, form, &when);
    }

    fn part_stored(&self, upload: &Open, number: u32, form: &Arc<Form>, when: &When) {
        let history = self.history();
        let part = stored(history.value(), &thing(form), Ended::Done);
        history.keep(upload.part(number), when.time, part);
        history.keep(upload.register(), when.time, there());
        let mut board = self.shared.board();
        let open = board.uploads.iter_mut().find(|open| open.id == upload.id);
        if let Some(open) = open {
            open.parts.insert(number, Arc::clone(form));
        }
    }

    /// The answer to a call whose upload is gone.
    fn judge_end(&self, upload: &Open, when: &When, answer: &Answer) {
        match (answer.status, reads::code(answer).as_str()) {
            (404, "NoSuchUpload") => {
                let gone = What::Read(Sight::Absent);
                self.history().keep(upload.register(), when.time, gone);
                self.closed(upload);
            }
            _ => self.strange(when, &upload.id, answer),
        }
    }
}

fn thing(form: &Form) -> Thing {
    Thing {
        label: None,
        etag: form.etag.clone(),
        size: form.size,
    }
}

fn stored(id: u64, thing: &Thing, ended: Ended) -> What {
    What::Write {
        id,
        made: Made::Thing(thing.clone()),
        only_if: None,
        ended,
        upload: None,
    }
}

fn there() -> What {
    What::Read(Sight::Present(Like::default()))
}
