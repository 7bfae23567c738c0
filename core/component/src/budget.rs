//! One bound for the memory that data in flight may hold.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::counters::{Instrument, InstrumentKind, Registry};

/// What is taken where nothing limits the process: 512 MiB.
const WITHOUT_A_LIMIT: u64 = 512 << 20;

/// The bytes of data in flight, of the whole process. A body is charged as it is read and given back when its last
/// slice is dropped: whatever queues, splits and clones it cannot miscount it.
#[derive(Debug)]
pub struct Budget {
    limit: AtomicU64,
    /// Shown as a gauge, so that what is read is what is decided by.
    charged: Arc<Instrument>,
    shown_limit: Arc<Instrument>,
}

impl Budget {
    /// A budget of this many bytes, shown by `streamgauge.memory.{charged,limit}` of the registry.
    pub fn new(limit: u64, registry: &Registry) -> Arc<Self> {
        let gauge = |name, help| registry.instrument(InstrumentKind::Gauge, name, "By", help, Vec::new());
        let budget = Budget {
            limit: AtomicU64::new(limit),
            charged: gauge("streamgauge.memory.charged", "Bytes of telemetry in flight."),
            shown_limit: gauge("streamgauge.memory.limit", "Bytes of telemetry that may be in flight."),
        };
        budget.set_limit(limit);
        Arc::new(budget)
    }

    /// Half of the memory that this process's control groups allow, else 512 MiB.
    pub fn of_this_process() -> u64 {
        control_group(Path::new("/")).map_or(WITHOUT_A_LIMIT, |limit| limit / 2)
    }

    /// Another limit, from now on; what is charged already stays.
    pub fn set_limit(&self, bytes: u64) {
        self.limit.store(bytes, Ordering::Relaxed);
        self.shown_limit.value.set(bytes);
    }

    /// Bytes that may be charged.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Bytes that are charged.
    pub fn charged(&self) -> u64 {
        self.charged.value.get()
    }

    /// Takes room for so many bytes; `false` when there is none. Give it back with [`Budget::give_back`].
    #[must_use]
    pub fn take(&self, bytes: u64) -> bool {
        self.charged.value.add_up_to(bytes, self.limit())
    }

    /// Gives back what was taken.
    pub fn give_back(&self, bytes: u64) {
        self.charged.value.sub(bytes);
    }

    /// The same bytes, charged until their last slice is dropped. Without room they come back as they are.
    pub fn charge(self: &Arc<Self>, bytes: Bytes) -> Result<Bytes, Bytes> {
        if !self.take(bytes.len() as u64) {
            return Err(bytes);
        }
        Ok(Bytes::from_owner(Charged { bytes, budget: self.clone() }))
    }
}

struct Charged {
    bytes: Bytes,
    budget: Arc<Budget>,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes.len() as u64);
    }
}

/// The smallest limit of the process's control groups in bytes, version 1 or 2; `None` without one.
fn control_group(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mut found = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // In a container the path may be the host's, and the mount already the group: the mount is looked at in any case.
        for group in Path::new(group.trim_start_matches('/')).ancestors() {
            let text = fs::read_to_string(root.join(mount).join(group).join(file)).unwrap_or_default();
            // `max`, or in version 1 a number near 2^63, means that there is none.
            let limit = text.trim().parse::<u64>().ok().filter(|limit| *limit < 1 << 60);
            found = found.into_iter().chain(limit).min();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(limit: u64) -> Arc<Budget> {
        Budget::new(limit, &Registry::default())
    }

    #[test]
    fn a_body_is_given_back_with_its_last_slice() {
        let budget = budget(100);
        let body = budget.charge(Bytes::from(vec![7; 60])).unwrap();
        let slice = body.slice(10..20);
        assert_eq!(budget.charged(), 60);
        assert_eq!(budget.charge(Bytes::from_static(&[0; 41])).unwrap_err().len(), 41);
        drop(body);
        assert_eq!((budget.charged(), &slice[..]), (60, &[7; 10][..]));
        drop(slice);
        assert_eq!(budget.charged(), 0);
    }

    #[test]
    fn threads_cannot_take_more_than_the_limit_together() {
        let budget = budget(1000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if budget.take(300) {
                            assert!(budget.charged() <= 1000);
                            budget.give_back(300);
                        }
                    }
                });
            }
        });
        assert_eq!(budget.charged(), 0);
        budget.set_limit(10);
        assert!(!budget.take(11) && budget.take(10));
    }

    #[test]
    fn the_gauges_show_what_is_charged_and_allowed() {
        let registry = Registry::default();
        let budget = Budget::new(50, &registry);
        let _held = budget.charge(Bytes::from_static(b"12345"));
        let shown: Vec<_> = registry.instruments().iter().map(|i| (i.name, i.value.get())).collect();
        assert_eq!(shown, [("streamgauge.memory.charged", 5), ("streamgauge.memory.limit", 50)]);
    }

    #[test]
    fn the_smallest_control_group_above_the_process_counts() {
        let limit = |name: &str, groups: &str, files: &[(&str, &str)]| {
            let root = std::env::temp_dir().join(format!("streamgauge-cgroup-{}-{name}", std::process::id()));
            for (file, text) in files.iter().chain([&("proc/self/cgroup", groups)]) {
                let file = root.join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, text).unwrap();
            }
            let found = control_group(&root);
            fs::remove_dir_all(root).unwrap();
            found
        };
        let v2 = [("sys/fs/cgroup/a/b/memory.max", "max\n"), ("sys/fs/cgroup/a/memory.max", "5000\n")];
        assert_eq!(limit("v2", "0::/a/b\n", &v2), Some(5000));
        assert_eq!(limit("root", "0::/\n", &[("sys/fs/cgroup/memory.max", "7000")]), Some(7000));
        let v1 = [("sys/fs/cgroup/memory/memory.limit_in_bytes", "9000")];
        assert_eq!(limit("v1", "5:cpu,cpuacct:/x\n4:memory:/docker/x\n", &v1), Some(9000));
        let none = [("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712")];
        assert_eq!(limit("none", "4:memory:/\n", &none), None);
    }
}
