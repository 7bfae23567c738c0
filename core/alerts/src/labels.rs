//! A label set: sorted, unique names, and the fingerprint that identifies it.

use serde::{Deserialize, Serialize};

/// A set of labels, sorted by name, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(Vec<(String, String)>);

impl Labels {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// Sets a label, replacing what it had before.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        match self.0.binary_search_by(|(known, _)| known.as_str().cmp(&name)) {
            Ok(at) => self.0[at].1 = value.into(),
            Err(at) => self.0.insert(at, (name, value.into())),
        }
    }

    /// The labels in order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Identifies the set, the same in every process and version: FNV-1a (64 bit) over the names and values in
    /// order, each followed by the byte 0xff, which no UTF-8 text holds. Prometheus' fingerprint.
    pub fn fingerprint(&self) -> u64 {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        self.0
            .iter()
            .flat_map(|(name, value)| [name, value])
            .fold(OFFSET, |hash, text| add(text.bytes().fold(hash, add), 0xff))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Labels {
    /// Of two labels with the same name the later one stays.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut labels = Self::new();
        for (name, value) in pairs {
            labels.set(name, value);
        }
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_does_not_depend_on_the_order_of_insertion_but_on_every_byte() {
        let one: Labels = [("a", "1"), ("b", "2")].into_iter().collect();
        let two: Labels = [("b", "2"), ("a", "1")].into_iter().collect();
        let shifted: Labels = [("a", "1b"), ("", "2")].into_iter().collect();
        assert_eq!(one.fingerprint(), two.fingerprint());
        assert_ne!(one.fingerprint(), shifted.fingerprint());
    }

    #[test]
    fn the_fingerprint_of_the_empty_set_is_the_fnv_offset_basis() {
        assert_eq!(Labels::new().fingerprint(), 0xcbf2_9ce4_8422_2325);
    }

    #[test]
    fn a_later_value_replaces_an_earlier_one() {
        let labels: Labels = [("a", "1"), ("a", "2")].into_iter().collect();
        assert_eq!((labels.get("a"), labels.len()), (Some("2"), 1));
        assert_eq!(labels.get("b"), None);
    }
}
