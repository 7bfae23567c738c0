//! The circuit breaker: a peer that is down is asked now and then, not by everybody all the time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use streamgauge_component::{BreakerSettings, Host, Instrument, InstrumentKind, Signal};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// No pause is longer: the clock could not count beyond it.
const LONGEST_PAUSE: Duration = Duration::from_secs(365 * 24 * 3600);

/// Closed until so many attempts in a row found nobody; open for a while; then half-open: one attempt is made, and what
/// comes of it decides. Cheap where all is well: a lock for an attempt.
pub(crate) struct Breaker {
    failures: u32,
    open_for: Duration,
    state: Mutex<State>,
    /// The state is another one.
    changed: Notify,
    shown: Arc<Instrument>,
    opened: Arc<Instrument>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// With so many failures in a row.
    Closed(u32),
    Open {
        until: Instant,
    },
    HalfOpen,
}

/// The right to make one attempt. Dropped without a word (a cancelled caller, a panic) it has shown nothing.
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Breaker {
    /// `None` when it is switched off.
    pub(crate) fn new(settings: &BreakerSettings, signal: Signal, host: &Host) -> Option<Self> {
        if !settings.enabled {
            return None;
        }
        let attributes = || vec![("data_type", signal.name().to_owned())];
        let help = "State of the exporter's circuit breaker: 0 closed, 1 half-open, 2 open.";
        let name = "streamgauge.exporter.circuit";
        let shown = host.instrument(InstrumentKind::Gauge, name, "", help, attributes());
        let help = "How often the exporter's circuit breaker opened, or stayed open after a probe.";
        let name = "streamgauge.exporter.circuit.opened";
        let opened = host.instrument(InstrumentKind::Counter, name, "{time}", help, attributes());
        shown.value.set(0);
        Some(Breaker {
            failures: settings.failures,
            open_for: settings.open_for.min(LONGEST_PAUSE),
            state: Mutex::new(State::Closed(0)),
            changed: Notify::new(),
            shown,
            opened,
        })
    }

    /// Returns when an attempt may be made: at once while the circuit is closed.
    pub(crate) async fn pass(&self) -> Pass<'_> {
        loop {
            // Listens before it looks, so that no change falls between.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let until = {
                let mut state = self.lock();
                match *state {
                    State::Closed(_) => return Pass { breaker: self, probe: false },
                    State::Open { until } if until <= Instant::now() => {
                        self.set(&mut state, State::HalfOpen);
                        return Pass { breaker: self, probe: true };
                    }
                    State::Open { until } => Some(until),
                    State::HalfOpen => None,
                }
            };
            match until {
                Some(until) => tokio::select! {
                    () = sleep_until(until) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// Whether attempts have to wait.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(*self.lock(), State::Closed(_))
    }

    fn answered(&self) {
        let mut state = self.lock();
        if *state != State::Closed(0) {
            self.set(&mut state, State::Closed(0));
        }
    }

    fn failed(&self, probe: bool) {
        let mut state = self.lock();
        match *state {
            State::Closed(before) if before + 1 < self.failures => *state = State::Closed(before + 1),
            State::Closed(_) => self.open(&mut state),
            State::HalfOpen if probe => self.open(&mut state),
            // It began before the circuit opened, and says nothing new.
            State::HalfOpen | State::Open { .. } => {}
        }
    }

    fn open(&self, state: &mut State) {
        self.opened.value.add(1);
        self.set(state, State::Open { until: Instant::now() + self.open_for });
    }

    fn set(&self, state: &mut State, next: State) {
        *state = next;
        self.shown.value.set(match next {
            State::Closed(_) => 0,
            State::HalfOpen => 1,
            State::Open { .. } => 2,
        });
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The peer is there, whatever it said.
    pub(crate) fn answered(mut self) {
        self.probe = false;
        self.breaker.answered();
    }

    /// Nobody was there.
    pub(crate) fn failed(mut self) {
        self.breaker.failed(std::mem::take(&mut self.probe));
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe {
            let mut state = self.breaker.lock();
            if *state == State::HalfOpen {
                self.breaker.set(&mut state, State::Open { until: Instant::now() }); // the next one may try at once
            }
        }
    }
}
