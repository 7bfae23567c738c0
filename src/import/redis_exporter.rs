//! What redis_exporter was told, as a configuration that serves the same metrics on the same port.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use streamgauge_prometheus::Preset;
use streamgauge_receivers::redis::metrics_off_by_default;

use super::flags::{Fate, Given};

const ADDRESS: &str = "localhost:6379";
const LISTEN: &str = "0.0.0.0:9121";
const PREFIX: &str = "redis";

/// The configuration, commented. It holds no secret: those are references to the environment.
pub(crate) fn configuration(given: &Given) -> String {
    let mut out = String::from(
        "# redis_exporter's settings, for streamgauge. The names and labels of its metrics stay the same.\n",
    );
    remarks(given, &mut out);
    let connection = connection(given);
    let streams = streams(given);
    out.push_str("receivers:\n  redis:\n");
    out.push_str(&connection);
    out.push_str("    # Metrics that are off by default and that redis_exporter shows.\n    metrics:\n");
    for metric in optional(given.is_on("exclude-latency-histogram-metrics")) {
        let _ = writeln!(out, "      {metric}: {{enabled: true}}");
    }
    for (db, patterns) in &streams {
        let _ = writeln!(out, "  redis_stream_metrics/db{db}:");
        out.push_str(&connection);
        let _ = writeln!(out, "    db: {db}\n    streams: [{}]", list(patterns));
        if let Some(groups) = given.text("check-stream-groups") {
            let groups: Vec<_> = groups.split(',').map(str::trim).filter(|g| !g.is_empty()).collect();
            let _ = writeln!(out, "    groups: [{}]", list(&groups));
        }
        if given.is_on("streams-exclude-consumer-metrics") {
            out.push_str("    consumers: {enabled: false}\n");
        }
    }
    exporter(given, &mut out);
    let auth = users(given);
    if let Some(users) = &auth {
        let _ = writeln!(out, "extensions:\n  basicauth:\n    htpasswd: {{inline: {users}}}");
    }
    out.push_str("service:\n");
    if auth.is_some() {
        out.push_str("  extensions: [basicauth]\n");
    }
    logs(given, &mut out);
    let receivers = streams.keys().map(|db| format!(", redis_stream_metrics/db{db}")).collect::<String>();
    let _ = writeln!(
        out,
        "  pipelines:\n    metrics: {{receivers: [redis{receivers}], exporters: [prometheus]}}"
    );
    out
}

/// What was asked for and is not in it.
fn remarks(given: &Given, out: &mut String) {
    for flag in given.left_out() {
        let (word, why) = match flag.fate {
            Fate::Needless(why) => ("not needed", why),
            Fate::Missing(why) => ("NOT AVAILABLE", why),
            Fate::Kept => continue,
        };
        let _ = writeln!(out, "# {} is {word}: {why}.", flag.variable());
    }
    for variable in &given.unknown {
        let _ = writeln!(out, "# {variable} is not a variable of redis_exporter.");
    }
    for (flag, variable) in
        [("redis.password", "REDIS_PASSWORD"), ("basic-auth-password", "REDIS_EXPORTER_BASIC_AUTH_PASSWORD")]
    {
        if given.is_flag(flag) {
            let _ = writeln!(out, "# The password of --{flag} is not repeated here: put it into {variable}.");
        }
    }
    if given.is_flag("redis.addr") && given.text("redis.addr").is_some_and(|address| address.contains('@')) {
        out.push_str("# The address of --redis.addr has a password and is not repeated here: put it into REDIS_ADDR.\n");
    }
}

/// The lines that every receiver has.
fn connection(given: &Given) -> String {
    let address = given.text("redis.addr").unwrap_or(ADDRESS);
    let mut out = String::new();
    // A URL may hold a password: then it stays where it is.
    let shown = if address.contains('@') { "${env:REDIS_ADDR}".to_owned() } else { quoted(plain(address)) };
    let _ = writeln!(out, "    endpoint: {shown}");
    if let Some(user) = given.text("redis.user") {
        let _ = writeln!(out, "    username: {}", quoted(user));
    }
    if given.text("redis.password").is_some() {
        out.push_str("    password: ${env:REDIS_PASSWORD}\n");
    }
    if address.starts_with("rediss://") {
        let files = [
            ("ca_file", "tls-ca-cert-file"),
            ("cert_file", "tls-client-cert-file"),
            ("key_file", "tls-client-key-file"),
        ];
        let files =
            files.iter().filter_map(|(key, flag)| Some(format!("{key}: {}", quoted(given.text(flag)?))));
        let skip = given.is_on("skip-tls-verification").then(|| "insecure_skip_verify: true".to_owned());
        let tls: Vec<_> = files.chain(skip).collect();
        if !tls.is_empty() {
            let _ = writeln!(out, "    tls: {{{}}}", tls.join(", "));
        }
    }
    if let Some(timeout) = given.text("connection-timeout") {
        let _ = writeln!(out, "    timeout: {}", quoted(timeout));
    }
    out.push_str("    initial_delay: 0s\n");
    if given.is_on("is-cluster") {
        out.push_str("    # All nodes, told apart by the label instance: scrape each at /scrape?target=, or keep the label\n");
        out.push_str("    # with honor_labels: true.\n    topology: auto\n");
    } else {
        // One server, told apart by the address that is scraped, as with redis_exporter.
        out.push_str("    topology: single\n");
        out.push_str(
            "    resource_attributes: {server.address: {enabled: false}, server.port: {enabled: false}}\n",
        );
    }
    out
}

