//! Calls to the metadata group while a process starts: patient, and fatal where they fail.

use std::time::Duration;

use cairn_rpc::{MetadataError, MetadataService};
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{ClusterAnswer, GetCluster, Query, Refusal, Reply};

use crate::Fatal;

/// Sends of a call while a voter takes up its office.
const ATTEMPTS: u32 = 100;
/// Pause between two of them.
const PAUSE: Duration = Duration::from_millis(100);

/// One query, waiting for a voter to take up its office.
pub(crate) async fn ask(metadata: &dyn MetadataService, asked: Asked) -> Result<Kind, Fatal> {
    for attempt in 1.. {
        let query = Query {
            query: Some(asked.clone()),
        };
        match metadata.query(query).await {
            Ok(answer) => {
                return answer
                    .answer
                    .ok_or_else(|| Fatal::new("metadata", "an empty answer"));
            }
            Err(error) => wait(error, attempt).await?,
        }
    }
    Err(Fatal::new("metadata", "no answer"))
}

/// The cluster as it is; its id is empty before it is founded.
pub(crate) async fn cluster(metadata: &dyn MetadataService) -> Result<ClusterAnswer, Fatal> {
    match ask(metadata, Asked::GetCluster(GetCluster {})).await? {
        Kind::Cluster(cluster) => Ok(cluster),
        _ => Err(Fatal::new("metadata", "another answer than asked")),
    }
}

/// One command that must be carried out.
pub(crate) async fn command(
    metadata: &dyn MetadataService,
    command: Command,
) -> Result<Reply, Fatal> {
    for attempt in 1.. {
        match metadata.propose(0, 0, command.clone()).await {
            Ok(reply) if reply.refusal() == Refusal::None => return Ok(reply),
            Ok(reply) => {
                let why = format!("{} {}", reply.refusal().as_str_name(), reply.detail);
                return Err(Fatal::new("metadata refused", why));
            }
            Err(error) => wait(error, attempt).await?,
        }
    }
    Err(Fatal::new("metadata", "no answer"))
}

async fn wait(error: MetadataError, attempt: u32) -> Result<(), Fatal> {
    match error {
        MetadataError::NotLeader { .. } | MetadataError::Unavailable(_) if attempt < ATTEMPTS => {
            tokio::time::sleep(PAUSE).await;
            Ok(())
        }
        error => Err(Fatal::new("metadata", error)),
    }
}
