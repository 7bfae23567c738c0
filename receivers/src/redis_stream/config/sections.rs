//! The groups of settings.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_redis::slot;
use streamgauge_streams::StreamId;

use super::names::Template;
use super::size::Size;
use super::streams::Level;

/// `group`: the consumer group.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// Its name. `{stream}` stands for the stream's name, `{*}` for what the first `*` of its glob stood for.
    pub name: Template,
    /// Makes the group, and the stream, where they are missing.
    pub create: bool,
    /// Where a group that is made begins: `oldest`, `latest`, or behind an id.
    pub start: Start,
}

impl Default for Group {
    fn default() -> Self {
        Group { name: Template("streamgauge".to_owned()), create: true, start: Start::Oldest }
    }
}

/// `group.start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub enum Start {
    /// With all that is there.
    Oldest,
    /// With what comes from now on.
    Latest,
    /// Behind this entry.
    Id(StreamId),
}

impl Serialize for Start {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Start::Oldest => serializer.serialize_str("oldest"),
            Start::Latest => serializer.serialize_str("latest"),
            Start::Id(id) => serializer.collect_str(id),
        }
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "oldest" => Ok(Start::Oldest),
            "latest" => Ok(Start::Latest),
            id => StreamId::parse(id.as_bytes()).map(Start::Id).ok_or_else(|| {
                serde::de::Error::custom(format!(
                    "{id}: wants oldest, latest or an id such as 1700000000000-0"
                ))
            }),
        }
    }
}

/// `consumer`: this member of the group.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Consumer {
    /// Its name, one for each replica. Without it the host's name (`HOSTNAME`).
    pub name: Option<String>,
    /// How often it tells that it lives. Whoever has not for three times as long is taken for dead.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub heartbeat: Duration,
    /// Consumers of the group that hold nothing, have no heartbeat and have been idle for so long are removed. `0s` removes
    /// none.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub cleanup_after: Duration,
}

impl Default for Consumer {
    fn default() -> Self {
        Consumer { name: None, heartbeat: Duration::from_secs(5), cleanup_after: Duration::from_secs(600) }
    }
}

/// `read`: how much is read at once, and how much may be on its way.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Read {
    /// The most entries of a stream that one read takes.
    pub count: usize,
    /// How long a read waits where nothing is there.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub block: Duration,
    /// The most entries that are read and not acknowledged. At the bound reading stops; acknowledging goes on.
    pub max_in_flight: usize,
    /// The same in bytes.
    pub max_in_flight_bytes: Size,
    /// How many reads are offered to the pipelines at the same time. 1 keeps the order of a stream with one consumer.
    pub workers: usize,
}

impl Default for Read {
    fn default() -> Self {
        Read {
            count: 500,
            block: Duration::from_secs(1),
            max_in_flight: 5000,
            max_in_flight_bytes: Size(32 << 20),
            workers: 4,
        }
    }
}

/// `priority`: what the levels of streams mean.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Priority {
    /// `weighted`: of each read every level has its share; `strict`: a level is read when nothing waits in those above it, and
    /// one entry each second besides, so that nothing starves.
    pub mode: Mode,
    /// The shares of the levels.
    pub weights: Weights,
    /// The field of an entry that says its level: `critical`, `high`, `normal` or `low`, in any case. An entry without it has
    /// that of its stream. Entries then pass one another by their levels as far as they are read, which is up to
    /// `read.max_in_flight` of them.
    pub field: Option<String>,
}

/// `priority.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Shares.
    #[default]
    Weighted,
    /// One after the other.
    Strict,
}

/// `priority.weights`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// Of `critical`.
    pub critical: u32,
    /// Of `high`.
    pub high: u32,
    /// Of `normal`.
    pub normal: u32,
    /// Of `low`.
    pub low: u32,
}

impl Default for Weights {
    fn default() -> Self {
        Weights { critical: 8, high: 4, normal: 2, low: 1 }
    }
}

impl Weights {
    /// Of a level; nothing has none at all.
    pub fn of(&self, level: Level) -> u32 {
        let weight = match level {
            Level::Critical => self.critical,
            Level::High => self.high,
            Level::Normal => self.normal,
            Level::Low => self.low,
        };
        weight.max(1)
    }
}

/// `ack`: when and how entries are acknowledged.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ack {
    /// `delivered`: when every exporter has delivered it, or a queue on disk has it; `accepted`: as soon as a queue or a
    /// component has taken it over, so that a crash of the collector loses what is in memory.
    pub on: AckOn,
    /// How many entries are acknowledged at once.
    pub batch: usize,
    /// The longest that an acknowledgement waits for others.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub interval: Duration,
    /// Deletes what is acknowledged from the stream: by XACKDEL, once all groups have acknowledged it. Where the server has no
    /// XACKDEL (before Redis 8.2) entries are deleted only from streams with no other group.
    pub delete: bool,
}

