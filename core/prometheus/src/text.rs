//! The Prometheus text exposition format, version 0.0.4.

use std::fmt::Write;

/// The `Content-Type` a scrape is answered with.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FamilyType {
    /// Only grows, until a restart.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One scrape's answer. A family is opened once and its samples follow it: the format knows no going back.
#[derive(Debug, Default)]
pub struct TextWriter {
    out: String,
}

impl TextWriter {
    /// Opens a family: its comments. `name` must be a legal metric name.
    pub fn family(&mut self, name: &str, help: &str, kind: FamilyType) {
        if !help.is_empty() {
            self.out.push_str("# HELP ");
            self.out.push_str(name);
            self.out.push(' ');
            escape(&mut self.out, help, false);
            self.out.push('\n');
        }
        let kind = match kind {
            FamilyType::Counter => "counter",
            FamilyType::Gauge => "gauge",
        };
        let _ = writeln!(self.out, "# TYPE {name} {kind}");
    }

    /// One sample. Label names must be legal; values may be any text.
    pub fn sample<'a>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        value: f64,
    ) {
        self.out.push_str(name);
        let mut first = true;
        for (label, text) in labels {
            self.out.push(if std::mem::take(&mut first) { '{' } else { ',' });
            self.out.push_str(label);
            self.out.push_str("=\"");
            escape(&mut self.out, text, true);
            self.out.push('"');
        }
        if !first {
            self.out.push('}');
        }
        self.out.push(' ');
        float(&mut self.out, value);
        self.out.push('\n');
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.out
    }
}

/// Writes a number as Prometheus spells it: `1`, `0.005`, `+Inf`, `NaN`.
pub fn float(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        let _ = write!(out, "{value}");
    }
}

pub(crate) fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FamilyType, TextWriter};

    #[test]
    fn help_and_label_values_are_escaped_as_the_format_asks() {
        let mut text = TextWriter::default();
        text.family("a_total", "line\\one\ntwo \"quoted\"", FamilyType::Counter);
        text.sample("a_total", [("path", "C:\\x\n\"y\""), ("b", "ü")], 3.0);
        text.family("g", "", FamilyType::Gauge);
        text.sample("g", [], f64::NEG_INFINITY);
        text.sample("g", [("k", "v")], 0.1);
        assert_eq!(
            text.finish(),
            "# HELP a_total line\\\\one\\ntwo \"quoted\"\n# TYPE a_total counter\n\
             a_total{path=\"C:\\\\x\\n\\\"y\\\"\",b=\"ü\"} 3\n# TYPE g gauge\ng -Inf\ng{k=\"v\"} 0.1\n"
        );
    }
}
