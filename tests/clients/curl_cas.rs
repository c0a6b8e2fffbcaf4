//! curl on the chunk API, with and without `--aws-sigv4`, as README shows it.

use std::path::{Path, PathBuf};
use std::process::Command;

use cairn_tests::binary;
use cairn_tests::content::Piece;
use cairn_tests::server::{ACCESS_KEY, SECRET_KEY, Server, Site, give_credentials};
use cairn_tests::skip;
use cairn_tests::tools::{Tool, command, must_run};
use sha2::{Digest, Sha256};

const UNSIGNED: [&str; 2] = ["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"];

/// curl in a folder, against a server.
struct Curl<'s> {
    program: PathBuf,
    home: &'s Path,
    endpoint: &'s str,
    user: String,
}

impl Curl<'_> {
    /// Signs with `--aws-sigv4`; gives the status. The answer's body is in the file `out`.
    fn signed(&self, arguments: &[&str], path: &str) -> u16 {
        let sigv4 = ["--user", &self.user, "--aws-sigv4", "aws:amz:us-east-1:s3"];
        self.run(&[sigv4.as_slice(), arguments].concat(), path)
    }

    fn run(&self, arguments: &[&str], path: &str) -> u16 {
        let mut command = command(&self.program, self.home);
        command.args(["--silent", "--show-error", "--output", "out"]);
        command.args(["--dump-header", "heads", "--write-out", "%{http_code}"]);
        command.args(arguments);
        let status = must_run(command.arg(format!("{}{path}", self.endpoint)));
        status.parse().expect("a status")
    }

    fn out(&self) -> Vec<u8> {
        std::fs::read(self.home.join("out")).expect("an answer")
    }

    fn text(&self) -> String {
        String::from_utf8(self.out()).expect("text")
    }

    fn has_header(&self, line: &str) -> bool {
        let heads = std::fs::read_to_string(self.home.join("heads")).expect("heads");
        heads.lines().any(|head| head.eq_ignore_ascii_case(line))
    }

    fn post(&self, path: &str, document: &str) -> u16 {
        let data = ["--data-binary", document];
        self.signed(&[data, UNSIGNED].concat(), path)
    }
}

fn curl<'s>(site: &'s Site, server: &'s Server<'_>, user: &str) -> Option<Curl<'s>> {
    let program = Tool::Curl.find();
    if program.is_none() {
        skip::missing_tool("curl");
    }
    Some(Curl {
        program: program?,
        home: site.home(),
        endpoint: &server.endpoint,
        user: user.to_owned(),
    })
}

/// Writes a file for curl to send; gives its bytes and their hash.
fn file(site: &Site, name: &str, seed: u64, length: usize) -> (Vec<u8>, String) {
    let bytes = Piece { seed, length }.bytes();
    std::fs::write(site.home().join(name), &bytes).expect("a file");
    let hash = hex::encode(Sha256::digest(&bytes));
    (bytes, hash)
}

fn root() -> String {
    format!("{ACCESS_KEY}:{SECRET_KEY}")
}

fn chunk(hash: &str) -> String {
    format!("/cas/chunks/{hash}")
}

