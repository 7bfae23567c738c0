//! Exemplars: single measurements, with the trace that they were made in.

use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::{ExemplarView, Messages};

use crate::point::Exemplar;

/// What OpenMetrics allows the names and values of an exemplar's labels to add up to, in characters.
const MOST: usize = 128;

/// Adds a point's exemplars. Labels that do not fit are left out, the trace's last.
pub(super) fn read<'a>(
    exemplars: Messages<'a, ExemplarView<'a>>,
    out: &mut Vec<Exemplar>,
) -> Result<(), Malformed> {
    for exemplar in exemplars {
        let exemplar = exemplar?;
        let Some(value) = exemplar.value else { continue };
        let mut labels: Vec<(String, String)> = Vec::new();
        let mut room = MOST;
        let mut add = |name: &str, value: String| {
            let size = name.chars().count() + value.chars().count();
            if size <= room && !value.is_empty() && labels.iter().all(|(other, _)| other != name) {
                room -= size;
                labels.push((name.to_owned(), value));
            }
        };
        add("trace_id", hex(exemplar.trace_id));
        add("span_id", hex(exemplar.span_id));
        for attribute in exemplar.filtered_attributes() {
            let (key, value) = attribute?;
            let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            let mut name: String = key.chars().map(legal).collect();
            if name.starts_with(|c: char| c.is_ascii_digit()) {
                name.insert_str(0, "key_");
            }
            add(&name, value.to_text()?.into_owned());
        }
        labels.sort();
        let time_ms = i64::try_from(exemplar.time / 1_000_000).unwrap_or(i64::MAX);
        out.push(Exemplar { time_ms, value: value.as_f64(), labels });
    }
    Ok(())
}

/// Empty for an id that is none.
fn hex(id: &[u8]) -> String {
    if id.iter().all(|byte| *byte == 0) {
        return String::new();
    }
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
