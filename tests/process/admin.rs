//! `cairn admin user add|list|remove` against a running server.

use std::process::Command;

use cairn_compat_suite::Call;
use cairn_tests::binary;
use cairn_tests::s3::{make_bucket, must_put};
use cairn_tests::server::{Server, Site, give_credentials};
use cairn_tests::tools::{must_fail, must_run};

fn admin(server: &Server<'_>, words: &[&str]) -> Command {
    let mut command = Command::new(binary::cairn());
    give_credentials(&mut command);
    command
        .args(["admin", "--endpoint", &server.endpoint])
        .args(words);
    command
}

#[test]
fn users_are_added_listed_and_removed_while_the_server_runs() {
    let site = Site::new(1);
    let server = site.start();
    let keys = [
        "--access-key",
        "CAROLACCESS",
        "--secret-key",
        "carols-secret-key",
    ];
    let add = [["user", "add", "carol"].as_slice(), &keys].concat();
    must_run(&mut admin(&server, &add));
    let carol = server
        .client
        .with_credentials("CAROLACCESS", "carols-secret-key");
    make_bucket(&carol, "carols");
    must_put(&carol, "carols/k", b"hers");

    let listed = must_run(&mut admin(&server, &["user", "list"]));
    assert!(
        listed.contains("CAROLACCESS") && listed.contains("carol"),
        "{listed}"
    );
    assert!(!listed.contains("carols-secret-key"), "a secret is listed");

    must_run(&mut admin(&server, &["user", "remove", "CAROLACCESS"]));
    let refused = carol
        .send(&Call::new("GET", "carols/k"))
        .expect("an answer");
    assert_eq!(refused.status, 403, "a removed key still works");
    let kept = server
        .client
        .send(&Call::new("GET", "carols/k"))
        .expect("an answer");
    assert_eq!(kept.body, b"hers", "what a removed user owns stays");
    server.stop();
}

#[test]
fn a_removed_user_stays_removed_after_a_restart() {
    let site = Site::new(1);
    let server = site.start();
    let generated = must_run(&mut admin(&server, &["user", "add", "dave"]));
    let value = |name: &str| {
        let line = generated.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {generated}"))
            .trim()
            .to_owned()
    };
    let (access, secret) = (value("access key"), value("secret key"));
    make_bucket(&server.client.with_credentials(&access, &secret), "daves");
    must_run(&mut admin(&server, &["user", "remove", &access]));
    server.stop();
    let server = site.start();
    let dave = server.client.with_credentials(&access, &secret);
    let refused = dave.send(&Call::new("GET", "daves")).expect("an answer");
    assert_eq!(refused.status, 403);
}

#[test]
fn the_clock_is_shown_and_accepted() {
    let site = Site::new(1);
    let server = site.start();
    let shown = must_run(&mut admin(&server, &["clock", "show"]));
    assert!(shown.trim_end().ends_with("\truns"), "{shown}");
    let accepted = must_run(&mut admin(&server, &["clock", "accept"]));
    assert!(accepted.trim_end().ends_with("\truns"), "{accepted}");
    server.stop();
}

#[test]
fn admin_calls_need_the_root_credentials() {
    let site = Site::new(1);
    let server = site.start();
    let mut stranger = admin(&server, &["user", "list"]);
    stranger.env("CAIRN_ROOT_SECRET_KEY", "not-the-right-secret");
    must_fail(&mut stranger);
    must_fail(&mut admin(
        &server,
        &[
            "user",
            "add",
            "eve",
            "--access-key",
            "ab",
            "--secret-key",
            "12345678",
        ],
    ));
    must_fail(&mut admin(
        &server,
        &[
            "user",
            "add",
            "eve",
            "--access-key",
            "abc",
            "--secret-key",
            "1234567",
        ],
    ));
}
