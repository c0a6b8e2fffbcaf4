//! Where the endpoint is, and bytes, sizes and keys worth trying.

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const MIB: usize = 1 << 20;

/// Inside the object row, just past it, and as pieces of their own.
pub(crate) const SIZES: [(&str, usize); 5] = [
    ("0 B", 0),
    ("1 B", 1),
    ("4 KiB", 4_096),
    ("4 KiB and 1 B", 4_097),
    ("5 MiB", 5 * MIB),
];

/// Keys that want encoding somewhere on their way.
pub(crate) const KEYS: [(&str, &str); 6] = [
    ("spaces", "a key/with two  spaces"),
    ("plus", "a+b/c++"),
    ("percent", "100%/%41%2F"),
    ("unicode", "ключ/鍵/clé-é/🗝"),
    ("reserved characters", "a&b=c;d:e@f$g,h'i(j)k!l*m"),
    ("quotes and brackets", "say \"x\" [y] {z} <t> ^ ` |"),
];

/// A server and who asks.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// `http://host:port`.
    pub(crate) url: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) region: String,
}

impl Endpoint {
    pub(crate) fn of_environment() -> Result<Self, std::env::VarError> {
        Ok(Self {
            url: std::env::var("CAIRN_ENDPOINT")?,
            access_key: std::env::var("CAIRN_ACCESS_KEY")?,
            secret_key: std::env::var("CAIRN_SECRET_KEY")?,
            region: std::env::var("CAIRN_REGION").unwrap_or_else(|_| "us-east-1".to_owned()),
        })
    }
}

/// A bucket name that no earlier run has used.
pub(crate) fn fresh_bucket(client: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map(|since| since.as_nanos()).unwrap_or_default();
    format!("{}-{now}", client.replace('_', "-"))
}

/// `length` bytes that differ by seed (xorshift).
pub(crate) fn pattern(seed: &str, length: usize) -> Vec<u8> {
    let mix = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut state = seed.bytes().fold(0xcbf2_9ce4_8422_2325, mix) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_their_length_and_differ_by_seed() {
        assert_eq!(
            [0, 1, 9].map(|length| pattern("a", length).len()),
            [0, 1, 9]
        );
        assert_eq!(pattern("a", 100), pattern("a", 200)[..100]);
        assert_ne!(pattern("a", 100), pattern("b", 100));
    }
}
