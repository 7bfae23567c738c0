//! Entries become parts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use streamgauge_component::Signal;
use streamgauge_streams::encoding::{Decoder, Fields, Origin};
use streamgauge_streams::{Entries, Item, Malformed, StreamId};
use tokio::sync::mpsc::UnboundedSender;

use super::bound::Grip;
use super::job::Job;
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
    /// Entries of all kinds so far.
    pub entries: usize,
}

/// The part of one signal, while it is made.
struct Draft {
    signal: Signal,
    pieces: Vec<Bytes>,
    items: usize,
    runs: Vec<Run>,
}

impl<'a> Intake<'a> {
    pub fn new(job: &'a Arc<Job>, tell: &'a UnboundedSender<Event>) -> Self {
        Intake { job, tell, read_at: job.now_ms(), drafts: Vec::new(), entries: 0 }
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
        let mut decoder = Decoder::new(&self.job.format, stream.signal, origin);
        let mut taken = Vec::with_capacity(entries.left());
        let most = self.job.config.retry.max_deliveries;
        while let Some(item) = entries.next_entry()? {
            self.entries += 1;
            let entry = match item {
                Item::Gone(id) => {
                    let _ = self.tell.send(Event::Gone(stream.clone(), vec![id]));
                    continue;
                }
                Item::Entry(entry) => entry,
            };
            let before = deliveries(entry.id);
            let refused = match before >= most {
                true => {
                    Some(("max_deliveries", format!("it was delivered {before} times and never settled")))
                }
                false => match decoder.add(&entry, before + 1) {
                    Ok(items) => {
                        let (items, deliveries) = (items as u32, before.min(u64::from(u32::MAX)) as u32);
                        taken.push(Taken { id: entry.id, items, deliveries });
                        None
                    }
                    Err(undecodable) => {
                        self.job.counters.undecodable.value.add(1);
                        Some((undecodable.kind, undecodable.message))
                    }
                },
            };
            if let Some((reason, message)) = refused {
                let mut fields = Fields::default();
                fields.extend(&entry);
                let size = fields.bytes();
                let deliveries = before.min(u64::from(u32::MAX)) as u32;
                let runs = one(stream, Taken { id: entry.id, items: 0, deliveries });
                let grip = Grip::new(&self.job.bound, &self.job.hands, &runs, size);
                let letter = Letter {
                    stream: stream.clone(),
                    id: entry.id,
                    deliveries: before + 1,
                    read_at: self.read_at,
                    is_undecodable: before < most,
                    reason,
                    message,
                    history: Vec::new(),
                    content: Content::Fields(fields),
                    _grip: Arc::new(grip),
                };
                let _ = self.tell.send(Event::Doomed(letter));
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        let (bytes, items) = decoder.finish();
        let found = self.drafts.iter().position(|draft| draft.signal == stream.signal);
        let at = found.unwrap_or_else(|| {
            self.drafts.push(Draft { signal: stream.signal, pieces: Vec::new(), items: 0, runs: Vec::new() });
            self.drafts.len() - 1
        });
        let draft = &mut self.drafts[at];
        draft.pieces.push(bytes);
        draft.items += items;
        draft.runs.push(Run { stream: stream.clone(), taken });
        Ok(())
    }

    /// The parts: one for each signal.
    pub fn finish(self) -> Vec<Held> {
        let (job, read_at) = (self.job, self.read_at);
        let held = |mut draft: Draft| {
            let bytes = match draft.pieces.len() {
                1 => draft.pieces.remove(0),
                _ => draft.pieces.concat().into(),
            };
            let runs: Arc<[Run]> = draft.runs.into();
            let grip = Grip::new(&job.bound, &job.hands, &runs, bytes.len());
            Held {
                signal: draft.signal,
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

/// One entry by itself.
pub(super) fn one(stream: &Arc<Stream>, taken: Taken) -> Arc<[Run]> {
    Arc::new([Run { stream: stream.clone(), taken: vec![taken] }])
}

/// Charges a part to the memory that data in flight may hold, and offers it. Waits for memory, and until the pipelines take
/// on one more.
pub(super) async fn hand_over(job: &Arc<Job>, tell: &UnboundedSender<Event>, mut held: Held) {
    // Entries without items, such as empty requests, are nobody's business.
    if held.items == 0 {
        let _ = tell.send(Event::Settled(held, streamgauge_component::Outcome::Delivered));
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
    if let Ok(permit) = job.workers.clone().acquire_owned().await {
        offer(job, tell, held, permit);
    }
}