impl Default for Ack {
    fn default() -> Self {
        Ack { on: AckOn::Delivered, batch: 500, interval: Duration::from_millis(200), delete: false }
    }
}

/// `ack.on`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AckOn {
    /// Every exporter has delivered it.
    #[default]
    #[serde(alias = "exported")]
    Delivered,
    /// A queue or a component has it.
    Accepted,
}

/// `claim`: taking over what other consumers have left lying.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Claim {
    /// Whether it is done.
    pub enabled: bool,
    /// How long an entry must lie.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub min_idle: Duration,
    /// How often is looked.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub interval: Duration,
    /// The most entries of a stream that are taken over at once.
    pub count: usize,
    /// Takes from nobody whose heartbeat is there, however slow he is. Consumers that are not Streamgauge have none: of them
    /// the idle time alone counts.
    pub require_dead_heartbeat: bool,
}

impl Default for Claim {
    fn default() -> Self {
        Claim {
            enabled: true,
            min_idle: Duration::from_secs(60),
            interval: Duration::from_secs(15),
            count: 100,
            require_dead_heartbeat: true,
        }
    }
}

/// `retry`: how often and how fast an entry that was not taken is offered again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Tries after which an entry goes to the dead letter. Counted are deliveries by Redis, and offers that the peer itself
    /// answered with "not now"; a peer that is not there, or a full queue, is no try.
    pub max_deliveries: u64,
    /// The waits between offers.
    pub backoff: Backoff,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { max_deliveries: 5, backoff: Backoff::default() }
    }
}

/// `retry.backoff`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    /// The first wait.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub initial: Duration,
    /// The longest wait.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub max: Duration,
    /// How much longer each wait is than the one before.
    pub multiplier: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(60), multiplier: 2.0 }
    }
}

/// `dead_letter`: where entries go that nobody takes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetter {
    /// Whether there is one. Without it such entries are acknowledged, dropped and counted.
    pub enabled: bool,
    /// The stream. `{stream}` stands for the stream's name, `{*}` for what the first `*` of its glob stood for. In a Cluster the
    /// default is `{orders}:dlq`, with braces, for a stream `orders`: so it lies in the stream's slot.
    pub stream: Template,
    /// About how many entries it keeps; 0 keeps all.
    pub max_len: u64,
    /// How long it keeps them; `0s` is for ever.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub ttl: Duration,
    /// What becomes of an entry that is not what `encoding` says: `dead_letter`, or `drop`.
    pub on_undecodable: OnUndecodable,
}

impl Default for DeadLetter {
    fn default() -> Self {
        DeadLetter {
            enabled: true,
            stream: Template(LETTERS.to_owned()),
            max_len: 100_000,
            ttl: Duration::from_secs(24 * 60 * 60),
            on_undecodable: OnUndecodable::DeadLetter,
        }
    }
}

/// The dead letter of a stream, if nothing else is said.
const LETTERS: &str = "{stream}:dlq";

impl DeadLetter {
    /// The dead letter of a stream. With slots the default gets a hash tag where that brings it into the stream's slot: then
    /// an entry is put aside and acknowledged in one step.
    pub(in super::super) fn of(&self, stream: &[u8], star: &[u8], has_slots: bool) -> Vec<u8> {
        let name = self.stream.of(stream, star);
        let tagged = [b"{", stream, b"}:dlq"].concat();
        let helps = slot(&name) != slot(stream) && slot(&tagged) == slot(stream);
        if has_slots && self.stream.0 == LETTERS && helps { tagged } else { name }
    }
}

/// `dead_letter.on_undecodable`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUndecodable {
    /// It goes there.
    #[default]
    DeadLetter,
    /// It is acknowledged, dropped and counted.
    Drop,
}

/// `shutdown`: the end.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// How long the last acknowledgements and dead letters may take.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub drain_timeout: Duration,
    /// What becomes of entries that were not delivered: `auto` hands them back, so that another consumer of the group can
    /// take them at once; `keep` leaves them to this consumer's next start, or to `claim` after `claim.min_idle`.
    pub release: Release,
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown { drain_timeout: Duration::from_secs(10), release: Release::Auto }
    }
}

/// `shutdown.release`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Release {
    /// Handed back.
    #[default]
    Auto,
    /// Kept.
    Keep,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_cluster_the_default_dead_letter_lies_in_the_slot_of_its_stream() {
        let default = DeadLetter::default();
        for (stream, letters) in
            [("orders", "{orders}:dlq"), ("{shop}:orders", "{shop}:orders:dlq"), ("a}b", "a}b:dlq")]
        {
            assert_eq!(default.of(stream.as_bytes(), b"", true), letters.as_bytes());
            assert_eq!(default.of(stream.as_bytes(), b"", false), format!("{stream}:dlq").as_bytes());
        }
        let own = DeadLetter { stream: Template("dead:{stream}".to_owned()), ..default };
        assert_eq!(own.of(b"orders", b"", true), b"dead:orders");
    }
}
