//! Root and the bootstrap file's users and settings, written only where they differ.

use cairn_rpc::MetadataService;
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{GetUser, ListUsers, PutSettings, PutUser, User};

use crate::bootstrap::Bootstrap;
use crate::calls::{self, ask, command};
use crate::credentials::Credentials;
use crate::{Fatal, console};

/// The id of the cluster's own root.
const ROOT: &str = "root";

/// Whether the store has a root user that can sign.
pub(crate) async fn has_root(metadata: &dyn MetadataService) -> Result<bool, Fatal> {
    let Kind::Users(found) = ask(metadata, Asked::ListUsers(ListUsers {})).await? else {
        return Err(Fatal::new("metadata", "another answer than asked"));
    };
    Ok(found.users.iter().any(|user| user.root))
}

/// Makes sure that root signs with these credentials.
pub(crate) async fn ensure_root(
    metadata: &dyn MetadataService,
    credentials: &Credentials,
) -> Result<(), Fatal> {
    let user = User {
        id: ROOT.to_owned(),
        display_name: ROOT.to_owned(),
        access_key: credentials.access_key.clone(),
        secret_key: credentials.secret_key.clone(),
        root: true,
        ..User::default()
    };
    ensure(metadata, user).await
}

/// Applies a bootstrap file and says which of its keys do nothing yet.
pub(crate) async fn apply_bootstrap(
    metadata: &dyn MetadataService,
    bootstrap: &Bootstrap,
) -> Result<(), Fatal> {
    for user in bootstrap.users() {
        if user.id == ROOT {
            return Err(Fatal::new(
                "bootstrap",
                "the id \"root\" is the store's own",
            ));
        }
        ensure(metadata, user).await?;
    }
    let settings = bootstrap.settings();
    let now = calls::cluster(metadata).await?;
    let current = PutSettings {
        location_constraints: now.location_constraints,
        extra: now.extra,
    };
    if current != settings {
        command(metadata, Command::PutSettings(settings)).await?;
    }
    let idle = bootstrap.without_effect();
    if !idle.is_empty() {
        console::line(format_args!(
            "bootstrap: stored, without effect yet: {}",
            idle.join(", ")
        ));
    }
    Ok(())
}

async fn ensure(metadata: &dyn MetadataService, user: User) -> Result<(), Fatal> {
    let query = GetUser {
        access_key: user.access_key.clone(),
    };
    let Kind::Users(found) = ask(metadata, Asked::GetUser(query)).await? else {
        return Err(Fatal::new("metadata", "another answer than asked"));
    };
    let same = |stored: &User| {
        User {
            domain: 0,
            ..stored.clone()
        } == user
    };
    if !found.users.iter().any(same) {
        command(metadata, Command::PutUser(PutUser { user: Some(user) })).await?;
    }
    Ok(())
}
