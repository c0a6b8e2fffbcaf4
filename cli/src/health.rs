//! `cairn health`: whether a process works, for engines and supervisors that have no client of their own.
//!
//! ```text
//!   --endpoint ─> GET /health/ready or /health/live ─┐
//!   --node DIR ─> its own certificate and address    ├─> exit code 0, or 1 and why
//!                 ─> a heartbeat over QUIC ──────────┘
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cairn_s3::Timestamp;
use cairn_world::real::{OsEntropy, RealClock};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use crate::args::HealthArgs;
use crate::member::home::{Home, State};
use crate::member::{Member, Roster, World};
use crate::{Fatal, admin, console};

/// How long it may take. A gateway judges itself for at most three seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer that is shown.
const ANSWER_LEN_MAX: u64 = 4 << 10;

/// Asks once.
pub(crate) fn run(args: &HealthArgs) -> Result<(), Fatal> {
    match &args.node {
        Some(first) => crate::block_on(async { beat(first, PATIENCE).await.map(console::line) }),
        None => ask(args).map(console::line),
    }
}

/// What a server or a gateway says of itself.
fn ask(args: &HealthArgs) -> Result<String, Fatal> {
    let endpoint = args.endpoint.trim_end_matches('/');
    let fail = |error: &dyn std::fmt::Display| Fatal::new(endpoint, error);
    let path = if args.live { "live" } else { "ready" };
    let mut response = agent(args)?
        .get(format!("{endpoint}/health/{path}"))
        .call()
        .map_err(|error| fail(&error))?;
    let body = response.body_mut().with_config().limit(ANSWER_LEN_MAX);
    let answer = body.read_to_string().map_err(|error| fail(&error))?;
    match response.status().as_u16() {
        200 => Ok(answer.trim_end().to_owned()),
        // Also a redirect: whoever sends one is not asked about.
        status => Err(fail(&format_args!("{status} {}", answer.trim_end()))),
    }
}

/// Unix time, in seconds, as a store that runs at `endpoint` tells it. Any certificate will do: a clock
/// is no secret, and one that is hours off takes none for good.
pub(crate) fn date(endpoint: &str) -> Result<u64, Fatal> {
    let endpoint = endpoint.trim_end_matches('/');
    let fail = |why: &dyn std::fmt::Display| Fatal::new(endpoint, why);
    let args = HealthArgs {
        endpoint: endpoint.to_owned(),
        live: true,
        cacert: None,
        insecure: true,
        node: None,
    };
    let response = agent(&args)?
        .get(format!("{endpoint}/health/live"))
        .call()
        .map_err(|error| fail(&error))?;
    let date = response.headers().get("date");
    let date = date.and_then(|date| Timestamp::from_http_date(date.to_str().ok()?));
    date.map(Timestamp::seconds)
        .ok_or_else(|| fail(&"its answer has no date"))
}

fn agent(args: &HealthArgs) -> Result<ureq::Agent, Fatal> {
    let roots = match &args.cacert {
        Some(path) => admin::certificates(path)?,
        None => Vec::new(),
    };
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::new_with_certs(&roots))
        .disable_verification(args.insecure)
        .unversioned_rustls_crypto_provider(cairn_gateway::tls::provider());
    let config = ureq::Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .max_redirects(0)
        // Its own port is asked, whatever proxy the environment names for others.
        .proxy(None)
        .timeout_global(Some(PATIENCE));
    Ok(config.build().into())
}

/// Whether the storage node that lives in `first` answers where the others call it.
async fn beat(first: &Path, patience: Duration) -> Result<String, Fatal> {
    let fail = |why: &dyn std::fmt::Display| Fatal::new(first.display(), why);
    let world = World {
        clock: Arc::new(RealClock::new()),
        entropy: Arc::new(OsEntropy),
    };
    let none = || fail(&"no member of a cluster lives here");
    let home = Home::open(first)?.ok_or_else(none)?;
    let node = home.profile.node;
    if matches!(home.state(), State::Asking) {
        return Err(fail(&"it is not admitted yet"));
    }
    // The running process is called over the network like any other.
    let roster = Arc::new(Roster::of_guest(home.members()?));
    let anywhere: SocketAddr = (Ipv4Addr::UNSPECIFIED, 0).into();
    let guest = Member::connect(home, anywhere, None, None, roster, &world)?;
    let lines = guest.pool.lines(node);
    let lines =
        lines.ok_or_else(|| fail(&"nobody calls it: it has no address among the members"))?;
    let heard = lines.commands.heartbeat(1, patience).await;
    guest.leave().await;
    let took = heard.map_err(|error| fail(&error))?;
    Ok(format!("node {:016x} answers in {took:.1?}", node.0))
}

#[cfg(test)]
mod tests;
