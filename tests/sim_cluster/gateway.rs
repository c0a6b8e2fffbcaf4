//! A gateway's process and the clients' way to it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn_gateway::{Gateway, Settings};
use cairn_rpc::{MetadataGroup, MetadataService, ShardRoutes};
use cairn_wire::metadata::MembersAnswer;
use cairn_world::Entropy;
use cairn_world::sim::SimEntropy;

use crate::clock::MachineTime;
use crate::members::{DiskLines, Members, ReplicaLines};
use crate::network::{Network, Services};
use crate::process::Process;

/// A running gateway.
#[derive(Clone)]
pub(crate) struct GatewayProcess {
    pub(crate) process: Process,
    pub(crate) gateway: Gateway,
}

impl GatewayProcess {
    pub(crate) fn start(
        id: u64,
        boot: u64,
        time: &MachineTime,
        network: &Network,
        known: &Arc<Mutex<MembersAnswer>>,
    ) -> Self {
        let process = Process::new(id);
        let clock = time.clock(&process);
        let entropy: Arc<dyn Entropy> = Arc::new(SimEntropy::new(boot));
        let members = Members::new(&process, network, &clock, known);
        network.connect(Services {
            process: process.clone(),
            metadata: None,
            storage: None,
            rebuild: None,
        });
        let group = Arc::new(MetadataGroup::new(Arc::new(ReplicaLines {
            members: members.clone(),
            own: None,
        })));
        let disks: Arc<dyn ShardRoutes> = Arc::new(DiskLines {
            members: members.clone(),
            own: None,
        });
        let settings = Settings {
            name: format!("gateway-{id}"),
            ..Settings::default()
        };
        let service: Arc<dyn MetadataService> = Arc::clone(&group) as _;
        let gateway = Gateway::new(settings, clock, entropy, service, disks);
        let (watching, keeping) = (members.clone(), gateway.clone());
        process.spawn(async move { watching.watch().await });
        process.spawn(async move { members.read(group.as_ref(), None).await });
        process.spawn(async move { keeping.keep().await });
        Self { process, gateway }
    }

    /// It dies.
    pub(crate) fn kill(&self, network: &Network) {
        network.disconnect(self.process.id);
        self.process.kill();
    }

    /// It takes no more requests, finishes those at work and ends its sessions.
    pub(crate) async fn stop(&self, network: &Network) {
        let gateway = self.gateway.clone();
        let closing = self.process.spawn(async move { gateway.close().await });
        let _ = tokio::time::timeout(Duration::from_secs(25), closing).await;
        self.kill(network);
    }
}
