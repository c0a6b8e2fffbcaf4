//! The cluster row: made at the first start, compared with the directories at every later one.

use std::collections::BTreeSet;

use bytes::Bytes;
use cairn_model::{Coding, DiskId, limits};
use cairn_placement::{Candidate, DomainLevel, first_table};
use cairn_rpc::MetadataService;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{ClusterAnswer, Disk, InitCluster, StorageClass};

use crate::identity::Directories;
use crate::{Fatal, calls};

/// The first generation of every cluster; a restore from backup bumps it.
pub(crate) const GENERATION: u32 = 1;

/// Makes the cluster where there is none; else checks that these are its directories and coding.
pub(super) async fn ensure(
    metadata: &dyn MetadataService,
    directories: &Directories,
    disks: &[DiskId],
    asked: Option<Coding>,
) -> Result<(), Fatal> {
    let cluster = calls::cluster(metadata).await?;
    if cluster.cluster.is_empty() {
        let coding = match asked {
            Some(coding) => coding,
            None => default_coding(disks.len())?,
        };
        let init = init(directories, disks, coding)?;
        calls::command(metadata, Command::InitCluster(init)).await?;
        return Ok(());
    }
    check(&cluster, directories, disks, asked)
}

/// The coding of a first start that names none.
fn default_coding(disks: usize) -> Result<Coding, Fatal> {
    let (data, parity) = match disks {
        0 | 1 => (1, 0),
        2 => (1, 1),
        3 => (2, 1),
        4 | 5 => (2, 2),
        _ => (4, 2),
    };
    Coding::new(data, parity).map_err(|error| Fatal::new("coding", error))
}

fn init(directories: &Directories, disks: &[DiskId], coding: Coding) -> Result<InitCluster, Fatal> {
    if disks.len() != directories.paths.len() {
        return Err(Fatal::new(
            "first start",
            "a directory could not be opened, see the log",
        ));
    }
    let candidates: Vec<Candidate> = disks
        .iter()
        .map(|disk| Candidate {
            disk: *disk,
            node: directories.node,
            zone: String::new(),
            weight: 1,
        })
        .collect();
    let bits = limits::PARTITION_BITS_DEFAULT;
    let seed = u64::from_be_bytes(std::array::from_fn(|at| {
        directories.cluster.get(at).copied().unwrap_or(0)
    }));
    let table = first_table(&candidates, DomainLevel::Disk, bits, coding.shards(), seed).map_err(
        |error| {
            Fatal::new(
                format!("coding {}+{}", coding.data(), coding.parity()),
                error,
            )
        },
    )?;
    let mut slots = Vec::new();
    for row in table.rows() {
        for slot in &row.slots {
            let index = disks.iter().position(|disk| *disk == slot.current);
            let index = index.and_then(|index| u16::try_from(index).ok());
            let index = index.ok_or_else(|| Fatal::new("placement", "a slot on no disk"))?;
            slots.extend_from_slice(&index.to_be_bytes());
        }
    }
    let class = StorageClass {
        name: "STANDARD".into(),
        coding: Some(coding.into()),
        domain: "disk".into(),
    };
    let disk = |disk: &DiskId| Disk {
        disk: Bytes::copy_from_slice(&disk.0),
        node: directories.node.0,
        zone: String::new(),
    };
    Ok(InitCluster {
        cluster: Bytes::copy_from_slice(&directories.cluster),
        generation: GENERATION,
        disks: disks.iter().map(disk).collect(),
        classes: vec![class],
        partition_bits: bits,
        slots: slots.into(),
    })
}

fn check(
    cluster: &ClusterAnswer,
    directories: &Directories,
    disks: &[DiskId],
    asked: Option<Coding>,
) -> Result<(), Fatal> {
    if cluster.cluster != directories.cluster.as_slice() {
        return Err(Fatal::new("metadata", "it belongs to another store"));
    }
    let known: BTreeSet<&[u8]> = cluster
        .disks
        .iter()
        .map(|disk| disk.disk.as_ref())
        .collect();
    for disk in disks {
        if !known.contains(disk.0.as_slice()) {
            let why = "the store has no such disk, and adding one is not built yet";
            return Err(Fatal::new(format!("disk {disk}"), why));
        }
    }
    let coding = cluster.classes.first().and_then(|class| class.coding);
    if let (Some(asked), Some(coding)) = (asked, coding)
        && (asked.data() as u64, asked.parity() as u64)
            != (u64::from(coding.data), u64::from(coding.parity))
    {
        let why = format!(
            "this store is coded {}+{}, fixed at its first start",
            coding.data, coding.parity
        );
        return Err(Fatal::new("--coding", why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_model::NodeId;

    fn directories(disks: u8) -> (Directories, Vec<DiskId>) {
        let paths = (1..=disks).map(|name| format!("/d{name}").into()).collect();
        let disks = (1..=disks).map(|name| DiskId([name; 16])).collect();
        (
            Directories {
                cluster: [9; 16],
                node: NodeId(1),
                paths,
            },
            disks,
        )
    }

    #[test]
    fn the_default_coding_follows_the_number_of_directories() {
        let coding = |disks| {
            let coding = default_coding(disks).unwrap();
            (coding.data(), coding.parity())
        };
        let expected = [(1, 0), (1, 1), (2, 1), (2, 2), (2, 2), (4, 2), (4, 2)];
        assert_eq!((1..=7).map(coding).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_first_table_names_every_slot() {
        let (directories, disks) = directories(6);
        let init = init(&directories, &disks, default_coding(6).unwrap()).unwrap();
        assert_eq!(init.slots.len(), (6 << limits::PARTITION_BITS_DEFAULT) * 2);
    }

    #[test]
    fn a_coding_wider_than_the_disks_is_refused() {
        let (directories, disks) = directories(3);
        let error = init(&directories, &disks, Coding::new(4, 2).unwrap()).unwrap_err();
        assert!(error.to_string().contains("4+2"), "{error}");
        assert!(init(&directories, &disks[..2], Coding::new(1, 1).unwrap()).is_err());
    }

    #[test]
    fn another_coding_or_directory_is_refused_later() {
        let (ours, disks) = directories(2);
        let made = init(&ours, &disks, Coding::new(1, 1).unwrap()).unwrap();
        let cluster = ClusterAnswer {
            cluster: made.cluster,
            disks: made.disks,
            classes: made.classes,
            ..ClusterAnswer::default()
        };
        assert!(check(&cluster, &ours, &disks, None).is_ok());
        assert!(check(&cluster, &ours, &disks, Some(Coding::new(1, 1).unwrap())).is_ok());
        assert!(check(&cluster, &ours, &disks, Some(Coding::new(2, 1).unwrap())).is_err());
        assert!(check(&cluster, &ours, &directories(3).1, None).is_err());
        let foreign = Directories {
            cluster: [8; 16],
            ..ours
        };
        assert!(check(&cluster, &foreign, &disks, None).is_err());
    }
}
