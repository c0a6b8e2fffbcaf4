//! Multipart uploads: one end each, all parts gone with it.
//!
//! An abort is answered only where the upload was there, so one that was answered leaves no room for
//! a completion. But for one case: while parts that a completion did not list are being taken apart,
//! an abort is answered too. Of uploads with such parts an abort says nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Ended, Event, Like, Register, Sight, Time, What};
use super::registers::Registers;

/// What was asked of one upload.
#[derive(Debug, Clone, Default)]
pub(super) struct Upload {
    /// Its bucket.
    pub(super) bucket: String,
    /// Its key.
    pub(super) key: String,
    /// The part numbers that anybody began to send.
    pub(super) started: BTreeSet<u32>,
    /// Completions: when, the part numbers listed, how each ended.
    pub(super) completions: Vec<(Time, Vec<u32>, Ended)>,
    /// Aborts: when, how each ended.
    pub(super) aborts: Vec<(Time, Ended)>,
}

/// Uploads by id.
pub(super) type Uploads = BTreeMap<String, Upload>;

/// Adds to the registers what completions and aborts mean for uploads, parts and keys; gives what is
/// wrong at once.
pub(super) fn settle(uploads: &Uploads, registers: &mut Registers) -> Vec<String> {
    let mut found = Vec::new();
    let mut aborted: BTreeSet<&str> = BTreeSet::new();
    for (id, upload) in uploads {
        let is_clean = upload.is_clean();
        for (time, ended) in &upload.aborts {
            let there = Sight::Present(Like::default());
            let only_if = is_clean.then_some(there);
            remove(id, upload, registers, *time, only_if, *ended);
        }
        for (time, _, ended) in &upload.completions {
            remove(id, upload, registers, *time, None, *ended);
        }
        let done = |ended: &Ended| *ended == Ended::Done;
        if is_clean && upload.aborts.iter().any(|(_, ended)| done(ended)) {
            aborted.insert(id);
            if upload.completions.iter().any(|(.., ended)| done(ended)) {
                found.push(format!("upload {id} was aborted and completed: {upload:?}"));
            }
        }
    }
    for events in registers.values_mut() {
        events.retain(|event| !is_completion_of(event, &aborted));
    }
    found
}

impl Upload {
    /// Whether every completion listed every part.
    fn is_clean(&self) -> bool {
        let lists_all = |listed: &Vec<u32>| self.started.iter().all(|part| listed.contains(part));
        self.completions
            .iter()
            .all(|(_, listed, _)| lists_all(listed))
    }
}

fn remove(
    id: &str,
    upload: &Upload,
    registers: &mut Registers,
    time: Time,
    only_if: Option<Sight>,
    ended: Ended,
) {
    let whole = Register::Upload {
        bucket: upload.bucket.clone(),
        key: upload.key.clone(),
        id: id.to_owned(),
    };
    let event = |only_if| Event {
        time,
        what: What::Remove { only_if, ended },
    };
    registers.entry(whole).or_default().push(event(only_if));
    for number in &upload.started {
        let part = Register::Part {
            id: id.to_owned(),
            number: *number,
        };
        registers.entry(part).or_default().push(event(None));
    }
}

