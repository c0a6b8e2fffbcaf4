//! Every body that any call of the run may have stored, by its ETag.
//!
//! An ETag tells its bytes: MD5 of them, of the MD5s of parts, or SHA-256 of the SHA-256s of chunks.
//! So what a read must give is known from its ETag alone, and an ETag that is not here is of bytes
//! that nobody sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_compat_suite::checksums::{etag, sha256_hex};

use crate::simulated::content::{Body, bare};

/// An object's bytes and what they are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Without quotes.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// The bytes.
    pub body: Body,
    /// SHA-256 of each chunk that the product makes of one piece, in hexadecimal digits; of what is
    /// made of pieces, none.
    pub chunks: Vec<String>,
}

/// All forms of a run.
#[derive(Debug, Default)]
pub struct Forms {
    by_etag: BTreeMap<String, Arc<Form>>,
    of_one_piece: BTreeMap<Body, Arc<Form>>,
}

impl Forms {
    /// What an object or part of one piece is.
    pub fn of_one_piece(&mut self, body: &Body) -> Arc<Form> {
        if let Some(known) = self.of_one_piece.get(body) {
            return Arc::clone(known);
        }
        let form = self.keep(body.md5(), body.clone(), body.chunks());
        self.of_one_piece.insert(body.clone(), Arc::clone(&form));
        form
    }

    /// What parts of one piece make together.
    pub fn of_parts(&mut self, parts: &[Arc<Form>]) -> Arc<Form> {
        let md5s = parts.iter().filter_map(|part| hex::decode(&part.etag).ok());
        let all: Vec<u8> = md5s.flatten().collect();
        let name = format!("{}-{}", bare(&etag(&all)), parts.len());
        let body = Body::joined(parts.iter().map(|part| &part.body));
        self.keep(name, body, Vec::new())
    }

    /// What chunks make together; empty ones are left out, as the chunk API has it.
    pub fn of_chunks(&mut self, chunks: &[Body]) -> Arc<Form> {
        let full = chunks.iter().filter(|chunk| chunk.length() > 0);
        let digests: Vec<Vec<u8>> = full
            .filter_map(|chunk| hex::decode(chunk.sha256()).ok())
            .collect();
        let name = format!("{}-{}", sha256_hex(&digests.concat()), digests.len());
        self.keep(name, Body::joined(chunks), Vec::new())
    }

    fn keep(&mut self, etag: String, body: Body, chunks: Vec<String>) -> Arc<Form> {
        let known = self.by_etag.entry(etag.clone()).or_insert_with(|| {
            Arc::new(Form {
                etag,
                size: body.length() as u64,
                body,
                chunks,
            })
        });
        Arc::clone(known)
    }

    /// What has this ETag, without quotes.
    #[must_use]
    pub fn named(&self, etag: &str) -> Option<Arc<Form>> {
        self.by_etag.get(etag).cloned()
    }

    /// All forms of which the bytes from `from` to `to` (or the end) have this MD5. Looked for among
    /// `likely` ETags first: to take the MD5 of everything would be slow.
    #[must_use]
    pub fn with_run(
        &self,
        (from, to): (usize, Option<usize>),
        md5: &str,
        likely: &[String],
    ) -> Vec<Arc<Form>> {
        let run = |form: &Form| form.body.slice(from, to.unwrap_or(usize::MAX));
        let long = |form: &Form| to.is_none_or(|to| form.body.length() >= to);
        let likely = likely.iter().filter_map(|etag| self.by_etag.get(etag));
        let first = likely
            .chain(self.by_etag.values())
            .find(|form| long(form) && run(form).md5() == md5);
        let Some(first) = first else {
            return Vec::new();
        };
        // The same run is made of the same slices wherever it is.
        let wanted = run(first);
        let alike = self.by_etag.values();
        let alike = alike.filter(|form| long(form) && run(form) == wanted);
        alike.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use cairn_compat_suite::checksums::multipart_etag;

    use super::*;
    use crate::simulated::content::{Class, Content};

    fn body(class: Class, number: u32) -> Body {
        Body::whole(Content { class, number })
    }

    #[test]
    fn etags_are_those_of_s3() {
        let mut forms = Forms::default();
        let (one, other) = (body(Class::Inline, 1), body(Class::Copies, 2));
        let parts = [forms.of_one_piece(&one), forms.of_one_piece(&other)];
        assert_eq!(parts[0].etag, one.md5());
        assert_eq!(parts[0].chunks, [one.sha256()]);
        let whole = forms.of_parts(&parts);
        let (one, other) = (one.bytes(), other.bytes());
        let expected = multipart_etag([one.as_slice(), other.as_slice()]);
        assert_eq!(whole.etag, bare(&expected));
        assert_eq!(whole.body.bytes(), [one, other].concat());
        assert_eq!(whole.size, whole.body.length() as u64);
        assert_eq!(forms.named(&whole.etag), Some(whole));
        assert_eq!(forms.named("0"), None);
    }

    #[test]
    fn an_object_of_chunks_is_named_by_their_digests() {
        let mut forms = Forms::default();
        let chunk = body(Class::Copies, 1);
        let empty = body(Class::Empty, 1);
        let form = forms.of_chunks(&[chunk.clone(), empty.clone(), chunk.clone()]);
        let digest = hex::decode(chunk.sha256()).unwrap();
        let expected = format!("{}-2", sha256_hex(&[digest.clone(), digest].concat()));
        assert_eq!(form.etag, expected);
        assert_eq!(form.size, 2 * chunk.length() as u64);
        assert_eq!(
            forms.of_chunks(&[empty]).etag,
            format!("{}-0", sha256_hex(b""))
        );
    }

    #[test]
    fn a_run_is_found_in_every_form_that_has_it() {
        let mut forms = Forms::default();
        let (one, other) = (body(Class::Copies, 1), body(Class::Copies, 2));
        let (first, second) = (forms.of_one_piece(&one), forms.of_one_piece(&other));
        let both = forms.of_parts(&[first.clone(), second]);
        let run = one.slice(10, 200).md5();
        let mut found: Vec<String> = forms
            .with_run((10, Some(200)), &run, &[])
            .iter()
            .map(|form| form.etag.clone())
            .collect();
        found.sort();
        let mut expected = vec![first.etag.clone(), both.etag.clone()];
        expected.sort();
        assert_eq!(found, expected);
        assert!(forms.with_run((11, Some(200)), &run, &[]).is_empty());
        assert!(forms.with_run((10, None), &run, &[]).is_empty());
        let likely = [both.etag.clone()];
        assert_eq!(forms.with_run((10, Some(200)), &run, &likely).len(), 2);
        let whole = forms.with_run((0, None), &first.etag, &[]);
        assert_eq!(whole, [first]);
    }
}
