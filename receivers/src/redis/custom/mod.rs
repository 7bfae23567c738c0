//! Metrics and checks that a configuration declares: no program is built for them.
//!
//! - [`config`]: the two lists, and what may be wrong with them.
//! - `source`: where a value is read, a field of INFO or a command of the allowlist, and what was read.
//! - `round`: a node's points; `judge`: the checks for `streamgauge doctor`.

pub mod config;
mod round;
mod source;
#[cfg(test)]
mod tests;

use streamgauge_redis::{CallResult, Info, ReadCommand};

pub use config::{Check, CustomMetric, Severity};
pub(crate) use round::{Custom, metrics};
use source::{Fact, Questions, Source, Unread};

/// How a check came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds; with what was read.
    Holds(String),
    /// It does not; with what was read.
    Fails(String),
    /// It could not be seen, and why.
    Unknown(String),
}

/// Metrics and checks as a person's examination sees them, on one server.
pub struct Examined<'a> {
    checks: &'a [Check],
    metrics: &'a [CustomMetric],
    sources: Vec<Source>,
    /// Whether the server is asked about keys, and about itself.
    asks: (bool, bool),
}

/// What came of it: metrics that could not be read and why, and the checks.
pub type Judged<'a> = (Vec<(&'a CustomMetric, String)>, Vec<(&'a Check, Verdict)>);

impl<'a> Examined<'a> {
    /// Those of a configuration that was checked. `about_keys`: whether this server is asked about keys, `about_itself`:
    /// whether it is sent commands at all.
    pub fn new(
        metrics: &'a [CustomMetric],
        checks: &'a [Check],
        about_keys: bool,
        about_itself: bool,
    ) -> Self {
        let of_metrics = metrics.iter().filter_map(|metric| metric.source().ok());
        let sources = of_metrics.chain(checks.iter().filter_map(|check| check.source().ok())).collect();
        Examined { checks, metrics, sources, asks: (about_keys, about_itself) }
    }

    /// What to send, with the key that each command is about.
    pub fn commands(&self) -> Vec<(ReadCommand, Option<Vec<u8>>)> {
        let named = self.sources.iter().filter_map(|source| match source {
            Source::Command(named) => Some(named),
            Source::Field(_) => None,
        });
        let asked = named.filter(|named| self.asks(named.key.as_deref()));
        asked.map(|named| (named.command.clone(), named.key.clone())).collect()
    }

    /// How it came out, from INFO and the answers to [`Examined::commands`]. What another server is to tell is left out.
    pub fn judge(&self, info: &Info<'_>, answers: &[CallResult]) -> Judged<'a> {
        let questions = Questions::new(self.sources.iter(), |key| self.asks(key));
        let mut facts = questions.read(info, Some(answers)).into_iter();
        let unread = |(metric, fact): (&'a CustomMetric, Option<Result<Fact, Unread>>)| {
            let unread = fact?.and_then(|fact| fact.number()).err()?;
            Some((metric, unread.to_string()))
        };
        let metrics = self.metrics.iter().zip(facts.by_ref()).filter_map(unread).collect();
        let judged = |(check, fact): (&'a Check, Option<Result<Fact, Unread>>)| {
            let verdict = match fact? {
                Ok(fact) => match fact.holds(check) {
                    Ok(true) => Verdict::Holds(fact.to_string()),
                    Ok(false) => Verdict::Fails(fact.to_string()),
                    Err(unread) => Verdict::Unknown(format!("{fact}: {unread}")),
                },
                Err(unread) => Verdict::Unknown(unread.to_string()),
            };
            Some((check, verdict))
        };
        (metrics, self.checks.iter().zip(facts).filter_map(judged).collect())
    }

    fn asks(&self, key: Option<&[u8]>) -> bool {
        let (about_keys, about_itself) = self.asks;
        if key.is_some() { about_keys } else { about_itself }
    }
}
