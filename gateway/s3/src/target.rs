//! What a request is about: the service, a bucket, or an object.
//!
//! ```text
//!   path style      host = gateway.example        /bucket/key/with/slashes
//!   virtual host    host = bucket.base.domain     /key/with/slashes
//! ```
//!
//! The path is split before it is decoded and decoded once, so `%2F` can never move a byte from the
//! key into the bucket. A key is opaque: `.` and `..` in it mean nothing.

use cairn_model::limits::{BUCKET_NAME_LEN, KEY_LEN_MAX};

use crate::error::{Code, S3Error};
use crate::uri;

/// First path segments the gateway keeps for itself; no bucket can be called so.
pub const RESERVED_SEGMENTS: [&str; 4] = ["cas", "health", "metrics", "v1"];

/// A valid bucket name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketName(String);

/// A valid object key: 1 to 1,024 bytes of UTF-8 without NUL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `/`
    Service,
    /// A bucket.
    Bucket(BucketName),
    /// An object.
    Object(BucketName, ObjectKey),
}

/// The kind of a [`Target`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// [`Target::Service`]
    Service,
    /// [`Target::Bucket`]
    Bucket,
    /// [`Target::Object`]
    Object,
}

/// The base domains under which `bucket.base` is a bucket. Without any, everything is path style.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// Lower case, without port.
    bases: Vec<String>,
}

impl Hosts {
    /// The domains, in any case.
    #[must_use]
    pub fn new<'a>(bases: impl IntoIterator<Item = &'a str>) -> Self {
        let bases = bases
            .into_iter()
            .map(|base| base.trim_matches('.').to_ascii_lowercase());
        Self {
            bases: bases.filter(|base| !base.is_empty()).collect(),
        }
    }

    /// The bucket part of a host, if it is one below a base domain. The longest base wins.
    fn bucket_of<'h>(&self, host: &'h str) -> Option<&'h str> {
        let host = without_port(host);
        // A host that is a base is the service, even below another base.
        if self
            .bases
            .iter()
            .any(|base| base.eq_ignore_ascii_case(host))
        {
            return None;
        }
        let below = |base: &String| {
            let (label, tail) = host.split_at_checked(host.len().checked_sub(base.len())?)?;
            let label = label.strip_suffix('.')?;
            (!label.is_empty() && tail.eq_ignore_ascii_case(base)).then_some(label)
        };
        self.bases
            .iter()
            .filter_map(below)
            .min_by_key(|label| label.len())
    }
}

/// A host whose first label may have been meant as a bucket, though it is below no base domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meant<'h> {
    /// The label.
    pub bucket: &'h str,
    /// What is left of the host, without its port: the domain that the service would have to know.
    pub domain: &'h str,
}

impl Hosts {
    /// What a client meant that put a bucket into a host name the service does not know as one. An
    /// address, a single label, a base domain and what is below one are no such host.
    #[must_use]
    pub fn meant<'h>(&self, host: &'h str) -> Option<Meant<'h>> {
        let host = without_port(host);
        let is_known = self.bucket_of(host).is_some()
            || (self.bases.iter()).any(|base| base.eq_ignore_ascii_case(host));
        let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
        if is_known || is_address {
            return None;
        }
        let (bucket, domain) = host.split_once('.')?;
        let is_bucket = BucketName::parse(&bucket.to_ascii_lowercase()).is_ok();
        (is_bucket && !domain.is_empty()).then_some(Meant { bucket, domain })
    }
}

