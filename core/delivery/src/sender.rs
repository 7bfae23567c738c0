//! Attempts, until a load has ended.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use streamgauge_component::{
    About, Accepted, ExportError, Exporter, Host, Instrument, InstrumentKind, Outcome, Reason, Request,
    RetrySettings, Signal, State, panic_message,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::backoff::Backoff;
use crate::breaker::{Breaker, Pass};
use crate::dead_letter::{Burial, DeadLetter, Letter};
use crate::fallback::Fallback;
use crate::follower::Follower;
use crate::load::{Load, Shared};
use crate::sampler::Sampler;
use crate::stop::Stop;

/// No wait is longer, whatever a peer asks for or the settings say: the clock could not count beyond it.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Makes attempts with the running instance of the exporter.
pub(crate) struct Sender {
    pub(crate) timeout: Duration,
    pub(crate) retry: RetrySettings,
    pub(crate) breaker: Option<Breaker>,
    pub(crate) dead_letter: Option<Arc<dyn DeadLetter>>,
    pub(crate) fallback: Option<Fallback>,
    /// Whether a load waits while there is no instance. Without a queue its sender is told instead.
    pub(crate) waits_for_instance: bool,
    pub(crate) exporter: watch::Receiver<Option<Arc<dyn Exporter>>>,
    pub(crate) on_panic: Arc<dyn Fn(&str) + Send + Sync>,
    pub(crate) host: Host,
    pub(crate) stop: Arc<Stop>,
    pub(crate) follower: Follower,
    pub(crate) log: Log,
}

/// What is said about attempts.
pub(crate) struct Log {
    signal: Signal,
    in_flight: Arc<Instrument>,
    troubled: AtomicBool,
    retries: Sampler,
    losses: Sampler,
    burials: Sampler,
}

impl Log {
    pub(crate) fn new(signal: Signal, host: &Host) -> Self {
        let in_flight = host.instrument(
            InstrumentKind::Gauge,
            "otelcol_exporter_in_flight_requests",
            "{request}",
            "Requests that are being sent.",
            vec![("data_type", signal.name().to_owned())],
        );
        let (retries, losses) = (Sampler::default(), Sampler::default());
        let burials = Sampler::default();
        Log { signal, in_flight, troubled: AtomicBool::new(false), retries, losses, burials }
    }

    /// A dead letter was written, or could not be.
    fn buried(&self, host: &Host, letter: &Letter, burial: &Burial) {
        let (result, error) = match burial {
            Burial::Held => ("held", ""),
            Burial::Returned => ("returned", "the dead letter's exporter did not take it"),
            Burial::Refused(why) => ("refused", &**why),
        };
        let attributes = vec![
            ("data_type", self.signal.name().to_owned()),
            ("reason", letter.reason.as_str().to_owned()),
            ("result", result.to_owned()),
        ];
        let help = "Items that did not get to the peer and went to the dead letter, by why and by what it did with them.";
        let name = "streamgauge.exporter.dead_letter.items";
        let counter = host.instrument(InstrumentKind::Counter, name, "{item}", help, attributes);
        counter.value.add(letter.items() as u64);
        if let Some(suppressed) = self.burials.due() {
            let (exporter, signal, items) = (&**host.id(), self.signal.name(), letter.items());
            let (reason, why) = (letter.reason.as_str(), &*letter.detail);
            if *burial == Burial::Held {
                tracing::warn!(
                    exporter,
                    signal,
                    items,
                    reason,
                    suppressed,
                    why,
                    "Data is in the dead letter."
                );
            } else {
                tracing::error!(
                    exporter,
                    signal,
                    items,
                    reason,
                    suppressed,
                    why,
                    error,
                    "The dead letter did not take data."
                );
            }
        }
    }
}

/// Why a load did not get to the peer.
enum Failure {
    /// The data is at fault.
    Content(String),
    /// The exporter panicked with the data in hand: it may be at fault.
    Panicked(String),
    /// Another delivery follows: it goes on there.
    Moved,
    /// This is what its sources hear.
    Ended(Outcome),
}

/// What one attempt came to, if not to success.
enum Attempt {
    Failed(ExportError),
    Panicked(String),
    /// The stop's deadline has passed.
    Cut,
}

impl Sender {
    /// Returns when every part of the load is settled, or is with the fall-back.
    pub(crate) async fn deliver(&self, load: Load) {
        let Some(fallback) = &self.fallback else { return self.deliver_here(load).await };
        match fallback.shared(load) {
            (Some(here), None) => self.deliver_here(here).await,
            (here, there) => {
                let here = async {
                    if let Some(load) = here {
                        self.deliver_here(load).await;
                    }
                };
                let there = async {
                    if let Some(load) = there {
                        fallback.take(load).await;
                    }
                };
                tokio::join!(here, there);
            }
        }
    }

