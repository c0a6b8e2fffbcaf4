//! A gateway killed in the middle of an upload: the other one serves, nothing of the upload is
//! seen, and what was acknowledged through the dead one is there.

use std::time::Duration;

use cairn_compat_suite::{Call, Client};
use cairn_tests::cluster::Cluster;
use cairn_tests::content::{Content, Piece};
use cairn_tests::oracle::Observation;
use cairn_tests::patience::eventually;
use cairn_tests::s3::{self, make_bucket, must_put};

const BUCKET: &str = "dies";
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn an_upload_cut_off_with_its_gateway_leaves_nothing() {
    let mut cluster = Cluster::start();
    whole_uploads(&mut cluster);
    multipart_upload(&mut cluster);
}

fn whole_uploads(cluster: &mut Cluster) {
    let (dying, other) = (cluster.client(0), cluster.client(1));
    make_bucket(&dying, BUCKET);
    let old = whole(1, 300_001);
    must_put(&dying, &path("over"), &old.bytes());

    let mut uploads = Vec::new();
    for (key, seed) in [("fresh", 2), ("over", 3)] {
        let encoded = dying.encode(&s3::put(&path(key), whole(seed, 40 << 20).bytes()));
        let mut connection = dying.connect().expect("a connection");
        connection.send(&encoded.head).expect("the head is taken");
        let most = encoded.body.get(..36 << 20).expect("a large body");
        connection.send(most).expect("most of the body is taken");
        uploads.push(connection);
    }
    cluster.gateway(0).process.kill_nine();
    drop(uploads);

    nothing_was_left(&other, &old);
    must_put(&other, &path("after"), b"served on");
    let after = s3::observe(&other, &path("after"));
    assert!(matches!(after, Ok(Observation::Present { bytes, .. }) if bytes == b"served on"));
    let gone = Call::new("DELETE", &path("after"));
    assert_eq!(other.send(&gone).expect("an answer").status, 204);

    cluster.restart_gateway(0);
    nothing_was_left(&dying, &old);
    nothing_was_left(&other, &old);
}

fn nothing_was_left(client: &Client, old: &Content) {
    assert_eq!(s3::observe(client, &path("fresh")), Ok(Observation::Absent));
    let over = Observation::Present {
        bytes: old.bytes(),
        etag: old.etag(),
    };
    assert!(
        s3::observe(client, &path("over")) == Ok(over),
        "an upload that was never finished replaced an object"
    );
    let listed = s3::list_all(client, BUCKET, 10).expect("a listing");
    let keys: Vec<&str> = listed.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(keys, ["over"]);
}

/// Parts that one gateway has acknowledged are completed by the other.
fn multipart_upload(cluster: &mut Cluster) {
    let (dying, other) = (cluster.client(0), cluster.client(1));
    let created = dying.send(&Call::new("POST", &path("parts")).query("uploads", ""));
    let id = s3::upload_id(&created.expect("an answer")).expect("an upload id");
    let pieces = [(1, 5 << 20), (2, 5 << 20), (3, 70_000)].map(|(number, length)| Piece {
        seed: 40 + number,
        length,
    });
    let part = |client: &Client, number: usize| {
        let piece = pieces.get(number - 1).expect("a piece");
        let body = piece.bytes();
        let call = s3::put(&path("parts"), body).query("uploadId", &id);
        let sent = client.send(&call.query("partNumber", &number.to_string()));
        let sent = sent.expect("an answer");
        assert_eq!(sent.status, 200, "{}", sent.text());
        sent.header("etag").expect("an ETag").to_owned()
    };
    let mut etags = vec![part(&dying, 1), part(&dying, 2)];

    let last = dying.encode(&upload_of_a_part(&id));
    let mut connection = dying.connect().expect("a connection");
    connection.send(&last.head).expect("the head is taken");
    connection
        .send(last.body.get(..1 << 20).expect("a large body"))
        .expect("some is taken");
    cluster.gateway(0).process.kill_nine();

    etags.push(part(&other, 3));
    let call = Call::new("POST", &path("parts")).query("uploadId", &id);
    let completed = other.send(&call.body(s3::completion(&etags)));
    assert_eq!(
        s3::completion_answer(&completed),
        cairn_tests::oracle::Answer::Acknowledged,
        "{completed:?}"
    );
    cluster.restart_gateway(0);
    let content = Content::Parts(pieces.to_vec());
    let expected = Observation::Present {
        bytes: content.bytes(),
        etag: content.etag(),
    };
    for client in [&other, &dying] {
        let seen = eventually("a read", PATIENCE, || s3::observe(client, &path("parts")));
        assert!(seen == expected, "the completed object has other bytes");
    }
}

/// Part 3, which will not be sent whole.
fn upload_of_a_part(id: &str) -> Call {
    let body = Piece {
        seed: 99,
        length: 6 << 20,
    };
    s3::put(&path("parts"), body.bytes())
        .query("uploadId", id)
        .query("partNumber", "3")
}

fn whole(seed: u64, length: usize) -> Content {
    Content::Whole(Piece { seed, length })
}

fn path(key: &str) -> String {
    format!("{BUCKET}/{key}")
}
