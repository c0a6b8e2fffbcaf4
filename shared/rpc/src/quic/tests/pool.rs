//! Who answers pings, and who is back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cairn_model::NodeId;
use cairn_world::Clock;

use super::super::*;
use super::rig::{CALLER, Cluster, LONG, SERVER, call_as, heartbeats, serve};

/// A pool that is watched, and its clock.
struct Watched {
    pool: Arc<Pool>,
    clock: Arc<dyn Clock>,
    watching: tokio::task::JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Watched {
    fn new(cluster: &Cluster, member: SocketAddr) -> Self {
        let party = cluster.party(cluster.identity(CALLER, &[Role::Gateway]));
        let clock = Arc::clone(&party.clock);
        let pool = Arc::new(Pool::new(Arc::new(call_as(party)), Arc::clone(&clock)));
        pool.learn(&[(SERVER, member.to_string())]);
        let watched = Arc::clone(&pool);
        Self {
            pool,
            clock,
            watching: tokio::spawn(async move { watched.watch().await }),
        }
    }

    /// Waits until the member was seen to come back after a moment.
    async fn until_back_since(&self, moment: Duration) {
        let come = async {
            while !self.pool.is_back_since(SERVER, moment) {
                self.clock.sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, come).await.expect("it is back");
    }
}

/// Binds an address that was just given up: its socket lives until the tasks of its endpoint have ended.
async fn bind_again<E: std::fmt::Debug>(
    clock: &Arc<dyn Clock>,
    bind: impl Fn() -> Result<Endpoint, E>,
) -> Endpoint {
    for _ in 0..200 {
        if let Ok(endpoint) = bind() {
            return endpoint;
        }
        clock.sleep(Duration::from_millis(10)).await;
    }
    bind().unwrap()
}

#[tokio::test]
async fn a_member_that_stays_is_not_back_and_one_that_was_restarted_is() {
    let cluster = Cluster::new(1);
    let identity = cluster.identity(SERVER, &Role::ALL);
    let (mut server, address) = serve(cluster.party(identity.clone()), heartbeats());
    let watched = Watched::new(&cluster, address);
    watched.until_back_since(Duration::ZERO).await;
    // Stopped for longer than pings are apart, and so shortly that none is missed.
    for away in [Duration::from_millis(1_800), Duration::ZERO] {
        let steady = watched.clock.monotonic();
        watched.clock.sleep(Duration::from_millis(1_300)).await;
        assert!(watched.pool.is_reachable(SERVER));
        assert!(
            !watched.pool.is_back_since(SERVER, steady),
            "nothing happened"
        );
        server.close().await;
        drop(server);
        let gone = watched.clock.monotonic();
        watched.clock.sleep(away).await;
        assert!(!watched.pool.is_back_since(SERVER, gone), "it is away");
        server = bind_again(&watched.clock, || {
            let party = cluster.party(identity.clone());
            Endpoint::bind(address, party, Some(heartbeats()))
        })
        .await;
        watched.until_back_since(gone).await;
        assert!(watched.pool.is_reachable(SERVER));
    }
    let stranger = NodeId(SERVER.0 + 1);
    assert!(!watched.pool.is_back_since(stranger, Duration::ZERO));
}
