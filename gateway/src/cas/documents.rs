//! The JSON that clients send. Pure; fields that are not known are refused, like everything else
//! that is not understood.

use cairn_model::{Sha256, limits};
use cairn_s3::object_headers::ObjectHeaders;
use http::{HeaderName, HeaderValue};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::EMPTY;
use super::refusal::Refused;
use crate::json::{self, Fields};

/// Most entries of an object's metadata: as many headers its answers have.
const METADATA_MAX: usize = limits::HEADERS_COUNT_MAX / 2;

/// A hash, in 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hash(Sha256);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = Hash;

            fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                to.write_str("a SHA-256 in 64 hexadecimal digits")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Hash, E> {
                let hash = Sha256::from_hex(text).map(Hash);
                hash.ok_or_else(|| {
                    E::invalid_value(serde::de::Unexpected::Str("other text"), &self)
                })
            }
        }
        from.deserialize_str(Digits)
    }
}

/// `{"chunks":["64 digits", ...]}`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MissingQuery {
    /// At most `CAS_MISSING_MAX`.
    pub(super) chunks: Vec<Sha256>,
}

impl MissingQuery {
    /// Reads a document.
    ///
    /// # Errors
    /// 400.
    pub(super) fn parse(document: &[u8]) -> Result<Self, Refused> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            chunks: Vec<Hash>,
        }
        let wire: Wire = json::read(document, "a list of chunks").map_err(Refused::invalid)?;
        check_count(wire.chunks.len(), limits::CAS_MISSING_MAX)?;
        let chunks = wire.chunks.into_iter().map(|hash| hash.0).collect();
        Ok(Self { chunks })
    }
}

fn check_count(count: usize, most: usize) -> Result<(), Refused> {
    if count > most {
        let refused = Refused::invalid(format!("a request names at most {most} chunks"));
        return Err(refused.with("most", most));
    }
    Ok(())
}

/// `{"chunks":[{"sha256","length"}, ...],"content_type","metadata":{...}}`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectQuery {
    /// In order, without empty ones, at most `CAS_OBJECT_CHUNKS_MAX`: each with its length.
    pub(super) chunks: Vec<(Sha256, u32)>,
    /// What is stored with the object.
    pub(super) headers: ObjectHeaders,
}

impl ObjectQuery {
    /// Reads a document.
    ///
    /// # Errors
    /// 400.
    pub(super) fn parse(document: &[u8]) -> Result<Self, Refused> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Piece {
            sha256: Hash,
            length: u64,
        }
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            chunks: Vec<Fields<Piece>>,
            #[serde(default)]
            content_type: Option<String>,
            #[serde(default)]
            metadata: Pairs,
        }
        let wire: Wire = json::read(document, "an object").map_err(Refused::invalid)?;
        check_count(wire.chunks.len(), limits::CAS_OBJECT_CHUNKS_MAX)?;
        let pieces = wire.chunks.into_iter();
        let chunks = pieces.map(|Fields(piece)| piece_of(piece.sha256.0, piece.length));
        let chunks = chunks.filter_map(Result::transpose);
        Ok(Self {
            chunks: chunks.collect::<Result<_, _>>()?,
            headers: headers(wire.content_type, wire.metadata)?,
        })
    }
}

/// A chunk and its length; none for the empty chunk, which adds nothing.
fn piece_of(hash: Sha256, length: u64) -> Result<Option<(Sha256, u32)>, Refused> {
    if (hash == EMPTY) != (length == 0) {
        let refused = Refused::invalid("only the empty chunk has length 0");
        return Err(refused.with("sha256", hash.to_string()));
    }
    if hash == EMPTY {
        return Ok(None);
    }
    let length = u32::try_from(length).ok();
    match length.filter(|length| u64::from(*length) <= limits::CHUNK_LEN_MAX) {
        Some(length) => Ok(Some((hash, length))),
        None => {
            let refused = Refused::invalid("no chunk is as long as that");
            Err(refused.with("sha256", hash.to_string()))
        }
    }
}

/// Names and values of a JSON object, as they came.
#[derive(Debug, Default)]
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Pairs;

            fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                to.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    if pairs.len() == METADATA_MAX {
                        return Err(A::Error::custom("too much metadata"));
                    }
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Texts)
    }
}

/// What is stored with the object, as if the headers of a PUT had said it.
fn headers(content_type: Option<String>, metadata: Pairs) -> Result<ObjectHeaders, Refused> {
    if content_type
        .as_deref()
        .is_some_and(|text| text.is_empty() || !is_value(text))
    {
        return Err(Refused::invalid("content_type cannot stand in a header"));
    }
    let mut pairs = Vec::with_capacity(metadata.0.len());
    for (name, value) in metadata.0 {
        let is_name = !name.is_empty() && HeaderName::try_from(&name).is_ok();
        if !is_name || !is_value(&value) {
            return Err(
                Refused::invalid("metadata that cannot stand in a header").with("name", name)
            );
        }
        pairs.push((name.to_ascii_lowercase(), value));
    }
    pairs.sort_unstable();
    if let Some(name) = twice(&pairs) {
        return Err(Refused::invalid("metadata is given twice").with("name", name));
    }
    let headers = ObjectHeaders {
        content_type,
        metadata: pairs,
        ..Default::default()
    };
    headers.check_bounds()?;
    Ok(headers)
}

/// Whether a text comes through a header unchanged.
fn is_value(text: &str) -> bool {
    text.trim() == text
        && !text.chars().any(char::is_control)
        && HeaderValue::from_bytes(text.as_bytes()).is_ok()
}

fn twice(sorted: &[(String, String)]) -> Option<&str> {
    sorted.windows(2).find_map(|pair| match pair {
        [(one, _), (other, _)] if one == other => Some(one.as_str()),
        _ => None,
    })
}

/// `{"expires_in": seconds}`, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TokenQuery {
    /// Seconds, 1 to `TOKEN_SECS_MAX`.
    pub(super) expires_in: u64,
}

impl TokenQuery {
    /// Reads a document.
    ///
    /// # Errors
    /// 400.
    pub(super) fn parse(document: &[u8]) -> Result<Self, Refused> {
        #[derive(Default, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            #[serde(default)]
            expires_in: Option<u64>,
        }
        let wire: Wire = match document {
            [] => Wire::default(),
            _ => json::read(document, "a wish for a token").map_err(Refused::invalid)?,
        };
        let expires_in = wire.expires_in.unwrap_or(limits::TOKEN_SECS_DEFAULT);
        if !(1..=limits::TOKEN_SECS_MAX).contains(&expires_in) {
            let refused = Refused::invalid("a token lives from a second to seven days");
            return Err(refused.with("longest", limits::TOKEN_SECS_MAX));
        }
        Ok(Self { expires_in })
    }
}

#[cfg(test)]
mod tests;
