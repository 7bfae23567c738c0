//! How far behind a group is, and how well that is known. A lag that nobody knows is none, never 0.

use streamgauge_redis::{GroupInfo, StreamId, StreamInfo};

use super::loss::Missed;
use super::offsets::Offsets;

/// Where a lag is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quality {
    /// There is no lag.
    Unknown = 0,
    /// By the place of the group's id between the first and the last one.
    Estimated = 1,
    /// It lies between two numbers that are known; the larger one is told.
    Bounded = 2,
    /// Counted here, right at the moment of asking.
    Exact = 3,
    /// The server's own number.
    Server = 4,
}

/// A lag. Unknown when there is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lag {
    pub(crate) entries: Option<u64>,
    /// No less than this.
    pub(crate) least: Option<u64>,
    pub(crate) quality: Quality,
}

impl Lag {
    const UNKNOWN: Lag = Lag { entries: None, least: None, quality: Quality::Unknown };

    fn sure(entries: u64, quality: Quality) -> Lag {
        Lag { entries: Some(entries), least: Some(entries), quality }
    }

    fn between(least: u64, most: u64) -> Lag {
        if least == most {
            return Lag::sure(most, Quality::Exact);
        }
        Lag { entries: Some(most), least: Some(least), quality: Quality::Bounded }
    }

    /// The lag where it is more than a bound or an estimate.
    pub(crate) fn known(&self) -> Option<u64> {
        self.entries.filter(|_| self.quality >= Quality::Exact)
    }
}

/// Entries behind a group's id that were counted one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) entries: u64,
    /// Whether the end of the stream was reached.
    pub(crate) is_all: bool,
}

/// The lag of a group, by the first of these that tells it:
///
/// 1. Ids. A group at the end lags 0, one before everything that is left lags the length. They go before the server's
///    number, which on Redis 7.0 counts entries that were trimmed and cannot be read any more.
/// 2. The server. It stops knowing when an undelivered entry was deleted, or a group was made in the middle of a stream.
/// 3. A count, as far as the budget allows it.
/// 4. What was ever added, at the moments when ids like the group's were young: bounds, often equal.
/// 5. The place of the id between the first and the last.
///
/// `stream` is missing where only the length was asked for. `missed` is what is known to be wrong with the server's
/// number.
pub(crate) fn lag(
    group: &GroupInfo,
    length: u64,
    stream: Option<&StreamInfo>,
    missed: Missed,
    counted: Option<Counted>,
    offsets: &Offsets,
) -> Lag {
    if let Some(by_ids) = by_ids(group, length, stream) {
        let quality = if group.lag == Some(by_ids) { Quality::Server } else { Quality::Exact };
        return Lag::sure(by_ids, quality);
    }
    if let Some(lag) = group.lag {
        let most = lag.saturating_sub(missed.surely);
        return if most > length {
            // More than there is can only be a mistake.
            Lag::between(0, length)
        } else if missed.perhaps > 0 {
            Lag::between(most.saturating_sub(missed.perhaps), most)
        } else {
            Lag::sure(most, if missed.surely > 0 { Quality::Exact } else { Quality::Server })
        };
    }
    if let Some(counted) = counted.filter(|counted| counted.is_all) {
        return Lag::sure(counted.entries, Quality::Exact);
    }
    let (Some(delivered), Some(stream)) = (group.last_delivered_id, stream) else { return Lag::UNKNOWN };
    // There is an entry behind the id and one before it, or the ids had settled it.
    let all_but_one = length.saturating_sub(u64::from(stream.first_entry.is_some()));
    let at_least = counted.map_or(1, |counted| counted.entries).min(all_but_one);
    if let Some((least, most)) = offsets.bounds(delivered, stream) {
        let most = most.clamp(at_least, all_but_one);
        return Lag::between(least.clamp(at_least, most), most);
    }
    match share_behind(delivered, stream) {
        Some(share) => {
            let entries = ((length as f64 * share).round() as u64).clamp(at_least, all_but_one);
            Lag { entries: Some(entries), least: Some(at_least), quality: Quality::Estimated }
        }
        None => Lag::UNKNOWN,
    }
}

fn by_ids(group: &GroupInfo, length: u64, stream: Option<&StreamInfo>) -> Option<u64> {
    if length == 0 {
        return Some(0);
    }
    let (delivered, stream) = (group.last_delivered_id?, stream?);
    let is_at_end = |last: Option<StreamId>| last.is_some_and(|last| delivered >= last);
    if is_at_end(stream.last_generated_id) || is_at_end(stream.last_entry) {
        return Some(0);
    }
    (stream.first_entry.is_some_and(|first| delivered < first)).then_some(length)
}

/// How much of the time between the first and the last entry lies behind an id.
fn share_behind(delivered: StreamId, stream: &StreamInfo) -> Option<f64> {
    let (first, last) = (stream.first_entry?, stream.last_entry?);
    // Within one millisecond the numbers stand for the time.
    let place = |id: StreamId| if first.ms == last.ms { id.seq as f64 } else { id.ms as f64 };
    let all = place(last) - place(first);
    (all > 0.0).then(|| ((place(last) - place(delivered)) / all).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
