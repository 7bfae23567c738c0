//! Rows, and how they are printed.

use serde_json::{Value, json};

/// What a number may be.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
    /// It is there to be known.
    None,
}

impl Limit {
    fn text(self) -> String {
        match self {
            Limit::AtMost(limit) | Limit::AtLeast(limit) => format!("{limit:.2}"),
            Limit::None => "-".to_owned(),
        }
    }
}

/// One measured number with its limit.
pub struct Row {
    /// What was measured.
    pub name: &'static str,
    /// The unit of both numbers.
    pub unit: &'static str,
    /// What it may be.
    pub limit: Limit,
    /// What it was.
    pub measured: f64,
}

impl Row {
    /// Whether the limit was kept.
    pub fn holds(&self) -> bool {
        match self.limit {
            Limit::AtMost(most) => self.measured <= most,
            Limit::AtLeast(least) => self.measured >= least,
            Limit::None => true,
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.limit, self.holds()) {
            (Limit::None, _) => "",
            (_, true) => "ok",
            (Limit::AtMost(_), false) => "OVER",
            (Limit::AtLeast(_), false) => "UNDER",
        }
    }
}

/// Aligned columns.
pub fn text(rows: &[Row]) -> String {
    let mut lines =
        vec![format!("{:<42} {:>9} {:>9}  {:<9} {}", "what", "limit", "measured", "unit", "verdict")];
    for row in rows {
        let Row { name, unit, limit, measured } = row;
        lines.push(format!("{name:<42} {:>9} {measured:>9.2}  {unit:<9} {}", limit.text(), row.verdict()));
    }
    lines.join("\n")
}

/// The same as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut out = "| what | limit | measured | unit | |\n|---|---:|---:|---|---|\n".to_owned();
    for row in rows {
        let Row { name, unit, limit, measured } = row;
        out += &format!("| {name} | {} | {measured:.2} | {unit} | {} |\n", limit.text(), row.verdict());
    }
    out
}

/// One object a row.
pub fn json(rows: &[Row]) -> Value {
    let row = |r: &Row| {
        let (most, least) = match r.limit {
            Limit::AtMost(most) => (Some(most), None),
            Limit::AtLeast(least) => (None, Some(least)),
            Limit::None => (None, None),
        };
        json!({"name": r.name, "unit": r.unit, "at_most": most, "at_least": least, "measured": r.measured, "ok": r.holds()})
    };
    json!({"rows": rows.iter().map(row).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Row = Row { name: "ready", unit: "ms", limit: Limit::AtMost(200.0), measured: 40.5 };
    const BROKEN: Row = Row { name: "memory", unit: "MiB", limit: Limit::AtMost(20.0), measured: 20.1 };

    #[test]
    fn a_row_over_its_limit_says_so_and_columns_line_up() {
        let lines: Vec<_> = text(&[KEPT, BROKEN]).lines().map(str::to_owned).collect();
        assert!(lines[1].ends_with(" ok") && lines[2].ends_with(" OVER"));
        let column = |line: &str, word: &str| line.find(word).map(|at| at + word.len());
        assert_eq!(column(&lines[0], "measured"), column(&lines[1], "40.50"));
        assert_eq!(column(&lines[0], "measured"), column(&lines[2], "20.10"));
    }

    #[test]
    fn markdown_has_a_line_a_row() {
        assert!(markdown(&[KEPT, BROKEN]).ends_with("| memory | 20.00 | 20.10 | MiB | OVER |\n"));
    }

    #[test]
    fn json_has_every_row() {
        let parsed = json(&[KEPT, BROKEN]);
        assert_eq!(parsed["rows"][0]["ok"], true);
        assert_eq!(parsed["rows"][1]["measured"], 20.1);
    }
}
