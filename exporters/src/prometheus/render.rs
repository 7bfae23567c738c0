//! A snapshot as text.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use streamgauge_prometheus::exposition::{Exposition, Format, Of, is_legal};

use super::store::{Held, Last, Snapshot};

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

/// Writes everything that has not expired: of one server, when it is named. `room` is how long it is likely to be.
pub(super) fn render(
    snapshot: &Snapshot,
    server: Option<&str>,
    wish: Wish,
    rules: Rules,
    now: Instant,
    room: usize,
) -> String {
    // Whoever asks for a server by name calls its series by that name.
    let instance = server.map(|server| format!("instance=\"{server}\""));
    let mut out = Exposition::with_room(wish.format, room);
    let mut escaped = HashSet::new();
    for (name, family) in snapshot {
        let shown = |held: &Held| {
            now.saturating_duration_since(held.seen) <= rules.expiration
                && server.is_none_or(|server| *held.server == *server)
        };
        let mut series = family.series.values().filter(|held| shown(held)).peekable();
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
        for held in series {
            let labels = held.labels.legacy.as_deref().filter(|_| !wish.utf8).unwrap_or(&held.labels.text);
            let without = instance.as_deref().and_then(|instance| without(labels, instance));
            let labels = without.as_deref().unwrap_or(labels);
            let time_ms = (rules.timestamps && held.time_ms != 0).then_some(held.time_ms);
            let of = Of { labels, time_ms, exemplars: &held.exemplars };
            match &held.value {
                Last::Number(value) => out.number(of, *value),
                Last::Histogram(h) => out.histogram(of, &h.bounds, &h.below, h.count, h.sum),
                Last::Summary(s) => out.summary(of, &s.quantiles, s.count, s.sum),
            }
        }
    }
    out.finish()
}

/// When the first of what is shown now expires; `None` when nothing is shown.
pub(super) fn expires(snapshot: &Snapshot, rules: Rules, now: Instant) -> Option<Instant> {
    let held = snapshot.values().flat_map(|family| family.series.values());
    let ends = held.map(|held| held.seen + rules.expiration).filter(|end| *end >= now);
    ends.min()
}

/// The servers that there are series of.
pub(super) fn servers(snapshot: &Snapshot, rules: Rules, now: Instant) -> BTreeSet<&str> {
    let held = snapshot.values().flat_map(|family| family.series.values());
    let shown = held.filter(|held| now.saturating_duration_since(held.seen) <= rules.expiration);
    shown.map(|held| &*held.server).filter(|server| !server.is_empty()).collect()
}

/// Labels without one of them; `None` when it is not there. Quotes in values are escaped, so it is found nowhere else.
fn without(labels: &str, label: &str) -> Option<String> {
    let at = labels.find(label).filter(|at| *at == 0 || labels.as_bytes()[*at - 1] == b',')?;
    let (before, after) = (&labels[..at], &labels[at + label.len()..]);
    let after = after.strip_prefix(',').unwrap_or(after);
    Some(if after.is_empty() { before.trim_end_matches(',').to_owned() } else { format!("{before}{after}") })
}

/// A name as scrapers know it that take no UTF-8.
fn underscores(name: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' };
    let name: String = name.chars().map(legal).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::without;

    #[test]
    fn a_label_is_taken_out_wherever_it_stands() {
        let label = r#"instance="h:1""#;
        for (labels, expected) in [
            (r#"instance="h:1""#, Some("")),
            (r#"instance="h:1",z="1""#, Some(r#"z="1""#)),
            (r#"a="1",instance="h:1",z="1""#, Some(r#"a="1",z="1""#)),
            (r#"a="1",instance="h:1""#, Some(r#"a="1""#)),
            (r#"a="1",instance="h:10""#, None),
            (r#"a="1",my_instance="h:1""#, None),
            (r#"a=",instance=\"h:1\"""#, None),
        ] {
            assert_eq!(without(labels, label).as_deref(), expected, "{labels}");
        }
    }
}
