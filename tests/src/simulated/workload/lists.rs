//! Listings, page by page to the end.

use cairn_compat_suite::Call;

use super::ask::{Asked as Called, Told};
use super::client::Client;
use super::{BUCKETS, Kind, document};
use crate::simulated::history::{Asked, Time};

/// Pages after which a listing is given up as one that does not end.
const PAGES_MAX: usize = 2_000;

impl Client {
    pub(super) async fn list(&mut self) {
        let generation = self.generation();
        let asked = Asked {
            bucket: self.place().bucket,
            prefix: match self.rng.below(6) {
                0 => format!("g{generation:05}/d"),
                // Ten generations, most of which nobody writes any more.
                1 => format!("g{:04}", generation / 10),
                _ => format!("g{generation:05}/"),
            },
            delimiter: if self.rng.chance(1, 2) { "/" } else { "" }.to_owned(),
            after: String::new(),
            limit: 1 + self.rng.below(4) as usize,
        };
        self.list_all(asked).await;
    }

    /// All pages; true if the last one came.
    pub(super) async fn list_all(&mut self, mut asked: Asked) -> bool {
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut call = Call::new("GET", &asked.bucket).query("list-type", "2");
            call = call.query("max-keys", &asked.limit.to_string());
            for (name, value) in [("prefix", &asked.prefix), ("delimiter", &asked.delimiter)] {
                if !value.is_empty() {
                    call = call.query(name, value);
                }
            }
            if let Some(token) = &token {
                call = call.query("continuation-token", token);
            }
            let gateway = self.gateway();
            let called = self.ask(Kind::List, gateway, call).await;
            let time = called.when.time;
            match self.page_of(called, &asked) {
                None => return false,
                Some((page, next)) => {
                    asked.after = page.last().to_owned();
                    self.history().page(time, page);
                    match next {
                        None => return true,
                        Some(next) => token = Some(next),
                    }
                }
            }
        }
        self.history()
            .fault(format!("a listing without an end: {asked:?}"));
        false
    }

    fn page_of(
        &self,
        called: Called,
        asked: &Asked,
    ) -> Option<(crate::simulated::history::Page, Option<String>)> {
        let Told::Answer(answer) = called.told else {
            return None;
        };
        let page = match answer.status {
            200 => document::page(&answer, asked.clone()),
            status => Err(format!("{status} {}", answer.text())),
        };
        match page {
            Ok(page) => Some(page),
            Err(why) => {
                self.fault(&called.when, &asked.bucket, why);
                None
            }
        }
    }

    pub(super) async fn list_uploads(&mut self) {
        let generation = self.generation();
        let asked = Asked {
            bucket: self.place().bucket,
            prefix: format!("g{generation:05}/"),
            limit: 1 + self.rng.below(4) as usize,
            ..Asked::default()
        };
        self.list_all_uploads(asked).await;
    }

    /// All uploads, as one look that takes as long as its pages; true if the last one came.
    pub(super) async fn list_all_uploads(&mut self, asked: Asked) -> bool {
        let mut rows = Vec::new();
        let mut first: Option<u64> = None;
        let (mut key_marker, mut id_marker) = (String::new(), String::new());
        for _ in 0..PAGES_MAX {
            let mut call = Call::new("GET", &asked.bucket).query("uploads", "");
            call = call.query("max-uploads", &asked.limit.to_string());
            call = call.query("prefix", &asked.prefix);
            if !key_marker.is_empty() {
                call = call.query("key-marker", &key_marker);
                call = call.query("upload-id-marker", &id_marker);
            }
            let gateway = self.gateway();
            let called = self.ask(Kind::ListUploads, gateway, call).await;
            let time = called.when.time;
            let begun = *first.get_or_insert(time.called);
            let Told::Answer(answer) = called.told else {
                return false;
            };
            let page = match answer.status {
                200 => uploads(&answer, asked.limit),
                status => Err(format!("{status} {}", answer.text())),
            };
            match page {
                Err(why) => {
                    self.fault(&called.when, &asked.bucket, why);
                    return false;
                }
                Ok(page) => {
                    rows.extend(page.rows);
                    if let Some((key, id)) = page.next {
                        (key_marker, id_marker) = (key, id);
                        continue;
                    }
                }
            }
            let time = Time {
                called: begun,
                ..time
            };
            self.history().uploads(time, asked, rows);
            return true;
        }
        self.history()
            .fault(format!("uploads without an end: {asked:?}"));
        false
    }

    pub(super) async fn list_buckets(&mut self) -> bool {
        let gateway = self.gateway();
        let called = self
            .ask(Kind::ListBuckets, gateway, Call::new("GET", ""))
            .await;
        let Told::Answer(answer) = called.told else {
            return false;
        };
        let names = match answer.status {
            200 => document::root(&answer, "ListAllMyBucketsResult"),
            status => Err(format!("{status} {}", answer.text())),
        };
        let names = names.map(|root| root.texts("Buckets/Bucket/Name"));
        match names {
            Ok(names) => {
                let missing = BUCKETS
                    .iter()
                    .find(|name| !names.iter().any(|one| one == *name));
                if let Some(missing) = missing {
                    self.fault(&called.when, missing, "is not listed");
                }
                self.history().buckets(called.when.time, names);
                true
            }
            Err(why) => {
                self.fault(&called.when, "ListBuckets", why);
                false
            }
        }
    }
}

