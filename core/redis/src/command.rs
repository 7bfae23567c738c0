//! The allowlist: a command that has no constructor here cannot be sent by a monitor.

mod examine;

use redis::Cmd;

mod detail;
mod events;
mod lease;
mod named;

pub use detail::SAFE_SETTINGS;
pub use events::{CommandLog, LOG_PAGE};
pub use named::Named;

use crate::id::StreamId;

pub use examine::Setting;

/// The most entries of a pending list, or keys of a SCAN page, that one command may ask for: about half a millisecond.
const PAGE: u32 = 500;
/// The most entries with payload that one command may ask for.
const ENTRIES: u32 = 100;

/// What goes first when there is server time for only some commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Nice to know: consumers, one by one.
    Low,
    /// Details of what the basic set tells, and the search for streams.
    Normal,
    /// Without it a number of the basic set cannot be understood.
    High,
    /// The basic set, INFO, XLEN and XINFO GROUPS, and who is where: always sent, and only reported when it alone
    /// costs more than the budget.
    Basic,
}

/// A command that only reads, in a shape whose cost is known.
#[derive(Clone)]
pub struct ReadCommand {
    cmd: Cmd,
    /// The command as the server's `commandstats` spells it, such as `xinfo|stream`.
    name: &'static str,
    priority: Priority,
    /// What it costs the server, in microseconds, roughly: chunks of a pipeline are cut by it.
    cost: u32,
    /// Whether ASKING goes before it.
    asking: bool,
}

impl ReadCommand {
    fn new(name: &'static str, arguments: &[&[u8]], cost: u32) -> Self {
        let mut cmd = Cmd::new();
        for word in name.split('|') {
            cmd.arg(word.to_ascii_uppercase());
        }
        arguments.iter().for_each(|word| {
            cmd.arg(*word);
        });
        ReadCommand { cmd, name, priority: Priority::Basic, cost, asking: false }
    }

    fn of(self, priority: Priority) -> Self {
        ReadCommand { priority, ..self }
    }

    /// The same with another priority.
    pub fn with_priority(self, priority: Priority) -> Self {
        self.of(priority)
    }

    /// The same for a key that the node is about to get: ASKING goes before it.
    pub fn asking(self) -> Self {
        ReadCommand { asking: true, ..self }
    }

    /// `PING`
    pub fn ping() -> Self {
        Self::new("ping", &[], 1)
    }

    /// `INFO everything`: all sections. 60 us, 5 to 10 KB.
    pub fn info_everything() -> Self {
        Self::new("info", &[b"everything"], 60)
    }

    /// `INFO everything debug`: with what the event loop's time went to besides, since 7.2.
    pub fn info_debug() -> Self {
        Self::new("info", &[b"everything", b"debug"], 60)
    }

    /// `INFO all`: the same of a sentinel, which before 7.0 does not know `everything`.
    pub fn info_all() -> Self {
        Self::new("info", &[b"all"], 60)
    }

    /// `INFO server`: version, run id and clock.
    pub fn info_server() -> Self {
        Self::new("info", &[b"server"], 10)
    }

    /// `INFO replication`: role, master and replicas.
    pub fn info_replication() -> Self {
        Self::new("info", &[b"replication"], 10)
    }

    /// `INFO commandstats`: what each command has cost so far; and since 7.0, which takes several sections, `persistence`.
    pub(crate) fn info_commandstats(with_persistence: bool) -> Self {
        let sections: &[&[u8]] =
            if with_persistence { &[b"commandstats", b"persistence"] } else { &[b"commandstats"] };
        Self::new("info", sections, 30)
    }

    /// `CLUSTER SHARDS`: the nodes and their slots, since 7.0, for a cluster of about so many nodes.
    pub(crate) fn cluster_shards(nodes: usize) -> Self {
        Self::new("cluster|shards", &[], 10 + 10 * cost_of(nodes as u64))
    }

    /// `CLUSTER NODES`: the same as text, in every version.
    pub(crate) fn cluster_nodes(nodes: usize) -> Self {
        Self::new("cluster|nodes", &[], 10 + 10 * cost_of(nodes as u64))
    }

    /// `CLUSTER MYID`
    pub(crate) fn cluster_my_id() -> Self {
        Self::new("cluster|myid", &[], 2)
    }

    /// `SENTINEL MYID`, since 6.2.
    pub(crate) fn sentinel_my_id() -> Self {
        Self::new("sentinel|myid", &[], 2)
    }

    /// `SENTINEL MASTERS`
    pub(crate) fn sentinel_masters() -> Self {
        Self::new("sentinel|masters", &[], 50)
    }

