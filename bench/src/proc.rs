//! What /proc tells about a process.

use std::time::Duration;

/// The kernel's clock ticks in /proc are 1/100 s on every Linux we build for.
const TICK: Duration = Duration::from_millis(10);

/// Resident memory of a process in MiB.
pub fn resident_mib(pid: u32) -> Option<f64> {
    status_mib(pid, "VmRSS:")
}

/// The most memory a process ever had resident, in MiB.
pub fn peak_mib(pid: u32) -> Option<f64> {
    status_mib(pid, "VmHWM:")
}

fn status_mib(pid: u32, field: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix(field))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

/// CPU time of a process so far, user and system, from /proc/PID/stat.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    parse_cpu_time(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// CPU time that the threads alive have had, from their schedstat, which is exact where [`cpu_time`] counts in
/// hundredths of a second. What ended threads had is missing: for differences over a few seconds.
pub fn cpu_time_of_threads(pid: u32) -> Option<Duration> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        // A thread may end while we look.
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).unwrap_or_default();
        nanos += text.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    }
    Some(Duration::from_nanos(nanos))
}

fn parse_cpu_time(stat: &str) -> Option<Duration> {
    // The name in parentheses may hold spaces; utime and stime are the 12th and 13th field after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * (user + system))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_user_plus_system_whatever_the_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 3 0 12345 0 0";
        assert_eq!(parse_cpu_time(stat), Some(Duration::from_secs(2)));
    }

    #[test]
    fn this_process_has_memory_and_a_cpu_time() {
        let pid = std::process::id();
        let resident = resident_mib(pid).unwrap();
        assert!(resident > 0.5);
        assert!(peak_mib(pid).unwrap() >= resident, "the peak was read later");
        assert!(cpu_time(pid).is_some());
        assert!(cpu_time_of_threads(pid).unwrap() > Duration::ZERO);
    }
}
