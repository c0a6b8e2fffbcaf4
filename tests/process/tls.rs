//! HTTPS as real clients speak it, and another certificate at SIGHUP while connections are open.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cairn_compat_suite::{Call, Client, runner};
use cairn_tests::content::Piece;
use cairn_tests::s3::{self, make_bucket, must_put};
use cairn_tests::server::{ACCESS_KEY, SECRET_KEY, Server, Site};
use cairn_tests::skip;
use cairn_tests::tools::{Tool, aws, command, must_fail, must_run};

fn self_signed() -> Site {
    let mut site = Site::new(1);
    site.arguments = vec!["--tls-self-signed".to_owned()];
    site
}

#[test]
fn curl_speaks_both_http_versions_to_a_self_signed_server() {
    let Some(program) = Tool::Curl.find() else {
        return skip::missing_tool("curl");
    };
    let site = self_signed();
    let server = site.start();
    let trusted = site.certificate().expect("a certificate");
    make_bucket(&server.client, "secure");
    let bytes = Piece {
        seed: 11,
        length: 9 << 20,
    }
    .bytes();
    std::fs::write(site.home().join("up"), &bytes).expect("a file");
    let url = format!("{}/secure/key", server.endpoint);
    for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let curl = |arguments: &[&str]| {
            let mut command = command(&program, site.home());
            command.args(["--silent", "--show-error", "--fail", option, "--cacert"]);
            command
                .arg(&trusted)
                .args(["--aws-sigv4", "aws:amz:us-east-1:s3"]);
            command.args(["--user", &format!("{ACCESS_KEY}:{SECRET_KEY}")]);
            command.args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
            command.args(["--write-out", "%{http_version} %{http_code}"]);
            must_run(command.args(arguments).arg(&url))
        };
        let put = curl(&["--upload-file", "up", "--output", "out"]);
        assert_eq!(put, format!("{version} 200"));
        assert_eq!(curl(&["--output", "down"]), format!("{version} 200"));
        assert!(std::fs::read(site.home().join("down")).expect("a file") == bytes);
        assert_eq!(curl(&["--request", "DELETE"]), format!("{version} 204"));
    }
    let mut untrusting = command(&program, site.home());
    let said = must_fail(untrusting.args(["--silent", "--show-error", &url]));
    assert!(said.contains("self-signed certificate"), "{said}");
    let printed = site.printed();
    assert!(printed.contains(&format!("cairn is ready on {}", server.endpoint)));
    assert!(
        printed.contains("tls/certificate.pem\n  SHA-256 "),
        "{printed}"
    );
    server.stop();
}

#[test]
fn curl_speaks_http_2_without_tls_by_prior_knowledge() {
    let Some(program) = Tool::Curl.find() else {
        return skip::missing_tool("curl");
    };
    let site = Site::new(1);
    let server = site.start();
    let mut curl = command(&program, site.home());
    curl.args([
        "--silent",
        "--http2-prior-knowledge",
        "--write-out",
        "%{http_version}",
    ]);
    let said = must_run(curl.arg(format!("{}/health/live", server.endpoint)));
    assert_eq!(said, "live\n2");
    server.stop();
}

#[test]
fn aws_cli_and_the_admin_client_speak_https() {
    if Tool::AwsNewest.find().is_none() {
        return skip::missing_tool("aws-cli");
    }
    let site = self_signed();
    let server = site.start();
    let trusted = site.certificate().expect("a certificate");
    let aws = |arguments: &[&str]| {
        let mut command = aws(Tool::AwsNewest, &server, site.home(), arguments);
        must_run(command.env("AWS_CA_BUNDLE", &trusted))
    };
    let bytes = Piece {
        seed: 12,
        length: 20 << 20,
    }
    .bytes();
    std::fs::write(site.home().join("up"), &bytes).expect("a file");
    aws(&["s3", "mb", "s3://first"]);
    aws(&["s3", "cp", "up", "s3://first/in-parts"]);
    aws(&["s3", "cp", "s3://first/in-parts", "down"]);
    assert!(std::fs::read(site.home().join("down")).expect("a file") == bytes);
    let made = server
        .client
        .send(&Call::new("POST", "first/k").query("uploads", ""));
    let id = s3::upload_id(&made.expect("an answer")).expect("an upload");
    let part = Call::new("PUT", "first/k").query("partNumber", "1");
    let part = part.query("uploadId", &id).body(b"part".to_vec());
    let part = server.client.send(&part).expect("an answer");
    let etag = part.header("etag").expect("an etag").to_owned();
    let complete = Call::new("POST", "first/k").query("uploadId", &id);
    let complete = complete.body(s3::completion(&[etag]).into_bytes());
    let said = server.client.send(&complete).expect("an answer").text();
    let location = format!("<Location>{}/first/k</Location>", server.endpoint);
    assert!(said.contains(&location), "{said}");

    let mut admin = Command::new(cairn_tests::binary::cairn());
    cairn_tests::server::give_credentials(&mut admin);
    admin.args(["admin", "--endpoint", &server.endpoint, "--cacert"]);
    admin.arg(&trusted).args(["user", "list"]);
    assert!(must_run(&mut admin).contains(ACCESS_KEY));
    let mut admin = Command::new(cairn_tests::binary::cairn());
    cairn_tests::server::give_credentials(&mut admin);
    admin.args(["admin", "--endpoint", &server.endpoint, "user", "list"]);
    assert!(must_fail(&mut admin).contains("--cacert"));
    server.stop();
}

