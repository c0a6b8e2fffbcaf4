//! Who calls: users by access key, believed for at most a second.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cairn_s3::head::Head;
use cairn_s3::sigv4::{Authenticated, SecretKey, Secrets, Verifier};
use cairn_s3::{S3Error, Timestamp};
use cairn_wire::metadata as wire;
use cairn_world::Clock;

use crate::error;
use crate::metadata::{Metadata, QueryError};
use crate::tuning;

/// An account, and one of its keys.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// Canonical id.
    pub(crate) id: String,
    /// For people.
    pub(crate) display_name: String,
    /// Whether it may do everything.
    pub(crate) root: bool,
    secret: SecretKey,
}

impl From<wire::User> for User {
    fn from(row: wire::User) -> Self {
        Self {
            id: row.id,
            display_name: row.display_name,
            root: row.root,
            secret: SecretKey::new(row.secret_key),
        }
    }
}

/// The users this gateway has met lately.
#[derive(Debug)]
pub(crate) struct Users {
    metadata: Metadata,
    clock: Arc<dyn Clock>,
    verifier: Verifier,
    met: Mutex<BTreeMap<String, (Duration, Arc<User>)>>,
}

/// Gives one user's secret, and notes which access key was asked for.
struct OneSecret<'a> {
    known: Option<(&'a str, &'a User)>,
    asked: Mutex<Option<String>>,
}

impl Secrets for OneSecret<'_> {
    fn secret(&self, access_key: &str) -> Option<SecretKey> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(access_key.to_owned());
        let (known, user) = self.known?;
        (known == access_key).then(|| user.secret.clone())
    }
}

impl Users {
    pub(crate) fn new(metadata: Metadata, clock: Arc<dyn Clock>, region: &str) -> Self {
        Self {
            metadata,
            clock,
            verifier: Verifier::new(region),
            met: Mutex::default(),
        }
    }

    /// The user that signed a head.
    ///
    /// # Errors
    /// What [`Verifier::verify`] refuses; `ServiceUnavailable` where users cannot be read.
    pub(crate) async fn authenticate(
        &self,
        head: &Head,
    ) -> Result<(Authenticated, Arc<User>), S3Error> {
        // The verifier asks for the secret late, once the head makes sense: a first pass finds out
        // whose it needs.
        let now = Timestamp::from_millis(self.clock.wall());
        let nobody = OneSecret {
            known: None,
            asked: Mutex::default(),
        };
        let refused = match self.verifier.verify(head, &nobody, now) {
            Err(refused) => refused,
            Ok(_) => S3Error::new(cairn_s3::Code::InternalError),
        };
        let asked = nobody
            .asked
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(access_key) = asked else {
            return Err(refused);
        };
        let Some(user) = self.user(&access_key).await.map_err(error::of_query)? else {
            return Err(refused);
        };
        let somebody = OneSecret {
            known: Some((&access_key, &user)),
            asked: Mutex::default(),
        };
        let authenticated = self.verifier.verify(head, &somebody, now)?;
        Ok((authenticated, user))
    }

    fn met(&self) -> MutexGuard<'_, BTreeMap<String, (Duration, Arc<User>)>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn user(&self, access_key: &str) -> Result<Option<Arc<User>>, QueryError> {
        let now = self.clock.monotonic();
        if let Some((read, user)) = self.met().get(access_key)
            && now.saturating_sub(*read) < tuning::USER_CACHE
        {
            return Ok(Some(Arc::clone(user)));
        }
        let query = wire::GetUser {
            access_key: access_key.to_owned(),
        };
        let found = self.metadata.user(query).await?.users.pop();
        let mut met = self.met();
        let Some(row) = found else {
            met.remove(access_key);
            return Ok(None);
        };
        if met.len() >= tuning::USER_CACHE_LEN {
            met.clear();
        }
        let user = Arc::new(User::from(row));
        met.insert(access_key.to_owned(), (now, Arc::clone(&user)));
        Ok(Some(user))
    }

    /// Forgets a user that has just been changed or removed.
    pub(crate) fn forget(&self, access_key: &str) {
        self.met().remove(access_key);
    }
}
