//! The verifier: one way in for both kinds of authentication.

use http::header::AUTHORIZATION;

use super::canonical::{Canonical, string_to_sign};
use super::chunks::ChunkSigner;
use super::keys::{KeyCache, SecretKey, SigningKey};
use super::payload::{Announced, PayloadSigning, announced};
use super::{Place, Presented, diagnosis, header, is_auth_parameter, presign};
use crate::dates::Timestamp;
use crate::error::{Code, S3Error};
use crate::head::Head;

/// Most a request's clock may differ from ours, in milliseconds.
const SKEW_MAX_MS: u64 = 15 * 60 * 1_000;
/// The service every scope must name.
const SERVICE: &str = "s3";

/// Where secrets are looked up.
pub trait Secrets {
    /// The secret of an access key that exists and is active.
    fn secret(&self, access_key: &str) -> Option<SecretKey>;
}

/// Proof that a head was signed by the holder of an access key.
#[derive(Clone, Debug)]
pub struct Authenticated {
    access_key: String,
    payload: PayloadSigning,
    presigned: bool,
}

impl Authenticated {
    /// Whose signature it is.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// How the body is bound to the signature.
    #[must_use]
    pub fn payload(&self) -> &PayloadSigning {
        &self.payload
    }

    /// Whether the signature came in the query.
    #[must_use]
    pub fn is_presigned(&self) -> bool {
        self.presigned
    }
}

/// Verifies heads for one region.
#[derive(Debug)]
pub struct Verifier {
    region: String,
    keys: KeyCache,
}

impl Verifier {
    /// A verifier that accepts scopes of `region`.
    #[must_use]
    pub fn new(region: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            keys: KeyCache::default(),
        }
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Checks a head.
    ///
    /// # Errors
    /// AWS's codes: `AccessDenied` (anonymous, expired, unsigned headers, no date),
    /// `InvalidAccessKeyId`, `SignatureDoesNotMatch`, `RequestTimeTooSkewed`,
    /// `AuthorizationHeaderMalformed` and `AuthorizationQueryParametersError` (with `Region` where
    /// that is wrong), `InvalidArgument`, `InvalidRequest`, `InvalidToken`, `NotImplemented`.
    pub fn verify(
        &self,
        head: &Head,
        secrets: &dyn Secrets,
        now: Timestamp,
    ) -> Result<Authenticated, S3Error> {
        let claim = self.claim(head, now)?;
        let secret = secrets.secret(claim.access_key());
        claim.verify(secret.as_ref())
    }

    /// The first half of [`Verifier::verify`], for a caller that must wait for the secret: everything
    /// that can be judged without it.
    ///
    /// # Errors
    /// All of [`Verifier::verify`] but `InvalidAccessKeyId` and `SignatureDoesNotMatch` for a wrong
    /// signature.
    pub fn claim<'h>(&'h self, head: &'h Head, now: Timestamp) -> Result<Claim<'h>, S3Error> {
        let presented = present(head)?;
        self.check_scope(&presented)?;
        check_time(&presented, now)?;
        let (announcement, payload_hash) = announced(head, presented.place)?;
        let canonical = Canonical::new(head, &presented, &payload_hash)?;
        refuse_session_token(head)?;
        Ok(Claim {
            verifier: self,
            presented,
            announcement,
            canonical,
        })
    }

    fn check_signature(
        &self,
        presented: &Presented<'_>,
        secret: &SecretKey,
        canonical: &Canonical<'_>,
    ) -> Result<SigningKey, S3Error> {
        let cached = self.keys.get(presented.access_key, secret, presented.scope);
        let is_cached = cached.is_some();
        let key = cached.unwrap_or_else(|| SigningKey::derive(secret, presented.scope));
        let forms = canonical.forms();
        let accepted = |form: &Vec<u8>| {
            key.accepts(
                string_to_sign(form, presented).as_bytes(),
                presented.signature,
            )
        };
        if !forms.iter().any(accepted) {
            let form = forms.first().map_or(&[][..], Vec::as_slice);
            let differs = diagnosis::differs(canonical.head(), presented, canonical, &key);
            return Err(mismatch(presented, form).noting(differs));
        }
        if !is_cached {
            self.keys
                .put(presented.access_key, secret, presented.scope, &key);
        }
        Ok(key)
    }

    fn check_scope(&self, presented: &Presented<'_>) -> Result<(), S3Error> {
        let scope = presented.scope;
        if scope.service != SERVICE {
            let service = scope.service;
            let what =
                format!("incorrect service \"{service}\". This endpoint belongs to \"{SERVICE}\".");
            return Err(presented.malformed(&what));
        }
        if scope.region != self.region {
            let what = format!(
                "the region '{}' is wrong; expecting '{}'",
                scope.region, self.region
            );
            let (signed, ours) = (scope.region, self.region.as_str());
            return Err(presented
                .malformed(&what)
                .with("Region", ours)
                .noting(format!("region: signed for {signed:?}, this is {ours:?}")));
        }
        let at = presented.at.to_basic();
        if at.get(..8) != Some(scope.date) {
            let what = format!(
                "Invalid credential date \"{}\". This date is not the same as X-Amz-Date: \"{at}\".",
                scope.date
            );
            let signed = scope.date;
            return Err(presented
                .malformed(&what)
                .noting(format!("date: signed for {signed:?}, sent at {at}")));
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn cached_keys(&self) -> usize {
        self.keys.len()
    }
}

/// A head that makes sense, and says whose it is; whether that is so, only the secret tells.
#[derive(Debug)]
pub struct Claim<'h> {
    verifier: &'h Verifier,
    presented: Presented<'h>,
    announcement: Announced,
    canonical: Canonical<'h>,
}

impl Claim<'_> {
    /// The access key whose secret is needed.
    #[must_use]
    pub fn access_key(&self) -> &str {
        self.presented.access_key
    }

