//! Who calls: users by access key, believed for at most a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cairn_model::DomainId;
use cairn_s3::bearer::Token;
use cairn_s3::head::Head;
use cairn_s3::sigv4::{Authenticated, SecretKey, Secrets, Verifier};
use cairn_s3::{Code, S3Error, Timestamp};
use cairn_wire::metadata as wire;
use cairn_world::Clock;

use crate::error;
use crate::metadata::{Metadata, QueryError};
use crate::recent::Recent;

/// An account, and one of its keys.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// Canonical id.
    pub(crate) id: String,
    /// For people.
    pub(crate) display_name: String,
    /// Whether it may do everything.
    pub(crate) root: bool,
    /// The deduplication domain of its chunks.
    pub(crate) domain: DomainId,
    secret: SecretKey,
}

impl From<wire::User> for User {
    fn from(row: wire::User) -> Self {
        Self {
            id: row.id,
            display_name: row.display_name,
            root: row.root,
            domain: DomainId(row.domain),
            secret: SecretKey::new(row.secret_key),
        }
    }
}

impl User {
    /// A bearer token of this user's, named by one of its keys.
    pub(crate) fn token(&self, access_key: &str, end: Timestamp) -> String {
        Token::issue(access_key, &self.secret, end)
    }
}

/// The users this gateway has met lately.
#[derive(Debug)]
pub(crate) struct Users {
    metadata: Metadata,
    clock: Arc<dyn Clock>,
    verifier: Verifier,
    met: Recent<Arc<User>>,
}

/// The access key a verifier asked for, and its user where one is believed.
type Asked = (String, Option<Arc<User>>);

/// Gives the secrets of users believed at a moment, and notes the one that was asked for.
struct Believed<'a> {
    users: &'a Users,
    now: Duration,
    /// Read for this very request: however long that took, it is what metadata said.
    read: Option<(&'a str, Arc<User>)>,
    asked: Mutex<Option<Asked>>,
}

impl Believed<'_> {
    fn asked(self) -> Option<Asked> {
        self.asked
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Secrets for Believed<'_> {
    fn secret(&self, access_key: &str) -> Option<SecretKey> {
        let user = match &self.read {
            Some((read, user)) if *read == access_key => Some(Arc::clone(user)),
            _ => self.users.met.believed(access_key, self.now),
        };
        let secret = user.as_ref().map(|user| user.secret.clone());
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((access_key.to_owned(), user));
        secret
    }
}

impl Users {
    pub(crate) fn new(metadata: Metadata, clock: Arc<dyn Clock>, region: &str) -> Self {
        Self {
            metadata,
            clock,
            verifier: Verifier::new(region),
            met: Recent::default(),
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
        let wall = Timestamp::from_millis(self.clock.wall());
        let (verified, asked) = self.verify(head, wall, None);
        let read = match (verified, asked) {
            (Ok(authenticated), Some((_, Some(user)))) => return Ok((authenticated, user)),
            // The verifier asks for a secret late, once the head makes sense. The user it needs is
            // not believed yet: read it and verify again.
            (Err(_), Some((access_key, None))) => {
                let user = self.read(&access_key).await.map_err(error::of_query)?;
                user.map(|user| (access_key, user))
            }
            (Err(refused), _) => return Err(refused),
            (Ok(_), _) => return Err(S3Error::new(Code::InternalError)),
        };
        let read = read
            .as_ref()
            .map(|(access_key, user)| (access_key.as_str(), Arc::clone(user)));
        match self.verify(head, wall, read) {
            (Ok(authenticated), Some((_, Some(user)))) => Ok((authenticated, user)),
            (Err(refused), _) => Err(refused),
            (Ok(_), _) => Err(S3Error::new(Code::InternalError)),
        }
    }

    /// The user that a bearer token is of.
    ///
    /// # Errors
    /// What [`Token::verify`] refuses; `ServiceUnavailable` where users cannot be read.
    pub(crate) async fn bearer(&self, text: &str) -> Result<Arc<User>, S3Error> {
        let token = Token::parse(text).ok_or_else(|| S3Error::new(Code::InvalidToken))?;
        let now = self.clock.monotonic();
        let mut user = self.met.believed(token.access_key(), now);
        if user.is_none() {
            let read = self.read(token.access_key()).await;
            user = read.map_err(error::of_query)?;
        }
        let wall = Timestamp::from_millis(self.clock.wall());
        token.verify(user.as_ref().map(|user| &user.secret), wall)?;
        user.ok_or_else(|| S3Error::new(Code::InvalidToken))
    }

    fn verify(
        &self,
        head: &Head,
        wall: Timestamp,
        read: Option<(&str, Arc<User>)>,
    ) -> (Result<Authenticated, S3Error>, Option<Asked>) {
        let believed = Believed {
            users: self,
            now: self.clock.monotonic(),
            read,
            asked: Mutex::default(),
        };
        let verified = self.verifier.verify(head, &believed, wall);
        (verified, believed.asked())
    }

    async fn read(&self, access_key: &str) -> Result<Option<Arc<User>>, QueryError> {
        let now = self.clock.monotonic();
        let query = wire::GetUser {
            access_key: access_key.to_owned(),
        };
        let found = self.metadata.user(query).await?.users.pop();
        let found = found.map(|row| Arc::new(User::from(row)));
        self.met.note(access_key, now, found.as_ref());
        Ok(found)
    }

    /// Forgets a user that has just been changed or removed.
    pub(crate) fn forget(&self, access_key: &str) {
        self.met.forget(access_key);
    }
}