#[test]
fn the_compat_suite_passes_over_https() {
    let site = self_signed();
    let server = site.start();
    let mut said = Vec::new();
    let score = runner::run(&server.client, "", &mut said).expect("a run");
    let said = String::from_utf8_lossy(&said);
    assert!(score.ran > 0 && score.passed == score.ran, "{said}");
    server.stop();
}

/// Three pairs that openssl makes, one with each kind of key file.
fn pairs(home: &Path) -> Option<Vec<(PathBuf, PathBuf)>> {
    let kinds = [
        "openssl ecparam -name prime256v1 -genkey -noout -out 0.key",
        "openssl genrsa -traditional -out 1.key 2048",
        "openssl genpkey -algorithm ed25519 -out 2.key",
    ];
    let begins = ["EC PRIVATE", "RSA PRIVATE", "PRIVATE"];
    let mut pairs = Vec::new();
    for (at, (kind, begin)) in kinds.iter().zip(begins).enumerate() {
        let certificate = format!(
            "{kind} && openssl req -x509 -key {at}.key -out {at}.pem -days 2 -subj /CN=test \
             -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
        );
        let mut shell = Command::new("sh");
        let made = shell.args(["-c", &certificate]).current_dir(home).output();
        if !made.is_ok_and(|output| output.status.success()) {
            return None;
        }
        let path = |kind: &str| home.join(format!("{at}.{kind}"));
        let key = std::fs::read_to_string(path("key")).expect("a key");
        assert!(key.starts_with(&format!("-----BEGIN {begin} KEY")), "{key}");
        pairs.push((path("pem"), path("key")));
    }
    Some(pairs)
}

/// Whether a server shows this certificate to new connections; waits for it.
fn shows(server: &Server<'_>, certificate: &Path) -> bool {
    let trusted = std::fs::read(certificate).expect("a certificate");
    let client = Client::over_tls(&server.endpoint, ACCESS_KEY, SECRET_KEY, &trusted);
    let client = client.expect("a client");
    (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        client.connect().is_ok()
    })
}

#[test]
fn another_certificate_is_served_after_sighup_and_a_broken_one_is_not() {
    let mut site = Site::new(1);
    let Some(pairs) = pairs(site.home()) else {
        return skip::machine("openssl is not installed");
    };
    let (chain, key) = (site.home().join("chain.pem"), site.home().join("key.pem"));
    let install = |(certificate, private): &(PathBuf, PathBuf)| {
        std::fs::copy(certificate, &chain).expect("a copy");
        std::fs::copy(private, &key).expect("a copy");
    };
    install(&pairs[0]);
    let path = |path: &Path| path.display().to_string();
    site.arguments = vec![
        "--tls-cert".into(),
        path(&chain),
        "--tls-key".into(),
        path(&key),
    ];
    let server = site.start();
    make_bucket(&server.client, "kept");
    must_put(&server.client, "kept/key", b"kept");

    // An upload that is half done goes on through all of it.
    let content = vec![7; 4 << 20];
    let encoded = server.client.encode(&s3::put("kept/slow", content));
    let (first, second) = encoded.body.split_at(1 << 20);
    let mut open = server.client.connect().expect("a connection");
    open.send(&encoded.head).expect("a head");
    open.send(first).expect("a part");

    for pair in &pairs[1..] {
        install(pair);
        server.hang_up();
        assert!(shows(&server, &pair.0), "{}", site.printed());
    }
    std::fs::copy(&pairs[0].1, &key).expect("a copy");
    server.hang_up();
    std::thread::sleep(Duration::from_millis(300));
    assert!(shows(&server, &pairs[2].0), "the one before");
    let printed = site.printed();
    assert!(
        printed.contains("the certificate before it is still served"),
        "{printed}"
    );
    assert!(!printed.contains("PRIVATE KEY"), "{printed}");

    open.send(second).expect("the rest");
    assert_eq!(open.receive("PUT").expect("an answer").status, 200);
    server.terminate();
    assert!(server.wait_exit().success());
}

#[test]
fn sighup_does_not_end_a_server_without_tls() {
    let site = Site::new(1);
    let server = site.start();
    server.hang_up();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(server.health("live"), Some(200));
    server.stop();
}

#[test]
fn a_pair_that_cannot_be_used_ends_the_start() {
    let mut site = Site::new(1);
    let Some(pairs) = pairs(site.home()) else {
        return skip::machine("openssl is not installed");
    };
    for (chain, key, why) in [
        (&pairs[0].0, &pairs[1].1, "cannot be used"),
        (&pairs[0].1, &pairs[0].1, "no certificate in it"),
        (&pairs[0].0, &pairs[0].0, "no unencrypted"),
        (&site.home().join("none"), &pairs[0].1, "No such file"),
    ] {
        let mut server = Command::new(cairn_tests::binary::cairn());
        server
            .arg("server")
            .args(&site.directories)
            .args(["--listen", "127.0.0.1:0"]);
        server
            .arg("--tls-cert")
            .arg(chain)
            .arg("--tls-key")
            .arg(key);
        let said = must_fail(&mut server);
        assert!(said.contains(why), "{said}");
    }
    site.arguments.clear();
}
