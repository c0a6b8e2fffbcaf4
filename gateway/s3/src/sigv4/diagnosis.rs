//! What of a request differs from what was signed, for the operator's log.
//!
//! A signature that does not fit tells nothing by itself. But the secret is known here, so the same
//! request can be signed again with one part as a proxy or a client may have had it; where that
//! fits, the part is found. Nothing is accepted by this: the request has been refused already.
//!
//! ```text
//!   method   HEAD through a proxy that sends GET, a URL presigned for another method
//!   host     a proxy that puts its own in; a port added or dropped
//!   path     slashes merged or dropped, escapes decoded or doubled on the way
//!   payload  a hash signed that is not the one announced
//!   date     x-amz-date and Date that differ
//! ```

use http::header::DATE;

use super::canonical::{Canonical, Part, string_to_sign};
use super::keys::SigningKey;
use super::{EMPTY_SHA256, Presented};
use crate::dates::Timestamp;
use crate::head::Head;
use crate::uri;

/// Methods that S3 knows.
const METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "POST", "DELETE"];
/// Headers in which proxies leave the host they were asked for.
const FORWARDED: [&str; 2] = ["x-forwarded-host", "x-original-host"];

/// Names the part that differs, or says that it cannot be known.
pub(super) fn differs(
    head: &Head,
    presented: &Presented<'_>,
    canonical: &Canonical<'_>,
    key: &SigningKey,
) -> String {
    let fits = |part: &Part<'_>| {
        let text = string_to_sign(&canonical.with(part), presented);
        key.accepts(text.as_bytes(), presented.signature)
    };
    let method = METHODS.into_iter().map(Part::Method);
    if let Some(Part::Method(signed)) = method.into_iter().find(&fits) {
        return format!("method: signed for {signed}, sent as {}", head.method());
    }
    for host in hosts(head) {
        if fits(&Part::Host(&host)) {
            return format!("host: signed for {host:?}, sent to {:?}", head.host());
        }
    }
    for path in paths(head.path()) {
        if fits(&Part::Path(&path)) {
            return format!("path: signed as {path:?}, sent as {:?}", head.path());
        }
    }
    for payload in ["UNSIGNED-PAYLOAD", EMPTY_SHA256] {
        if fits(&Part::Payload(payload)) {
            return format!("payload: signed as {payload}");
        }
    }
    if let Some(date) = other_date(head, presented) {
        let moved = Presented {
            at: date,
            signed_headers: presented.signed_headers.clone(),
            ..*presented
        };
        let as_sent = canonical.forms().into_iter().next().unwrap_or_default();
        let text = string_to_sign(&as_sent, &moved);
        if key.accepts(text.as_bytes(), presented.signature) {
            let (signed, sent) = (date.to_basic(), presented.at.to_basic());
            return format!("date: signed for {signed}, x-amz-date says {sent}");
        }
    }
    "another secret key, or a part that was changed beyond guessing".to_owned()
}

/// Hosts the client may have meant.
fn hosts(head: &Head) -> Vec<String> {
    let host = head.host();
    let bare = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let forwarded = FORWARDED
        .iter()
        .filter_map(|name| head.header(name).ok().flatten());
    let known = [bare].into_iter().chain(forwarded);
    known
        .flat_map(|name| [name.to_owned(), format!("{name}:80"), format!("{name}:443")])
        .filter(|other| other != host)
        .collect()
}

/// Paths that may have become this one on the way.
fn paths(raw: &str) -> Vec<String> {
    let mut merged = raw.to_owned();
    while merged.contains("//") {
        merged = merged.replace("//", "/");
    }
    let decoded = uri::decode(raw, false).unwrap_or_default();
    let others = [
        format!("{raw}/"),
        raw.trim_end_matches('/').to_owned(),
        uri::encode_path(&merged).into_owned(),
        uri::encode_path(raw).into_owned(),
        merged,
        decoded,
    ];
    others.into_iter().filter(|other| other != raw).collect()
}

fn other_date(head: &Head, presented: &Presented<'_>) -> Option<Timestamp> {
    let text = head.header(DATE.as_str()).ok().flatten()?;
    let date = Timestamp::from_basic(text).or_else(|| Timestamp::from_http_date(text))?;
    (date != presented.at).then_some(date)
}
