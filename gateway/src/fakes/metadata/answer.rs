//! Queries.

use bytes::Bytes;
use cairn_wire::metadata as wire;
use cairn_wire::metadata::answer::Answer;
use cairn_wire::metadata::query::Query;

use super::State;

/// Small, so that short tests turn pages.
pub(super) const PARTS_PER_PAGE: usize = 2;

/// A listed thing: its key, or the group it falls into.
enum Step {
    One(Bytes),
    Group(Bytes),
}

fn step(key: &Bytes, prefix: &Bytes, delimiter: &Bytes) -> Option<Step> {
    let rest = key.strip_prefix(prefix.as_ref())?;
    let found = (!delimiter.is_empty())
        .then(|| {
            rest.windows(delimiter.len())
                .position(|window| window == delimiter)
        })
        .flatten();
    Some(match found {
        Some(at) => Step::Group(key.slice(..prefix.len() + at + delimiter.len())),
        None => Step::One(key.clone()),
    })
}

/// One node with one disk, and a mark that found something.
fn status() -> wire::StatusAnswer {
    let disk = wire::DiskStatus {
        disk: Bytes::copy_from_slice(&[7; 16]),
        ready: true,
        ..wire::DiskStatus::default()
    };
    wire::StatusAnswer {
        mark: Some(wire::MarkStatus {
            finished_ms: 5_999,
            took_ms: 7,
            rows: 40,
            discrepancies: 2,
        }),
        nodes: vec![wire::NodeStatus {
            node: 1,
            disks: vec![disk],
            ..wire::NodeStatus::default()
        }],
        raft: Some(wire::RaftStatus::default()),
        work: Some(wire::WorkStatus::default()),
        ..wire::StatusAnswer::default()
    }
}

impl State {
    pub(super) fn answer(&self, query: Query) -> Answer {
        match query {
            Query::GetCluster(_) => Answer::Cluster(self.cluster.clone()),
            Query::GetMembers(_) => Answer::Members(wire::MembersAnswer {
                nodes: self.cluster.nodes.clone(),
                disks: self.cluster.disks.clone(),
            }),
            Query::GetStatus(_) => Answer::Status(status()),
            Query::GetUser(get) => {
                let users = self
                    .users
                    .get(&get.access_key)
                    .cloned()
                    .into_iter()
                    .collect();
                Answer::Users(wire::UsersAnswer { users })
            }
            Query::ListUsers(_) => Answer::Users(wire::UsersAnswer {
                users: self.users.values().cloned().collect(),
            }),
            Query::GetBucket(get) => {
                let buckets = self.buckets.get(&get.name).cloned().into_iter().collect();
                Answer::Buckets(wire::BucketsAnswer {
                    buckets,
                    truncated: false,
                })
            }
            Query::ListBuckets(list) => Answer::Buckets(self.list_buckets(&list)),
            Query::GetObject(get) => {
                let object = self.objects.get(&(get.bucket, get.key)).cloned();
                Answer::Object(wire::ObjectAnswer { object })
            }
            Query::FindObject(find) => Answer::Found(self.find_object(&find)),
            Query::ListObjects(list) => Answer::List(self.list_objects(&list)),
            Query::GetPages(get) => Answer::Pages(self.get_pages(&get)),
            Query::GetChunks(get) => {
                let row = |key: wire::ChunkKey| self.chunks.get(&(key.domain, key.sha256)).cloned();
                let chunks = get.chunks.into_iter().filter_map(row).collect();
                Answer::Chunks(wire::ChunksAnswer { chunks })
            }
            Query::GetUpload(get) => {
                let row = self.uploads.get(&(get.bucket, get.key, get.upload));
                let uploads = row.map(|row| row.upload.clone()).into_iter().collect();
                Answer::Uploads(wire::UploadsAnswer {
                    uploads,
                    ..Default::default()
                })
            }
            Query::ListUploads(list) => Answer::Uploads(self.list_uploads(&list)),
            Query::ListParts(list) => Answer::Parts(self.list_parts(&list)),
            Query::GetSessions(_) => Answer::Sessions(wire::SessionsAnswer {
                open: self.open.iter().copied().collect(),
                last: self.last_session,
                generation: self.cluster.generation,
            }),
            Query::GetDebt(_) | Query::GetChunkRows(_) => {
                Answer::ChunkPage(wire::ChunkPage::default())
            }
            Query::GetGarbage(_) => Answer::Garbage(wire::GarbageAnswer::default()),
        }
    }

    fn find_object(&self, find: &wire::FindObject) -> wire::FoundAnswer {
        let bucket = self.buckets.get(&find.bucket).cloned();
        let row = |bucket: &wire::Bucket| self.objects.get(&(bucket.id, find.key.clone()));
        let object = bucket.as_ref().and_then(row).cloned();
        let extents = match object.as_ref().and_then(|object| object.place.as_ref()) {
            Some(wire::object::Place::Extents(list)) => list.extents.as_slice(),
            _ => &[],
        };
        let domain = bucket.as_ref().map_or(0, |bucket| bucket.domain);
        let chunk = |extent: &wire::ExtentRead| {
            let row = self.chunks.get(&(domain, extent.sha256.clone()));
            row.filter(|_| extents.len() <= find.chunks as usize)
        };
        wire::FoundAnswer {
            chunks: extents.iter().filter_map(chunk).cloned().collect(),
            bucket,
            object,
        }
    }

