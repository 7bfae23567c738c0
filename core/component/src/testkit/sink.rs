//! The far end of an outlet.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use streamgauge_pdata::Signal;

use crate::batch::{Batch, Context};
use crate::counters::Registry;
use crate::outcome::Outcome;
use crate::outlet::{Consumer, Outlet, Outlets};

/// What a [`Sink`] does with a batch.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Settles every part with this outcome.
    Settle(Outcome),
    /// Keeps the parts, with their acks, until [`Sink::release`].
    Hold,
    /// Panics with the batch in hand.
    Panic,
    /// Drops the batch without settling it.
    Drop,
}

/// A batch as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its signal.
    pub signal: Signal,
    /// Its context.
    pub context: Arc<Context>,
    /// The parts' bytes.
    pub parts: Vec<Bytes>,
    /// Items of all parts.
    pub items: usize,
}

/// Records what arrives and settles it as told.
#[derive(Debug)]
pub struct Sink {
    behaviour: Mutex<Behaviour>,
    received: Mutex<Vec<Received>>,
    held: Mutex<Vec<Batch>>,
    panics: Mutex<Vec<String>>,
}

impl Sink {
    /// A sink that behaves like this until told otherwise.
    pub fn new(behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Sink {
            behaviour: Mutex::new(behaviour),
            received: Mutex::default(),
            held: Mutex::default(),
            panics: Mutex::default(),
        })
    }

    /// A sink that delivers everything.
    pub fn delivering() -> Arc<Self> {
        Sink::new(Behaviour::Settle(Outcome::Delivered))
    }

    /// Behaves otherwise from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// An outlet that leads here, with counters of its own.
    pub fn outlet(self: &Arc<Self>, signal: Signal) -> Outlet {
        Outlet::new(Registry::default().edge("", "test", "sink", signal), self.clone())
    }

    /// An outlet for every signal.
    pub fn outlets(self: &Arc<Self>) -> Outlets {
        Outlets::new(Signal::ALL.iter().map(|s| (*s, self.outlet(*s))).collect())
    }

    /// What has arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Takes what has arrived so far.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }

    /// Items of everything that has arrived.
    pub fn items(&self) -> usize {
        self.received.lock().unwrap().iter().map(|r| r.items).sum()
    }

    /// Settles what is held.
    pub fn release(&self, outcome: &Outcome) {
        for batch in std::mem::take(&mut *self.held.lock().unwrap()) {
            batch.settle(outcome);
        }
    }

    /// Settles what is held, batch by batch in the order of arrival.
    pub fn release_each(&self, mut outcome: impl FnMut() -> Outcome) {
        for batch in std::mem::take(&mut *self.held.lock().unwrap()) {
            batch.settle(&outcome());
        }
    }

    /// Panics that outlets reported.
    pub fn panics(&self) -> Vec<String> {
        self.panics.lock().unwrap().clone()
    }
}

impl Consumer for Sink {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.received.lock().unwrap().push(Received {
                signal: batch.signal,
                context: batch.context.clone(),
                parts: batch.parts.iter().map(|p| p.bytes.whole().clone()).collect(),
                items: batch.items(),
            });
            let behaviour = self.behaviour.lock().unwrap().clone();
            match behaviour {
                Behaviour::Settle(outcome) => batch.settle(&outcome),
                Behaviour::Hold => self.held.lock().unwrap().push(batch),
                Behaviour::Drop => drop(batch),
                Behaviour::Panic => {
                    let _in_hand = batch;
                    panic!("the sink was told to panic");
                }
            }
        })
    }

    fn panicked(&self, message: &str) {
        self.panics.lock().unwrap().push(message.to_owned());
    }
}
