//! s3cmd of Debian 12.

use std::path::Path;
use std::process::Command;

use cairn_tests::content::Piece;
use cairn_tests::server::{ACCESS_KEY, SECRET_KEY, Server, Site};
use cairn_tests::skip;
use cairn_tests::tools::{Tool, command, must_run};

#[test]
fn s3cmd_round_trips() {
    let Some(program) = Tool::S3cmd.find() else {
        return skip::missing_tool("s3cmd");
    };
    let site = Site::new(1);
    let server = site.start();
    let home = site.home();
    let run = |arguments: &[&str]| must_run(&mut s3cmd(&program, &server, home, arguments));
    run(&["mb", "s3://commands"]);
    for (name, length) in [("empty", 0), ("small", 1_234), ("parts", 17 << 20)] {
        let bytes = Piece { seed: 4, length }.bytes();
        std::fs::write(home.join(name), &bytes).expect("a file");
        run(&["put", name, &format!("s3://commands/f/{name}")]);
        run(&["get", "--force", &format!("s3://commands/f/{name}"), "down"]);
        assert_eq!(
            std::fs::read(home.join("down")).expect("a file"),
            bytes,
            "{name}"
        );
    }
    let listed = run(&["ls", "s3://commands/"]);
    assert!(
        listed.contains("DIR") && listed.contains("s3://commands/f/"),
        "{listed}"
    );
    let listed = run(&["ls", "--recursive", "s3://commands"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    run(&["del", "--recursive", "--force", "s3://commands/f/"]);
    assert_eq!(run(&["ls", "--recursive", "s3://commands"]).trim(), "");
    run(&["rb", "s3://commands"]);
    server.stop();
}

fn s3cmd(program: &Path, server: &Server<'_>, home: &Path, arguments: &[&str]) -> Command {
    let host = server.endpoint.trim_start_matches("http://");
    std::fs::write(home.join("s3cfg"), "[default]\n").expect("a file");
    let mut command = command(program, home);
    command.args([
        "--config",
        "s3cfg",
        "--no-ssl",
        "--no-progress",
        "--region",
        "us-east-1",
    ]);
    command.args(["--access_key", ACCESS_KEY, "--secret_key", SECRET_KEY]);
    command.args([
        "--host",
        host,
        "--host-bucket",
        host,
        "--multipart-chunk-size-mb",
        "5",
    ]);
    command.args(arguments);
    command
}
