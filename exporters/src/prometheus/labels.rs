//! Labels of series, each text kept once: the metrics about one thing all have the same.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Labels as they stand between the braces.
#[derive(Debug)]
pub(super) struct Text {
    pub text: Box<str>,
    /// For a scraper that takes no UTF-8 names, where that makes a difference.
    pub legacy: Option<Box<str>>,
}

/// All texts that are in use, with their numbers.
#[derive(Debug, Default)]
pub(super) struct Texts {
    numbers: HashMap<ByText, u64>,
    next: u64,
}

/// Told apart by the text alone, of which the other one follows.
#[derive(Debug)]
struct ByText(Arc<Text>);

impl Texts {
    pub fn find(&self, text: &str) -> Option<u64> {
        self.numbers.get(text).copied()
    }

    /// The number of a text, and the text to keep. `legacy` writes the other one; that is looked at only where it is new.
    pub fn keep(&mut self, text: String, legacy: impl FnOnce() -> String) -> (u64, Arc<Text>) {
        if let Some((ByText(known), number)) = self.numbers.get_key_value(text.as_str()) {
            return (*number, known.clone());
        }
        let legacy = Some(legacy()).filter(|legacy| *legacy != text);
        let kept = Arc::new(Text { text: text.into(), legacy: legacy.map(Into::into) });
        let number = self.next;
        self.next += 1;
        self.numbers.insert(ByText(kept.clone()), number);
        (number, kept)
    }

    /// Forgets those that no series has.
    pub fn sweep(&mut self) {
        self.numbers.retain(|text, _| Arc::strong_count(&text.0) > 1);
    }
}

impl Borrow<str> for ByText {
    fn borrow(&self) -> &str {
        &self.0.text
    }
}

impl Hash for ByText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

impl PartialEq for ByText {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for ByText {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_as_long_as_a_series_has_it_and_another_one_after_that() {
        let mut texts = Texts::default();
        let keep = |texts: &mut Texts, text: &str| texts.keep(text.to_owned(), || text.replace('.', "_"));
        let (a, held) = keep(&mut texts, "a=\"1\"");
        let (again, same) = keep(&mut texts, "a=\"1\"");
        assert!(a == again && Arc::ptr_eq(&held, &same) && held.legacy.is_none());
        let (b, dotted) = keep(&mut texts, "a.b=\"1\"");
        assert!(b != a && dotted.legacy.as_deref() == Some("a_b=\"1\""));
        drop((held, same));
        texts.sweep();
        assert_eq!((texts.find("a=\"1\""), texts.find("a.b=\"1\"")), (None, Some(b)));
        assert!(keep(&mut texts, "a=\"1\"").0 > b, "no number stands for two");
    }
}
