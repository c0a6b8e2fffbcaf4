//! The bootstrap file: users and settings in TOML, applied at every start, idempotent.
//!
//! Keys whose feature is not built yet are validated, stored, and listed by
//! [`Bootstrap::without_effect`]; any other key is refused with its line.

use std::collections::BTreeSet;
use std::path::Path;

use cairn_model::limits;
use cairn_wire::metadata::{Header, PutSettings, User};
use serde::Deserialize;

use crate::Fatal;

/// A bootstrap file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bootstrap {
    #[serde(default)]
    defaults: Defaults,
    #[serde(default)]
    kms_key: Vec<KmsKey>,
    #[serde(default)]
    user: Vec<BootstrapUser>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    object_ownership: Option<ObjectOwnership>,
    block_public_access: Option<bool>,
    lifecycle_day: Option<String>,
    sse_over_http: Option<bool>,
    extra_storage_classes: Option<Vec<String>>,
    #[serde(default)]
    location_constraints: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum ObjectOwnership {
    BucketOwnerEnforced,
    BucketOwnerPreferred,
    ObjectWriter,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KmsKey {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BootstrapUser {
    id: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    email: String,
    access_key: String,
    secret_key: String,
    admin: Option<bool>,
    root: Option<bool>,
    account: Option<String>,
}

impl Bootstrap {
    /// Reads and checks a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Fatal> {
        let text =
            std::fs::read_to_string(path).map_err(|error| Fatal::new(path.display(), error))?;
        Self::parse(&text).map_err(|why| Fatal::new(path.display(), why))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let read: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        read.check()?;
        Ok(read)
    }

    fn check(&self) -> Result<(), String> {
        let mut ids = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for user in &self.user {
            let (shortest, longest) = limits::ACCESS_KEY_LEN;
            let secret = limits::SECRET_KEY_LEN_MIN..=limits::SECRET_KEY_LEN_MAX;
            if user.id.is_empty() {
                return Err("a user needs an id".to_owned());
            }
            if !(shortest..=longest).contains(&user.access_key.len()) {
                return Err(format!(
                    "user {}: access keys are {shortest} to {longest} characters",
                    user.id
                ));
            }
            if !secret.contains(&user.secret_key.len()) {
                return Err(format!(
                    "user {}: secret keys are {} to {} characters",
                    user.id,
                    secret.start(),
                    secret.end()
                ));
            }
            if !ids.insert(&user.id) || !keys.insert(&user.access_key) {
                return Err(format!("user {}: id or access key is there twice", user.id));
            }
        }
        if let Some(day) = &self.defaults.lifecycle_day
            && seconds(day).is_none()
        {
            return Err(format!(
                "lifecycle_day = {day:?}: a number of seconds, as in \"10s\""
            ));
        }
        let classes = self.defaults.extra_storage_classes.iter().flatten();
        let named = classes.chain(&self.defaults.location_constraints);
        if named
            .chain(self.kms_key.iter().map(|key| &key.id))
            .any(String::is_empty)
        {
            return Err("names must not be empty".to_owned());
        }
        Ok(())
    }

    /// The users, for `PutUser`.
    pub(crate) fn users(&self) -> impl Iterator<Item = User> + '_ {
        self.user.iter().map(|user| User {
            id: user.id.clone(),
            display_name: user.display_name.clone(),
            email: user.email.clone(),
            access_key: user.access_key.clone(),
            secret_key: user.secret_key.clone(),
            root: false,
            domain: 0,
            extra: user.without_effect(),
        })
    }

    /// The settings, for `PutSettings`.
    pub(crate) fn settings(&self) -> PutSettings {
        PutSettings {
            location_constraints: self.defaults.location_constraints.clone(),
            extra: self.settings_without_effect(),
        }
    }

    /// Every key of the file that is stored and does nothing yet. This list is exhaustive: a key
    /// with an effect is not in it, a key of neither kind is refused.
    pub(crate) fn without_effect(&self) -> Vec<String> {
        let settings = self
            .settings_without_effect()
            .into_iter()
            .map(|header| header.name);
        let of_users = |user: &BootstrapUser| {
            let named = |header: Header| format!("user {}: {}", user.id, header.name);
            user.without_effect()
                .into_iter()
                .map(named)
                .collect::<Vec<_>>()
        };
        settings
            .chain(self.user.iter().flat_map(of_users))
            .collect()
    }

    fn settings_without_effect(&self) -> Vec<Header> {
        let Defaults {
            object_ownership,
            block_public_access,
            lifecycle_day,
            sse_over_http,
            extra_storage_classes,
            location_constraints: _,
        } = &self.defaults;
        let classes = extra_storage_classes
            .as_ref()
            .map(|classes| classes.join(","));
        let keys: Vec<&str> = self.kms_key.iter().map(|key| key.id.as_str()).collect();
        let values = [
            (
                "defaults.object_ownership",
                object_ownership.map(|value| format!("{value:?}")),
            ),
            (
                "defaults.block_public_access",
                block_public_access.map(|value| value.to_string()),
            ),
            ("defaults.lifecycle_day", lifecycle_day.clone()),
            (
                "defaults.sse_over_http",
                sse_over_http.map(|value| value.to_string()),
            ),
            ("defaults.extra_storage_classes", classes),
            ("kms_key.id", (!keys.is_empty()).then(|| keys.join(","))),
        ];
        headers(values)
    }
}

