//! From a token to a certificate.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use cairn_model::NodeId;
use cairn_rpc::quic::join::{self, JoinError, JoinToken};
use cairn_rpc::quic::{NodeKey, Role, Roles};
use cairn_wire::control::Join;
use cairn_wire::metadata::Node;

use super::World;
use super::home::{Home, Profile, State};
use crate::Fatal;

/// Pause before a join is asked again.
const PAUSE: Duration = Duration::from_millis(300);
/// Between two words to a person who waits.
const SAY_EVERY: u32 = 30;

/// Where a token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenSource {
    /// The text itself.
    Text(String),
    /// A file, which may still have to appear.
    File(PathBuf),
}

impl TokenSource {
    async fn read(&self, world: &World) -> Result<JoinToken, Fatal> {
        let (text, from) = match self {
            Self::Text(text) => (text.clone(), "join token".to_owned()),
            Self::File(path) => (appear(path, world).await?, path.display().to_string()),
        };
        text.parse().map_err(|error| Fatal::new(from, error))
    }
}

/// The text of a file, once there is one. It is written whole, by rename.
async fn appear(path: &Path, world: &World) -> Result<String, Fatal> {
    let mut tries = 0;
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) => return Ok(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Fatal::new(path.display(), error)),
        }
        if tries % SAY_EVERY == 0 {
            tracing::info!(path = %path.display(), "waiting for the join token");
        }
        tries += 1;
        world.clock.sleep(PAUSE).await;
    }
}

/// Makes the process with folder `first` a member, on the word of a token; goes on where an earlier
/// attempt was cut short. Nothing where it is one already.
pub(crate) async fn join(
    first: &Path,
    roles: Roles,
    zone: &str,
    address: &str,
    token: Option<&TokenSource>,
    world: &World,
) -> Result<Home, Fatal> {
    let found = Home::open(first)?;
    if let Some(home) = found {
        if home.profile.roles != roles {
            return Err(Fatal::new(first.display(), other_roles(&home, roles)));
        }
        if home.state() != State::Asking {
            return Ok(home);
        }
        return ask(home, address, token, world).await;
    }
    let parsed = need(token)?.read(world).await?;
    let key = NodeKey::draw(world.entropy.as_ref()).map_err(|error| Fatal::new("key", error))?;
    let profile = Profile {
        cluster: parsed.cluster,
        node: NodeId(world.entropy.next_u64() | 1),
        roles,
        zone: zone.to_owned(),
    };
    let home = Home::create(first, profile, State::Asking, &key, None)?;
    ask(home, address, token, world).await
}

/// What is wrong where a member is started as something else than it is.
fn other_roles(home: &Home, asked: Roles) -> String {
    let votes = |roles: Roles| roles.has(Role::MetadataVoter);
    let hint = match (votes(home.profile.roles), votes(asked)) {
        (true, false) => ": start it with --metadata",
        (false, true) => ": start it without --metadata and --init",
        _ => "",
    };
    let roles: Vec<&str> = home.profile.roles.each().map(Role::name).collect();
    format!("it is a member as {}{hint}", roles.join("+"))
}

fn need(token: Option<&TokenSource>) -> Result<&TokenSource, Fatal> {
    token.ok_or_else(|| {
        Fatal::new(
            "this directory belongs to no cluster yet",
            "give --token-file or CAIRN_JOIN_TOKEN (made by `cairn token` on a metadata node), or found one with --init",
        )
    })
}

async fn ask(
    mut home: Home,
    address: &str,
    token: Option<&TokenSource>,
    world: &World,
) -> Result<Home, Fatal> {
    let token = need(token)?.read(world).await?;
    let profile = home.profile.clone();
    if token.cluster != profile.cluster {
        return Err(Fatal::new("join token", "it is for another cluster"));
    }
    let asked = Join {
        secret: Bytes::copy_from_slice(token.secret.as_slice()),
        node: Some(Node {
            node: profile.node.0,
            address: address.to_owned(),
            public_key: Bytes::copy_from_slice(&home.key()?.public().0),
            zone: profile.zone.clone(),
            roles: profile.roles.bits(),
            joined_ms: 0,
            left_disks: Vec::new(),
        }),
    };
    let mut tries = 0;
    loop {
        for member in &token.addresses {
            match join::join(member, &token, asked.clone(), &world.clock).await {
                Ok(joined) => {
                    home.admitted(&joined)?;
                    tracing::info!(node = %format_args!("{:016x}", profile.node.0), "admitted");
                    return Ok(home);
                }
                Err(error @ JoinError::Refused(_)) => return Err(Fatal::new("join", error)),
                Err(JoinError::Later(why)) if tries % SAY_EVERY == 0 => {
                    tracing::info!(why, "not admitted yet");
                }
                Err(JoinError::Later(_)) => {}
            }
        }
        tries += 1;
        world.clock.sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_rpc::quic::Role;
    use cairn_world::real::{OsEntropy, RealClock};
    use std::sync::Arc;

    fn world() -> World {
        World {
            clock: Arc::new(RealClock::new()),
            entropy: Arc::new(OsEntropy),
        }
    }

    async fn fails(first: &Path, token: Option<&TokenSource>) -> String {
        let roles = Roles::of(&[Role::Gateway]);
        let joined = join(first, roles, "", "", token, &world()).await;
        joined.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn without_a_token_or_with_a_bad_one_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let error = fails(dir.path(), None).await;
        assert!(error.contains("--token-file"), "{error}");
        let bad = TokenSource::Text("cairn-join-1.zzz".to_owned());
        let error = fails(dir.path(), Some(&bad)).await;
        assert!(error.contains("no join token"), "{error}");
        assert!(Home::open(dir.path()).unwrap().is_none());
    }

    #[tokio::test]
    async fn a_process_does_not_change_its_roles_by_an_option() {
        let dir = tempfile::tempdir().unwrap();
        let profile = Profile {
            cluster: cairn_rpc::quic::ClusterId([1; 16]),
            node: NodeId(1),
            roles: Roles::of(&[Role::StorageNode]),
            zone: String::new(),
        };
        let key = NodeKey::draw(&OsEntropy).unwrap();
        Home::create(dir.path(), profile, State::Member, &key, None).unwrap();
        let error = fails(dir.path(), None).await;
        assert!(error.ends_with("it is a member as storage"), "{error}");
        let home = Home::open(dir.path()).unwrap().unwrap();
        let voter = Roles::of(&[Role::StorageNode, Role::MetadataVoter]);
        let told = other_roles(&home, voter);
        assert!(
            told.ends_with("storage: start it without --metadata and --init"),
            "{told}"
        );
    }
}
