//! Entries that nobody takes, on their way to the dead letter stream.

use std::sync::Arc;

use bytes::Bytes;
use streamgauge_redis::slot;
use streamgauge_streams::encoding::{Encoding, Fields, opsconductor};
use streamgauge_streams::{Entries, Entry, Item, List, Refusal, Replies, Reply, Request, StreamId};

use super::bound::Grip;
use super::job::Job;
use super::part::{Held, Try};
use super::stream::Stream;

/// One entry that nobody takes.
#[derive(Debug)]
pub(super) struct Letter {
    pub stream: Arc<Stream>,
    pub id: StreamId,
    /// Deliveries and answered offers.
    pub deliveries: u64,
    /// When it was read, in milliseconds since 1970.
    pub read_at: u64,
    /// It is not what the encoding says.
    pub is_undecodable: bool,
    pub reason: &'static str,
    pub message: String,
    pub history: Vec<Try>,
    pub content: Content,
    /// It is in the dead letter, and its entry is not acknowledged yet.
    pub is_added: bool,
    pub _grip: Arc<Grip>,
}

/// What it holds.
#[derive(Debug)]
pub(super) enum Content {
    /// Its fields.
    Fields(Fields),
    /// The request that it became; its fields are still in the stream.
    Request(Bytes),
}

impl Letter {
    /// The letters of a part that nobody takes.
    pub fn of(held: Held, reason: &'static str, message: &str) -> Vec<Letter> {
        let answered = u64::from(held.answered);
        let alone = held.entries() == 1;
        let grip = Arc::new(held.grip);
        let entries = held.runs.iter().flat_map(|run| run.taken.iter().map(move |taken| (run, taken)));
        let letter = |(run, taken): (&super::part::Run, &super::part::Taken)| Letter {
            stream: run.stream.clone(),
            id: taken.id,
            deliveries: u64::from(taken.deliveries) + answered.max(1),
            read_at: held.read_at,
            is_undecodable: false,
            reason,
            message: message.to_owned(),
            history: held.history.clone(),
            content: Content::Request(if alone { held.bytes.clone() } else { Bytes::new() }),
            is_added: false,
            _grip: grip.clone(),
        };
        entries.map(letter).collect()
    }

    /// Asks for the fields of those letters that do not have them, in their order.
    pub fn fetch(letters: &[Letter]) -> Request {
        let mut request = Request::new();
        for letter in letters.iter().filter(|letter| matches!(letter.content, Content::Request(_))) {
            request.begin(4).word(b"XRANGE").word(&letter.stream.name).id(letter.id).id(letter.id);
        }
        request
    }

    /// Takes the fields from the replies. Of an entry that was trimmed meanwhile the request is what is left.
    pub fn fetched(letters: &mut [Letter], replies: &Replies) -> Result<(), Refusal> {
        let mut replies = replies.iter();
        for letter in letters {
            let Content::Request(request) = &letter.content else { continue };
            let mut fields = Fields::default();
            let list = match replies.next().map(Reply::ok).transpose()? {
                Some(reply) => reply.list(),
                None => continue,
            };
            match entry(list, &mut fields)? {
                true => {}
                false => fields.push(b"dlq.request", request),
            }
            letter.content = Content::Fields(fields);
        }
        Ok(())
    }

    /// Whether the entry and its dead letter can be written together.
    pub fn is_together(&self, dead_letter: &[u8], has_slots: bool) -> bool {
        !has_slots || slot(&self.stream.name) == slot(dead_letter)
    }

    /// Adds the XADD.
    pub fn write_add(&self, request: &mut Request, dead_letter: &[u8], job: &Job) {
        let Content::Fields(fields) = &self.content else { return };
        let more = self.about(fields, job);
        let most = job.config.dead_letter.max_len;
        let bound = if most > 0 { 3 } else { 0 };
        request.begin(3 + bound + 2 * (fields.len() + more.len())).word(b"XADD").word(dead_letter);
        if most > 0 {
            request.word(b"MAXLEN").word(b"~").number(most);
        }
        request.word(b"*");
        let retries = self.retries(fields, job);
        for (name, value) in fields.iter() {
            let value = retries.as_deref().filter(|_| name == b"retry_count").unwrap_or(value);
            request.word(name).word(value);
        }
        for (name, value) in &more {
            request.word(name.as_bytes()).word(value);
        }
    }

    /// What a message of OpsConductor counts itself: its tries before, and those that it had here.
    fn retries(&self, fields: &Fields, job: &Job) -> Option<Vec<u8>> {
        let is_message = job.format.encoding == Encoding::Opsconductor && !self.is_undecodable;
        let fields: Vec<_> = is_message.then(|| fields.iter().collect())?;
        let had = opsconductor::retries(&Entry { id: self.id, fields: &fields }).had;
        Some((had + self.deliveries).to_string().into_bytes())
    }

    /// Adds the XACK.
    pub fn write_ack(&self, request: &mut Request) {
        request.begin(4).word(b"XACK").word(&self.stream.name).word(self.stream.group.as_bytes()).id(self.id);
    }

    /// What is told beside the entry's own fields.
    fn about(&self, fields: &Fields, job: &Job) -> Vec<(&'static str, Vec<u8>)> {
        let tries: Vec<_> = self
            .history
            .iter()
            .map(|one| serde_json::json!({"at": one.at, "reason": one.reason, "detail": one.detail}))
            .collect();
        let mut about = vec![
            ("dlq.stream", self.stream.name.clone()),
            ("dlq.id", self.id.to_string().into_bytes()),
            ("dlq.group", self.stream.group.clone().into_bytes()),
            ("dlq.consumer", job.member.name.clone().into_bytes()),
            ("dlq.deliveries", self.deliveries.to_string().into_bytes()),
            ("dlq.first_seen", self.read_at.to_string().into_bytes()),
            ("dlq.error.type", self.reason.as_bytes().to_vec()),
            ("dlq.error.message", self.message.clone().into_bytes()),
            ("dlq.attempts_json", serde_json::Value::from(tries).to_string().into_bytes()),
        ];
        if let Some((_, parent)) = fields.iter().find(|(name, _)| *name == b"traceparent") {
            about.push(("dlq.traceparent", parent.to_vec()));
        }
        about
    }

    /// The type of the event, where the entry names one.
    pub fn event_type(&self) -> String {
        let Content::Fields(fields) = &self.content else { return String::new() };
        let found = fields.iter().find(|(name, _)| *name == b"event_type");
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    }
}

/// The fields of the one entry of a list; `false` where there is none.
fn entry(list: List<'_>, fields: &mut Fields) -> Result<bool, Refusal> {
    match Entries::of_one(list).next_entry()? {
        Some(Item::Entry(entry)) => {
            fields.extend(&entry);
            Ok(true)
        }
        _ => Ok(false),
    }
}
