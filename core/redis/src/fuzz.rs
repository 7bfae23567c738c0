//! What a fuzzer drives; also in tests, for a bounded number of rounds.

use crate::wire::value;
use crate::{
    ClientLine, ConsumerInfo, GroupInfo, Info, PendingEntry, StreamInfo, Value, command_histograms, denials,
    entry_ids, keys, latency_events, logged_commands, number, pairs, scan_page, text,
};

/// Reads the bytes as a server's replies to a monitor, and each reply as the answer to every question there is.
pub fn answers(data: &[u8]) {
    let mut at = 0;
    while at < data.len() {
        let before = at;
        let Ok(value) = value(data, &mut at) else { return };
        assert!(at > before && at <= data.len(), "a reply has its bytes");
        logs(&value);
        streams(&value);
        let text = text(&value);
        let info = Info::parse(&text);
        let _ = (info.version(), info.mode(), info.server_time_ms(), info.databases().count());
        assert!(
            info.fields().iter().all(|field| info.text(field.key).is_some()),
            "a field is found by its name"
        );
        ClientLine::parse(&text).for_each(drop);
    }
}

/// What the logs are made of.
fn logs(value: &Value) {
    for entry in logged_commands(value) {
        assert!(entry.left_out == 0 || entry.arguments.len() + 1 >= 32, "only a full list leaves some out");
    }
    for denial in denials(value) {
        assert!(denial.age.is_finite());
        let _ = denial.client("addr");
    }
    let _ = latency_events(value);
    for histogram in command_histograms(value) {
        let sum = histogram.buckets.iter().try_fold(0u64, |sum, (_, count)| sum.checked_add(*count));
        assert!(sum.is_some(), "the buckets are differences of one rising count");
    }
}

fn streams(value: &Value) {
    let _ = (StreamInfo::parse(value), GroupInfo::parse_all(value), ConsumerInfo::parse_all(value));
    let _ = (PendingEntry::parse_page(value), entry_ids(value), scan_page(value), keys(value), pairs(value));
    assert!(number(value).is_none_or(f64::is_finite), "no number is nothing but a number");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn answers_of_any_shape_are_read_or_left_out(
            tokens in prop::collection::vec(
                prop::sample::select(vec![
                    "*0\r\n", "*1\r\n", "*2\r\n", "*4\r\n", "*6\r\n", "*-1\r\n", "%1\r\n", "%2\r\n", ":1\r\n", ":-7\r\n",
                    ":9223372036854775807\r\n", "$-1\r\n", "$3\r\n1-0\r\n", "$5\r\ncount\r\n", "$6\r\nreason\r\n",
                    "$11\r\nage-seconds\r\n", "$3\r\ninf\r\n", "$5\r\ncalls\r\n", "$14\r\nhistogram_usec\r\n", "$1\r\na\r\n",
                    "$25\r\n... (5 more arguments)\r\n\r\r\n", ",nan\r\n", ",1.5\r\n", "+OK\r\n", "-ERR no\r\n", "*999999999\r\n", "x",
                ]),
                0..40,
            )
        ) {
            super::answers(tokens.concat().as_bytes());
        }
    }
}
