//! `cairn token`: a one-time token for a node to join, made beside a running metadata node with that
//! node's own identity.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use cairn_rpc::quic::Role;
use cairn_world::real::{OsEntropy, RealClock};

use crate::args::TokenArgs;
use crate::member::home::Home;
use crate::member::{Member, Roster, World, members_of};
use crate::storage_node::make_token;
use crate::{Fatal, console, files};

/// Makes a token and prints it, or writes it to a file.
pub(crate) async fn run(args: TokenArgs) -> Result<(), Fatal> {
    let world = World {
        clock: Arc::new(RealClock::new()),
        entropy: Arc::new(OsEntropy),
    };
    let none = || Fatal::new(args.dir.display(), "no member of a cluster lives here");
    let home = Home::open(&args.dir)?.ok_or_else(none)?;
    if !home.profile.roles.has(Role::MetadataVoter) {
        let why = "tokens are made with the directory of a metadata node";
        return Err(Fatal::new(args.dir.display(), why));
    }
    // The running process is called over the network like any other: it is "own" only to itself.
    let roster = Arc::new(Roster::of_guest(home.members()?));
    let anywhere: SocketAddr = (Ipv4Addr::UNSPECIFIED, 0).into();
    let again = Home::open(&args.dir)?.ok_or_else(none)?;
    let member = Member::connect(again, anywhere, None, None, roster, &world)?;
    let asked = members_of(member.metadata.as_ref()).await;
    let members = asked.map_err(|error| Fatal::new("metadata", error))?;
    member.roster.learn(members);
    let addresses = member.roster.doors();
    let text = make_token(
        member.metadata.as_ref(),
        &home,
        addresses,
        args.roles,
        args.hours * 3_600_000,
        world.entropy.as_ref(),
    )
    .await?;
    member.leave().await;
    match &args.output {
        Some(path) => files::replace(path, text.as_bytes(), files::SECRET)
            .map_err(|error| Fatal::new(path.display(), error)),
        None => {
            console::line(text.as_str());
            Ok(())
        }
    }
}
