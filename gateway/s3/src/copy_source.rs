//! `x-amz-copy-source` and `x-amz-copy-source-range`.

use crate::error::{Code, S3Error};
use crate::head::Head;
use crate::target::{BucketName, ObjectKey};
use crate::uri;

/// The object a copy reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySource {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Its version, the current one if absent.
    pub version_id: Option<String>,
}

impl CopySource {
    /// Reads the header of a copy.
    ///
    /// # Errors
    /// `InvalidArgument` if there is none or it names no object; what bucket and key refuse.
    pub fn from_head(head: &Head) -> Result<Self, S3Error> {
        Self::parse(head.header("x-amz-copy-source")?.unwrap_or(""))
    }

    /// Reads `/bucket/key?versionId=id`: the first slash may be missing, the name is split before
    /// it is decoded and decoded once. A `+` is a space, as AWS has it (aws-cli issue 614) and
    /// s5cmd writes it.
    ///
    /// # Errors
    /// As [`CopySource::from_head`].
    pub fn parse(text: &str) -> Result<Self, S3Error> {
        if text.starts_with("arn:") {
            return Err(S3Error::not_implemented("Copying from an access point"));
        }
        let invalid = || {
            let message =
                "Copy Source must mention the source bucket and key: sourcebucket/sourcekey";
            S3Error::argument("x-amz-copy-source", text, message)
        };
        let (name, version_id) = match text.split_once("?versionId=") {
            Some((_, "")) => return Err(invalid()),
            Some((name, id)) => (name, Some(uri::decode(id, false)?)),
            None => (text, None),
        };
        let name = name.strip_prefix('/').unwrap_or(name);
        let (bucket, key) = name.split_once('/').ok_or_else(invalid)?;
        if key.is_empty() {
            return Err(invalid());
        }
        let bucket = BucketName::parse(&uri::decode(bucket, false)?)?;
        Ok(Self {
            bucket,
            key: ObjectKey::parse(uri::decode(key, true)?)?,
            version_id,
        })
    }
}

/// Reads `bytes=first-last`, the one form a copied range may have; both are included.
///
/// # Errors
/// `InvalidArgument`.
pub fn copy_range(text: &str) -> Result<(u64, u64), S3Error> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let range = text
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'));
    let numbers = range.filter(|(first, last)| digits(first) && digits(last));
    let numbers = numbers.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let ordered = numbers.filter(|(first, last): &(u64, u64)| first <= last);
    ordered.ok_or_else(|| {
        let message = "The x-amz-copy-source-range value must be of the form bytes=first-last where \
                       first and last are the zero-based offsets of the first and last bytes to copy";
        S3Error::because(Code::InvalidArgument, message)
            .with("ArgumentName", "x-amz-copy-source-range")
            .with("ArgumentValue", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_spellings_and_versions_are_read() {
        let source = CopySource::parse("/abc/a%2Fb%20c+d%2B?versionId=v%2B1").unwrap();
        assert_eq!(source.bucket.as_str(), "abc");
        assert_eq!(source.key.as_str(), "a/b c d+");
        assert_eq!(source.version_id.as_deref(), Some("v+1"));
        assert_eq!(
            CopySource::parse("abc/%2541?x").unwrap().key.as_str(),
            "%41?x"
        );
    }

    #[test]
    fn a_source_without_bucket_or_key_is_refused() {
        for text in ["", "/", "abc", "/abc", "/abc/", "abc/k?versionId="] {
            let error = CopySource::parse(text).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument, "{text}");
        }
        for (text, code) in [
            ("//k", Code::InvalidBucketName),
            ("/ab%2Fc/k", Code::InvalidBucketName),
            ("/../k", Code::InvalidBucketName),
            ("/cas/k", Code::InvalidBucketName),
            ("/abc/%ff", Code::InvalidURI),
            ("/abc/%00", Code::InvalidURI),
            (
                "arn:aws:s3:us-east-1:1:accesspoint/x/object/k",
                Code::NotImplemented,
            ),
        ] {
            assert_eq!(CopySource::parse(text).unwrap_err().code(), code, "{text}");
        }
    }

    #[test]
    fn dots_in_a_key_lead_nowhere() {
        let source = CopySource::parse("/abc/../../secret/k").unwrap();
        assert_eq!(
            (source.bucket.as_str(), source.key.as_str()),
            ("abc", "../../secret/k")
        );
    }

    #[test]
    fn a_copied_range_has_both_ends() {
        assert_eq!(copy_range("bytes=0-0").unwrap(), (0, 0));
        for text in [
            "bytes=0-",
            "bytes=-5",
            "0-5",
            "bytes=5-2",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "bytes=0-99999999999999999999",
            "bytes=+0-1",
            "",
        ] {
            assert_eq!(
                copy_range(text).unwrap_err().code(),
                Code::InvalidArgument,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text: String) {
            let _ = CopySource::parse(&text);
            let _ = copy_range(&text);
        }
    }
}
