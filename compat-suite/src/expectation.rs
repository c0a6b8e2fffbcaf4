//! What a case expects, and how it says that it got something else.

use crate::http::{HttpError, Response};
use crate::xml::{self, Element};

/// Why a case did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self(error.to_string())
    }
}

impl From<String> for Failure {
    fn from(what: String) -> Self {
        Self(what)
    }
}

/// A case's result.
pub type Outcome = Result<(), Failure>;

/// The two are equal.
///
/// # Errors
/// Both, in words.
pub fn equal<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(
    what: &str,
    found: T,
    expected: U,
) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(Failure(format!(
        "{what}: found {found:.300?}, expected {expected:.300?}"
    )))
}

/// It holds.
///
/// # Errors
/// `what`.
pub fn holds(condition: bool, what: &str) -> Outcome {
    if condition {
        Ok(())
    } else {
        Err(Failure(what.to_owned()))
    }
}

/// The response has this status.
///
/// # Errors
/// Its status and body.
pub fn status(response: &Response, expected: u16) -> Outcome {
    if response.status == expected {
        return Ok(());
    }
    let Response { status, .. } = response;
    Err(Failure(format!(
        "status {status}, expected {expected}: {:.300}",
        response.text()
    )))
}

/// The response is an S3 error with this status and code.
///
/// # Errors
/// What it is instead.
pub fn error(response: &Response, expected: u16, code: &str) -> Outcome {
    status(response, expected)?;
    let root = document(response, "Error")?;
    equal("Code", root.child("Code"), Some(code))?;
    holds(
        root.child("RequestId").is_some_and(|id| !id.is_empty()),
        "an error has a RequestId",
    )
}

/// The response's body as XML with this root.
///
/// # Errors
/// What it is instead.
pub fn document(response: &Response, root: &str) -> Result<Element, Failure> {
    let document = xml::parse(&response.text())?;
    equal("root element", document.name.as_str(), root)?;
    Ok(document)
}

/// The response has this header.
///
/// # Errors
/// What it has instead.
pub fn header(response: &Response, name: &str, expected: &str) -> Outcome {
    equal(name, response.header(name), Some(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> Response {
        let headers = vec![("ETag".to_owned(), "\"x\"".to_owned())];
        Response {
            status,
            headers,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn each_expectation_can_fail() {
        let missing = "<Error><Code>NoSuchKey</Code><RequestId>1</RequestId></Error>";
        assert_eq!(error(&response(404, missing), 404, "NoSuchKey"), Ok(()));
        assert!(error(&response(403, missing), 404, "NoSuchKey").is_err());
        assert!(error(&response(404, missing), 404, "NoSuchBucket").is_err());
        let unnumbered = missing.replace("<RequestId>1</RequestId>", "");
        assert!(error(&response(404, &unnumbered), 404, "NoSuchKey").is_err());
        assert!(error(&response(404, "not found"), 404, "NoSuchKey").is_err());
        assert!(document(&response(200, "<A/>"), "B").is_err());
        assert_eq!(header(&response(200, ""), "etag", "\"x\""), Ok(()));
        assert!(header(&response(200, ""), "etag", "\"y\"").is_err());
        assert!(equal("n", 1, 2).is_err() && holds(false, "x").is_err());
    }
}
