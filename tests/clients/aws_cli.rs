//! aws-cli, the newest version 1 and Debian's version 2.

use std::path::Path;

use cairn_compat_suite::checksums::sha256_hex;
use cairn_tests::content::Piece;
use cairn_tests::server::{Server, Site};
use cairn_tests::skip;
use cairn_tests::tools::{Tool, aws, must_fail, must_run};

const LARGE: usize = 100 << 20;

#[test]
fn newest_aws_cli_round_trips() {
    round_trips(Tool::AwsNewest);
}

#[test]
fn debian_aws_cli_round_trips() {
    round_trips(Tool::AwsDebian);
}

#[test]
fn newest_aws_cli_is_refused_a_second_create() {
    if Tool::AwsNewest.find().is_none() {
        return skip::missing_tool("aws-cli");
    }
    let site = Site::new(1);
    let server = site.start();
    let home = site.home();
    let run = |arguments: &[&str]| must_run(&mut aws(Tool::AwsNewest, &server, home, arguments));
    run(&["s3api", "create-bucket", "--bucket", "once"]);
    write(home, "body", b"first");
    let create = [
        "s3api",
        "put-object",
        "--bucket",
        "once",
        "--key",
        "k",
        "--body",
        "body",
    ];
    let create = [create.as_slice(), &["--if-none-match", "*"]].concat();
    run(&create);
    let refused = must_fail(&mut aws(Tool::AwsNewest, &server, home, &create));
    assert!(refused.contains("PreconditionFailed"), "{refused}");
    server.stop();
}

fn round_trips(tool: Tool) {
    if tool.find().is_none() {
        return skip::missing_tool("aws-cli");
    }
    let site = Site::new(1);
    let server = site.start();
    let home = site.home();
    large_object(tool, &server, home);
    small_objects(tool, &server, home);
    folders(tool, &server, home);
    copies(tool, &server, home);
    server.stop();
}

fn write(home: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(home.join(name), bytes).expect("a file");
}

