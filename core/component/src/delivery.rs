//! The settings of what stands before an exporter, with the Collector's keys, defaults and checks.
//! `core/delivery` makes them work.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::optional::Optional;

mod breaker;
mod dead_letter;
mod fallback;

pub use breaker::BreakerSettings;
pub use dead_letter::DeadLetterSettings;
pub use fallback::{Fallback, FallbackSettings};

/// `retry_on_failure`: what happens when the peer does not take a request now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetrySettings {
    /// Whether failed requests are tried again.
    pub enabled: bool,
    /// Wait before the first new try.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub initial_interval: Duration,
    /// Each wait is the one before times a random factor between `1 - randomization_factor` and `1 + randomization_factor`.
    pub randomization_factor: f64,
    /// Factor by which the wait grows.
    pub multiplier: f64,
    /// The longest wait.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub max_interval: Duration,
    /// When to give up, counted from the first try; `0s` never gives up.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub max_elapsed_time: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        RetrySettings {
            enabled: true,
            initial_interval: Duration::from_secs(5),
            randomization_factor: 0.5,
            multiplier: 1.5,
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::from_secs(300),
        }
    }
}

impl RetrySettings {
    /// The Collector's checks: path below this section, and message.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if !self.enabled {
            return found;
        }
        if !(0.0..=1.0).contains(&self.randomization_factor) {
            found.push(("randomization_factor", "'randomization_factor' must be within [0, 1]".to_owned()));
        }
        if self.multiplier < 0.0 || !self.multiplier.is_finite() {
            found.push(("multiplier", "'multiplier' must be non-negative".to_owned()));
        }
        if !self.max_elapsed_time.is_zero() {
            if self.max_elapsed_time < self.initial_interval {
                let text = "'max_elapsed_time' must not be less than 'initial_interval'";
                found.push(("max_elapsed_time", text.to_owned()));
            }
            if self.max_elapsed_time < self.max_interval {
                let text = "'max_elapsed_time' must not be less than 'max_interval'";
                found.push(("max_elapsed_time", text.to_owned()));
            }
        }
        found
    }
}

/// What a queue's or batch's size counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sizer {
    /// Requests.
    #[default]
    Requests,
    /// Spans, data points, log records.
    Items,
    /// Encoded bytes.
    Bytes,
}

/// What a full queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// Gives the new data back at once: its source tries again if it can.
    #[default]
    Refuse,
    /// Lets the sender wait for room.
    Block,
    /// Drops what has waited longest, and counts it. Nobody waits.
    DropOldest,
}

/// `sending_queue`: what waits before the exporter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueueSettings {
    /// Whether there is a queue. Without one a request is exported while its sender waits.
    pub enabled: bool,
    /// How many requests are exported at once.
    pub num_consumers: usize,
    /// How much the queue holds, counted by `sizer`.
    pub queue_size: usize,
    /// What `queue_size` counts.
    pub sizer: Sizer,
    /// Whether a full queue lets the sender wait instead of refusing: the Collector's way to say `when_full: block`.
    pub block_on_overflow: bool,
    /// What a full queue does. Without it `refuse`, or `block` with `block_on_overflow`.
    pub when_full: Option<WhenFull>,
    /// Whether the sender's answer waits until the request has been exported.
    pub wait_for_result: bool,
    /// Id of a storage extension that makes the queue survive a restart.
    pub storage: Option<String>,
    /// Joins small requests and splits large ones on their way out of the queue. On when it is named.
    pub batch: Optional<BatchSettings>,
}

impl Default for QueueSettings {
    fn default() -> Self {
        QueueSettings {
            enabled: true,
            num_consumers: 10,
            queue_size: 1000,
            sizer: Sizer::Requests,
            block_on_overflow: false,
            when_full: None,
            wait_for_result: false,
            storage: None,
            batch: Optional(None),
        }
    }
}

/// `sending_queue.batch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BatchSettings {
    /// How long data waits for more before it is sent all the same.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub flush_timeout: Duration,
    /// Size from which a batch is sent.
    pub min_size: usize,
    /// Size that a batch never exceeds unless one item does; 0 is no limit.
    pub max_size: usize,
    /// What the sizes count: `items` or `bytes`. Without it the queue's sizer, or items when that counts requests.
    pub sizer: Option<Sizer>,
    /// Keeps data with different metadata apart.
    pub partition: Partition,
}

/// `sending_queue.batch.partition`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Partition {
    /// Request headers by whose values data is kept apart.
    pub metadata_keys: Vec<String>,
}

impl Default for BatchSettings {
    fn default() -> Self {
        BatchSettings {
            flush_timeout: Duration::from_millis(200),
            min_size: 8192,
            max_size: 0,
            sizer: None,
            partition: Partition::default(),
        }
    }
}

impl QueueSettings {
    /// Switched off, for exporters that are sinks of their own.
    pub fn disabled() -> Self {
        QueueSettings { enabled: false, ..QueueSettings::default() }
    }

    /// What a full queue does, by whichever key says it.
    pub fn overflow(&self) -> WhenFull {
        match self.when_full {
            Some(told) => told,
            None if self.block_on_overflow => WhenFull::Block,
            None => WhenFull::Refuse,
        }
    }

