use super::*;

const NOW: u64 = 1_795_000_000_000;

fn made(names: &[&str]) -> SelfSigned {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    self_signed(&names, None, NOW).unwrap()
}

fn tls(pair: &SelfSigned) -> Result<Tls, TlsError> {
    Tls::new(pair.certificate.as_bytes(), pair.key.as_bytes())
}

#[test]
fn what_is_made_can_be_used() {
    let pair = made(&["localhost", "127.0.0.1", "::1", "*.s3.example"]);
    let tls = tls(&pair).unwrap();
    assert_eq!(tls.fingerprint().len(), 32 * 3 - 1);
    assert!(!format!("{pair:?}{tls:?}").contains("PRIVATE KEY"));
    assert!(matches!(
        self_signed(&["ü".to_owned()], None, NOW),
        Err(TlsError::Make(_))
    ));
}

#[test]
fn a_kept_key_is_used_again() {
    let first = made(&["a.example"]);
    let names = ["b.example".to_owned()];
    let second = self_signed(&names, Some(&first.key), NOW + 1_000).unwrap();
    assert_eq!(first.key, second.key);
    assert_ne!(first.certificate, second.certificate);
    assert!(matches!(
        self_signed(&names, Some("no key"), NOW),
        Err(TlsError::Key(_))
    ));
}

#[test]
fn words_around_a_certificate_do_not_matter() {
    let pair = made(&["localhost"]);
    let wordy = format!("names: localhost\n{}\nthe end", pair.certificate);
    let with = Tls::new(wordy.as_bytes(), pair.key.as_bytes()).unwrap();
    assert_eq!(with.fingerprint(), tls(&pair).unwrap().fingerprint());
}

#[test]
fn broken_pairs_are_refused_and_change_nothing() {
    let (ours, other) = (made(&["localhost"]), made(&["localhost"]));
    let tls = tls(&ours).unwrap();
    let before = tls.fingerprint();
    let (chain, key) = (ours.certificate.as_bytes(), ours.key.as_bytes());
    let cut = &chain[..chain.len() / 2];
    let encrypted = ours.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let damaged = ours.certificate.replacen("MII", "AAA", 1);
    type Is = fn(&TlsError) -> bool;
    let certificate: Is = |error| matches!(error, TlsError::Certificate(_));
    let no_key: Is = |error| matches!(error, TlsError::Key(_));
    let pair: Is = |error| matches!(error, TlsError::Pair(_));
    let cases: [(&[u8], &[u8], Is); 9] = [
        (b"", key, certificate),
        (b"not PEM", key, certificate),
        (key, key, certificate),
        (cut, key, certificate),
        (chain, b"", no_key),
        (chain, chain, no_key),
        (chain, encrypted.as_bytes(), no_key),
        (chain, other.key.as_bytes(), pair),
        (damaged.as_bytes(), key, pair),
    ];
    for (at, (chain, key, is)) in cases.into_iter().enumerate() {
        let error = tls.replace(chain, key).unwrap_err();
        assert!(is(&error), "case {at}: {error:?}");
        assert_eq!(tls.fingerprint(), before);
    }
    tls.replace(other.certificate.as_bytes(), other.key.as_bytes())
        .unwrap();
    assert_ne!(tls.fingerprint(), before);
}

#[test]
fn an_error_never_shows_the_key() {
    let pair = made(&["localhost"]);
    let secret = pair.key.lines().nth(1).unwrap();
    for broken in [
        pair.key.replace("-----END", "----END"),
        pair.key
            .replace("PRIVATE KEY-----\n", "PRIVATE KEY-----\n!"),
        pair.key.replace("BEGIN PRIVATE KEY-----", "BEGIN"),
    ] {
        let error = Tls::new(pair.certificate.as_bytes(), broken.as_bytes()).unwrap_err();
        assert!(!format!("{error:?} {error}").contains(secret));
    }
}
