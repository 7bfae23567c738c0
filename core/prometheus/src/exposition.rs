//! What a scrape is answered with: the text format and OpenMetrics, whole families with histograms and exemplars.
//!
//! The smaller [`crate::text`] has what the collector's own numbers need.

use std::fmt::Write;

use crate::labels::Labels;
use crate::point::Exemplar;
use crate::text::{escape, float};
use crate::write::MetadataType;

/// The language of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => crate::text::CONTENT_TYPE,
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Labels as they stand between the braces, a histogram's `le` left out: it sets that itself. The labels must be
/// finished. With `legacy`, names have no characters but those that every scraper takes.
#[must_use]
pub fn label_text(labels: &Labels, kind: MetadataType, legacy: bool) -> String {
    let own = match kind {
        MetadataType::Histogram => "le",
        _ => "",
    };
    let mut out = String::new();
    for (name, value) in labels.iter().filter(|(name, _)| *name != own) {
        if !out.is_empty() {
            out.push(',');
        }
        if legacy {
            let start = if name.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
            out.push_str(start);
            out.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
        } else {
            quote_unless_legal(&mut out, name);
        }
        out.push_str("=\"");
        escape(&mut out, value, true);
        out.push('"');
    }
    out
}

/// Whether a name needs no quotes.
#[must_use]
pub fn is_legal(name: &str) -> bool {
    let legal = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b':';
    !name.is_empty() && name.bytes().all(legal) && !name.as_bytes()[0].is_ascii_digit()
}

fn quote_unless_legal(out: &mut String, name: &str) {
    if is_legal(name) {
        out.push_str(name);
    } else {
        out.push('"');
        escape(out, name, true);
        out.push('"');
    }
}

/// When a sample was taken, and the measurements that stand for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Of<'a> {
    /// Labels, as [`label_text`] writes them.
    pub labels: &'a str,
    /// Milliseconds since 1970; not said without it.
    pub time_ms: Option<i64>,
    /// Shown in OpenMetrics, on counters and buckets.
    pub exemplars: &'a [Exemplar],
}

/// One answer. A family is opened once and its samples follow it: the formats know no going back.
#[derive(Debug)]
pub struct Exposition {
    format: Format,
    out: String,
    /// The family's name in its samples, and what it is.
    name: String,
    kind: MetadataType,
}

