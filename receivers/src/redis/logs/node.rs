//! One server's part of a round.

use std::sync::Arc;

use bytes::Bytes;
use streamgauge_component::Host;
use streamgauge_redis::{Identity, Info, ReadCommand, Role, text};
use tokio::time::Instant;

use super::book::{Cursor, NodeBook};
use super::commands::{Asked, Log, lost, record, unread};
use super::config::LogsConfig;
use super::record::{Record, request};
use crate::redis::config::RedisConfig;
use crate::redis::node::role;
use crate::scrape::redis::{Patience, Server};

/// What lasts from round to round and is forgotten at a restart.
pub(super) struct NodeLogs {
    pub(super) server: Server,
    config: Arc<RedisConfig>,
    patience: Patience,
    identity: Option<Identity>,
    role: Option<Role>,
    /// How many slow commands there were, where INFO says so: nothing is asked while that stays.
    slow_commands: Option<(String, i64)>,
}

/// What a round found.
#[derive(Default)]
pub(super) struct Told {
    pub(super) request: Option<(Bytes, usize)>,
    /// The book after it; `None` when nothing has changed.
    pub(super) book: Option<NodeBook>,
    pub(super) problem: Option<String>,
    pub(super) is_suspect: bool,
}

impl NodeLogs {
    pub(super) fn new(config: Arc<RedisConfig>, server: Server) -> Self {
        NodeLogs {
            server,
            config,
            patience: Patience::default(),
            identity: None,
            role: None,
            slow_commands: None,
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
        let before = book.unwrap_or_default();
        let mut book = before.clone();
        let run_id = info.text("run_id").unwrap_or("");
        if book.run_id != run_id {
            self.slow_commands = None;
            // What is known of another process says that this one is new: all its entries are.
            let known = !book.run_id.is_empty();
            book.run_id = run_id.to_owned();
            book.logs.values_mut().filter(|_| known).for_each(|cursor| *cursor = Cursor::BEGINNING);
        }
        let mut records = Vec::new();
        if role != Some(Role::Sentinel) {
            let asked = Asked { server: &self.server, deadline };
            let slow = self.slow_commands(&info);
            let is_quiet = slow.is_some() && slow == self.slow_commands;
            for log in Log::ALL.into_iter().filter(|log| wanted(*log, &self.config.logs, &info)) {
                if log == Log::Slow && is_quiet {
                    continue;
                }
                let from_now = self.config.logs.storage.is_none();
                let cursor = book.logs.get(log.name()).copied();
                let Some(fresh) = unread(&asked, log, cursor, from_now).await else { continue };
                records.extend(lost(log, fresh.lost, run_id, host));
                records
                    .extend(fresh.entries.iter().map(|entry| record(log, entry, run_id, &self.config.logs)));
                book.logs.insert(log.name().to_owned(), fresh.cursor);
                if log == Log::Slow {
                    self.slow_commands = slow.clone();
                }
            }
        }
        Told {
            request: self.request(&records, host),
            book: (book != before).then_some(book),
            problem: None,
            is_suspect,
        }
    }

    /// Redis 8.8 counts slow commands; the run id tells that a restart has not counted as far again.
    fn slow_commands(&self, info: &Info<'_>) -> Option<(String, i64)> {
        Some((info.text("run_id")?.to_owned(), info.int("slowlog_commands_count")?))
    }

    fn request(&self, records: &[Record], host: &Host) -> Option<(Bytes, usize)> {
        let attributes = &self.config.resource_attributes;
        let resource = attributes.of(&self.server.node, self.identity.as_ref(), self.role);
        request(&resource, records, host.clock().now().unix_nanos)
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
