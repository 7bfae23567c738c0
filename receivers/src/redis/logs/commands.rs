//! The slow log, and Valkey's logs of large requests and replies.

use streamgauge_component::{Host, InstrumentKind};
use streamgauge_redis::{CommandLog, LOG_PAGE, LoggedCommand, ReadCommand, logged_commands};

use tokio::time::Instant;

use super::book::{Cursor, Fresh};
use super::config::LogsConfig;
use super::mask::{Masked, hash};
use super::node::Visit;
use super::record::{Record, Severity};
use crate::redis::detail::ask;
use crate::scrape::redis::Server;

/// Entries that may come between looking for the newest one and reading.
const SLACK: u64 = 16;

/// One of a server's logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Log {
    Slow,
    Large(CommandLog),
}

impl Log {
    pub(super) const ALL: [Log; 3] =
        [Log::Slow, Log::Large(CommandLog::LargeRequest), Log::Large(CommandLog::LargeReply)];

    /// What it is called, here and in the server's commands.
    pub(super) fn name(self) -> &'static str {
        match self {
            Log::Slow => "slow",
            Log::Large(log) => log.as_str(),
        }
    }

    fn get(self, n: u64) -> ReadCommand {
        match self {
            Log::Slow => ReadCommand::slowlog_get(n),
            Log::Large(log) => ReadCommand::commandlog_get(n, log),
        }
    }

    fn event(self) -> &'static str {
        match self {
            Log::Slow => "redis.slowlog.entry",
            Log::Large(CommandLog::LargeRequest) => "redis.commandlog.large_request",
            Log::Large(CommandLog::LargeReply) => "redis.commandlog.large_reply",
        }
    }
}

/// The newest entries of the slow log.
pub(super) async fn newest(server: &Server, n: u64, deadline: Instant) -> Vec<LoggedCommand> {
    let answer = ask(server, ReadCommand::slowlog_get(n), deadline).await;
    answer.as_ref().map(logged_commands).unwrap_or_default()
}

/// What is new in a log; `None` when the server does not say. Without a cursor all of it is, or with `from_now` nothing
/// that is there yet.
pub(super) async fn unread(
    visit: &Visit<'_>,
    log: Log,
    cursor: Option<Cursor>,
    from_now: bool,
) -> Option<Fresh> {
    let page = async |n| {
        let answer = ask(visit.server, log.get(n), visit.deadline).await?;
        Some(logged_commands(&answer))
    };
    let newest = page(1).await?;
    if cursor.is_none() && from_now {
        return Some(Fresh { entries: Vec::new(), lost: 0, cursor: Cursor::behind(newest.first()) });
    }
    let cursor = cursor.unwrap_or_default();
    let mut found = newest;
    let mut asked_for = 1;
    loop {
        // Where nothing is known all is wanted. Others come while we ask: a page can fall short of what it was to reach.
        let behind = found.first().map_or(0, |newest| cursor.missing(newest.id).unwrap_or(LOG_PAGE));
        let is_all = (found.len() as u64) < asked_for || asked_for >= LOG_PAGE;
        if is_all || behind <= asked_for {
            return Some(cursor.read(found));
        }
        asked_for = behind.saturating_add(SLACK).min(LOG_PAGE);
        found = page(asked_for).await?;
    }
}

/// An entry as a record.
pub(super) fn record(log: Log, entry: &LoggedCommand, run_id: &str, config: &LogsConfig) -> Record {
    let masked = Masked::of(entry, config);
    let amount = match log {
        Log::Slow => format!("took {} ms", entry.amount as f64 / 1e3),
        Log::Large(CommandLog::LargeRequest) => format!("was a request of {} bytes", entry.amount),
        Log::Large(CommandLog::LargeReply) => format!("had a reply of {} bytes", entry.amount),
    };
    let record = Record::new(log.event(), Severity::Warn, format!("{} {amount}", masked.text))
        .at(entry.time)
        .text("db.system.name", "redis")
        .text("db.operation.name", masked.name)
        .text("db.query.text", masked.text)
        .text("redis.command.fingerprint", hash(masked.shape.as_bytes()))
        .text("db.query.summary", masked.shape)
        .int("redis.command.arguments", masked.arguments)
        .text("redis.log.name", log.name())
        .int("redis.log.entry.id", entry.id)
        .text("redis.run_id", run_id)
        .client(&entry.client)
        .text("redis.client.name", entry.client_name.as_str());
    match log {
        Log::Slow => record.double("redis.command.duration", entry.amount as f64 / 1e6),
        Log::Large(_) => record.int("redis.command.size", entry.amount),
    }
}

/// Counts entries that nobody will see.
pub(super) fn count_lost(log: Log, count: u64, host: &Host) {
    let counter = host.instrument(
        InstrumentKind::Counter,
        "streamgauge.redis.log_entries.lost",
        "{entry}",
        "Entries of the servers' logs of commands that were gone before they were read.",
        vec![("log", log.name().to_owned())],
    );
    counter.value.add(count);
}

/// Tells of entries that nobody will see.
pub(super) fn lost(log: Log, count: u64, run_id: &str) -> Record {
    let body = format!(
        "{count} entries of the {} log are lost: more came between two rounds than the server keeps or one page has",
        log.name()
    );
    Record::new("redis.log.lost", Severity::Error, body)
        .text("redis.log.name", log.name())
        .int("redis.log.lost", count)
        .text("redis.run_id", run_id)
}
