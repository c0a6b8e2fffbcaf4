//! A command that outlives its session: carried out, its answer lost, its gateway cut off until the session has
//! ended and its outcomes are forgotten, then sent once more behind a newer write.
//!
//! ```text
//!   PUT one ── answers are lost ── it commits ── all lines are cut ── the session ends ── PUT two, elsewhere
//!        ── the lines are there again ── PUT one is sent again ── GET: two
//! ```

use std::time::Duration;

use bytes::Bytes;
use cairn_compat_suite::Call;
use cairn_model::limits;
use cairn_tests::simulated::door::{Door, Heard};
use cairn_world::buggify;
use cairn_world::sim::SeededRng;

use crate::clients::{must, new_bytes};
use crate::cluster::{Cluster, FIRST_GATEWAY};

const BUCKET: &str = "simulated-outlived";
const KEY: &str = "simulated-outlived/key";
/// In the row itself: the body's last byte is soon followed by the commit.
const LENGTH: usize = 80;
const PIECE: usize = 8;
const PAUSE: Duration = Duration::from_secs(1);
/// The request has asked all it asks before its body is whole.
const HALF_A_BODY: Duration = Duration::from_secs(6);
/// The body is whole, and the command was sent once.
const COMMITTED: Duration = Duration::from_secs(7);
/// The leader has heard nothing for long enough, and looked.
const SESSION_ENDED: Duration = Duration::from_secs(limits::SESSION_EXPIRY_SECS + 8);
/// The command is sent again: the point's pause is over, and so are some sends.
const SENT_AGAIN: Duration = Duration::from_secs(60);
const POINTS: &[&str] = &["outcome-asked-late"];

/// What was wrong.
pub(crate) async fn phase(
    cluster: &Cluster,
    door: &dyn Door,
    random: &mut SeededRng,
) -> Result<Vec<String>, String> {
    must(door, Call::new("PUT", BUCKET)).await?;
    let (one, two) = (new_bytes(random, LENGTH), new_bytes(random, LENGTH));
    must(door, Call::new("PUT", KEY).body(two.clone())).await?;
    let slow = Call::new("PUT", KEY).body(one);
    let (_, second) = tokio::join!(
        door.send_slowly(0, slow, PIECE, PAUSE),
        overtake(cluster, door, &two),
    );
    buggify::end();
    second?;
    let mut wrong = Vec::new();
    for gateway in 0..door.gateways() {
        let read = door.send(gateway, Call::new("GET", KEY)).await;
        let is_right = matches!(&read, Heard::Answer(answer)
            if answer.status == 200 && answer.body == Bytes::copy_from_slice(&two));
        if !is_right {
            wrong.push(format!(
                "a command of an ended session undid a later write: gateway {gateway} reads {read:?}"
            ));
        }
    }
    if wrong.is_empty() {
        must(door, Call::new("DELETE", KEY)).await?;
        must(door, Call::new("DELETE", BUCKET)).await?;
    }
    Ok(wrong)
}

/// Cuts the first gateway off around its commit and writes through the second.
async fn overtake(cluster: &Cluster, door: &dyn Door, body: &[u8]) -> Result<(), String> {
    tokio::time::sleep(HALF_A_BODY).await;
    let voters: Vec<u64> = cluster.nodes.keys().copied().collect();
    for voter in &voters {
        cluster.network.cut_way(*voter, FIRST_GATEWAY);
    }
    buggify::begin_only(seed_that_fires()?, POINTS);
    tokio::time::sleep(COMMITTED).await;
    for voter in &voters {
        cluster.network.cut_way(FIRST_GATEWAY, *voter);
    }
    tokio::time::sleep(SESSION_ENDED).await;
    let call = Call::new("PUT", KEY).body(body.to_vec());
    let second = match door.send(1, call).await {
        Heard::Answer(answer) if answer.status == 200 => Ok(()),
        other => Err(format!("PUT {KEY} through the second gateway: {other:?}")),
    };
    cluster.network.mend_lines();
    tokio::time::sleep(SENT_AGAIN).await;
    second
}

/// A seed with which the first visit of the point fires.
fn seed_that_fires() -> Result<u64, String> {
    let fires = |seed: &u64| {
        buggify::begin_only(*seed, POINTS);
        POINTS.iter().all(|point| buggify(point))
    };
    (0..1_000).find(fires).ok_or("the point never fires".into())
}
