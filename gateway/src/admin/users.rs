//! `/v1/users`

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::metadata as wire;
use cairn_wire::metadata::Refusal;
use cairn_wire::metadata::entry::Command;
use http::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refused, admit};
use crate::error;
use crate::gateway::Inner;
use crate::json;
use crate::metadata::CommitError;

/// A user as it is added.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    id: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    email: String,
    access_key: String,
    secret_key: String,
}

impl NewUser {
    fn parse(document: &Bytes) -> Result<Self, Refused> {
        let user: Self = json::read(document, "a user").map_err(Refused::invalid)?;
        let (shortest, longest) = limits::ACCESS_KEY_LEN;
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let refuse = |what: &str| Err(Refused::invalid(what));
        if !(1..=128).contains(&user.id.len()) || !visible(&user.id) {
            return refuse("an id is 1 to 128 visible ASCII characters");
        }
        if user.display_name.len() > 256 || user.email.len() > 256 {
            return refuse("names and addresses are at most 256 bytes");
        }
        if !(shortest..=longest).contains(&user.access_key.len()) || !visible(&user.access_key) {
            return refuse("an access key is 3 to 128 visible ASCII characters");
        }
        let secret = limits::SECRET_KEY_LEN_MIN..=limits::SECRET_KEY_LEN_MAX;
        if !secret.contains(&user.secret_key.len()) {
            return refuse("a secret key is 8 to 1024 bytes");
        }
        Ok(user)
    }

    fn into_row(self) -> wire::User {
        wire::User {
            id: self.id,
            display_name: self.display_name,
            email: self.email,
            access_key: self.access_key,
            secret_key: self.secret_key,
            ..Default::default()
        }
    }
}

/// A user as it is shown: never with its secret.
fn shown(user: &wire::User) -> Value {
    json!({
        "id": user.id,
        "display_name": user.display_name,
        "email": user.email,
        "access_key": user.access_key,
        "root": user.root,
    })
}

fn refused(error: CommitError) -> Refused {
    match error {
        CommitError::Refused {
            refusal: Refusal::NoSuchUser,
            ..
        } => Refused::new(StatusCode::NOT_FOUND, "NoSuchUser", "there is no such user"),
        CommitError::Refused {
            refusal: Refusal::UserConflict,
            detail,
        } => Refused::new(StatusCode::CONFLICT, "UserConflict", detail),
        error => error::of_commit(error).into(),
    }
}

/// `GET /v1/users`
pub(crate) async fn list(
    State(inner): State<Arc<Inner>>,
    request: Request<Body>,
) -> Response<Body> {
    let listed = async {
        admit(&inner, request).await?;
        let users = inner.path.metadata.users(wire::ListUsers {}).await;
        let users = users.map_err(error::of_query)?.users;
        Ok(json!({ "users": users.iter().map(shown).collect::<Vec<_>>() }))
    };
    respond(
        listed
            .await
            .map(|users| json::answer(StatusCode::OK, &users)),
    )
}

/// `POST /v1/users`
pub(crate) async fn add(State(inner): State<Arc<Inner>>, request: Request<Body>) -> Response<Body> {
    let added = async {
        let user = NewUser::parse(&admit(&inner, request).await?)?.into_row();
        let session = inner.sessions.enter().await.map_err(refused)?;
        let command = Command::PutUser(wire::PutUser {
            user: Some(user.clone()),
        });
        session.propose(command).await.map_err(refused)?;
        inner.users.forget(&user.access_key);
        Ok(shown(&user))
    };
    respond(added.await.map(|user| json::answer(StatusCode::OK, &user)))
}

/// `DELETE /v1/users/{access_key}`
pub(crate) async fn remove(
    State(inner): State<Arc<Inner>>,
    Path(access_key): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let removed = async {
        admit(&inner, request).await?;
        let query = wire::GetUser {
            access_key: access_key.clone(),
        };
        let found = inner
            .path
            .metadata
            .user(query)
            .await
            .map_err(error::of_query)?;
        if found.users.iter().any(|user| user.root) {
            return Err(Refused::invalid("the root user cannot be removed"));
        }
        let session = inner.sessions.enter().await.map_err(refused)?;
        let command = Command::RemoveUser(wire::RemoveUser {
            access_key: access_key.clone(),
        });
        session.propose(command).await.map_err(refused)?;
        inner.users.forget(&access_key);
        Ok(())
    };
    respond(removed.await.map(|()| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    }))
}

fn respond(outcome: Result<Response<Body>, Refused>) -> Response<Body> {
    outcome.unwrap_or_else(Refused::respond)
}