    async fn deliver_here(&self, load: Load) {
        let mut left = vec![load];
        let mut fell = None;
        while let Some(load) = left.pop() {
            let joined = load.batch().parts.len() > 1;
            match self.send(load.shared(), fell).await {
                Ok(accepted) => {
                    self.tell_partial(&accepted);
                    load.accepted(&accepted);
                }
                Err(Failure::Content(_)) if joined => halve(load, &mut left),
                Err(Failure::Content(why)) => {
                    self.end(load, &Outcome::rejected_with(Reason::PeerRefused, why)).await;
                }
                Err(Failure::Panicked(why)) if joined => {
                    let since = *fell.get_or_insert_with(Instant::now);
                    if self.is_over(since.elapsed()) {
                        self.end(load, &exhausted(&why, None, false)).await;
                    } else {
                        halve(load, &mut left);
                    }
                }
                Err(Failure::Panicked(why)) => {
                    self.end(load, &Outcome::rejected_with(Reason::Panic, why)).await;
                }
                Err(Failure::Moved) => {
                    if let Err(load) = self.follower.take_on(load).await {
                        left.push(load); // cannot be: somebody follows
                    }
                }
                Err(Failure::Ended(outcome)) => self.end(load, &outcome).await,
            }
        }
    }

    /// `fell` is when an instance first panicked with this load in hand.
    async fn send(&self, data: Shared, fell: Option<Instant>) -> Result<Accepted, Failure> {
        // The time for retries runs from the first attempt. A sender that waits for the answer cannot wait longer.
        let mut started = (!self.waits_for_instance).then(Instant::now);
        let mut last = None;
        let mut backoff = Backoff::new(&self.retry);
        loop {
            let ready = async {
                let pass = self.pass(started, last.as_deref()).await?;
                Ok((pass, self.instance(fell).await?))
            };
            let (pass, exporter) = tokio::select! {
                biased;
                ready = ready => ready.map_err(Failure::Ended)?,
                () = self.follower.named() => return Err(Failure::Moved),
            };
            if self.stop.is_over() {
                return Err(Failure::Ended(Outcome::retry(Reason::Stopping)));
            }
            let began = *started.get_or_insert_with(Instant::now);
            let request = data.request(&*exporter);
            let error = match self.attempt(&*exporter, &request).await {
                Ok(accepted) => {
                    if let Some(pass) = pass {
                        pass.answered();
                    }
                    self.well();
                    return Ok(accepted);
                }
                Err(Attempt::Cut) => return Err(Failure::Ended(Outcome::retry(Reason::Stopping))),
                Err(Attempt::Panicked(message)) => {
                    (self.on_panic)(&message);
                    return Err(Failure::Panicked(message));
                }
                Err(Attempt::Failed(error)) => error,
            };
            if let Some(pass) = pass {
                if is_down(&error) { pass.failed() } else { pass.answered() }
            }
            let text = error.to_string();
            let answered = matches!(error, ExportError::Retryable { answered: true, .. });
            let asked = match error {
                ExportError::Permanent { about: About::Content, .. } => return Err(Failure::Content(text)),
                ExportError::Permanent { about: About::Peer, .. } => {
                    self.unwell(&text);
                    return Err(Failure::Ended(Outcome::rejected_with(Reason::PeerError, text)));
                }
                ExportError::Retryable { after, .. } => after,
            };
            self.unwell(&text);
            let own = backoff.next(self.host.random().next());
            let wait = own.max(asked.unwrap_or_default()).min(LONGEST_WAIT);
            if !self.retry.enabled || self.fails_over() || self.is_over(began.elapsed() + wait) {
                return Err(Failure::Ended(exhausted(&text, Some(wait), answered)));
            }
            let next = Instant::now() + wait;
            self.tell_retry(&text, wait, request.items);
            tokio::select! {
                biased;
                () = self.follower.named() => return Err(Failure::Moved),
                () = self.stop.comes_before(next) => return Err(Failure::Ended(stopping(&text))),
                () = sleep_until(next) => {}
            }
            last = Some(text);
        }
    }

