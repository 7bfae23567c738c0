//! What is read next, and how much of it.

use std::sync::Arc;
use std::time::Duration;

use streamgauge_streams::Request;
use tokio::time::Instant;

use super::bound::Bound;
use super::config::{Level, Mode, RedisStreamConfig};
use super::stream::Stream;

/// How often a level that waits for those above it has one entry all the same (`mode: strict`).
pub(super) const GUARD: Duration = Duration::from_secs(1);
/// What each level leaves to those above it, as a share of the bound: a backlog of low entries must not be all that is on
/// its way when a critical one comes.
const STEP: f64 = 0.25;

/// A read: one command for each level of streams that is asked for.
#[derive(Debug)]
pub(super) struct Plan {
    pub request: Request,
    /// How many entries may come.
    pub most: usize,
    /// Whether it waits for entries.
    pub blocks: bool,
}

/// Chooses what is read next.
#[derive(Debug)]
pub(super) struct Planner {
    /// Levels that had nothing, from above, since one had something (`mode: strict`).
    empty: usize,
    /// Nothing was there: the next read may wait.
    is_idle: bool,
    guarded: Instant,
}

impl Planner {
    pub fn new() -> Self {
        Planner { empty: 0, is_idle: true, guarded: Instant::now() }
    }

    /// The next read of these streams by one group, each of whose entries has about so many bytes; `None` without room.
    pub fn next(
        &mut self,
        config: &RedisStreamConfig,
        consumer: &str,
        streams: &[Arc<Stream>],
        bound: &Bound,
        each: usize,
    ) -> Option<Plan> {
        let levels: Vec<(Level, Vec<&Arc<Stream>>)> = Level::ALL
            .into_iter()
            .map(|level| (level, streams.iter().filter(|stream| stream.level == level).collect::<Vec<_>>()))
            .filter(|(_, streams)| !streams.is_empty())
            .collect();
        let most = config.read.count;
        let mut write = Write { consumer, request: Request::new(), most: 0 };
        if levels.len() < 2 || self.is_idle {
            let room = bound.room(each, 1.0);
            let block = Some(config.read.block);
            if room == 0 {
                return None;
            }
            // While nothing waits, what comes first is what is read first.
            let all: Vec<_> = levels.into_iter().flat_map(|(_, streams)| streams).collect();
            write.read(&all, most.min(room.div_ceil(all.len())), block);
            return Some(Plan { request: write.request, most: write.most, blocks: true });
        }
        let sum: u32 = levels.iter().map(|(level, _)| config.priority.weights.of(*level)).sum();
        let is_guarded = self.guarded.elapsed() >= GUARD;
        for (at, (level, streams)) in levels.iter().enumerate() {
            let room = bound.room(each, (1.0 - STEP * at as f64).max(STEP)).saturating_sub(write.most);
            let fair = |room: usize| most.min(room.div_ceil(streams.len()));
            let count = match config.priority.mode {
                Mode::Weighted => {
                    let share = f64::from(config.priority.weights.of(*level)) / f64::from(sum);
                    // Of what one read may bring, so that the shares hold while the bound is far.
                    fair(room).min(((most as f64 * share) as usize).max(1))
                }
                Mode::Strict if at == self.empty => fair(room),
                Mode::Strict if at > self.empty && is_guarded => room.min(1),
                Mode::Strict => 0,
            };
            if count > 0 && room > 0 {
                write.read(streams, count, None);
            }
        }
        if is_guarded {
            self.guarded = Instant::now();
        }
        (write.most > 0).then_some(Plan { request: write.request, most: write.most, blocks: false })
    }

    /// Whether entries came.
    pub fn learn(&mut self, entries: usize, levels: usize, mode: Mode) {
        match (entries > 0, mode) {
            (true, _) => (self.empty, self.is_idle) = (0, false),
            (false, Mode::Strict) if self.empty + 1 < levels && !self.is_idle => self.empty += 1,
            (false, _) => (self.empty, self.is_idle) = (0, true),
        }
    }
}

struct Write<'a> {
    consumer: &'a str,
    request: Request,
    most: usize,
}

impl Write<'_> {
    fn read(&mut self, streams: &[&Arc<Stream>], count: usize, block: Option<Duration>) {
        let Some(first) = streams.first() else { return };
        let words = 7 + if block.is_some() { 2 } else { 0 } + 2 * streams.len();
        let request = self.request.begin(words);
        request
            .word(b"XREADGROUP")
            .word(b"GROUP")
            .word(first.group.as_bytes())
            .word(self.consumer.as_bytes());
        request.word(b"COUNT").number(count.max(1) as u64);
        if let Some(block) = block {
            request.word(b"BLOCK").number((block.as_millis() as u64).max(1));
        }
        request.word(b"STREAMS");
        for stream in streams {
            request.word(&stream.name);
        }
        for _ in streams {
            request.word(b">");
        }
        self.most += count.max(1) * streams.len();
    }
}
