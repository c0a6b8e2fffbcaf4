//! `cairn admin`: a client of the JSON API under `/v1`, signed with the root credentials.

mod cluster;

use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as SigningCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use cairn_world::Clock as _;
use cairn_world::real::{OsEntropy, RealClock};
use serde::{Deserialize, Serialize};
use ureq::http;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::args::{AdminArgs, AdminCommand, ClockCommand, NodeCommand, UserCommand};
use crate::credentials::Credentials;
use crate::{Fatal, certificate, console};

/// Seconds a call may take.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize)]
struct Users {
    users: Vec<ShownUser>,
}

#[derive(Debug, Deserialize)]
struct ShownUser {
    id: String,
    display_name: String,
    email: String,
    access_key: String,
    root: bool,
}

#[derive(Serialize)]
struct NewUser<'a> {
    id: &'a str,
    display_name: &'a str,
    email: &'a str,
    access_key: &'a str,
    secret_key: &'a str,
}

#[derive(Debug, Deserialize)]
struct Clock {
    time: String,
    suspended: bool,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    error: RefusalBody,
}

#[derive(Debug, Deserialize)]
struct RefusalBody {
    code: String,
    message: String,
}

/// Carries out one admin command.
pub(crate) fn run(args: AdminArgs) -> Result<(), Fatal> {
    let client = Client::new(&args)?;
    match args.command {
        AdminCommand::User(command) => user(&client, command),
        AdminCommand::Cluster => cluster::show(&client),
        AdminCommand::Disk(command) => cluster::disk(&client, &command),
        AdminCommand::Node(NodeCommand::Remove { id }) => cluster::remove_node(&client, &id),
        AdminCommand::Clock(ClockCommand::Show) => clock(&client, "GET", "/v1/clock"),
        AdminCommand::Clock(ClockCommand::Accept) => clock(&client, "POST", "/v1/clock/accept"),
    }
}

fn clock(client: &Client, method: &str, path: &str) -> Result<(), Fatal> {
    let body = client.call(method, path, Vec::new())?;
    let Clock { time, suspended } =
        serde_json::from_str(&body).map_err(|error| Fatal::new("the answer", error))?;
    let state = if suspended { "suspended" } else { "runs" };
    console::line(format_args!("{time}\t{state}"));
    Ok(())
}

fn user(client: &Client, command: UserCommand) -> Result<(), Fatal> {
    match command {
        UserCommand::List => list(client),
        UserCommand::Remove { access_key } => {
            client.call("DELETE", &format!("/v1/users/{access_key}"), Vec::new())?;
            console::line(format_args!("removed {access_key}"));
            Ok(())
        }
        UserCommand::Add {
            id,
            display_name,
            email,
            access_key,
            secret_key,
        } => {
            let keys = match (access_key, secret_key) {
                (Some(access_key), Some(secret_key)) => Credentials {
                    access_key,
                    secret_key,
                },
                _ => Credentials::generate(&OsEntropy),
            };
            let display_name = display_name.as_deref().unwrap_or(&id);
            add(client, &id, display_name, &email, &keys)
        }
    }
}

fn add(
    client: &Client,
    id: &str,
    display_name: &str,
    email: &str,
    keys: &Credentials,
) -> Result<(), Fatal> {
    let Credentials {
        access_key,
        secret_key,
    } = keys;
    let user = NewUser {
        id,
        display_name,
        email,
        access_key,
        secret_key,
    };
    let body = serde_json::to_vec(&user).map_err(|error| Fatal::new("user", error))?;
    client.call("POST", "/v1/users", body)?;
    console::line(format_args!(
        "user {id}\naccess key {access_key}\nsecret key {secret_key}"
    ));
    Ok(())
}

fn list(client: &Client) -> Result<(), Fatal> {
    let body = client.call("GET", "/v1/users", Vec::new())?;
    let Users { users } =
        serde_json::from_str(&body).map_err(|error| Fatal::new("the answer", error))?;
    for ShownUser {
        id,
        display_name,
        email,
        access_key,
        root,
    } in users
    {
        let root = if root { "root" } else { "-" };
        console::line(format_args!(
            "{access_key}\t{id}\t{display_name}\t{email}\t{root}"
        ));
    }
    Ok(())
}