    /// Waits while the circuit is open: no longer than the time for retries, once that runs, and than the stop leaves.
    async fn pass(&self, since: Option<Instant>, last: Option<&str>) -> Result<Option<Pass<'_>>, Outcome> {
        let Some(breaker) = &self.breaker else { return Ok(None) };
        let limit = self.retry.max_elapsed_time;
        let patience = match since {
            Some(since) if !limit.is_zero() => limit.saturating_sub(since.elapsed()).min(LONGEST_WAIT),
            _ => LONGEST_WAIT,
        };
        tokio::select! {
            biased;
            pass = breaker.pass() => Ok(Some(pass)),
            () = self.stop.gives_up() => Err(Outcome::retry(Reason::Stopping)),
            () = std::future::ready(()), if self.fails_over() => Err(exhausted("the circuit is open", None, false)),
            () = sleep(patience) => Err(exhausted(last.unwrap_or("the circuit is open"), None, false)),
        }
    }

    /// Whether another exporter takes at once what fails here.
    fn fails_over(&self) -> bool {
        self.fallback.as_ref().is_some_and(|fallback| fallback.on_failure)
    }

    /// Whether the time for retries has passed.
    fn is_over(&self, elapsed: Duration) -> bool {
        let limit = self.retry.max_elapsed_time;
        !limit.is_zero() && elapsed > limit
    }

    /// The running instance. Where a queue stands before it, waits for one; elsewhere only after a panic, for as long as
    /// retries last: given back at once, the part at fault would be joined and panic again, for ever.
    async fn instance(&self, fell: Option<Instant>) -> Result<Arc<dyn Exporter>, Outcome> {
        let mut exporter = self.exporter.clone();
        if let Some(running) = exporter.borrow_and_update().clone() {
            return Ok(running);
        }
        let limit = self.retry.max_elapsed_time;
        let patience = match fell {
            _ if self.fails_over() => Duration::ZERO,
            _ if self.waits_for_instance => Duration::MAX,
            None => return Err(Outcome::retry(Reason::ComponentDown)),
            Some(_) if limit.is_zero() => Duration::MAX,
            Some(since) => limit.saturating_sub(since.elapsed()),
        };
        tokio::select! {
            found = exporter.wait_for(Option::is_some) => match found.ok().and_then(|found| found.clone()) {
                Some(running) => Ok(running),
                None => Err(Outcome::retry(Reason::ComponentDown)),
            },
            () = self.stop.passed() => Err(Outcome::retry(Reason::Stopping)),
            () = sleep(patience) => Err(Outcome::retry(Reason::ComponentDown)),
        }
    }

    async fn attempt(&self, exporter: &dyn Exporter, request: &Request) -> Result<Accepted, Attempt> {
        // The inner block makes a panic while the future is built look like one while it runs.
        let export = AssertUnwindSafe(async { exporter.export(request).await }).catch_unwind();
        let limited = async {
            if self.timeout.is_zero() {
                return export.await;
            }
            timeout(self.timeout, export).await.unwrap_or_else(|_| {
                let limit = self.timeout;
                Ok(Err(ExportError::unreachable(format!("no answer within the timeout of {limit:?}"))))
            })
        };
        let _in_flight = InFlight::new(&self.log.in_flight);
        tokio::select! {
            biased;
            result = limited => match result {
                Ok(Ok(accepted)) => Ok(accepted),
                Ok(Err(error)) => Err(Attempt::Failed(error)),
                Err(panic) => Err(Attempt::Panicked(panic_message(&*panic).to_owned())),
            },
            () = self.stop.passed() => Err(Attempt::Cut),
        }
    }

    /// The load ends, not delivered: with its dead letter where there is one and nobody sends it again.
    async fn end(&self, load: Load, outcome: &Outcome) {
        let load = self.left_over(load);
        if load.is_empty() {
            return;
        }
        if let Some(fallback) = self.fallback.as_ref().filter(|f| f.on_failure && may_go_elsewhere(outcome)) {
            self.tell_fallback(&load, outcome);
            return fallback.take(load).await;
        }
        let Some((dead_letter, reason)) = self.dead_letter.as_deref().zip(outcome.reason()) else {
            return self.lose(load, outcome);
        };
        let (dead, alive) = load.partition(|part| match outcome {
            Outcome::Rejected { .. } => true,
            Outcome::Retry { reason: Reason::RetriesExhausted, .. } => !part.ack.can_replay(),
            Outcome::Retry { .. } | Outcome::Delivered => false,
        });
        if !alive.is_empty() {
            self.lose(alive, outcome);
        }
        if dead.is_empty() {
            return;
        }
        let request = dead.batch();
        let letter = Letter {
            exporter: self.host.id().clone(),
            signal: request.signal,
            context: request.context.clone(),
            parts: request.parts.iter().map(|part| (part.bytes.whole().clone(), part.items)).collect(),
            reason,
            detail: outcome.detail().unwrap_or_default().into(),
            time: self.host.clock().wall(),
        };
        let burial = dead_letter.bury(&letter).await;
        self.log.buried(&self.host, &letter, &burial);
        match burial {
            Burial::Held => dead.left(&Outcome::Delivered),
            Burial::Returned => dead.left(outcome),
            Burial::Refused(_) => self.lose(dead, outcome),
        }
    }

    /// Without what attempts did get to the peer.
    fn left_over(&self, load: Load) -> Load {
        let Some(exporter) = self.exporter.borrow().clone() else { return load };
        let signal = load.batch().signal;
        load.left_over(|part| exporter.left(signal, part))
    }

    fn lose(&self, load: Load, outcome: &Outcome) {
        let comes_again = matches!(outcome, Outcome::Retry { .. })
            && load.batch().parts.iter().all(|part| part.ack.can_replay());
        if comes_again {
            self.tell_returned(&load, outcome);
            return load.settle(outcome);
        }
        if let Some(suppressed) = self.log.losses.due() {
            tracing::error!(
                exporter = &**self.host.id(),
                signal = self.log.signal.name(),
                dropped_items = load.batch().items(),
                reason = outcome.reason().map_or("", Reason::as_str),
                suppressed,
                error = outcome.detail().unwrap_or_default(),
                "Exporting failed. Dropping data."
            );
        }
        load.settle(outcome);
    }

    fn tell_retry(&self, error: &str, interval: Duration, items: usize) {
        if let Some(suppressed) = self.log.retries.due() {
            let (exporter, signal) = (&**self.host.id(), self.log.signal.name());
            tracing::info!(
                exporter,
                signal,
                items,
                ?interval,
                suppressed,
                error,
                "Exporting failed. Will retry the request after interval."
            );
        }
    }

    fn tell_fallback(&self, load: &Load, outcome: &Outcome) {
        if let Some(suppressed) = self.log.burials.due() {
            tracing::warn!(
                exporter = &**self.host.id(),
                signal = self.log.signal.name(),
                items = load.batch().items(),
                suppressed,
                error = outcome.detail().unwrap_or_default(),
                "Exporting failed. The data goes to the fall-back."
            );
        }
    }

    fn tell_returned(&self, load: &Load, outcome: &Outcome) {
        if let Some(suppressed) = self.log.losses.due() {
            tracing::warn!(
                exporter = &**self.host.id(),
                signal = self.log.signal.name(),
                items = load.batch().items(),
                reason = outcome.reason().map_or("", Reason::as_str),
                suppressed,
                error = outcome.detail().unwrap_or_default(),
                "Exporting failed. The data went back to where it came from, and can be sent again."
            );
        }
    }

    fn tell_partial(&self, accepted: &Accepted) {
        for (reason, dropped_items) in &accepted.dropped {
            if let Some(suppressed) = self.log.losses.due() {
                tracing::warn!(
                    exporter = &**self.host.id(),
                    signal = self.log.signal.name(),
                    dropped_items,
                    reason = reason.as_str(),
                    suppressed,
                    error = accepted.message.as_deref().unwrap_or_default(),
                    "The peer took the request without some of its items."
                );
            }
        }
    }

    fn unwell(&self, why: &str) {
        self.log.troubled.store(true, Ordering::Relaxed);
        let open = self.breaker.as_ref().is_some_and(Breaker::is_open);
        let why = if open { format!("circuit open: {why}") } else { why.to_owned() };
        self.host.report(State::Recoverable, Some(why));
    }

    fn well(&self) {
        if self.log.troubled.load(Ordering::Relaxed) && self.log.troubled.swap(false, Ordering::Relaxed) {
            self.host.report(State::Ok, None);
        }
    }
}

