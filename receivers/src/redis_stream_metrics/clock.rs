//! Times in entry ids.

use streamgauge_redis::StreamId;

/// Ids before 2000 are no times: somebody has chosen them.
const EARLIEST_MS: u64 = 946_684_800_000;
/// Nor are those that lie further ahead of the server's clock than clocks do.
const AHEAD_MS: u64 = 24 * 60 * 60 * 1000;

/// The time in an id, milliseconds since 1970; `None` when the id is no time.
pub(crate) fn time_ms(id: Option<StreamId>, now_ms: u64) -> Option<u64> {
    let ms = id?.ms;
    (EARLIEST_MS..=now_ms.saturating_add(AHEAD_MS)).contains(&ms).then_some(ms)
}

/// How long ago that was, in milliseconds.
pub(crate) fn age_ms(id: Option<StreamId>, now_ms: u64) -> Option<u64> {
    time_ms(id, now_ms).map(|ms| now_ms.saturating_sub(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_somebody_chose_is_no_time() {
        let now = 1_700_000_000_000;
        let at = |ms| time_ms(Some(StreamId { ms, seq: 0 }), now);
        assert_eq!(at(now + 500), Some(now + 500));
        assert_eq!(at(1), None);
        assert_eq!(at(now / 1000), None, "seconds are no milliseconds");
        assert_eq!(at(now * 1000), None, "nor are microseconds");
        assert_eq!(at(now + 2 * AHEAD_MS), None);
        assert_eq!(at(u64::MAX), None);
        assert!(time_ms(None, now).is_none());
        assert_eq!(age_ms(Some(StreamId { ms: now - 7, seq: 0 }), now), Some(7));
    }
}