impl Meant<'_> {
    /// `message` for the person who reads the refusal.
    #[must_use]
    pub fn explain(&self, message: &str) -> String {
        let Self { bucket, domain } = self;
        format!(
            "{}. The request's host is {bucket}.{domain}, whose first label is read as a bucket only where the \
             server was started with --domain {domain}; else the client has to put buckets into the path: \
             aws configure set default.s3.addressing_style path",
            message.trim_end_matches('.')
        )
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

impl Target {
    /// Reads the target from the `host` (with or without port) and the raw path.
    ///
    /// # Errors
    /// `InvalidURI` for a path that cannot be decoded or holds NUL, `InvalidBucketName`,
    /// `KeyTooLongError`.
    pub fn parse(host: &str, path: &str, hosts: &Hosts) -> Result<Self, S3Error> {
        let path = path
            .strip_prefix('/')
            .ok_or_else(|| S3Error::new(Code::InvalidURI))?;
        if let Some(label) = hosts.bucket_of(host) {
            // Host names have no case.
            return Self::of(BucketName::parse(&label.to_ascii_lowercase())?, path);
        }
        if path.is_empty() {
            return Ok(Self::Service);
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        Self::of(BucketName::parse(&uri::decode(bucket, false)?)?, key)
    }

    fn of(bucket: BucketName, raw_key: &str) -> Result<Self, S3Error> {
        if raw_key.is_empty() {
            return Ok(Self::Bucket(bucket));
        }
        Ok(Self::Object(
            bucket,
            ObjectKey::parse(uri::decode(raw_key, false)?)?,
        ))
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Service => Kind::Service,
            Self::Bucket(_) => Kind::Bucket,
            Self::Object(..) => Kind::Object,
        }
    }

    /// The bucket, unless it is the service.
    #[must_use]
    pub fn bucket(&self) -> Option<&BucketName> {
        match self {
            Self::Service => None,
            Self::Bucket(bucket) | Self::Object(bucket, _) => Some(bucket),
        }
    }

    /// The key, if it is an object.
    #[must_use]
    pub fn key(&self) -> Option<&ObjectKey> {
        match self {
            Self::Object(_, key) => Some(key),
            _ => None,
        }
    }
}

impl BucketName {
    /// Checks a name against AWS's rules and ours.
    ///
    /// # Errors
    /// `InvalidBucketName` with the name.
    pub fn parse(name: &str) -> Result<Self, S3Error> {
        if is_bucket_name(name) {
            Ok(Self(name.to_owned()))
        } else {
            Err(S3Error::new(Code::InvalidBucketName).with("BucketName", name))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ObjectKey {
    /// Checks a decoded key.
    ///
    /// # Errors
    /// `KeyTooLongError` with the sizes; `InvalidURI` for an empty key or one with NUL.
    pub fn parse(key: String) -> Result<Self, S3Error> {
        if key.len() > KEY_LEN_MAX {
            return Err(S3Error::new(Code::KeyTooLongError)
                .with("Size", key.len().to_string())
                .with("MaxSizeAllowed", KEY_LEN_MAX.to_string()));
        }
        if key.is_empty() || memchr::memchr(0, key.as_bytes()).is_some() {
            return Err(S3Error::new(Code::InvalidURI));
        }
        Ok(Self(key))
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

/// AWS's naming rules: 3 to 63 of `a-z 0-9 - .`, a letter or digit at both ends of every label, no
/// IPv4 address, none of the prefixes and suffixes AWS keeps; and none of our path segments.
fn is_bucket_name(name: &str) -> bool {
    let (shortest, longest) = BUCKET_NAME_LEN;
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    (shortest..=longest).contains(&name.len())
        && name.bytes().all(allowed)
        && name.split('.').all(is_label)
        && !is_ipv4(name)
        && !RESERVED_SEGMENTS.contains(&name)
        && !["xn--", "sthree-", "amzn-s3-demo-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        && !["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
}

fn is_label(label: &str) -> bool {
    let inner = |end: Option<&u8>| end.is_some_and(u8::is_ascii_alphanumeric);
    inner(label.as_bytes().first()) && inner(label.as_bytes().last())
}

fn is_ipv4(name: &str) -> bool {
    let labels: Vec<&str> = name.split('.').collect();
    labels.len() == 4
        && labels
            .iter()
            .all(|label| label.len() <= 3 && label.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