/// What `--cacert` names, else the self-signed certificate in the server's directory.
fn roots(args: &AdminArgs) -> Result<Vec<Certificate<'static>>, Fatal> {
    if !args.endpoint.starts_with("https://") {
        return Ok(Vec::new());
    }
    let kept = args.dir.as_deref().and_then(certificate::self_signed_below);
    let missing = "https needs --cacert, or --dir of a server with --tls-self-signed";
    let path = args.cacert.clone().or(kept);
    let path = path.ok_or_else(|| Fatal::new(&args.endpoint, missing))?;
    certificates(&path)
}

/// The certificates in a PEM file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Fatal> {
    let bytes = certificate::contents(path)?;
    let fail = |error: &dyn std::fmt::Display| Fatal::new(path.display(), error);
    let mut roots = Vec::new();
    for item in parse_pem(&bytes) {
        if let PemItem::Certificate(root) = item.map_err(|error| fail(&error))? {
            roots.push(root);
        }
    }
    match roots.len() {
        0 => Err(fail(&"no certificate in it")),
        _ => Ok(roots),
    }
}

struct Client {
    endpoint: String,
    credentials: Credentials,
    /// Certificates that an https endpoint is trusted by.
    roots: Vec<Certificate<'static>>,
}

impl Client {
    fn new(args: &AdminArgs) -> Result<Self, Fatal> {
        let found = Credentials::kept(args.dir.as_deref())?;
        let missing = "none found: set CAIRN_ROOT_ACCESS_KEY and CAIRN_ROOT_SECRET_KEY, or --dir";
        let credentials = found.ok_or_else(|| Fatal::new("root credentials", missing))?;
        Ok(Self {
            endpoint: args.endpoint.trim_end_matches('/').to_owned(),
            credentials,
            roots: roots(args)?,
        })
    }

    /// One signed call; gives the body of a success.
    fn call(&self, method: &str, path: &str, body: Vec<u8>) -> Result<String, Fatal> {
        let request = self.sign(method, path, body)?;
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::new_with_certs(&self.roots))
            .unversioned_rustls_crypto_provider(cairn_gateway::tls::provider());
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .allow_non_standard_methods(false)
            .build()
            .into();
        let mut response = agent
            .run(request)
            .map_err(|error| Fatal::new(&self.endpoint, error))?;
        let status = response.status();
        let text = response
            .body_mut()
            .read_to_string()
            .map_err(|error| Fatal::new(&self.endpoint, error))?;
        if status.is_success() {
            return Ok(text);
        }
        match serde_json::from_str::<Refusal>(&text) {
            Ok(Refusal { error }) => Err(Fatal::new(error.code, error.message)),
            Err(_) => Err(Fatal::new(&self.endpoint, status)),
        }
    }

    fn sign(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<http::Request<Vec<u8>>, Fatal> {
        let fail =
            |error: &dyn std::fmt::Display| Fatal::new("the request cannot be signed", error);
        let uri = format!("{}{path}", self.endpoint);
        let parsed: http::Uri = uri
            .parse()
            .map_err(|error| Fatal::new(&self.endpoint, error))?;
        let host = parsed.authority().map(ToString::to_string);
        let host = host.ok_or_else(|| Fatal::new(&self.endpoint, "it names no host"))?;
        let Credentials {
            access_key,
            secret_key,
        } = &self.credentials;
        let identity: Identity =
            SigningCredentials::new(access_key, secret_key, None, None, "cairn").into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(SystemTime::UNIX_EPOCH + Duration::from_millis(RealClock::new().wall()))
            .settings(settings)
            .build()
            .map_err(|error| fail(&error))?
            .into();
        let headers = [("host", host.as_str())].into_iter();
        let signable = SignableRequest::new(method, &uri, headers, SignableBody::Bytes(&body))
            .map_err(|error| fail(&error))?;
        let (instructions, _) = sign(signable, &params)
            .map_err(|error| fail(&error))?
            .into_parts();
        let mut request = http::Request::builder()
            .method(method)
            .uri(&uri)
            .header("host", host);
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        request.body(body).map_err(|error| fail(&error))
    }
}
