//! Rows, and how they are printed.

use serde_json::json;

/// One measured number with its upper limit.
pub struct Row {
    /// What was measured.
    pub name: &'static str,
    /// The unit of both numbers.
    pub unit: &'static str,
    /// The most it may be.
    pub limit: f64,
    /// What it was.
    pub measured: f64,
}

impl Row {
    /// Whether the limit was kept.
    pub fn holds(&self) -> bool {
        self.measured <= self.limit
    }

    fn verdict(&self) -> &'static str {
        if self.holds() { "ok" } else { "OVER" }
    }
}

/// Aligned columns.
pub fn text(rows: &[Row]) -> String {
    let mut lines =
        vec![format!("{:<34} {:>9} {:>9}  {:<9} {}", "what", "limit", "measured", "unit", "verdict")];
    for row in rows {
        let Row { name, unit, limit, measured } = row;
        lines.push(format!("{name:<34} {limit:>9.2} {measured:>9.2}  {unit:<9} {}", row.verdict()));
    }
    lines.join("\n")
}

/// One object a row.
pub fn json(rows: &[Row]) -> String {
    let row = |r: &Row| json!({"name": r.name, "unit": r.unit, "limit": r.limit, "measured": r.measured, "ok": r.holds()});
    json!({"rows": rows.iter().map(row).collect::<Vec<_>>()}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Row = Row { name: "ready", unit: "ms", limit: 200.0, measured: 40.5 };
    const BROKEN: Row = Row { name: "memory", unit: "MiB", limit: 20.0, measured: 20.1 };

    #[test]
    fn a_row_over_its_limit_says_so_and_columns_line_up() {
        let lines: Vec<_> = text(&[KEPT, BROKEN]).lines().map(str::to_owned).collect();
        assert!(lines[1].ends_with(" ok") && lines[2].ends_with(" OVER"));
        let column = |line: &str, word: &str| line.find(word).map(|at| at + word.len());
        assert_eq!(column(&lines[0], "measured"), column(&lines[1], "40.50"));
        assert_eq!(column(&lines[0], "measured"), column(&lines[2], "20.10"));
    }

    #[test]
    fn json_has_every_row() {
        let parsed: serde_json::Value = serde_json::from_str(&json(&[KEPT, BROKEN])).unwrap();
        assert_eq!(parsed["rows"][0]["ok"], true);
        assert_eq!(parsed["rows"][1]["measured"], 20.1);
    }
}
