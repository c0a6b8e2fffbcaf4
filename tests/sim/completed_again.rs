//! CompleteMultipartUpload asked again: success for the upload that was completed, and for no other
//! that would have made the same bytes.

use cairn_compat_suite::call::Call;

use crate::machine::{Machine, Node};
use crate::s3::{Answer, send};

const PATH: &str = "/photos/key";

/// An upload of one part, whose bytes are the same each time: its id and the part's ETag.
async fn upload(node: &Node, author: &str) -> (String, String) {
    let create = Call::new("POST", PATH).query("uploads", "");
    let begun = send(node, create.header("x-amz-meta-author", author)).await;
    let id = begun.text();
    let id = id.split("<UploadId>").nth(1).unwrap();
    let id = id.split('<').next().unwrap().to_owned();
    let part = Call::new("PUT", PATH).query("partNumber", "1");
    let part = part.query("uploadId", &id).body(vec![7; 9_000]);
    let part = send(node, part).await;
    (id, part.etag.unwrap())
}

async fn complete(node: &Node, (id, etag): &(String, String)) -> Answer {
    let part = format!("<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>");
    let document = format!("<CompleteMultipartUpload>{part}</CompleteMultipartUpload>");
    let call = Call::new("POST", PATH).query("uploadId", id);
    send(node, call.body(document)).await
}

#[tokio::test(start_paused = true)]
async fn only_the_upload_that_was_completed_is_completed_again() {
    let node = Machine::new(1).start().await.unwrap();
    assert!(send(&node, Call::new("PUT", "/photos")).await.is_success());
    let aborted = upload(&node, "one").await;
    let completed = upload(&node, "other").await;
    let abort = Call::new("DELETE", PATH).query("uploadId", &aborted.0);
    assert_eq!(send(&node, abort).await.status, 204);
    assert_eq!(complete(&node, &completed).await.status, 200);
    assert_eq!(complete(&node, &completed).await.status, 200);
    let again = complete(&node, &aborted).await;
    assert_eq!(again.status, 404, "{}", again.text());
    assert!(again.text().contains("NoSuchUpload"), "{}", again.text());
}
