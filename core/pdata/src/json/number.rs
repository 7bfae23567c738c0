//! Numbers from their decimal text, exactly.

use super::token::number_len;

/// An integer: whether there is a minus before it, and what is behind that. `1.0` and `1e3` are integers too, as in
/// proto3's JSON. `None` when it is none, or has no room in 64 bits.
pub(super) fn integer(text: &[u8]) -> Option<(bool, u64)> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for &byte in digits {
        match byte {
            b'0'..=b'9' => value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?,
            b'.' | b'e' | b'E' => return decimal(digits).map(|value| (negative, value)),
            _ => return None,
        }
    }
    Some((negative, value))
}

/// An integer that is written with a fraction or an exponent.
fn decimal(text: &[u8]) -> Option<u64> {
    if number_len(text) != Some(text.len()) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = whole.bytes().chain(fraction.bytes());
    let value = digits
        .map(|digit| u128::from(digit - b'0'))
        .try_fold(0u128, |value, digit| value.checked_mul(10)?.checked_add(digit))?;
    if value == 0 {
        return Some(0);
    }
    let exponent = exponent.parse::<i64>().ok()?.checked_sub(fraction.len() as i64)?;
    let power = 10u128.checked_pow(u32::try_from(exponent.unsigned_abs()).ok()?)?;
    let value = match exponent {
        0.. => value.checked_mul(power)?,
        _ if value.is_multiple_of(power) => value / power,
        _ => return None,
    };
    u64::try_from(value).ok()
}

/// A double that JSON's grammar knows, or one of the three words. `None` when it is none, or infinite without saying so.
pub(super) fn double(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ if number_len(text) == Some(text.len()) => {
            std::str::from_utf8(text).ok()?.parse().ok().filter(|value: &f64| value.is_finite())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_however_they_are_written() {
        for (text, expected) in [
            ("0", Some((false, 0))),
            ("-0", Some((true, 0))),
            ("18446744073709551615", Some((false, u64::MAX))),
            ("18446744073709551616", None),
            ("1700000000123456789.000", Some((false, 1_700_000_000_123_456_789))),
            ("1.8446744073709551615e19", Some((false, u64::MAX))),
            ("-12e2", Some((true, 1200))),
            ("1200e-2", Some((false, 12))),
            ("1e-1", None),
            ("0e999999999999", Some((false, 0))),
            ("1e99999", None),
            ("1.5", None),
            ("", None),
            ("-", None),
            (" 1", None),
            ("+1", None),
            ("1.", None),
            ("0x10", None),
        ] {
            assert_eq!(integer(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn doubles_are_json_numbers_or_three_words() {
        assert_eq!(double(b"-1.5e3"), Some(-1500.0));
        assert_eq!(double(b"-Infinity"), Some(f64::NEG_INFINITY));
        assert!(double(b"NaN").is_some_and(f64::is_nan));
        for text in ["inf", "nan", "+1", ".5", "1.", "1e999", "", "01"] {
            assert_eq!(double(text.as_bytes()), None, "{text}");
        }
    }
}