impl Exposition {
    /// An empty answer.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self::with_room(format, 0)
    }

    /// An empty answer with room for so many bytes: one that grows is moved, and there twice meanwhile.
    #[must_use]
    pub fn with_room(format: Format, bytes: usize) -> Self {
        Exposition {
            format,
            out: String::with_capacity(bytes),
            name: String::new(),
            kind: MetadataType::Gauge,
        }
    }

    /// Opens a family: its comments.
    pub fn family(&mut self, name: &str, kind: MetadataType, help: &str, unit: &str) {
        name.clone_into(&mut self.name);
        self.kind = kind;
        let open = self.format == Format::OpenMetrics;
        // OpenMetrics names a counter without the ending that its samples must have.
        let family = if open && kind == MetadataType::Counter {
            name.strip_suffix("_total").unwrap_or(name)
        } else {
            name
        };
        let word = match kind {
            MetadataType::Counter if open && family == name => "unknown",
            MetadataType::Counter => "counter",
            MetadataType::Gauge | MetadataType::Info => "gauge",
            MetadataType::Histogram => "histogram",
            MetadataType::Summary => "summary",
        };
        if !help.is_empty() {
            self.comment("HELP", family);
            escape(&mut self.out, help, open);
            self.out.push('\n');
        }
        self.comment("TYPE", family);
        self.out.push_str(word);
        self.out.push('\n');
        let has_unit = || family.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_'));
        if open && !unit.is_empty() && has_unit() {
            self.comment("UNIT", family);
            self.out.push_str(unit);
            self.out.push('\n');
        }
    }

    fn comment(&mut self, what: &str, family: &str) {
        self.out.extend(["# ", what, " "]);
        quote_unless_legal(&mut self.out, family);
        self.out.push(' ');
    }

    /// A sample of a counter or a gauge, or of a summary's quantile whose label is among the others.
    pub fn number(&mut self, of: Of<'_>, value: f64) {
        let exemplar = (self.kind == MetadataType::Counter).then(|| of.exemplars.last()).flatten();
        self.sample("", of, None, value, exemplar);
    }

    /// A histogram: `bounds` are finite and rise, `below` counts up to each of them.
    pub fn histogram(&mut self, of: Of<'_>, bounds: &[f64], below: &[u64], count: u64, sum: Option<f64>) {
        let mut from = f64::NEG_INFINITY;
        for (bound, below) in bounds.iter().copied().zip(below).chain([(f64::INFINITY, &count)]) {
            let inside = |e: &&Exemplar| e.value > from && e.value <= bound;
            let exemplar = of.exemplars.iter().rfind(inside);
            self.sample("_bucket", of, Some(("le", bound)), *below as f64, exemplar);
            from = bound;
        }
        if let Some(sum) = sum {
            self.sample("_sum", of, None, sum, None);
        }
        self.sample("_count", of, None, count as f64, None);
    }

    /// A summary.
    pub fn summary(&mut self, of: Of<'_>, quantiles: &[(f64, f64)], count: u64, sum: f64) {
        for (quantile, value) in quantiles {
            self.sample("", of, Some(("quantile", *quantile)), *value, None);
        }
        self.sample("_sum", of, None, sum, None);
        self.sample("_count", of, None, count as f64, None);
    }

    fn sample(
        &mut self,
        suffix: &str,
        of: Of<'_>,
        extra: Option<(&str, f64)>,
        value: f64,
        exemplar: Option<&Exemplar>,
    ) {
        let legal = is_legal(&self.name);
        let Self { out, name, .. } = self;
        if legal {
            out.extend([name, suffix]);
        }
        if !legal || !of.labels.is_empty() || extra.is_some() {
            out.push('{');
            let mut comma = false;
            if !legal {
                out.push('"');
                escape(out, name, true);
                out.extend([suffix, "\""]);
                comma = true;
            }
            for text in [of.labels].into_iter().filter(|text| !text.is_empty()) {
                out.push_str(if comma { "," } else { "" });
                out.push_str(text);
                comma = true;
            }
            if let Some((label, bound)) = extra {
                out.extend([if comma { "," } else { "" }, label, "=\""]);
                if self.format == Format::OpenMetrics {
                    canonical(out, bound)
                } else {
                    float(out, bound)
                }
                out.push('"');
            }
            out.push('}');
        }
        out.push(' ');
        float(out, value);
        if let Some(ms) = of.time_ms {
            out.push(' ');
            self.time(ms);
        }
        if self.format == Format::OpenMetrics
            && let Some(exemplar) = exemplar
        {
            self.exemplar(exemplar);
        }
        self.out.push('\n');
    }

    /// Milliseconds in the text format, seconds in OpenMetrics.
    fn time(&mut self, ms: i64) {
        let _ = match self.format {
            Format::Text => write!(self.out, "{ms}"),
            Format::OpenMetrics => {
                let sign = if ms < 0 { "-" } else { "" };
                let ms = ms.unsigned_abs();
                write!(self.out, "{sign}{}.{:03}", ms / 1000, ms % 1000)
            }
        };
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        self.out.push_str(" # {");
        for (at, (name, value)) in exemplar.labels.iter().enumerate() {
            self.out.push_str(if at > 0 { "," } else { "" });
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape(&mut self.out, value, true);
            self.out.push('"');
        }
        self.out.push_str("} ");
        float(&mut self.out, exemplar.value);
        if exemplar.time_ms > 0 {
            self.out.push(' ');
            self.time(exemplar.time_ms);
        }
    }

    /// The text.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

/// As OpenMetrics spells a bound: always with a decimal point.
fn canonical(out: &mut String, bound: f64) {
    let start = out.len();
    float(out, bound);
    if bound.is_finite() && !out[start..].contains('.') {
        out.push_str(".0");
    }
}

