//! Uploads placed by the table of before a move, in a session begun after it, that end long after it: their
//! shards lie where the slots were, and no pass over the rows that there were has seen them.
//!
//! ```text
//!   a machine joins ── moves begin ── nobody hears of it yet ── gateways place uploads, slowly
//!        ── slots are cut over ── commits
//! ```

use std::time::Duration;

use cairn_compat_suite::Call;
use cairn_tests::simulated::door::{Door, Heard};
use cairn_world::buggify;
use cairn_world::sim::SeededRng;
use futures_util::future::join_all;

use crate::clients::{must, new_bytes};
use crate::cluster::Cluster;
use crate::{look, observe};

const BUCKET: &str = "simulated-late";
/// Longer than a stripe, so that disks are asked before the body has come.
const LENGTH: usize = 300_000;
const PIECE: usize = 4_096;
/// Four minutes for a body, and more than the least rate.
const PAUSE: Duration = Duration::from_millis(3_200);
const UPLOADS: usize = 12;
/// A session is not entered any more after that.
const SESSION_ENDS: Duration = Duration::from_secs(65);
/// The longest until moves begin.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const POINT: &str = "pass-late";

/// What was wrong.
pub(crate) async fn phase(
    cluster: &mut Cluster,
    door: &dyn Door,
    random: &mut SeededRng,
) -> Result<Vec<String>, String> {
    must(door, Call::new("PUT", BUCKET)).await?;
    tokio::time::sleep(SESSION_ENDS).await;
    // An order of the leader would tell the nodes.
    let fires = |seed: &u64| {
        buggify::begin_only(*seed, &[POINT]);
        buggify(POINT)
    };
    let seed = (0..1_000).find(fires).ok_or("the point never fires")?;
    buggify::begin_only(seed, &[POINT]);
    cluster.join(false).await?;
    if !moves_begin(cluster).await? {
        buggify::end();
        must(door, Call::new("DELETE", BUCKET)).await?;
        return Ok(Vec::new());
    }
    let uploads = (0..UPLOADS).map(|number| {
        let call = Call::new("PUT", &key(number)).body(new_bytes(random, LENGTH));
        door.send_slowly(number % 2, call, PIECE, PAUSE)
    });
    buggify::end();
    let begun = cluster.time.elapsed();
    let heard = join_all(uploads).await;
    let statuses: Vec<u16> = heard.iter().map(status).collect();
    tracing::info!(?statuses, took = ?cluster.time.elapsed() - begun, "late uploads");
    observe::until_mended(cluster).await?;
    let wrong = look::healed(cluster).await?;
    if wrong.is_empty() {
        for path in (0..UPLOADS).map(key).chain([BUCKET.to_owned()]) {
            must(door, Call::new("DELETE", &path)).await?;
        }
    }
    Ok(wrong)
}

fn status(heard: &Heard) -> u16 {
    match heard {
        Heard::Answer(answer) => answer.status,
        _ => 0,
    }
}

fn key(number: usize) -> String {
    format!("{BUCKET}/{number}")
}

async fn moves_begin(cluster: &Cluster) -> Result<bool, String> {
    let begun = cluster.time.elapsed();
    while cluster.time.elapsed() - begun < PATIENCE {
        if !cluster.cluster().await?.moves.is_empty() {
            return Ok(true);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(false)
}
