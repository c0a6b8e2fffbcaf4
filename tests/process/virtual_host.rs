//! Buckets as host names below `--domain`, on the same port as buckets in the path.

use cairn_tests::server::{ACCESS_KEY, SECRET_KEY, Site};
use cairn_tests::skip;
use cairn_tests::tools::{Tool, command, must_run};

const DOMAIN: &str = "s3.cairn.test";

fn site(more: &[&str]) -> Site {
    let mut site = Site::new(1);
    site.arguments = vec!["--domain".to_owned(), DOMAIN.to_owned()];
    site.arguments
        .extend(more.iter().map(|&argument| argument.to_owned()));
    site
}

#[test]
fn curl_finds_buckets_by_host_and_by_path() {
    let Some(program) = Tool::Curl.find() else {
        return skip::missing_tool("curl");
    };
    let site = site(&["--domain", "other.test"]);
    let server = site.start();
    let (_, port) = server.endpoint.rsplit_once(':').expect("a port");
    let curl = |arguments: &[&str], host: &str, path: &str| {
        let mut curl = command(&program, site.home());
        curl.args([
            "--silent",
            "--show-error",
            "--aws-sigv4",
            "aws:amz:us-east-1:s3",
        ]);
        curl.args(["--user", &format!("{ACCESS_KEY}:{SECRET_KEY}")]);
        curl.args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
        curl.args(["--resolve", &format!("{host}:{port}:127.0.0.1")]);
        curl.args(["--write-out", "%{http_code}"]).args(arguments);
        must_run(curl.arg(format!("http://{host}:{port}/{path}")))
    };
    let below = |bucket: &str| format!("{bucket}.{DOMAIN}");
    std::fs::write(site.home().join("up"), "by host").expect("a file");
    let put = &["--upload-file", "up"][..];
    for bucket in ["plain", "with.dots"] {
        assert_eq!(curl(&["--request", "PUT"], &below(bucket), ""), "200");
        assert_eq!(curl(put, &below(bucket), "a/key"), "200");
        let by_path = format!("{bucket}/a/key");
        for host in [DOMAIN, "other.test", "127.0.0.1", "elsewhere.test"] {
            assert_eq!(curl(&[], host, &by_path), "by host200", "{host}");
        }
        let other = format!("{bucket}.other.test");
        assert_eq!(curl(&[], &other, "a/key"), "by host200");
        // Upper case is the same host.
        let upper = below(bucket).to_uppercase();
        assert!(curl(&[], &upper, "a/key").ends_with("200"));
    }
    // What is the server's own in the path is a key below a bucket.
    for reserved in ["health/live", "metrics", "v1/users", "cas/chunks/x"] {
        assert!(curl(&[], &below("plain"), reserved).contains("NoSuchKey"));
        assert_eq!(curl(put, &below("plain"), reserved), "200");
        assert_eq!(curl(&[], &below("plain"), reserved), "by host200");
        assert_eq!(
            curl(&[], DOMAIN, &format!("plain/{reserved}")),
            "by host200"
        );
    }
    assert_eq!(curl(&[], DOMAIN, "health/live"), "live\n200");
    assert!(curl(&[], &below("no_bucket"), "").contains("InvalidBucketName"));
    assert!(curl(&[], &below("missing"), "").contains("NoSuchBucket"));
    let hint = format!("buckets are also at http://BUCKET.{DOMAIN}:{port}");
    assert!(site.printed().contains(&hint), "{}", site.printed());
    server.stop();
}

/// Finds every host here, puts through a host of the bucket's own, and reads through the path.
const SCRIPT: &str = r#"
import os, socket, sys
import boto3
from botocore.config import Config

resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: resolve("127.0.0.1", *rest, **more)
endpoint, trusted = sys.argv[1], sys.argv[2]

def client(style):
    return boto3.client("s3", endpoint_url=endpoint, verify=trusted,
                        config=Config(s3={"addressing_style": style}))

hosts = []
virtual, path = client("virtual"), client("path")
virtual.meta.events.register("before-send.s3", lambda request, **_: hosts.append(request.url))
virtual.create_bucket(Bucket="by-host")
body = os.urandom(1 << 20)
virtual.put_object(Bucket="by-host", Key="metrics", Body=body)
assert path.get_object(Bucket="by-host", Key="metrics")["Body"].read() == body
assert [o["Key"] for o in virtual.list_objects_v2(Bucket="by-host")["Contents"]] == ["metrics"]
assert any("//by-host.s3.cairn.test:" in url for url in hosts), hosts
url = virtual.generate_presigned_url("get_object", Params={"Bucket": "by-host", "Key": "metrics"})
assert "//by-host.s3.cairn.test:" in url, url
virtual.delete_object(Bucket="by-host", Key="metrics")
virtual.delete_bucket(Bucket="by-host")
print("done")
"#;

#[test]
fn boto3_addresses_buckets_by_host_over_https() {
    let Some(python) = Tool::Python.find() else {
        return skip::missing_tool("boto3");
    };
    let site = site(&["--tls-self-signed"]);
    let server = site.start();
    let (_, port) = server.endpoint.rsplit_once(':').expect("a port");
    let mut run = command(&python, site.home());
    run.args(["-c", SCRIPT, &format!("https://{DOMAIN}:{port}")]);
    let said = must_run(run.arg(site.certificate().expect("a certificate")));
    assert_eq!(said.trim_end(), "done");
    server.stop();
}
