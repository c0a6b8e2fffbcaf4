//! What the facts mean. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use cairn_model::limits::{GIB, MIB};

use super::facts::{Clock, Directory, Facts, Port, Probed};
use super::{Finding, Verdict};

/// 2025-01-01 in Unix time: a clock before that was never set.
const EPOCH_OF_CAIRN: u64 = 1_735_689_600;
/// SigV4 refuses a request that is 15 minutes off; clients retry with the server's time well before.
const AHEAD_FAILS: u64 = 15 * 60;
/// Beyond what clocks that are kept differ by.
const AHEAD_WARNS: u64 = 5;
/// Less room than a journal and a few segments take.
const ROOM_FAILS: u64 = 512 * MIB;
const ROOM_WARNS: u64 = 10 * GIB;
/// Longer than a disk with a working cache flush takes.
const FLUSH_WARNS: Duration = Duration::from_millis(20);
/// Quicker than anything durable is: the flush does not reach a disk.
const FLUSH_LIES: Duration = Duration::from_micros(5);
/// Connections, segments and tables at once.
const OPEN_FILES_FAIL: u64 = 1_024;
const OPEN_FILES_WARN: u64 = 16_384;
const MEMORY_FAILS: u64 = 256 * MIB;
const MEMORY_WARNS: u64 = 2 * GIB;
/// A QUIC connection's flight between machines.
const UDP_BUFFER_WARNS: u64 = 4 * MIB;

/// A finding for everything that was looked at.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = clock(&facts.clock);
    findings.extend(facts.ports.iter().map(port));
    findings.extend(facts.directories.iter().flat_map(directory));
    findings.extend(shared_devices(&facts.directories));
    findings.push(open_files(facts.open_files));
    findings.push(memory(facts.memory));
    findings.extend(
        facts
            .ports
            .iter()
            .any(|port| port.protocol == "UDP")
            .then(|| {
                let (received, sent) = facts.udp_buffers;
                udp_buffers(received, sent)
            }),
    );
    findings.extend(instructions(&facts.instructions));
    findings
}

fn clock(clock: &Clock) -> Vec<Finding> {
    let mut findings = vec![if clock.now < EPOCH_OF_CAIRN {
        let says = "it was never set: clients sign with their own, and are refused";
        Finding::new(Verdict::Failure, "clock", says)
    } else if let Some(service) = clock.kept_by {
        Finding::new(Verdict::Fine, "clock", format_args!("kept by {service}"))
    } else {
        let says = "no program that keeps it was seen (chrony, ntpd, systemd-timesyncd): requests \
                    signed 15 minutes off are refused, and nodes compare clocks";
        Finding::new(Verdict::Warning, "clock", says)
    }];
    if let Some((endpoint, ahead)) = &clock.ahead {
        let what = format_args!("clock beside {endpoint}");
        findings.push(match ahead {
            Ok(ahead) => {
                let verdict = match ahead.unsigned_abs() {
                    0..=AHEAD_WARNS => Verdict::Fine,
                    off if off < AHEAD_FAILS => Verdict::Warning,
                    _ => Verdict::Failure,
                };
                Finding::new(verdict, what, format_args!("{ahead:+} s"))
            }
            Err(why) => Finding::new(Verdict::Warning, what, why),
        });
    }
    findings
}

fn port(port: &Port) -> Finding {
    let what = format_args!("{} {} {}", port.protocol, port.option, port.address);
    let says = match port.bound {
        Ok(()) => return Finding::new(Verdict::Fine, what, "free"),
        Err(std::io::ErrorKind::AddrInUse) => {
            "taken: a store that runs already, or another program (ss -lntup)".to_owned()
        }
        Err(std::io::ErrorKind::PermissionDenied) => {
            "ports below 1024 need a privilege: take another, or AmbientCapabilities=CAP_NET_BIND_SERVICE"
                .to_owned()
        }
        Err(std::io::ErrorKind::AddrNotAvailable) => {
            "no interface of this machine has that address".to_owned()
        }
        Err(other) => other.to_string(),
    };
    Finding::new(Verdict::Failure, what, says)
}

fn directory(directory: &Directory) -> Vec<Finding> {
    let path = directory.path.display();
    let probed = match &directory.probed {
        Ok(probed) => probed,
        Err(why) => return vec![Finding::new(Verdict::Failure, path, why)],
    };
    let mut findings = Vec::new();
    if let Some(above) = &directory.above {
        let says = format_args!(
            "not there yet, made at the start; looked at {}",
            above.display()
        );
        findings.push(Finding::new(Verdict::Fine, &path, says));
    }
    findings.push(file_system(&path, probed));
    findings.push(room(&path, probed));
    findings.push(flush(&path, probed));
    findings
}

