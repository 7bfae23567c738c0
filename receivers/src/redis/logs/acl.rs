//! What users were refused.
//!
//! The server counts on for a minute when the same is refused again, so an entry is told with what its count has grown by.
//! Since 7.2 entries have ids; before, one is known again by what it is about, its count, and when it was.

use serde::{Deserialize, Serialize};
use streamgauge_redis::{Denial, Info, ReadCommand, denials};

use super::config::{Keys, LogsConfig};
use super::mask::hash;
use super::node::Visit;
use super::record::{Record, Severity};
use crate::redis::detail::ask;

/// Entries that are asked for: servers keep 128, where they are not told otherwise.
const PAGE: u64 = 256;
/// How far apart two looks at one entry may place it, milliseconds.
const JITTER: u64 = 1_500;

/// An entry as it was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    id: Option<u64>,
    /// Hash of what it is about.
    about: String,
    count: u64,
    /// When it was last, milliseconds since 1970.
    at: u64,
}

impl Seen {
    fn of(denial: &Denial, now: u64) -> Seen {
        let Denial { reason, context, object, user, .. } = denial;
        let about = hash(format!("{reason}\0{context}\0{object}\0{user}").as_bytes());
        let at = now.saturating_sub((denial.age * 1e3) as u64);
        Seen { id: denial.id, about, count: denial.count, at }
    }

    /// Whether the other is this one, unchanged or counted on.
    fn becomes(&self, later: &Seen) -> bool {
        match (self.id, later.id) {
            (Some(id), Some(other)) => id == other && self.count <= later.count,
            _ if self.about != later.about => false,
            _ if self.count == later.count => self.at.abs_diff(later.at) <= JITTER,
            _ => self.count < later.count && self.at <= later.at.saturating_add(JITTER),
        }
    }
}

/// How often the server has refused anything, as far as INFO says: while that stays nothing is asked.
pub(super) fn refused(info: &Info<'_>) -> i64 {
    let errors = ["errorstat_NOPERM", "errorstat_WRONGPASS"]
        .into_iter()
        .filter_map(|error| info.field(error)?.member("count")?.parse::<i64>().ok());
    let denied = info.with_prefix("acl_access_denied_").filter_map(|(_, field)| field.int());
    errors.chain(denied).sum()
}

/// The server's log; `None` when it does not say.
pub(super) async fn log(visit: &Visit<'_>) -> Option<Vec<Denial>> {
    let answer = ask(visit.server, ReadCommand::acl_log(PAGE), visit.deadline).await?;
    Some(denials(&answer))
}

/// What is not in the book yet, the oldest first, each with how many times more. `now` is in milliseconds since 1970.
pub(super) fn fresh(
    known: &mut Option<Vec<Seen>>,
    log: Vec<Denial>,
    now: u64,
    from_now: bool,
) -> Vec<(Denial, u64)> {
    let is_first = known.is_none();
    let mut before = known.take().unwrap_or_default();
    let mut fresh = Vec::new();
    let mut after = Vec::with_capacity(log.len());
    for denial in log {
        let seen = Seen::of(&denial, now);
        let same = before.iter().position(|earlier| earlier.becomes(&seen)).map(|at| before.remove(at));
        let told = same.as_ref().map_or(0, |same| same.count);
        let times = seen.count - told;
        if times > 0 && !(is_first && from_now) {
            fresh.push((denial, times));
        }
        // What is as it was stays so in the book, too: when it was is a little other each time.
        after.push(same.filter(|_| times == 0).unwrap_or(seen));
    }
    *known = Some(after);
    fresh.reverse();
    fresh
}

pub(super) fn record(denial: &Denial, times: u64, run_id: &str, now: u64, config: &LogsConfig) -> Record {
    let Denial { reason, user, .. } = denial;
    // Of the rest is told what was tried: a command, or how somebody wanted to log in.
    let is_name = ["key", "channel"].contains(&reason.as_str());
    let object = match config.keys {
        Keys::Hashed if is_name => format!("#{}", hash(denial.object.as_bytes())),
        Keys::Masked if is_name => "?".to_owned(),
        _ => denial.object.clone(),
    };
    let record =
        Record::new("redis.acl.denied", Severity::Warn, format!("user {user} was refused {reason} {object}"))
            .at_millis(now.saturating_sub((denial.age * 1e3) as u64))
            .text("redis.acl.reason", reason.as_str())
            .text("redis.acl.object", object)
            .text("redis.acl.context", denial.context.as_str())
            .int("redis.acl.count", times)
            .text("user.name", user.as_str())
            .text("redis.client.name", denial.client("name").unwrap_or_default())
            .client(denial.client("addr").unwrap_or_default())
            .text("redis.run_id", run_id);
    match denial.id {
        Some(id) => record.int("redis.log.entry.id", id),
        None => record,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn denial(id: Option<u64>, object: &str, count: u64, age: f64) -> Denial {
        Denial { id, object: object.to_owned(), count, age, ..Denial::default() }
    }

    fn told(known: &mut Option<Vec<Seen>>, now: u64, log: &[Denial]) -> Vec<(String, u64)> {
        let fresh = fresh(known, log.to_vec(), now, true);
        fresh.into_iter().map(|(denial, times)| (denial.object, times)).collect()
    }

    fn is_told_once(id: fn(u64) -> Option<u64>) {
        let mut known = Some(Vec::new());
        let one = |object: &str, times| (object.to_owned(), times);
        assert_eq!(told(&mut known, NOW, &[denial(id(0), "get", 2, 1.0)]), [one("get", 2)]);
        assert_eq!(told(&mut known, NOW + 10_000, &[denial(id(0), "get", 2, 11.2)]), []);
        let log = [denial(id(0), "get", 5, 0.5), denial(id(1), "set", 1, 3.0)];
        assert_eq!(told(&mut known, NOW + 20_000, &log), [one("set", 1), one("get", 3)]);
        // A minute later the server begins a new entry, and the old one stays.
        let log =
            [denial(id(2), "get", 1, 1.0), denial(id(0), "get", 5, 80.5), denial(id(1), "set", 1, 83.0)];
        assert_eq!(told(&mut known, NOW + 100_000, &log), [one("get", 1)]);
        assert_eq!(told(&mut known, NOW + 100_010, &log), []);
        // ACL LOG RESET
        assert_eq!(told(&mut known, NOW + 110_000, &[]), []);
        assert_eq!(told(&mut known, NOW + 120_000, &[denial(id(3), "get", 1, 0.0)]), [one("get", 1)]);
    }

    #[test]
    fn a_refusal_is_told_once_and_counted_on_where_entries_have_ids() {
        is_told_once(Some);
    }

    #[test]
    fn a_refusal_is_told_once_and_counted_on_where_entries_have_none() {
        is_told_once(|_| None);
    }
}
