//! ListParts.

use std::collections::BTreeMap;

use super::{Open, there};
use crate::simulated::content::bare;
use crate::simulated::door::Answer;
use crate::simulated::history::{Like, Sight, What};
use crate::simulated::workload::ask::Told;
use crate::simulated::workload::client::Client;
use crate::simulated::workload::{Kind, document};

impl Client {
    pub(in crate::simulated::workload) async fn upload_list(&mut self) -> bool {
        let Some(upload) = self.open() else {
            return false;
        };
        let limit = 1 + self.rng.below(3);
        self.list_parts(&upload, limit).await;
        true
    }

    /// Both parts that an upload may have; true if there was an answer.
    pub(in crate::simulated::workload) async fn list_parts(
        &mut self,
        upload: &Open,
        limit: u64,
    ) -> bool {
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
