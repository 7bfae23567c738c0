//! What became another: the process, the role, a setting.

use std::collections::BTreeMap;

use streamgauge_redis::{Info, ReadCommand, Role, SAFE_SETTINGS, pairs};

use super::book::NodeBook;
use super::mask::hash;
use super::node::Visit;
use super::record::{Record, Severity};

/// How long the settings are believed to be what they were, nanoseconds.
const STANDS: u64 = 60_000_000_000;

/// Another process answers than in the book.
pub(super) fn restart(book: &NodeBook, run_id: &str, info: &Info<'_>, now: u64) -> Option<Record> {
    let uptime = info.int("uptime_in_seconds").and_then(|uptime| u64::try_from(uptime).ok());
    let is_known = !book.run_id.is_empty() && !run_id.is_empty();
    if !is_known || book.run_id == run_id {
        return None;
    }
    let body = format!("the server was restarted {} s ago: another process answers", uptime.unwrap_or(0));
    let record = Record::new("redis.restart", Severity::Warn, body)
        .at(now / 1_000_000_000 - uptime.unwrap_or(0))
        .text("redis.run_id", run_id)
        .text("redis.run_id.before", book.run_id.as_str());
    Some(record)
}

/// The server does something else than in the book.
pub(super) fn role(book: &mut NodeBook, role: Option<Role>, run_id: &str) -> Option<Record> {
    let now = role?.as_str();
    let before = book.role.replace(now.to_owned()).filter(|before| before != now)?;
    let record = Record::new(
        "redis.role.change",
        Severity::Warn,
        format!("the server is a {now} now, it was a {before}"),
    )
    .text("redis.role.from", before)
    .text("redis.role.to", now)
    .text("redis.run_id", run_id);
    Some(record)
}

/// When settings are read: at once, when somebody has changed some, and each minute.
#[derive(Default)]
pub(super) struct Settings {
    read: Option<u64>,
    /// Calls of CONFIG SET so far.
    sets: Option<u64>,
}

impl Settings {
    /// Reads when it is time, and tells what is not as in the book.
    pub(super) async fn round(&mut self, visit: &Visit<'_>, book: &mut NodeBook) -> Vec<Record> {
        let sets = sets(visit);
        let is_old = self.read.is_none_or(|read| visit.now.saturating_sub(read) >= STANDS);
        if !is_old && sets == self.sets {
            return Vec::new();
        }
        let commands: Vec<_> =
            SAFE_SETTINGS.iter().filter_map(|name| ReadCommand::config_get(name)).collect();
        let Ok(answers) = visit.server.call(&commands, visit.deadline).await else { return Vec::new() };
        if answers.iter().all(Result::is_ok) {
            (self.read, self.sets) = (Some(visit.now), sets);
        }
        let values = answers.iter().flatten().flat_map(pairs).collect();
        changed(&mut book.settings, values, visit.run_id)
    }

    /// Another process may have other settings.
    pub(super) fn forget(&mut self) {
        self.read = None;
    }
}

/// How often CONFIG SET was called. Before 7.0 INFO knows only how often CONFIG was: all that is not ours may have been.
fn sets(visit: &Visit<'_>) -> Option<u64> {
    let calls = |line| visit.info.field(line)?.member("calls")?.parse::<u64>().ok();
    if visit.info.at_least(7, 0) {
        return calls("cmdstat_config|set");
    }
    let ours = visit.server.node.monitor.usage().commands.get("config|get").copied();
    Some(calls("cmdstat_config")?.saturating_sub(ours.unwrap_or(0)))
}

/// Takes the values in, and tells which were others.
fn changed(known: &mut BTreeMap<String, String>, values: Vec<(String, String)>, run_id: &str) -> Vec<Record> {
    let mut changed = Vec::new();
    for (name, value) in values {
        let before = known.insert(name.clone(), value.clone());
        changed.extend(before.filter(|before| *before != value).map(|before| (name, before, value)));
    }
    let all: String = known.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
    let all = hash(all.as_bytes());
    let record = |(name, before, value): (String, String, String)| {
        let shown = |value: &str| if value.is_empty() { "empty".to_owned() } else { value.to_owned() };
        let body = format!("{name} is {} now, it was {}", shown(&value), shown(&before));
        Record::new("redis.config.change", Severity::Info, body)
            .text("redis.config.setting", name)
            .text("redis.config.from", before)
            .text("redis.config.to", value)
            .text("redis.config.hash", all.as_str())
            .text("redis.run_id", run_id)
    };
    changed.into_iter().map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_was_not_known_is_no_change_and_one_that_was_not_answered_stays() {
        let mut known = BTreeMap::new();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(changed(&mut known, vec![pair("hz", "10"), pair("timeout", "0")], "r"), []);
        assert_eq!(changed(&mut known, vec![pair("hz", "10")], "r"), []);
        assert_eq!(changed(&mut known, vec![pair("hz", "20"), pair("timeout", "0")], "r").len(), 1);
    }
}
