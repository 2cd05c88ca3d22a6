//! CPU time and memory of a process, from /proc: nanoseconds per thread and resident bytes.

use std::collections::BTreeMap;
use std::{fs, io};

/// Bytes per kB line of /proc/PID/status.
const BYTES_PER_KIB: u64 = 1024;

/// CPU nanoseconds of each thread of a process at one moment, keyed by thread id.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThreadTimes(BTreeMap<u64, (String, u64)>);

impl ThreadTimes {
    /// Reads /proc/`pid`/task/*/schedstat, whose first field is the time spent on a CPU in nanoseconds.
    pub(crate) fn read(pid: u32) -> io::Result<Self> {
        let mut times = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let entry = entry?;
            let Some(thread) = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok()) else {
                continue;
            };
            // A thread may end between the listing and the reads; it is then simply not counted.
            let Ok(schedstat) = fs::read_to_string(entry.path().join("schedstat")) else {
                continue;
            };
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            if let Some(nanos) = parse_schedstat(&schedstat) {
                times.insert(thread, (name.trim().to_owned(), nanos));
            }
        }
        Ok(Self(times))
    }

    /// Nanoseconds used since `earlier`, summed by thread name.
    pub(crate) fn since(&self, earlier: &Self) -> CpuUse {
        let mut by_name = BTreeMap::new();
        for (thread, (name, now)) in &self.0 {
            let before = earlier.0.get(thread).map_or(0, |(_, nanos)| *nanos);
            *by_name.entry(name.clone()).or_insert(0) += now.saturating_sub(before);
        }
        CpuUse { by_name }
    }
}

/// CPU nanoseconds used over a window, by thread name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuUse {
    pub(crate) by_name: BTreeMap<String, u64>,
}

impl CpuUse {
    pub(crate) fn total_ns(&self) -> u64 {
        self.by_name.values().sum()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (name, nanos) in &other.by_name {
            *self.by_name.entry(name.clone()).or_insert(0) += nanos;
        }
    }
}

fn parse_schedstat(line: &str) -> Option<u64> {
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Resident bytes of a process.
pub(crate) fn resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_status(&status, "VmRSS:").ok_or_else(|| io::Error::other("no VmRSS in /proc/PID/status"))
}

/// The most resident bytes the process ever had.
pub(crate) fn peak_resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    parse_status(&status, "VmHWM:").ok_or_else(|| io::Error::other("no VmHWM in /proc/PID/status"))
}

fn parse_status(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * BYTES_PER_KIB)
}

/// CPU nanoseconds of the kernel's softirq threads: loopback delivery that moved there is charged to
/// nobody, so it must be seen. Empty where /proc hides them (a container's own pid namespace).
pub(crate) fn softirq_thread_ns() -> u64 {
    let Ok(entries) = fs::read_dir("/proc") else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| {
            fs::read_to_string(entry.path().join("comm")).is_ok_and(|name| name.starts_with("ksoftirqd/"))
        })
        .filter_map(|entry| parse_schedstat(&fs::read_to_string(entry.path().join("schedstat")).ok()?))
        .sum()
}

/// Ticks per second of /proc/stat, USER_HZ, fixed by the kernel's ABI.
const TICK_NS: u64 = 10_000_000;

/// CPU nanoseconds the whole machine has spent on anything, to a tick's precision.
pub(crate) fn machine_busy_ns() -> u64 {
    fs::read_to_string("/proc/stat").ok().and_then(|stat| parse_busy(&stat)).unwrap_or(0)
}

/// Ticks of all but idle and waiting (the fourth and fifth figure), guests being part of user.
fn parse_busy(stat: &str) -> Option<u64> {
    let figures = stat.lines().next()?.strip_prefix("cpu ")?;
    let figures: Vec<u64> =
        figures.split_ascii_whitespace().filter_map(|figure| figure.parse().ok()).collect();
    let busy = [0, 1, 2, 5, 6].iter().map(|index| figures.get(*index).copied().unwrap_or(0)).sum::<u64>();
    Some(busy * TICK_NS)
}

/// Datagrams dropped at the sockets bound to `ports`, from /proc/net/udp.
pub(crate) fn port_drops(ports: &[u16]) -> io::Result<u64> {
    let table = fs::read_to_string("/proc/net/udp")?;
    Ok(table
        .lines()
        .skip(1)
        .filter_map(parse_udp_line)
        .filter(|(port, _)| ports.contains(port))
        .map(|(_, drops)| drops)
        .sum())
}

/// Local port and drop counter of one line of /proc/net/udp.
fn parse_udp_line(line: &str) -> Option<(u16, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let port = u16::from_str_radix(local.split(':').nth(1)?, 16).ok()?;
    let drops = fields.last()?.parse().ok()?;
    Some((port, drops))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_differences_by_thread_name() {
        let times = |entries: &[(u64, &str, u64)]| {
            ThreadTimes(entries.iter().map(|(id, name, ns)| (*id, ((*name).to_owned(), *ns))).collect())
        };
        let before = times(&[(1, "shard", 100), (2, "shard", 10)]);
        let after = times(&[(1, "shard", 150), (2, "shard", 30), (3, "late", 5)]);
        let used = after.since(&before);
        assert_eq!(used.by_name.get("shard"), Some(&70));
        assert_eq!(used.by_name.get("late"), Some(&5));
        assert_eq!(used.total_ns(), 75);
    }

    #[test]
    fn proc_lines_parse() {
        assert_eq!(parse_schedstat("123456 78 9\n"), Some(123_456));
        assert_eq!(parse_status("Name:\tx\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12_288));
        let line = "  712: 0100007F:9C40 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 16341 2 0000000000000000 42";
        assert_eq!(parse_udp_line(line), Some((40_000, 42)));
        assert_eq!(parse_udp_line("garbage"), None);
        assert_eq!(parse_busy("cpu  1 2 3 400 50 6 7 8 9 10\ncpu0 1\n"), Some(19 * TICK_NS));
    }

    #[test]
    fn this_process_can_be_read() {
        let pid = std::process::id();
        assert!(ThreadTimes::read(pid).unwrap().since(&ThreadTimes::default()).total_ns() > 0);
        assert!(resident_bytes(pid).unwrap() > 0);
        assert!(peak_resident_bytes(pid).unwrap() >= resident_bytes(pid).unwrap() / 2);
    }
}
