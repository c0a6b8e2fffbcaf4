//! Promise 1, seen from the kernel: between a PUT and its 200 at least one flush has succeeded, and
//! for data outside metadata flushes of two files: the shard's and the journal's.

use cairn_tests::content::Piece;
use cairn_tests::flushes;
use cairn_tests::s3::{make_bucket, must_put};
use cairn_tests::server::Site;
use cairn_tests::skip;
use cairn_tests::tools::Tool;

const ROUNDS: u64 = 8;
/// (bytes, files that must be flushed): inline, copied, striped, several chunks.
const CLASSES: [(usize, usize); 4] = [(100, 1), (10_000, 2), (1 << 20, 2), (20 << 20, 2)];

#[test]
fn each_sequential_put_flushes_before_its_200() {
    if Tool::Strace.find().is_none() {
        return skip::missing_tool("strace");
    }
    let mut site = Site::new(1);
    let trace = site.home().join("strace.out");
    site.wrapper = flushes::wrapper(&trace.to_string_lossy());
    let seen = || flushes::successful(&std::fs::read_to_string(&trace).unwrap_or_default());
    let server = site.start();
    make_bucket(&server.client, "flushed");
    for (length, files) in CLASSES {
        for round in 0..ROUNDS {
            let before = seen().len();
            let body = Piece {
                seed: round,
                length,
            }
            .bytes();
            must_put(&server.client, &format!("flushed/{length}-{round}"), &body);
            let all = seen();
            let fresh = all.get(before..).unwrap_or_default();
            let distinct = flushes::files(fresh);
            assert!(
                distinct.len() >= files,
                "a PUT of {length} bytes was acknowledged after flushes of {distinct:?} only"
            );
        }
    }
    server.stop();
}
