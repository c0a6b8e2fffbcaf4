//! JSON of our own APIs: the documents that clients send, and the answers.

use std::marker::PhantomData;

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// A JSON object and nothing else: serde would take an array of the fields' values as well.
pub(crate) struct Fields<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Fields<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Named<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Named<T> {
            type Value = Fields<T>;

            fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fields<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Fields)
            }
        }
        from.deserialize_map(Named(PhantomData))
    }
}

/// Reads a document that must be an object; `what` it should have been goes into the refusal.
///
/// # Errors
/// Why it is none, for people.
pub(crate) fn read<T: DeserializeOwned>(document: &[u8], what: &str) -> Result<T, String> {
    serde_json::from_slice(document)
        .map(|Fields(value)| value)
        .map_err(|error| format!("not {what}: {error}"))
}

/// A JSON answer.
pub(crate) fn answer(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
