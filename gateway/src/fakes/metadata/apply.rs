//! Commands.

use std::collections::BTreeMap;

use bytes::Bytes;
use cairn_wire::metadata as wire;
use cairn_wire::metadata::Refusal;
use cairn_wire::metadata::content::Place as Written;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::part_read::Place as Read;
use sha2::{Digest, Sha256};

use super::{State, UploadRow};

type Outcome = Result<wire::Reply, Refusal>;

fn done() -> Outcome {
    Ok(wire::Reply::default())
}

fn number(number: u64) -> Outcome {
    Ok(wire::Reply {
        number,
        ..Default::default()
    })
}

impl State {
    pub(super) fn apply(&mut self, session: u64, command: &Command) -> Outcome {
        match command.clone() {
            Command::BeginSession(_) => {
                self.last_session += 1;
                self.open.insert(self.last_session);
                Ok(wire::Reply {
                    number: self.last_session,
                    generation: self.cluster.generation,
                    ..Default::default()
                })
            }
            Command::BumpGeneration(_) => {
                self.cluster.generation += 1;
                self.open.clear();
                done()
            }
            Command::EndSession(end) => {
                self.expire(end.target);
                done()
            }
            Command::PutUser(put) => {
                let mut user = put.user.ok_or(Refusal::Malformed)?;
                user.domain = self.users.len() as u64 + 1;
                self.users.insert(user.access_key.clone(), user);
                done()
            }
            Command::RemoveUser(remove) => {
                self.users
                    .remove(&remove.access_key)
                    .ok_or(Refusal::NoSuchUser)?;
                done()
            }
            Command::CreateBucket(create) => self.create_bucket(create),
            Command::DeleteBucket(delete) => self.delete_bucket(&delete.name),
            Command::PutObject(put) => self.put_object(session, put),
            Command::CopyObject(copy) => self.copy_object(copy),
            Command::DeleteObjects(delete) => self.delete_objects(&delete),
            Command::StagePage(stage) => self.stage_page(session, stage),
            Command::CreateUpload(create) => self.create_upload(create),
            Command::PutPart(put) => self.put_part(session, put),
            Command::CompleteUpload(complete) => self.complete(complete),
            Command::AbortUpload(abort) => {
                self.uploads
                    .remove(&(abort.bucket, abort.key, abort.upload))
                    .ok_or(Refusal::NoSuchUpload)?;
                done()
            }
            Command::AdoptStaged(adopt) => self.adopt(session, &adopt),
            Command::PinRead(pin) if self.open.contains(&pin.from) => done(),
            Command::MarkSuspect(mark) => {
                let chunk = self.chunks.get_mut(&(mark.domain, mark.sha256));
                chunk.ok_or(Refusal::Malformed)?.suspect = true;
                done()
            }
            Command::AcceptClock(_) => {
                self.cluster.clock_suspended = false;
                done()
            }
            Command::PutLeases(put) => self.put_leases(session, &put),
            _ => Err(Refusal::Malformed),
        }
    }

    /// Ends are not the fake's to judge: a lease is a reference and a time.
    fn put_leases(&mut self, session: u64, put: &wire::PutLeases) -> Outcome {
        let mut reply = wire::Reply::default();
        let gone = std::mem::take(&mut self.refuse_lease);
        for extent in put.chunks.iter().filter(|_| gone) {
            self.chunks.remove(&(put.domain, extent.sha256.clone()));
        }
        for (place, extent) in (0..).zip(&put.chunks) {
            let before = self
                .chunks
                .get(&(put.domain, extent.sha256.clone()))
                .cloned();
            match self.take_in(session, put.domain, extent) {
                Ok(taken) => {
                    let brought = extent.claim() == wire::Claim::Written;
                    let kept = before.is_some_and(|row| row.incarnation == taken.incarnation);
                    reply.number += u64::from(brought && !kept);
                }
                Err(Refusal::NoSuchChunk) => {
                    reply.not_leased.push(place);
                    continue;
                }
                Err(refused) => return Err(refused),
            }
            let key = (put.domain, extent.sha256.clone());
            if self.leases.insert(key.clone(), self.now()).is_some() {
                self.chunks.get_mut(&key).unwrap().refs -= 1;
            }
        }
        Ok(reply)
    }

