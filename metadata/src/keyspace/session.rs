//! `0x10` sessions, `0x11` outcomes of their commands, `0x12` manifests they staged.

use cairn_wire::metadata::Reply;

use super::{KeyKind, read_stamp, read_u64};

/// A session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionKey(pub u64);

/// A session that is open, or ended with rows still to forget.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SessionRow {
    /// State-machine time of its begin.
    #[prost(uint64, tag = "1")]
    pub begun_ms: u64,
    /// Who works in it, for people.
    #[prost(string, tag = "2")]
    pub gateway: String,
    /// Its proposals are refused; the row stays until its outcomes are forgotten.
    #[prost(bool, tag = "3")]
    pub ended: bool,
    /// The last operation whose outcome is forgotten, of a session that has ended; 0 before the first is.
    #[prost(uint64, tag = "4")]
    pub forgotten: u64,
}

impl KeyKind for SessionKey {
    const PREFIX: u8 = 0x10;
    type Row = SessionRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        read_u64(fields)
            .filter(|(_, rest)| rest.is_empty())
            .map(|(id, _)| Self(id))
    }
}

/// (session, operation number): the idempotency key of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutcomeKey {
    /// The session.
    pub session: u64,
    /// The operation.
    pub operation: u64,
}

impl KeyKind for OutcomeKey {
    const PREFIX: u8 = 0x11;
    type Row = Reply;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.session.to_be_bytes());
        out.extend_from_slice(&self.operation.to_be_bytes());
    }

    fn read(fields: &[u8]) -> Option<Self> {
        let (session, rest) = read_u64(fields)?;
        let (operation, rest) = read_u64(rest)?;
        rest.is_empty().then_some(Self { session, operation })
    }
}

/// (session, manifest): pages whose references are held, attached to no row yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StagedKey {
    /// The session.
    pub session: u64,
    /// The manifest.
    pub manifest: [u8; 16],
}

/// How much is staged.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct StagedRow {
    /// Pages so far; they are staged in order.
    #[prost(uint32, tag = "1")]
    pub pages: u32,
    /// Bytes so far.
    #[prost(uint64, tag = "2")]
    pub length: u64,
    /// The bucket they are for.
    #[prost(uint64, tag = "3")]
    pub bucket: u64,
    /// Its domain, which outlives it.
    #[prost(uint64, tag = "4")]
    pub domain: u64,
}

impl KeyKind for StagedKey {
    const PREFIX: u8 = 0x12;
    type Row = StagedRow;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.session.to_be_bytes());
        out.extend_from_slice(&self.manifest);
    }

    fn read(fields: &[u8]) -> Option<Self> {
        let (session, rest) = read_u64(fields)?;
        let (manifest, rest) = read_stamp(rest)?;
        rest.is_empty().then_some(Self { session, manifest })
    }
}
