//! Bearer tokens: what a signed request may ask for, so that later ones need not be signed.
//!
//! ```text
//!   token   = base64url, no padding, of  version u8 (1) | end u64, Unix seconds | access key | MAC 32
//!   MAC     = HMAC-SHA-256 of all before it, under HMAC-SHA-256(secret, "cairn bearer token 1")
//! ```
//!
//! Nothing is stored: a token is as good as its user. It ends by its own time, and at once where
//! the user is removed or has another secret. The end of even a self-made token is bounded.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cairn_model::limits::{ACCESS_KEY_LEN, TOKEN_SECS_MAX};
use subtle::ConstantTimeEq;

use crate::dates::Timestamp;
use crate::error::{Code, S3Error};
use crate::sigv4::SecretKey;

const VERSION: u8 = 1;
const PURPOSE: &[u8] = b"cairn bearer token 1";
const MAC_LEN: usize = 32;
/// Longest text that can be a token.
const TEXT_LEN_MAX: usize = (1 + 8 + ACCESS_KEY_LEN.1 + MAC_LEN) * 4 / 3 + 1;

/// A token as it was presented: whose it says it is, before any of it is believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    access_key: String,
    end_secs: u64,
    signed: Vec<u8>,
    mac: [u8; MAC_LEN],
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("access_key", &self.access_key)
            .field("end_secs", &self.end_secs)
            .finish_non_exhaustive()
    }
}

impl Token {
    /// A token of `access_key` that is good until `end`, to the second.
    #[must_use]
    pub fn issue(access_key: &str, secret: &SecretKey, end: Timestamp) -> String {
        let mut bytes = signed_part(access_key, end.seconds());
        let mac = secret.mac_for(PURPOSE, &bytes);
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > TEXT_LEN_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (signed, mac) = bytes.split_last_chunk::<MAC_LEN>()?;
        let (version, rest) = signed.split_first()?;
        let (end, access_key) = rest.split_first_chunk::<8>()?;
        let access_key = std::str::from_utf8(access_key).ok()?;
        let (shortest, longest) = ACCESS_KEY_LEN;
        let sound = *version == VERSION && (shortest..=longest).contains(&access_key.len());
        sound.then(|| Self {
            access_key: access_key.to_owned(),
            end_secs: u64::from_be_bytes(*end),
            signed: signed.to_vec(),
            mac: *mac,
        })
    }

    /// The access key whose secret is needed.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// Judges the token. `None` stands for an access key that does not exist, which is not told
    /// from a wrong MAC.
    ///
    /// # Errors
    /// `InvalidToken`; `ExpiredToken` for one that was good.
    pub fn verify(&self, secret: Option<&SecretKey>, now: Timestamp) -> Result<(), S3Error> {
        let invalid = || S3Error::new(Code::InvalidToken);
        let expected = secret.ok_or_else(invalid)?.mac_for(PURPOSE, &self.signed);
        if !bool::from(expected.ct_eq(&self.mac)) {
            return Err(invalid());
        }
        let now = now.seconds();
        if self.end_secs <= now {
            return Err(S3Error::new(Code::ExpiredToken));
        }
        if self.end_secs - now > TOKEN_SECS_MAX {
            return Err(invalid());
        }
        Ok(())
    }
}

fn signed_part(access_key: &str, end_secs: u64) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&end_secs.to_be_bytes());
    bytes.extend_from_slice(access_key.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_test_millis(1_795_000_000_000);

    fn secret() -> SecretKey {
        SecretKey::new("correct-horse")
    }

    fn after(secs: u64) -> Timestamp {
        Timestamp::from_millis(NOW.millis() + secs * 1_000)
    }

    fn code(token: &Token, secret: Option<&SecretKey>, now: Timestamp) -> Option<Code> {
        token.verify(secret, now).err().map(|error| error.code())
    }

    proptest! {
        #[test]
        fn a_token_comes_back_and_is_good_until_its_end(key in "[!-~]{3,128}", life in 1..=TOKEN_SECS_MAX) {
            let token = Token::parse(&Token::issue(&key, &secret(), after(life))).unwrap();
            prop_assert_eq!(token.access_key(), &key);
            prop_assert_eq!(code(&token, Some(&secret()), NOW), None);
            prop_assert_eq!(code(&token, Some(&secret()), after(life - 1)), None);
            prop_assert_eq!(code(&token, Some(&secret()), after(life)), Some(Code::ExpiredToken));
        }

        #[test]
        fn a_changed_token_is_no_token(key in "[a-z]{3,20}", at: usize, flip in 1_u8..=255) {
            let text = Token::issue(&key, &secret(), after(60));
            let mut bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            if let Some(token) = Token::parse(&URL_SAFE_NO_PAD.encode(&bytes)) {
                prop_assert_eq!(code(&token, Some(&secret()), NOW), Some(Code::InvalidToken));
            }
        }

        #[test]
        fn nonsense_is_no_token(text in "[A-Za-z0-9_=+/.-]{0,300}") {
            if let Some(token) = Token::parse(&text) {
                prop_assert_eq!(code(&token, Some(&secret()), NOW), Some(Code::InvalidToken));
            }
        }
    }

    #[test]
    fn a_token_is_its_users_alone() {
        let token = Token::parse(&Token::issue("alice", &secret(), after(60))).unwrap();
        let other = SecretKey::new("another-horse");
        assert_eq!(code(&token, Some(&other), NOW), Some(Code::InvalidToken));
        assert_eq!(code(&token, None, NOW), Some(Code::InvalidToken));
    }

    #[test]
    fn a_life_beyond_the_bound_is_refused() {
        let far = Token::issue("alice", &secret(), after(TOKEN_SECS_MAX + 1));
        let far = Token::parse(&far).unwrap();
        assert_eq!(code(&far, Some(&secret()), NOW), Some(Code::InvalidToken));
        assert_eq!(code(&far, Some(&secret()), after(1)), None);
    }

    #[test]
    fn other_versions_lengths_and_writings_are_refused() {
        let text = Token::issue("alice", &secret(), after(60));
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        let mut newer = bytes.clone();
        newer[0] = 2;
        assert_eq!(Token::parse(&URL_SAFE_NO_PAD.encode(newer)), None);
        assert_eq!(Token::parse(&URL_SAFE_NO_PAD.encode(&bytes[..42])), None);
        let long = Token::issue(&"k".repeat(129), &secret(), after(60));
        assert_eq!(Token::parse(&long), None);
        let longest = Token::issue(&"k".repeat(128), &secret(), after(60));
        assert!(Token::parse(&longest).is_some());
        assert_eq!(Token::parse(&format!("{text}=")), None);
        assert_eq!(Token::parse(&format!(" {text}")), None);
        assert_eq!(Token::parse(""), None);
    }

    #[test]
    fn nothing_of_a_token_is_shown() {
        let token = Token::parse(&Token::issue("alice", &secret(), after(60))).unwrap();
        assert!(!format!("{token:?}").contains("mac"));
    }
}
