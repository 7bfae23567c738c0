//! redis_exporter's flags and variables, and what becomes of each.

use std::collections::BTreeMap;

/// One setting of redis_exporter.
#[derive(Debug)]
pub(crate) struct Flag {
    /// As it is typed, without hyphens. The variable is `REDIS_EXPORTER_` and the same in capitals, with exceptions.
    pub(crate) name: &'static str,
    /// Whether it is given without a value.
    pub(crate) switch: bool,
    pub(crate) fate: Fate,
}

/// What becomes of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is part of the configuration.
    Kept,
    /// It is not needed here; why.
    Needless(&'static str),
    /// It has no counterpart; what then is missing.
    Missing(&'static str),
}

use Fate::{Kept, Missing, Needless};

const fn text(name: &'static str, fate: Fate) -> Flag {
    Flag { name, switch: false, fate }
}

const fn switch(name: &'static str, fate: Fate) -> Flag {
    Flag { name, switch: true, fate }
}

const NO_KEYS: Fate = Missing("keys other than streams are not read: no key_size, key_value, keys_count");
const NO_SCRIPTS: Fate = Missing("no script is run on the server");
const NO_SEARCH: Fate = Missing("search indexes are not read");
const NO_CLIENT_SERIES: Fate = Missing("there is no series for each client");

/// All of them.
#[rustfmt::skip]
pub(crate) static FLAGS: &[Flag] = &[
    text("redis.addr", Kept),
    text("redis.user", Kept),
    text("redis.password", Kept),
    text("redis.password-file", Missing("it holds passwords by address: put this server's into REDIS_PASSWORD, or alone into a `password_file`")),
    text("namespace", Kept),
    text("web.listen-address", Kept),
    text("web.telemetry-path", Kept),
    text("check-streams", Kept),
    text("check-single-streams", Kept),
    text("check-stream-groups", Kept),
    switch("streams-exclude-consumer-metrics", Kept),
    text("connection-timeout", Kept),
    text("tls-client-key-file", Kept),
    text("tls-client-cert-file", Kept),
    text("tls-ca-cert-file", Kept),
    switch("skip-tls-verification", Kept),
    text("tls-server-key-file", Kept),
    text("tls-server-cert-file", Kept),
    text("tls-server-ca-cert-file", Kept),
    text("tls-server-min-version", Kept),
    text("basic-auth-username", Kept),
    text("basic-auth-password", Kept),
    text("basic-auth-hash-password", Kept),
    switch("debug", Kept),
    text("log-level", Kept),
    text("log-format", Kept),
    text("check-keys", NO_KEYS),
    text("check-single-keys", NO_KEYS),
    text("count-keys", NO_KEYS),
    text("check-keys-batch-size", NO_KEYS),
    text("check-key-groups", NO_KEYS),
    text("max-distinct-key-groups", NO_KEYS),
    switch("skip-checkkeys-for-role-master", NO_KEYS),
    text("script", NO_SCRIPTS),
    switch("lua-script-read-only", NO_SCRIPTS),
    switch("export-client-list", NO_CLIENT_SERIES),
    switch("export-client-port", NO_CLIENT_SERIES),
    switch("include-search-indexes-metrics", NO_SEARCH),
    text("check-search-indexes", NO_SEARCH),
    switch("include-modules-metrics", Missing("modules' metrics are not read")),
    switch("include-config-metrics", Missing("the configuration is not shown as metrics")),
    switch("include-sentinel-peer-info", Missing("sentinels' peers are not shown")),
    switch("include-rdb-file-size-metric", Missing("the dump's file is not looked at")),
    switch("include-metrics-for-empty-databases", Missing("databases without keys have no series")),
    switch("is-tile38", Missing("Tile38 is not read")),
    switch("is-cluster", Kept),
    switch("cluster-discover-hostnames", Needless("nodes are called as they announce themselves")),
    switch("append-instance-role-label", Missing("redis_instance_info has the role")),
    switch("include-system-metrics", Needless("what is known is always shown")),
    switch("redis-only-metrics", Needless("the collector's own metrics are off")),
    switch("include-go-runtime-metrics", Needless("there is no Go runtime")),
    switch("ping-on-connect", Needless("connections last and are watched")),
    switch("set-client-name", Needless("connections always have a name")),
    switch("disable-exporting-key-values", Needless("values are never read")),
    switch("exclude-latency-histogram-metrics", Kept),
    switch("redact-config-metrics", Needless("the configuration is not shown as metrics")),
    switch("disable-scrape-endpoint", Needless("/scrape connects to nobody")),
    text("config-command", Needless("CONFIG is not asked")),
];

impl Flag {
    /// The variable.
    pub(crate) fn variable(&self) -> String {
        let name = self.name.to_uppercase().replace(['.', '-'], "_");
        match self.name.starts_with("redis.") {
            true => name,
            false => format!("REDIS_EXPORTER_{name}"),
        }
    }
}

/// What was given, by the flags' names.
#[derive(Debug, Default)]
pub(crate) struct Given {
    values: BTreeMap<&'static str, Value>,
    /// Variables that look like redis_exporter's and are not.
    pub(crate) unknown: Vec<String>,
}

#[derive(Debug)]
struct Value {
    text: String,
    from_flag: bool,
}

impl Given {
    /// A setting's text; what is empty was not given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.text.as_str()).filter(|text| !text.is_empty())
    }

    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "1" | "t"))
    }

    /// Whether it was typed, not taken from the environment.
    pub(crate) fn is_flag(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| value.from_flag)
    }

    /// Whether the environment says anything to redis_exporter and to nobody else: many programs have a REDIS_PASSWORD.
    pub(crate) fn is_for_exporter(&self) -> bool {
        let own = |name: &str| name == "redis.addr" || !name.starts_with("redis.");
        !self.unknown.is_empty() || self.values.iter().any(|(name, value)| own(name) && !value.from_flag)
    }

    /// What was given and is not part of the configuration.
    pub(crate) fn left_out(&self) -> impl Iterator<Item = &'static Flag> {
        let given = |flag: &&Flag| self.text(flag.name).is_some() && (!flag.switch || self.is_on(flag.name));
        FLAGS.iter().filter(|flag| flag.fate != Kept).filter(given)
    }
}

/// Reads variables, then flags, which win.
pub(crate) fn read(
    flags: &[String],
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Given, String> {
    let mut given = Given::default();
    for (variable, text) in environment {
        match FLAGS.iter().find(|flag| flag.variable() == variable) {
            Some(flag) => _ = given.values.insert(flag.name, Value { text, from_flag: false }),
            None if variable.starts_with("REDIS_EXPORTER_") => given.unknown.push(variable),
            None => {}
        }
    }
    given.unknown.sort();
    let mut rest = flags.iter();
    while let Some(word) = rest.next() {
        if word == "--env" {
            continue;
        }
        let typed = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
        let (name, text) = match typed.map(|typed| typed.split_once('=').unwrap_or((typed, ""))) {
            Some((name, text)) => (name, text.to_owned()),
            None => return Err(format!("Error: {word:?} is no flag: --name=value is expected")),
        };
        let Some(flag) = FLAGS.iter().find(|flag| flag.name == name) else {
            return Err(format!("Error: redis_exporter has no flag --{name}"));
        };
        let text = match (word.contains('='), flag.switch) {
            (true, _) => text,
            (false, true) => "true".to_owned(),
            (false, false) => rest.next().cloned().ok_or_else(|| format!("Error: --{name} needs a value"))?,
        };
        given.values.insert(flag.name, Value { text, from_flag: true });
    }
    Ok(given)
}
