//! Promise 4: objects are not taken for garbage because the metadata is not found.

use std::time::Duration;

use cairn_tests::oracle::Observation;
use cairn_tests::s3::{make_bucket, must_put, observe};
use cairn_tests::server::Site;

#[test]
fn a_store_that_lost_its_metadata_is_not_founded_anew() {
    let site = Site::new(1);
    let server = site.start();
    make_bucket(&server.client, "kept");
    let photo = vec![7; 300_000];
    must_put(&server.client, "kept/photo", &photo);
    server.stop();
    let disk = site.directories.first().expect("a directory");
    let (metadata, aside) = (disk.join("metadata"), site.home().join("aside"));
    std::fs::rename(&metadata, &aside).expect("the metadata goes");
    let mut refused = site.launch();
    let status = (0..500).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        refused.exited()
    });
    assert!(!status.expect("it ends").success());
    let printed = site.printed();
    assert!(printed.contains("its metadata is lost"), "{printed}");
    // Put back, everything is there.
    std::fs::remove_dir_all(&metadata).expect("the empty one goes");
    std::fs::rename(&aside, &metadata).expect("the metadata comes back");
    let server = site.start();
    let seen = observe(&server.client, "kept/photo").expect("an answer");
    assert!(matches!(seen, Observation::Present { bytes, .. } if bytes == photo));
}
