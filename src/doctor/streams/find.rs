//! The streams that a receiver would watch: those called by name, and a bounded search for the others.

use streamgauge_receivers::redis_stream_metrics::StreamConfig;
use streamgauge_redis::{ReadCommand, Unreachable, scan_page};

use crate::doctor::finding::Chart;
use crate::doctor::redis::Patient;

/// Keys that are looked at.
const KEYS: u32 = 20_000;
/// Keys in a page of SCAN.
const PAGE: u32 = 500;
/// Streams that are looked into.
const STREAMS: usize = 500;

/// Their names, those called by name first.
pub(super) async fn streams(
    patient: &Patient<'_>,
    db: u32,
    config: &StreamConfig,
    chart: &mut Chart,
) -> Result<Vec<Vec<u8>>, Unreachable> {
    let names = config.streams.iter().filter_map(name).map(|name| name.as_bytes().to_vec());
    let mut found: Vec<Vec<u8>> = names.collect();
    let patterns: Vec<_> = config.streams.iter().filter(|pattern| name(pattern).is_none()).collect();
    if patterns.is_empty() {
        return Ok(found);
    }
    let (mut cursor, mut looked_at) = (0, 0);
    let whole = loop {
        let command = ReadCommand::scan_streams(cursor, b"*", PAGE);
        let Some(Ok(answer)) = patient.ask_db(db, &[command]).await?.pop() else { return Ok(found) };
        let Some((next, page)) = scan_page(&answer) else { return Ok(found) };
        for key in page {
            let text = String::from_utf8_lossy(&key);
            if patterns.iter().any(|pattern| pattern.matches(&text)) && !found.contains(&key) {
                found.push(key);
            }
        }
        (cursor, looked_at) = (next, looked_at + PAGE);
        if cursor == 0 {
            break true;
        }
        if looked_at >= KEYS || found.len() >= STREAMS {
            break false;
        }
    };
    if !whole || found.len() > STREAMS {
        found.truncate(STREAMS);
        let what =
            format!("looked at {} streams, of {looked_at} keys only: the keyspace is larger", found.len());
        chart.note("streams", what, "name the streams under `streams` to have them all looked at");
    }
    if found.is_empty() {
        chart.note("streams", "no stream matches `streams`", "correct the patterns, if there should be one");
    }
    Ok(found)
}

/// The name that a pattern means, when it means just one.
fn name(pattern: &streamgauge_series::Pattern) -> Option<&str> {
    let text = pattern.as_str();
    let is_regex = text.len() > 1 && text.starts_with('/') && text.ends_with('/');
    (!is_regex && !text.contains(['*', '?', '[', '\\'])).then_some(text)
}
