//! Numbers as text.

use std::fmt::Write;

/// A number in full, without exponent.
pub(super) fn plain(value: f64, out: &mut String) {
    if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        // Writing to a String cannot fail. The display of f64 is the shortest text that reads back the same.
        let _ = write!(out, "{value}");
    }
}

/// C's `%.{precision}g`: that many significant digits, no trailing zeros, an exponent when it is below -4 or does not
/// fit.
pub(super) fn general(value: f64, precision: usize) -> String {
    let precision = precision.max(1);
    let mut text = String::new();
    if !value.is_finite() {
        plain(value, &mut text);
        return text;
    }
    if value == 0.0 {
        return "0".into();
    }
    let scientific = format!("{value:.*e}", precision - 1);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= i32::try_from(precision).unwrap_or(i32::MAX) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_zeros(digits), exponent.abs());
    }
    let decimals = usize::try_from(i32::try_from(precision).unwrap_or(i32::MAX) - 1 - exponent).unwrap_or(0);
    without_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
