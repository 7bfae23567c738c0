//! Places in a stream as people name them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use streamgauge_redis::StreamId;

/// A place: an id, a time, or so long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before all entries.
    Start,
    /// Behind all entries that are there now.
    End,
    /// At an id.
    At(StreamId),
}

/// Reads `0`, `-`, `$`, an id, a time (`2026-01-31T12:00:00Z`), or how long ago (`15m`).
pub(crate) fn place(text: &str) -> Result<Place, String> {
    match text {
        "0" | "-" => return Ok(Place::Start),
        "$" | "+" => return Ok(Place::End),
        _ => {}
    }
    if let Some(id) = StreamId::parse(text.as_bytes()) {
        return Ok(Place::At(id));
    }
    let at = |ms: u128| Place::At(StreamId { ms: u64::try_from(ms).unwrap_or(u64::MAX), seq: 0 });
    if let Ok(ago) = duration(text) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        return Ok(at(now.saturating_sub(ago).as_millis()));
    }
    let time = humantime::parse_rfc3339_weak(text).map_err(|_| {
        format!("{text:?} is neither an id, nor a time such as 2026-01-31T12:00:00Z, nor a span such as 15m")
    })?;
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(at(since.as_millis()))
}

/// Reads a span of time: `500ms`, `15m`, `24h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{text:?}: {error}"))
}

impl Place {
    /// As the lower end of XRANGE.
    pub(crate) fn from(self) -> String {
        match self {
            Place::Start => "-".to_owned(),
            Place::End => "+".to_owned(),
            Place::At(id) => id.to_string(),
        }
    }
}

/// How long ago an id's time is; `None` when it is no time.
pub(crate) fn age(id: &str) -> Option<u64> {
    let id = StreamId::parse(id.as_bytes())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_millis();
    let is_time = (946_684_800_000..4_102_444_800_000).contains(&id.ms);
    is_time.then(|| u64::try_from(now).unwrap_or(0).saturating_sub(id.ms) / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_id_a_time_or_a_span() {
        let at = |ms, seq| Ok(Place::At(StreamId { ms, seq }));
        assert_eq!(place("0"), Ok(Place::Start));
        assert_eq!(place("$"), Ok(Place::End));
        assert_eq!(place("17-3"), at(17, 3));
        assert_eq!(place("2023-11-14T22:13:20Z"), at(1_700_000_000_000, 0));
        let Ok(Place::At(id)) = place("15m") else { panic!("a place") };
        let ago = age(&id.to_string()).unwrap();
        assert!((899..=910).contains(&ago), "{ago}");
        assert!(place("yesterday").unwrap_err().contains("15m"));
        assert_eq!(age("1-1"), None);
    }
}