/// A page of ListMultipartUploads.
#[derive(Debug)]
struct Uploads {
    rows: Vec<(String, String)>,
    next: Option<(String, String)>,
}

fn uploads(answer: &crate::simulated::door::Answer, limit: usize) -> Result<Uploads, String> {
    let root = document::root(answer, "ListMultipartUploadsResult")?;
    let mut rows = Vec::new();
    for upload in root.all("Upload") {
        let key = document::text(upload, "Key")?.to_owned();
        rows.push((key, document::text(upload, "UploadId")?.to_owned()));
    }
    if rows.len() > limit || !rows.is_sorted_by_key(|(key, _)| key) {
        return Err(format!("more than {limit}, or out of order: {rows:?}"));
    }
    let truncated = document::text(&root, "IsTruncated")? == "true";
    if truncated && rows.is_empty() {
        return Err("truncated without an upload".to_owned());
    }
    let next = if truncated {
        let key = document::text(&root, "NextKeyMarker")?.to_owned();
        Some((key, document::text(&root, "NextUploadIdMarker")?.to_owned()))
    } else {
        None
    };
    Ok(Uploads { rows, next })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::simulated::door::Answer;

    fn page(keys: &[&str], truncated: bool, next: &str) -> Result<Uploads, String> {
        let rows: String = keys
            .iter()
            .map(|key| format!("<Upload><Key>{key}</Key><UploadId>u{key}</UploadId></Upload>"))
            .collect();
        let text = format!(
            "<ListMultipartUploadsResult><IsTruncated>{truncated}</IsTruncated>{next}{rows}\
             </ListMultipartUploadsResult>"
        );
        let answer = Answer {
            status: 200,
            headers: Vec::new(),
            body: Bytes::from(text),
        };
        uploads(&answer, 2)
    }

    #[test]
    fn pages_of_uploads_are_read_and_judged() {
        let whole = page(&["a", "a"], false, "").unwrap();
        assert_eq!(whole.rows.len(), 2);
        assert!(whole.next.is_none());
        let next = "<NextKeyMarker>a</NextKeyMarker><NextUploadIdMarker>ua</NextUploadIdMarker>";
        let first = page(&["a"], true, next).unwrap();
        assert_eq!(first.next, Some(("a".into(), "ua".into())));
        assert!(page(&["b", "a"], false, "").is_err());
        assert!(page(&["a", "b", "c"], false, "").is_err());
        assert!(page(&["a"], true, "").is_err());
        assert!(page(&[], true, next).is_err());
    }
}
