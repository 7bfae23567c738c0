//! Clients added up by user, name and library: never a series for a client.
//!
//! CLIENT LIST holds the server 6 us a client, so it is read in pages by id. Ids only rise: new clients are looked for
//! above the highest id, the others from there down until as many are known as INFO says, and the known ones are read
//! again in turn. A round spends at most a thousandth of the interval, so with few clients all are read each round, and
//! with many a reading is some rounds old; `redis.client.observed.age` says how old. Until all are found the search goes
//! on between rounds, with what the budget has gained since: a server with thousands of clients is known in seconds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use streamgauge_redis::{ClientLine, Fault, Info, ReadCommand, number, text};
use tokio::time::Instant;

use super::detail::ask;
use super::metrics::index;
use crate::scrape::histogram::Exponential;
use crate::scrape::recorder::{Number, Recorder};
use crate::scrape::redis::Server;

/// The most clients that a page may find, and the most ids that it may name when it cannot find as many.
const PAGE: u64 = 100;
const WIDE: u64 = 3_000;
/// The fewest that a page is for on a slow server.
const LEAST: u64 = 10;
/// The most clients that are remembered.
const MOST: usize = 100_000;
/// The most pages of one round.
const PAGES: usize = 100;

/// User, name and library.
pub(crate) type Group = [String; 3];

/// The clients of one group.
#[derive(Default)]
pub(crate) struct Sum {
    pub(crate) count: u64,
    pub(crate) memory: u64,
    pub(crate) output: u64,
    idle: Exponential,
    age: Exponential,
}

struct Client {
    group: Arc<Group>,
    /// Seconds since 1970.
    born: u64,
    read: u64,
    idle: u64,
    memory: u64,
    output: u64,
}

/// All clients of one node.
pub(crate) struct Clients {
    metrics: [usize; 7],
    /// Server time that a round may take, microseconds.
    budget: u64,
    run_id: String,
    known: BTreeMap<u64, Client>,
    groups: HashSet<Arc<Group>>,
    /// Ids from `low` to `high` have been looked at.
    low: u64,
    high: u64,
    /// Connections that the server had accepted in the last round, and how many of them came since the one before.
    received: u64,
    came: u64,
    /// Clients and replicas that it had.
    connected: u64,
    /// The highest id that is known to be given out.
    issued: u64,
    /// Whether nobody is above `high`.
    is_up_done: bool,
    /// Whether the budget ended the search before all were found.
    is_cut_short: bool,
    /// What a page may find, by how slow the server is.
    width: u64,
    /// The id behind which the next reading of known clients begins.
    cursor: u64,
}

/// Why a page is read.
enum Page {
    /// Ids above all that were looked at; whether the server has given them out for sure.
    Up(RangeInclusive<u64>, bool),
    Down(RangeInclusive<u64>),
    Again(Vec<u64>),
}

impl Clients {
    /// What needs it.
    pub(crate) const METRICS: [&str; 7] = [
        "redis.client.count",
        "redis.client.memory",
        "redis.client.output_buffer",
        "redis.client.idle_time",
        "redis.client.age",
        "redis.client.observed",
        "redis.client.observed.age",
    ];

