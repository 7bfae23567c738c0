//! One bound for the memory that data in flight may hold.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::counters::{Instrument, InstrumentKind, Registry};
use crate::system_memory::SystemMemory;

/// What is taken where nothing limits the process: 512 MiB.
const WITHOUT_A_LIMIT: u64 = 512 << 20;

/// The bytes of data in flight, of the whole process. A body is charged as it is read and given back when its last
/// slice is dropped: whatever queues, splits and clones it cannot miscount it.
#[derive(Debug)]
pub struct Budget {
    /// Without bounds.
    default: AtomicU64,
    limit: AtomicU64,
    soft: AtomicU64,
    bounds: Mutex<Bounds>,
    system: SystemMemory,
    /// Shown as a gauge, so that what is read is what is decided by.
    charged: Arc<Instrument>,
    shown_limit: Arc<Instrument>,
}

impl Budget {
    /// A budget of this many bytes, shown by `streamgauge.memory.{charged,limit}` of the registry.
    pub fn new(limit: u64, registry: &Registry) -> Arc<Self> {
        let gauge = |name, help| registry.instrument(InstrumentKind::Gauge, name, "By", help, Vec::new());
        let budget = Budget {
            default: AtomicU64::new(limit),
            limit: AtomicU64::new(limit),
            soft: AtomicU64::new(limit),
            bounds: Mutex::default(),
            system: SystemMemory::default(),
            charged: gauge("streamgauge.memory.charged", "Bytes of telemetry in flight."),
            shown_limit: gauge("streamgauge.memory.limit", "Bytes of telemetry that may be in flight."),
        };
        budget.set_limit(limit);
        Arc::new(budget)
    }

    /// Half of the memory that this process's control groups allow, else 512 MiB.
    pub fn of_this_process() -> u64 {
        SystemMemory::default().limit().map_or(WITHOUT_A_LIMIT, |limit| limit / 2)
    }

    /// Another limit for when nothing else bounds it, from now on; what is charged already stays.
    pub fn set_limit(&self, bytes: u64) {
        self.default.store(bytes, Ordering::Relaxed);
        self.settle_limits(&self.bounds());
    }

    /// Bounds it for as long as the result lives. Of several bounds the smallest count.
    pub fn bind(self: &Arc<Self>, bounds: MemoryBounds) -> MemoryBound {
        let mut all = self.bounds();
        all.last_id += 1;
        let id = all.last_id;
        all.active.push((id, bounds));
        self.settle_limits(&all);
        drop(all);
        MemoryBound { budget: self.clone(), id }
    }

    fn bounds(&self) -> std::sync::MutexGuard<'_, Bounds> {
        self.bounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle_limits(&self, bounds: &Bounds) {
        let least = |of: fn(&MemoryBounds) -> u64| bounds.active.iter().map(|(_, b)| of(b)).min();
        let limit = least(|b| b.hard).unwrap_or_else(|| self.default.load(Ordering::Relaxed));
        self.limit.store(limit, Ordering::Relaxed);
        self.soft.store(least(|b| b.soft).unwrap_or(limit), Ordering::Relaxed);
        self.shown_limit.value.set(limit);
    }

