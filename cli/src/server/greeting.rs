//! What a newcomer reads, and pastes, next.

use std::net::SocketAddr;

use crate::certificate::Certificate;
use crate::console;
use crate::credentials::{Credentials, Origin};

/// Says where the server is and how to reach it. Generated credentials are shown this once.
pub(super) fn show(
    address: SocketAddr,
    domains: &[String],
    certificate: Option<&Certificate>,
    root: Option<&(Credentials, Origin)>,
) {
    let scheme = if certificate.is_some() {
        "https"
    } else {
        "http"
    };
    let endpoint = format!("{scheme}://{address}");
    console::line(format_args!("cairn is ready on {endpoint}"));
    for domain in domains {
        let port = address.port();
        console::line(format_args!(
            "buckets are also at {scheme}://BUCKET.{domain}:{port}"
        ));
    }
    if let Some(certificate) = certificate {
        console::line(format_args!(
            "certificate: {}\n  SHA-256 {}",
            certificate.certificate.display(),
            certificate.tls.fingerprint()
        ));
    }
    match root {
        None => console::line("root credentials: those the environment gave at an earlier start"),
        Some((_, Origin::Environment)) => console::line("root credentials: from the environment"),
        Some((_, Origin::File)) => {
            console::line(
                "root credentials: as printed at the first start (kept in the first directory)",
            );
        }
        Some((root, Origin::Generated)) => first_steps(&endpoint, certificate, root),
    }
}

fn first_steps(endpoint: &str, certificate: Option<&Certificate>, root: &Credentials) {
    let Credentials {
        access_key,
        secret_key,
    } = root;
    let trust = match certificate {
        Some(own) if own.is_self_signed => {
            let path = std::path::absolute(&own.certificate).unwrap_or_default();
            let path = path.display();
            format!("\n  export AWS_CA_BUNDLE={path} CURL_CA_BUNDLE={path}")
        }
        _ => String::new(),
    };
    console::line(format_args!(
        "\nroot credentials, generated and shown this once:\n\
         \n  export AWS_ACCESS_KEY_ID={access_key} AWS_SECRET_ACCESS_KEY={secret_key} AWS_DEFAULT_REGION=us-east-1{trust}\n\
         \n  aws --endpoint-url {endpoint} s3 mb s3://first && aws --endpoint-url {endpoint} s3 cp README.md s3://first/\
         \n  curl --aws-sigv4 aws:amz:us-east-1:s3 --user $AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY {endpoint}/first/README.md\
         \n  echo $AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY > ~/.passwd-s3fs && chmod 600 ~/.passwd-s3fs && s3fs first /mnt -o url={endpoint},use_path_request_style\n"
    ));
}