    /// `SENTINEL REPLICAS name`
    pub(crate) fn sentinel_replicas(master: &str) -> Self {
        Self::new("sentinel|replicas", &[master.as_bytes()], 50)
    }

    /// `SENTINEL SENTINELS name`
    pub(crate) fn sentinel_sentinels(master: &str) -> Self {
        Self::new("sentinel|sentinels", &[master.as_bytes()], 50)
    }

    /// `ASKING`: the next command may be about a key that the node is about to get.
    pub(crate) fn ask() -> Self {
        Self::new("asking", &[], 1)
    }

    /// `CLUSTER INFO`
    pub fn cluster_info() -> Self {
        Self::new("cluster|info", &[], 10)
    }

    /// `SCAN cursor MATCH pattern COUNT n TYPE stream`: one page; `n` is at most 500.
    pub fn scan_streams(cursor: u64, pattern: &[u8], n: u32) -> Self {
        let (cursor, n) = (cursor.to_string(), n.clamp(1, PAGE));
        let count = n.to_string();
        let words: [&[u8]; 7] =
            [cursor.as_bytes(), b"MATCH", pattern, b"COUNT", count.as_bytes(), b"TYPE", b"stream"];
        Self::new("scan", &words, n).of(Priority::Normal)
    }

    /// `XLEN key`
    pub fn xlen(key: &[u8]) -> Self {
        Self::new("xlen", &[key], 1)
    }

    /// `XINFO STREAM key`, never with FULL. The reply holds the first and the last entry with their payload.
    pub fn xinfo_stream(key: &[u8]) -> Self {
        Self::new("xinfo|stream", &[key], 6).of(Priority::Normal)
    }

    /// `XINFO GROUPS key`, for a stream with about so many groups: 0.4 to 0.7 us each.
    pub fn xinfo_groups(key: &[u8], groups: u64) -> Self {
        Self::new("xinfo|groups", &[key], 3 + cost_of(groups) / 3 * 2)
    }

    /// `XINFO CONSUMERS key group`, for a group with about so many consumers: 1 us each.
    pub fn xinfo_consumers(key: &[u8], group: &[u8], consumers: u64) -> Self {
        Self::new("xinfo|consumers", &[key, group], 3 + cost_of(consumers)).of(Priority::Low)
    }

    /// `XPENDING key group`: the summary, for a group with about so many consumers.
    pub fn xpending(key: &[u8], group: &[u8], consumers: u64) -> Self {
        Self::new("xpending", &[key, group], 5 + cost_of(consumers)).of(Priority::Normal)
    }

    /// `XPENDING key group - + n`: the `n` oldest (at most 500). Never with IDLE, which scans the whole list.
    pub fn xpending_oldest(key: &[u8], group: &[u8], n: u32) -> Self {
        let n = n.clamp(1, PAGE);
        Self::new("xpending", &[key, group, b"-", b"+", n.to_string().as_bytes()], 4 + n).of(Priority::High)
    }

    /// `XPENDING key group (id + n`: the `n` (at most 500) behind an id, or the oldest.
    pub fn xpending_page(key: &[u8], group: &[u8], after: Option<StreamId>, n: u32) -> Self {
        let n = n.clamp(1, PAGE);
        let start = after.map_or("-".to_owned(), |id| format!("({id}"));
        Self::new("xpending", &[key, group, start.as_bytes(), b"+", n.to_string().as_bytes()], 15 + n)
            .of(Priority::Normal)
    }

    /// `XRANGE key (id + COUNT n`: the `n` entries (at most 100) behind an id, with their payload.
    pub fn xrange_page(key: &[u8], after: StreamId, n: u32) -> Self {
        let n = n.clamp(1, ENTRIES);
        let (start, n_text) = (format!("({after}"), n.to_string());
        Self::new("xrange", &[key, start.as_bytes(), b"+", b"COUNT", n_text.as_bytes()], 15 + n)
            .of(Priority::Normal)
    }

    /// `XRANGE key (id + COUNT 1`: the entry behind an id, with its payload.
    pub fn xrange_next(key: &[u8], after: StreamId) -> Self {
        Self::new("xrange", &[key, format!("({after}").as_bytes(), b"+", b"COUNT", b"1"], 15)
            .of(Priority::Normal)
    }

    /// `SELECT db`
    pub(crate) fn select(db: u32) -> Self {
        Self::new("select", &[db.to_string().as_bytes()], 1)
    }

    /// `CLIENT SETNAME name`
    pub(crate) fn set_name(name: &str) -> Self {
        Self::new("client|setname", &[name.as_bytes()], 1)
    }

    /// `CLIENT SETINFO LIB-NAME|LIB-VER text`, since 7.2.
    pub(crate) fn set_info(what: &str, text: &str) -> Self {
        Self::new("client|setinfo", &[what.as_bytes(), text.as_bytes()], 1)
    }

