//! `printf`: its format is read and checked against the types of its arguments when the template is loaded.

use super::call::{Type, Value};
use super::number::{general, plain};

#[derive(Clone, Debug)]
pub(super) struct Format(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Verb { verb: char, left: bool, zeros: bool, plus: bool, width: usize, precision: Option<usize> },
}

/// More than this is a typing error, not a wish.
const MAX_WIDTH: usize = 100;

impl Format {
    pub fn parse(format: &str, arguments: &[Type]) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut expected = arguments.iter();
        let mut chars = format.chars().peekable();
        while let Some(c) = chars.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            let (mut left, mut zeros, mut plus) = (false, false, false);
            while let Some(flag) = chars.next_if(|c| "-0+".contains(*c)) {
                match flag {
                    '-' => left = true,
                    '0' => zeros = true,
                    _ => plus = true,
                }
            }
            let mut number = || {
                let mut digits = String::new();
                while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                (digits, chars.next_if_eq(&'.').is_some())
            };
            let (width, has_precision) = number();
            let precision = has_precision.then(|| number().0);
            let verb = chars.next().ok_or("the format ends within a verb: write %% for a percent sign")?;
            if verb == '%' {
                text.push('%');
                continue;
            }
            let kind = *expected.next().ok_or_else(|| format!("there is no argument for %{verb}"))?;
            match (verb, kind) {
                ('v', _) | ('s' | 'q', Type::Text) | ('f' | 'e' | 'g', Type::Number) => {}
                ('d', Type::Number) => return Err("the value is a float: use %.0f, not %d".into()),
                ('s' | 'q', Type::Number) => {
                    return Err(format!("%{verb} is for text: use %v, %f or %g for a number"));
                }
                ('f' | 'e' | 'g' | 'd', Type::Text) => {
                    return Err(format!("%{verb} is for numbers: use %s or %v for text"));
                }
                _ => return Err(format!("unknown verb %{verb}: known are %v %s %q %f %e %g %%")),
            }
            let limit = |digits: &str| match digits {
                "" => Ok(0),
                digits => digits
                    .parse()
                    .ok()
                    .filter(|n| *n <= MAX_WIDTH)
                    .ok_or_else(|| format!("a width or precision of {digits} is above {MAX_WIDTH}")),
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            let precision = precision.map(|digits| limit(&digits)).transpose()?;
            parts.push(Part::Verb { verb, left, zeros, plus, width: limit(&width)?, precision });
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        match expected.count() {
            0 => Ok(Self(parts)),
            n => Err(format!("{n} argument(s) more than verbs in the format {format:?}")),
        }
    }

    pub fn print(&self, mut arguments: impl Iterator<Item = Value>) -> String {
        let mut out = String::new();
        for part in &self.0 {
            let (text, left, zeros, width) = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Verb { verb, left, zeros, plus, width, precision } => {
                    let Some(argument) = arguments.next() else { break };
                    (one(*verb, *plus, *precision, argument), *left, *zeros, *width)
                }
            };
            let pad = width.saturating_sub(text.chars().count());
            if left {
                out.push_str(&text);
                out.extend(std::iter::repeat_n(' ', pad));
            } else if zeros {
                let digits = text.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
                let signed = digits == 1 && text.starts_with(['-', '+']);
                let (sign, rest) = text.split_at(usize::from(signed));
                out.push_str(sign);
                out.extend(std::iter::repeat_n('0', pad));
                out.push_str(rest);
            } else {
                out.extend(std::iter::repeat_n(' ', pad));
                out.push_str(&text);
            }
        }
        out
    }
}

fn one(verb: char, plus: bool, precision: Option<usize>, argument: Value) -> String {
    let number = match argument {
        Value::Text(text) => {
            let text: String = text.chars().take(precision.unwrap_or(usize::MAX)).collect();
            return if verb == 'q' { format!("{text:?}") } else { text };
        }
        Value::Number(number) => number,
    };
    let mut text = String::new();
    match (verb, precision) {
        _ if !number.is_finite() => plain(number, &mut text),
        ('f', precision) => text = format!("{number:.*}", precision.unwrap_or(6)),
        ('e', precision) => text = exponential(number, precision.unwrap_or(6)),
        (_, Some(precision)) => text = general(number, precision),
        (_, None) => plain(number, &mut text),
    }
    if plus && !text.starts_with(['-', '+']) && !number.is_nan() {
        text.insert(0, '+');
    }
    text
}

/// Rust writes `1.5e3` where C and Go write `1.5e+03`.
fn exponential(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}