    fn list_buckets(&self, list: &wire::ListBuckets) -> wire::BucketsAnswer {
        let mut buckets: Vec<wire::Bucket> = self
            .buckets
            .values()
            .filter(|bucket| list.owner.is_empty() || bucket.owner == list.owner)
            .filter(|bucket| bucket.name.starts_with(&list.prefix) && bucket.name > list.after)
            .cloned()
            .collect();
        let truncated = buckets.len() > list.limit as usize;
        buckets.truncate(list.limit as usize);
        wire::BucketsAnswer { buckets, truncated }
    }

    fn list_objects(&self, list: &wire::ListObjects) -> wire::ListAnswer {
        let mut answer = wire::ListAnswer::default();
        let mut after = list.after.clone();
        for ((bucket, key), object) in &self.objects {
            let group_passed = !list.delimiter.is_empty()
                && after.ends_with(&list.delimiter)
                && after.starts_with(&list.prefix)
                && key.starts_with(&after);
            if *bucket != list.bucket || *key <= after || group_passed {
                continue;
            }
            let Some(step) = step(key, &list.prefix, &list.delimiter) else {
                continue;
            };
            if answer.objects.len() + answer.common_prefixes.len() == list.limit as usize {
                answer.truncated = true;
                break;
            }
            match step {
                Step::One(key) => {
                    answer.objects.push(listed(object));
                    after = key;
                }
                Step::Group(group) => {
                    answer.common_prefixes.push(group.clone());
                    after = group;
                }
            }
            answer.next_after = after.clone();
        }
        answer
    }

    fn get_pages(&self, get: &wire::GetPages) -> wire::PagesAnswer {
        let (from, count) = (get.from as usize, get.count as usize);
        let mut pages = Vec::new();
        if let Some(staged) = self.pages.get(&get.manifest) {
            for extents in staged.iter().skip(from).take(count) {
                let extents = extents.iter().map(read).collect();
                pages.push(wire::Page {
                    extents,
                    parts: Vec::new(),
                });
            }
        }
        if let Some(parts) = self.part_lists.get(&get.manifest) {
            for parts in parts.chunks(PARTS_PER_PAGE).skip(from).take(count) {
                pages.push(wire::Page {
                    extents: Vec::new(),
                    parts: parts.to_vec(),
                });
            }
        }
        wire::PagesAnswer { pages }
    }

    fn list_uploads(&self, list: &wire::ListUploads) -> wire::UploadsAnswer {
        let mut answer = wire::UploadsAnswer::default();
        for ((bucket, key, upload), row) in &self.uploads {
            let later = if list.after_upload.is_empty() {
                *key > list.after_key
            } else {
                (key, upload) > (&list.after_key, &list.after_upload)
            };
            if *bucket != list.bucket || !later {
                continue;
            }
            let Some(step) = step(key, &list.prefix, &list.delimiter) else {
                continue;
            };
            if answer.uploads.len() + answer.common_prefixes.len() == list.limit as usize {
                answer.truncated = true;
                break;
            }
            match step {
                Step::One(_) => answer.uploads.push(row.upload.clone()),
                Step::Group(group) if answer.common_prefixes.last() == Some(&group) => {}
                Step::Group(group) => answer.common_prefixes.push(group),
            }
        }
        answer
    }

    fn list_parts(&self, list: &wire::ListParts) -> wire::PartsAnswer {
        let row = self
            .uploads
            .iter()
            .find(|((_, _, upload), _)| *upload == list.upload);
        let Some((_, row)) = row else {
            return wire::PartsAnswer::default();
        };
        let mut parts: Vec<wire::Part> = row
            .parts
            .range(list.after + 1..)
            .map(|(_, (part, _))| part.clone())
            .collect();
        let truncated = parts.len() > list.limit as usize;
        parts.truncate(list.limit as usize);
        wire::PartsAnswer { parts, truncated }
    }
}

fn listed(object: &wire::Object) -> wire::ListedObject {
    let attributes = object.attributes.clone().unwrap_or_default();
    wire::ListedObject {
        key: object.key.clone(),
        length: object.length,
        modified_ms: object.modified_ms,
        etag: attributes.etag,
        storage_class: attributes.storage_class,
        checksum_algorithms: attributes
            .checksums
            .iter()
            .map(|sum| sum.algorithm.clone())
            .collect(),
        checksum_composite: attributes.checksums.iter().any(|sum| sum.composite),
    }
}

fn read(written: &wire::ExtentWrite) -> wire::ExtentRead {
    wire::ExtentRead {
        sha256: written.sha256.clone(),
        incarnation: written.incarnation.clone(),
        chunk_length: written.chunk_length,
        offset: written.offset,
        length: written.length,
        coding: written.coding,
    }
}
