//! What is wrong with a text, and where.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// A text that is not OTLP/JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The path to the value at fault: `resourceLogs[0].scopeLogs[2].logRecords[17].traceId`; empty for the whole text.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed OTLP/JSON at line {}, column {}", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, " in {}", self.path)?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for JsonError {}

/// A fault on its way up; every level adds its step of the path.
#[derive(Debug)]
pub(super) struct Fault(Box<Detail>);

#[derive(Debug)]
struct Detail {
    offset: usize,
    what: Cow<'static, str>,
    /// Innermost first.
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Name(&'static str),
    Index(usize),
}

impl Fault {
    #[cold]
    pub fn new(offset: usize, what: impl Into<Cow<'static, str>>) -> Self {
        Fault(Box::new(Detail { offset, what: what.into(), steps: Vec::new() }))
    }

    #[cold]
    pub fn under(mut self, name: &'static str) -> Self {
        self.0.steps.push(Step::Name(name));
        self
    }

    #[cold]
    pub fn at(mut self, index: usize) -> Self {
        self.0.steps.push(Step::Index(index));
        self
    }

    /// Counts lines and columns.
    pub fn locate(self, text: &[u8]) -> JsonError {
        let before = text.get(..self.0.offset).unwrap_or(text);
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let mut path = String::new();
        for step in self.0.steps.iter().rev() {
            // Writing to a String cannot fail.
            let _ = match step {
                Step::Name(name) if path.is_empty() => path.write_str(name),
                Step::Name(name) => write!(path, ".{name}"),
                Step::Index(index) => write!(path, "[{index}]"),
            };
        }
        JsonError {
            path,
            line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
            column: before[start..].iter().filter(|&&byte| byte & 0xc0 != 0x80).count() + 1,
            what: self.0.what.into_owned(),
        }
    }
}
