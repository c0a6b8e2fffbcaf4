//! A certificate of our own making, for whoever has none.

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use super::TlsError;

/// How long it is valid. Nobody but its owner trusts it, and its owner may delete it any day.
const VALID: Duration = Duration::days(3_650);
/// How far the clock of a client may be behind ours.
const BACKDATED: Duration = Duration::days(1);

/// A certificate and its key, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct SelfSigned {
    /// The certificate, which clients are told to trust.
    pub certificate: String,
    /// The key (PKCS#8), which nobody else may read.
    pub key: String,
}

impl std::fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SelfSigned")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// Makes a certificate for these host names and addresses, valid from `now_ms` (since 1970). An
/// earlier `key` is used again, so that who pinned it need not be told.
///
/// It is a server's certificate and no authority: trusting it lets nobody sign for other names.
///
/// # Errors
/// [`TlsError::Key`] for a kept key that cannot be read, [`TlsError::Make`] for a name that is none.
pub fn self_signed(
    names: &[String],
    key: Option<&str>,
    now_ms: u64,
) -> Result<SelfSigned, TlsError> {
    let failed = |error: rcgen::Error| TlsError::Make(error.to_string());
    let pair = match key {
        Some(kept) => KeyPair::from_pem(kept)
            .map_err(|_| TlsError::Key("it is no PKCS#8 key in PEM".to_owned()))?,
        None => KeyPair::generate().map_err(failed)?,
    };
    let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
    let now = i64::try_from(now_ms / 1_000).unwrap_or(i64::MAX);
    let now = OffsetDateTime::from_unix_timestamp(now)
        .map_err(|error| TlsError::Make(error.to_string()))?;
    let outside = || TlsError::Make("the clock is out of range".to_owned());
    params.not_before = now.checked_sub(BACKDATED).ok_or_else(outside)?;
    params.not_after = now.checked_add(VALID).ok_or_else(outside)?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "Cairn self-signed");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&pair).map_err(failed)?;
    Ok(SelfSigned {
        certificate: certificate.pem(),
        key: pair.serialize_pem(),
    })
}
