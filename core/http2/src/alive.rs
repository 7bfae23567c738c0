//! Whether the other side is still there.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Asks after a time of silence, and waits a while for any sign of life.
#[derive(Debug)]
pub(crate) struct Alive {
    every: Duration,
    patience: Duration,
    heard: Instant,
    asked: bool,
    timer: Pin<Box<Sleep>>,
}

/// It did not answer.
#[derive(Debug)]
pub(crate) struct Silent;

impl Alive {
    pub fn new((every, patience): (Duration, Duration)) -> Self {
        Alive { every, patience, heard: Instant::now(), asked: false, timer: Box::pin(sleep(every)) }
    }

    /// Something came.
    pub fn heard(&mut self) {
        self.heard = Instant::now();
        self.asked = false;
    }

    /// Whether to ask now. Nobody is asked while nobody `cares`.
    pub fn poll(&mut self, cares: bool, context: &mut Context<'_>) -> Result<bool, Silent> {
        while self.timer.as_mut().poll(context).is_ready() {
            if self.asked {
                return Err(Silent);
            }
            let now = Instant::now();
            let due = if cares { self.heard + self.every } else { now + self.every };
            if now < due {
                self.timer.as_mut().reset(due);
                continue;
            }
            self.asked = true;
            self.timer.as_mut().reset(now + self.patience);
            return Ok(true);
        }
        Ok(false)
    }
}
