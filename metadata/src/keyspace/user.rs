//! `0x05` access key -> user, `0x06` user id -> its access key and domain.

use cairn_wire::metadata::User;

use super::KeyKind;

/// An access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserKey(pub String);

impl KeyKind for UserKey {
    const PREFIX: u8 = 0x05;
    type Row = User;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        String::from_utf8(fields.to_vec()).ok().map(Self)
    }
}

/// A user id. The row outlives the user: whoever comes back under the id owns what it owned, in the
/// same deduplication domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserIdKey(pub String);

/// What is kept of an id for ever.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct UserIdRow {
    /// The user's access key; empty while the user is removed.
    #[prost(string, tag = "1")]
    pub access_key: String,
    /// The account's deduplication domain.
    #[prost(uint64, tag = "2")]
    pub domain: u64,
}

impl KeyKind for UserIdKey {
    const PREFIX: u8 = 0x06;
    type Row = UserIdRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        String::from_utf8(fields.to_vec()).ok().map(Self)
    }
}
