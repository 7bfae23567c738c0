//! Conditions: the part of the Collector's transformation language (OTTL) that compares attributes of a resource, or
//! headers of a request, with constants.
//!
//! `attributes["a"]` and `resource.attributes["a"]`, `request["X-Key"]`; `==` and `!=` with a text, a number, `true`, `false`
//! or `nil`; `IsMatch(attributes["a"], "regular expression")`; `and`, `or`, `not` and parentheses.

use regex::Regex;
use streamgauge_component::Context;
use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::{Attributes, Value};

use super::token::{Token, tokens};

/// How deep conditions may be nested.
const DEEPEST: usize = 64;

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Resource,
    Request,
}

/// What a condition looks at.
pub(super) enum Seen<'a> {
    Resource(Attributes<'a>),
    Request(&'a Context),
}

#[derive(Clone, Debug)]
pub(super) enum Condition {
    Always(bool),
    /// The value under a key is this one.
    Is(String, Constant),
    /// It is not.
    IsNot(String, Constant),
    Matches(String, Regex),
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    Nil,
    Text(String),
    Bool(bool),
    Int(i64),
    Double(f64),
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// What is not understood.
    pub(super) fn read(text: &str, subject: Subject) -> Result<Self, String> {
        let tokens = tokens(text)?;
        Reader { rest: &tokens, subject, depth: 0 }.all()
    }

    /// Reads `route()` and `route() where <condition>`.
    ///
    /// # Errors
    /// What is not understood.
    pub(super) fn of_statement(text: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let Some(rest) = tokens.strip_prefix(&[name("route"), Token::Sign("("), Token::Sign(")")][..]) else {
            return Err("only `route() where <condition>` is supported".to_owned());
        };
        match rest.split_first() {
            None => Ok(Condition::Always(true)),
            Some((first, rest)) if *first == name("where") => {
                Reader { rest, subject: Subject::Resource, depth: 0 }.all()
            }
            Some((other, _)) => Err(format!("after `route()` comes `where`, not {other}")),
        }
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// An attribute that it needs is malformed.
    pub(super) fn holds(&self, seen: &Seen<'_>) -> Result<bool, Malformed> {
        Ok(match self {
            Condition::Always(holds) => *holds,
            Condition::Is(key, constant) => match seen {
                Seen::Resource(attributes) => constant.is(attributes.get(key)?),
                Seen::Request(context) => values(context, key).any(|value| constant.is_text(value)),
            },
            Condition::IsNot(key, constant) => match seen {
                Seen::Resource(attributes) => !constant.is(attributes.get(key)?),
                // As the Collector has it, a header that is not there is not another.
                Seen::Request(context) => values(context, key).any(|value| !constant.is_text(value)),
            },
            Condition::Matches(key, pattern) => match seen {
                Seen::Resource(attributes) => match attributes.get(key)? {
                    None | Some(Value::Empty) => false,
                    Some(value) => pattern.is_match(&value.to_text()?),
                },
                Seen::Request(context) => values(context, key).any(|value| pattern.is_match(value)),
            },
            Condition::Not(condition) => !condition.holds(seen)?,
            Condition::All(all) => {
                for condition in all {
                    if !condition.holds(seen)? {
                        return Ok(false);
                    }
                }
                true
            }
            Condition::Any(any) => {
                for condition in any {
                    if condition.holds(seen)? {
                        return Ok(true);
                    }
                }
                false
            }
        })
    }
}

/// The values of a header; `name` in lower case.
fn values<'a>(context: &'a Context, name: &str) -> impl Iterator<Item = &'a str> {
    context.headers.iter().filter(move |(n, _)| **n == *name).map(|(_, value)| &**value)
}

impl Constant {
    /// Whether it is this value. Numbers are compared as numbers, whatever their types.
    fn is(&self, value: Option<Value<'_>>) -> bool {
        match (self, value) {
            (Constant::Nil, None | Some(Value::Empty)) => true,
            (Constant::Text(text), Some(Value::Str(value))) => text == value,
            (Constant::Bool(truth), Some(Value::Bool(value))) => *truth == value,
            (Constant::Int(number), Some(Value::Int(value))) => *number == value,
            (Constant::Int(number), Some(Value::Double(value))) => *number as f64 == value,
            (Constant::Double(number), Some(Value::Int(value))) => *number == value as f64,
            (Constant::Double(number), Some(Value::Double(value))) => *number == value,
            _ => false,
        }
    }

    fn is_text(&self, value: &str) -> bool {
        matches!(self, Constant::Text(text) if text == value)
    }
}

