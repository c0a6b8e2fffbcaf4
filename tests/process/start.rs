//! What a first start, a later start and a bootstrap file do.

use std::path::Path;

use cairn_compat_suite::{Call, xml};
use cairn_tests::s3::{self, make_bucket, must_put};
use cairn_tests::server::Site;
use cairn_tests::skip;

const TWO_USERS: &str = "\
[[user]]
id = \"alice\"
display_name = \"Alice\"
email = \"alice@example.com\"
access_key = \"ALICEACCESSKEY\"
secret_key = \"alice-secret-key-1\"

[[user]]
id = \"bob\"
display_name = \"Bob\"
email = \"bob@example.com\"
access_key = \"BOBACCESSKEY\"
secret_key = \"bob-secret-key-22\"
";

#[test]
fn live_and_ready_answer_and_a_restart_keeps_objects() {
    let site = Site::new(1);
    let server = site.start();
    assert_eq!(server.health("live"), Some(200));
    make_bucket(&server.client, "kept");
    must_put(&server.client, "kept/a", b"one");
    server.stop();
    let server = site.start();
    let response = server
        .client
        .send(&Call::new("GET", "kept/a"))
        .expect("an answer");
    assert_eq!(response.body, b"one");
}

#[test]
fn a_strangers_signature_is_refused() {
    let site = Site::new(1);
    let server = site.start();
    make_bucket(&server.client, "mine");
    for (access, secret) in [
        ("nobody-known", "cairn-test-secret-0123456789"),
        (cairn_tests::server::ACCESS_KEY, "not-the-secret-key-at-all"),
    ] {
        let stranger = server.client.with_credentials(access, secret);
        let response = stranger.send(&Call::new("GET", "mine")).expect("an answer");
        assert_eq!(response.status, 403, "{}", response.text());
    }
}

#[test]
fn bootstrap_users_own_what_they_make_and_nothing_else() {
    let mut site = Site::new(1);
    let file = site.home().join("bootstrap.toml");
    std::fs::write(&file, TWO_USERS).expect("a bootstrap file");
    site.arguments = vec![
        "--bootstrap".to_owned(),
        file.to_string_lossy().into_owned(),
    ];
    for start in 0..2 {
        let server = site.start();
        let alice = server
            .client
            .with_credentials("ALICEACCESSKEY", "alice-secret-key-1");
        let bob = server
            .client
            .with_credentials("BOBACCESSKEY", "bob-secret-key-22");
        if start == 0 {
            make_bucket(&alice, "alices");
            must_put(&alice, "alices/k", b"hers");
        }
        for call in [
            Call::new("GET", "alices/k"),
            s3::put("alices/k", b"his".to_vec()),
        ] {
            let response = bob.send(&call).expect("an answer");
            assert_eq!(response.status, 403, "{}: {}", call.method, response.text());
        }
        let mine = alice
            .send(&Call::new("GET", "alices/k"))
            .expect("an answer");
        assert_eq!(mine.body, b"hers");
        let buckets = bob.send(&Call::new("GET", "/")).expect("an answer");
        let listed = xml::parse(&buckets.text()).expect("a listing");
        assert!(
            listed.texts("Buckets/Bucket/Name").is_empty(),
            "{}",
            buckets.text()
        );
        server.stop();
    }
}

#[test]
fn an_unknown_bootstrap_key_is_refused_with_its_line() {
    let mut site = Site::new(1);
    let file = site.home().join("bootstrap.toml");
    std::fs::write(&file, format!("{TWO_USERS}nickname = \"bobby\"\n")).expect("a file");
    site.arguments = vec![
        "--bootstrap".to_owned(),
        file.to_string_lossy().into_owned(),
    ];
    let status = site.launch().wait_exit();
    assert!(!status.success(), "an unknown key was taken");
    let printed = site.printed();
    let line = TWO_USERS.lines().count() + 1;
    assert!(
        printed.contains("nickname") && printed.contains(&line.to_string()),
        "{printed}"
    );
}

#[test]
fn the_conformance_bootstrap_loads() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let file = shared.join("bootstrap.toml");
    if !file.exists() {
        return skip::machine("shared/conformance is not beside this repository");
    }
    let mut site = Site::new(1);
    site.arguments = vec![
        "--bootstrap".to_owned(),
        file.to_string_lossy().into_owned(),
    ];
    let server = site.start();
    let user = server.client.with_credentials(
        "NOPQRSTUVWXYZABCDEFG",
        "nopqrstuvwxyzabcdefghijklmnabcdefghijklm",
    );
    make_bucket(&user, "conformance");
    server.stop();
}
