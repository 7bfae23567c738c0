//! What reaches a connection's task from outside: handlers that can go on, handlers in tasks of their own that have ended, bytes of
//! bodies that were read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use crate::answer::Answer;

/// What came since the task last looked.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Slots whose handler or body has something to do.
    pub ready: Vec<usize>,
    /// Streams whose handler has ended elsewhere; without an answer if it fell.
    pub done: Vec<(u32, Option<Answer>)>,
    /// Bytes that bodies have handed out.
    pub freed: usize,
}

impl News {
    fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.done.is_empty()
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    inbox: Mutex<Inbox>,
    /// So many freed bytes are worth a wake.
    step: usize,
}

#[derive(Debug, Default)]
struct Inbox {
    news: News,
    /// There only while the task sleeps.
    task: Option<Waker>,
}

impl Shared {
    pub fn new(step: usize) -> Arc<Self> {
        Arc::new(Shared { inbox: Mutex::default(), step })
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what came; `news` comes back empty of what was there before. Nobody wakes the task until it sleeps.
    pub fn collect(&self, news: &mut News) {
        news.ready.clear();
        news.done.clear();
        news.freed = 0;
        let mut inbox = self.lock();
        inbox.task = None;
        std::mem::swap(&mut inbox.news, news);
    }

    /// Has the task woken by what comes from now on; `false` when something has come already.
    pub fn sleep(&self, task: &Waker) -> bool {
        let mut inbox = self.lock();
        if !inbox.news.is_empty() || inbox.news.freed >= self.step {
            return false;
        }
        inbox.task = Some(task.clone());
        true
    }

    fn tell(&self, put: impl FnOnce(&mut News) -> bool) {
        let mut inbox = self.lock();
        let task = if put(&mut inbox.news) { inbox.task.take() } else { None };
        drop(inbox);
        if let Some(task) = task {
            task.wake();
        }
    }

    pub fn freed(&self, bytes: usize) {
        self.tell(|news| {
            news.freed += bytes;
            news.freed >= self.step
        });
    }

    pub fn done(&self, stream: u32, answer: Option<Answer>) {
        self.tell(|news| {
            news.done.push((stream, answer));
            true
        });
    }
}

/// The waker of one slot, for all the handlers that it has one after another: one that is woken after its time costs its
/// successor a poll.
#[derive(Debug)]
pub(crate) struct Slot {
    index: usize,
    queued: AtomicBool,
    shared: Arc<Shared>,
}

impl Slot {
    pub fn new(index: usize, shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Slot { index, queued: AtomicBool::new(false), shared: shared.clone() })
    }

    /// It is about to be looked at: what comes from now on is news again.
    pub fn seen(&self) {
        self.queued.store(false, Ordering::SeqCst);
    }
}

impl Wake for Slot {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::SeqCst) {
            self.shared.tell(|news| {
                news.ready.push(self.index);
                true
            });
        }
    }
}