fn name(name: &str) -> Token {
    Token::Name(name.to_owned())
}

/// Reads the words of a condition.
struct Reader<'t> {
    rest: &'t [Token],
    subject: Subject,
    depth: usize,
}

impl Reader<'_> {
    fn all(mut self) -> Result<Condition, String> {
        let condition = self.any_of()?;
        match self.rest.first() {
            None => Ok(condition),
            Some(more) => Err(format!("{more} is not understood there")),
        }
    }

    fn next(&mut self) -> Option<Token> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first.clone())
    }

    /// Steps over a word if it is there.
    fn skip(&mut self, token: &Token) -> bool {
        let found = self.rest.first() == Some(token);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), String> {
        match self.next() {
            Some(found) if found == Token::Sign(sign) => Ok(()),
            Some(found) => Err(format!("here is {found} where `{sign}` is expected")),
            None => Err(format!("it ends where `{sign}` is expected")),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(text),
            Some(found) => Err(format!("here is {found} where a text in double quotes is expected")),
            None => Err("it ends where a text in double quotes is expected".to_owned()),
        }
    }

    fn any_of(&mut self) -> Result<Condition, String> {
        let mut any = vec![self.all_of()?];
        while self.skip(&name("or")) {
            any.push(self.all_of()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Condition::Any(any) })
    }

    fn all_of(&mut self) -> Result<Condition, String> {
        let mut all = vec![self.one()?];
        while self.skip(&name("and")) {
            all.push(self.one()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::All(all) })
    }

    fn one(&mut self) -> Result<Condition, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("it is nested deeper than {DEEPEST}"));
        }
        let condition = if self.skip(&name("not")) {
            Condition::Not(Box::new(self.one()?))
        } else if self.skip(&Token::Sign("(")) {
            let inner = self.any_of()?;
            self.expect(")")?;
            inner
        } else if self.skip(&name("true")) {
            Condition::Always(true)
        } else if self.skip(&name("false")) {
            Condition::Always(false)
        } else if self.skip(&name("IsMatch")) {
            self.matches()?
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn matches(&mut self) -> Result<Condition, String> {
        self.expect("(")?;
        let key = self.key()?;
        self.expect(",")?;
        let pattern = Regex::new(&self.text()?).map_err(|error| error.to_string())?;
        self.expect(")")?;
        Ok(Condition::Matches(key, pattern))
    }

    fn comparison(&mut self) -> Result<Condition, String> {
        let key = self.key()?;
        let is = match self.next() {
            Some(Token::Sign("==")) => Condition::Is,
            Some(Token::Sign("!=")) => Condition::IsNot,
            Some(other) => return Err(format!("{other} is not supported there: conditions have == and !=")),
            None => return Err("it ends where == or != is expected".to_owned()),
        };
        let constant = match self.next() {
            Some(Token::Text(text)) => Constant::Text(text),
            Some(other) if self.subject == Subject::Request => {
                return Err(format!("a header is compared with a text in double quotes, not with {other}"));
            }
            Some(Token::Int(number)) => Constant::Int(number),
            Some(Token::Double(number)) => Constant::Double(number),
            Some(Token::Name(word)) => match &*word {
                "nil" => Constant::Nil,
                "true" => Constant::Bool(true),
                "false" => Constant::Bool(false),
                _ => return Err(format!("`{word}` is no constant: a text stands in double quotes")),
            },
            Some(other) => return Err(format!("{other} is no constant")),
            None => return Err("it ends where a constant is expected".to_owned()),
        };
        Ok(is(key, constant))
    }

    /// The key of an attribute, or the name of a header.
    fn key(&mut self) -> Result<String, String> {
        let expected = match self.subject {
            Subject::Resource => "attributes[\"...\"]",
            Subject::Request => "request[\"...\"]",
        };
        match (self.next(), self.subject) {
            (Some(Token::Name(path)), Subject::Resource)
                if path == "attributes" || path == "resource.attributes" => {}
            (Some(Token::Name(path)), Subject::Request) if path == "request" => {}
            (Some(other), _) => {
                return Err(format!("{other} is not supported: a condition here is about {expected}"));
            }
            (None, _) => return Err(format!("it ends where {expected} is expected")),
        }
        self.expect("[")?;
        let key = self.text()?;
        self.expect("]")?;
        if self.rest.first() == Some(&Token::Sign("[")) {
            return Err(format!("what is inside of {key:?} cannot be compared"));
        }
        Ok(if self.subject == Subject::Request { key.to_lowercase() } else { key })
    }
}
