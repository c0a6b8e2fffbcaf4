//! The newest boto3 with its default checksums: `compat-suite/clients/boto3_round_trip.py`.

use std::path::Path;

use cairn_tests::server::Site;
use cairn_tests::skip;
use cairn_tests::tools::{Tool, command, must_run};

#[test]
fn newest_boto3_round_trips() {
    let Some(python) = Tool::Python.find() else {
        return skip::missing_tool("boto3");
    };
    let script = "../compat-suite/clients/boto3_round_trip.py";
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let site = Site::new(1);
    let server = site.start();
    let mut run = command(&python, site.home());
    let printed = must_run(run.arg(script).arg(&server.endpoint));
    assert!(
        printed.trim_end().ends_with("all round trips done"),
        "{printed}"
    );
    server.stop();
}
