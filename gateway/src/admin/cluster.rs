//! `/v1/cluster`: who belongs to it, how they are, and what is to leave.
//!
//! ```text
//!   GET    /v1/cluster              nodes, their last word, disks, coding
//!   POST   /v1/disks/ID/leave       {"lost": bool}: emptied, or never coming back
//!   POST   /v1/disks/ID/stay        not after all
//!   DELETE /v1/disks/ID             once nothing names it
//!   DELETE /v1/nodes/ID             once it has no disks
//! ```

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use bytes::Bytes;
use cairn_model::DiskId;
use cairn_wire::metadata as wire;
use cairn_wire::metadata::entry::Command;
use http::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refused, admit};
use crate::error;
use crate::gateway::Inner;
use crate::json;
use crate::metadata::CommitError;

/// How a disk is to leave.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leave {
    /// It never comes back: nothing is read from it any more.
    lost: bool,
}

/// `GET /v1/cluster`
pub(crate) async fn show(
    State(inner): State<Arc<Inner>>,
    request: Request<Body>,
) -> Response<Body> {
    let found = async {
        admit(&inner, request).await?;
        shown(&inner).await
    };
    respond(found.await)
}

/// `POST /v1/disks/{id}/leave`
pub(crate) async fn leave(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let done = async {
        let document = admit(&inner, request).await?;
        let Leave { lost } = json::read(&document, "how it leaves").map_err(Refused::invalid)?;
        mark(&inner, &id, lost, false).await
    };
    respond(done.await)
}

/// `POST /v1/disks/{id}/stay`
pub(crate) async fn stay(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let done = async {
        admit(&inner, request).await?;
        mark(&inner, &id, false, true).await
    };
    respond(done.await)
}

/// `DELETE /v1/disks/{id}`
pub(crate) async fn remove_disk(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let done = async {
        admit(&inner, request).await?;
        let disk = disk_of(&id)?;
        commit(&inner, Command::RemoveDisk(wire::RemoveDisk { disk })).await
    };
    respond(done.await)
}

/// `DELETE /v1/nodes/{id}`
pub(crate) async fn remove_node(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let done = async {
        admit(&inner, request).await?;
        let node = node_of(&id)?;
        commit(&inner, Command::RemoveNode(wire::RemoveNode { node })).await
    };
    respond(done.await)
}

fn disk_of(id: &str) -> Result<Bytes, Refused> {
    let disk = DiskId::from_hex(id);
    let disk = disk.ok_or_else(|| Refused::invalid("a disk is named by 32 hexadecimal digits"))?;
    Ok(Bytes::copy_from_slice(&disk.0))
}

fn node_of(id: &str) -> Result<u64, Refused> {
    let plain = id.len() == 16 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    plain
        .then(|| u64::from_str_radix(id, 16).ok())
        .flatten()
        .ok_or_else(|| Refused::invalid("a node is named by 16 hexadecimal digits"))
}

async fn mark(inner: &Inner, id: &str, lost: bool, stay: bool) -> Result<Value, Refused> {
    let disk = wire::LeavingDisk {
        disk: disk_of(id)?,
        lost,
    };
    let command = Command::MarkDisk(wire::MarkDisk {
        disk: Some(disk),
        stay,
    });
    commit(inner, command).await
}

async fn commit(inner: &Inner, command: Command) -> Result<Value, Refused> {
    let session = inner.sessions.enter().await.map_err(error::of_commit)?;
    match session.propose(command).await {
        Ok(_) => shown(inner).await,
        Err(CommitError::Refused { refusal, detail }) => {
            let message = format!("{} {detail}", refusal.as_str_name());
            Err(Refused::new(
                StatusCode::CONFLICT,
                "NotNow",
                message.trim_end(),
            ))
        }
        Err(error) => Err(error::of_commit(error).into()),
    }
}

async fn shown(inner: &Inner) -> Result<Value, Refused> {
    let metadata = &inner.path.metadata;
    let cluster = metadata.cluster(wire::GetCluster {}).await;
    let cluster = cluster.map_err(error::of_query)?;
    let status = metadata.status(wire::GetStatus {}).await;
    let status = status.map_err(error::of_query)?;
    Ok(describe(&cluster, &status))
}

/// Puts the state machine's truth and the replica's memory together: pure.
fn describe(cluster: &wire::ClusterAnswer, status: &wire::StatusAnswer) -> Value {
    let class = cluster.classes.first();
    let coding = class.and_then(|class| class.coding.as_ref());
    let nodes: Vec<Value> = cluster
        .nodes
        .iter()
        .map(|node| describe_node(node, status))
        .collect();
    let disks: Vec<Value> = cluster
        .disks
        .iter()
        .map(|disk| describe_disk(disk, cluster, status))
        .collect();
    json!({
        "cluster": hex(&cluster.cluster),
        "coding": coding.map(|coding| format!("{}+{}", coding.data, coding.parity)),
        "failure_domain": class.map(|class| class.domain.as_str()),
        "partitions": cluster.partitions.len(),
        "moving": cluster.moves.len(),
        "frozen_since": (cluster.frozen_since > 0).then_some(cluster.frozen_since),
        "mark": status.mark.as_ref().map(describe_mark),
        "nodes": nodes,
        "disks": disks,
    })
}

