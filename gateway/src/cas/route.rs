//! Paths under `/cas`. Pure.

use cairn_model::Sha256;
use cairn_s3::{BucketName, Hosts, ObjectKey, Target};

use super::refusal::Refused;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/cas/chunks/{sha256}`
    Chunk(Sha256),
    /// `/cas/missing`
    Missing,
    /// `/cas/objects/{bucket}/{key}`
    Object(Box<(BucketName, ObjectKey)>),
    /// `/cas/token`
    Token,
}

impl Route {
    /// Reads a path as it came, still encoded. Bucket and key are decoded as S3's are.
    ///
    /// # Errors
    /// 400 for a hash, bucket or key that is none; 404 for any other path.
    pub(super) fn parse(path: &str) -> Result<Self, Refused> {
        let not_found = Refused::not_found;
        let rest = path.strip_prefix("/cas/").ok_or_else(not_found)?;
        if let Some(hash) = rest.strip_prefix("chunks/") {
            return Sha256::from_hex(hash).map(Self::Chunk).ok_or_else(|| {
                Refused::invalid("a chunk is named by its SHA-256 in 64 hexadecimal digits")
            });
        }
        if let Some(target) = rest.strip_prefix("objects/") {
            let target = Target::parse("", &format!("/{target}"), &Hosts::default())?;
            let Target::Object(bucket, key) = target else {
                return Err(Refused::invalid("an object is named by a bucket and a key"));
            };
            return Ok(Self::Object(Box::new((bucket, key))));
        }
        match rest {
            "missing" => Ok(Self::Missing),
            "token" => Ok(Self::Token),
            _ => Err(not_found()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn object(path: &str) -> Option<(String, String)> {
        match Route::parse(path) {
            Ok(Route::Object(target)) => {
                Some((target.0.as_str().to_owned(), target.1.as_str().to_owned()))
            }
            _ => None,
        }
    }

    fn status(path: &str) -> u16 {
        Route::parse(path).unwrap_err().status().as_u16()
    }

    proptest! {
        #[test]
        fn a_hash_is_read_in_either_case(digest: [u8; 32]) {
            let hash = Sha256(digest);
            for text in [hash.to_string(), hash.to_string().to_uppercase()] {
                prop_assert_eq!(Route::parse(&format!("/cas/chunks/{text}")).unwrap(), Route::Chunk(hash));
            }
        }

        #[test]
        fn a_hash_of_another_form_is_refused(text in "[0-9a-fA-F]{0,63}|[0-9a-f]{65,70}|[0-9a-f]{63}[g-z%/+ ]") {
            prop_assert_eq!(status(&format!("/cas/chunks/{text}")), 400);
        }

        #[test]
        fn keys_are_decoded_as_s3_decodes_them(key in "[a-z%A-F0-9/. +~é]{0,20}") {
            let s3 = Target::parse("", &format!("/bucket/{key}"), &Hosts::default());
            let expected = match s3 {
                Ok(Target::Object(bucket, key)) => {
                    Some((bucket.as_str().to_owned(), key.as_str().to_owned()))
                }
                _ => None,
            };
            prop_assert_eq!(object(&format!("/cas/objects/bucket/{key}")), expected);
        }

        #[test]
        fn no_path_panics(path in ".{0,60}", tail in "/cas/[a-z/%0-9]{0,40}") {
            let _any = Route::parse(&path);
            let _any = Route::parse(&tail);
        }
    }

    #[test]
    fn bucket_and_key_are_split_before_they_are_decoded() {
        let both = |bucket: &str, key: &str| Some((bucket.to_owned(), key.to_owned()));
        assert_eq!(
            object("/cas/objects/bucket/a%2Fb//c%20d"),
            both("bucket", "a/b//c d")
        );
        assert_eq!(
            object("/cas/objects/bucket/cas/token"),
            both("bucket", "cas/token")
        );
        assert_eq!(object("/cas/objects/buc%2Fket/k"), None);
    }

    #[test]
    fn the_rest_is_not_there_or_wrong() {
        for path in [
            "/cas",
            "/cas/",
            "/cas/missing/",
            "/cas/tokens",
            "/cas/object/b/k",
            "/x/cas/missing",
        ] {
            assert_eq!(status(path), 404, "{path}");
        }
        for path in [
            "/cas/chunks/",
            "/cas/objects/",
            "/cas/objects/bucket",
            "/cas/objects/bucket/",
            "/cas/objects/cas/k",
            "/cas/objects/Bucket/k",
            "/cas/objects/bucket/%ff",
        ] {
            assert_eq!(status(path), 400, "{path}");
        }
        assert_eq!(Route::parse("/cas/missing").unwrap(), Route::Missing);
        assert_eq!(Route::parse("/cas/token").unwrap(), Route::Token);
    }
}
