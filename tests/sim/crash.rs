//! A power cut at every disk operation.

use std::collections::BTreeMap;

use cairn_compat_suite::call::Call;

use crate::machine::{Machine, Node};
use crate::s3::{Answer, send};

/// One step of the workload: what is sent, and what a success makes true.
struct Step {
    call: Call,
    makes: Effect,
}

/// What a success makes true.
#[derive(Clone, Debug)]
enum Effect {
    Bucket,
    Put(&'static str, Vec<u8>),
    Delete(&'static str),
    /// A whole multipart upload.
    Upload(&'static str, Vec<u8>),
    Nothing,
}

/// Bytes that tell any two objects and any two offsets apart.
fn content(name: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| name ^ u8::try_from((at * 31 + at / 251) % 256).unwrap())
        .collect()
}

fn put(key: &'static str, name: u8, length: usize) -> Step {
    let bytes = content(name, length);
    let call = Call::new("PUT", &format!("/bucket/{key}")).body(bytes.clone());
    Step {
        call,
        makes: Effect::Put(key, bytes),
    }
}

/// A copy of an object whose bytes are `content(name, length)`; onto itself with other metadata.
fn copy(from: &str, to: &'static str, name: u8, length: usize) -> Step {
    let call = Call::new("PUT", &format!("/bucket/{to}"))
        .header("x-amz-copy-source", &format!("bucket/{from}"))
        .header("x-amz-metadata-directive", "REPLACE");
    Step {
        call,
        makes: Effect::Put(to, content(name, length)),
    }
}

fn delete(key: &'static str) -> Step {
    Step {
        call: Call::new("DELETE", &format!("/bucket/{key}")),
        makes: Effect::Delete(key),
    }
}

fn workload() -> Vec<Step> {
    vec![
        Step {
            call: Call::new("PUT", "/bucket"),
            makes: Effect::Bucket,
        },
        put("inline", 1, 100),
        put("empty", 2, 0),
        put("small", 3, 5_000),
        put("large", 4, 200_000),
        put("inline", 5, 90),
        put("small", 6, 70_000),
        delete("large"),
        put("twin", 6, 70_000),
        put("large", 7, 66_000),
        copy("large", "copy", 7, 66_000),
        copy("inline", "twin", 5, 90),
        delete("inline"),
        Step {
            call: Call::new("GET", "/bucket/small"),
            makes: Effect::Nothing,
        },
        Step {
            call: Call::new("POST", "/bucket/parts").query("uploads", ""),
            makes: Effect::Upload("parts", content(9, 90_000)),
        },
        put("inline", 8, 4_096),
        put("large", 10, 300_000),
        copy("copy", "copy", 7, 66_000),
        copy("parts", "large", 9, 90_000),
        delete("parts"),
        put("empty", 11, 1),
        put("parts", 12, 4_097),
    ]
}

/// What must be there: per key every value it may have (`None`: not there).
#[derive(Default)]
struct Expected {
    bucket: Option<bool>,
    keys: BTreeMap<&'static str, Vec<Option<Vec<u8>>>>,
}

impl Expected {
    fn acknowledged(&mut self, effect: &Effect) {
        match effect.clone() {
            Effect::Bucket => self.bucket = Some(true),
            Effect::Put(key, bytes) | Effect::Upload(key, bytes) => {
                self.keys.insert(key, vec![Some(bytes)]);
            }
            Effect::Delete(key) => drop(self.keys.insert(key, vec![None])),
            Effect::Nothing => {}
        }
    }

    /// No success was answered: the old state or the new.
    fn unknown(&mut self, effect: &Effect) {
        let (key, value) = match effect.clone() {
            Effect::Bucket => {
                self.bucket = None;
                return;
            }
            Effect::Put(key, bytes) | Effect::Upload(key, bytes) => (key, Some(bytes)),
            Effect::Delete(key) => (key, None),
            Effect::Nothing => return,
        };
        self.keys
            .entry(key)
            .or_insert_with(|| vec![None])
            .push(value);
    }
}

/// Runs the workload until it is through or the power fails; gives what must be true then.
async fn run(node: &Node) -> (Expected, bool) {
    let mut expected = Expected {
        bucket: Some(false),
        ..Expected::default()
    };
    for step in workload() {
        let mut answer = send(node, step.call).await;
        if let (Effect::Upload(key, bytes), true) = (&step.makes, answer.is_success()) {
            answer = upload(node, key, bytes, &answer.text()).await;
        }
        if answer.is_success() {
            expected.acknowledged(&step.makes);
        } else {
            expected.unknown(&step.makes);
            return (expected, false);
        }
    }
    (expected, true)
}

/// One part and the completion of an upload that was begun; the completion's answer.
async fn upload(node: &Node, key: &str, bytes: &[u8], begun: &str) -> Answer {
    let id = begun
        .split("<UploadId>")
        .nth(1)
        .and_then(|rest| rest.split('<').next());
    let id = id.expect("an upload id").to_owned();
    let path = format!("/bucket/{key}");
    let part = Call::new("PUT", &path)
        .query("partNumber", "1")
        .query("uploadId", &id);
    let part = send(node, part.body(bytes.to_vec())).await;
    let Some(etag) = part.etag.clone().filter(|_| part.is_success()) else {
        return part;
    };
    let document = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    send(
        node,
        Call::new("POST", &path)
            .query("uploadId", &id)
            .body(document),
    )
    .await
}

/// Every key must have one of its allowed values, and the listing must agree with the reads.
async fn check(node: &Node, expected: &Expected, place: &str) {
    if expected.bucket == Some(true) {
        let head = send(node, Call::new("HEAD", "/bucket")).await;
        assert_eq!(head.status, 200, "{place}: the acknowledged bucket is gone");
    }
    let listing = send(node, Call::new("GET", "/bucket").query("list-type", "2")).await;
    for (key, allowed) in &expected.keys {
        let Answer { status, body, .. } =
            send(node, Call::new("GET", &format!("/bucket/{key}"))).await;
        let found = match status {
            200 => Some(
                body.unwrap_or_else(|error| panic!("{place}: {key}: {error}"))
                    .to_vec(),
            ),
            404 => None,
            other => panic!("{place}: {key} answers {other}"),
        };
        let lengths: Vec<_> = allowed
            .iter()
            .map(|value| value.as_ref().map(Vec::len))
            .collect();
        assert!(
            allowed.contains(&found),
            "{place}: {key} is {:?} bytes long, allowed are {lengths:?}",
            found.as_ref().map(Vec::len)
        );
        let listed = listing.text().contains(&format!("<Key>{key}</Key>"));
        assert_eq!(listed, found.is_some(), "{place}: {key} in the listing");
    }
}

/// The store takes new writes after every recovery.
async fn goes_on(node: &Node, place: &str) {
    let bucket = send(node, Call::new("PUT", "/bucket")).await;
    assert!(bucket.is_success(), "{place}: bucket {}", bucket.text());
    let bytes = content(99, 80_000);
    let put = send(node, Call::new("PUT", "/bucket/after").body(bytes.clone())).await;
    assert!(put.is_success(), "{place}: put {}", put.text());
    assert!(put.etag.is_some());
    let get = send(node, Call::new("GET", "/bucket/after")).await;
    assert_eq!(get.body.unwrap(), bytes, "{place}");
}

/// Runs, cuts at `operation`, recovers, looks. False where the workload ended before.
async fn cut_at(operation: u64, seed: u64, lying_disk: bool) -> bool {
    let place = format!("seed {seed}, power cut at operation {operation}");
    let machine = Machine::new(seed);
    machine.disk.ignore_syncs(lying_disk);
    machine.disk.crash_at(operation);
    let (expected, through) = match machine.start().await {
        Ok(node) => run(&node).await,
        Err(_) => (Expected::default(), false),
    };
    let reached = machine.disk.operations() >= operation;
    machine.disk.power_off();
    // A second cut, during recovery, must do no harm either.
    let cut = machine.after_power_cut(seed + 1);
    cut.disk.crash_at(1 + operation % 7);
    drop(cut.start().await);
    cut.disk.power_off();
    let rebooted = cut.after_power_cut(seed + 2);
    let node = rebooted
        .start()
        .await
        .unwrap_or_else(|error| panic!("{place}: {error}"));
    check(&node, &expected, &place).await;
    goes_on(&node, &place).await;
    node.stop()
        .await
        .unwrap_or_else(|error| panic!("{place}: {error}"));
    assert!(
        through || reached,
        "{place}: the workload failed without a power cut"
    );
    reached
}

fn simulate(operation: u64, seed: u64, lying_disk: bool) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(cut_at(operation, seed, lying_disk))
}

/// Promises 1 and 3, on one node: acknowledged is durable, and nothing is wrong.
#[test]
fn every_acknowledged_write_survives_a_power_cut_at_every_disk_operation() {
    let seeds = if std::env::var("CAIRN_LONG").is_ok() {
        50
    } else {
        3
    };
    for seed in 0..seeds {
        let mut operation = 1;
        while simulate(operation, 1_000 * seed, false) {
            operation += 1;
        }
        assert!(
            operation > 100,
            "the workload made only {operation} disk operations"
        );
    }
}

/// The same check on a disk that says it has synced and has not: it must be seen.
#[test]
fn a_disk_that_does_not_sync_is_found_out() {
    let found = (60..160)
        .step_by(7)
        .any(|operation| std::panic::catch_unwind(|| simulate(operation, 7, true)).is_err());
    assert!(found, "the crash check cannot fail");
}
