//! `Retry-After`: seconds or an HTTP date.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// A peer's wish is never longer: what it says is added to clocks, which end somewhere.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The delay that the `Retry-After` header asks for, counted from `now`: at most a year; a date that has passed is zero.
/// `None` when the header is missing or cannot be read.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(SystemTime::from(date).duration_since(now).unwrap_or(Duration::ZERO).min(LONGEST))
}

/// The header's value for a delay: whole seconds, rounded up so that nobody comes back too early.
pub(crate) fn seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<Duration> {
        // 1994-11-06T08:49:30Z, seven seconds before the date of RFC 9110's example.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers, now)
    }

    #[test]
    fn seconds_and_dates_are_read() {
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn nobody_is_sent_away_for_more_than_a_year() {
        assert_eq!(read(&u64::MAX.to_string()), Some(LONGEST));
        assert_eq!(read("Thu, 30 Dec 9999 20:59:59 GMT"), Some(LONGEST));
    }

    #[test]
    fn what_is_neither_is_no_delay() {
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }

    #[test]
    fn a_delay_is_written_rounded_up() {
        assert_eq!(seconds(Duration::from_millis(1)), 1);
        assert_eq!(seconds(Duration::from_secs(2)), 2);
    }
}
