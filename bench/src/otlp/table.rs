//! Medians, ratios, and the table as text, Markdown and JSON.

use serde_json::{Value, json};

use super::promise::{self, Promise};
use super::rows::Row;
use super::run::Measured;
use super::subject::Subject;

/// A row with all its runs.
pub struct Done {
    pub row: Row,
    /// When it was run.
    pub date: String,
    pub runs: Vec<Measured>,
}

impl Done {
    /// Subjects in the order in which they first ran.
    fn subjects(&self) -> Vec<Subject> {
        let mut found = Vec::new();
        for run in &self.runs {
            if !found.contains(&run.subject) {
                found.push(run.subject);
            }
        }
        found
    }

    pub fn of(&self, subject: Subject) -> impl Iterator<Item = &Measured> {
        self.runs.iter().filter(move |run| run.subject == subject)
    }

    pub fn median(&self, subject: Subject, value: impl Fn(&Measured) -> f64) -> f64 {
        median(self.of(subject).map(value).collect())
    }

    pub fn sum(&self, subject: Subject, value: impl Fn(&Measured) -> u64) -> u64 {
        self.of(subject).map(value).sum()
    }

    fn cpu(&self, subject: Subject) -> f64 {
        self.median(subject, |run| run.cpu_ns)
    }

    pub fn base(&self) -> Subject {
        self.row.base_subject()
    }