fn describe_mark(mark: &wire::MarkStatus) -> Value {
    json!({
        "finished_ms": mark.finished_ms,
        "took_ms": mark.took_ms,
        "rows": mark.rows,
        "discrepancies": mark.discrepancies,
    })
}

fn describe_node(node: &wire::Node, status: &wire::StatusAnswer) -> Value {
    let has = |role: wire::Role| node.roles & role as u32 != 0;
    let roles = [
        (wire::Role::Gateway, "gateway"),
        (wire::Role::Storage, "storage"),
        (wire::Role::Metadata, "metadata"),
    ];
    let roles = roles.iter().filter(|(role, _)| has(*role));
    let heard = status.nodes.iter().find(|heard| heard.node == node.node);
    json!({
        "id": format!("{:016x}", node.node),
        "address": node.address,
        "zone": node.zone,
        "roles": roles.map(|(_, name)| *name).collect::<Vec<_>>(),
        "votes": status.voters.contains(&node.node),
        "leads": status.leader == node.node,
        "silent_ms": heard.map(|heard| heard.silent_ms),
    })
}

fn describe_disk(
    disk: &wire::Disk,
    cluster: &wire::ClusterAnswer,
    status: &wire::StatusAnswer,
) -> Value {
    let mut heard = status.nodes.iter().flat_map(|node| &node.disks);
    let heard = heard.find(|heard| heard.disk == disk.disk);
    let mut leaving = cluster.leaving.iter();
    let leaving = leaving.find(|leaving| leaving.disk == disk.disk);
    let mut rows = cluster.partitions.iter();
    let names = |row: &&wire::PartitionRow| {
        let mut slots = row.current.iter().chain(&row.next);
        slots.any(|slot| *slot == disk.disk)
    };
    let partitions = rows.by_ref().filter(names).count();
    json!({
        "id": hex(&disk.disk),
        "node": format!("{:016x}", disk.node),
        "zone": disk.zone,
        "partitions": partitions,
        "leaving": leaving.map(|leaving| if leaving.lost { "lost" } else { "emptied" }),
        "ready": heard.map(|heard| heard.ready),
        "free": heard.map(|heard| heard.free),
        "total": heard.map(|heard| heard.total),
        "detail": heard.map(|heard| heard.detail.as_str()).filter(|detail| !detail.is_empty()),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn respond(outcome: Result<Value, Refused>) -> Response<Body> {
    match outcome {
        Ok(cluster) => json::answer(StatusCode::OK, &cluster),
        Err(refused) => refused.respond(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> wire::ClusterAnswer {
        let disk = |name: u8| Bytes::copy_from_slice(&[name; 16]);
        wire::ClusterAnswer {
            cluster: disk(0xc1),
            nodes: vec![wire::Node {
                node: 0x5e,
                address: "n1:9100".to_owned(),
                roles: 6,
                ..Default::default()
            }],
            disks: vec![wire::Disk {
                disk: disk(1),
                node: 0x5e,
                zone: "a".to_owned(),
            }],
            leaving: vec![wire::LeavingDisk {
                disk: disk(1),
                lost: true,
            }],
            partitions: vec![wire::PartitionRow {
                epoch: 1,
                current: vec![disk(1), disk(2)],
                next: vec![Bytes::new(), disk(3)],
            }],
            ..Default::default()
        }
    }

    #[test]
    fn truth_and_memory_are_told_apart() {
        let silent = describe(&cluster(), &wire::StatusAnswer::default());
        assert_eq!(silent["nodes"][0]["roles"], json!(["storage", "metadata"]));
        assert_eq!(silent["nodes"][0]["silent_ms"], Value::Null);
        assert_eq!(silent["disks"][0]["leaving"], "lost");
        assert_eq!(silent["disks"][0]["partitions"], 1);
        assert_eq!(silent["disks"][0]["ready"], Value::Null, "nobody said");
        assert_eq!(silent["mark"], Value::Null, "none has ended");
        let status = wire::StatusAnswer {
            voters: vec![0x5e],
            leader: 0x5e,
            nodes: vec![wire::NodeStatus {
                node: 0x5e,
                silent_ms: 12,
                disks: vec![wire::DiskStatus {
                    disk: Bytes::copy_from_slice(&[1; 16]),
                    free: 5,
                    total: 9,
                    ready: true,
                    ..Default::default()
                }],
            }],
            mark: Some(wire::MarkStatus {
                discrepancies: 3,
                ..Default::default()
            }),
            ..Default::default()
        };
        let heard = describe(&cluster(), &status);
        assert_eq!(heard["nodes"][0]["silent_ms"], 12);
        assert_eq!(heard["mark"]["discrepancies"], 3);
        assert_eq!(heard["nodes"][0]["leads"], true);
        assert_eq!(heard["disks"][0]["free"], 5);
        assert_eq!(heard["disks"][0]["detail"], Value::Null);
    }

    #[test]
    fn names_are_hexadecimal_and_whole() {
        assert_eq!(node_of("00000000000000ff").unwrap(), 255);
        for bad in ["", "ff", "00000000000000fg", "+0000000000000ff"] {
            assert!(node_of(bad).is_err(), "{bad}");
        }
        assert!(disk_of("00").is_err());
        assert!(disk_of(&"ab".repeat(16)).is_ok());
    }
}
