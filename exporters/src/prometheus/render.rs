//! A snapshot as text.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use streamgauge_prometheus::exposition::{Exposition, Format, Of, is_legal};

use super::store::{Last, Snapshot};

/// How a scraper wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub format: Format,
    /// It takes names of any characters.
    pub utf8: bool,
}

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub timestamps: bool,
    pub expiration: Duration,
}

/// Writes everything that has not expired.
pub(super) fn render(snapshot: &Snapshot, wish: Wish, rules: Rules, now: Instant) -> String {
    let mut out = Exposition::new(wish.format);
    let mut escaped = HashSet::new();
    for (name, family) in snapshot {
        let expired = |seen: Instant| now.saturating_duration_since(seen) > rules.expiration;
        let mut series = family.series.iter().filter(|(_, held)| !expired(held.seen)).peekable();
        if series.peek().is_none() {
            continue;
        }
        let legacy = (!wish.utf8 && !is_legal(name)).then(|| underscores(name));
        if let Some(legacy) = &legacy
            && (snapshot.contains_key(legacy.as_str()) || !escaped.insert(legacy.clone()))
        {
            continue; // two families of one name would cost the scraper the whole answer
        }
        out.family(legacy.as_deref().unwrap_or(name), family.kind, &family.help, &family.unit);
        for (labels, held) in series {
            let labels = held.legacy.as_deref().filter(|_| !wish.utf8).unwrap_or(labels);
            let time_ms = (rules.timestamps && held.time_ms != 0).then_some(held.time_ms);
            let of = Of { labels, time_ms, exemplars: &held.exemplars };
            match &held.value {
                Last::Number(value) => out.number(of, *value),
                Last::Histogram { bounds, below, count, sum } => {
                    out.histogram(of, bounds, below, *count, *sum);
                }
                Last::Summary { quantiles, count, sum } => out.summary(of, quantiles, *count, *sum),
            }
        }
    }
    out.finish()
}

/// A name as scrapers know it that take no UTF-8.
fn underscores(name: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' };
    let name: String = name.chars().map(legal).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}