    /// What was promised of this row and whether it held.
    pub fn promises(&self) -> Vec<Promise> {
        promise::of(self)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

const COLUMNS: usize = 18;

const HEAD: [&str; COLUMNS] = [
    "row",
    "subject",
    "runs",
    "CPU ns/rec",
    "of base",
    "of ours",
    "records/s",
    "p50 ms",
    "p99 ms",
    "RSS MiB",
    "peak MiB",
    "B/rec out",
    "acked",
    "delivered",
    "lost",
    "twice",
    "later",
    "refused",
];

fn cells(done: &[&Done]) -> Vec<[String; COLUMNS]> {
    let mut lines = Vec::new();
    for row in done {
        for subject in row.subjects() {
            let cpu = row.cpu(subject);
            let ratio = |to: Subject| match cpu / row.cpu(to) {
                ratio if ratio.is_finite() => format!("{ratio:.2}"),
                _ => "-".to_owned(),
            };
            let number = |value: fn(&Measured) -> f64, digits: usize| match row.median(subject, value) {
                median if median.is_finite() => format!("{median:.digits$}"),
                _ => "-".to_owned(),
            };
            lines.push([
                row.row.name.clone(),
                subject.name().to_owned(),
                row.of(subject).count().to_string(),
                format!("{cpu:.0}"),
                ratio(row.base()),
                ratio(Subject::Ours),
                number(|run| run.rate, 0),
                number(|run| run.p50_us / 1e3, 2),
                number(|run| run.p99_us / 1e3, 2),
                number(|run| run.rss_mib, 0),
                number(|run| run.peak_mib, 0),
                number(|run| run.bytes_out, 1),
                row.sum(subject, |run| run.acked).to_string(),
                row.sum(subject, |run| run.delivered).to_string(),
                row.sum(subject, |run| run.lost).to_string(),
                row.of(subject)
                    .filter_map(|run| run.duplicated)
                    .reduce(|a, b| a + b)
                    .map_or("-".to_owned(), |n| n.to_string()),
                row.sum(subject, |run| run.refused_with_delay).to_string(),
                row.sum(subject, |run| run.refused + run.failed).to_string(),
            ]);
        }
    }
    lines
}

/// Aligned columns, then the promises.
pub fn text(done: &[&Done]) -> String {
    let lines = cells(done);
    let head = HEAD.map(str::to_owned);
    let width = |n: usize| lines.iter().chain([&head]).map(|line| line[n].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let aligned = |line: &[String; COLUMNS]| {
        let cells = line.iter().zip(&widths).enumerate().map(|(n, (cell, width))| match n {
            0 | 1 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    let mut out = vec![aligned(&head)];
    out.extend(lines.iter().map(aligned));
    out.push(String::new());
    for promise in done.iter().flat_map(|done| done.promises()) {
        out.push(format!("{:<5} {}", if promise.holds { "ok" } else { "OVER" }, promise.text));
    }
    out.join("\n")
}

/// The same as Markdown, without the promises.
pub fn markdown(done: &[&Done]) -> String {
    let mut out =
        vec![format!("| {} |", HEAD.join(" | ")), format!("|---|---{}|", "|---:".repeat(COLUMNS - 2))];
    out.extend(cells(done).iter().map(|line| format!("| {} |", line.join(" | "))));
    out.join("\n") + "\n"
}

/// The promises as a Markdown list.
pub fn verdicts(done: &[&Done]) -> String {
    let line = |p: Promise| format!("- {}: {}\n", if p.holds { "ok" } else { "**over**" }, p.text);
    done.iter().flat_map(|done| done.promises()).map(line).collect()
}

/// The rows of an earlier [`json`] that this run leaves alone; what cannot be read is left out.
pub fn kept(json: &Value, rows: &[Row], again: &[Row]) -> Vec<Done> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let read = |old: &Value| {
        let is = |row: &&Row| old["name"] == *row.name;
        let row = rows.iter().find(is)?.clone();
        if again.iter().any(|row| is(&row)) {
            return None;
        }
        let runs = serde_json::from_value(old["runs"].clone()).ok()?;
        Some(Done { row, date: text(&old["date"]), runs })
    };
    json["rows"].as_array().into_iter().flatten().filter_map(read).collect()
}

/// Every run of every row.
pub fn json(done: &[&Done], about: &Value) -> Value {
    let rows: Vec<Value> = done
        .iter()
        .map(|done| {
            let row = &done.row;
            json!({
                "name": row.name,
                "signal": row.signal.name(),
                "transport": row.transport,
                "compression": row.packing,
                "job": format!("{:?}", row.job).to_lowercase(),
                "sink": format!("{:?}", row.sink).to_lowercase(),
                "records_a_request": row.records,
                "resources_a_request": row.groups,
                "offered_a_second": row.rate,
                "in_flight": row.in_flight,
                "connections": row.connections,
                "date": done.date,
                "promises": done.promises().iter()
                    .map(|p| json!({"text": p.text, "holds": p.holds})).collect::<Vec<_>>(),
                "runs": done.runs,
            })
        })
        .collect();
    json!({"about": about, "rows": rows})
}

#[cfg(test)]
mod tests {
    use super::super::promise::Bound;
    use super::*;

    fn measured(subject: Subject, cpu_ns: f64, lost: u64) -> Measured {
        Measured {
            cpu_ns,
            rate: 1e5,
            p50_us: 500.0,
            p99_us: 900.0,
            rss_mib: 12.0,
            peak_mib: 13.0,
            bytes_out: 262.0,
            acked: 1000,
            delivered: 1000 - lost,
            lost,
            ..Measured::nothing(subject)
        }
    }

    fn done(ours: f64, lost: u64) -> Done {
        let row = super::super::rows::all().remove(0);
        let runs = [(Subject::Floor, 600.0), (Subject::Ours, ours), (Subject::Go, 3600.0)];
        Done {
            row,
            date: "today".to_owned(),
            runs: runs.map(|(subject, cpu)| measured(subject, cpu, lost)).to_vec(),
        }
    }

    #[test]
    fn a_median_stands_in_the_middle_whatever_the_order() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), 3.0);
        assert!(median(vec![]).is_nan());
    }

    #[test]
    fn promises_are_held_against_base_peer_and_losses() {
        let holds = |done: Done| done.promises().iter().map(|p| p.holds).collect::<Vec<_>>();
        assert_eq!(holds(done(650.0, 0)), [true, true, true]);
        assert_eq!(holds(done(750.0, 0)), [false, false, true]);
        assert_eq!(holds(done(650.0, 7)), [true, true, false]);
        let held_to = |bounds| Done { row: Row { bounds, ..done(650.0, 0).row }, ..done(650.0, 0) };
        // Every subject sent the same bytes at the same rate, and had 13 MiB at most.
        assert_eq!(holds(held_to(&[Bound::GoRate(1.1), Bound::GoBytes(1.0)])), [false, true, true]);
        assert_eq!(holds(held_to(&[Bound::Peak(12), Bound::OnlyRetryable])), [false, true, true]);
    }

    #[test]
    fn text_and_markdown_have_a_line_a_subject_and_columns_line_up() {
        let text = text(&[&done(660.0, 0)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].len(), lines[2].len());
        assert!(lines[2].contains("streamgauge") && lines[2].contains("1.10"), "{}", lines[2]);
        assert!(
            markdown(&[&done(660.0, 0)])
                .contains("| pass-logs-grpc | go collector | 1 | 3600 | 6.00 | 5.45 |")
        );
    }

    #[test]
    fn json_keeps_every_run() {
        let json = json(&[&done(660.0, 0)], &json!({"cpu": "x"}));
        assert_eq!(json["rows"][0]["runs"][2]["subject"], "go collector");
        assert_eq!(json["rows"][0]["runs"][2]["cpu_ns"], 3600.0);
        assert_eq!(json["about"]["cpu"], "x");
        let rows = super::super::rows::all();
        let again = kept(&json, &rows, &[]);
        assert_eq!((again.len(), again[0].runs.len(), &*again[0].date), (1, 3, "today"));
        assert!(kept(&json, &rows, &rows[..1]).is_empty());
    }
}
