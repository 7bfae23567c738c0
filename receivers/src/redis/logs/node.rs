//! One server's part of a round.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use streamgauge_component::Host;
use streamgauge_redis::{Identity, Info, ReadCommand, Role, text};
use tokio::time::Instant;

use super::acl;
use super::book::{Cursor, NodeBook};
use super::changes::{self, Settings};
use super::commands::{self, Log};
use super::config::LogsConfig;
use super::flight::{Alarm, Flight};
use super::latency;
use super::record::{Record, request};
use crate::redis::config::RedisConfig;
use crate::redis::node::role;
use crate::scrape::redis::{Patience, Server};

/// The longest that INFO is believed when it says that nobody was refused anything, nanoseconds: not every server counts all.
const UNREAD: u64 = 60_000_000_000;

/// What lasts from round to round and is forgotten at a restart.
pub(super) struct NodeLogs {
    pub(super) server: Server,
    config: Arc<RedisConfig>,
    patience: Patience,
    identity: Option<Identity>,
    role: Option<Role>,
    settings: Settings,
    /// How many slow commands there were, where INFO says so: nothing is asked while that stays.
    slow_commands: Option<i64>,
    /// How much was refused, and when that was read.
    refused: Option<(i64, u64)>,
    flight: Option<Flight>,
}

/// A server that has answered.
pub(super) struct Visit<'a> {
    pub(super) server: &'a Server,
    pub(super) deadline: Instant,
    pub(super) info: &'a Info<'a>,
    pub(super) run_id: &'a str,
    /// Nanoseconds since 1970.
    pub(super) now: u64,
}

/// What a round found.
#[derive(Default)]
pub(super) struct Told {
    pub(super) records: Vec<Record>,
    /// Entries that nobody will see.
    pub(super) lost: Vec<(Log, u64)>,
    /// The book after it; `None` when nothing has changed.
    pub(super) book: Option<NodeBook>,
    /// What the server does, by its own word.
    pub(super) role: Option<Role>,
    /// Why the flight recorder is to write.
    pub(super) alarm: Option<Alarm>,
    pub(super) problem: Option<String>,
    pub(super) is_suspect: bool,
}

impl NodeLogs {
    pub(super) fn new(config: Arc<RedisConfig>, server: Server) -> Self {
        let flight = config.logs.flight_recorder.enabled.then(|| Flight::new(config.collection_interval));
        NodeLogs {
            server,
            config,
            patience: Patience::default(),
            identity: None,
            role: None,
            settings: Settings::default(),
            slow_commands: None,
            refused: None,
            flight,
        }
    }

    /// Asks for what has come since `book` was written.
    pub(super) async fn round(&mut self, book: Option<NodeBook>, deadline: Instant, host: &Host) -> Told {
        let deadline = self.patience.until(deadline);
        let answer = self.server.ask(self.info(), deadline).await;
        self.patience.learn(answer.as_ref().err());
        let problem = match answer {
            Ok(Ok(value)) => return self.read(&text(&value), book, deadline, host).await,
            Ok(Err(error)) => format!("INFO is refused: {error}"),
            Err(error) => error.to_string(),
        };
        if let Some(flight) = &mut self.flight {
            flight.unanswered();
        }
        Told { problem: Some(problem), is_suspect: true, ..Told::default() }
    }

    fn info(&self) -> ReadCommand {
        let node = &self.server.node;
        let is_sentinel = node.role == Some(Role::Sentinel)
            || node.monitor.identity().is_some_and(|identity| identity.mode == "sentinel");
        if is_sentinel { ReadCommand::info_all() } else { ReadCommand::info_everything() }
    }

    async fn read(&mut self, text: &str, book: Option<NodeBook>, deadline: Instant, host: &Host) -> Told {
        let info = Info::parse(text);
        let role = role(&info);
        let is_suspect = role.is_some() && role != self.server.node.role;
        self.role = role.or(self.role);
        self.identity = Some(Identity::of(&info));
        let now = host.clock().now().unix_nanos;
        let run_id = info.text("run_id").unwrap_or("");
        let before = book.unwrap_or_default();
        let mut book = before.clone();
        let mut told = Told { role, is_suspect, ..Told::default() };
        if book.run_id != run_id {
            if self.config.logs.changes {
                told.records.extend(changes::restart(&book, run_id, &info, now));
            }
            self.begin_anew(&mut book, run_id);
        }
        if self.config.logs.changes {
            told.records.extend(changes::role(&mut book, role, run_id));
        }
        if role != Some(Role::Sentinel) {
            let server = Server { node: self.server.node.clone(), db: self.server.db };
            let visit = Visit { server: &server, deadline, info: &info, run_id, now };
            let longest = self.data_node(&visit, &mut book, &mut told).await;
            if let Some(flight) = &mut self.flight {
                let is_jump = longest >= self.config.logs.flight_recorder.latency_jump;
                told.alarm = flight.answered(&visit, text, is_jump).await;
            }
        }
        told.book = (book != before).then_some(book);
        told
    }

