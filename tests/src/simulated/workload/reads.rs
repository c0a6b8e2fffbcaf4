//! Reads of objects, whole and in part: no byte may be wrong.

use std::sync::Arc;

use cairn_compat_suite::Call;

use super::ask::Told;
use super::client::{Client, Place};
use super::{Kind, document};
use crate::simulated::content::bare;
use crate::simulated::door::Answer;
use crate::simulated::history::{Form, History, Like, Sight, Time, What};

/// What a range asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// `first-last`
    FromTo(u64, u64),
    /// `first-`
    From(u64),
    /// `-count`
    Last(u64),
    /// Something that is no range and is passed over.
    Nonsense,
}

impl Range {
    fn text(self) -> String {
        match self {
            Self::FromTo(first, last) => format!("bytes={first}-{last}"),
            Self::From(first) => format!("bytes={first}-"),
            Self::Last(count) => format!("bytes=-{count}"),
            Self::Nonsense => "bytes=9-3".to_owned(),
        }
    }

    /// First byte and the one behind the last of an object of `size` bytes; `Err` if there is none.
    fn of(self, size: u64) -> Result<(u64, u64), ()> {
        let (from, to) = match self {
            Self::FromTo(first, last) => (first, size.min(last.saturating_add(1))),
            Self::From(first) => (first, size),
            Self::Last(count) => (size.saturating_sub(count), size),
            Self::Nonsense => return Ok((0, size)),
        };
        if from < to { Ok((from, to)) } else { Err(()) }
    }
}

impl Client {
    /// GET, HEAD, or GET unless it is what was last seen; true if there was a whole answer.
    pub(super) async fn get(&mut self, kind: Kind, place: &Place) -> bool {
        let method = if kind == Kind::Head { "HEAD" } else { "GET" };
        let mut call = Call::new(method, &place.path());
        let mut known = None;
        if kind == Kind::GetIfNoneMatch {
            known = self.etags.get(&place.register()).cloned();
            if let Some(etag) = &known {
                call = call.header("if-none-match", &format!("\"{etag}\""));
            }
        }
        let gateway = self.gateway();
        let asked = self.ask(kind, gateway, call).await;
        let judged = match &asked.told {
            Told::Nothing | Told::Unknown => return false,
            Told::Answer(answer) => judge(self.history(), answer, kind, known.as_deref()),
            Told::Broken { head, received } => broken(self.history(), head, received, None),
        };
        match judged {
            Ok(Some(sight)) => self.saw(place, &asked.when.time, sight),
            Ok(None) => {}
            Err(why) => self.fault(&asked.when, &place.path(), why),
        }
        matches!(asked.told, Told::Answer(_))
    }

    pub(super) async fn get_range(&mut self) {
        let place = self.place();
        let range = self.range(&place);
        let call = Call::new("GET", &place.path()).header("range", &range.text());
        let gateway = self.gateway();
        let asked = self.ask(Kind::GetRange, gateway, call).await;
        let judged = match &asked.told {
            Told::Nothing | Told::Unknown => return,
            Told::Answer(answer) => judge_range(self.history(), answer, range),
            Told::Broken { head, received } => broken(self.history(), head, received, Some(range)),
        };
        match judged {
            Ok(Some(sight)) => self.saw(&place, &asked.when.time, sight),
            Ok(None) => {}
            Err(why) => self.fault(&asked.when, &place.path(), format!("{range:?}: {why}")),
        }
    }

    fn saw(&mut self, place: &Place, time: &Time, sight: Sight) {
        let register = place.register();
        let etag = match &sight {
            Sight::Present(like) => like.etags.as_ref().and_then(|etags| etags.first()),
            Sight::Absent | Sight::AbsentOr(_) => None,
        };
        if let Some(etag) = etag {
            self.etags.insert(register.clone(), etag.clone());
        }
        self.history().keep(register, *time, What::Read(sight));
    }

    /// The size last seen there.
    pub(super) fn size(&self, place: &Place) -> Option<u64> {
        let etag = self.etags.get(&place.register())?;
        let form = self.history().forms(|forms| forms.named(etag))?;
        Some(form.size)
    }

    fn range(&mut self, place: &Place) -> Range {
        let size = self.size(place).unwrap_or(100_000);
        let first = self.rng.below(size + 2);
        match self.rng.below(8) {
            0 => Range::From(first),
            1 => Range::Last(self.rng.below(size + 10)),
            2 => Range::FromTo(0, 0),
            3 => Range::Nonsense,
            4 => Range::From(size + self.rng.below(3)),
            // Around the borders of cells.
            5 => {
                let border = (1 + self.rng.below(4)) << 16;
                Range::FromTo(border - 3, border + self.rng.below(5))
            }
            _ => Range::FromTo(first, first + self.rng.below(size + 1)),
        }
    }
}

