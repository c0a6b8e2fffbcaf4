//! `cairn admin cluster`, `disk`, `node`.

use serde::Deserialize;

use super::Client;
use crate::args::DiskCommand;
use crate::{Fatal, console};

#[derive(Debug, Deserialize)]
struct Cluster {
    cluster: String,
    coding: Option<String>,
    failure_domain: Option<String>,
    partitions: u64,
    moving: u64,
    /// Generation since whose beginning nothing is deleted.
    frozen_since: Option<u32>,
    /// Absent while the leader has finished none.
    mark: Option<Mark>,
    nodes: Vec<Node>,
    disks: Vec<Disk>,
}

/// The leader's last full mark.
#[derive(Debug, Deserialize)]
struct Mark {
    rows: u64,
    discrepancies: u64,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    address: String,
    zone: String,
    roles: Vec<String>,
    votes: bool,
    leads: bool,
    silent_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Disk {
    id: String,
    node: String,
    partitions: u64,
    leaving: Option<String>,
    ready: Option<bool>,
    free: Option<u64>,
    total: Option<u64>,
    detail: Option<String>,
}

/// Shows the cluster.
pub(super) fn show(client: &Client) -> Result<(), Fatal> {
    print(&client.call("GET", "/v1/cluster", Vec::new())?)
}

/// Has a disk leave, stay, or be forgotten.
pub(super) fn disk(client: &Client, command: &DiskCommand) -> Result<(), Fatal> {
    let leave = |id: &str, lost: bool| {
        let body = format!("{{\"lost\":{lost}}}").into_bytes();
        client.call("POST", &format!("/v1/disks/{id}/leave"), body)
    };
    let answer = match command {
        DiskCommand::Leave { id } => leave(id, false)?,
        DiskCommand::Lost { id } => leave(id, true)?,
        DiskCommand::Stay { id } => client.call("POST", &format!("/v1/disks/{id}/stay"), vec![])?,
        DiskCommand::Remove { id } => client.call("DELETE", &format!("/v1/disks/{id}"), vec![])?,
    };
    print(&answer)
}

/// Forgets a node.
pub(super) fn remove_node(client: &Client, id: &str) -> Result<(), Fatal> {
    print(&client.call("DELETE", &format!("/v1/nodes/{id}"), Vec::new())?)
}

fn print(answer: &str) -> Result<(), Fatal> {
    let cluster: Cluster =
        serde_json::from_str(answer).map_err(|error| Fatal::new("the answer", error))?;
    for line in lines(&cluster) {
        console::line(line);
    }
    Ok(())
}

/// The table: pure.
fn lines(cluster: &Cluster) -> Vec<String> {
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut lines = vec![format!(
        "cluster {}  coding {}  failure domain {}  partitions {} ({} slots moving)",
        cluster.cluster,
        word(&cluster.coding),
        word(&cluster.failure_domain),
        cluster.partitions,
        cluster.moving
    )];
    if let Some(generation) = cluster.frozen_since {
        lines.push(format!(
            "deletion\tfrozen since generation {generation} was restored, until all counts are checked and every disk is looked at"
        ));
    }
    if let Some(mark) = &cluster.mark {
        lines.push(match mark.discrepancies {
            0 => format!("mark\t{} rows\tevery count is right", mark.rows),
            wrong => format!(
                "mark\t{} rows\t{wrong} counts are WRONG: the leader's log names them",
                mark.rows
            ),
        });
    }
    for node in &cluster.nodes {
        let vote = match (node.leads, node.votes) {
            (true, _) => "leads",
            (false, true) => "votes",
            (false, false) => "-",
        };
        let heard = node.silent_ms.map_or_else(
            || "-".to_owned(),
            |ms| format!("{}.{} s ago", ms / 1_000, ms % 1_000 / 100),
        );
        lines.push(format!(
            "node {}\t{}\t{}\t{}\t{vote}\theard {heard}",
            node.id,
            node.roles.join("+"),
            or_dash(&node.address),
            or_dash(&node.zone),
        ));
    }
    for disk in &cluster.disks {
        let state = match (disk.leaving.as_deref(), disk.ready) {
            (Some(leaving), _) => leaving,
            (None, Some(true)) => "ready",
            (None, Some(false)) => "failed",
            (None, None) => "not heard of",
        };
        let room = match (disk.free, disk.total) {
            (Some(free), Some(total)) => format!("{} of {} MiB free", free >> 20, total >> 20),
            _ => "-".to_owned(),
        };
        lines.push(format!(
            "disk {}\ton {}\t{state}\t{} partitions\t{room}\t{}",
            disk.id,
            disk.node,
            disk.partitions,
            disk.detail.as_deref().unwrap_or_default()
        ));
    }
    lines
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_a_dash() {
        let answer = r#"{"cluster":"c1","coding":"4+2","failure_domain":"node","partitions":1024,"moving":2,
            "nodes":[{"id":"5e","address":"","zone":"","roles":["gateway"],"votes":false,"leads":false,"silent_ms":null}],
            "disks":[{"id":"d1","node":"5e","zone":"","partitions":7,"leaving":"lost","ready":null,"free":null,"total":null,"detail":null},
                     {"id":"d2","node":"5e","zone":"","partitions":7,"leaving":null,"ready":true,"free":2097152,"total":4194304,"detail":null}]}"#;
        let lines = lines(&serde_json::from_str(answer).unwrap());
        assert!(lines[0].contains("4+2") && lines[0].contains("2 slots moving"));
        assert!(
            lines[1].contains("gateway\t-\t-\t-\theard -"),
            "{}",
            lines[1]
        );
        assert!(lines[2].contains("lost\t7 partitions\t-"), "{}", lines[2]);
        assert!(
            lines[3].contains("ready\t7 partitions\t2 of 4 MiB free"),
            "{}",
            lines[3]
        );
    }

    #[test]
    fn a_freeze_is_told_while_it_lasts() {
        let told = |since: &str| {
            let answer = format!(
                r#"{{"cluster":"c1","coding":null,"failure_domain":null,"partitions":0,"moving":0,"frozen_since":{since},"mark":null,"nodes":[],"disks":[]}}"#
            );
            lines(&serde_json::from_str(&answer).unwrap()).split_off(1)
        };
        assert!(told("null").is_empty());
        let frozen = told("2");
        assert!(
            frozen[0].contains("frozen since generation 2"),
            "{frozen:?}"
        );
    }

    #[test]
    fn wrong_counts_are_not_overlooked() {
        let told = |mark: &str| {
            let answer = format!(
                r#"{{"cluster":"c1","coding":null,"failure_domain":null,"partitions":0,"moving":0,"mark":{mark},"nodes":[],"disks":[]}}"#
            );
            lines(&serde_json::from_str(&answer).unwrap()).split_off(1)
        };
        assert!(told("null").is_empty());
        assert_eq!(
            told(r#"{"finished_ms":1,"took_ms":1,"rows":40,"discrepancies":0}"#),
            ["mark\t40 rows\tevery count is right"]
        );
        let wrong = told(r#"{"finished_ms":1,"took_ms":1,"rows":40,"discrepancies":2}"#);
        assert!(wrong[0].contains("2 counts are WRONG"), "{wrong:?}");
    }
}
