//! Entries become parts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use streamgauge_component::{Outcome, Reason, Signal};
use streamgauge_streams::encoding::{Decoder, Encoding, Fields, Origin, Undecodable, opsconductor};
use streamgauge_streams::{Entries, Entry, Item, Malformed, StreamId};
use tokio::sync::mpsc::UnboundedSender;

use super::bound::Grip;
use super::config::Level;
use super::events::Events;
use super::gate::Ticket;
use super::job::{Job, Phase};
use super::keeper::Event;
use super::letter::{Content, Letter};
use super::offer::offer;
use super::part::{Held, Run, Taken};
use super::stream::Stream;

/// How long a part waits for memory before it asks again.
const MEMORY_WAIT: Duration = Duration::from_millis(20);

/// What one read brings, as it is decoded.
pub(super) struct Intake<'a> {
    job: &'a Arc<Job>,
    tell: &'a UnboundedSender<Event>,
    read_at: u64,
    drafts: Vec<Draft>,
    events: Events,
    /// Entries of all kinds so far, and the last of them.
    pub entries: usize,
    pub last: Option<StreamId>,
}

/// The part of one signal and level, while it is made.
struct Draft {
    signal: Signal,
    level: Level,
    pieces: Vec<Bytes>,
    items: usize,
    runs: Vec<Run>,
}

/// Entries of one stream and level.
struct Group<'a> {
    decoder: Decoder<'a>,
    taken: Vec<Taken>,
}

impl<'a> Intake<'a> {
    pub fn new(job: &'a Arc<Job>, tell: &'a UnboundedSender<Event>) -> Self {
        let (read_at, events) = (job.now_ms(), Events::default());
        Intake { job, tell, read_at, drafts: Vec::new(), events, entries: 0, last: None }
    }

