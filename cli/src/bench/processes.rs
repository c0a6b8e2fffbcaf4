//! What the server's processes cost, as the kernel counts it.

use std::time::Duration;

use crate::Fatal;

/// The kernel tells processor time in hundredths of a second (`USER_HZ`, proc(5)).
const TICK: Duration = Duration::from_millis(10);

/// Processor time and memory of some processes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// User and system.
    pub(super) cpu: Duration,
    /// Most memory each ever had, in bytes.
    pub(super) peak: u64,
}

/// Of processes that run here.
pub(super) fn usage(pids: &[u32]) -> Result<Usage, Fatal> {
    let mut all = Usage::default();
    for pid in pids {
        let missing = || Fatal::new(format!("process {pid}"), "it does not run here");
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
        let stat = read("stat").map_err(|_| missing())?;
        let status = read("status").map_err(|_| missing())?;
        all.cpu += cpu(&stat).ok_or_else(missing)?;
        all.peak += peak(&status).ok_or_else(missing)?;
    }
    Ok(all)
}

/// Of the load itself.
pub(super) fn own_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    cpu(&stat).unwrap_or_default()
}

/// Fields 14 and 15 of `/proc/PID/stat`; the name before them may hold anything but ends at the last `)`.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * ticks()?.checked_add(ticks()?)?)
}

/// `VmHWM` of `/proc/PID/status`.
fn peak(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        let stat = "7 (a) b ) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 9 1 1";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!(cpu("7 (a"), None);
        assert_eq!(peak("Name:\ta\nVmHWM:\t   2048 kB\n"), Some(2 << 20));
        assert_eq!(peak("Name:\ta\n"), None);
    }

    #[test]
    fn a_process_has_a_cost_and_no_process_has_none() {
        let own = usage(&[std::process::id()]).unwrap();
        assert!(own.peak > 1 << 20);
        assert!(usage(&[u32::MAX]).is_err());
        assert_eq!(usage(&[]).unwrap(), Usage::default());
    }
}
