//! A first start without credentials makes them, prints them once, and keeps them for their owner.

use std::os::unix::fs::PermissionsExt as _;

use cairn_compat_suite::Client;
use cairn_tests::s3::{make_bucket, must_put};
use cairn_tests::server::Site;

#[test]
fn generated_credentials_are_printed_once_and_stay() {
    let mut site = Site::new(1);
    site.credentials_given = false;
    let server = site.start();
    let file = site
        .directories
        .first()
        .expect("a directory")
        .join("root-credentials");
    let kept = std::fs::read_to_string(&file).expect("the credentials are kept");
    let mode = file.metadata().expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "others may read the credentials");
    let (access, secret) = kept.trim_end().split_once('\n').expect("two lines");
    let printed = site.printed();
    for needed in [access, secret, "aws ", "curl ", "s3fs "] {
        assert!(
            printed.contains(needed),
            "a first start does not print {needed:?}:\n{printed}"
        );
    }
    let client = Client::new(&server.endpoint, access, secret).expect("an endpoint");
    make_bucket(&client, "first");
    must_put(&client, "first/k", b"x");
    server.stop();

    let times = site.printed().matches(secret).count();
    let server = site.start();
    let client = Client::new(&server.endpoint, access, secret).expect("an endpoint");
    must_put(&client, "first/k", b"y");
    assert_eq!(
        site.printed().matches(secret).count(),
        times,
        "printed again"
    );
    server.stop();
}

#[test]
fn secrets_given_by_environment_are_never_printed() {
    let site = Site::new(1);
    let server = site.start();
    make_bucket(&server.client, "quiet");
    must_put(&server.client, "quiet/k", b"x");
    let stranger = server
        .client
        .with_credentials("nobody", "some-other-secret");
    let _ = stranger.send(&cairn_compat_suite::Call::new("GET", "quiet/k"));
    server.stop();
    assert!(
        !site.printed().contains(cairn_tests::server::SECRET_KEY),
        "the secret is in the log"
    );
}
