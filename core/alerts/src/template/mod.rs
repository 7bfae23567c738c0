//! The part of Go's templates that alert labels and annotations use: actions that print a label or the value,
//! through functions.
//!
//! `{{ $labels.stream }}`, `{{ .Labels.stream }}` and `{{ index $labels "stream" }}` are a label (everything after
//! `$labels.` is its name, dots included; a missing one is empty), `{{ $value }}` and `{{ .Value }}` the value. Functions: `printf`,
//! `humanize`, `humanize1024`, `humanizeDuration`, `humanizePercentage`, `toUpper`, `toLower`, `title`; a pipe hands
//! over the last argument. `{{-` and `-}}` eat the white space beside them. What is not known is an error when the
//! template is loaded, with its place, so that rendering cannot fail.
//!
//! Unlike in Go, `{{ $value }}` is never in scientific notation: 1234567 stays 1234567.

mod call;
mod humanize;
mod number;
mod parse;
mod printf;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Labels;
use call::Expr;

/// A template that was read without errors.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    source: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Action(Expr),
}

/// Why a template cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The line in the template, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (template line {}, column {})", self.message, self.line, self.column)
    }
}

impl std::error::Error for TemplateError {}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(source: String) -> Result<Self, TemplateError> {
        Self::parse(&source)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.source
    }
}

/// Two templates are equal when their text is.
impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// The first thing that is not understood, and where.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let pieces = parse::pieces(source).map_err(|fault| {
            let before = &source[..fault.at];
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            TemplateError {
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
                message: fault.message,
            }
        })?;
        Ok(Self { source: source.to_owned(), pieces })
    }

    /// The text it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text for a series' labels and value.
    pub fn render(&self, labels: &Labels, value: f64) -> String {
        let mut text = String::with_capacity(self.source.len());
        for piece in &self.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Action(expr) => expr.eval(labels, value).print(&mut text),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests;
