//! A group's consumers, with a bucket for those that would be too many series.

use std::time::Duration;

use streamgauge_redis::{ConsumerInfo, GroupInfo};

/// The name of the bucket.
pub(crate) const OTHER: &[u8] = b"other";

/// The consumers of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Consumers {
    /// Those with the most pending entries.
    pub(crate) top: Vec<ConsumerInfo>,
    /// All others together.
    pub(crate) rest: Rest,
    /// How many have asked for something lately; `None` when they are not known.
    pub(crate) active: Option<u64>,
    /// How long ago the last of all has asked for something.
    pub(crate) least_idle_ms: Option<u64>,
    /// What the one holds that got something last.
    pub(crate) batch: Option<u64>,
}

/// Consumers without series of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest {
    pub(crate) count: u64,
    pub(crate) pending: u64,
}

impl Consumers {
    /// At most `max` of them by name. One is active that has asked for something within `active`.
    pub(crate) fn new(mut all: Vec<ConsumerInfo>, max: Option<usize>, active: Duration) -> Self {
        let is_active =
            |consumer: &&ConsumerInfo| consumer.idle_ms.is_some_and(|ms| u128::from(ms) < active.as_millis());
        let active = Some(all.iter().filter(is_active).count() as u64);
        let tells_inactive = all.iter().any(|consumer| consumer.inactive_ms.is_some());
        let least_idle_ms = all.iter().filter_map(|consumer| consumer.idle_ms).min();
        // Who only asks in vain has got nothing; servers before 7.2 do not tell the two apart.
        let got = |consumer: &ConsumerInfo| {
            if tells_inactive { consumer.inactive_ms } else { consumer.idle_ms }
        };
        let last = all
            .iter()
            .filter_map(|consumer| Some((got(consumer)?, consumer.pending)))
            .min_by_key(|(ms, _)| *ms);
        let batch = last.map(|(_, pending)| pending);
        let max = max.unwrap_or(0);
        let mut rest = Rest::default();
        if all.len() > max {
            all.sort_by(|a, b| b.pending.cmp(&a.pending).then_with(|| a.name.cmp(&b.name)));
            let mut kept = 0;
            all.retain(|consumer| {
                // One that is called like the bucket is told in it.
                let keeps = kept < max && consumer.name != OTHER;
                if keeps {
                    kept += 1;
                } else {
                    rest = Rest { count: rest.count + 1, pending: rest.pending + consumer.pending };
                }
                keeps
            });
        }
        Consumers { top: all, rest, active, least_idle_ms, batch }
    }
}

/// How well a consumer does its part, from 0 to 100, as far as there is something to do: while entries wait for the group
/// or it holds some. A half is lost by asking for nothing for as long as `stop` says, three tenths by getting nothing for
/// as long while entries wait, and two tenths by holding all that is pending where others could share it.
pub(crate) fn score(
    consumer: &ConsumerInfo,
    group: &GroupInfo,
    lag: Option<u64>,
    stop: Duration,
) -> Option<f64> {
    let idle = consumer.idle_ms?;
    let waits = lag.is_some_and(|lag| lag > 0);
    if !waits && consumer.pending == 0 {
        return Some(100.0);
    }
    let part = |ms: u64| (ms as f64 / stop.as_millis().max(1) as f64).min(1.0);
    let fruitless = if waits { part(consumer.inactive_ms.unwrap_or(idle)) } else { 0.0 };
    let fair = 1.0 / group.consumers.max(1) as f64;
    let share = consumer.pending as f64 / group.pending.max(1) as f64;
    let hoards = if fair < 1.0 { ((share - fair) / (1.0 - fair)).clamp(0.0, 1.0) } else { 0.0 };
    Some(100.0 - 50.0 * part(idle) - 30.0 * fruitless - 20.0 * hoards)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_that_has_stalled_scores_low_and_one_with_nothing_to_do_scores_full() {
        let group = |pending| GroupInfo {
            name: b"g".to_vec(),
            consumers: 3,
            pending,
            last_delivered_id: None,
            entries_read: None,
            lag: None,
        };
        let stop = Duration::from_secs(300);
        let score =
            |pending, idle: u64, of, lag| score(&consumer("c", pending, idle * 1000), &group(of), lag, stop);
        assert_eq!(
            score(100, 600, 100, Some(50)),
            Some(0.0),
            "it holds all, asks for nothing, and entries wait"
        );
        assert_eq!(score(0, 0, 100, Some(50)), Some(100.0), "it has just got something");
        assert_eq!(score(0, 3600, 0, Some(0)), Some(100.0), "it waits for what is not there");
        assert_eq!(score(0, 3600, 0, None), Some(100.0), "nobody knows whether there is anything");
        assert_eq!(score(100, 300, 150, Some(0)), Some(40.0), "it holds twice what is fair");
        let unknown = ConsumerInfo { idle_ms: None, ..consumer("c", 1, 0) };
        assert_eq!(super::score(&unknown, &group(1), Some(1), stop), None, "nil is never 0");
    }

    fn consumer(name: &str, pending: u64, idle: u64) -> ConsumerInfo {
        ConsumerInfo { name: name.as_bytes().to_vec(), pending, idle_ms: Some(idle), inactive_ms: None }
    }

    #[test]
    fn those_beyond_the_limit_are_one_bucket_and_nobody_is_lost() {
        let all = vec![
            consumer("a", 1, 500),
            consumer("b", 5, 9_000),
            consumer("other", 9, 70),
            consumer("c", 5, 99_000),
        ];
        let few = Consumers::new(all.clone(), Some(2), Duration::from_secs(10));
        let names: Vec<_> = few.top.iter().map(|c| c.name.as_slice()).collect();
        assert_eq!(names, [b"b", b"c"]);
        assert_eq!(
            (few.rest, few.active, few.least_idle_ms),
            (Rest { count: 2, pending: 10 }, Some(3), Some(70))
        );
        let enough = Consumers::new(all, Some(4), Duration::from_secs(10));
        assert_eq!((enough.top.len(), enough.rest.count), (4, 0));
    }
}
