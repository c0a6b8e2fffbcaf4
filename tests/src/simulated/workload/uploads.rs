//! Multipart uploads that any client may go on with: parts, copies into parts, ends that race.

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_compat_suite::Call;

use super::client::{Asked, Client, Place, Told};
use super::{Kind, document, reads};
use crate::simulated::content::{Class, bare};
use crate::simulated::door::Answer;
use crate::simulated::history::{Ended, Form, Like, Made, Register, Sight, Thing, What, When};

/// Uploads open at one time; one more, and the oldest is left as it is for good.
const OPEN: usize = 6;
/// Least bytes of a copied run: shorter ones may look alike in several objects.
const RUN: u64 = 100;

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
        history.chunks_sent(history.tick(), body.chunks());
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

    pub(super) async fn upload_part_copy(&mut self) -> bool {
        let Some(upload) = self.open() else {
            return false;
        };
        let from = self.place();
        let number = if upload.long && upload.parts.contains_key(&1) {
            2
        } else {
            1
        };
        let size = self.size(&from).filter(|size| *size > RUN);
        let mut call = upload.call("PUT").query("partNumber", &number.to_string());
        call = call.header("x-amz-copy-source", &from.path());
        let mut run = (0, None);
        if let Some(size) = size
            && !(upload.long && number == 1)
            && self.rng.chance(2, 3)
        {
            let first = self.rng.below(size - RUN);
            let last = first + RUN - 1 + self.rng.below(size - RUN - first + 1);
            call = call.header("x-amz-copy-source-range", &format!("bytes={first}-{last}"));
            run = (first as usize, Some(last as usize + 1));
        }
        self.history().part_started(&upload.id, number);
        let gateway = self.gateway();
        let asked = self.ask(Kind::UploadPartCopy, gateway, call).await;
        self.judge_part_copy(&upload, &from, number, run, asked);
        true
    }

    fn judge_part_copy(
        &self,
        upload: &Open,
        from: &Place,
        number: u32,
        run: (usize, Option<usize>),
        asked: Asked,
    ) {
        let (when, history) = (asked.when, self.history());
        let answer = match asked.told {
            Told::Nothing => return,
            // Of what it may have copied nothing is known: any part.
            Told::Unknown | Told::Broken { .. } => {
                let copy = What::Write {
                    id: history.value(),
                    made: Made::Anything,
                    only_if: None,
                    ended: Ended::Unknown,
                    upload: None,
                };
                return history.keep(upload.part(number), when.time, copy);
            }
            Told::Answer(answer) => answer,
        };
        match (answer.status, reads::code(&answer).as_str()) {
            (200, _) => match self.copied(&answer, from, run) {
                Ok((forms, part)) => {
                    let etags = forms.iter().map(|form| form.etag.clone()).collect();
                    let like = Like {
                        etags: Some(etags),
                        ..Like::default()
                    };
                    let seen = What::Read(Sight::Present(like));
                    history.keep(from.register(), when.time, seen);
                    self.part_stored(upload, number, &part, &when);
                }
                Err(why) => self.fault(&when, &upload.id, why),
            },
            (404, "NoSuchKey") => {
                let absent = What::Read(Sight::Absent);
                history.keep(from.register(), when.time, absent);
            }
            // It has become shorter.
            (_, "InvalidRange") if run.1.is_some() => {}
            _ => self.judge_end(upload, &when, &answer),
        }
    }

    /// Every object of which that run may have been copied, and the part that it makes.
    fn copied(
        &self,
        answer: &Answer,
        from: &Place,
        run: (usize, Option<usize>),
    ) -> Result<(Vec<Arc<Form>>, Arc<Form>), String> {
        let root = document::root(answer, "CopyPartResult")?;
        let etag = bare(document::text(&root, "ETag")?);
        let likely: Vec<String> = self
            .etags
            .get(&from.register())
            .into_iter()
            .cloned()
            .collect();
        self.history().forms(|forms| {
            let found = forms.with_run(run, etag, &likely);
            let first = found.first().cloned();
            let first = first.ok_or_else(|| format!("no object has a run with MD5 {etag}"))?;
            let slice = first.body.slice(run.0, run.1.unwrap_or(usize::MAX));
            Ok((found, forms.of_one_piece(&slice)))
        })
    }

    pub(super) async fn upload_list(&mut self) -> bool {
        let Some(upload) = self.open() else {
            return false;
        };
        let limit = 1 + self.rng.below(3);
        self.list_parts(&upload, limit).await;
        true
    }

    /// Both parts that an upload may have; true if there was an answer.
    pub(super) async fn list_parts(&mut self, upload: &Open, limit: u64) -> bool {
        let mut marker = 0;
        while marker < 2 {
            let call = upload.call("GET").query("max-parts", &limit.to_string());
            let call = call.query("part-number-marker", &marker.to_string());
            let gateway = self.gateway();
            let asked = self.ask(Kind::UploadList, gateway, call).await;
            let Told::Answer(answer) = asked.told else {
                return false;
            };
            if answer.status != 200 {
                self.judge_end(upload, &asked.when, &answer);
                return true;
            }
            let (history, time) = (self.history(), asked.when.time);
            match parts(&answer, marker) {
                Err(why) => {
                    self.fault(&asked.when, &upload.id, why);
                    return true;
                }
                Ok((rows, last)) => {
                    history.keep(upload.register(), time, there());
                    for number in marker + 1..=last.min(2) {
                        let sight = rows.get(&number).cloned();
                        let sight = sight.map_or(Sight::Absent, Sight::Present);
                        history.keep(upload.part(number), time, What::Read(sight));
                    }
                    marker = last;
                }
            }
        }
        true
    }

    pub(super) async fn upload_complete(&mut self) -> bool {
        let Some((upload, form, call)) = self.completing() else {
            return false;
        };
        let gateway = self.gateway();
        let asked = self.ask(Kind::UploadComplete, gateway, call).await;
        self.judge_completion(&upload, &form, asked);
        true
    }

    /// Completes while a part comes late.
    pub(super) async fn upload_race(&mut self) -> bool {
        let Some((upload, form, call)) = self.completing() else {
            return false;
        };
        let sending = self.sending(&upload);
        let (one, other) = (self.gateway(), self.gateway());
        let (completed, sent) = tokio::join!(
            self.ask(Kind::UploadRace, one, call),
            self.ask(Kind::UploadPart, other, sending.call.clone())
        );
        self.judge_part(&upload, &sending, sent);
        self.judge_completion(&upload, &form, completed);
        true
    }

    /// An upload with parts, what they make, and the call for it.
    fn completing(&mut self) -> Option<(Open, Arc<Form>, Call)> {
        let upload = self.open()?;
        let parts: Vec<Arc<Form>> = upload.parts.values().cloned().collect();
        // A part that another may follow must be long enough.
        if parts.is_empty() || parts.len() > 1 && !upload.long {
            return None;
        }
        let form = self.history().forms(|forms| forms.of_parts(&parts));
        let listed: Vec<(u32, String)> = upload
            .parts
            .iter()
            .map(|(number, part)| (*number, part.etag.clone()))
            .collect();
        let call = upload.call("POST").body(document::completion(&listed));
        Some((upload, form, call))
    }

    fn judge_completion(&mut self, upload: &Open, form: &Arc<Form>, asked: Asked) {
        let (when, time) = (asked.when, asked.when.time);
        let numbers: Vec<u32> = upload.parts.keys().copied().collect();
        let complete = |client: &Self, ended| {
            let thing = Thing {
                label: Some(upload.label),
                ..thing(form)
            };
            let mut write = stored(client.history().value(), &thing, ended);
            if let What::Write { upload: by, .. } = &mut write {
                *by = Some(upload.id.clone());
            }
            let history = client.history();
            history.keep(upload.place.register(), time, write);
            history.completed(&upload.id, time, numbers.clone(), ended);
        };
        let answer = match asked.told {
            Told::Nothing => return,
            Told::Unknown | Told::Broken { .. } => return complete(self, Ended::Unknown),
            Told::Answer(answer) => answer,
        };
        match (answer.status, reads::code(&answer).as_str()) {
            (200, "") => {
                let root = document::root(&answer, "CompleteMultipartUploadResult");
                let etag = root.and_then(|root| Ok(document::text(&root, "ETag")?.to_owned()));
                match etag {
                    Ok(etag) if bare(&etag) == form.etag => {}
                    other => {
                        let wanted = &form.etag;
                        self.fault(&when, &upload.id, format!("{other:?}, not {wanted}"));
                    }
                }
                complete(self, Ended::Done);
                self.etags
                    .insert(upload.place.register(), form.etag.clone());
                self.closed(upload);
            }
            // Another part came under the number.
            (400, "InvalidPart") => self.history().keep(upload.register(), time, there()),
            _ => self.judge_end(upload, &when, &answer),
        }
    }

    pub(super) async fn upload_abort(&mut self) -> bool {
        let Some(upload) = self.open() else {
            return false;
        };
        let gateway = self.gateway();
        let asked = self
            .ask(Kind::UploadAbort, gateway, upload.call("DELETE"))
            .await;
        let history = self.history();
        match asked.told {
            Told::Nothing => {}
            Told::Unknown | Told::Broken { .. } => {
                history.aborted(&upload.id, asked.when.time, Ended::Unknown);
            }
            Told::Answer(answer) if answer.status == 204 => {
                history.aborted(&upload.id, asked.when.time, Ended::Done);
                self.closed(&upload);
            }
            Told::Answer(answer) => self.judge_end(&upload, &asked.when, &answer),
        }
        true
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

/// The parts of a page of ListParts behind `marker`, and the number up to which it tells.
fn parts(answer: &Answer, marker: u32) -> Result<(BTreeMap<u32, Like>, u32), String> {
    let root = document::root(answer, "ListPartsResult")?;
    let mut rows = BTreeMap::new();
    let mut before = marker;
    for part in root.all("Part") {
        let number = document::text(part, "PartNumber")?;
        let number: u32 = number.parse().map_err(|_| format!("part {number}"))?;
        let size = document::text(part, "Size")?;
        let like = Like {
            size: Some(size.parse().map_err(|_| format!("size {size}"))?),
            ..Like::etag(bare(document::text(part, "ETag")?))
        };
        if number <= before {
            return Err(format!("part {number} after {before}"));
        }
        before = number;
        rows.insert(number, like);
    }
    let truncated = document::text(&root, "IsTruncated")? == "true";
    if truncated && rows.is_empty() {
        return Err("truncated without a part".to_owned());
    }
    Ok((rows, if truncated { before } else { u32::MAX }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn page(numbers: &[u32], truncated: bool, marker: u32) -> Result<(Vec<u32>, u32), String> {
        let rows: String = numbers
            .iter()
            .map(|number| {
                format!(
                    "<Part><PartNumber>{number}</PartNumber><ETag>e</ETag><Size>1</Size></Part>"
                )
            })
            .collect();
        let text = format!(
            "<ListPartsResult><IsTruncated>{truncated}</IsTruncated>{rows}</ListPartsResult>"
        );
        let answer = Answer {
            status: 200,
            headers: Vec::new(),
            body: Bytes::from(text),
        };
        let (rows, last) = parts(&answer, marker)?;
        Ok((rows.into_keys().collect(), last))
    }

    #[test]
    fn pages_of_parts_are_in_order_and_say_how_far_they_go() {
        assert_eq!(page(&[1, 2], false, 0), Ok((vec![1, 2], u32::MAX)));
        assert_eq!(page(&[1], true, 0), Ok((vec![1], 1)));
        assert_eq!(page(&[], false, 1), Ok((vec![], u32::MAX)));
        for (numbers, truncated, marker) in [
            (&[2, 1][..], false, 0),
            (&[1, 1], false, 0),
            (&[1], false, 1),
            (&[], true, 0),
        ] {
            assert!(page(numbers, truncated, marker).is_err(), "{numbers:?}");
        }
    }
}
