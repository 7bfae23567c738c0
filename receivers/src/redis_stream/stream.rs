//! One stream, as this receiver reads it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use streamgauge_component::Signal;
use streamgauge_redis::slot;
use streamgauge_streams::StreamId;

use super::config::Level;

/// One stream and the group that it is read by.
#[derive(Debug)]
pub(super) struct Stream {
    /// The key.
    pub name: Vec<u8>,
    /// The same for people.
    pub shown: String,
    /// The group.
    pub group: String,
    /// How urgent its entries are.
    pub level: Level,
    /// What its entries are.
    pub signal: Signal,
    /// Where its dead letters go.
    pub dead_letter: Option<Vec<u8>>,
    /// It was found when others were read already: all that is in it is new.
    pub is_late: bool,
    /// How far it was read.
    pub progress: Progress,
}

/// How far a stream was read by `>`.
#[derive(Debug, Default)]
pub(super) struct Progress {
    last: Mutex<Option<StreamId>>,
    /// When last nothing was on its way: a read brought nothing, and what others had brought was in somebody's hand.
    quiet: Mutex<Option<Instant>>,
}

/// What clocks may differ by while they measure the same time.
const SLACK: Duration = Duration::from_millis(100);

/// What begins every key of our own beside a stream, for ACL rules.
pub(super) const OURS: &str = "streamgauge:";

impl Stream {
    /// What was read last, by `>`.
    pub fn read(&self) -> Option<StreamId> {
        *self.progress.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what was read last.
    pub fn note_read(&self, id: StreamId) {
        *self.progress.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }

    /// Nothing is on its way now.
    pub fn note_quiet(&self) {
        *self.progress.quiet.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether an entry that was delivered to this consumer so long ago may still be on its way into a hand. If not, and it is
    /// in none, then a connection took it that had gone.
    pub fn may_come(&self, id: StreamId, delivered: Duration) -> bool {
        let quiet = *self.progress.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        let was_before = quiet.is_some_and(|quiet| delivered >= quiet.elapsed() + SLACK);
        !was_before && self.read().is_none_or(|read| id > read)
    }

    /// The key of a consumer's heartbeat; names with a `}` out of place have none.
    pub fn heartbeat(&self, consumer: &[u8]) -> Option<Vec<u8>> {
        let mut key = self.beside("heartbeat");
        key.push(b':');
        key.extend_from_slice(consumer);
        (slot(&key) == slot(&self.name)).then_some(key)
    }

    /// A key about the stream and its group. It lies in the stream's slot, so that a cluster's node that has the stream has
    /// it, unless the name has a `}` out of place.
    pub fn beside(&self, what: &str) -> Vec<u8> {
        let has_tag = self.name.iter().position(|byte| *byte == b'{').is_some_and(|open| {
            self.name[open + 1..].iter().position(|byte| *byte == b'}').is_some_and(|length| length > 0)
        });
        let (open, close): (&[u8], &[u8]) = if has_tag { (b"", b"") } else { (b"{", b"}") };
        let begin = [OURS.as_bytes(), what.as_bytes(), b":"].concat();
        [&begin, open, &self.name, close, b":", self.group.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_lies_in_the_slot_of_its_stream() {
        for name in ["orders", "{a}b", "x{a}y{b}", "{}orders", "a}b", "a{b"] {
            let stream = Stream {
                name: name.into(),
                shown: name.to_owned(),
                group: "g".to_owned(),
                level: Level::Normal,
                signal: Signal::Logs,
                dead_letter: None,
                is_late: false,
                progress: Progress::default(),
            };
            let Some(key) = stream.heartbeat(b"me") else {
                assert!(name.contains('}'), "{name}");
                continue;
            };
            assert!(key.starts_with(b"streamgauge:heartbeat:") && key.ends_with(b":g:me"), "{name}");
            assert_eq!(slot(&key), slot(name.as_bytes()), "{name}");
        }
    }
}
