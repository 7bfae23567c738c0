//! How metrics are named for Prometheus: settings that its two exporters share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_prometheus::{ResourceLabels, Strategy};

/// How OTLP names become Prometheus names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TranslationStrategy {
    /// Foreign characters become `_`; unit and type suffixes are added.
    UnderscoreEscapingWithSuffixes,
    /// Foreign characters become `_`; nothing is added.
    UnderscoreEscapingWithoutSuffixes,
    /// Names stay as they are, suffixes are added. The receiver must take UTF-8 names.
    #[serde(rename = "NoUTF8EscapingWithSuffixes")]
    NoUtf8EscapingWithSuffixes,
    /// Names stay exactly as they are. The receiver must take UTF-8 names.
    NoTranslation,
}

/// The strategy; `suffixes` is the older way to say it.
pub(crate) fn strategy(named: Option<TranslationStrategy>, suffixes: Option<bool>) -> Strategy {
    match (named, suffixes) {
        (Some(TranslationStrategy::UnderscoreEscapingWithSuffixes), _) => {
            Strategy::UnderscoreEscapingWithSuffixes
        }
        (Some(TranslationStrategy::UnderscoreEscapingWithoutSuffixes), _) | (None, Some(false)) => {
            Strategy::UnderscoreEscapingWithoutSuffixes
        }
        (Some(TranslationStrategy::NoUtf8EscapingWithSuffixes), _) => Strategy::NoUtf8EscapingWithSuffixes,
        (Some(TranslationStrategy::NoTranslation), _) => Strategy::NoTranslation,
        (None, _) => Strategy::UnderscoreEscapingWithSuffixes,
    }
}

/// `resource_to_telemetry_conversion`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceToTelemetry {
    /// Whether all resource attributes become labels.
    pub enabled: bool,
    /// Not those that make `job` and `instance`.
    pub exclude_service_attributes: bool,
}

impl ResourceToTelemetry {
    /// The resource attributes that become labels.
    pub(crate) fn labels(&self) -> ResourceLabels {
        if !self.enabled {
            return ResourceLabels::default();
        }
        let mut labels = ResourceLabels::all();
        if self.exclude_service_attributes {
            labels.excluded =
                ["service.name", "service.namespace", "service.instance.id"].map(str::to_owned).into();
        }
        labels
    }
}

/// Other programs' names and labels for what is known of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// oliver006/redis_exporter's, in place of the metrics' own. A lag that nobody knows is absent and
    /// `redis_stream_group_lag_known` is 0.
    RedisExporter,
    /// `postgres_writer_stream_*` of one consumer group, beside the metrics' own.
    PostgresWriter,
    /// `event_consumer_lag`, beside the metrics' own.
    ConsumerLag,
    /// `jeex_redis_*`, beside the metrics' own.
    Jeex,
}

/// `preset_settings`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PresetSettings {
    /// Of preset `redis_exporter`.
    pub redis_exporter: RedisExporter,
    /// Of preset `postgres_writer`.
    pub postgres_writer: PostgresWriter,
}

/// `preset_settings.redis_exporter`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedisExporter {
    /// What every name begins with; redis_exporter's `namespace`.
    pub prefix: String,
}

impl Default for RedisExporter {
    fn default() -> Self {
        RedisExporter { prefix: "redis".to_owned() }
    }
}

/// `preset_settings.postgres_writer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresWriter {
    /// What every name begins with.
    pub prefix: String,
    /// The consumer group that the series are about; its name is no label.
    pub group: String,
}

impl Default for PostgresWriter {
    fn default() -> Self {
        PostgresWriter { prefix: "postgres_writer".to_owned(), group: "postgres-sync".to_owned() }
    }
}

/// The presets' tables.
pub(crate) fn presets(named: &[Preset], settings: &PresetSettings) -> Vec<streamgauge_prometheus::Preset> {
    use streamgauge_prometheus::Preset as Table;
    let table = |preset: &Preset| match preset {
        Preset::RedisExporter => Table::redis_exporter(&settings.redis_exporter.prefix),
        Preset::PostgresWriter => {
            Table::postgres_writer(&settings.postgres_writer.prefix, &settings.postgres_writer.group)
        }
        Preset::ConsumerLag => Table::consumer_lag("event"),
        Preset::Jeex => Table::jeex("jeex"),
    };
    named.iter().map(table).collect()
}

/// What is wrong with the list: the key, and why.
pub(crate) fn preset_problems(named: &[Preset]) -> Vec<(String, String)> {
    let twice = |(at, preset): (usize, &Preset)| {
        let told = || (format!("presets::{at}"), "this preset is named twice".to_owned());
        named[..at].contains(preset).then(told)
    };
    named.iter().enumerate().filter_map(twice).collect()
}
