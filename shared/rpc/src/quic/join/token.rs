//! A join token as text.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::control;
use prost::Message as _;
use zeroize::Zeroizing;

use super::super::identity::{ClusterId, PublicKey};

/// What stands before the base64.
const PREFIX: &str = "cairn-join-1.";

/// All that a process needs to become a member: where to ask, whom to trust, and the secret that is
/// good for one node.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// The cluster.
    pub cluster: ClusterId,
    /// The key of its authority.
    pub authority: PublicKey,
    /// What the cluster knows the SHA-256 of.
    pub secret: Zeroizing<[u8; 32]>,
    /// host:port of members that admit.
    pub addresses: Vec<String>,
}

/// A text that is no token. It is not shown: it may be most of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no join token of a version that is known here")]
pub struct TokenError;

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({}, {:?}, ..)", self.cluster, self.addresses)
    }
}

impl JoinToken {
    /// Addresses in one token.
    pub const ADDRESSES_MAX: usize = 16;

    /// The text, which is a secret.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let message = control::JoinToken {
            cluster: Bytes::copy_from_slice(&self.cluster.0),
            authority: Bytes::copy_from_slice(&self.authority.0),
            secret: Bytes::copy_from_slice(self.secret.as_slice()),
            addresses: self.addresses.clone(),
        };
        let body = URL_SAFE_NO_PAD.encode(message.encode_to_vec());
        Zeroizing::new(format!("{PREFIX}{body}"))
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(TokenError)?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| TokenError)?;
        let message = control::JoinToken::decode(bytes.as_slice()).map_err(|_| TokenError)?;
        let fair = (1..=Self::ADDRESSES_MAX).contains(&message.addresses.len())
            && message
                .addresses
                .iter()
                .all(|address| (1..=limits::ADDRESS_LEN_MAX).contains(&address.len()));
        if !fair {
            return Err(TokenError);
        }
        let whole = |bytes: &Bytes| <[u8; 32]>::try_from(bytes.as_ref()).map_err(|_| TokenError);
        let cluster = message.cluster.as_ref().try_into();
        Ok(Self {
            cluster: ClusterId(cluster.map_err(|_| TokenError)?),
            authority: PublicKey(whole(&message.authority)?),
            secret: Zeroizing::new(whole(&message.secret)?),
            addresses: message.addresses,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token() -> JoinToken {
        JoinToken {
            cluster: ClusterId([7; 16]),
            authority: PublicKey([8; 32]),
            secret: Zeroizing::new([9; 32]),
            addresses: vec!["127.0.0.1:9100".to_owned(), "node2:9100".to_owned()],
        }
    }

    #[test]
    fn a_token_survives_its_text_and_the_white_space_around_it() {
        let text = token().text();
        assert_eq!(text.parse(), Ok(token()));
        assert_eq!(format!(" {}\n", *text).parse(), Ok(token()));
    }

    #[test]
    fn it_does_not_show_its_secret() {
        let shown = format!("{:?}", token());
        assert!(
            !shown.contains("9, 9") && !shown.contains("0909"),
            "{shown}"
        );
    }

    #[test]
    fn tokens_without_an_address_or_with_short_keys_are_none() {
        let spoil = |change: fn(&mut control::JoinToken)| {
            let text = token().text();
            let body = URL_SAFE_NO_PAD
                .decode(text.strip_prefix(PREFIX).unwrap())
                .unwrap();
            let mut message = control::JoinToken::decode(body.as_slice()).unwrap();
            change(&mut message);
            let body = URL_SAFE_NO_PAD.encode(message.encode_to_vec());
            format!("{PREFIX}{body}").parse::<JoinToken>()
        };
        assert!(spoil(|_| ()).is_ok());
        assert_eq!(spoil(|message| message.addresses.clear()), Err(TokenError));
        assert_eq!(
            spoil(|message| message.addresses = vec!["a:1".to_owned(); 17]),
            Err(TokenError)
        );
        assert_eq!(
            spoil(|message| message.secret = Bytes::from_static(&[1; 31])),
            Err(TokenError)
        );
        assert_eq!(
            spoil(|message| message.cluster = Bytes::new()),
            Err(TokenError)
        );
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in ".{0,200}", cut in 0_usize..300) {
            let _ = text.parse::<JoinToken>();
            let whole = token().text();
            let part: String = whole.chars().take(cut).collect();
            prop_assert!(part.parse::<JoinToken>().is_err() || part == *whole);
        }
    }
}
