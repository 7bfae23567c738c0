//! Which stream an entry goes to.

use std::borrow::Cow;
use std::collections::HashSet;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use streamgauge_component::Signal;

/// What stands in a name for an attribute that is not there.
const UNKNOWN: &str = "unknown";
/// What stands there when there are too many streams already.
const OVERFLOW: &str = "overflow";
/// The most bytes of an attribute that become part of a name.
const LONGEST: usize = 200;

/// Gives the value of an attribute as text.
pub(super) type Get<'g> = dyn Fn(&str) -> Option<Cow<'g, str>> + 'g;

/// A stream's name with places for attributes: `events:{project.id:-none}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Signal,
    Attribute { name: String, otherwise: String },
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '{' | '}' if chars.next_if_eq(&char).is_some() => plain.push(char),
                '}' => return Err("a `}` without a `{`: write `}}` for the sign itself".to_owned()),
                '{' => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    let mut inside = String::new();
                    loop {
                        match chars.next() {
                            Some('}') => break,
                            Some(char) => inside.push(char),
                            None => return Err(format!("`{{{inside}` has no end: a `}}` is missing")),
                        }
                    }
                    pieces.push(place(&inside)?);
                }
                other => plain.push(other),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        if pieces.is_empty() { Err("must not be empty".to_owned()) } else { Ok(Template(pieces)) }
    }
}

fn place(inside: &str) -> Result<Piece, String> {
    let (name, otherwise) = inside.split_once(":-").unwrap_or((inside, UNKNOWN));
    match name.trim() {
        "" => Err("`{}` names no attribute".to_owned()),
        "signal" => Ok(Piece::Signal),
        name => Ok(Piece::Attribute { name: name.to_owned(), otherwise: otherwise.to_owned() }),
    }
}

impl Template {
    /// Whether the name depends on what the data says.
    pub fn reads_data(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Attribute { .. }))
    }

    fn write(&self, signal: Signal, attributes: Option<&Get<'_>>, out: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Signal => out.extend_from_slice(signal.name().as_bytes()),
                Piece::Attribute { name, otherwise } => match attributes {
                    None => out.extend_from_slice(OVERFLOW.as_bytes()),
                    Some(get) => {
                        let value = get(name).filter(|value| !value.is_empty());
                        tame(value.as_deref().unwrap_or(otherwise), out);
                    }
                },
            }
        }
    }
}

/// What comes from data names no slot of a cluster, and is a word.
fn tame(value: &str, out: &mut Vec<u8>) {
    let end = (0..=value.len().min(LONGEST)).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
    for char in value.get(..end).unwrap_or_default().chars() {
        let char = if char.is_whitespace() || char.is_control() || "{}".contains(char) { '_' } else { char };
        out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Gives entries their streams.
#[derive(Debug)]
pub(super) struct Namer {
    template: Template,
    shards: u64,
    shard_by: Option<String>,
    most: usize,
    /// The names that came of data.
    known: Mutex<HashSet<Vec<u8>>>,
}

impl Namer {
    /// At most so many streams, not counting shards, come of data.
    pub fn new(template: Template, shards: u64, shard_by: Option<String>, most: usize) -> Self {
        Namer { template, shards, shard_by, most, known: Mutex::default() }
    }

    /// Whether neighbours may go to different streams because of what they say.
    pub fn reads_data(&self) -> bool {
        self.template.reads_data() || (self.shards > 1 && self.shard_by.is_some())
    }

    /// The attributes that the key depends on.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        let places = self.template.0.iter().filter_map(|piece| match piece {
            Piece::Attribute { name, .. } => Some(name.as_str()),
            _ => None,
        });
        places.chain(self.shard_by.as_deref())
    }

    /// The stream's key. `turn` spreads what no attribute does.
    pub fn key(&self, signal: Signal, get: &Get<'_>, turn: u64) -> Vec<u8> {
        let (mut key, value) = self.name(signal, get);
        self.shard(&mut key, value, turn);
        key
    }

    /// The key without its shard, and what decides on that.
    pub fn name(&self, signal: Signal, get: &Get<'_>) -> (Vec<u8>, Option<u64>) {
        let mut key = Vec::with_capacity(64);
        self.template.write(signal, Some(get), &mut key);
        if self.template.reads_data() && !self.is_known(&key) {
            key.clear();
            self.template.write(signal, None, &mut key);
        }
        let value = self.shard_by.as_ref().filter(|_| self.shards > 1).and_then(|name| get(name));
        (key, value.map(|value| hash(value.as_bytes()) % self.shards))
    }

    /// The key of what would make too much of its own.
    pub fn overflow(&self, signal: Signal) -> (Vec<u8>, Option<u64>) {
        let mut key = Vec::new();
        self.template.write(signal, None, &mut key);
        (key, None)
    }

    /// Adds the shard.
    pub fn shard(&self, key: &mut Vec<u8>, value: Option<u64>, turn: u64) {
        if self.shards > 1 {
            let shard = value.unwrap_or(turn % self.shards);
            // In braces it decides on the slot of a cluster, also for a dead letter beside the stream.
            key.extend_from_slice(format!(":{{{shard}}}").as_bytes());
        }
    }

    fn is_known(&self, key: &[u8]) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(key) || (known.len() < self.most && known.insert(key.to_vec()))
    }
}

