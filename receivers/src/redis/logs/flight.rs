//! The flight recorder: how a server was before and after something went wrong.
//!
//! It is one record with a structured body, so that nobody has to put it together again: the reason; `before` and `after`,
//! each with its time, INFO and the greatest groups of clients; the newest of the slow log; the last spike of each kind. Its size
//! is bounded by what is taken from each, and how often it comes by the setting, for each server and reason.

use std::collections::BTreeMap;
use std::time::Duration;

use streamgauge_pdata::build::AnyValue;
use streamgauge_redis::Info;
use tokio::time::Instant;

use super::commands::newest;
use super::config::LogsConfig;
use super::latency;
use super::mask::Masked;
use super::node::Visit;
use super::record::{Record, Severity};
use crate::redis::clients::Clients;
use crate::scrape::redis::Server;

/// The most bytes of one INFO.
const INFO: usize = 24 << 10;
/// The most groups of clients, entries of the slow log, and bytes of a command's text.
const GROUPS: usize = 20;
const ENTRIES: u64 = 16;
const TEXT: usize = 256;
/// How old a look at the clients may be, nanoseconds.
const CLIENTS: u64 = 60_000_000_000;

/// Why it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// Another server is the primary.
    Failover,
    /// Commands are refused for want of memory.
    OutOfMemory,
    /// Something has held the server for long.
    Latency,
}

impl Alarm {
    fn as_str(self) -> &'static str {
        match self {
            Alarm::Failover => "failover",
            Alarm::OutOfMemory => "out_of_memory",
            Alarm::Latency => "latency",
        }
    }

    fn body(self) -> &'static str {
        match self {
            Alarm::Failover => "the primary is another",
            Alarm::OutOfMemory => "commands are refused for want of memory (maxmemory)",
            Alarm::Latency => "a command or a spike has held the server for long",
        }
    }
}

/// Of one server.
pub(super) struct Flight {
    before: Option<Snapshot>,
    now: Option<Snapshot>,
    clients: Clients,
    /// The last look at them, and when it was.
    crowd: Option<(u64, AnyValue)>,
    /// Refusals for want of memory, of which process.
    out_of_memory: Option<(String, u64)>,
    /// When it last wrote, by reason.
    written: BTreeMap<Alarm, Instant>,
}

struct Snapshot {
    /// Nanoseconds since 1970.
    time: u64,
    info: String,
    crowd: Option<(u64, AnyValue)>,
}

impl Flight {
    pub(super) fn new(interval: Duration) -> Self {
        Flight {
            before: None,
            now: None,
            clients: Clients::new(interval),
            crowd: None,
            out_of_memory: None,
            written: BTreeMap::new(),
        }
    }

    /// The server has answered in this round. Gives why to write, if so.
    pub(super) async fn answered(&mut self, visit: &Visit<'_>, text: &str, is_jump: bool) -> Option<Alarm> {
        let snapshot =
            Snapshot { time: visit.now, info: cut(text, INFO).to_owned(), crowd: self.crowd.clone() };
        self.before = self.now.replace(snapshot).or(self.before.take());
        if self.crowd.as_ref().is_none_or(|(read, _)| visit.now.saturating_sub(*read) >= CLIENTS) {
            self.look(visit.server, visit.info, (visit.deadline, visit.now)).await;
        }
        let refused = visit.info.field("errorstat_OOM").and_then(|line| line.member("count")?.parse().ok());
        let refused = (visit.run_id.to_owned(), refused.unwrap_or(0));
        let before = self.out_of_memory.replace(refused.clone());
        let is_out_of_memory = before.is_some_and(|(run_id, count)| run_id == refused.0 && refused.1 > count);
        // What was written down before the first look is no news.
        let is_jump = is_jump && self.before.is_some();
        let alarms = [(is_out_of_memory, Alarm::OutOfMemory), (is_jump, Alarm::Latency)];
        alarms.into_iter().find(|(is, _)| *is).map(|(_, alarm)| alarm)
    }

    /// It has not: what was last known is how it was before.
    pub(super) fn unanswered(&mut self) {
        self.before = self.now.take().or(self.before.take());
    }

