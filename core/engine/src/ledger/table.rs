//! The ledger for people.

use std::fmt;

use streamgauge_component::Reason;

use super::{Ledger, LedgerRow, Summary};

const HEADS: [&str; 9] =
    ["COMPONENT", "SIGNAL", "IN", "CREATED", "OUT", "HELD", "DELIVERED", "DROPPED", "RETURNED"];

/// One line a component that anything came to, numbers aligned; reasons at the end of the line.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<&LedgerRow> = self.rows.iter().filter(|row| row.is_used()).collect();
        let cells: Vec<[String; 9]> =
            std::iter::once(HEADS.map(str::to_owned)).chain(rows.iter().map(|row| row.cells())).collect();
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..HEADS.len()).map(width).collect();
        for (at, row) in cells.iter().enumerate() {
            let line = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 | 1 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            let line = line.collect::<Vec<_>>().join("  ");
            let why = at.checked_sub(1).and_then(|at| rows.get(at)).map(|row| row.reasons());
            writeln!(f, "{}", format!("{line}  {}", why.unwrap_or_default()).trim_end())?;
        }
        Ok(())
    }
}

impl LedgerRow {
    fn is_used(&self) -> bool {
        self.taken + self.created + self.out + self.held > 0 || !self.refused.is_empty()
    }

    fn cells(&self) -> [String; 9] {
        let name = format!("{}/{}", self.kind.as_str(), self.component);
        let name = if self.pipeline.is_empty() { name } else { format!("{name} ({})", self.pipeline) };
        let numbers = [self.taken, self.created, self.out, self.held, self.delivered];
        let [taken, created, out, held, delivered] = numbers.map(|n| n.to_string());
        let (dropped, returned) = (super::sum(&self.dropped), super::sum(&self.returned));
        let signal = self.signal.name().to_owned();
        [name, signal, taken, created, out, held, delivered, dropped.to_string(), returned.to_string()]
    }

    fn reasons(&self) -> String {
        let list = |what: &str, counts: &[(Reason, u64)]| {
            counts.iter().map(|(reason, n)| format!("{what} {reason} {n}")).collect::<Vec<_>>()
        };
        let lists = [
            list("dropped", &self.dropped),
            list("returned", &self.returned),
            list("refused", &self.refused),
        ];
        lists.concat().join(", ")
    }
}

/// `received 10, delivered 7, dropped 2, returned 1, refused 0, held 0`.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { received, delivered, dropped, returned, refused, held } = self;
        write!(
            f,
            "received {received}, delivered {delivered}, dropped {dropped}, returned {returned}, refused {refused}, held {held}"
        )
    }
}

#[cfg(test)]
mod tests {
    use streamgauge_component::{Kind, Registry, Signal};

    use super::*;

    #[test]
    fn the_table_is_aligned_and_names_reasons_and_the_json_adds_up_by_component_edge_and_pipeline() {
        let registry = Registry::default();
        registry.edge("logs", "receiver/otlp", "processor/batch", Signal::Logs).items.add(1000);
        registry.edge("logs", "processor/batch", "exporter/x", Signal::Logs).items.add(990);
        let node = |pipeline, id, kind| registry.node(pipeline, id, kind, Signal::Logs);
        node("", "otlp", Kind::Receiver).refused.add(Reason::Malformed, 3);
        node("logs", "batch", Kind::Processor).held_items.add(10);
        let exporter = node("", "x", Kind::Exporter);
        exporter.delivered.add(980);
        exporter.dropped.add(Reason::PeerRefused, 10);
        node("", "idle", Kind::Exporter);
        let ledger = Ledger::read(&registry);
        let text = "\
COMPONENT               SIGNAL    IN  CREATED   OUT  HELD  DELIVERED  DROPPED  RETURNED
receiver/otlp           logs    1000        0  1000     0          0        0         0  refused malformed 3
processor/batch (logs)  logs    1000        0   990    10          0        0         0
exporter/x              logs     990        0     0     0        980       10         0  dropped peer_refused 10
";
        assert_eq!(ledger.to_string(), text);
        assert!(ledger.rows.iter().all(|row| row.difference() == 0));
        let summary = "received 1000, delivered 980, dropped 10, returned 0, refused 3, held 10";
        assert_eq!(ledger.summary().to_string(), summary);
        let json = serde_json::to_value(&ledger).unwrap();
        assert_eq!(json["components"][3]["dropped"]["peer_refused"], 10);
        assert_eq!(
            (&json["edges"][0]["items"], &json["edges"][0]["from"]),
            (&1000.into(), &"receiver/otlp".into())
        );
        let pipeline = &json["pipelines"][0];
        assert_eq!(
            (&pipeline["pipeline"], &pipeline["in"], &pipeline["out"], &pipeline["held"]),
            (&"logs".into(), &1000.into(), &990.into(), &10.into())
        );
    }
}
