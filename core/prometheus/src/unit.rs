//! UCUM units as the words Prometheus users write in names.

/// The word for a unit before the `/`; an unknown unit stands for itself.
fn word(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tebibytes",
        // UCUM's prefix is the small k; many SDKs write the large one.
        "kBy" | "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "",
        "%" => "percent",
        other => other,
    }
}

/// The word for a unit after the `/`, in the singular.
fn per(unit: &str) -> &str {
    match unit {
        "s" => "second",
        "m" | "min" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => other,
    }
}

/// A unit as words: what is measured (`bytes`) and per what (`per_second`); either may be empty.
/// Annotations in braces say nothing about the unit and are dropped.
#[must_use]
pub fn words(unit: &str) -> (String, String) {
    let (main, divisor) = unit.split_once('/').unwrap_or((unit, ""));
    let main = main.trim();
    let divisor = divisor.trim();
    let main = if main.contains(['{', '}']) { "" } else { word(main) };
    let divisor = if divisor.contains(['{', '}']) { "" } else { per(divisor) };
    let divisor = if divisor.is_empty() { String::new() } else { format!("per_{divisor}") };
    (main.to_owned(), divisor)
}

/// The unit as Prometheus metadata spells it: `bytes_per_second`.
#[must_use]
pub fn metadata(unit: &str) -> String {
    let (main, divisor) = words(unit);
    match (main.is_empty(), divisor.is_empty()) {
        (false, false) => format!("{main}_{divisor}"),
        (false, true) => main,
        _ => divisor,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn units_become_words() {
        for (unit, expected) in [
            ("s", "seconds"),
            ("ms", "milliseconds"),
            ("By", "bytes"),
            ("KiBy", "kibibytes"),
            ("TiBy", "tebibytes"),
            ("kBy", "kilobytes"),
            ("%", "percent"),
            ("Cel", "celsius"),
            ("Hz", "hertz"),
            ("1", ""),
            ("", ""),
            ("{client}", ""),
            ("m/s", "meters_per_second"),
            ("By/s", "bytes_per_second"),
            ("1/s", "per_second"),
            ("{command}/s", "per_second"),
            ("By/{entry}", "bytes"),
            ("furlong", "furlong"),
        ] {
            assert_eq!(super::metadata(unit), expected, "{unit}");
        }
    }
}
