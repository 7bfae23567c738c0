//! Expressions: their types, known when the template is loaded, and their values.

use super::printf::Format;
use super::{humanize, number};
use crate::Labels;

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Value,
    Label(String),
    Text(String),
    Number(f64),
    Call(Function, Vec<Expr>),
}

#[derive(Clone, Debug)]
pub(super) enum Function {
    Printf(Format),
    /// From a number.
    Humanize(fn(f64) -> String),
    /// From a text.
    Case(fn(&str) -> String),
}

/// What an expression is at load time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Number,
    Text,
}

/// What an expression is at render time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Text(String),
}

impl Value {
    pub fn print(&self, out: &mut String) {
        match self {
            Value::Number(value) => number::plain(*value, out),
            Value::Text(text) => out.push_str(text),
        }
    }
}

impl Expr {
    pub fn kind(&self) -> Type {
        match self {
            Expr::Value | Expr::Number(_) => Type::Number,
            Expr::Label(_) | Expr::Text(_) | Expr::Call(..) => Type::Text,
        }
    }

    pub fn eval(&self, labels: &Labels, value: f64) -> Value {
        match self {
            Expr::Value => Value::Number(value),
            Expr::Number(number) => Value::Number(*number),
            Expr::Text(text) => Value::Text(text.clone()),
            Expr::Label(name) => Value::Text(labels.get(name).unwrap_or_default().to_owned()),
            Expr::Call(function, arguments) => {
                let mut arguments = arguments.iter().map(|argument| argument.eval(labels, value));
                Value::Text(match function {
                    Function::Printf(format) => format.print(arguments),
                    Function::Humanize(function) => match arguments.next() {
                        Some(Value::Number(number)) => function(number),
                        // A label that holds a number is one; any other text stays as it is.
                        Some(Value::Text(text)) => text.trim().parse().map(function).unwrap_or(text),
                        None => String::new(),
                    },
                    Function::Case(function) => {
                        let mut text = String::new();
                        if let Some(argument) = arguments.next() {
                            argument.print(&mut text);
                        }
                        function(&text)
                    }
                })
            }
        }
    }
}

impl Function {
    /// The call of a function by name, its arguments checked.
    pub fn bind(name: &str, mut arguments: Vec<Expr>) -> Result<Expr, String> {
        let function = match name {
            "printf" => {
                if arguments.is_empty() {
                    return Err("printf needs a format: printf \"%.2f\" $value".into());
                }
                let Expr::Text(format) = arguments.remove(0) else {
                    return Err("the format of printf must be a text in quotes".into());
                };
                let kinds: Vec<Type> = arguments.iter().map(Expr::kind).collect();
                return Ok(Expr::Call(Function::Printf(Format::parse(&format, &kinds)?), arguments));
            }
            "humanize" => Function::Humanize(humanize::decimal),
            "humanize1024" => Function::Humanize(humanize::binary),
            "humanizeDuration" => Function::Humanize(humanize::duration),
            "humanizePercentage" => Function::Humanize(humanize::percentage),
            "toUpper" => Function::Case(str::to_uppercase),
            "toLower" => Function::Case(str::to_lowercase),
            "title" => Function::Case(title),
            _ => {
                return Err(format!(
                    "unknown function {name:?}: known are printf, humanize, humanize1024, humanizeDuration, \
                     humanizePercentage, toUpper, toLower, title, index"
                ));
            }
        };
        match arguments.len() {
            1 => Ok(Expr::Call(function, arguments)),
            n => Err(format!("{name} takes one argument, not {n}")),
        }
    }
}

/// The first letter of each word in upper case.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        in_word = c.is_alphanumeric();
    }
    out
}