    /// What the batch sizes count.
    pub fn batch_sizer(&self, batch: &BatchSettings) -> Sizer {
        match (batch.sizer, self.sizer) {
            (Some(own), _) => own,
            (None, Sizer::Requests) => Sizer::Items,
            (None, inherited) => inherited,
        }
    }

    /// The Collector's checks: path below this section, and message.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if !self.enabled {
            return found;
        }
        if self.num_consumers == 0 {
            found.push(("num_consumers", "`num_consumers` must be positive".to_owned()));
        }
        if self.queue_size == 0 {
            found.push(("queue_size", "`queue_size` must be positive".to_owned()));
        }
        if self.block_on_overflow && self.overflow() != WhenFull::Block {
            let text = "`block_on_overflow: true` and `when_full` contradict each other: \
                        leave one out, or set `when_full: block`";
            found.push(("block_on_overflow", text.to_owned()));
            found.push(("when_full", text.to_owned()));
        }
        if self.storage.is_some() && self.wait_for_result {
            let text = "`wait_for_result` is not supported with a persistent queue configured with `storage`";
            found.push(("wait_for_result", text.to_owned()));
        }
        if let Some(batch) = self.batch.as_ref() {
            let sizer = self.batch_sizer(batch);
            if sizer == Sizer::Requests {
                let text = "`batch` supports only `items` or `bytes` sizer, found \"requests\"";
                found.push(("batch::sizer", text.to_owned()));
            }
            if sizer == self.sizer && batch.min_size > self.queue_size {
                let text = "`min_size` must be less than or equal to `queue_size`";
                found.push(("batch::min_size", text.to_owned()));
            }
            if batch.max_size > 0 && batch.max_size < batch.min_size {
                let (max, min) = (batch.max_size, batch.min_size);
                let text = format!("`max_size` ({max}) must be greater or equal to `min_size` ({min})");
                found.push(("batch::max_size", text));
            }
        }
        found
    }
}

/// What stands before one exporter.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliverySettings {
    /// The longest that one attempt may take; zero is for ever.
    pub timeout: Duration,
    /// Retries.
    pub retry: RetrySettings,
    /// The queue.
    pub queue: QueueSettings,
    /// The circuit breaker.
    pub breaker: BreakerSettings,
    /// Where data ends that did not get to its peer.
    pub dead_letter: Optional<DeadLetterSettings>,
    /// Who takes what this exporter does not.
    pub fallback: Option<Fallback>,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        DeliverySettings {
            timeout: Duration::from_secs(5),
            retry: RetrySettings::default(),
            queue: QueueSettings::default(),
            breaker: BreakerSettings::default(),
            dead_letter: Optional(None),
            fallback: None,
        }
    }
}

impl DeliverySettings {
    /// For exporters that are sinks of their own (`debug`): no queue, no retry, no timeout.
    pub fn direct() -> Self {
        DeliverySettings {
            timeout: Duration::ZERO,
            retry: RetrySettings { enabled: false, ..RetrySettings::default() },
            queue: QueueSettings::disabled(),
            breaker: BreakerSettings { enabled: false, ..BreakerSettings::default() },
            dead_letter: Optional(None),
            fallback: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collectors_checks_have_its_words() {
        let queue = QueueSettings { num_consumers: 0, queue_size: 0, ..QueueSettings::default() };
        let texts: Vec<String> = queue.problems().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["`num_consumers` must be positive", "`queue_size` must be positive"]);

        let batch = BatchSettings { min_size: 10, max_size: 5, ..BatchSettings::default() };
        let queue = QueueSettings { batch: Optional::some(batch), ..QueueSettings::default() };
        assert_eq!(queue.problems()[0].1, "`max_size` (5) must be greater or equal to `min_size` (10)");

        let retry = RetrySettings { max_elapsed_time: Duration::from_secs(1), ..RetrySettings::default() };
        assert_eq!(retry.problems()[0].1, "'max_elapsed_time' must not be less than 'initial_interval'");
        assert!(RetrySettings { max_elapsed_time: Duration::ZERO, ..retry }.problems().is_empty());
    }

    #[test]
    fn two_keys_that_contradict_each_other_are_both_named() {
        let problems = |json: &str| -> Vec<&str> {
            let queue: QueueSettings = serde_json::from_str(json).unwrap();
            queue.problems().into_iter().map(|(key, _)| key).collect()
        };
        let both = ["block_on_overflow", "when_full"];
        assert_eq!(problems(r#"{"block_on_overflow": true, "when_full": "refuse"}"#), both);
        assert_eq!(problems(r#"{"block_on_overflow": true, "when_full": "drop_oldest"}"#), both);
        assert!(problems(r#"{"block_on_overflow": true, "when_full": "block"}"#).is_empty());
        assert!(problems(r#"{"when_full": "drop_oldest"}"#).is_empty());
    }

    #[test]
    fn a_batch_named_without_settings_is_on() {
        let queue: QueueSettings = serde_json::from_str(r#"{"batch": null}"#).unwrap();
        assert_eq!(queue.batch, Optional::some(BatchSettings::default()));
        let queue: QueueSettings = serde_json::from_str(r#"{"batch": {"min_size": 7}}"#).unwrap();
        assert_eq!(queue.batch.as_ref().unwrap().min_size, 7);
        let queue: QueueSettings = serde_json::from_str("{}").unwrap();
        assert_eq!(queue.batch, Optional(None));
    }
}
