//! Where a value is read, and what was read.

use streamgauge_redis::{CallResult, Fault, Info, Named, ReadCommand, Value, number};

use super::config::{Check, Op, Wanted, alike};
use crate::scrape::recorder::Number;

/// Where a value is read.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// INFO's field, or `line.member`.
    Field(String),
    /// An answer.
    Command(Named),
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fact {
    Number(Number),
    Text(String),
}

/// Why nothing was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// There is no such thing here, and what may have been meant.
    Absent(String),
    /// It is a text, and a number is wanted.
    NotANumber,
    /// The server refuses, for as long as nobody changes something.
    Refused(Fault, String),
    /// Not now: the budget is spent, the server is busy, the key is on its way to another node.
    Later,
}

/// The commands that sources want of one server, and whose answer is whose.
pub(crate) struct Questions<'a> {
    sources: Vec<&'a Source>,
    commands: Vec<ReadCommand>,
    /// For each source where its answer stands; none where it needs none, or another server is to be asked.
    places: Vec<Option<usize>>,
}

impl<'a> Questions<'a> {
    /// `asks` tells whether this server is asked, about a key or about itself.
    pub(crate) fn new(
        sources: impl Iterator<Item = &'a Source>,
        asks: impl Fn(Option<&[u8]>) -> bool,
    ) -> Self {
        let (sources, mut commands) = (sources.collect::<Vec<_>>(), Vec::new());
        let place = |source: &&Source| match source {
            Source::Command(named) if asks(named.key.as_deref()) => {
                commands.push(named.command.clone());
                Some(commands.len() - 1)
            }
            _ => None,
        };
        let places = sources.iter().map(place).collect();
        Questions { sources, commands, places }
    }

    pub(crate) fn commands(&self) -> &[ReadCommand] {
        &self.commands
    }

    /// What each source says; none where it is not this server's to say.
    pub(crate) fn read(
        &self,
        info: &Info<'_>,
        answers: Option<&[CallResult]>,
    ) -> Vec<Option<Result<Fact, Unread>>> {
        let each = |(source, place): (&&Source, &Option<usize>)| match source {
            Source::Field(field) => Some(field_of(info, field)),
            Source::Command(named) => {
                let answer = answers.map(|answers| answers.get((*place)?));
                match answer {
                    None => place.map(|_| Err(Unread::Later)),
                    Some(answer) => answer_of(named, answer?),
                }
            }
        };
        self.sources.iter().zip(&self.places).map(each).collect()
    }
}

fn field_of(info: &Info<'_>, field: &str) -> Result<Fact, Unread> {
    let member = |(at, _): (usize, &str)| info.field(&field[..at])?.member(&field[at + 1..]);
    match info.text(field).or_else(|| field.match_indices('.').find_map(member)) {
        Some(text) => Ok(Fact::of(text)),
        None => {
            let known = info.fields().iter().map(|field| field.key).collect();
            Err(Unread::Absent(alike(field.split('.').next().unwrap_or(field), &known)))
        }
    }
}

/// None where another server has the key.
fn answer_of(named: &Named, answer: &CallResult) -> Option<Result<Fact, Unread>> {
    let absent = || Err(Unread::Absent(String::new()));
    Some(match answer {
        Ok(Value::Nil) => absent(),
        // The text of a key that is not there, or empty.
        Ok(Value::BulkString(text)) if text.is_empty() => absent(),
        Ok(value) if Named::is_cut(value) => Err(Unread::NotANumber),
        Ok(value) => match number(value) {
            Some(value) if value < 0.0 && named.negative_is_none => absent(),
            Some(value) => Ok(Fact::Number(whole(value))),
            None => Err(Unread::NotANumber),
        },
        Err(error) => match error.fault {
            Fault::Moved => return None,
            Fault::Shed | Fault::TooLong | Fault::Busy => Err(Unread::Later),
            Fault::NoSuchKey => absent(),
            fault => Err(Unread::Refused(fault, error.message.clone())),
        },
    })
}

/// A whole number as one.
fn whole(value: f64) -> Number {
    let is_whole = value.fract() == 0.0 && value.abs() < 9e15;
    if is_whole { Number::Int(value as i64) } else { Number::Double(value) }
}

impl Fact {
    fn of(text: &str) -> Fact {
        match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Fact::Number(Number::Int(number)),
            (_, Ok(number)) if number.is_finite() => Fact::Number(Number::Double(number)),
            _ => Fact::Text(text.to_owned()),
        }
    }

    /// The number.
    pub(crate) fn number(&self) -> Result<Number, Unread> {
        match self {
            Fact::Number(number) => Ok(*number),
            Fact::Text(_) => Err(Unread::NotANumber),
        }
    }

    /// Whether the check holds.
    pub(crate) fn holds(&self, check: &Check) -> Result<bool, Unread> {
        let is_equal = match (&check.value, self) {
            (Wanted::Text(wanted), Fact::Text(text)) => wanted == text,
            (Wanted::Text(_), Fact::Number(_)) => false,
            (Wanted::Number(wanted), fact) => {
                let is = fact.number()?.double();
                match check.op {
                    Op::Less => return Ok(is < *wanted),
                    Op::AtMost => return Ok(is <= *wanted),
                    Op::More => return Ok(is > *wanted),
                    Op::AtLeast => return Ok(is >= *wanted),
                    Op::Is | Op::IsNot => is == *wanted,
                }
            }
        };
        Ok(is_equal == (check.op == Op::Is))
    }
}

impl std::fmt::Display for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fact::Number(Number::Int(number)) => number.fmt(f),
            Fact::Number(Number::Double(number)) => number.fmt(f),
            Fact::Text(text) => f.write_str(text),
        }
    }
}

impl Unread {
    /// The word for attributes; none when it is no lasting state.
    pub(crate) fn as_str(&self) -> Option<&'static str> {
        match self {
            Unread::Absent(_) => Some("absent"),
            Unread::NotANumber => Some("not_a_number"),
            Unread::Refused(fault, _) => Some(fault.as_str()),
            Unread::Later => None,
        }
    }
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unread::Absent(alike) => write!(f, "the server tells no such thing{alike}"),
            Unread::NotANumber => f.write_str("this is no number"),
            Unread::Refused(_, message) => f.write_str(message),
            Unread::Later => f.write_str("the server was not asked, or is busy"),
        }
    }
}
