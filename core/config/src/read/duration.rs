//! Durations as Go writes them: `1m30s`, `1.5h`, `500ms`, `0`.

use std::time::Duration;

/// What the duration type of the field types says it expects.
pub(super) const EXPECTED: &str = "a duration";

/// A Go duration, unless it is negative, too long, or none.
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanos: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty()
            || whole.len() > 19
            || fraction.len() > 18
            || fraction.contains('.')
        {
            return None;
        }
        let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
        let part = part.checked_mul(unit)? / 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        nanos = nanos.checked_add(whole.checked_mul(unit)?)?.checked_add(part)?;
        rest = after;
    }
    // Go's durations are 64-bit nanoseconds.
    u64::try_from(nanos).ok().filter(|n| *n <= i64::MAX as u64).map(Duration::from_nanos)
}

/// The same duration in words that humantime takes without loss.
pub(super) fn in_words(duration: Duration) -> String {
    format!("{}s {}ns", duration.as_secs(), duration.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read_exactly() {
        for (text, nanos) in [
            ("1m30s", 90_000_000_000),
            ("500ms", 500_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1h15m30.918273645s", 4_530_918_273_645),
            ("3µs", 3_000),
            ("0", 0),
            ("0s", 0),
            (".5s", 500_000_000),
            ("+2s", 2_000_000_000),
        ] {
            let read = go_duration(text).unwrap();
            assert_eq!(read, Duration::from_nanos(nanos), "{text}");
            assert_eq!(humantime::parse_duration(&in_words(read)).unwrap(), read);
        }
        for text in ["", "5", "-1s", "1x", "s", ".s", "1.2.3s", "99999999999999999999h", "1 s"] {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }
}