#[test]
fn curl_puts_and_reads_chunks() {
    let site = Site::new(3);
    let server = site.start();
    let Some(curl) = curl(&site, &server, &root()) else {
        return;
    };
    let (one, first) = file(&site, "one", 1, 20 << 20);
    let (_, second) = file(&site, "two", 2, 1_000);
    // curl 7.88 says nothing of the hash it signs: that of nothing for an upload, the body's else.
    assert_eq!(curl.signed(&["--upload-file", "one"], &chunk(&first)), 201);
    assert_eq!(
        curl.text(),
        format!(r#"{{"sha256":"{first}","size":20971520}}"#)
    );
    let data = ["--request", "PUT", "--data-binary", "@two"];
    assert_eq!(curl.signed(&data, &chunk(&second)), 201);
    assert_eq!(
        curl.signed(&data, &chunk(&second.to_uppercase())),
        200,
        "idempotent"
    );
    let wrong = [["--upload-file", "two"], UNSIGNED].concat();
    assert_eq!(curl.signed(&wrong, &chunk(&first)), 400, "{}", curl.text());
    let absent = "0".repeat(64);
    assert_eq!(curl.signed(&wrong, &chunk(&absent)), 400);
    assert_eq!(curl.signed(&[], &chunk(&absent)), 404);

    assert_eq!(curl.signed(&[], &chunk(&first)), 200);
    assert!(curl.out() == one && curl.has_header(&format!("x-chunk-hash: {first}")));
    assert!(curl.has_header("x-chunk-size: 20971520"));
    assert_eq!(
        curl.signed(&["--range", "9999999-10000008"], &chunk(&first)),
        206
    );
    assert_eq!(curl.out(), one[9_999_999..10_000_009]);
    assert_eq!(curl.signed(&["--head"], &chunk(&second)), 200);
    assert!(curl.has_header("content-length: 1000"));
    let tag = format!("If-None-Match: \"{second}\"");
    assert_eq!(curl.signed(&["--header", &tag], &chunk(&second)), 304);

    // The longest there is, and one byte more.
    let (longest, hash) = file(&site, "longest", 5, 64 << 20);
    assert_eq!(
        curl.signed(&["--upload-file", "longest"], &chunk(&hash)),
        201
    );
    assert_eq!(curl.signed(&[], &chunk(&hash)), 200);
    assert!(curl.out() == longest);
    let (_, hash) = file(&site, "longer", 6, (64 << 20) + 1);
    assert_eq!(
        curl.signed(&["--upload-file", "longer"], &chunk(&hash)),
        413
    );
    server.stop();
}

#[test]
fn curl_makes_objects_of_chunks_and_s3_made_chunks_of_objects() {
    let site = Site::new(3);
    let server = site.start();
    let Some(curl) = curl(&site, &server, &root()) else {
        return;
    };
    let (one, first) = file(&site, "one", 1, 1_000_000);
    let (two, second) = file(&site, "two", 2, 1_000);
    let absent = "0".repeat(64);
    for (name, hash) in [("one", &first), ("two", &second)] {
        assert_eq!(curl.signed(&["--upload-file", name], &chunk(hash)), 201);
    }
    let ask = format!(r#"{{"chunks":["{absent}","{first}","{second}"]}}"#);
    assert_eq!(curl.post("/cas/missing", &ask), 200, "{}", curl.text());
    assert_eq!(curl.text(), format!(r#"{{"missing":["{absent}"]}}"#));

    assert_eq!(curl.signed(&["--request", "PUT"], "/made"), 200);
    let piece = |hash: &str, length: usize| format!(r#"{{"sha256":"{hash}","length":{length}}}"#);
    let (a, b) = (piece(&first, one.len()), piece(&second, two.len()));
    let lost = format!(r#"{{"chunks":[{a},{}]}}"#, piece(&absent, 5));
    assert_eq!(curl.post("/cas/objects/made/of%20chunks", &lost), 409);
    assert!(
        curl.text().contains(&format!(r#""missing":["{absent}"]"#)),
        "{}",
        curl.text()
    );
    let good = format!(r#"{{"chunks":[{b},{a},{b}],"content_type":"text/plain"}}"#);
    assert_eq!(
        curl.post("/cas/objects/made/of%20chunks", &good),
        200,
        "{}",
        curl.text()
    );
    assert_eq!(curl.signed(&[], "/made/of%20chunks"), 200);
    assert!(
        curl.out() == [two.as_slice(), &one, &two].concat(),
        "S3 reads it"
    );
    assert!(curl.has_header("content-type: text/plain"));

    // What S3 stored is there as chunks: 16 MiB and the rest.
    let (three, _) = file(&site, "three", 3, 20 << 20);
    assert_eq!(
        curl.signed(
            &[["--upload-file", "three"], UNSIGNED].concat(),
            "/made/three"
        ),
        200
    );
    for piece in three.chunks(16 << 20) {
        assert_eq!(
            curl.signed(&[], &chunk(&hex::encode(Sha256::digest(piece)))),
            200
        );
        assert!(curl.out() == piece);
    }
    server.stop();
}

#[test]
fn two_users_learn_nothing_of_each_other_and_tokens_are_enough() {
    let site = Site::new(1);
    let server = site.start();
    let Some(curl_root) = curl(&site, &server, &root()) else {
        return;
    };
    let mut add = Command::new(binary::cairn());
    give_credentials(&mut add);
    add.args([
        "admin",
        "--endpoint",
        &server.endpoint,
        "user",
        "add",
        "carol",
    ]);
    add.args([
        "--access-key",
        "CAROLACCESS",
        "--secret-key",
        "carols-secret-key",
    ]);
    must_run(&mut add);
    let Some(carol) = curl(&site, &server, "CAROLACCESS:carols-secret-key") else {
        return;
    };
    let (bytes, hash) = file(&site, "secret", 4, 100_000);
    let chunk = chunk(&hash);
    assert_eq!(curl_root.signed(&["--upload-file", "secret"], &chunk), 201);
    assert_eq!(carol.signed(&[], &chunk), 404);
    let ask = format!(r#"{{"chunks":["{hash}"]}}"#);
    assert_eq!(carol.post("/cas/missing", &ask), 200);
    assert_eq!(carol.text(), format!(r#"{{"missing":["{hash}"]}}"#));
    assert_eq!(
        carol.signed(&["--upload-file", "secret"], &chunk),
        201,
        "stored again"
    );
    assert_eq!(carol.signed(&[], &chunk), 200);

    assert_eq!(carol.run(&[], &chunk), 401, "nobody");
    assert_eq!(
        carol.signed(&["--request", "POST"], "/cas/token"),
        200,
        "{}",
        carol.text()
    );
    let answer = carol.text();
    let token = answer
        .split_once(r#""token":""#)
        .and_then(|(_, rest)| rest.split_once('"'));
    let (token, _) = token.expect("a token");
    let bearer = ["--header", &format!("Authorization: Bearer {token}")];
    assert_eq!(carol.run(&bearer, &chunk), 200);
    assert!(carol.out() == bytes);
    let post = ["--data-binary", &ask];
    assert_eq!(carol.run(&[bearer, post].concat(), "/cas/missing"), 200);
    assert_eq!(carol.text(), r#"{"missing":[]}"#);
    let mut remove = Command::new(binary::cairn());
    give_credentials(&mut remove);
    remove.args([
        "admin",
        "--endpoint",
        &server.endpoint,
        "user",
        "remove",
        "CAROLACCESS",
    ]);
    must_run(&mut remove);
    assert_eq!(carol.run(&bearer, &chunk), 401, "a removed user's token");
    server.stop();
}

#[test]
fn what_a_put_or_a_present_answer_has_said_survives_a_kill() {
    let site = Site::new(1);
    let mut hashes: Vec<String> = Vec::new();
    for round in 0..3_u64 {
        let mut server = site.start();
        let Some(curl) = curl(&site, &server, &root()) else {
            return;
        };
        let list = |hashes: &[String]| {
            let quoted: Vec<String> = hashes.iter().map(|hash| format!("\"{hash}\"")).collect();
            format!(r#"{{"chunks":[{}]}}"#, quoted.join(","))
        };
        assert_eq!(curl.post("/cas/missing", &list(&hashes)), 200);
        assert_eq!(curl.text(), r#"{"missing":[]}"#, "round {round}");
        for hash in &hashes {
            assert_eq!(curl.signed(&[], &chunk(hash)), 200);
            assert_eq!(&hex::encode(Sha256::digest(curl.out())), hash);
        }
        for piece in 0..8 {
            let length = [1, 5_000, 70_000, 1 << 20][piece % 4];
            let (_, hash) = file(&site, "piece", 100 + 10 * round + piece as u64, length);
            let path = chunk(&hash);
            assert_eq!(curl.signed(&["--upload-file", "piece"], &path), 201);
            hashes.push(hash);
        }
        drop(curl);
        server.kill_nine_now();
    }
    let server = site.start();
    let Some(curl) = curl(&site, &server, &root()) else {
        return;
    };
    for hash in &hashes {
        assert_eq!(curl.signed(&[], &chunk(hash)), 200);
    }
    server.stop();
}
