//! Query authentication: a presigned URL.

use super::{ALGORITHM, Place, Presented, Scope};
use crate::dates::Timestamp;
use crate::error::{Code, S3Error};
use crate::head::Head;

/// Longest life of a presigned URL in seconds: seven days.
const EXPIRES_MAX: u64 = 604_800;

/// Reads the `X-Amz-*` parameters, every one of which must be there.
pub(super) fn parse(head: &Head) -> Result<Presented<'_>, S3Error> {
    let query = head.query();
    let need = |name: &str| {
        query.non_empty(name).ok_or_else(|| {
            parameters(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, \
                 X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and \
                 X-Amz-Expires parameters.",
            )
        })
    };
    match need("X-Amz-Algorithm")? {
        ALGORITHM => {}
        "AWS4-ECDSA-P256-SHA256" => {
            return Err(S3Error::not_implemented("AWS4-ECDSA-P256-SHA256"));
        }
        _ => {
            return Err(parameters(
                "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"",
            ));
        }
    }
    let (access_key, scope) =
        Scope::split_credential(need("X-Amz-Credential")?).ok_or_else(|| {
            parameters(
                "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; \
                 expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
            )
        })?;
    let at = Timestamp::from_basic(need("X-Amz-Date")?).ok_or_else(|| {
        parameters("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    })?;
    let expires = lifetime(need("X-Amz-Expires")?)?;
    Ok(Presented {
        access_key,
        scope,
        signed_headers: need("X-Amz-SignedHeaders")?.split(';').collect(),
        signature: need("X-Amz-Signature")?,
        at,
        place: Place::Query(expires),
    })
}

/// 1 to 604,800 seconds. A number outside is answered as an expired URL would be (403), which is
/// what clients and the public suite expect; text that is no number is malformed (400).
fn lifetime(text: &str) -> Result<u64, S3Error> {
    let number: i64 = text
        .parse()
        .map_err(|_| parameters("X-Amz-Expires should be a number"))?;
    let denied = |message| S3Error::because(Code::AccessDenied, message);
    match u64::try_from(number) {
        Err(_) => Err(denied("X-Amz-Expires must be non-negative")),
        Ok(0) => Err(denied("Request has expired")),
        Ok(seconds) if seconds > EXPIRES_MAX => Err(denied(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
        )),
        Ok(seconds) => Ok(seconds),
    }
}

pub(super) fn parameters(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::because(Code::AuthorizationQueryParametersError, message)
}
