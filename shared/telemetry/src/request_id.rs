//! Ids of requests.

use std::fmt;
use std::str::FromStr;

/// The id of one request: 16 random bytes, shown as 32 lower-case hex digits in logs, between our
/// processes and to clients.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId([u8; 16]);

/// A text that is not a request id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request id is 32 hex digits")]
pub struct RequestIdError;

impl RequestId {
    /// The id made of these random bytes.
    #[must_use]
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// The first half as S3 shows it: 16 upper-case hex digits (`x-amz-request-id`).
    #[must_use]
    pub fn short(&self) -> String {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        format!("{:016X}", u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// The bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

impl FromStr for RequestId {
    type Err = RequestIdError;

    fn from_str(text: &str) -> Result<Self, RequestIdError> {
        // `from_str_radix` alone would also take a sign.
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(RequestIdError);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| RequestIdError)?;
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn leading_zeros_are_shown() {
        let mut bytes = [0; 16];
        bytes[7] = 0xAB;
        bytes[15] = 0x0C;
        let id = RequestId::new(bytes);
        assert_eq!(id.to_string(), "00000000000000ab000000000000000c");
        assert_eq!(id.short(), "00000000000000AB");
    }

    #[test]
    fn what_is_not_32_hex_digits_is_refused() {
        let ok = "0123456789abcdef0123456789ABCDEF";
        assert!(ok.parse::<RequestId>().is_ok());
        for bad in [
            "",
            &ok[1..],
            &format!("{ok}0"),
            &format!("+{}", &ok[1..]),
            &"g".repeat(32),
        ] {
            assert_eq!(bad.parse::<RequestId>(), Err(RequestIdError), "{bad:?}");
        }
        assert!("ä".repeat(16).parse::<RequestId>().is_err());
    }

    proptest! {
        #[test]
        fn shown_and_read_again_it_is_the_same(bytes in any::<[u8; 16]>()) {
            let id = RequestId::new(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(id.to_bytes(), bytes);
            prop_assert!(id.to_string().to_uppercase().starts_with(&id.short()));
        }
    }
}
