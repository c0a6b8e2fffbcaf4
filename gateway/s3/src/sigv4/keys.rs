//! Secrets, signing keys and their bounded cache.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Scope, TERMINATOR};

/// Signing keys remembered; one per access key and day.
const CACHED_KEYS_MAX: usize = 1_024;

/// A secret access key. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<String>);

impl SecretKey {
    /// Takes a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }
}

impl SecretKey {
    /// The MAC of a message under a key derived for one purpose, so that no MAC made for one
    /// purpose means anything for another.
    pub(crate) fn mac_for(&self, purpose: &[u8], message: &[u8]) -> [u8; 32] {
        let key = Zeroizing::new(mac(self.0.as_bytes(), purpose));
        mac(key.as_slice(), message)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// A key derived for one (secret, date, region, service).
#[derive(Clone)]
pub(super) struct SigningKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// The four-step derivation of SigV4.
    pub(super) fn derive(secret: &SecretKey, scope: Scope<'_>) -> Self {
        let seed = Zeroizing::new([b"AWS4", secret.0.as_bytes()].concat());
        let mut key = Zeroizing::new(mac(&seed, scope.date.as_bytes()));
        for step in [scope.region, scope.service, TERMINATOR] {
            key = Zeroizing::new(mac(key.as_slice(), step.as_bytes()));
        }
        Self(key)
    }

    /// Whether `signature`, in lower-case hex, is the MAC of `message`.
    pub(super) fn accepts(&self, message: &[u8], signature: &str) -> bool {
        let expected = hex::encode(mac(self.0.as_slice(), message));
        expected.as_bytes().ct_eq(signature.as_bytes()).into()
    }

    #[cfg(test)]
    pub(super) fn sign(&self, message: &[u8]) -> String {
        hex::encode(mac(self.0.as_slice(), message))
    }
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Keys that have verified a request. Only such keys are kept, so that only the holder of a secret
/// can fill the cache, and only with our region and service and dates within the skew.
#[derive(Default)]
pub(super) struct KeyCache {
    keys: Mutex<BTreeMap<CacheKey, Cached>>,
}

/// (date, access key, region, service): older days sort, and are dropped, first.
type CacheKey = (String, String, String, String);

struct Cached {
    /// The secret the key came from: a changed secret must not live on in its key.
    secret: SecretKey,
    key: SigningKey,
}

impl KeyCache {
    pub(super) fn get(
        &self,
        access_key: &str,
        secret: &SecretKey,
        scope: Scope<'_>,
    ) -> Option<SigningKey> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = keys.get(&cache_key(access_key, scope))?;
        let same = cached.secret.0.as_bytes().ct_eq(secret.0.as_bytes());
        bool::from(same).then(|| cached.key.clone())
    }

    pub(super) fn put(
        &self,
        access_key: &str,
        secret: &SecretKey,
        scope: Scope<'_>,
        key: &SigningKey,
    ) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = Cached {
            secret: secret.clone(),
            key: key.clone(),
        };
        keys.insert(cache_key(access_key, scope), cached);
        while keys.len() > CACHED_KEYS_MAX {
            keys.pop_first();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.keys.lock().unwrap().len()
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyCache(..)")
    }
}

fn cache_key(access_key: &str, scope: Scope<'_>) -> CacheKey {
    let owned = str::to_owned;
    (
        owned(scope.date),
        owned(access_key),
        owned(scope.region),
        owned(scope.service),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: Scope<'static> = Scope {
        date: "20130524",
        region: "us-east-1",
        service: "s3",
    };

    #[test]
    fn a_changed_secret_does_not_live_on_in_the_cache() {
        let (cache, old, new) = (
            KeyCache::default(),
            SecretKey::new("old"),
            SecretKey::new("new"),
        );
        let key = SigningKey::derive(&old, SCOPE);
        cache.put("akid", &old, SCOPE, &key);
        assert!(cache.get("akid", &old, SCOPE).is_some());
        assert!(cache.get("akid", &new, SCOPE).is_none());
        assert!(cache.get("other", &old, SCOPE).is_none());
    }

    #[test]
    fn the_cache_is_bounded_and_forgets_the_oldest_day() {
        let (cache, secret) = (KeyCache::default(), SecretKey::new("secret"));
        let key = SigningKey::derive(&secret, SCOPE);
        cache.put("first", &secret, SCOPE, &key);
        let today = Scope {
            date: "20130525",
            ..SCOPE
        };
        for n in 0..CACHED_KEYS_MAX {
            cache.put(&format!("akid{n}"), &secret, today, &key);
        }
        assert_eq!(cache.len(), CACHED_KEYS_MAX);
        assert!(cache.get("first", &secret, SCOPE).is_none());
        assert!(cache.get("akid0", &secret, today).is_some());
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret = SecretKey::new("hunter2");
        let key = SigningKey::derive(&secret, SCOPE);
        let shown = format!("{secret:?} {key:?} {:?}", KeyCache::default());
        assert_eq!(shown, "SecretKey(..) SigningKey(..) KeyCache(..)");
    }

    #[test]
    fn derivation_is_the_official_one() {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_369_353_600);
        let official = aws_sigv4::sign::v4::generate_signing_key(secret, at, "us-east-1", "s3");
        let ours = SigningKey::derive(&SecretKey::new(secret), SCOPE);
        assert_eq!(ours.0.as_slice(), official.as_ref());
    }
}
