//! An entry as it is shown.

use serde_json::{Value, json};
use streamgauge_streams::{Entries, Entry, Item, Reply};

use super::when;
use crate::cli::Failure;
use crate::human;

/// An entry that was read: its id, and its fields in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) id: String,
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Shown {
    /// An entry, apart from the answer that it stood in.
    pub(crate) fn of(entry: &Entry<'_>) -> Shown {
        let fields = entry.fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        Shown { id: entry.id.to_string(), fields }
    }

    /// The entries of an answer to XRANGE or XREVRANGE.
    pub(crate) fn all(reply: &Reply<'_>) -> Result<Vec<Shown>, Failure> {
        let mut entries = Entries::of_one(reply.list());
        Shown::rest(&mut entries)
    }

    /// The entries of the stream that was begun.
    pub(crate) fn rest(entries: &mut Entries<'_>) -> Result<Vec<Shown>, Failure> {
        let mut all = Vec::new();
        while let Some(item) = entries.next_entry().map_err(Failure::runtime)? {
            if let Item::Entry(entry) = item {
                all.push(Shown::of(&entry));
            }
        }
        Ok(all)
    }

    /// The first field of a name, as text.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let found = self.fields.iter().find(|(found, _)| found == name.as_bytes());
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// With the fields as a list of pairs: an object could not have a name twice.
    pub(crate) fn json(&self) -> Value {
        let fields: Vec<Value> = self
            .fields
            .iter()
            .map(|(name, value)| json!([String::from_utf8_lossy(name), String::from_utf8_lossy(value)]))
            .collect();
        json!({"id": self.id, "fields": fields})
    }

    /// A line with the id and its age, then a line for each field.
    pub(crate) fn text(&self) -> String {
        let age = when::age(&self.id).map_or(String::new(), |age| format!("  ({} ago)", human::age(age)));
        let width = self.fields.iter().map(|(name, _)| printable(name).chars().count()).max().unwrap_or(0);
        let mut text = format!("{}{age}", self.id);
        for (name, value) in &self.fields {
            text.push_str(&format!("\n  {:<width$}  {}", printable(name), printable(value)));
        }
        text
    }
}

/// Bytes as text on one line: what a terminal would take for more than a sign is escaped as redis-cli does.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                char if char.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(char))),
                char => out.push(char),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_shown_with_aligned_fields_and_without_tricks_of_the_terminal() {
        let field = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
        let fields = vec![field(b"a", b"1"), field(b"longer", b"x\x1b[31m\n\xff"), field(b"a", b"\xc3\xa4")];
        let shown = Shown { id: "1-1".to_owned(), fields };
        insta::assert_snapshot!(shown.text(), @r"
        1-1
          a       1
          longer  x\x1b[31m\n\xff
          a       ä
        ");
        assert_eq!(shown.field("a").as_deref(), Some("1"));
    }
}