/// `redis://host:port` is what a bare address means anyway.
fn plain(address: &str) -> &str {
    address.strip_prefix("redis://").unwrap_or(address).trim_end_matches('/')
}

/// Patterns of streams by database: `db3=orders:*` or `orders:*`.
fn streams(given: &Given) -> BTreeMap<u32, Vec<&str>> {
    let mut found: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    let lists = ["check-streams", "check-single-streams"].into_iter().filter_map(|name| given.text(name));
    for pattern in lists.flat_map(|list| list.split(',')).map(str::trim).filter(|p| !p.is_empty()) {
        let of_db = pattern
            .split_once('=')
            .and_then(|(db, rest)| Some((db.strip_prefix("db").unwrap_or(db).parse().ok()?, rest)));
        let (db, pattern) = of_db.unwrap_or((0, pattern));
        found.entry(db).or_default().push(pattern);
    }
    found
}

/// What the preset reads and the receiver does not collect by itself.
fn optional(without_histograms: bool) -> Vec<&'static str> {
    let preset = Preset::redis_exporter(PREFIX);
    let read: Vec<_> = preset.sources().collect();
    let wanted =
        |metric: &&str| read.contains(metric) && !(without_histograms && *metric == "redis.cmd.duration");
    metrics_off_by_default().filter(wanted).collect()
}

fn exporter(given: &Given, out: &mut String) {
    let listen = given.text("web.listen-address").unwrap_or(LISTEN);
    let _ = writeln!(out, "exporters:\n  prometheus:\n    endpoint: {}", quoted(listen));
    if let Some(path) = given.text("web.telemetry-path") {
        let _ = writeln!(out, "    path: {}", quoted(path));
    }
    out.push_str("    presets: [redis_exporter]\n");
    if let Some(prefix) = given.text("namespace").filter(|prefix| *prefix != PREFIX) {
        let _ = writeln!(out, "    preset_settings: {{redis_exporter: {{prefix: {}}}}}", quoted(prefix));
    }
    out.push_str("    without_scope_info: true\n");
    let tls = [
        ("cert_file", "tls-server-cert-file"),
        ("key_file", "tls-server-key-file"),
        ("client_ca_file", "tls-server-ca-cert-file"),
    ];
    let mut tls: Vec<_> =
        tls.iter().filter_map(|(key, flag)| Some(format!("{key}: {}", quoted(given.text(flag)?)))).collect();
    if !tls.is_empty() {
        let version = given.text("tls-server-min-version").and_then(|v| v.strip_prefix("TLS"));
        tls.extend(version.map(|version| format!("min_version: {}", quoted(version))));
        let _ = writeln!(out, "    tls: {{{}}}", tls.join(", "));
    }
    if users(given).is_some() {
        out.push_str("    auth: {authenticator: basicauth}\n");
    }
}

/// Who may scrape, as an htpasswd line.
fn users(given: &Given) -> Option<String> {
    let user = given.text("basic-auth-username")?;
    let name =
        ["basic-auth-hash-password", "basic-auth-password"].into_iter().find(|n| given.text(n).is_some())?;
    let variable = format!("REDIS_EXPORTER_{}", name.to_uppercase().replace('-', "_"));
    let user = quoted(user);
    let user = user.trim_end_matches('"');
    Some(format!("{user}:${{env:{variable}}}\""))
}

fn logs(given: &Given, out: &mut String) {
    let level = if given.is_on("debug") { Some("debug") } else { given.text("log-level") };
    let json = given.text("log-format").is_some_and(|format| format.eq_ignore_ascii_case("json"));
    let level = level.map(|level| format!("level: {}", quoted(&level.to_ascii_lowercase())));
    let settings: Vec<_> = level.into_iter().chain(json.then(|| "encoding: json".to_owned())).collect();
    out.push_str(
        "  telemetry:\n    # Its own metrics would take a second port.\n    metrics: {level: none}\n",
    );
    if !settings.is_empty() {
        let _ = writeln!(out, "    logs: {{{}}}", settings.join(", "));
    }
}

fn list(texts: &[&str]) -> String {
    texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")
}

/// A text that YAML reads back as it is and nobody expands.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}

#[cfg(test)]
mod tests;