    /// `CLIENT NO-TOUCH on`: what is read here does not look used. Since 7.2.
    pub(crate) fn no_touch() -> Self {
        Self::new("client|no-touch", &[b"on"], 1)
    }

    /// What it costs by the table of reference, microseconds.
    pub(crate) fn cost(&self) -> u32 {
        self.cost
    }

    /// Its name in `commandstats`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether its answer holds `commandstats`.
    pub(crate) fn tells_stats(&self) -> bool {
        let tells = |section: &[u8]| [&b"everything"[..], b"all", b"commandstats"].contains(&section);
        self.name == "info"
            && self.cmd.args_iter().any(|arg| matches!(arg, redis::Arg::Simple(section) if tells(section)))
    }

    pub(crate) fn is_ping(&self) -> bool {
        self.name == "ping"
    }

    pub(crate) fn priority(&self) -> Priority {
        self.priority
    }

    pub(crate) fn is_asking(&self) -> bool {
        self.asking
    }

    /// The words on the wire.
    pub(crate) fn wire(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.cmd.args_iter().map(|arg| match arg {
            redis::Arg::Simple(bytes) => bytes,
            _ => b"",
        })
    }

    /// The command's words, for logs.
    fn words(&self) -> Vec<String> {
        self.cmd
            .args_iter()
            .map(|arg| match arg {
                redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => String::new(),
            })
            .collect()
    }
}

fn cost_of(items: u64) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX).min(1 << 24)
}

impl std::fmt::Debug for ReadCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_one_that_a_monitor_may_send() {
        let key: &[u8] = b"DEL";
        let all = [
            ReadCommand::ping(),
            ReadCommand::info_everything(),
            ReadCommand::info_debug(),
            ReadCommand::info_all(),
            ReadCommand::info_server(),
            ReadCommand::cluster_info(),
            ReadCommand::scan_streams(7, b"*", 100_000),
            ReadCommand::xlen(key),
            ReadCommand::xinfo_stream(key),
            ReadCommand::xinfo_groups(key, 3),
            ReadCommand::xinfo_consumers(key, b"FULL", 3),
            ReadCommand::xpending(key, b"g", 3),
            ReadCommand::xpending_oldest(key, b"IDLE", 100_000),
            ReadCommand::xrange_next(key, StreamId::ZERO),
            ReadCommand::xpending_page(key, b"g", None, 0),
            ReadCommand::xpending_page(key, b"g", Some(StreamId { ms: 5, seq: 1 }), 100_000),
            ReadCommand::xrange_page(key, StreamId::ZERO, 100_000),
            ReadCommand::select(1),
            ReadCommand::set_name("n"),
            ReadCommand::set_info("LIB-NAME", "n"),
            ReadCommand::no_touch(),
            ReadCommand::info_replication(),
            ReadCommand::info_commandstats(false),
            ReadCommand::info_commandstats(true),
            ReadCommand::cluster_shards(6),
            ReadCommand::cluster_nodes(6),
            ReadCommand::cluster_my_id(),
            ReadCommand::sentinel_my_id(),
            ReadCommand::sentinel_masters(),
            ReadCommand::sentinel_replicas("RESET"),
            ReadCommand::sentinel_sentinels("RESET"),
            ReadCommand::ask(),
        ];
        let shown: Vec<_> = all.iter().map(|command| format!("{command:?}")).collect();
        assert_eq!(
            shown,
            [
                "PING",
                "INFO everything",
                "INFO everything debug",
                "INFO all",
                "INFO server",
                "CLUSTER INFO",
                "SCAN 7 MATCH * COUNT 500 TYPE stream",
                "XLEN DEL",
                "XINFO STREAM DEL",
                "XINFO GROUPS DEL",
                "XINFO CONSUMERS DEL FULL",
                "XPENDING DEL g",
                "XPENDING DEL IDLE - + 500",
                "XRANGE DEL (0-0 + COUNT 1",
                "XPENDING DEL g - + 1",
                "XPENDING DEL g (5-1 + 500",
                "XRANGE DEL (0-0 + COUNT 100",
                "SELECT 1",
                "CLIENT SETNAME n",
                "CLIENT SETINFO LIB-NAME n",
                "CLIENT NO-TOUCH on",
                "INFO replication",
                "INFO commandstats",
                "INFO commandstats persistence",
                "CLUSTER SHARDS",
                "CLUSTER NODES",
                "CLUSTER MYID",
                "SENTINEL MYID",
                "SENTINEL MASTERS",
                "SENTINEL REPLICAS RESET",
                "SENTINEL SENTINELS RESET",
                "ASKING",
            ]
        );
    }
}
