//! A write-ahead log: the handle that others hold.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use crate::disk::Disk;
use crate::error::StorageError;
use crate::format::{FRAME, LONGEST, PAGE, framed};
use crate::reader::Reader;
use crate::state::{Append, State};

/// A commit that takes longer is a slow disk.
const SLOW: Duration = Duration::from_secs(1);

/// A record of a log. Later records are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    pub(crate) seq: u64,
    pub(crate) size: u64,
}

impl RecordId {
    /// Its number: 1 and more, never used twice in a log.
    pub fn number(self) -> u64 {
        self.seq
    }

    /// Bytes that it takes on the disk.
    pub fn bytes(self) -> u64 {
        self.size
    }
}

/// How a log fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It takes what comes.
    Ok,
    /// The commit under way takes longer than a second: the time it has taken so far. Appends wait.
    Slow(Duration),
    /// The last append failed. The next is tried all the same.
    Failed(StorageError),
}

/// Numbers of a log.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Records that are not settled.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes of disk that the log takes, spare files included. Never above the quota.
    pub allocated: u64,
    /// The quota, bytes.
    pub quota: u64,
    /// How long the oldest record that is not settled has been here: that long or somewhat less, by the wall clock.
    pub oldest: Option<Duration>,
    /// Records that were appended since the log was opened.
    pub appended: u64,
    /// Commits since the log was opened.
    pub commits: u64,
    /// Time that all of them took.
    pub committing: Duration,
    /// Time that the last took.
    pub last_commit: Duration,
    /// Time that the slowest took.
    pub slowest_commit: Duration,
    /// Records that were found damaged since the log was opened.
    pub damaged_records: u64,
    /// Bytes that were set aside.
    pub damaged_bytes: u64,
    /// Unfinished writes that were cut off at the opening, and set aside: damage to the last record looks the same.
    pub torn_tails: u64,
    /// How it fares.
    pub condition: Condition,
}

/// What the handle, the writer and the readers share.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    pub(crate) disk: Disk,
    pub(crate) quota: u64,
    pub(crate) segment_bytes: u64,
    state: Mutex<State>,
    /// The writer waits here.
    pub(crate) work: Condvar,
    /// A segment was made ahead, or could not be.
    pub(crate) prepared: Condvar,
    /// One more than the number of the last durable record; gone with the writer.
    pub(crate) head: watch::Sender<u64>,
    /// Whether the writer has ended.
    pub(crate) ended: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(
        name: &str,
        directory: PathBuf,
        disk: Disk,
        quota: u64,
        segment_bytes: u64,
        state: State,
    ) -> Self {
        let (head, ended) = (watch::Sender::new(0), watch::Sender::new(false));
        let (name, state, work) = (name.to_owned(), Mutex::new(state), Condvar::new());
        let prepared = Condvar::new();
        Shared { name, directory, disk, quota, segment_bytes, state, work, prepared, head, ended }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn closed(&self) -> StorageError {
        StorageError::Closed { name: self.name.clone() }
    }

    /// Records that will never come back to anybody: they are settled, and counted.
    pub(crate) fn lose(&self, seqs: impl Iterator<Item = u64>, bytes: u64) {
        let mut state = self.lock();
        let lost = seqs.filter(|seq| state.settle(*seq, 0)).count() as u64;
        state.counts.damaged_records += lost;
        state.counts.damaged_bytes += bytes;
        drop(state);
        self.work.notify_one();
    }
}

/// A write-ahead log. Dropped, it ends once what was appended is written; [`Log::close`] waits for that.
pub struct Log {
    pub(crate) shared: Arc<Shared>,
}

impl Log {
    /// Appends one record, given in pieces, and returns when it is durable. Appends that come together are made durable
    /// together, in the order in which they were first polled. When the future is dropped the record may be there all
    /// the same.
    ///
    /// # Errors
    /// It is not there, or nobody knows. [`StorageError::Full`]: settle something first. [`StorageError::TooLarge`]: it
    /// never will be. All others may pass.
    pub async fn append(&self, payload: Vec<Bytes>) -> Result<RecordId, StorageError> {
        let len = payload.iter().map(|piece| piece.len() as u64).sum();
        let limit = self.shared.quota.saturating_sub(PAGE + 2 * FRAME as u64).min(LONGEST);
        if len > limit {
            return Err(StorageError::TooLarge { size: len, limit });
        }
        let (done, durable) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            if state.closing {
                return Err(self.shared.closed());
            }
            state.pending.push(Append { payload, len, done });
        }
        self.shared.work.notify_one();
        durable.await.unwrap_or_else(|_| Err(self.shared.closed()))
    }

    /// A record has ended: it will not be read again. Returns whether it was there. Written down at once by the writer.
    pub fn settle(&self, id: RecordId) -> bool {
        let new = self.shared.lock().settle(id.seq, id.size);
        self.shared.work.notify_one();
        new
    }

    /// Whether a record is there and not settled.
    pub fn holds(&self, id: RecordId) -> bool {
        let state = self.shared.lock();
        let segment = state.segments.range(..=id.seq).next_back();
        segment.is_some_and(|(_, segment)| id.seq < segment.next && !segment.is_settled(id.seq))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The number that the next record gets, or one before it.
    pub fn next_number(&self) -> u64 {
        self.shared.lock().next
    }

    /// Reads from the oldest record on that is not settled. To drop the oldest of a full log, settle what this gives
    /// until there is room: it comes back by the segment.
    pub fn reader(&self) -> Reader {
        Reader::new(self.shared.clone(), 0)
    }

    /// The log's numbers.
    pub fn stats(&self) -> Stats {
        let mut state = self.shared.lock();
        let oldest = state.oldest().and_then(|seq| state.ages.of(seq));
        let slow = state.committing_since.map(|since| since.elapsed()).filter(|taken| *taken > SLOW);
        let condition = match (&state.failure, slow) {
            (Some(error), _) => Condition::Failed(error.clone()),
            (None, Some(taken)) => Condition::Slow(taken),
            (None, None) => Condition::Ok,
        };
        Stats {
            records: state.segments.values().map(|segment| segment.left).sum(),
            bytes: state.segments.values().map(|segment| segment.bytes).sum(),
            allocated: state.allocated,
            quota: self.shared.quota,
            oldest: oldest.map(|at| Duration::from_secs(u64::from(now().saturating_sub(at)))),
            appended: state.counts.appended,
            commits: state.counts.commits,
            committing: state.counts.committing,
            last_commit: state.counts.last_commit,
            slowest_commit: state.counts.slowest_commit,
            damaged_records: state.counts.damaged_records,
            damaged_bytes: state.counts.damaged_bytes,
            torn_tails: state.counts.torn_tails,
            condition,
        }
    }

    /// Takes nothing more, and returns when all that was appended and settled is on the disk. Readers end.
    pub async fn close(&self) {
        self.end();
        // The other side is held by `self`.
        let _ = self.shared.ended.subscribe().wait_for(|ended| *ended).await;
    }

    fn end(&self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_one();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({})", self.shared.name)
    }
}

/// Bytes of disk that a record needs, its frame and the empty one after it included.
pub(crate) fn need(payload: u64) -> u64 {
    framed(payload) + FRAME as u64
}

/// Seconds since the Unix epoch.
pub(crate) fn now() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as u32)
}

/// When a commit began.
pub(crate) fn begin(shared: &Shared) -> Instant {
    let started = Instant::now();
    shared.lock().committing_since = Some(started);
    started
}
