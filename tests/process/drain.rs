//! SIGTERM: uploads in flight are finished and kept, new work is not taken, the process ends by
//! itself with code 0, and idle connections do not hold it up.

use std::time::Duration;

use cairn_tests::content::{Content, Piece};
use cairn_tests::oracle::Observation;
use cairn_tests::s3::{self, make_bucket, must_put};
use cairn_tests::server::Site;

#[test]
fn sigterm_drains_an_upload_in_flight() {
    let site = Site::new(1);
    let server = site.start();
    make_bucket(&server.client, "drain");
    must_put(&server.client, "drain/before", b"before");

    let _idle = server.client.connect().expect("an idle connection");
    let content = Content::Whole(Piece {
        seed: 5,
        length: 8 << 20,
    });
    let encoded = server
        .client
        .encode(&s3::put("drain/upload", content.bytes()));
    let (first, second) = encoded.body.split_at(encoded.body.len() / 2);
    let mut connection = server.client.connect().expect("a connection");
    connection.send(&encoded.head).expect("the head is taken");
    connection.send(first).expect("half of the body is taken");

    server.terminate();
    std::thread::sleep(Duration::from_millis(500));
    assert_ne!(
        server.health("ready"),
        Some(200),
        "a draining server is not ready"
    );

    connection.send(second).expect("a draining server reads on");
    let response = connection
        .receive("PUT")
        .expect("a draining server answers");
    assert_eq!(response.status, 200, "{}", response.text());
    let status = server.wait_exit();
    assert!(status.success(), "ended with {status}");

    let server = site.start();
    let expected = Observation::Present {
        bytes: content.bytes(),
        etag: content.etag(),
    };
    assert!(
        s3::observe(&server.client, "drain/upload") == Ok(expected),
        "the upload is lost"
    );
    let before = s3::observe(&server.client, "drain/before").expect("a read");
    assert!(matches!(before, Observation::Present { bytes, .. } if bytes == b"before"));
}

#[test]
fn an_upload_cut_off_by_its_client_leaves_nothing() {
    let site = Site::new(1);
    let server = site.start();
    make_bucket(&server.client, "cut");
    let encoded = server
        .client
        .encode(&s3::put("cut/short", vec![7; 4 << 20]));
    let mut connection = server.client.connect().expect("a connection");
    connection.send(&encoded.head).expect("the head is taken");
    connection
        .send(encoded.body.get(..1 << 20).expect("a part"))
        .expect("a part is taken");
    drop(connection);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(
        s3::observe(&server.client, "cut/short"),
        Ok(Observation::Absent)
    );
    assert_eq!(s3::list_all(&server.client, "cut", 10), Ok(Vec::new()));
    server.stop();
}
