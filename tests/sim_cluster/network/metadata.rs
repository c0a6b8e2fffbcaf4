//! Commands and queries over the simulated network.

use std::time::Duration;

use async_trait::async_trait;
use cairn_rpc::{MetadataError, MetadataService};
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{Answer, Query, Reply};

use super::{Loss, Network, Services};
use crate::process::Process;

/// For one call to a replica, as `cairn` has it.
const PATIENCE: Duration = Duration::from_secs(8);

/// A replica on another machine.
#[derive(Clone, Debug)]
pub(crate) struct RemoteMetadata {
    pub(crate) network: Network,
    pub(crate) process: Process,
    pub(crate) to: u64,
}

fn unavailable(why: &str) -> MetadataError {
    MetadataError::Unavailable(why.to_owned())
}

async fn propose(
    services: Services,
    session: u64,
    operation: u64,
    command: Command,
) -> Result<Reply, MetadataError> {
    match services.metadata {
        Some(metadata) => metadata.propose(session, operation, command).await,
        None => Err(unavailable("no replica is there")),
    }
}

#[async_trait]
impl MetadataService for RemoteMetadata {
    async fn propose(
        &self,
        session: u64,
        operation: u64,
        command: Command,
    ) -> Result<Reply, MetadataError> {
        // Only a numbered command may arrive twice.
        if session != 0 && self.network.is_repeated() {
            let (line, command) = (self.clone(), command.clone());
            tokio::spawn(async move {
                let again = move |services| propose(services, session, operation, command);
                let sent = line.network.call(&line.process, line.to, PATIENCE, again);
                sent.await
            });
        }
        let serve = move |services| propose(services, session, operation, command);
        let sent = self.network.call(&self.process, self.to, PATIENCE, serve);
        match sent.await {
            Ok(outcome) => outcome,
            Err(Loss::NotSent) => Err(unavailable("not sent")),
            Err(Loss::NoAnswer) => Err(MetadataError::Unknown),
        }
    }

    async fn query(&self, query: Query) -> Result<Answer, MetadataError> {
        let serve = async move |services: Services| match services.metadata {
            Some(metadata) => metadata.query(query).await,
            None => Err(unavailable("no replica is there")),
        };
        let sent = self.network.call(&self.process, self.to, PATIENCE, serve);
        sent.await.unwrap_or_else(|_| Err(unavailable("no answer")))
    }

    async fn keep_alive(&self, sessions: &[u64]) -> Result<(), MetadataError> {
        let sessions = sessions.to_vec();
        let serve = async move |services: Services| match services.metadata {
            Some(metadata) => metadata.keep_alive(&sessions).await,
            None => Err(unavailable("no replica is there")),
        };
        let sent = self.network.call(&self.process, self.to, PATIENCE, serve);
        sent.await.unwrap_or_else(|_| Err(unavailable("no answer")))
    }
}
