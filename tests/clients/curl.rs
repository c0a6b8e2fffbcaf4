//! curl with `--aws-sigv4`, as the lines that a first start prints say it.

use cairn_tests::content::Piece;
use cairn_tests::server::{ACCESS_KEY, SECRET_KEY, Site};
use cairn_tests::skip;
use cairn_tests::tools::{Tool, command, must_run};

#[test]
fn curl_puts_gets_and_deletes() {
    let Some(program) = Tool::Curl.find() else {
        return skip::missing_tool("curl");
    };
    let site = Site::new(1);
    let server = site.start();
    let home = site.home();
    let user = format!("{ACCESS_KEY}:{SECRET_KEY}");
    let curl = |arguments: &[&str], path: &str| {
        let mut command = command(&program, home);
        command.args(["--silent", "--show-error", "--fail", "--user", &user]);
        command.args([
            "--aws-sigv4",
            "aws:amz:us-east-1:s3",
            "--write-out",
            "%{http_code}",
        ]);
        command.args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
        must_run(
            command
                .args(arguments)
                .arg(format!("{}/{path}", server.endpoint)),
        )
    };
    let bytes = Piece {
        seed: 6,
        length: 3 << 20,
    }
    .bytes();
    std::fs::write(home.join("up"), &bytes).expect("a file");
    assert_eq!(curl(&["--request", "PUT"], "curled"), "200");
    assert_eq!(
        curl(&["--upload-file", "up", "--output", "out"], "curled/k"),
        "200"
    );
    assert_eq!(curl(&["--output", "down"], "curled/k"), "200");
    assert_eq!(std::fs::read(home.join("down")).expect("a file"), bytes);
    assert_eq!(
        curl(&["--range", "10-19", "--output", "part"], "curled/k"),
        "206"
    );
    assert_eq!(
        std::fs::read(home.join("part")).ok().as_deref(),
        bytes.get(10..20)
    );
    assert_eq!(curl(&["--request", "DELETE"], "curled/k"), "204");
    assert_eq!(curl(&["--request", "DELETE"], "curled"), "204");
    server.stop();
}
