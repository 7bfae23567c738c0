//! Where a value was written.

use std::fmt;
use std::sync::Arc;

/// One text that was read: a file, a `yaml:` argument or a `--set`.
pub struct Source {
    name: String,
    text: String,
    hidden: bool,
}

impl Source {
    /// A source with the name shown to people and its whole text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into(), hidden: false })
    }

    /// A source whose lines are never shown, because the text came from the environment.
    pub fn hidden(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into(), hidden: true })
    }

    /// A line that may be shown, from 1.
    pub(crate) fn line(&self, number: u32) -> Option<&str> {
        if self.hidden {
            return None;
        }
        self.text.lines().nth(number.checked_sub(1)? as usize)
    }

    /// The name shown to people: a path, or `yaml:` and the like.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text. It may hold secrets: show lines of it through [`crate::render`] only.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A range on one line of a source.
#[derive(Clone)]
pub struct Place {
    /// The text it stands in.
    pub source: Arc<Source>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Length in characters on that line, at least 1.
    pub length: u32,
}

impl Place {
    /// The first character of a source: the place of what is wrong with all of it.
    pub fn start_of(source: &Arc<Source>) -> Self {
        Self { source: Arc::clone(source), line: 1, column: 1, length: 1 }
    }

    /// The order in which a reader meets places: by source as loaded is not known here, so by name, line and column.
    pub(crate) fn order(&self) -> (&str, u32, u32) {
        (self.source.name(), self.line, self.column)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source.name(), self.line, self.column)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