fn read(home: &Path, name: &str) -> Vec<u8> {
    std::fs::read(home.join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn large_object(tool: Tool, server: &Server<'_>, home: &Path) {
    let run = |arguments: &[&str]| must_run(&mut aws(tool, server, home, arguments));
    run(&["s3", "mb", "s3://large"]);
    let bytes = Piece {
        seed: 1,
        length: LARGE,
    }
    .bytes();
    let digest = sha256_hex(&bytes);
    write(home, "up", &bytes);
    run(&["s3", "cp", "--no-progress", "up", "s3://large/object"]);
    run(&["s3", "cp", "--no-progress", "s3://large/object", "down"]);
    assert_eq!(sha256_hex(&read(home, "down")), digest);
    let head = [
        "s3api",
        "head-object",
        "--bucket",
        "large",
        "--key",
        "object",
    ];
    let head = run(&head);
    assert!(
        head.contains(&LARGE.to_string()) && head.contains("-13\\\""),
        "{head}"
    );
    run(&["s3", "rm", "s3://large/object"]);
    run(&["s3", "rb", "s3://large"]);
}

fn small_objects(tool: Tool, server: &Server<'_>, home: &Path) {
    let run = |arguments: &[&str]| must_run(&mut aws(tool, server, home, arguments));
    run(&["s3", "mb", "s3://small"]);
    write(home, "empty", b"");
    run(&["s3", "cp", "--no-progress", "empty", "s3://small/empty"]);
    run(&[
        "s3",
        "cp",
        "--no-progress",
        "s3://small/empty",
        "empty-down",
    ]);
    assert_eq!(read(home, "empty-down"), b"");
    let bytes = Piece {
        seed: 2,
        length: 200_000,
    }
    .bytes();
    write(home, "body", &bytes);
    let object = ["--bucket", "small", "--key", "a key/with space+plus"];
    let api = |operation: &str, rest: &[&str]| {
        run(&[["s3api", operation].as_slice(), object.as_slice(), rest].concat())
    };
    api(
        "put-object",
        &["--body", "body", "--metadata", "colour=blue"],
    );
    for (range, expected) in [
        ("bytes=0-0", bytes.get(..1)),
        ("bytes=65530-65545", bytes.get(65_530..65_546)),
        ("bytes=-7", bytes.get(199_993..)),
        ("bytes=199000-", bytes.get(199_000..)),
    ] {
        api("get-object", &["--range", range, "part"]);
        assert_eq!(Some(read(home, "part").as_slice()), expected, "{range}");
    }
    assert!(api("head-object", &[]).contains("\"colour\": \"blue\""));
    let missing = [
        "s3api",
        "get-object",
        "--bucket",
        "small",
        "--key",
        "none",
        "x",
    ];
    assert!(must_fail(&mut aws(tool, server, home, &missing)).contains("NoSuchKey"));
    let full = must_fail(&mut aws(tool, server, home, &["s3", "rb", "s3://small"]));
    assert!(full.contains("BucketNotEmpty"), "{full}");
    run(&["s3", "rb", "--force", "s3://small"]);
    let listed = run(&["s3", "ls"]);
    assert!(!listed.contains("small"), "{listed}");
}

fn copies(tool: Tool, server: &Server<'_>, home: &Path) {
    let run = |arguments: &[&str]| must_run(&mut aws(tool, server, home, arguments));
    let api = |operation: &str, rest: &[&str]| {
        let common = ["s3api", operation, "--bucket", "copies", "--key"];
        run(&[common.as_slice(), rest].concat())
    };
    run(&["s3", "mb", "s3://copies"]);
    let bytes = Piece {
        seed: 4,
        length: 30 << 20,
    }
    .bytes();
    write(home, "source", &bytes);
    api("put-object", &["source", "--body", "source"]);
    api("copy-object", &["whole", "--copy-source", "copies/source"]);
    // In parts, as it is longer than 8 MiB. Version 2 would ask for tags first.
    let managed = [
        "s3",
        "cp",
        "--no-progress",
        "s3://copies/source",
        "s3://copies/managed",
    ];
    let quiet = if tool == Tool::AwsDebian {
        ["--copy-props", "metadata-directive"].as_slice()
    } else {
        &[]
    };
    run(&[managed.as_slice(), quiet].concat());
    two_ranges(&api);
    run(&["s3", "rm", "s3://copies/source"]);
    for key in ["whole", "managed", "ranges"] {
        api("get-object", &[key, "copy"]);
        assert_eq!(sha256_hex(&read(home, "copy")), sha256_hex(&bytes), "{key}");
    }
    run(&["s3", "rb", "--force", "s3://copies"]);
}

/// `ranges`, of two parts cut from `source`.
fn two_ranges(api: &dyn Fn(&str, &[&str]) -> String) {
    let text = ["--output", "text", "--query"];
    let begin = [["ranges"].as_slice(), &text, &["UploadId"]].concat();
    let upload = api("create-multipart-upload", &begin).trim().to_owned();
    let part = |number: &str, range: &str| {
        let place = ["ranges", "--upload-id", &upload, "--part-number", number];
        let source = [
            "--copy-source",
            "copies/source",
            "--copy-source-range",
            range,
        ];
        let query = [text.as_slice(), &["CopyPartResult.ETag"]].concat();
        let etag = api(
            "upload-part-copy",
            &[place.as_slice(), &source, &query].concat(),
        );
        format!("{{PartNumber={number},ETag={}}}", etag.trim())
    };
    let list = format!(
        "Parts=[{},{}]",
        part("1", "bytes=0-20000000"),
        part("2", "bytes=20000001-31457279")
    );
    let rest = [
        "ranges",
        "--upload-id",
        &upload,
        "--multipart-upload",
        &list,
    ];
    api("complete-multipart-upload", &rest);
    let names = ["ranges", "--object-attributes", "ObjectParts", "ObjectSize"];
    let told = api("get-object-attributes", &names);
    for shown in ["\"TotalPartsCount\": 2", "20000001", "11457279", "31457280"] {
        assert!(told.contains(shown), "{shown}: {told}");
    }
}

fn folders(tool: Tool, server: &Server<'_>, home: &Path) {
    let run = |arguments: &[&str]| must_run(&mut aws(tool, server, home, arguments));
    run(&["s3", "mb", "s3://folders"]);
    std::fs::create_dir_all(home.join("tree/deep/er")).expect("folders");
    for (name, length) in [
        ("tree/a", 3),
        ("tree/deep/b", 70_000),
        ("tree/deep/er/c é", 0),
    ] {
        write(home, name, &Piece { seed: 3, length }.bytes());
    }
    run(&["s3", "sync", "--no-progress", "tree", "s3://folders/t"]);
    let again = run(&["s3", "sync", "--no-progress", "tree", "s3://folders/t"]);
    assert!(
        !again.contains("upload"),
        "a second sync copies nothing: {again}"
    );
    run(&["s3", "sync", "--no-progress", "s3://folders/t", "back"]);
    for name in ["a", "deep/b", "deep/er/c é"] {
        let (up, down) = (format!("tree/{name}"), format!("back/{name}"));
        assert_eq!(read(home, &up), read(home, &down), "{name}");
    }
    let level = run(&["s3", "ls", "s3://folders/t/"]);
    assert!(
        level.contains("PRE deep/") && level.contains(" a\n"),
        "{level}"
    );
    let all = run(&["s3", "ls", "--recursive", "s3://folders"]);
    assert_eq!(all.lines().count(), 3, "{all}");
    run(&["s3", "rm", "--recursive", "s3://folders/t"]);
    assert_eq!(run(&["s3", "ls", "--recursive", "s3://folders"]), "");
    run(&["s3", "rb", "s3://folders"]);
}
