//! The query string, parsed once: routing, inputs and the canonical request all read this.

use crate::error::{Code, S3Error};
use crate::uri;

/// A parsed query. No name occurs twice: a second value would be seen by one reader and not by
/// another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    raw: String,
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Parses what stands after the `?`. `a`, `a=` and `&&` are allowed; `+` is a blank.
    ///
    /// # Errors
    /// `InvalidURI` for a broken escape or bytes that are not UTF-8; `InvalidArgument` for a name
    /// that occurs twice (in any letter case where it is an `x-amz-` name).
    pub fn parse(raw: &str) -> Result<Self, S3Error> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((uri::decode(name, true)?, uri::decode(value, true)?));
        }
        let mut names: Vec<String> = pairs.iter().map(|(name, _)| folded(name)).collect();
        names.sort_unstable();
        let repeated = names
            .iter()
            .zip(names.iter().skip(1))
            .find(|(one, next)| one == next);
        if let Some((name, _)) = repeated {
            let message = "A query parameter must not be given more than once.";
            return Err(S3Error::argument(name.as_str(), "", message));
        }
        Ok(Self {
            raw: raw.to_owned(),
            pairs,
        })
    }

    /// The value of `name`, decoded; empty when it has none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// [`Query::get`], an empty value counting as absent.
    #[must_use]
    pub fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Whether `name` is there, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names and values in the order they came.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The query as it came.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The canonical query of SigV4: decoded once, encoded the one way, sorted by name and value,
    /// without the parameter that carries the signature itself.
    #[must_use]
    pub fn canonical(&self, without: &str) -> String {
        let kept = self.pairs.iter().filter(|(name, _)| name != without);
        let mut encoded: Vec<_> = kept
            .map(|(name, value)| (uri::encode(name), uri::encode(value)))
            .collect();
        encoded.sort_unstable();
        let mut out = String::with_capacity(self.raw.len() + 16);
        for (name, value) in encoded {
            if !out.is_empty() {
                out.push('&');
            }
            out.push_str(&name);
            out.push('=');
            out.push_str(&value);
        }
        out
    }

    /// A number between 0 and 2^31-1.
    ///
    /// # Errors
    /// `InvalidArgument` with the name and the value.
    pub(crate) fn integer(&self, name: &'static str) -> Result<Option<u32>, S3Error> {
        let Some(text) = self.non_empty(name) else {
            return Ok(None);
        };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text
            .parse::<i32>()
            .ok()
            .and_then(|number| u32::try_from(number).ok());
        let message = || format!("Argument {name} must be an integer between 0 and 2147483647");
        let wanted = number.filter(|_| digits);
        wanted
            .map(Some)
            .ok_or_else(|| S3Error::argument(name, text, message()))
    }
}

/// `x-amz-` names are folded, since presigned parameters are also read as headers.
fn folded(name: &str) -> String {
    if is_amz(name) {
        name.to_ascii_lowercase()
    } else {
        name.to_owned()
    }
}

/// Whether a name belongs to the signature or is a header in disguise.
pub(crate) fn is_amz(name: &str) -> bool {
    name.get(..6)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-amz-"))
}

impl TryFrom<Option<&str>> for Query {
    type Error = S3Error;

    fn try_from(raw: Option<&str>) -> Result<Self, S3Error> {
        Self::parse(raw.unwrap_or(""))
    }
}

/// `versionId`, where the caller has no versions but the null one.
///
/// # Errors
/// `InvalidArgument` for an empty one.
pub(crate) fn version_id(query: &Query) -> Result<Option<String>, S3Error> {
    match query.get("versionId") {
        Some("") => {
            let message = "Version id cannot be the empty string";
            Err(S3Error::argument("versionId", "", message))
        }
        Some(id) if id.len() > VERSION_ID_LEN_MAX => Err(S3Error::argument(
            "versionId",
            id,
            "Invalid version id specified",
        )),
        other => Ok(other.map(str::to_owned)),
    }
}

/// Longest version id AWS speaks of.
const VERSION_ID_LEN_MAX: usize = 1_024;

/// `Code` used when a parameter the operation needs is missing.
pub(crate) fn missing(name: &'static str) -> S3Error {
    S3Error::because(
        Code::InvalidRequest,
        format!("Missing required parameter: {name}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_values_are_decoded_once() {
        let query = Query::parse("acl&prefix=a%2Fb+c&x=%2541&&empty=").unwrap();
        assert_eq!(query.get("acl"), Some(""));
        assert_eq!(query.get("prefix"), Some("a/b c"));
        assert_eq!(query.get("x"), Some("%41"));
        assert_eq!(query.non_empty("empty"), None);
        assert!(query.has("empty") && !query.has("none"));
    }

    #[test]
    fn a_repeated_name_is_refused() {
        for raw in [
            "a=1&a=2",
            "acl&acl",
            "versionId=x&a=1&versionId=y",
            "%61=1&a=2",
        ] {
            assert_eq!(
                Query::parse(raw).unwrap_err().code(),
                Code::InvalidArgument,
                "{raw}"
            );
        }
    }

    #[test]
    fn a_repeated_auth_parameter_is_refused_in_any_case() {
        for raw in [
            "X-Amz-Signature=a&X-Amz-Signature=b",
            "X-Amz-Date=1&x-amz-date=2",
            "x-amz-acl&X-Amz-Acl",
        ] {
            assert_eq!(
                Query::parse(raw).unwrap_err().code(),
                Code::InvalidArgument,
                "{raw}"
            );
        }
    }

    #[test]
    fn the_canonical_form_sorts_encodes_and_leaves_the_signature_out() {
        let query = Query::parse("b=2&a=%7e/&X-Amz-Signature=ff&acl&a-b=+").unwrap();
        assert_eq!(
            query.canonical("X-Amz-Signature"),
            "a=~%2F&a-b=%20&acl=&b=2"
        );
    }

    #[test]
    fn integers_are_plain_and_bounded() {
        let query = Query::parse("a=7&b=-1&c=2147483648&d=blah&e=&f=%2B1").unwrap();
        assert_eq!(query.integer("a").unwrap(), Some(7));
        assert_eq!(query.integer("e").unwrap(), None);
        for name in ["b", "c", "d", "f"] {
            let error = query.integer(name).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument);
            assert_eq!(error.field("ArgumentName"), Some(name));
        }
    }

    #[test]
    fn an_empty_version_id_is_refused() {
        let query = Query::parse("versionId=").unwrap();
        assert_eq!(
            version_id(&query).unwrap_err().code(),
            Code::InvalidArgument
        );
    }

    proptest! {
        #[test]
        fn parsing_never_panics(raw: String) {
            let _ = Query::parse(&raw).map(|query| query.canonical(""));
        }

        #[test]
        fn the_canonical_form_means_the_same(
            pairs in proptest::collection::btree_map(".{1,8}", ".{0,8}", 0..6)
        ) {
            let raw: Vec<String> =
                pairs.iter().map(|(n, v)| format!("{}={}", uri::encode(n), uri::encode(v))).collect();
            let Ok(query) = Query::parse(&raw.join("&")) else { return Ok(()) };
            let again = Query::parse(&query.canonical("")).unwrap();
            for (name, value) in &pairs {
                prop_assert_eq!(again.get(name), Some(value.as_str()));
            }
            prop_assert_eq!(again.canonical(""), query.canonical(""));
        }
    }
}
