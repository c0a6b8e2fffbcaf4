//! Promise 5: a server's memory does not grow with what is uploaded or downloaded.

use cairn_compat_suite::{Call, Payload};
use cairn_tests::content::Piece;
use cairn_tests::s3::{self, make_bucket};
use cairn_tests::server::{Server, Site};
use cairn_tests::skip;

const TRANSFERS: u64 = 6;
const LENGTH: usize = 128 << 20;
/// Far less than the bodies in flight, and more than stripes, stores and caches need.
const RESIDENT_MAX_KIB: u64 = 384 << 10;

#[test]
fn memory_does_not_grow_with_bodies() {
    let site = Site::new(1);
    let server = site.start();
    make_bucket(&server.client, "large");
    let body = Piece {
        seed: 8,
        length: LENGTH,
    }
    .bytes();
    let Some(before) = peak_resident_kib(&server) else {
        return skip::machine("no /proc to read a process's memory from");
    };
    in_parallel(|transfer| {
        let call = s3::put(&format!("large/{transfer}"), body.clone()).payload(Payload::Unsigned);
        let response = server.client.send(&call).expect("an answer");
        assert_eq!(response.status, 200, "{}", response.text());
    });
    in_parallel(|transfer| {
        let response = server
            .client
            .send(&Call::new("GET", &format!("large/{transfer}")));
        assert!(
            response.expect("an answer").body == body,
            "object {transfer} has other bytes"
        );
    });
    let after = peak_resident_kib(&server).expect("the server's memory");
    assert!(
        after < RESIDENT_MAX_KIB,
        "{TRANSFERS} bodies of {LENGTH} bytes took the server from {before} to {after} KiB"
    );
    server.stop();
}

fn in_parallel(transfer: impl Fn(u64) + Sync) {
    std::thread::scope(|scope| {
        for number in 0..TRANSFERS {
            let transfer = &transfer;
            scope.spawn(move || transfer(number));
        }
    });
}

/// The most memory that the server has had resident so far.
fn peak_resident_kib(server: &Server<'_>) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