    /// Why nothing new should come in now: more than the soft bound is in flight, or a bound is set and the process or
    /// its control group is near its end. What is read of the system is at most a check interval old.
    pub fn pressure(&self) -> Option<Pressure> {
        let (charged, soft) = (self.charged(), self.soft.load(Ordering::Relaxed));
        if charged > soft {
            return Some(Pressure::InFlight { charged, soft });
        }
        // With nothing in flight refusing frees nothing.
        if charged == 0 {
            return None;
        }
        self.bounds().resident(&self.system, Instant::now())
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

/// What `memory_limiter` sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBounds {
    /// Bytes that data in flight, and the process as a whole, never exceed.
    pub hard: u64,
    /// Bytes above which nothing new is taken in.
    pub soft: u64,
    /// How old what is known of the process may be.
    pub check_interval: Duration,
}

/// Takes its bounds away again when it is dropped.
#[derive(Debug)]
pub struct MemoryBound {
    budget: Arc<Budget>,
    id: u64,
}

impl MemoryBound {
    /// The budget that it bounds.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }
}

impl Drop for MemoryBound {
    fn drop(&mut self) {
        let mut all = self.budget.bounds();
        all.active.retain(|(id, _)| *id != self.id);
        self.budget.settle_limits(&all);
    }
}

#[derive(Debug, Default)]
struct Bounds {
    active: Vec<(u64, MemoryBounds)>,
    last_id: u64,
    checked: Option<Instant>,
    found: Option<Pressure>,
}

impl Bounds {
    fn resident(&mut self, system: &SystemMemory, now: Instant) -> Option<Pressure> {
        let interval = self.active.iter().map(|(_, b)| b.check_interval).min()?;
        if self.checked.is_none_or(|at| now.saturating_duration_since(at) >= interval) {
            self.checked = Some(now);
            let hard = self.active.iter().map(|(_, b)| b.hard).min()?;
            let spike = self.active.iter().map(|(_, b)| b.hard - b.soft).max()?;
            let resident = system.resident().filter(|resident| *resident > hard);
            let left = system.left().filter(|left| *left < spike);
            self.found = resident
                .map(|resident| Pressure::Resident { resident, hard })
                .or(left.map(|left| Pressure::ControlGroup { left, spike }));
        }
        self.found
    }
}

/// Why nothing new should come in. Its text names the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// More data than the soft bound is in flight.
    InFlight {
        /// Bytes in flight.
        charged: u64,
        /// The bound.
        soft: u64,
    },
    /// The process is larger than the hard bound.
    Resident {
        /// Its resident set in bytes.
        resident: u64,
        /// The bound.
        hard: u64,
    },
    /// The control group has less left than the spike.
    ControlGroup {
        /// Bytes until the kernel ends processes in it.
        left: u64,
        /// The spike.
        spike: u64,
    },
}

impl Pressure {
    /// What a sender is told to wait.
    pub const DELAY: Duration = Duration::from_secs(1);
}

impl std::fmt::Display for Pressure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        f.write_str("data refused due to high memory usage: ")?;
        match *self {
            Pressure::InFlight { charged, soft } => {
                write!(f, "{:.1} MiB are in flight, the soft limit is {:.1} MiB", mib(charged), mib(soft))
            }
            Pressure::Resident { resident, hard } => {
                write!(f, "the process takes {:.1} MiB, the limit is {:.1} MiB", mib(resident), mib(hard))
            }
            Pressure::ControlGroup { left, spike } => {
                write!(
                    f,
                    "its control group has {:.1} MiB left, less than the spike limit of {:.1} MiB",
                    mib(left),
                    mib(spike)
                )
            }
        }
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
    fn of_several_bounds_the_smallest_count_and_only_while_they_live() {
        let budget = budget(1000);
        let bounds = |hard, soft| MemoryBounds { hard, soft, check_interval: Duration::from_secs(1) };
        let wide = budget.bind(bounds(800, 500));
        let narrow = budget.bind(bounds(600, 550));
        assert_eq!(budget.limit(), 600);
        assert!(budget.take(501));
        assert_eq!(budget.pressure(), Some(Pressure::InFlight { charged: 501, soft: 500 }));
        budget.give_back(501);
        assert_eq!(budget.pressure(), None);
        drop(narrow);
        assert_eq!(budget.limit(), 800);
        drop(wide);
        assert!(budget.take(1000));
        assert_eq!((budget.limit(), budget.pressure()), (1000, None));
    }

    #[test]
    fn a_process_above_the_bound_takes_nothing_more_in_while_data_is_in_flight() {
        let budget = budget(1000);
        let bounds = MemoryBounds { hard: 1000, soft: 900, check_interval: Duration::from_secs(3600) };
        let _bound = budget.bind(bounds);
        assert_eq!(budget.pressure(), None, "nothing is in flight");
        assert!(budget.take(1));
        // Every process is larger than 1000 bytes.
        let Some(Pressure::Resident { resident, hard: 1000 }) = budget.pressure() else {
            panic!("{:?}", budget.pressure())
        };
        assert!(resident > 1 << 20, "{resident}");
        assert_eq!(
            budget.pressure(),
            Some(Pressure::Resident { resident, hard: 1000 }),
            "read once an interval"
        );
    }
}