    /// Takes the entries of one stream. `deliveries` tells how often an entry was delivered before this time.
    pub fn take(
        &mut self,
        stream: &Arc<Stream>,
        entries: &mut Entries<'_>,
        deliveries: impl Fn(StreamId) -> u64,
    ) -> Result<(), Malformed> {
        let origin =
            Origin { stream: &stream.name, group: Some(&stream.group), read_at: self.read_at * 1_000_000 };
        let mut groups: [Option<Group<'_>>; Level::ALL.len()] = Default::default();
        let capacity = entries.left();
        while let Some(item) = entries.next_entry()? {
            self.entries += 1;
            let (Item::Gone(id) | Item::Entry(Entry { id, .. })) = item;
            self.last = Some(id);
            let entry = match item {
                Item::Gone(id) => {
                    let _ = self.tell.send(Event::Gone(stream.clone(), vec![id]));
                    continue;
                }
                Item::Entry(entry) => entry,
            };
            let before = deliveries(entry.id);
            let most = self.tries(&entry);
            if before >= most.in_all {
                let why = format!("it was delivered {before} times and never settled");
                self.put_aside(stream, &entry, before, "max_deliveries", why, false);
                continue;
            }
            let level = self.level(stream, &entry);
            let group = groups[level as usize].get_or_insert_with(|| Group {
                decoder: Decoder::new(&self.job.format, stream.signal, origin),
                taken: Vec::with_capacity(capacity),
            });
            match group.decoder.add(&entry, before + 1) {
                Ok(items) => {
                    let tries = narrow(most.left.saturating_sub(before).max(1));
                    let (items, deliveries) = (items as u32, narrow(before));
                    group.taken.push(Taken { id: entry.id, items, deliveries, tries });
                    if self.job.format.encoding == Encoding::Opsconductor {
                        self.events.note(self.job, stream, &entry);
                    }
                }
                Err(undecodable) => {
                    self.job.counters.undecodable.value.add(1);
                    let Undecodable { kind, message } = undecodable;
                    self.put_aside(stream, &entry, before, kind, message, true);
                }
            }
        }
        for (group, level) in groups.into_iter().zip(Level::ALL) {
            if let Some(Group { decoder, taken }) = group.filter(|group| !group.taken.is_empty()) {
                self.add(stream, level, decoder.finish(), taken);
            }
        }
        Ok(())
    }

    fn add(&mut self, stream: &Arc<Stream>, level: Level, (bytes, items): (Bytes, usize), taken: Vec<Taken>) {
        let is_it = |draft: &Draft| (draft.signal, draft.level) == (stream.signal, level);
        let at = self.drafts.iter().position(is_it).unwrap_or_else(|| {
            let signal = stream.signal;
            self.drafts.push(Draft { signal, level, pieces: Vec::new(), items: 0, runs: Vec::new() });
            self.drafts.len() - 1
        });
        let draft = &mut self.drafts[at];
        draft.pieces.push(bytes);
        draft.items += items;
        draft.runs.push(Run { stream: stream.clone(), taken });
    }

    /// How urgent an entry is, where that is a matter of entries.
    fn level(&self, stream: &Stream, entry: &Entry<'_>) -> Level {
        let Some(field) = &self.job.config.priority.field else { return Level::default() };
        entry.field(field.as_bytes()).and_then(Level::of).unwrap_or(stream.level)
    }

    /// How often an entry may be tried: as a message of OpsConductor says itself, else as the settings do.
    fn tries(&self, entry: &Entry<'_>) -> Tries {
        let most = self.job.config.retry.max_deliveries;
        if self.job.format.encoding != Encoding::Opsconductor {
            return Tries { in_all: most, left: most };
        }
        let told = opsconductor::retries(entry);
        let in_all = told.most.unwrap_or(most).max(1);
        Tries { in_all, left: in_all.saturating_sub(told.had) }
    }

    /// An entry that is not offered at all.
    fn put_aside(
        &self,
        stream: &Arc<Stream>,
        entry: &Entry<'_>,
        before: u64,
        reason: &'static str,
        message: String,
        is_undecodable: bool,
    ) {
        let mut fields = Fields::default();
        fields.extend(entry);
        let taken = Taken { id: entry.id, items: 0, deliveries: narrow(before), tries: 1 };
        let grip = Grip::new(&self.job.bound, &self.job.hands, &one(stream, taken), fields.bytes());
        let letter = Letter {
            stream: stream.clone(),
            id: entry.id,
            deliveries: before + 1,
            read_at: self.read_at,
            is_undecodable,
            reason,
            message,
            history: Vec::new(),
            content: Content::Fields(fields),
            is_added: false,
            _grip: Arc::new(grip),
        };
        let _ = self.tell.send(Event::Doomed(letter));
    }

    /// The parts: one for each signal and level, the most urgent first.
    pub fn finish(mut self) -> Vec<Held> {
        let (job, read_at) = (self.job, self.read_at);
        self.events.count(job);
        self.drafts.sort_by_key(|draft| draft.level);
        let held = |mut draft: Draft| {
            let bytes = match draft.pieces.len() {
                1 => draft.pieces.remove(0),
                _ => draft.pieces.concat().into(),
            };
            let runs: Arc<[Run]> = draft.runs.into();
            let grip = Grip::new(&job.bound, &job.hands, &runs, bytes.len());
            Held {
                signal: draft.signal,
                level: draft.level,
                bytes,
                items: draft.items,
                runs,
                offers: 0,
                answered: 0,
                is_last_chance: false,
                read_at,
                history: Vec::new(),
                grip,
                first: None,
            }
        };
        self.drafts.into_iter().map(held).collect()
    }
}

/// Tries of an entry: all of them, and those it has not had, deliveries by Redis not counted.
struct Tries {
    in_all: u64,
    left: u64,
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// One entry by itself.
pub(super) fn one(stream: &Arc<Stream>, taken: Taken) -> Arc<[Run]> {
    Arc::new([Run { stream: stream.clone(), taken: vec![taken] }])
}

/// Takes a place among those that are to be offered, and gives the task that charges the part to the memory that data in
/// flight may hold and offers it when it is its turn. At the end of the receiver it goes back instead.
pub(super) fn hand_over(
    job: &Arc<Job>,
    tell: &UnboundedSender<Event>,
    held: Held,
) -> impl Future<Output = ()> + Send + 'static {
    let (job, tell, ticket) = (job.clone(), tell.clone(), job.gate.queue(held.level));
    async move { hand_over_at(&job, &tell, held, ticket).await }
}

async fn hand_over_at(job: &Arc<Job>, tell: &UnboundedSender<Event>, mut held: Held, ticket: Ticket) {
    // Entries without items, such as empty requests, are nobody's business.
    if held.items == 0 {
        let _ = tell.send(Event::Settled(held, Outcome::Delivered));
        return;
    }
    let mut bytes = std::mem::take(&mut held.bytes);
    held.bytes = loop {
        match job.host.budget().charge(bytes) {
            Ok(charged) => break charged,
            // Larger than all there is: waiting would not help.
            Err(back) if back.len() as u64 > job.host.budget().limit() => break back,
            Err(back) => bytes = back,
        }
        tokio::time::sleep(MEMORY_WAIT).await;
    };
    let pass = tokio::select! {
        biased;
        pass = ticket => pass.ok(),
        () = job.phase_after(Phase::Running) => None,
    };
    match pass {
        Some(pass) => offer(job, tell, held, pass),
        None => drop(tell.send(Event::Settled(held, Outcome::retry(Reason::Stopping)))),
    }
}