impl BootstrapUser {
    fn without_effect(&self) -> Vec<Header> {
        headers([
            ("admin", self.admin.map(|value| value.to_string())),
            ("root", self.root.map(|value| value.to_string())),
            ("account", self.account.clone()),
        ])
    }
}

fn headers<const N: usize>(values: [(&str, Option<String>); N]) -> Vec<Header> {
    let header = |(name, value): (&str, Option<String>)| {
        value.map(|value| Header {
            name: name.to_owned(),
            value,
        })
    };
    values.into_iter().filter_map(header).collect()
}

fn seconds(text: &str) -> Option<u64> {
    text.strip_suffix('s')?
        .parse()
        .ok()
        .filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "[[user]]\nid = \"a\"\naccess_key = \"abc\"\nsecret_key = \"12345678\"\n";

    #[test]
    fn the_public_suites_file_loads() {
        let text = r#"
            [defaults]
            object_ownership = "ObjectWriter"
            block_public_access = false
            lifecycle_day = "10s"
            sse_over_http = true
            extra_storage_classes = ["STANDARD_IA", "GLACIER"]
            location_constraints = ["default"]
            [[kms_key]]
            id = "testkey-1"
            [[user]]
            id = "testid"
            display_name = "M. Tester"
            email = "tester@example.com"
            access_key = "0555b35654ad1656d804"
            secret_key = "a secret of some length"
            admin = true
            [[user]]
            id = "RGW1"
            access_key = "AAAAAAAAAAAAAAAAAAaa"
            secret_key = "another secret"
            root = true
            account = "RGW1"
        "#;
        let read = Bootstrap::parse(text).unwrap();
        assert_eq!(read.users().count(), 2);
        assert_eq!(read.settings().location_constraints, ["default"]);
        assert_eq!(
            read.without_effect(),
            [
                "defaults.object_ownership",
                "defaults.block_public_access",
                "defaults.lifecycle_day",
                "defaults.sse_over_http",
                "defaults.extra_storage_classes",
                "kms_key.id",
                "user testid: admin",
                "user RGW1: root",
                "user RGW1: account",
            ]
        );
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        for (text, line) in [
            ("[defaults]\nlocation_constraint = []\n", "line 2"),
            ("\n\n[[users]]\n", "line 3"),
            (&format!("{USER}secret = \"x\"\n"), "line 5"),
        ] {
            let error = Bootstrap::parse(text).unwrap_err();
            assert!(
                error.contains(line) && error.contains("unknown field"),
                "{error}"
            );
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for text in [
            "[defaults]\nobject_ownership = \"Somebody\"\n".to_owned(),
            "[defaults]\nlifecycle_day = \"a day\"\n".to_owned(),
            "[defaults]\nlocation_constraints = [\"\"]\n".to_owned(),
            USER.replace("abc", "ab"),
            USER.replace("12345678", "1234567"),
            USER.replace("id = \"a\"", "id = \"\""),
            format!("{USER}{USER}"),
        ] {
            assert!(Bootstrap::parse(&text).is_err(), "{text}");
        }
        assert!(Bootstrap::parse(USER).is_ok());
        assert!(Bootstrap::parse("").is_ok());
    }
}