    pub(crate) fn new(interval: Duration) -> Self {
        let budget = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX) / 1000;
        Clients {
            metrics: Self::METRICS.map(index),
            budget: budget.max(1_000),
            run_id: String::new(),
            known: BTreeMap::new(),
            groups: HashSet::new(),
            low: 0,
            high: 0,
            received: 0,
            came: 0,
            connected: 0,
            issued: 0,
            is_up_done: true,
            is_cut_short: false,
            width: PAGE,
            cursor: 0,
        }
    }

    /// Reads as much as may be, and records what is known.
    pub(crate) async fn round(
        &mut self,
        server: &Server,
        info: &Info<'_>,
        when: (Instant, u64),
        recorder: &mut Recorder,
    ) {
        self.read(server, info, when).await;
        self.record(when.1 / 1_000_000_000, recorder);
    }

    /// Reads as much as may be.
    pub(crate) async fn read(&mut self, server: &Server, info: &Info<'_>, when: (Instant, u64)) {
        let (deadline, now) = (when.0, when.1 / 1_000_000_000);
        let whole = |field: &str| info.int(field).and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
        let connected = whole("connected_clients") + whole("connected_slaves");
        let received = whole("total_connections_received");
        if info.text("run_id") != Some(&self.run_id) {
            self.restart(info.text("run_id").unwrap_or(""));
            let own = ask(server, ReadCommand::client_id(), deadline).await.as_ref().and_then(number);
            let first = own.map_or(received, |id| id as u64).max(1);
            (self.low, self.high, self.received) = (first, first - 1, 0);
        }
        self.came = if received >= self.received { received - self.received } else { received };
        self.issued = if self.received == 0 { received } else { self.high + self.came };
        (self.received, self.connected) = (received, connected);
        self.is_up_done = self.came == 0;
        self.begin_again_where_some_are_missing();
        self.pages(server, (deadline, now), self.known.len()).await;
    }

    /// Whether [`Clients::go_on`] would find more.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.is_cut_short && self.page(0).is_some()
    }

    /// Looks for more of those that the last round did not find.
    pub(crate) async fn go_on(&mut self, server: &Server, (deadline, now): (Instant, u64)) {
        self.pages(server, (deadline, now / 1_000_000_000), 0).await;
    }

    /// Reads pages until all are found and `to_refresh` are read again, or the budget is spent. The time is in seconds.
    async fn pages(&mut self, server: &Server, (deadline, now): (Instant, u64), to_refresh: usize) {
        let (mut spent, mut refreshed) = (0, 0);
        self.is_cut_short = true;
        self.width = PAGE;
        while self.width > LEAST && !server.is_short(&ReadCommand::client_list(1..=self.width, self.width)) {
            self.width /= 2;
        }
        for _ in 0..PAGES {
            let Some(page) = self.page(to_refresh - refreshed) else {
                self.is_cut_short = false;
                break;
            };
            let (ids, there): (Vec<u64>, u64) = match &page {
                Page::Up(ids, _) => (ids.clone().collect(), self.connected.min(self.came.max(self.width))),
                Page::Down(ids) => (ids.clone().collect(), self.missing()),
                Page::Again(ids) => (ids.clone(), ids.len() as u64),
            };
            let count = ids.len() as u64;
            let command = ReadCommand::client_list(ids.iter().copied(), there);
            let answer = match server.ask(command, deadline).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) if error.fault == Fault::Shed => break,
                _ => {
                    self.is_cut_short = false;
                    break;
                }
            };
            let found = self.take(&ids, &text(&answer), now);
            match page {
                Page::Up(ids, is_certain) => {
                    self.is_up_done = found.is_none() && !is_certain;
                    let reached = found.map_or(0, |(_, last)| last).max((*ids.end()).min(self.issued));
                    self.high = self.high.max(reached);
                    self.issued = self.issued.max(self.high);
                }
                Page::Down(ids) => self.low = *ids.start(),
                Page::Again(ids) => {
                    refreshed += ids.len();
                    self.cursor = ids.last().copied().unwrap_or(0);
                }
            }
            spent += 10 + 3 * found.map_or(0, |(found, _)| found) + count / 12;
            if spent >= self.budget {
                break;
            }
        }
        self.groups.retain(|group| Arc::strong_count(group) > 1);
    }

    fn restart(&mut self, run_id: &str) {
        self.run_id = run_id.to_owned();
        self.known.clear();
        (self.cursor, self.low, self.high) = (0, 0, 0);
    }

    /// After all ids were looked at there can be clients still that came while too many others did.
    fn begin_again_where_some_are_missing(&mut self) {
        if self.low <= 1 && self.missing() > 5.max(self.connected / 50) {
            self.low = self.high + 1;
        }
    }

    fn missing(&self) -> u64 {
        self.connected.saturating_sub(self.known.len() as u64)
    }

    fn page(&self, to_refresh: usize) -> Option<Page> {
        let width =
            |most: u64| if most <= self.width { WIDE.min(WIDE / PAGE * self.width) } else { self.width };
        let has_room = self.known.len() < MOST;
        if !self.is_up_done && has_room {
            // The newest first: of very many that came at once most are gone again.
            let first = (self.high + 1).max(self.issued.saturating_sub(PAGE * PAGES as u64 / 2));
            let known = self.width.max(self.issued.saturating_sub(first) + 1);
            let last = first + width(self.connected.min(self.came)).min(known) - 1;
            return Some(Page::Up(first..=last, last < self.issued));
        }
        if self.low > 1 && has_room && self.missing() > 0 {
            let last = self.low - 1;
            let first = last.saturating_sub(width(self.missing()) - 1).max(1);
            return Some(Page::Down(first..=last));
        }
        if to_refresh == 0 {
            return None;
        }
        let behind = self.known.range(self.cursor + 1..).chain(self.known.range(..=self.cursor));
        let ids: Vec<_> = behind.take((self.width as usize).min(to_refresh)).map(|(id, _)| *id).collect();
        (!ids.is_empty()).then_some(Page::Again(ids))
    }

    /// Takes an answer in: those that it lacks are gone. How many it has, and the highest id.
    fn take(&mut self, asked: &[u64], answer: &str, now: u64) -> Option<(u64, u64)> {
        let mut found = BTreeMap::new();
        for line in ClientLine::parse(answer) {
            let group = [line.user, line.name, line.library].map(str::to_owned);
            let group = match self.groups.get(&group) {
                Some(group) => group.clone(),
                None => {
                    let group = Arc::new(group);
                    self.groups.insert(group.clone());
                    group
                }
            };
            let ClientLine { age, idle, memory, output, .. } = line;
            found.insert(
                line.id,
                Client { group, born: now.saturating_sub(age), read: now, idle, memory, output },
            );
        }
        for id in asked.iter().filter(|id| !found.contains_key(id)) {
            self.known.remove(id);
        }
        let result = found.last_key_value().map(|(last, _)| (found.len() as u64, *last));
        self.known.append(&mut found);
        result
    }

    /// What is known of each user, name and library; `now` is in seconds since 1970.
    pub(crate) fn sums(&self, now: u64) -> HashMap<&Group, Sum> {
        let mut sums: HashMap<&Group, Sum> = HashMap::new();
        for client in self.known.values() {
            let sum = sums.entry(client.group.as_ref()).or_default();
            (sum.count, sum.memory, sum.output) =
                (sum.count + 1, sum.memory + client.memory, sum.output + client.output);
            sum.idle.observe(client.idle as f64);
            sum.age.observe(now.saturating_sub(client.born) as f64);
        }
        sums
    }

    fn record(&self, now: u64, recorder: &mut Recorder) {
        let [count, memory, output, idle, age, observed, observed_age] = self.metrics;
        for ([user, name, library], sum) in self.sums(now) {
            let values = [user.as_str(), name.as_str(), library.as_str()];
            recorder.record(count, &values, sum.count);
            recorder.record(memory, &values, sum.memory);
            recorder.record(output, &values, sum.output);
            recorder.histogram(idle, &values, sum.idle);
            recorder.histogram(age, &values, sum.age);
        }
        recorder.record(observed, &[], self.known.len() as u64);
        if let Some(oldest) = self.known.values().map(|client| client.read).min() {
            recorder.record(observed_age, &[], Number::from(now.saturating_sub(oldest)));
        }
    }
}