    fn create_bucket(&mut self, create: wire::CreateBucket) -> Outcome {
        if self.buckets.contains_key(&create.name) {
            return Err(Refusal::BucketExists);
        }
        let owner = self.users.values().find(|user| user.id == create.owner);
        let domain = owner.ok_or(Refusal::NoSuchUser)?.domain;
        let bucket = wire::Bucket {
            id: self.sequence,
            name: create.name.clone(),
            owner: create.owner,
            domain,
            created_ms: self.now(),
            location: create.location,
        };
        self.buckets.insert(create.name, bucket);
        number(self.sequence)
    }

    fn delete_bucket(&mut self, name: &str) -> Outcome {
        let id = self.buckets.get(name).ok_or(Refusal::NoSuchBucket)?.id;
        if self.objects.keys().any(|(bucket, _)| *bucket == id) {
            return Err(Refusal::BucketNotEmpty);
        }
        self.buckets.remove(name);
        done()
    }

    fn domain(&self, bucket: u64) -> Result<u64, Refusal> {
        let row = self.buckets.values().find(|row| row.id == bucket);
        Ok(row.ok_or(Refusal::NoSuchBucket)?.domain)
    }

    fn check(
        &self,
        at: &(u64, Bytes),
        conditions: Option<wire::Conditions>,
    ) -> Result<(), Refusal> {
        let conditions = conditions.unwrap_or_default();
        let current = self.objects.get(at);
        let etag = current.map(|object| object.attributes.clone().unwrap_or_default().etag);
        let matches = |list: &[String]| {
            etag.as_ref()
                .is_some_and(|etag| list.iter().any(|one| one == "*" || one == etag))
        };
        if !conditions.if_match.is_empty() && !matches(&conditions.if_match) {
            return Err(if etag.is_none() {
                Refusal::NoSuchKey
            } else {
                Refusal::PreconditionFailed
            });
        }
        let other = |object: &wire::Object| {
            let (size, modified) = (
                conditions.if_match_size_plus_one,
                conditions.if_match_modified_ms,
            );
            (size != 0 && object.length + 1 != size)
                || (modified != 0 && object.modified_ms / 1_000 != modified / 1_000)
        };
        if matches(&conditions.if_none_match) || current.is_some_and(other) {
            return Err(Refusal::PreconditionFailed);
        }
        Ok(())
    }

    fn take(
        &mut self,
        session: u64,
        bucket: u64,
        written: &wire::ExtentWrite,
    ) -> Result<wire::ExtentRead, Refusal> {
        let domain = self.domain(bucket)?;
        self.take_in(session, domain, written)
    }

    fn take_in(
        &mut self,
        session: u64,
        domain: u64,
        written: &wire::ExtentWrite,
    ) -> Result<wire::ExtentRead, Refusal> {
        if written.claim() != wire::Claim::Written {
            return self.refer(domain, written);
        }
        let stamp =
            cairn_model::Incarnation::from_bytes(&written.incarnation).ok_or(Refusal::Malformed)?;
        if stamp.session.0 != session {
            return Err(Refusal::RetryUpload);
        }
        let row = self
            .chunks
            .entry((domain, written.sha256.clone()))
            .or_insert(wire::Chunk {
                sha256: written.sha256.clone(),
                incarnation: written.incarnation.clone(),
                coding: written.coding,
                length: written.chunk_length,
                crc64nvme: written.crc64nvme,
                table_digest: written.table_digest.clone(),
                live: true,
                debt: written.debt.clone(),
                domain,
                ..Default::default()
            });
        if row.suspect {
            row.incarnation = written.incarnation.clone();
            row.suspect = false;
        }
        row.refs += 1;
        Ok(wire::ExtentRead {
            sha256: row.sha256.clone(),
            incarnation: row.incarnation.clone(),
            chunk_length: row.length,
            offset: written.offset,
            length: written.length,
            coding: row.coding,
        })
    }