/// What the head of an answer shows of an object: its label, its ETag, its size; and what that is.
pub(super) fn shown(history: &History, answer: &Answer) -> Result<(Like, Arc<Form>), String> {
    let label = answer.header("x-amz-meta-value").ok_or("no label")?;
    let label = label.parse().map_err(|_| format!("label {label}"))?;
    let etag = answer.header("etag").map(bare).ok_or("no ETag")?;
    let form = history.forms(|forms| forms.named(etag));
    let form = form.ok_or_else(|| format!("ETag {etag} is of nothing that was sent"))?;
    history.label(label, etag)?;
    let like = Like {
        label: Some(label),
        size: Some(form.size),
        ..Like::etag(etag)
    };
    Ok((like, form))
}

/// What a whole answer says; none where it says nothing.
fn judge(
    history: &History,
    answer: &Answer,
    kind: Kind,
    known: Option<&str>,
) -> Result<Option<Sight>, String> {
    match (answer.status, known) {
        (404, _) if kind == Kind::Head || code(answer) == "NoSuchKey" => Ok(Some(Sight::Absent)),
        (304, Some(known)) => match answer.header("etag").map(bare) {
            Some(etag) if etag == known => Ok(Some(Sight::Present(Like::etag(known)))),
            other => Err(format!("not modified, and {other:?} is not {known}")),
        },
        (200, known) => {
            let (like, form) = shown(history, answer)?;
            if known == Some(&form.etag) {
                return Err(format!("{} is sent though it is known", form.etag));
            }
            if kind == Kind::Head {
                let length = answer.header("content-length");
                if length.is_some_and(|length| length != form.size.to_string()) {
                    return Err(format!("a length of {length:?}, not {}", form.size));
                }
            } else {
                form.body.verify(&answer.body)?;
            }
            Ok(Some(Sight::Present(like)))
        }
        (status, _) => Err(format!("{status} {}", answer.text())),
    }
}

fn judge_range(history: &History, answer: &Answer, range: Range) -> Result<Option<Sight>, String> {
    match answer.status {
        404 if code(answer) == "NoSuchKey" => Ok(Some(Sight::Absent)),
        416 => {
            let whole = answer.header("content-range").unwrap_or_default();
            let size = whole
                .strip_prefix("bytes */")
                .and_then(|size| size.parse().ok());
            let size: u64 = size.ok_or_else(|| format!("Content-Range {whole}"))?;
            if range.of(size).is_ok() {
                return Err(format!("refused of {size} bytes"));
            }
            let like = Like {
                size: Some(size),
                ..Like::default()
            };
            Ok(Some(Sight::Present(like)))
        }
        200 if range == Range::Nonsense => judge(history, answer, Kind::Get, None),
        206 if range != Range::Nonsense => {
            let (like, form) = shown(history, answer)?;
            let (from, to) = range.of(form.size).map_err(|()| "sent what is not there")?;
            let expected = format!("bytes {from}-{}/{}", to - 1, form.size);
            if answer.header("content-range") != Some(&expected) {
                let range = answer.header("content-range");
                return Err(format!("Content-Range {range:?}, not {expected}"));
            }
            let run = form.body.slice(from as usize, to as usize);
            run.verify(&answer.body)?;
            Ok(Some(Sight::Present(like)))
        }
        status => Err(format!("{status} {}", answer.text())),
    }
}

/// What a head says whose body broke off: what came of it must be right as far as it goes.
fn broken(
    history: &History,
    head: &Answer,
    received: &[u8],
    range: Option<Range>,
) -> Result<Option<Sight>, String> {
    let is_object = match range {
        None | Some(Range::Nonsense) => head.status == 200,
        Some(_) => head.status == 206,
    };
    if !is_object {
        return Ok(None);
    }
    let (like, form) = shown(history, head)?;
    let (from, to) = match range {
        Some(range) => range.of(form.size).map_err(|()| "sent what is not there")?,
        None => (0, form.size),
    };
    let run = form.body.slice(from as usize, to as usize);
    if received.len() > run.length() {
        return Err(format!("{} bytes of {}", received.len(), run.length()));
    }
    run.slice(0, received.len()).verify(received)?;
    Ok(Some(Sight::Present(like)))
}

/// The code of an answer to a call other than HEAD.
pub(super) fn code(answer: &Answer) -> String {
    document::code(&answer.text())
}

#[cfg(test)]
mod tests;
