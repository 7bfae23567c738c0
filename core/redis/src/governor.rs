//! What we cost a node, by its own word, and what may be sent within the budget.
//!
//! A budget in microseconds of the node's main thread fills with time and is spent by every command. A command is paid by
//! an estimate (the table in `command`, times what the node was slower or faster so far) and settled by the node's own
//! `commandstats`: the mean time of a call since the last reading, times the calls that were ours.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::command::{Priority, ReadCommand};
use crate::error::CommandError;
use crate::info::Info;

/// Share of the main thread, where no receiver says otherwise.
const SHARE: f64 = 0.002;
/// The longest that one command may hold the node, where no receiver says otherwise, in microseconds.
const LONGEST: f64 = 1000.0;
/// What the budget holds when it is full: what is saved in this time, where no receiver has a longer interval. And how
/// often `commandstats` are read.
const INTERVAL: Duration = Duration::from_secs(10);
/// How far a node's speed may lie from the table's before we rather doubt the measurement.
const FACTOR: (f64, f64) = (0.1, 8.0);
/// How much one reading moves the factor.
const WEIGHT: f64 = 0.3;
/// Calls whose mean says something.
const MANY: u64 = 20;
/// How much of a factor one reading without a measurement forgets.
const FORGET: f64 = 0.05;

/// Fields of INFO that are 1 while the node loads its data, or a child of it copies them: each page that is written then is
/// a page more, and each millisecond is missed more than usual.
const BUSY: [&str; 5] = [
    "loading",
    "rdb_bgsave_in_progress",
    "aof_rewrite_in_progress",
    "module_fork_in_progress",
    "slot_migration_fork_in_progress",
];

/// What one receiver allows. Where several watch a node the largest of each holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Share of the node's main thread, 0.002 for 0.2 %; infinite for no limit.
    pub max_server_time: f64,
    /// The longest that one command may hold the node.
    pub max_command_time: Duration,
    /// Time from one round to the next.
    pub interval: Duration,
}

/// What was spent since the connection was made first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Time of the node's main thread, in microseconds, by its `commandstats`.
    pub server_time: f64,
    /// Commands sent, by name.
    pub commands: BTreeMap<&'static str, u64>,
    /// Commands not sent because the budget was spent or the command would take too long, by name.
    pub shed: BTreeMap<&'static str, u64>,
    /// How much of its budget the last interval took; above 1 the basic set alone was over it.
    pub utilization: f64,
    /// Whether what can wait is waiting: the node loads its data, or a child of it writes them.
    pub rests: bool,
}

pub(crate) struct Governor(Mutex<Books>);

struct Books {
    budget: Budget,
    /// Microseconds that may be spent; below 0 when the basic set was dearer than the budget.
    left: f64,
    filled: Instant,
    /// By command: calls of ours since the last reading, their cost by the table and as it was paid.
    open: HashMap<&'static str, Open>,
    factors: HashMap<&'static str, f64>,
    /// Calls and microseconds at the last reading.
    stats: HashMap<String, (u64, u64)>,
    read: Option<Instant>,
    /// Spent since the last time that somebody looked, and when that was.
    usage: Usage,
    period: (Instant, f64),
}

#[derive(Clone, Copy, Default)]
struct Open {
    calls: u64,
    table: f64,
    paid: f64,
}

impl Default for Governor {
    fn default() -> Self {
        let budget =
            Budget { max_server_time: 0.0, max_command_time: Duration::ZERO, interval: Duration::ZERO };
        let now = Instant::now();
        Governor(Mutex::new(Books {
            budget,
            left: SHARE * micros(INTERVAL),
            filled: now,
            open: HashMap::new(),
            factors: HashMap::new(),
            stats: HashMap::new(),
            read: None,
            usage: Usage::default(),
            period: (now, 0.0),
        }))
    }
}

impl Governor {
    /// A receiver's settings are part of the node's from now on.
    pub(crate) fn allow(&self, budget: Budget) {
        let mut books = self.lock();
        let (old, before) = (books.budget, books.capacity());
        books.budget = Budget {
            max_server_time: old.max_server_time.max(budget.max_server_time),
            max_command_time: old.max_command_time.max(budget.max_command_time),
            interval: old.interval.max(budget.interval),
        };
        books.left += books.capacity() - before;
    }

    /// For each command why it is not sent, if so. Higher priorities have the budget first: the lower ones leave a part
    /// of it untouched.
    pub(crate) fn plan<C: Borrow<ReadCommand>>(&self, commands: &[C]) -> Vec<Option<CommandError>> {
        let mut books = self.lock();
        let now = Instant::now();
        books.fill(now);
        let mut order: Vec<usize> = (0..commands.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(commands[*index].borrow().priority()));
        let (mut left, capacity, longest) = (books.left, books.capacity(), books.longest());
        let mut refused = vec![None; commands.len()];
        for index in order {
            let command: &ReadCommand = commands[index].borrow();
            if books.usage.rests && command.priority() <= Priority::Normal {
                refused[index] = Some(CommandError::resting());
                *books.usage.shed.entry(command.name()).or_default() += 1;
                continue;
            }
            let cost = books.estimate(command);
            let reserve = match command.priority() {
                Priority::Basic => f64::NEG_INFINITY,
                Priority::High => 0.0,
                Priority::Normal => 0.1 * capacity,
                Priority::Low => 0.3 * capacity,
            };
            // Small calls tell little about large ones: what is long by the table is long.
            let most = cost.max(f64::from(command.cost()));
            if most > longest && can_be_long(command) {
                refused[index] = Some(CommandError::too_long(most, longest));
            } else if left - cost < reserve {
                refused[index] = Some(CommandError::shed());
            } else {
                left -= cost;
                continue;
            }
            *books.usage.shed.entry(command.name()).or_default() += 1;
        }
        refused
    }

