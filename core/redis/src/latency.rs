//! LATENCY HISTOGRAM and LATENCY LATEST.

use redis::Value;

use crate::reply::{bytes, count, entries, get, items};

/// The times of one command's calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandHistogram {
    /// The command as the server spells it, such as `config|get`.
    pub command: String,
    /// How many calls there were.
    pub calls: u64,
    /// `(k, n)`: `n` calls took at most 2^k nanoseconds and more than 2^(k-1). The first bucket, 2^10, has all below.
    pub buckets: Vec<(i32, u64)>,
}

/// Reads LATENCY HISTOGRAM. A command whose part cannot be understood is left out.
pub fn command_histograms(value: &Value) -> Vec<CommandHistogram> {
    entries(value).into_iter().filter_map(|(name, part)| histogram(bytes(name)?, part)).collect()
}

fn histogram(name: &[u8], part: &Value) -> Option<CommandHistogram> {
    let calls = count(get(part, "calls")?)?;
    let mut buckets = Vec::new();
    let mut before = 0;
    for (bound, upto) in entries(get(part, "histogram_usec")?) {
        // Bounds are powers of two in nanoseconds, shown as whole microseconds: 1 is 1,024 ns, 33 is 32,768 ns.
        let (usec, upto) = (count(bound)?, count(upto)?);
        let power = (usec.max(1) as f64 * 1000.0).log2().round() as i32;
        buckets.push((power, upto.checked_sub(before)?));
        before = upto;
    }
    Some(CommandHistogram { command: String::from_utf8_lossy(name).into_owned(), calls, buckets })
}

/// One kind of spike, of LATENCY LATEST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyEvent {
    /// The kind, such as `command` or `fork`.
    pub name: String,
    /// When it was last, seconds since 1970.
    pub at: u64,
    /// How long the last one was, milliseconds.
    pub last_ms: u64,
    /// The longest, milliseconds.
    pub max_ms: u64,
}

/// Reads LATENCY LATEST. An event that cannot be understood is left out.
pub fn latency_events(value: &Value) -> Vec<LatencyEvent> {
    let event = |event: &Value| {
        let [name, at, last, max, ..] = items(event)? else { return None };
        let name = String::from_utf8_lossy(bytes(name)?).into_owned();
        Some(LatencyEvent { name, at: count(at)?, last_ms: count(last)?, max_ms: count(max)? })
    };
    items(value).unwrap_or_default().iter().filter_map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn cumulative_counts_become_buckets_of_powers_of_two_nanoseconds_in_both_protocols() {
        let pairs = [(1, 2), (2, 5), (33, 6), (264, 10)];
        let numbers = |(bound, upto): (i64, i64)| (Value::Int(bound), Value::Int(upto));
        let flat = pairs.into_iter().flat_map(|pair| [numbers(pair).0, numbers(pair).1]).collect();
        let resp2 = Value::Array(vec![
            text("get"),
            Value::Array(vec![text("calls"), Value::Int(10), text("histogram_usec"), Value::Array(flat)]),
            text("broken"),
            Value::Nil,
        ]);
        let resp3 = Value::Map(vec![(
            text("get"),
            Value::Map(vec![
                (text("calls"), Value::Int(10)),
                (text("histogram_usec"), Value::Map(pairs.into_iter().map(numbers).collect())),
            ]),
        )]);
        let wanted = CommandHistogram {
            command: "get".to_owned(),
            calls: 10,
            buckets: vec![(10, 2), (11, 3), (15, 1), (18, 4)],
        };
        assert_eq!(command_histograms(&resp2), std::slice::from_ref(&wanted));
        assert_eq!(command_histograms(&resp3), [wanted]);
    }

    #[test]
    fn events_are_read_with_and_without_the_newer_members() {
        let event = |more: &[i64]| {
            let mut items = vec![text("fork"), Value::Int(1_700_000_000), Value::Int(5), Value::Int(9)];
            items.extend(more.iter().map(|number| Value::Int(*number)));
            Value::Array(items)
        };
        let events = latency_events(&Value::Array(vec![event(&[]), event(&[14, 2]), Value::Nil]));
        assert_eq!(events.len(), 2);
        assert_eq!((events[1].name.as_str(), events[1].last_ms, events[1].max_ms), ("fork", 5, 9));
    }
}
