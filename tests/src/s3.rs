//! S3 operations as the tests say them, with answers sorted into what they tell the caller.

use cairn_compat_suite::{Call, Client, HttpError, Response, xml};

use crate::oracle::{Answer, Listed, Observation};

/// What an answer, or none, says about the operation.
#[must_use]
pub fn answer(result: &Result<Response, HttpError>) -> Answer {
    match result {
        Ok(response) if response.status < 300 => Answer::Acknowledged,
        Ok(response) if response.status < 500 => Answer::Refused,
        Err(HttpError::Connect(_)) => Answer::Refused,
        Ok(_) | Err(_) => Answer::Unknown,
    }
}

/// The answer to a CompleteMultipartUpload, which may report an error inside a 200.
#[must_use]
pub fn completion_answer(result: &Result<Response, HttpError>) -> Answer {
    match result {
        Ok(response) if response.status == 200 => match xml::parse(&response.text()) {
            Ok(root) if root.name == "CompleteMultipartUploadResult" => Answer::Acknowledged,
            _ => Answer::Unknown,
        },
        other => answer(other),
    }
}

/// PutObject.
#[must_use]
pub fn put(path: &str, body: Vec<u8>) -> Call {
    Call::new("PUT", path).body(body)
}

/// Creates a bucket.
///
/// # Panics
/// Where the server does not say 200.
pub fn make_bucket(client: &Client, bucket: &str) {
    let response = client.send(&Call::new("PUT", bucket)).expect("an answer");
    assert_eq!(response.status, 200, "{}", response.text());
}

/// Puts an object that must be taken.
///
/// # Panics
/// Where the server does not say 200.
pub fn must_put(client: &Client, path: &str, body: &[u8]) {
    let response = client.send(&put(path, body.to_vec())).expect("an answer");
    assert_eq!(response.status, 200, "PUT {path}: {}", response.text());
}

/// Reads an object.
///
/// # Errors
/// Anything but 200 or 404, in words.
pub fn observe(client: &Client, path: &str) -> Result<Observation, String> {
    let response = client
        .send(&Call::new("GET", path))
        .map_err(|why| format!("{path}: {why}"))?;
    match response.status {
        404 => Ok(Observation::Absent),
        200 => {
            let etag = response.header("etag").unwrap_or_default().to_owned();
            Ok(Observation::Present {
                bytes: response.body,
                etag,
            })
        }
        status => Err(format!("{path}: {status} {}", response.text())),
    }
}

/// Every page of ListObjectsV2, `page` keys at a time.
///
/// # Errors
/// What is wrong with an answer, in words.
pub fn list_all(client: &Client, bucket: &str, page: usize) -> Result<Vec<Listed>, String> {
    let mut rows = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let mut call = Call::new("GET", bucket).query("list-type", "2");
        call = call.query("max-keys", &page.to_string());
        if let Some(token) = &token {
            call = call.query("continuation-token", token);
        }
        let response = client.send(&call).map_err(|why| why.to_string())?;
        let root = xml::parse(&response.text())?;
        if response.status != 200 || root.name != "ListBucketResult" {
            return Err(format!("{} {}", response.status, response.text()));
        }
        let before = rows.len();
        for entry in root.all("Contents") {
            rows.push(read_row(entry).ok_or_else(|| format!("a row lacks a field: {entry:?}"))?);
        }
        token = root.child("NextContinuationToken").map(str::to_owned);
        let truncated = root.child("IsTruncated") == Some("true");
        if truncated != token.is_some() || rows.len() - before > page {
            return Err(format!(
                "IsTruncated, token and page do not agree: {}",
                response.text()
            ));
        }
        if !truncated {
            return Ok(rows);
        }
    }
}

fn read_row(entry: &xml::Element) -> Option<Listed> {
    Some(Listed {
        key: entry.child("Key")?.to_owned(),
        size: entry.child("Size")?.parse().ok()?,
        etag: entry.child("ETag")?.to_owned(),
    })
}

/// The upload id of a CreateMultipartUpload answer.
#[must_use]
pub fn upload_id(response: &Response) -> Option<String> {
    let root = xml::parse(&response.text()).ok()?;
    root.child("UploadId").map(str::to_owned)
}

/// The body of CompleteMultipartUpload for parts 1, 2, … with these ETags.
#[must_use]
pub fn completion(etags: &[String]) -> String {
    let parts: String = etags
        .iter()
        .zip(1..)
        .map(|(etag, number)| {
            let etag = etag.replace('"', "&quot;");
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        })
        .collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> Result<Response, HttpError> {
        Ok(Response {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
        })
    }

    #[test]
    fn answers_tell_refused_from_unknown() {
        assert_eq!(answer(&response(200, "")), Answer::Acknowledged);
        assert_eq!(answer(&response(412, "")), Answer::Refused);
        assert_eq!(answer(&response(503, "")), Answer::Unknown);
        let broken = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(answer(&Err(HttpError::Connect(broken()))), Answer::Refused);
        assert_eq!(answer(&Err(HttpError::Receive(broken()))), Answer::Unknown);
    }

    #[test]
    fn a_completion_may_fail_inside_a_200() {
        let done = response(200, "<CompleteMultipartUploadResult/>");
        assert_eq!(completion_answer(&done), Answer::Acknowledged);
        assert_eq!(
            completion_answer(&response(200, "<Error/>")),
            Answer::Unknown
        );
        assert_eq!(
            completion_answer(&response(400, "<Error/>")),
            Answer::Refused
        );
    }
}