    /// Of another process all that it has written down is new. Where none was known, nothing says so.
    fn begin_anew(&mut self, book: &mut NodeBook, run_id: &str) {
        (self.slow_commands, self.refused) = (None, None);
        self.settings.forget();
        if !book.run_id.is_empty() {
            book.logs.values_mut().for_each(|cursor| *cursor = Cursor::BEGINNING);
            book.latency.iter_mut().for_each(|spikes| spikes.clear());
            book.denials.iter_mut().for_each(|seen| seen.clear());
        }
        book.run_id = run_id.to_owned();
    }

    /// A server that holds data, and not a sentinel. Gives the longest that a command or a spike has held it.
    async fn data_node(&mut self, visit: &Visit<'_>, book: &mut NodeBook, told: &mut Told) -> Duration {
        let mut longest = Duration::ZERO;
        let config = &self.config.logs;
        let from_now = config.storage.is_none();
        for log in Log::ALL.into_iter().filter(|log| wanted(*log, config, visit.info)) {
            // Redis 8.8 counts them.
            let slow = visit.info.int("slowlog_commands_count").filter(|_| log == Log::Slow);
            if slow.is_some() && slow == self.slow_commands {
                continue;
            }
            let cursor = book.logs.get(log.name()).copied();
            let Some(fresh) = commands::unread(visit, log, cursor, from_now).await else { continue };
            if fresh.lost > 0 {
                told.records.push(commands::lost(log, fresh.lost, visit.run_id));
                told.lost.push((log, fresh.lost));
            }
            told.records
                .extend(fresh.entries.iter().map(|entry| commands::record(log, entry, visit.run_id, config)));
            if log == Log::Slow {
                let slowest = fresh.entries.iter().map(|entry| entry.amount).max();
                longest = longest.max(Duration::from_micros(slowest.unwrap_or(0)));
            }
            book.logs.insert(log.name().to_owned(), fresh.cursor);
            self.slow_commands = slow.or(self.slow_commands);
        }
        if config.latency
            && let Some(latest) = latency::latest(visit.server, visit.deadline).await
        {
            let spikes = latency::fresh(&mut book.latency, latest, from_now);
            let greatest = spikes.iter().map(|spike| spike.last_ms).max();
            longest = longest.max(Duration::from_millis(greatest.unwrap_or(0)));
            told.records.extend(spikes.iter().map(|spike| latency::record(spike, visit.run_id)));
        }
        let refused = acl::refused(visit.info);
        let is_moved = |(before, read)| before != refused || visit.now.saturating_sub(read) >= UNREAD;
        if config.acl
            && self.refused.is_none_or(is_moved)
            && let Some(log) = acl::log(visit).await
        {
            self.refused = Some((refused, visit.now));
            let now = visit.now / 1_000_000;
            let fresh = acl::fresh(&mut book.denials, log, now, from_now);
            let record = |(denial, times): &_| acl::record(denial, *times, visit.run_id, now, config);
            told.records.extend(fresh.iter().map(record));
        }
        if config.changes {
            told.records.extend(self.settings.round(visit, book).await);
        }
        longest
    }

    /// What the flight recorder has of this server, unless it has told of such a thing not long ago.
    pub(super) async fn flight_record(
        &mut self,
        alarm: Alarm,
        deadline: Instant,
        now: u64,
    ) -> Option<Record> {
        let run_id = self.run_id().to_owned();
        let record =
            self.flight.as_mut()?.write(alarm, &self.server, &self.config.logs, (deadline, now)).await?;
        Some(record.text("redis.run_id", run_id))
    }

    /// These records as a request, with this server's resource.
    pub(super) fn request(&self, records: &[Record], host: &Host) -> Option<(Bytes, usize)> {
        let attributes = &self.config.resource_attributes;
        let resource = attributes.of(&self.server.node, self.identity.as_ref(), self.role);
        request(&resource, records, host.clock().now().unix_nanos)
    }

    /// The process that answered last.
    pub(super) fn run_id(&self) -> &str {
        self.identity.as_ref().map_or("", |identity| &identity.run_id)
    }
}

fn wanted(log: Log, config: &LogsConfig, info: &Info<'_>) -> bool {
    match log {
        Log::Slow => config.slowlog,
        Log::Large(_) => config.commandlog && has_commandlog(info),
    }
}

/// Valkey has it since 8.1. Another server would count an error where people look for their own.
fn has_commandlog(info: &Info<'_>) -> bool {
    let mut numbers =
        info.text("valkey_version").unwrap_or("").split('.').map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (8, 1)
}