    async fn look(&mut self, server: &Server, info: &Info<'_>, when: (Instant, u64)) {
        self.clients.read(server, info, when).await;
        self.crowd = Some((when.1, crowd(&self.clients, when.1 / 1_000_000_000)));
    }

    /// The record, if it is time for one; `when` is the round's deadline and its time.
    pub(super) async fn write(
        &mut self,
        alarm: Alarm,
        server: &Server,
        config: &LogsConfig,
        when: (Instant, u64),
    ) -> Option<Record> {
        let (deadline, now) = when;
        let pause = config.flight_recorder.min_interval;
        if self.written.get(&alarm).is_some_and(|written| written.elapsed() < pause) {
            return None;
        }
        self.written.insert(alarm, Instant::now());
        let mut body = vec![("reason", text(alarm.body()))];
        body.extend(self.before.as_ref().map(|before| ("before", before.value())));
        if let Some(mut after) = self.now.take() {
            self.look(server, &Info::parse(&after.info), when).await;
            after.crowd = self.crowd.clone();
            body.push(("after", after.value()));
            self.now = Some(after);
            let slow = newest(server, ENTRIES, deadline).await;
            let slow = slow.iter().map(|entry| {
                let masked = Masked::of(entry, config);
                list(vec![
                    ("id", int(entry.id)),
                    ("time", int(entry.time)),
                    ("duration", AnyValue::Double(entry.amount as f64 / 1e6)),
                    ("text", text(cut(&masked.text, TEXT))),
                ])
            });
            body.push(("slowlog", AnyValue::Array(slow.collect())));
            let spikes = latency::latest(server, deadline).await.unwrap_or_default();
            let spikes = spikes.iter().map(|spike| {
                list(vec![
                    ("event", text(&spike.name)),
                    ("time", int(spike.at)),
                    ("last", AnyValue::Double(spike.last_ms as f64 / 1e3)),
                    ("max", AnyValue::Double(spike.max_ms as f64 / 1e3)),
                ])
            });
            body.push(("latency", AnyValue::Array(spikes.collect())));
        }
        let record = Record::new("redis.flight_record", Severity::Warn, "")
            .with(list(body))
            .at_millis(now / 1_000_000)
            .text("redis.flight_record.reason", alarm.as_str());
        Some(record)
    }
}

impl Snapshot {
    fn value(&self) -> AnyValue {
        let mut members = vec![("time", int(self.time / 1_000_000_000)), ("info", text(&self.info))];
        if let Some((read, crowd)) = &self.crowd {
            members.push(("clients_time", int(read / 1_000_000_000)));
            members.push(("clients", crowd.clone()));
        }
        list(members)
    }
}

/// The greatest groups of clients. `now` is in seconds since 1970.
fn crowd(clients: &Clients, now: u64) -> AnyValue {
    let mut sums: Vec<_> = clients.sums(now).into_iter().collect();
    sums.sort_by(|(a, left), (b, right)| right.count.cmp(&left.count).then_with(|| a.cmp(b)));
    let group = |([user, name, library], sum): &(&[String; 3], _)| {
        let sum: &crate::redis::clients::Sum = sum;
        list(vec![
            ("user", text(user)),
            ("name", text(cut(name, TEXT))),
            ("library", text(cut(library, TEXT))),
            ("count", int(sum.count)),
            ("memory", int(sum.memory)),
            ("output_buffer", int(sum.output)),
        ])
    };
    AnyValue::Array(sums.iter().take(GROUPS).map(group).collect())
}

/// The beginning, up to a whole line where there are several.
fn cut(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let whole = &text[..text.floor_char_boundary(most)];
    whole.rfind('\n').map_or(whole, |end| &whole[..end])
}

fn list(members: Vec<(&str, AnyValue)>) -> AnyValue {
    AnyValue::KvList(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn text(text: &str) -> AnyValue {
    AnyValue::Str(text.to_owned())
}

fn int(number: u64) -> AnyValue {
    AnyValue::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_a_line_or_else_at_a_character() {
        assert_eq!(cut("a\nbc\nd", 5), "a\nbc");
        assert_eq!(cut("a\nbc\nd", 6), "a\nbc\nd");
        assert_eq!(cut("äöü", 3), "ä");
    }
}