/// Whether an event is the completion, without an answer, of an upload that was aborted.
fn is_completion_of(event: &Event, aborted: &BTreeSet<&str>) -> bool {
    matches!(&event.what, What::Write { upload: Some(id), ended: Ended::Unknown, .. }
        if aborted.contains(id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::event::{Made, Thing};
    use super::super::registers::violations;
    use super::*;

    const ID: &str = "u";

    fn time(called: u64) -> Time {
        Time {
            client: 1,
            called,
            answered: called + 1,
        }
    }

    fn write(at: u64, id: u64, upload: Option<&str>, ended: Ended) -> Event {
        Event {
            time: time(at),
            what: What::Write {
                id,
                made: Made::Thing(Thing {
                    label: Some(id),
                    etag: "e".into(),
                    size: 1,
                }),
                only_if: None,
                ended,
                upload: upload.map(str::to_owned),
            },
        }
    }

    fn upload_register() -> Register {
        Register::Upload {
            bucket: "b".into(),
            key: "k".into(),
            id: ID.into(),
        }
    }

    fn part_register(number: u32) -> Register {
        Register::Part {
            id: ID.into(),
            number,
        }
    }

    /// Created at 1, part 1 at 3; completed and aborted as given.
    fn judge(upload: Upload, more: Vec<(Register, Event)>) -> Vec<String> {
        let started = BTreeSet::from([1]);
        let upload = Upload {
            bucket: "b".into(),
            key: "k".into(),
            started: upload.started.union(&started).copied().collect(),
            ..upload
        };
        let mut registers = Registers::new();
        let first = [
            (upload_register(), write(1, 1, None, Ended::Done)),
            (part_register(1), write(3, 2, None, Ended::Done)),
        ];
        let completions = upload.completions.iter().zip(10..);
        let completions = completions.map(|((time, _, ended), id)| {
            let mut event = write(0, id, Some(ID), *ended);
            event.time = *time;
            (Register::object("b", "k"), event)
        });
        let completions: Vec<_> = completions.collect();
        for (register, event) in first.into_iter().chain(completions).chain(more) {
            registers.entry(register).or_default().push(event);
        }
        let mut found = settle(&Uploads::from([(ID.to_owned(), upload)]), &mut registers);
        found.extend(violations(&registers));
        found
    }

    fn completed(at: u64, ended: Ended) -> Upload {
        Upload {
            completions: vec![(time(at), vec![1], ended)],
            ..Upload::default()
        }
    }

    fn aborted(at: u64, upload: Upload) -> Upload {
        Upload {
            aborts: vec![(time(at), Ended::Done)],
            ..upload
        }
    }

    fn look(register: Register, at: u64, sight: Sight) -> (Register, Event) {
        let what = What::Read(sight);
        let time = time(at);
        (register, Event { time, what })
    }

    fn there() -> Sight {
        Sight::Present(Like::default())
    }

    #[test]
    fn an_upload_is_there_until_it_is_completed_and_its_parts_too() {
        for register in [upload_register(), part_register(1)] {
            let looked = |at, sight| {
                let looks = vec![look(register.clone(), at, sight)];
                judge(completed(10, Ended::Done), looks)
            };
            assert_eq!(looked(8, there()), Vec::<String>::new());
            assert_eq!(looked(20, Sight::Absent), Vec::<String>::new());
            assert_eq!(looked(8, Sight::Absent).len(), 1);
            assert_eq!(looked(20, there()).len(), 1);
        }
    }

    #[test]
    fn what_was_aborted_never_appears() {
        let upload = aborted(20, completed(10, Ended::Unknown));
        assert_eq!(judge(upload.clone(), Vec::new()), Vec::<String>::new());
        let seen = look(Register::object("b", "k"), 30, there());
        assert_eq!(judge(upload, vec![seen.clone()]).len(), 1);
        assert_eq!(judge(completed(10, Ended::Unknown), vec![seen]).len(), 0);
    }

    #[test]
    fn an_upload_has_one_end() {
        let both = judge(aborted(20, completed(10, Ended::Done)), Vec::new());
        assert!(
            both.iter()
                .any(|text| text.contains("aborted and completed"))
        );
        let twice = Upload {
            aborts: vec![(time(10), Ended::Done), (time(20), Ended::Done)],
            ..Upload::default()
        };
        assert_eq!(judge(twice, Vec::new()).len(), 1);
        let again = Upload {
            completions: [10, 20].map(|at| (time(at), vec![1], Ended::Done)).to_vec(),
            ..Upload::default()
        };
        // Completing again what is complete is success.
        assert_eq!(judge(again, Vec::new()), Vec::<String>::new());
    }

    #[test]
    fn an_abort_says_nothing_while_parts_that_were_left_are_taken_apart() {
        let mut upload = aborted(20, completed(10, Ended::Done));
        upload.started.insert(2);
        assert_eq!(judge(upload, Vec::new()), Vec::<String>::new());
    }
}