    /// What a command may cost, in microseconds, for cutting chunks: rather too much than too little.
    pub(crate) fn estimate(&self, command: &ReadCommand) -> u32 {
        (self.lock().estimate(command) as u32).max(command.cost() / 2)
    }

    /// Whether a command takes no more than half of the time that one may.
    pub(crate) fn is_short(&self, command: &ReadCommand) -> bool {
        let books = self.lock();
        books.estimate(command).max(f64::from(command.cost())) <= books.longest() / 2.0
    }

    /// Whether nobody has read `commandstats` for so long that it must be asked for.
    pub(crate) fn wants_stats(&self) -> bool {
        let books = self.lock();
        books.read.is_none_or(|read| read.elapsed() >= INTERVAL)
    }

    /// A command was answered; `stats` is INFO's text when it was one that may hold `commandstats`.
    pub(crate) fn answered(&self, command: &ReadCommand, stats: Option<&str>) {
        let mut books = self.lock();
        if let Some(text) = stats {
            books.settle(&Info::parse(text));
        }
        let paid = books.estimate(command);
        books.left -= paid;
        let open = books.open.entry(command.name()).or_default();
        (open.calls, open.table, open.paid) =
            (open.calls + 1, open.table + f64::from(command.cost()), open.paid + paid);
        *books.usage.commands.entry(command.name()).or_default() += 1;
    }

    /// What was spent so far.
    pub(crate) fn usage(&self) -> Usage {
        let mut books = self.lock();
        let now = Instant::now();
        let (since, spent) = books.period;
        let elapsed = micros(now.saturating_duration_since(since));
        if elapsed >= micros(books.interval()) / 2.0 {
            books.usage.utilization = (books.usage.server_time - spent) / (elapsed * books.share());
            books.period = (now, books.usage.server_time);
        }
        books.usage.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn share(&self) -> f64 {
        if self.budget.max_server_time > 0.0 { self.budget.max_server_time } else { SHARE }
    }

    fn longest(&self) -> f64 {
        if self.budget.max_command_time.is_zero() { LONGEST } else { micros(self.budget.max_command_time) }
    }

    fn interval(&self) -> Duration {
        if self.budget.interval.is_zero() { INTERVAL } else { self.budget.interval }
    }

    fn capacity(&self) -> f64 {
        self.share() * micros(self.interval().max(INTERVAL))
    }

    fn fill(&mut self, now: Instant) {
        let capacity = self.capacity();
        let gained = micros(now.saturating_duration_since(self.filled)) * self.share();
        // What the basic set was over is remembered for one interval, not for ever.
        self.left = (self.left + gained).clamp(-capacity, capacity);
        self.filled = now;
    }

    fn estimate(&self, command: &ReadCommand) -> f64 {
        f64::from(command.cost()) * self.factors.get(command.name()).copied().unwrap_or(1.0)
    }

    /// Takes the node's word for what was open. A node that does not tell is believed to be as the table says.
    fn settle(&mut self, info: &Info<'_>) {
        let first = self.read.is_none();
        self.read = Some(Instant::now());
        if info.field("loading").is_some() {
            self.usage.rests = BUSY.iter().any(|field| info.int(field) == Some(1));
        }
        // What is not sent any more, because it seemed too slow, is believed to be as the table says again in time.
        for (name, factor) in &mut self.factors {
            if !self.open.contains_key(name) {
                *factor += FORGET * (1.0 - *factor);
            }
        }
        let mut stats = HashMap::new();
        for (name, line) in info.with_prefix("cmdstat_") {
            let number = |member| line.member(member).and_then(|text| text.parse::<u64>().ok());
            if let (Some(calls), Some(usec)) = (number("calls"), number("usec")) {
                stats.insert(name.to_owned(), (calls, usec));
            }
        }
        for (name, open) in std::mem::take(&mut self.open) {
            // Before 7.0 subcommands are counted with their command.
            let short = name.split('|').next().unwrap_or(name);
            let is_lumped = !stats.contains_key(name) && name != short;
            let at =
                |stats: &HashMap<String, (u64, u64)>| stats.get(name).or_else(|| stats.get(short)).copied();
            let (before, now) = (at(&self.stats).unwrap_or_default(), at(&stats));
            let delta = now.and_then(|(calls, usec)| {
                let calls = calls.checked_sub(before.0).filter(|calls| *calls >= open.calls)?;
                Some(usec.checked_sub(before.1)? as f64 / calls as f64)
            });
            let spent = match delta {
                // Of the time before the first reading the node remembers other people's calls too.
                Some(per_call) if !first => {
                    let spent = per_call * open.calls as f64;
                    if !is_lumped {
                        let measured = (spent / open.table.max(1.0)).clamp(FACTOR.0, FACTOR.1);
                        // The first measurement of many calls is better than the table.
                        let start = if open.calls >= MANY { measured } else { 1.0 };
                        let factor = self.factors.entry(name).or_insert(start);
                        *factor += WEIGHT * (measured - *factor);
                    }
                    spent
                }
                _ => open.paid,
            };
            self.left += open.paid - spent;
            self.usage.server_time += spent;
        }
        self.stats = stats;
    }
}

/// Who is where and INFO are asked whatever they cost: their size is the deployment's.
fn can_be_long(command: &ReadCommand) -> bool {
    !["info", "ping", "cluster|", "sentinel|"].iter().any(|name| command.name().starts_with(name))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests;
