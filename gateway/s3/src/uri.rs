//! Percent-encoding as AWS does it: every byte but the unreserved is `%XX` in upper case, decoding
//! happens once and refuses what it cannot read.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{Code, S3Error};

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const RESERVED_BUT_SLASH: &AsciiSet = &RESERVED.remove(b'/');

/// Encodes everything but `A-Z a-z 0-9 - . _ ~`.
pub(crate) fn encode(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, RESERVED).into()
}

/// [`encode`], leaving `/`: paths, and keys under `encoding-type=url`.
pub(crate) fn encode_path(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, RESERVED_BUT_SLASH).into()
}

/// Decodes `%XX` once. `plus_is_blank` is the rule of queries.
///
/// # Errors
/// `InvalidURI` for a `%` without two hex digits and for bytes that are not UTF-8.
pub(crate) fn decode(text: &str, plus_is_blank: bool) -> Result<String, S3Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = rest
                    .next()
                    .and_then(hex_digit)
                    .zip(rest.next().and_then(hex_digit));
                let (high, low) = digits.ok_or_else(|| S3Error::new(Code::InvalidURI))?;
                bytes.push(high << 4 | low);
            }
            b'+' if plus_is_blank => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map_err(|_| S3Error::new(Code::InvalidURI))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decoding_inverts_both_encodings(text: String) {
            prop_assert_eq!(decode(&encode(&text), false).unwrap(), text.clone());
            prop_assert_eq!(decode(&encode(&text), true).unwrap(), text.clone());
            prop_assert_eq!(decode(&encode_path(&text), false).unwrap(), text);
        }

        #[test]
        fn decoding_never_panics(text: String, plus: bool) {
            let _ = decode(&text, plus);
        }
    }

    #[test]
    fn broken_escapes_and_broken_utf8_are_refused() {
        for text in ["%", "%4", "%zz", "%+1", "a%2", "%FF", "%c0%af", "%ed%a0%80"] {
            assert_eq!(
                decode(text, false).unwrap_err().code(),
                Code::InvalidURI,
                "{text}"
            );
        }
    }

    #[test]
    fn decoding_happens_once() {
        assert_eq!(decode("%2541", false).unwrap(), "%41");
        assert_eq!(decode("a+b", false).unwrap(), "a+b");
        assert_eq!(decode("a+b", true).unwrap(), "a b");
    }

    #[test]
    fn only_the_unreserved_stay() {
        assert_eq!(encode("aZ09-._~/ +é"), "aZ09-._~%2F%20%2B%C3%A9");
        assert_eq!(encode_path("a/b c"), "a/b%20c");
    }
}
