//! Numbers for people, with Prometheus' rules: four significant digits and a unit prefix.

use super::number::general;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

/// With metric prefixes: 1234567 is `1.235M`.
pub(super) fn decimal(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return general(value, 4);
    }
    let (value, prefix) = if value.abs() >= 1.0 { divide(value, 1000.0, &LARGE) } else { multiply(value) };
    general(value, 4) + prefix
}

/// With binary prefixes: 1048576 is `1Mi`.
pub(super) fn binary(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return general(value, 4);
    }
    let (value, prefix) = divide(value, 1024.0, &BINARY);
    general(value, 4) + prefix
}

/// A ratio in percent: 0.1234 is `12.34%`.
pub(super) fn percentage(value: f64) -> String {
    general(value * 100.0, 4) + "%"
}

/// Seconds as days, hours, minutes and seconds: 3661 is `1h 1m 1s`; below a second with a prefix: `12ms`.
pub(super) fn duration(value: f64) -> String {
    if !value.is_finite() {
        return general(value, 4);
    }
    if value == 0.0 {
        return "0s".into();
    }
    if value.abs() < 1.0 {
        let (value, prefix) = multiply(value);
        return general(value, 4) + prefix + "s";
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let seconds = value.abs();
    let whole = seconds.floor();
    let (days, hours) = ((whole / 86_400.0).floor(), (whole / 3_600.0).floor() % 24.0);
    let (minutes, rest) = ((whole / 60.0).floor() % 60.0, whole % 60.0);
    if days > 0.0 {
        format!("{sign}{days}d {hours}h {minutes}m {rest}s")
    } else if hours > 0.0 {
        format!("{sign}{hours}h {minutes}m {rest}s")
    } else if minutes > 0.0 {
        format!("{sign}{minutes}m {rest}s")
    } else {
        format!("{sign}{}s", general(seconds, 4))
    }
}

fn divide(mut value: f64, by: f64, prefixes: &[&'static str]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < by {
            break;
        }
        value /= by;
        prefix = next;
    }
    (value, prefix)
}

fn multiply(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        value *= 1000.0;
        prefix = next;
    }
    (value, prefix)
}
