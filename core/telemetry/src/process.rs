//! What the operating system says about this process.

use std::sync::OnceLock;
use std::time::Instant;

/// Ticks a second in `/proc/self/stat`: the kernel's USER_HZ, 100 on every architecture Linux runs on today.
const TICKS_A_SECOND: f64 = 100.0;

/// One look at the process; what the system does not tell is absent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Process {
    /// Seconds since the first look, which is taken at the start.
    pub uptime_seconds: f64,
    /// CPU seconds, user and system, since the process began.
    pub cpu_seconds: Option<f64>,
    /// Resident memory in bytes.
    pub rss_bytes: Option<u64>,
}

impl Process {
    pub fn look() -> Self {
        static START: OnceLock<Instant> = OnceLock::new();
        let stat = std::fs::read_to_string("/proc/self/stat").ok();
        let status = std::fs::read_to_string("/proc/self/status").ok();
        Self {
            uptime_seconds: START.get_or_init(Instant::now).elapsed().as_secs_f64(),
            cpu_seconds: stat.as_deref().and_then(cpu_seconds),
            rss_bytes: status.as_deref().and_then(rss_bytes),
        }
    }
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name in parentheses and may hold anything, spaces and parentheses too.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_A_SECOND)
}

fn rss_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::{Process, cpu_seconds, rss_bytes};

    #[test]
    fn cpu_time_is_read_past_any_program_name() {
        let stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 3 0 1 2";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("12 (x) S"), None);
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(rss_bytes("Name:\tx\nVmRSS:\t   2048 kB\n"), Some(2_097_152));
        assert_eq!(rss_bytes("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(Process::look().rss_bytes.is_some_and(|bytes| bytes > 100_000));
    }
}