fn file_system(path: &std::path::Display<'_>, probed: &Probed) -> Finding {
    let what = format_args!("{path}: file system");
    match probed.kind {
        0x0102_1994 | 0x8584_58f6 => {
            let says = "in memory: what is acknowledged there is gone with the power";
            return Finding::new(Verdict::Failure, what, says);
        }
        0x6969 | 0xff53_4d42 | 0xfe53_4d42 => {
            let says = "over a network: its flush and its locks are another machine's word";
            return Finding::new(Verdict::Warning, what, says);
        }
        0x794c_7630 => {
            let says = "an overlay (a container's own): mount a volume for data";
            return Finding::new(Verdict::Warning, what, says);
        }
        _ => {}
    }
    let can = probed.capabilities;
    let features = [
        (can.direct, "O_DIRECT"),
        (can.allocate, "fallocate"),
        (can.punch, "hole punching"),
    ];
    let lacks: Vec<&str> = features
        .iter()
        .filter(|(has, _)| !has)
        .map(|(_, name)| *name)
        .collect();
    if lacks.is_empty() {
        return Finding::new(Verdict::Fine, what, "O_DIRECT, fallocate, hole punching");
    }
    let says = format_args!(
        "no {}: it works, slower, or takes more room",
        lacks.join(", no ")
    );
    Finding::new(Verdict::Warning, what, says)
}

fn room(path: &std::path::Display<'_>, probed: &Probed) -> Finding {
    let verdict = match probed.space.free {
        0..ROOM_FAILS => Verdict::Failure,
        ROOM_FAILS..ROOM_WARNS => Verdict::Warning,
        _ => Verdict::Fine,
    };
    let what = format_args!("{path}: room");
    let says = format!(
        "{} MiB free of {} MiB",
        probed.space.free / MIB,
        probed.space.total / MIB
    );
    if probed.space.free <= probed.headroom {
        let says = format_args!(
            "{says}: writes leave {} MiB free and would all be refused; make room, or see --keep-free",
            probed.headroom / MIB
        );
        return Finding::new(Verdict::Failure, what, says);
    }
    Finding::new(verdict, what, says)
}

fn flush(path: &std::path::Display<'_>, probed: &Probed) -> Finding {
    let what = format_args!("{path}: durable write");
    let took = probed.flush;
    if took < FLUSH_LIES {
        let says = format_args!("{took:.1?}: no disk is that quick; is its flush switched off?");
        Finding::new(Verdict::Warning, what, says)
    } else if took > FLUSH_WARNS {
        let says = format_args!("{took:.1?}: every small PUT waits for one");
        Finding::new(Verdict::Warning, what, says)
    } else {
        Finding::new(Verdict::Fine, what, format_args!("{took:.1?}"))
    }
}

/// Directories that fail together protect nothing from each other.
fn shared_devices(directories: &[Directory]) -> Vec<Finding> {
    let mut on: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for directory in directories {
        if let Ok(probed) = &directory.probed {
            let path = directory.path.display().to_string();
            on.entry(probed.device).or_default().push(path);
        }
    }
    on.into_values()
        .filter(|paths| paths.len() > 1)
        .map(|paths| {
            let says = "one device: its loss is the loss of all of them, whatever the coding";
            Finding::new(Verdict::Warning, paths.join(", "), says)
        })
        .collect()
}

fn open_files((now, most): (Option<u64>, Option<u64>)) -> Finding {
    let Some(most) = most else {
        return Finding::new(Verdict::Fine, "open files", "any number");
    };
    let verdict = match most {
        0..OPEN_FILES_FAIL => Verdict::Failure,
        OPEN_FILES_FAIL..OPEN_FILES_WARN => Verdict::Warning,
        _ => Verdict::Fine,
    };
    let now = now.map_or_else(|| "any number".to_owned(), |now| now.to_string());
    let advice = match verdict {
        Verdict::Fine => "",
        _ => "; connections and segments need more: LimitNOFILE=65536, or ulimit -Hn",
    };
    let says = format_args!("{now}, raised to {most} at start{advice}");
    Finding::new(verdict, "open files", says)
}

fn memory((machine, group): (Option<u64>, Option<u64>)) -> Finding {
    let Some(most) = [machine, group].into_iter().flatten().min() else {
        let says = "the kernel does not say";
        return Finding::new(Verdict::Warning, "memory", says);
    };
    let verdict = match most {
        0..MEMORY_FAILS => Verdict::Failure,
        MEMORY_FAILS..MEMORY_WARNS => Verdict::Warning,
        _ => Verdict::Fine,
    };
    Finding::new(
        verdict,
        "memory",
        format_args!("{} MiB to be had", most / MIB),
    )
}

fn udp_buffers(received: Option<u64>, sent: Option<u64>) -> Finding {
    let what = "UDP buffers";
    match [received, sent].into_iter().flatten().min() {
        None => Finding::new(Verdict::Warning, what, "the kernel does not say"),
        Some(least) if least < UDP_BUFFER_WARNS => {
            let says = format_args!(
                "{} KiB at most: between machines use \
                 sysctl -w net.core.rmem_max=8388608 net.core.wmem_max=8388608",
                least >> 10
            );
            Finding::new(Verdict::Warning, what, says)
        }
        Some(least) => Finding::new(Verdict::Fine, what, format_args!("{} KiB", least >> 10)),
    }
}

fn instructions(known: &[(&str, bool)]) -> Option<Finding> {
    let lacks: Vec<&str> = known
        .iter()
        .filter(|(_, has)| !has)
        .map(|(name, _)| *name)
        .collect();
    let all: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    match (known.is_empty(), lacks.is_empty()) {
        (true, _) => None,
        (_, true) => Some(Finding::new(Verdict::Fine, "processor", all.join(", "))),
        _ => {
            let says = format_args!("without {}: digests and codes are slower", lacks.join(", "));
            Some(Finding::new(Verdict::Warning, "processor", says))
        }
    }
}

#[cfg(test)]
mod tests;
