//! Looks at the machine. Whatever cannot be looked at is said, not guessed.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cairn_world::real::{RealClock, RealDisk};
use cairn_world::{Access, AlignedBuf, Clock as _, Disk as _, OpenMode};

use super::facts::{Clock, Directory, Facts, Port, Probed};
use crate::args::DoctorArgs;
use crate::{Fatal, health, houses};

/// Durable writes that are timed.
const FLUSHES: usize = 9;
/// The file they go to, removed afterwards.
const PROBE: &str = "cairn-doctor-probe";

pub(super) fn look(args: &DoctorArgs) -> Result<Facts, Fatal> {
    let clock = RealClock::new();
    let endpoint = args.endpoint.as_deref();
    let mut ports = vec![tcp(args.listen)];
    ports.extend(args.node_listen.map(udp));
    Ok(Facts {
        clock: Clock {
            now: seconds(&clock),
            kept_by: time_service(),
            ahead: endpoint.map(|endpoint| (endpoint.to_owned(), ahead(&clock, endpoint))),
        },
        ports,
        directories: directories(&clock, args),
        open_files: open_files(),
        memory: (
            meminfo(&read("/proc/meminfo")),
            number(&read("/sys/fs/cgroup/memory.max")),
        ),
        udp_buffers: (
            number(&read("/proc/sys/net/core/rmem_max")),
            number(&read("/proc/sys/net/core/wmem_max")),
        ),
        instructions: instructions(),
    })
}

/// Unix time.
fn seconds(clock: &RealClock) -> u64 {
    clock.wall() / 1_000
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The first word, where it is a number.
fn number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// Bytes that `/proc/meminfo` calls available.
fn meminfo(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(number(line)? << 10)
}

fn open_files() -> (Option<u64>, Option<u64>) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    (limit.current, limit.maximum)
}

/// Programs that keep clocks, by what they leave where they run.
fn time_service() -> Option<&'static str> {
    [
        ("/run/systemd/timesync/synchronized", "systemd-timesyncd"),
        ("/run/chrony/chronyd.pid", "chrony"),
        ("/run/chronyd.pid", "chrony"),
        ("/run/ntpd.pid", "ntpd"),
        ("/run/ntpsec/ntpd.pid", "ntpsec"),
    ]
    .into_iter()
    .find(|(path, _)| Path::new(path).exists())
    .map(|(_, name)| name)
}

/// By how much our clock is ahead of the one of a store that runs, from the `Date` of its answer.
fn ahead(clock: &RealClock, endpoint: &str) -> Result<i64, String> {
    let date = health::date(endpoint).map_err(|error| error.to_string())?;
    let (ours, theirs) = (seconds(clock), date);
    Ok(i64::try_from(ours).unwrap_or(i64::MAX) - i64::try_from(theirs).unwrap_or(i64::MAX))
}

fn tcp(address: SocketAddr) -> Port {
    let bound = TcpListener::bind(address).map(drop);
    port("--listen", address, "TCP", bound)
}

fn udp(address: SocketAddr) -> Port {
    let bound = UdpSocket::bind(address).map(drop);
    port("--node-listen", address, "UDP", bound)
}

fn port(
    option: &'static str,
    address: SocketAddr,
    protocol: &'static str,
    bound: std::io::Result<()>,
) -> Port {
    Port {
        option,
        address,
        protocol,
        bound: bound.map_err(|error| error.kind()),
    }
}

fn directories(clock: &RealClock, args: &DoctorArgs) -> Vec<Directory> {
    let mut found: Vec<_> = (args.dirs.iter())
        .map(|dir| directory(clock, dir))
        .collect();
    let probed = || found.iter().filter_map(|one| one.probed.as_ref().ok());
    let smallest = probed().map(|one| one.space.total).min();
    let settings = houses::settings(smallest.unwrap_or(u64::MAX), &args.store);
    for probed in found.iter_mut().filter_map(|one| one.probed.as_mut().ok()) {
        probed.headroom = settings.headroom(probed.space.total);
    }
    found
}

fn directory(clock: &RealClock, path: &Path) -> Directory {
    let there = existing(path);
    let probed = probe(clock, &there).map_err(|error| error.to_string());
    Directory {
        path: path.to_owned(),
        above: (there != path).then_some(there),
        probed,
    }
}

/// The directory, or the nearest one above it that is there.
fn existing(path: &Path) -> PathBuf {
    let mut above = path.ancestors().filter(|one| !one.as_os_str().is_empty());
    let there = above.find(|one| one.exists());
    there.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn probe(clock: &RealClock, path: &Path) -> std::io::Result<Probed> {
    use std::os::unix::fs::MetadataExt as _;
    let disk = RealDisk::open(path)?;
    let kind = rustix::fs::statfs(path)?.f_type;
    Ok(Probed {
        capabilities: disk.capabilities(),
        space: disk.space()?,
        headroom: 0,
        device: std::fs::metadata(path)?.dev(),
        kind: u64::from_ne_bytes(kind.to_ne_bytes()),
        flush: flush(clock, &disk)?,
    })
}

/// The middle of several durable writes. The probe file does not stay, whatever happens.
fn flush(clock: &RealClock, disk: &RealDisk) -> std::io::Result<Duration> {
    // What a doctor that was stopped left behind.
    let _ = disk.remove(PROBE);
    let timed = timed(clock, disk);
    let removed = disk.remove(PROBE);
    let mut took = timed?;
    removed?;
    took.sort_unstable();
    Ok(took.get(FLUSHES / 2).copied().unwrap_or_default())
}

fn timed(clock: &RealClock, disk: &RealDisk) -> std::io::Result<Vec<Duration>> {
    let file = disk.open(PROBE, OpenMode::CreateNew, Access::Buffered)?;
    let block = AlignedBuf::zeroed(4_096);
    let mut took = Vec::with_capacity(FLUSHES);
    for at in 0..FLUSHES as u64 {
        let begun = clock.monotonic();
        file.write_at(block.as_slice(), at * 4_096)?;
        file.sync()?;
        took.push(clock.monotonic().saturating_sub(begun));
    }
    Ok(took)
}

#[cfg(target_arch = "x86_64")]
fn instructions() -> Vec<(&'static str, bool)> {
    vec![
        ("SHA", std::arch::is_x86_feature_detected!("sha")),
        ("AVX2", std::arch::is_x86_feature_detected!("avx2")),
        ("GFNI", std::arch::is_x86_feature_detected!("gfni")),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn instructions() -> Vec<(&'static str, bool)> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_first_word() {
        assert_eq!(number("212992\n"), Some(212_992));
        assert_eq!(number("max\n"), None, "a control group without a limit");
        assert_eq!(number(""), None);
        assert_eq!(
            meminfo("MemTotal:  10 kB\nMemAvailable:   2048 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(meminfo("MemTotal: 10 kB\n"), None);
    }

    #[test]
    fn a_directory_that_is_not_there_is_looked_at_from_above() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("a/b");
        let found = directory(&RealClock::new(), &missing);
        assert_eq!(found.above.as_deref(), Some(dir.path()));
        let probed = found.probed.unwrap();
        assert!(probed.space.total > 0 && probed.flush > Duration::ZERO);
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 0, "nothing stays behind");
    }

    #[test]
    fn a_taken_port_and_a_free_one() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(
            tcp(address).bound,
            Err(std::io::ErrorKind::AddrInUse),
            "{address}"
        );
        drop(taken);
        assert_eq!(tcp(address).bound, Ok(()));
        assert_eq!(udp("127.0.0.1:0".parse().unwrap()).bound, Ok(()));
    }
}
