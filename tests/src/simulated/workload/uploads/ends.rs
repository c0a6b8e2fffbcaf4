//! Completions and aborts, alone and beside a late part.

use std::sync::Arc;

use cairn_compat_suite::Call;

use super::{Open, stored, there, thing};
use crate::simulated::content::bare;
use crate::simulated::history::{Ended, Form, Thing, What};
use crate::simulated::workload::ask::{Asked, Told};
use crate::simulated::workload::client::Client;
use crate::simulated::workload::{Kind, document, reads};

/// Whether a part that is not the last is shorter than S3 takes.
fn has_short_part(upload: &Open) -> bool {
    let mut parts = upload.parts.values().rev().skip(1);
    parts.any(|part| part.body.length() < 5 << 20)
}

impl Client {
    pub(in crate::simulated::workload) async fn upload_complete(&mut self) -> bool {
        let Some((upload, form, call)) = self.completing() else {
            return false;
        };
        let gateway = self.gateway();
        let asked = self.ask(Kind::UploadComplete, gateway, call).await;
        self.judge_completion(&upload, &form, asked);
        true
    }

    /// Completes while a part comes late.
    pub(in crate::simulated::workload) async fn upload_race(&mut self) -> bool {
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
            // A part with another behind it was copied from something short.
            (400, "EntityTooSmall") if has_short_part(upload) => {
                self.history().keep(upload.register(), time, there());
            }
            _ => self.judge_end(upload, &when, &answer),
        }
    }

    pub(in crate::simulated::workload) async fn upload_abort(&mut self) -> bool {
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
