//! `cairn profile`: what aws-cli and the SDKs read, for `~/.aws/config`.

use crate::args::ProfileArgs;
use crate::credentials::Credentials;
use crate::{Fatal, console};

/// Prints the profile. It holds the secret key: that is what it is for.
pub(crate) fn run(args: &ProfileArgs) -> Result<(), Fatal> {
    let kept = Credentials::kept(args.dir.as_deref())?;
    let keys = kept.ok_or_else(|| {
        let why = "no keys: name the server's directory with --dir, or set \
                   CAIRN_ROOT_ACCESS_KEY and CAIRN_ROOT_SECRET_KEY";
        Fatal::new("profile", why)
    })?;
    let endpoint = endpoint(&args.endpoint)?;
    let bundle = match &args.cacert {
        Some(path) => {
            Some(std::fs::canonicalize(path).map_err(|error| Fatal::new(path.display(), error))?)
        }
        None => None,
    };
    let bundle = bundle.map(|path| path.display().to_string());
    console::line(text(&args.name, endpoint, bundle.as_deref(), &keys));
    Ok(())
}

/// An endpoint is a scheme and a host: a path or an option in it would end up in every signature.
fn endpoint(text: &str) -> Result<&str, Fatal> {
    let trimmed = text.trim_end_matches('/');
    let host = ["http://", "https://"]
        .iter()
        .find_map(|scheme| trimmed.strip_prefix(scheme));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ', '\n']) => {
            Ok(trimmed)
        }
        _ => Err(Fatal::new(
            text,
            "an endpoint is http://HOST:PORT or https://HOST:PORT",
        )),
    }
}

/// The profile. SigV4 is said for aws-cli 1, which presigns with SigV2 elsewhere than at AWS; paths,
/// because bucket names are no host names here unless `--domain` says so.
fn text(name: &str, endpoint: &str, bundle: Option<&str>, keys: &Credentials) -> String {
    let Credentials {
        access_key,
        secret_key,
    } = keys;
    let bundle = bundle.map_or_else(String::new, |path| format!("ca_bundle = {path}\n"));
    format!(
        "# cairn profile >> ~/.aws/config; then: aws --profile {name} s3 ls\n\
         # aws-cli before 1.29 and 2.13 does not know endpoint_url: aws --profile {name} --endpoint-url {endpoint}\n\
         [profile {name}]\n\
         region = us-east-1\n\
         endpoint_url = {endpoint}\n\
         {bundle}\
         aws_access_key_id = {access_key}\n\
         aws_secret_access_key = {secret_key}\n\
         s3 =\n    \
             addressing_style = path\n    \
             signature_version = s3v4"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Credentials {
        Credentials {
            access_key: "AK".to_owned(),
            secret_key: "SK".to_owned(),
        }
    }

    #[test]
    fn a_profile_is_what_configparser_reads() {
        let shown = text("one", "http://h:1", None, &keys());
        let lines: Vec<&str> = shown
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert_eq!(
            lines,
            [
                "[profile one]",
                "region = us-east-1",
                "endpoint_url = http://h:1",
                "aws_access_key_id = AK",
                "aws_secret_access_key = SK",
                "s3 =",
                "    addressing_style = path",
                "    signature_version = s3v4",
            ]
        );
        let trusting = text("one", "https://h", Some("/a.pem"), &keys());
        assert!(trusting.contains("\nca_bundle = /a.pem\n"), "{trusting}");
    }

    #[test]
    fn an_endpoint_is_a_scheme_and_a_host() {
        assert_eq!(
            endpoint("http://127.0.0.1:9000/").unwrap(),
            "http://127.0.0.1:9000"
        );
        assert_eq!(
            endpoint("https://s3.example.org").unwrap(),
            "https://s3.example.org"
        );
        for wrong in [
            "",
            "h:1",
            "ftp://h",
            "http://",
            "http://h/path",
            "http://k:s@h",
            "http://h\nx = y",
        ] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn keys_come_from_the_directory_and_their_absence_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let args = |dir: &std::path::Path| ProfileArgs {
            name: "one".to_owned(),
            endpoint: "http://h:1".to_owned(),
            cacert: None,
            dir: Some(dir.to_owned()),
        };
        let refused = run(&args(dir.path())).unwrap_err().to_string();
        assert!(refused.starts_with("profile: no keys"), "{refused}");
        let keys = Credentials {
            access_key: "AKIAEXAMPLE".to_owned(),
            secret_key: "secret-of-the-example".to_owned(),
        };
        keys.write(dir.path()).unwrap();
        run(&args(dir.path())).unwrap();
        let missing = ProfileArgs {
            cacert: Some(dir.path().join("none.pem")),
            ..args(dir.path())
        };
        assert!(run(&missing).unwrap_err().to_string().contains("none.pem"));
    }
}