    /// Judges the signature. `None` stands for an access key that does not exist.
    ///
    /// # Errors
    /// `InvalidAccessKeyId`, `SignatureDoesNotMatch`.
    pub fn verify(self, secret: Option<&SecretKey>) -> Result<Authenticated, S3Error> {
        let presented = &self.presented;
        let secret = secret.ok_or_else(|| {
            S3Error::new(Code::InvalidAccessKeyId).with("AWSAccessKeyId", presented.access_key)
        })?;
        let key = self
            .verifier
            .check_signature(presented, secret, &self.canonical)?;
        let chain = || Box::new(ChunkSigner::new(key.clone(), presented));
        let payload = match self.announcement {
            Announced::Exact(hash) => PayloadSigning::Exact(hash),
            Announced::Unsigned => PayloadSigning::Unsigned,
            Announced::UnsignedTrailer => PayloadSigning::UnsignedTrailer,
            Announced::SignedChunks => PayloadSigning::SignedChunks(chain()),
            Announced::SignedChunksAndTrailer => PayloadSigning::SignedChunksAndTrailer(chain()),
        };
        Ok(Authenticated {
            access_key: presented.access_key.to_owned(),
            payload,
            presigned: presented.place != Place::Header,
        })
    }
}

impl Presented<'_> {
    fn malformed(&self, what: &str) -> S3Error {
        match self.place {
            Place::Header => S3Error::because(
                Code::AuthorizationHeaderMalformed,
                format!("The authorization header is malformed; {what}"),
            ),
            Place::Query(_) => presign::parameters(format!(
                "Error parsing the X-Amz-Credential parameter; {what}"
            )),
        }
    }
}

/// Finds the one claim of a head.
fn present(head: &Head) -> Result<Presented<'_>, S3Error> {
    let authorization = head.headers().get(AUTHORIZATION);
    let in_header = authorization.is_some_and(|value| !value.is_empty());
    let in_query = head
        .query()
        .pairs()
        .any(|(name, _)| is_auth_parameter(name));
    let version_2 = head.query().has("AWSAccessKeyId") && head.query().has("Signature");
    match (in_header, in_query || version_2) {
        (true, true) => {
            let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query \
                           parameter, Signature query string parameter or the Authorization header \
                           should be specified";
            Err(S3Error::because(Code::InvalidArgument, message))
        }
        (true, false) => header::parse(head),
        (false, true) if in_query => presign::parse(head),
        (false, true) => Err(header::unsupported_mechanism()),
        (false, false) => Err(S3Error::new(Code::AccessDenied)),
    }
}

fn check_time(presented: &Presented<'_>, now: Timestamp) -> Result<(), S3Error> {
    let (at, now_ms) = (presented.at.millis(), now.millis());
    match presented.place {
        Place::Header if at.abs_diff(now_ms) > SKEW_MAX_MS => {
            Err(S3Error::new(Code::RequestTimeTooSkewed)
                .with("RequestTime", presented.at.to_basic())
                .with("ServerTime", now.to_iso8601())
                .with("MaxAllowedSkewMilliseconds", SKEW_MAX_MS.to_string())
                .noting(clocks(presented.at, now)))
        }
        Place::Query(_) if at > now_ms.saturating_add(SKEW_MAX_MS) => Err(S3Error::because(
            Code::AccessDenied,
            "Request is not yet valid",
        )
        .with("X-Amz-Date", presented.at.to_basic())
        .with("ServerTime", now.to_iso8601())
        .noting(clocks(presented.at, now))),
        Place::Query(seconds) => {
            let end = Timestamp::from_millis(at.saturating_add(seconds.saturating_mul(1_000)));
            if now <= end {
                return Ok(());
            }
            Err(S3Error::because(Code::AccessDenied, "Request has expired")
                .with("X-Amz-Expires", seconds.to_string())
                .with("Expires", end.to_iso8601())
                .with("ServerTime", now.to_iso8601()))
        }
        Place::Header => Ok(()),
    }
}

fn clocks(signed: Timestamp, ours: Timestamp) -> String {
    let (signed, ours) = (signed.to_basic(), ours.to_basic());
    format!("date: the client's clock says {signed}, ours {ours}")
}

/// Temporary credentials are not issued here, so every token is a foreign one.
fn refuse_session_token(head: &Head) -> Result<(), S3Error> {
    let header = head.headers().contains_key("x-amz-security-token");
    let query = head
        .query()
        .pairs()
        .any(|(name, _)| name.eq_ignore_ascii_case("x-amz-security-token"));
    if header || query {
        Err(S3Error::new(Code::InvalidToken))
    } else {
        Ok(())
    }
}

/// What we computed, so that a client can see where it differs. None of it is secret.
fn mismatch(presented: &Presented<'_>, canonical: &[u8]) -> S3Error {
    S3Error::new(Code::SignatureDoesNotMatch)
        .with("AWSAccessKeyId", presented.access_key)
        .with("StringToSign", string_to_sign(canonical, presented))
        .with("SignatureProvided", presented.signature)
        .with("CanonicalRequest", String::from_utf8_lossy(canonical))
}