/// FNV-1a of 64 bits: the same in every process and every version, so that a key's entries stay in one stream.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use streamgauge_pdata::build::LogsBuilder;
    use streamgauge_streams::encoding::{Encoding, Fields, Format};

    use super::*;

    /// The keys of records whose attribute `k` has these values, under a resource with a project.
    fn keys(namer: &Namer, values: &[&str]) -> Vec<String> {
        let mut logs = LogsBuilder::new();
        let mut resource = logs.resource([("project.id", "p1")]);
        let mut scope = resource.scope("", "");
        for value in values {
            scope.record(1).body("x").attribute("k", *value);
        }
        drop(scope);
        drop(resource);
        let (mut keys, mut turn) = (Vec::new(), 0);
        let format = Format::of(Encoding::Fields);
        format.encode(Signal::Logs, &logs.finish(), &mut Fields::default(), &mut |message| {
            keys.push(
                String::from_utf8(namer.key(Signal::Logs, &|name| message.attributes.get(name), turn))
                    .unwrap(),
            );
            turn += 1;
        });
        keys
    }

    fn namer(template: &str, shards: u64, by: Option<&str>, most: usize) -> Namer {
        Namer::new(template.parse().unwrap(), shards, by.map(str::to_owned), most)
    }

    #[test]
    fn a_name_has_places_for_the_signal_and_for_attributes_of_record_and_resource() {
        let plain = namer("a:{signal}:{project.id}:{k}:{none}:{no:-x}", 1, None, 9);
        assert_eq!(
            keys(&plain, &["v", "a b{c}", ""]),
            ["a:logs:p1:v:unknown:x", "a:logs:p1:a_b_c_:unknown:x", "a:logs:p1:unknown:unknown:x"]
        );
        assert_eq!(keys(&namer("{{tag}}:s", 1, None, 9), &["v"]), ["{tag}:s"]);
    }

    #[test]
    fn a_key_stays_in_its_shard_and_what_has_none_goes_round() {
        let by_key = namer("s", 4, Some("k"), 9);
        let all: Vec<String> = (0..64).map(|n| n.to_string()).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let first = keys(&by_key, &all);
        assert_eq!(first, keys(&by_key, &all));
        let used: HashSet<&String> = first.iter().collect();
        assert_eq!(
            used,
            HashSet::from(["s:{0}", "s:{1}", "s:{2}", "s:{3}"].map(str::to_owned)).iter().collect()
        );
        assert_eq!(keys(&namer("s", 2, None, 9), &["a", "a", "a"]), ["s:{0}", "s:{1}", "s:{0}"]);
    }

    #[test]
    fn data_makes_no_more_streams_than_are_allowed() {
        let bounded = namer("s:{k}", 1, None, 2);
        assert_eq!(keys(&bounded, &["a", "b", "c", "a"]), ["s:a", "s:b", "s:overflow", "s:a"]);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (text, words) in [("", "empty"), ("a{b", "no end"), ("a}b", "without"), ("{}", "no attribute")] {
            let error = text.parse::<Template>().unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
