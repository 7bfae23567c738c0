//! Metric and label names: the four translation strategies that Prometheus and the Collector share.

use crate::unit;

/// How OTLP names become Prometheus names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Foreign characters become `_`; unit and type suffixes are added.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// Foreign characters become `_`; nothing is added.
    UnderscoreEscapingWithoutSuffixes,
    /// Names stay as they are, suffixes are added: for receivers that take UTF-8 names.
    NoUtf8EscapingWithSuffixes,
    /// Names stay exactly as they are.
    NoTranslation,
}

/// What a metric is, as far as its name depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A gauge: with unit `1` it is a ratio.
    Gauge,
    /// A cumulative monotonic sum.
    Counter,
    /// A cumulative sum that may fall: a gauge to Prometheus, but never called a ratio.
    UpDownCounter,
    /// A histogram with bounds or an exponential one.
    Histogram,
    /// A summary.
    Summary,
}

/// Makes names; cheap to keep, one for an exporter.
#[derive(Debug, Clone, Default)]
pub struct Namer {
    strategy: Strategy,
    namespace: String,
}

impl Namer {
    /// A namer that puts `namespace_` before every metric name; an empty namespace adds nothing.
    #[must_use]
    pub fn new(strategy: Strategy, namespace: &str) -> Self {
        let namer = Self { strategy, namespace: String::new() };
        let namespace = if namer.escapes() { tokens(namespace).join("_") } else { namespace.to_owned() };
        Self { namespace, ..namer }
    }

    fn escapes(&self) -> bool {
        use Strategy::{UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes};
        matches!(self.strategy, UnderscoreEscapingWithSuffixes | UnderscoreEscapingWithoutSuffixes)
    }

    fn suffixes(&self) -> bool {
        use Strategy::{NoUtf8EscapingWithSuffixes, UnderscoreEscapingWithSuffixes};
        matches!(self.strategy, UnderscoreEscapingWithSuffixes | NoUtf8EscapingWithSuffixes)
    }

    /// The Prometheus name of a metric, or `None` when nothing that could be a name is left of it.
    #[must_use]
    pub fn metric(&self, name: &str, unit: &str, kind: Kind) -> Option<String> {
        let full = match (self.escapes(), self.suffixes()) {
            (true, true) => self.escaped_with_suffixes(name, unit, kind),
            (true, false) => self.escaped(name),
            (false, true) => self.utf8_with_suffixes(name, unit, kind),
            (false, false) => self.prefixed(name),
        };
        (full == name || full.chars().any(|c| c != '_')).then_some(full).filter(|name| !name.is_empty())
    }

    fn prefixed(&self, name: &str) -> String {
        if self.namespace.is_empty() { name.to_owned() } else { format!("{}_{name}", self.namespace) }
    }

    fn escaped(&self, name: &str) -> String {
        // Unlike with suffixes, underscores of the name itself stay as many as they are.
        let foreign = |c: char| !(c.is_ascii_alphanumeric() || c == ':' || c == '_');
        let name = name.split(foreign).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_");
        let name = if name.is_empty() { name } else { self.prefixed(&name) };
        digit_guard(name, "_")
    }

    fn escaped_with_suffixes(&self, name: &str, unit: &str, kind: Kind) -> String {
        let mut parts = tokens(name);
        if parts.is_empty() {
            return String::new();
        }
        let (main, per) = unit::words(unit);
        let (main, per) = (tokens(&main).join("_"), tokens(&per).join("_"));
        if !main.is_empty() && !parts.contains(&main.as_str()) {
            parts.push(&main);
        }
        if !per.is_empty() && per != "per" && !parts.contains(&per.as_str()) {
            parts.push(&per);
        }
        if let Some(suffix) = type_suffix(unit, kind) {
            parts.retain(|part| *part != suffix);
            parts.push(suffix);
        }
        digit_guard(self.prefixed(&parts.join("_")), "_")
    }

    fn utf8_with_suffixes(&self, name: &str, unit: &str, kind: Kind) -> String {
        let mut name = self.prefixed(name);
        let suffix = type_suffix(unit, kind);
        if let Some(suffix) = suffix {
            cut_suffix(&mut name, suffix);
        }
        let (main, per) = unit::words(unit);
        if !per.is_empty() {
            cut_suffix(&mut name, &per);
        }
        for word in [main.as_str(), per.as_str(), suffix.unwrap_or("")] {
            if !word.is_empty() && !name.ends_with(word) {
                name.push('_');
                name.push_str(word);
            }
        }
        name
    }

    /// Writes the label name for an attribute key to the end of `out`; `false` (and nothing written) when
    /// nothing that could be a label name is left of it.
    pub fn label(&self, key: &str, out: &mut String) -> bool {
        if !self.escapes() {
            out.push_str(key);
            return !key.is_empty();
        }
        if !key.bytes().any(|b| b.is_ascii_alphanumeric()) {
            return false;
        }
        let first = key.chars().next().unwrap_or('_');
        if first.is_ascii_digit() {
            out.push_str("key_");
        } else if !first.is_ascii_alphabetic() && !key[first.len_utf8()..].starts_with(foreign_to_labels) {
            // One leading underscore is for Prometheus' own use; two are a reserved name someone asked for.
            out.push_str("key");
        }
        out.extend(key.chars().map(|c| if foreign_to_labels(c) { '_' } else { c }));
        true
    }
}

fn foreign_to_labels(c: char) -> bool {
    !c.is_ascii_alphanumeric()
}

/// The parts of a name between characters that a metric name cannot hold (and underscores, so that runs collapse).
fn tokens(name: &str) -> Vec<&str> {
    name.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':')).filter(|part| !part.is_empty()).collect()
}

fn type_suffix(unit: &str, kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Counter => Some("total"),
        Kind::Gauge if unit == "1" => Some("ratio"),
        _ => None,
    }
}

fn cut_suffix(name: &mut String, suffix: &str) {
    if let Some(rest) = name.strip_suffix(suffix)
        && let Some((at, _)) = rest.char_indices().next_back()
        && at > 0
    {
        name.truncate(at);
    }
}

fn digit_guard(name: String, prefix: &str) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("{prefix}{name}") } else { name }
}

#[cfg(test)]
mod tests;