    fn refer(
        &mut self,
        domain: u64,
        claim: &wire::ExtentWrite,
    ) -> Result<wire::ExtentRead, Refusal> {
        let fit = claim.claim() == wire::Claim::Fit;
        let row = self.chunks.get_mut(&(domain, claim.sha256.clone()));
        let row = row.filter(|row| row.live && !(fit && row.suspect));
        let row = row.ok_or(Refusal::NoSuchChunk)?;
        if row.length != claim.chunk_length {
            return Err(Refusal::Malformed);
        }
        row.refs += 1;
        Ok(wire::ExtentRead {
            sha256: row.sha256.clone(),
            incarnation: row.incarnation.clone(),
            chunk_length: row.length,
            offset: claim.offset,
            length: claim.length,
            coding: row.coding,
        })
    }

    fn place(
        &mut self,
        session: u64,
        bucket: u64,
        content: Option<wire::Content>,
    ) -> Result<(Read, u64), Refusal> {
        match content
            .and_then(|content| content.place)
            .ok_or(Refusal::Malformed)?
        {
            Written::Inline(bytes) => {
                let length = bytes.len() as u64;
                Ok((Read::Inline(bytes), length))
            }
            Written::Extents(list) => {
                let extents = list
                    .extents
                    .iter()
                    .map(|written| self.take(session, bucket, written))
                    .collect::<Result<Vec<_>, _>>()?;
                let length = extents.iter().map(|extent| u64::from(extent.length)).sum();
                Ok((Read::Extents(wire::ExtentList { extents }), length))
            }
            Written::PartPages(_) => Err(Refusal::Malformed),
            Written::Pages(pages) => {
                if self.staged.get(&pages.manifest) != Some(&session) {
                    return Err(Refusal::RetryUpload);
                }
                self.staged.remove(&pages.manifest);
                let staged = self
                    .pages
                    .get(&pages.manifest)
                    .ok_or(Refusal::RetryUpload)?;
                assert_eq!(staged.len(), pages.pages as usize);
                let length: u64 = staged
                    .iter()
                    .flatten()
                    .map(|extent| u64::from(extent.length))
                    .sum();
                assert_eq!(length, pages.length);
                Ok((Read::Pages(pages), length))
            }
        }
    }

    fn put_object(&mut self, session: u64, put: wire::PutObject) -> Outcome {
        self.domain(put.bucket)?;
        let at = (put.bucket, put.key.clone());
        self.check(&at, put.conditions)?;
        let (place, length) = self.place(session, put.bucket, put.content)?;
        let place = match place {
            Read::Inline(bytes) => wire::object::Place::Inline(bytes),
            Read::Extents(extents) => wire::object::Place::Extents(extents),
            Read::Pages(pages) => wire::object::Place::Pages(pages),
        };
        self.insert(at, put.attributes, place, length);
        done()
    }

    fn copy_object(&mut self, copy: wire::CopyObject) -> Outcome {
        let at = (copy.bucket, copy.key);
        if self.domain(copy.source_bucket) != Ok(self.domain(copy.bucket)?) {
            return Err(Refusal::Malformed);
        }
        let source = self.objects.get(&(copy.source_bucket, copy.source_key));
        let source = source
            .filter(|source| source.version == copy.source_version)
            .ok_or(Refusal::SourceChanged)?
            .clone();
        self.check(&at, copy.conditions)?;
        let place = source.place.ok_or(Refusal::Malformed)?;
        self.insert(at, copy.attributes, place, source.length);
        done()
    }

    /// The version of a row this entry writes.
    fn version(&self) -> Bytes {
        let version = cairn_model::RowVersion {
            generation: 1,
            sequence: self.sequence,
            ordinal: 0,
        };
        Bytes::copy_from_slice(&version.to_bytes())
    }

    fn insert(
        &mut self,
        at: (u64, Bytes),
        attributes: Option<wire::Attributes>,
        place: wire::object::Place,
        length: u64,
    ) {
        let object = wire::Object {
            key: at.1.clone(),
            version: self.version(),
            length,
            modified_ms: self.now(),
            attributes,
            place: Some(place),
            owner: "root".to_owned(),
        };
        self.objects.insert(at, object);
    }

    fn delete_objects(&mut self, delete: &wire::DeleteObjects) -> Outcome {
        self.domain(delete.bucket)?;
        let mut deleted = Vec::new();
        for item in &delete.items {
            let at = (delete.bucket, item.key.clone());
            let refused = self.check(&at, item.conditions.clone()).err();
            let existed = refused.is_none() && self.objects.remove(&at).is_some();
            let refusal = refused.unwrap_or(Refusal::None).into();
            deleted.push(wire::DeleteOutcome { refusal, existed });
        }
        Ok(wire::Reply {
            deleted,
            ..Default::default()
        })
    }

