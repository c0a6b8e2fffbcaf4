//! Why calls fail, by what the caller can do; and the codes that say so on the wire.

use cairn_wire::frame::FrameError;
use quinn::VarInt;

/// Why a peer did not do what it was asked. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The caller's roles do not include this call.
    #[error("{}", self.text())]
    Role,
    /// The peer has no such service.
    #[error("{}", self.text())]
    Unserved,
    /// The peer could not read the call: a bug, or a version that should not have been agreed on.
    #[error("{}", self.text())]
    Malformed,
    /// Too many calls at once: later.
    #[error("{}", self.text())]
    Busy,
}

impl Refusal {
    const ALL: [Self; 4] = [Self::Role, Self::Unserved, Self::Malformed, Self::Busy];

    /// What it says, for errors that take no other text.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Role => "this role may not make this call",
            Self::Unserved => "the peer does not serve this call",
            Self::Malformed => "the peer could not read the call",
            Self::Busy => "the peer is busy",
        }
    }

    pub(crate) fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            Self::Role => 1,
            Self::Unserved => 2,
            Self::Malformed => 3,
            Self::Busy => 4,
        })
    }

    fn of_code(code: VarInt) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.code() == code)
    }
}

/// The code of a stream whose owner has gone.
pub(crate) const GONE: VarInt = VarInt::from_u32(0);

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// The endpoint ends.
    Ending,
    /// The peer is no member.
    NotMember,
    /// HELLO is missing or says other than the certificate.
    Hello,
    /// No protocol in common.
    Version,
    /// Too many want to join at once, or one takes too long.
    Busy,
}

impl Close {
    pub(crate) fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            Self::Ending => 1,
            Self::NotMember => 2,
            Self::Hello => 3,
            Self::Version => 4,
            Self::Busy => 5,
        })
    }

    /// Said to the peer, for its log.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Ending => "the endpoint ends",
            Self::NotMember => "not a member of this cluster",
            Self::Hello => "HELLO is missing or not the certificate's",
            Self::Version => "no protocol in common",
            Self::Busy => "too many processes want to join",
        }
    }

    pub(crate) fn close(self, connection: &quinn::Connection) {
        connection.close(self.code(), self.reason().as_bytes());
    }
}

/// Why a call failed, by what the caller can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The peer never saw it whole: nothing was done, try again or elsewhere.
    #[error("the peer was not reached: {0}")]
    NotReached(String),
    /// It was sent and no answer came: it may or may not have been done.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// The peer turned it down: nothing was done, and nothing will be.
    #[error("refused: {0}")]
    Refused(Refusal),
}

/// Why a stream gives or takes no more frames.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The other side turned the call down.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The other side or the connection has gone.
    #[error("the stream is lost: {0}")]
    Lost(String),
    /// What came is no frame, or not the one that must come.
    #[error("{0}")]
    Malformed(String),
}

impl StreamError {
    pub(crate) fn of_code(code: VarInt) -> Self {
        Refusal::of_code(code).map_or_else(
            || Self::Lost(format!("given up by the peer ({code})")),
            Self::Refused,
        )
    }

    /// What it means to the caller.
    pub(crate) fn into_call_error(self, sent: bool) -> CallError {
        match self {
            Self::Refused(Refusal::Busy) => CallError::NotReached(Refusal::Busy.to_string()),
            Self::Refused(refusal) => CallError::Refused(refusal),
            Self::Lost(why) | Self::Malformed(why) if sent => CallError::Unknown(why),
            Self::Lost(why) | Self::Malformed(why) => CallError::NotReached(why),
        }
    }
}

impl From<FrameError> for StreamError {
    fn from(error: FrameError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<quinn::WriteError> for StreamError {
    fn from(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::Stopped(code) => Self::of_code(code),
            quinn::WriteError::ConnectionLost(why) => Self::Lost(why.to_string()),
            other => Self::Lost(other.to_string()),
        }
    }
}

impl From<quinn::ReadError> for StreamError {
    fn from(error: quinn::ReadError) -> Self {
        match error {
            quinn::ReadError::Reset(code) => Self::of_code(code),
            quinn::ReadError::ConnectionLost(why) => Self::Lost(why.to_string()),
            other => Self::Lost(other.to_string()),
        }
    }
}
