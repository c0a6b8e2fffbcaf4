//! The `Authorization` header.

use http::header::{AUTHORIZATION, DATE};

use super::{ALGORITHM, Place, Presented, Scope};
use crate::dates::Timestamp;
use crate::error::{Code, S3Error};
use crate::head::Head;

/// Reads `AWS4-HMAC-SHA256 Credential=.., SignedHeaders=.., Signature=..`.
pub(super) fn parse(head: &Head) -> Result<Presented<'_>, S3Error> {
    let text = head.header(AUTHORIZATION.as_str())?.unwrap_or("");
    let (algorithm, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    check_algorithm(algorithm, text)?;
    let fields = Fields::split(rest)?;
    let (access_key, scope) = Scope::split_credential(fields.credential).ok_or_else(|| {
        malformed(
            "the Credential is mal-formed; expecting \
             \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
        )
    })?;
    Ok(Presented {
        access_key,
        scope,
        signed_headers: fields.signed_headers.split(';').collect(),
        signature: fields.signature,
        at: request_time(head)?,
        place: Place::Header,
    })
}

fn check_algorithm(algorithm: &str, text: &str) -> Result<(), S3Error> {
    match algorithm {
        ALGORITHM => Ok(()),
        "AWS4-ECDSA-P256-SHA256" => Err(S3Error::not_implemented("AWS4-ECDSA-P256-SHA256")),
        "AWS" if text.contains(':') => Err(unsupported_mechanism()),
        // The value may be a credential of some other scheme: it is not repeated.
        _ => Err(
            S3Error::because(Code::InvalidArgument, "Unsupported Authorization Type")
                .with("ArgumentName", "Authorization"),
        ),
    }
}

/// Signature Version 2 in either place.
pub(super) fn unsupported_mechanism() -> S3Error {
    let message = "The authorization mechanism you have provided is not supported. \
                   Please use AWS4-HMAC-SHA256.";
    S3Error::because(Code::InvalidRequest, message)
}

fn malformed(what: &str) -> S3Error {
    let message = format!("The authorization header is malformed; {what}");
    S3Error::because(Code::AuthorizationHeaderMalformed, message)
}

/// The three fields, each exactly once, in any order, and no other.
struct Fields<'h> {
    credential: &'h str,
    signed_headers: &'h str,
    signature: &'h str,
}

impl<'h> Fields<'h> {
    fn split(text: &'h str) -> Result<Self, S3Error> {
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in text.split(',').map(str::trim) {
            let (name, value) = field.split_once('=').ok_or_else(|| {
                malformed("the authorization header requires three components: Credential, SignedHeaders, and Signature.")
            })?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(malformed("it has a component that is not known.")),
            };
            if slot.replace(value).is_some() {
                return Err(malformed("a component is given more than once."));
            }
        }
        let need = |slot: Option<&'h str>, name| {
            slot.filter(|value| !value.is_empty())
                .ok_or_else(|| malformed(&format!("missing {name}.")))
        };
        Ok(Self {
            credential: need(credential, "Credential")?,
            signed_headers: need(signed_headers, "SignedHeaders")?,
            signature: need(signature, "Signature")?,
        })
    }
}

/// `x-amz-date`, else `Date`, each in basic ISO 8601 or as an HTTP date.
fn request_time(head: &Head) -> Result<Timestamp, S3Error> {
    let amz_date = head.header("x-amz-date")?.filter(|text| !text.is_empty());
    let text = match amz_date {
        Some(text) => Some(text),
        None => head.header(DATE.as_str())?,
    };
    let read = |text: &str| Timestamp::from_basic(text).or_else(|| Timestamp::from_http_date(text));
    text.and_then(read).ok_or_else(|| {
        let message = "AWS authentication requires a valid Date or x-amz-date header";
        S3Error::because(Code::AccessDenied, message)
    })
}
