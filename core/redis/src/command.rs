//! The allowlist: a command that has no constructor here cannot be sent by a monitor.

use redis::Cmd;

use crate::id::StreamId;

/// The most entries of a pending list, or keys of a SCAN page, that one command may ask for: about half a millisecond.
const PAGE: u32 = 500;

/// A command that only reads, in a shape whose cost is known.
#[derive(Clone)]
pub struct ReadCommand {
    cmd: Cmd,
    /// What it costs the server, in microseconds, roughly: chunks of a pipeline are cut by it.
    cost: u32,
}

impl ReadCommand {
    fn new(words: &[&[u8]], cost: u32) -> Self {
        let mut cmd = Cmd::new();
        words.iter().for_each(|word| {
            cmd.arg(*word);
        });
        ReadCommand { cmd, cost }
    }

    /// `PING`
    pub fn ping() -> Self {
        Self::new(&[b"PING"], 1)
    }

    /// `INFO everything`: all sections. 60 us, 5 to 10 KB.
    pub fn info_everything() -> Self {
        Self::new(&[b"INFO", b"everything"], 60)
    }

    /// `INFO server`: version, run id and clock.
    pub fn info_server() -> Self {
        Self::new(&[b"INFO", b"server"], 10)
    }

    /// `CLUSTER INFO`
    pub fn cluster_info() -> Self {
        Self::new(&[b"CLUSTER", b"INFO"], 10)
    }

    /// `TYPE key`
    pub fn key_type(key: &[u8]) -> Self {
        Self::new(&[b"TYPE", key], 2)
    }

    /// `SCAN cursor MATCH pattern COUNT n TYPE stream`: one page; `n` is at most 500.
    pub fn scan_streams(cursor: u64, pattern: &[u8], n: u32) -> Self {
        let (cursor, n) = (cursor.to_string(), n.clamp(1, PAGE));
        let count = n.to_string();
        let words: [&[u8]; 8] =
            [b"SCAN", cursor.as_bytes(), b"MATCH", pattern, b"COUNT", count.as_bytes(), b"TYPE", b"stream"];
        Self::new(&words, n)
    }

    /// `XLEN key`
    pub fn xlen(key: &[u8]) -> Self {
        Self::new(&[b"XLEN", key], 3)
    }

    /// `XINFO STREAM key`, never with FULL. The reply holds the first and the last entry with their payload.
    pub fn xinfo_stream(key: &[u8]) -> Self {
        Self::new(&[b"XINFO", b"STREAM", key], 10)
    }

    /// `XINFO GROUPS key`, for a stream with about so many groups.
    pub fn xinfo_groups(key: &[u8], groups: u64) -> Self {
        Self::new(&[b"XINFO", b"GROUPS", key], 5 + cost_of(groups))
    }

    /// `XINFO CONSUMERS key group`, for a group with about so many consumers: 1 us each.
    pub fn xinfo_consumers(key: &[u8], group: &[u8], consumers: u64) -> Self {
        Self::new(&[b"XINFO", b"CONSUMERS", key, group], 5 + cost_of(consumers))
    }

    /// `XPENDING key group`: the summary, for a group with about so many consumers.
    pub fn xpending(key: &[u8], group: &[u8], consumers: u64) -> Self {
        Self::new(&[b"XPENDING", key, group], 5 + cost_of(consumers))
    }

    /// `XPENDING key group - + n`: the `n` oldest (at most 500). Never with IDLE, which scans the whole list.
    pub fn xpending_oldest(key: &[u8], group: &[u8], n: u32) -> Self {
        let n = n.clamp(1, PAGE);
        Self::new(&[b"XPENDING", key, group, b"-", b"+", n.to_string().as_bytes()], 15 + n)
    }

    /// `XRANGE key (id + COUNT 1`: the entry behind an id, with its payload.
    pub fn xrange_next(key: &[u8], after: StreamId) -> Self {
        Self::new(&[b"XRANGE", key, format!("({after}").as_bytes(), b"+", b"COUNT", b"1"], 15)
    }

    /// `SELECT db`
    pub(crate) fn select(db: u32) -> Self {
        Self::new(&[b"SELECT", db.to_string().as_bytes()], 1)
    }

    /// `CLIENT SETNAME name`
    pub(crate) fn set_name(name: &str) -> Self {
        Self::new(&[b"CLIENT", b"SETNAME", name.as_bytes()], 1)
    }

    /// `CLIENT SETINFO LIB-NAME|LIB-VER text`, since 7.2.
    pub(crate) fn set_info(what: &str, text: &str) -> Self {
        Self::new(&[b"CLIENT", b"SETINFO", what.as_bytes(), text.as_bytes()], 1)
    }

    /// `CLIENT NO-TOUCH on`: what is read here does not look used. Since 7.2.
    pub(crate) fn no_touch() -> Self {
        Self::new(&[b"CLIENT", b"NO-TOUCH", b"on"], 1)
    }

    pub(crate) fn cost(&self) -> u32 {
        self.cost
    }

    pub(crate) fn cmd(&self) -> &Cmd {
        &self.cmd
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
    u32::try_from(items).unwrap_or(u32::MAX - 5)
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
            ReadCommand::info_server(),
            ReadCommand::cluster_info(),
            ReadCommand::key_type(key),
            ReadCommand::scan_streams(7, b"*", 100_000),
            ReadCommand::xlen(key),
            ReadCommand::xinfo_stream(key),
            ReadCommand::xinfo_groups(key, 3),
            ReadCommand::xinfo_consumers(key, b"FULL", 3),
            ReadCommand::xpending(key, b"g", 3),
            ReadCommand::xpending_oldest(key, b"IDLE", 100_000),
            ReadCommand::xrange_next(key, StreamId::ZERO),
            ReadCommand::select(1),
            ReadCommand::set_name("n"),
            ReadCommand::set_info("LIB-NAME", "n"),
            ReadCommand::no_touch(),
        ];
        let shown: Vec<_> = all.iter().map(|command| format!("{command:?}")).collect();
        assert_eq!(
            shown,
            [
                "PING",
                "INFO everything",
                "INFO server",
                "CLUSTER INFO",
                "TYPE DEL",
                "SCAN 7 MATCH * COUNT 500 TYPE stream",
                "XLEN DEL",
                "XINFO STREAM DEL",
                "XINFO GROUPS DEL",
                "XINFO CONSUMERS DEL FULL",
                "XPENDING DEL g",
                "XPENDING DEL IDLE - + 500",
                "XRANGE DEL (0-0 + COUNT 1",
                "SELECT 1",
                "CLIENT SETNAME n",
                "CLIENT SETINFO LIB-NAME n",
                "CLIENT NO-TOUCH on",
            ]
        );
    }
}