    fn stage_page(&mut self, session: u64, stage: wire::StagePage) -> Outcome {
        let mut extents = stage.extents;
        for extent in &mut extents {
            let taken = self.take(session, stage.bucket, extent)?;
            extent.incarnation = taken.incarnation;
            extent.coding = taken.coding;
        }
        let pages = self.pages.entry(stage.manifest.clone()).or_default();
        assert_eq!(pages.len(), stage.page as usize, "pages come in order");
        pages.push(extents);
        let owner = *self.staged.entry(stage.manifest).or_insert(session);
        assert_eq!(owner, session, "pages are staged by their owner");
        done()
    }

    fn adopt(&mut self, session: u64, adopt: &wire::AdoptStaged) -> Outcome {
        if !self.open.contains(&adopt.from) || adopt.from >= session {
            return Err(Refusal::SessionEnded);
        }
        let owner = self.staged.get_mut(&adopt.manifest);
        let owner = owner.filter(|owner| **owner == adopt.from);
        *owner.ok_or(Refusal::RetryUpload)? = session;
        done()
    }

    fn create_upload(&mut self, create: wire::CreateUpload) -> Outcome {
        self.domain(create.bucket)?;
        let upload = wire::Upload {
            key: create.key.clone(),
            upload: create.upload.clone(),
            initiated_ms: self.now(),
            attributes: create.attributes,
            owner: create.owner,
            revision: 0,
            checksum_algorithm: create.checksum_algorithm,
            checksum_composite: create.checksum_composite,
        };
        let row = UploadRow {
            upload,
            parts: BTreeMap::new(),
        };
        self.uploads
            .insert((create.bucket, create.key, create.upload), row);
        done()
    }

    fn put_part(&mut self, session: u64, put: wire::PutPart) -> Outcome {
        let at = (put.bucket, put.key, put.upload);
        if !self.uploads.contains_key(&at) {
            return Err(Refusal::NoSuchUpload);
        }
        let (place, length) = self.place(session, put.bucket, put.content)?;
        let part = wire::Part {
            number: put.number,
            length,
            etag: put.etag,
            modified_ms: self.now(),
            checksums: put.checksums,
        };
        let row = self.uploads.get_mut(&at).unwrap();
        row.upload.revision += 1;
        row.parts.insert(put.number, (part, place));
        number(row.upload.revision)
    }

    fn complete(&mut self, complete: wire::CompleteUpload) -> Outcome {
        let at = (
            complete.bucket,
            complete.key.clone(),
            complete.upload.clone(),
        );
        let row = self.uploads.get(&at).ok_or(Refusal::NoSuchUpload)?.clone();
        let key = (complete.bucket, complete.key);
        self.check(&key, complete.conditions)?;
        if row.upload.revision != complete.revision {
            return Err(Refusal::PartSetChanged);
        }
        let mut digest = Sha256::new();
        let (mut list, mut length) = (Vec::new(), 0);
        for number in complete.numbers {
            let (part, place) = row.parts.get(&number).ok_or(Refusal::InvalidPart)?.clone();
            digest.update(part.number.to_be_bytes());
            digest.update(part.length.to_be_bytes());
            digest.update([u8::try_from(part.etag.len()).unwrap()]);
            digest.update(part.etag.as_bytes());
            length += part.length;
            list.push(wire::PartRead {
                number,
                length: part.length,
                place: Some(place),
                checksums: part.checksums,
            });
        }
        if complete.parts_digest != digest.finalize().as_slice() {
            return Err(Refusal::PartSetChanged);
        }
        // A part list is named by its upload.
        let manifest = complete.upload.clone();
        let pages = u32::try_from(list.len().div_ceil(super::answer::PARTS_PER_PAGE)).unwrap();
        self.part_lists.insert(manifest.clone(), list);
        let place = wire::object::Place::PartPages(wire::PartPages {
            manifest,
            pages,
            length,
        });
        self.insert(key, complete.attributes, place, length);
        self.uploads.remove(&at);
        done()
    }
}
