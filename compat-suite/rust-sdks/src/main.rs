//! `cairn-rust-sdks aws-sdk-s3 | object_store [--only TEXT]`: one client against the endpoint that
//! `CAIRN_ENDPOINT`, `CAIRN_ACCESS_KEY` and `CAIRN_SECRET_KEY` name.
//!
//! A line of JSON for each case; the last line is `passed X of Y`, and the exit code is 0 only where
//! nothing failed (as `../clients/outcomes.py` has it).

mod aws_sdk;
mod material;
mod outcomes;
mod store;

use std::process::ExitCode;

use material::Endpoint;
use outcomes::Run;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (client, only) = match words.as_slice() {
        [client] => (*client, ""),
        [client, "--only", only] => (*client, *only),
        _ => ("", ""),
    };
    let Ok(endpoint) = Endpoint::of_environment() else {
        return ExitCode::from(2);
    };
    // reqwest wants one, even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut run = Run::new(client, only);
    match client {
        "aws-sdk-s3" => aws_sdk::play(&endpoint, &mut run).await,
        "object_store" => store::play(&endpoint, &mut run).await,
        _ => return ExitCode::from(2),
    }
    run.end()
}