#[cfg(test)]
mod tests {
    use super::{Exposition, Format, Of, label_text};
    use crate::labels::{Labels, Rank};
    use crate::point::Exemplar;
    use crate::write::MetadataType::{self, Counter, Gauge, Histogram, Summary};

    fn text(pairs: &[(&str, &str)], kind: MetadataType) -> String {
        let mut labels = Labels::default();
        pairs.iter().for_each(|(name, value)| labels.push(Rank::Attribute, name, value));
        labels.finish();
        label_text(&labels, kind, false)
    }

    fn exemplar(value: f64) -> Exemplar {
        Exemplar { time_ms: 1_500, value, labels: vec![("trace_id".into(), "ab\"c".into())] }
    }

    fn all(format: Format) -> String {
        let mut out = Exposition::new(format);
        let exemplars = [exemplar(0.5), exemplar(7.0)];
        out.family("a_bytes_total", Counter, "line\none \"two\"", "bytes");
        let labels = text(&[("k", "v\n\"\\"), ("", "none")], Counter);
        out.number(Of { labels: &labels, time_ms: Some(2_005), exemplars: &exemplars }, 3.0);
        out.family("odd", Counter, "", "");
        out.number(Of::default(), f64::INFINITY);
        out.family("h", Histogram, "", "s");
        let labels = text(&[("a", "b"), ("le", "mine")], Histogram);
        let of = Of { labels: &labels, exemplars: &exemplars, ..Of::default() };
        out.histogram(of, &[1.0, 2.5], &[3, 4], 5, Some(9.5));
        out.family("s", Summary, "", "");
        out.summary(Of::default(), &[(0.5, 2.0)], 4, 8.0);
        out.family("my.gauge", Gauge, "", "");
        out.number(Of { labels: &text(&[("a.b", "c")], Gauge), ..Of::default() }, f64::NAN);
        out.finish()
    }

    #[test]
    fn the_text_format_is_spelled_as_prometheus_reads_it() {
        assert_eq!(
            all(Format::Text),
            "# HELP a_bytes_total line\\none \"two\"
# TYPE a_bytes_total counter
a_bytes_total{k=\"v\\n\\\"\\\\\"} 3 2005
# TYPE odd counter
odd +Inf
# TYPE h histogram
h_bucket{a=\"b\",le=\"1\"} 3
h_bucket{a=\"b\",le=\"2.5\"} 4
h_bucket{a=\"b\",le=\"+Inf\"} 5
h_sum{a=\"b\"} 9.5
h_count{a=\"b\"} 5
# TYPE s summary
s{quantile=\"0.5\"} 2
s_sum 8
s_count 4
# TYPE \"my.gauge\" gauge
{\"my.gauge\",\"a.b\"=\"c\"} NaN
"
        );
    }

    #[test]
    fn openmetrics_has_exemplars_units_seconds_and_an_end() {
        let trace = "# {trace_id=\"ab\\\"c\"}";
        let expected = format!(
            "# HELP a_bytes line\\none \\\"two\\\"
# TYPE a_bytes counter
# UNIT a_bytes bytes
a_bytes_total{{k=\"v\\n\\\"\\\\\"}} 3 2.005 {trace} 7 1.500
# TYPE odd unknown
odd +Inf
# TYPE h histogram
h_bucket{{a=\"b\",le=\"1.0\"}} 3 {trace} 0.5 1.500
h_bucket{{a=\"b\",le=\"2.5\"}} 4
h_bucket{{a=\"b\",le=\"+Inf\"}} 5 {trace} 7 1.500
h_sum{{a=\"b\"}} 9.5
h_count{{a=\"b\"}} 5
# TYPE s summary
s{{quantile=\"0.5\"}} 2
s_sum 8
s_count 4
# TYPE \"my.gauge\" gauge
{{\"my.gauge\",\"a.b\"=\"c\"}} NaN
# EOF
"
        );
        assert_eq!(all(Format::OpenMetrics), expected);
    }
}