/// Nobody was there, or somebody who could not say when to come back.
fn is_down(error: &ExportError) -> bool {
    matches!(
        error,
        ExportError::Retryable { answered: false, .. } | ExportError::Retryable { after: None, .. }
    )
}

/// What made an exporter panic is not given to another, and at a stop there is no time.
fn may_go_elsewhere(outcome: &Outcome) -> bool {
    !matches!(outcome.reason(), None | Some(Reason::Panic | Reason::Stopping))
}

fn halve(load: Load, left: &mut Vec<Load>) {
    let (first, second) = load.halve();
    left.push(second);
    left.push(first);
}

fn exhausted(text: &str, after: Option<Duration>, answered: bool) -> Outcome {
    let detail = Some(format!("no more retries left: {text}").into());
    Outcome::Retry { reason: Reason::RetriesExhausted, after, answered, detail }
}

fn stopping(text: &str) -> Outcome {
    Outcome::Retry { reason: Reason::Stopping, after: None, answered: false, detail: Some(text.into()) }
}

/// Counts an attempt for as long as it lasts, however it ends.
struct InFlight<'a>(&'a Instrument);

impl<'a> InFlight<'a> {
    fn new(gauge: &'a Instrument) -> Self {
        gauge.value.add(1);
        InFlight(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.value.sub(1);
    }
}
