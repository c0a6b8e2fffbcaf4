//! Parts that are copied from objects, whole or a run of them.

use std::sync::Arc;

use super::Open;
use crate::simulated::content::bare;
use crate::simulated::door::Answer;
use crate::simulated::history::{Ended, Form, Like, Made, Sight, What};
use crate::simulated::workload::ask::{Asked, Told};
use crate::simulated::workload::client::{Client, Place};
use crate::simulated::workload::{Kind, document, reads};

/// Least bytes of a copied run: shorter ones may look alike in several objects.
const RUN: u64 = 100;

impl Client {
    pub(in crate::simulated::workload) async fn upload_part_copy(&mut self) -> bool {
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
}
