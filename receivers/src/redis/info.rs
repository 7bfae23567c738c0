//! From INFO to points.

use streamgauge_redis::{Field, Info, Usage};

use super::metrics::{Line, ROWS, Source};
use super::unknown;
use crate::scrape::histogram::Exponential;
use crate::scrape::recorder::{Number, Recorder};

/// What we are to the server.
pub(crate) struct Own {
    pub(crate) usage: Usage,
    /// Commands that the server refuses, and why.
    pub(crate) refused: Vec<(&'static str, &'static str)>,
}

/// Records everything that INFO, and CLUSTER INFO where it was asked for, tell, and what it cost.
pub(crate) fn record(info: &Info<'_>, cluster: Option<&Info<'_>>, own: &Own, recorder: &mut Recorder) {
    for (index, row) in ROWS.iter().enumerate() {
        if recorder.wants(index) {
            record_row(index, row.source, info, cluster, own, recorder);
        }
    }
}

fn record_row(
    index: usize,
    source: Source,
    info: &Info<'_>,
    cluster: Option<&Info<'_>>,
    own: &Own,
    recorder: &mut Recorder,
) {
    let mut put = |values: &[&str], value: Option<Number>| {
        if let Some(value) = value {
            recorder.record(index, values, value);
        }
    };
    match source {
        Source::Up => put(&[], Some(Number::Int(1))),
        Source::Int(field) => put(&[], info.int(field).map(Number::Int)),
        Source::Double(field) => put(&[], info.double(field).map(Number::Double)),
        Source::Doubles(fields) => {
            for (field, name) in fields {
                put(&[name], info.double(field).map(Number::Double));
            }
        }
        Source::Scaled(field, factor) => {
            put(&[], info.double(field).map(|value| Number::Double(value * factor)))
        }
        Source::Several(fields, factor) => {
            for (field, name) in fields {
                put(&[name], number(info.text(field), factor));
            }
        }
        Source::Is(field, word) => put(&[], info.text(field).map(|text| Number::Int((text == word).into()))),
        Source::Ratio(part, whole) => {
            let whole = info.double(whole).filter(|whole| *whole > 0.0);
            put(&[], info.double(part).zip(whole).map(|(part, whole)| Number::Double(part / whole)));
        }
        Source::Link(field) => {
            if let Some(primary) = primary(info) {
                put(&[&primary], info.int(field).map(Number::Int));
            }
        }
        Source::LinkUp => {
            if let Some(primary) = primary(info) {
                put(
                    &[&primary],
                    info.text("master_link_status").map(|text| Number::Int((text == "up").into())),
                );
            }
        }
        Source::LinkInfo => {
            if let (Some(primary), Some(read_only)) = (primary(info), info.int("slave_read_only")) {
                put(&[&primary, if read_only == 1 { "yes" } else { "no" }], Some(Number::Int(1)));
            }
        }
        Source::Instance => {
            let mut texts = INSTANCE.map(|field| info.text(field).unwrap_or(""));
            texts[0] = role_of(info).unwrap_or("");
            texts[3] = info.mode().unwrap_or("");
            put(&texts, Some(Number::Int(1)));
        }
        Source::Text(field) => one_for(info.text(field).filter(|text| !text.is_empty()), &mut put),
        Source::Database(member) => {
            for (number, line) in info.databases() {
                put(&[&number.to_string()], int(line.member(member)));
            }
        }
        Source::Command(member) => {
            for (command, line) in info.with_prefix("cmdstat_") {
                put(&[command], int(line.member(member)));
            }
        }
        Source::CommandMs(member) => {
            for (command, line) in info.with_prefix("cmdstat_") {
                put(&[command], number(line.member(member), 1e-3));
            }
        }
        Source::Each(line, member) => {
            for (name, field) in lines(info, line) {
                match (member, field.member(member)) {
                    ("status", Some(status)) if !is_text(index) => {
                        put(&[&name], Some(Number::Int((status == "ok").into())));
                    }
                    ("state" | "status", Some(state)) => put(&[&name, state], Some(Number::Int(1))),
                    (_, text) if is_text(index) => {
                        put(&[&name, field.member("state").unwrap_or("")], int(text));
                    }
                    (_, text) => put(&[&name], int(text)),
                }
            }
        }
        Source::Behind => {
            let offset = info.int("master_repl_offset");
            for (name, field) in lines(info, Line::Replica) {
                let behind = offset.zip(field.member("offset").and_then(|text| text.parse::<i64>().ok()));
                put(&[&name], behind.map(|(ours, its)| Number::Int(ours.saturating_sub(its).max(0))));
            }
        }
        // These need more than this INFO: see `detail`.
        Source::BacklogTime | Source::Extra => {}
        Source::Sizes(ending) => {
            for (db, kind, sizes) in sizes(info, ending) {
                recorder.histogram(index, &[db, kind], sizes);
            }
        }
        Source::Unknown => {
            for (section, field, value) in unknown::fields(info).take(unknown::LIMIT) {
                put(&[section, &field], Some(Number::Double(value)));
            }
        }
        Source::Omitted => {
            let omitted = unknown::fields(info).count().saturating_sub(unknown::LIMIT);
            put(&[], Some(Number::from(omitted as u64)));
        }
        Source::Latency => {
            for (command, line) in info.with_prefix("latency_percentiles_usec_") {
                for (percentile, usec) in line.members() {
                    let seconds = usec.parse().ok().map(|usec: f64| Number::Double(usec / 1e6));
                    put(&[command, percentile], seconds);
                }
            }
        }
        Source::Errors => {
            for (prefix, line) in info.with_prefix("errorstat_") {
                put(&[prefix], int(line.member("count")));
            }
        }
        Source::Role => one_for(role_of(info), &mut put),
        Source::Mode => one_for(info.mode(), &mut put),
        Source::Cluster(field) => put(&[], cluster.and_then(|info| info.int(field)).map(Number::Int)),
        Source::OwnTime => put(&[], Some(Number::Double(own.usage.server_time / 1e6))),
        Source::OwnShare => put(&[], Some(Number::Double(own.usage.utilization))),
        Source::OwnCommands => {
            for (command, count) in &own.usage.commands {
                put(&[command], Some((*count).into()));
            }
        }
        Source::OwnShed => {
            for (command, count) in &own.usage.shed {
                put(&[command], Some((*count).into()));
            }
        }
        Source::OwnRest => put(&[], Some(Number::Int(own.usage.rests.into()))),
        Source::OwnRefused => {
            for (command, reason) in &own.refused {
                put(&[command, reason], Some(Number::Int(1)));
            }
        }
        Source::ClusterState => one_for(cluster.and_then(|info| info.text("cluster_state")), &mut put),
    }
}

/// Fields of INFO for the attributes of `redis.instance`, in their order; the role and the mode in our words.
pub(super) const INSTANCE: [&str; 12] = [
    "role",
    "redis_version",
    "redis_build_id",
    "redis_mode",
    "os",
    "maxmemory_policy",
    "tcp_port",
    "run_id",
    "process_id",
    "master_replid",
    "valkey_version",
    "valkey_release_stage",
];

fn role_of(info: &Info<'_>) -> Option<&'static str> {
    match info.text("role") {
        Some("master") => Some("primary"),
        Some("slave") => Some("replica"),
        _ => None,
    }
}

/// Where a replica's primary is.
fn primary(info: &Info<'_>) -> Option<String> {
    Some(format!("{}:{}", info.text("master_host")?, info.text("master_port")?))
}

/// Lines that come once for each of something, with what tells them apart.
fn lines<'a>(info: &'a Info<'a>, line: Line) -> impl Iterator<Item = (String, Field<'a>)> {
    let prefix = match line {
        Line::Replica => "slave",
        Line::Master => "master",
        Line::IoThread => "io_thread_",
        Line::Module => "module",
        Line::Engine => "engine_",
    };
    info.with_prefix(prefix).filter_map(move |(rest, field)| {
        let is_numbered = rest.parse::<u32>().is_ok();
        let name = match line {
            Line::Replica if is_numbered => format!("{}:{}", field.member("ip")?, field.member("port")?),
            Line::Master | Line::Engine if is_numbered => field.member("name")?.to_owned(),
            Line::IoThread if is_numbered => rest.to_owned(),
            Line::Module if rest.is_empty() => field.member("name")?.to_owned(),
            _ => return None,
        };
        Some((name, field))
    })
}

/// Whether the metric shows a text as an attribute.
fn is_text(index: usize) -> bool {
    ROWS[index].metric.attributes.len() > 1
}

/// Keys of a database by type and size. A line's member `1K=5` is five of at least 1,024 and less than the double.
fn sizes<'a>(info: &'a Info<'a>, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a str, Exponential)> {
    info.with_prefix("db").filter_map(move |(rest, field)| {
        let (db, what) = rest.split_once("_distrib_")?;
        let kind = what.strip_suffix(ending)?;
        let mut sizes = Exponential::default();
        for (bound, count) in field.members() {
            let Ok(count) = count.parse() else { continue };
            match power(bound) {
                Some(power) => sizes.add(power, count),
                None if bound == "0" => sizes.add_zero(count),
                None => {}
            }
        }
        Some((db, kind, sizes))
    })
}

/// The exponent of a power of two such as `1`, `512`, `1K`, `32M`, `2G`.
fn power(bound: &str) -> Option<i32> {
    let digits = bound.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &bound[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        "E" => 60,
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    Some(number.checked_ilog2()? as i32 + unit)
}

fn one_for(value: Option<&str>, put: &mut impl FnMut(&[&str], Option<Number>)) {
    if let Some(value) = value {
        put(&[value], Some(Number::Int(1)));
    }
}

/// A number times a factor; whole numbers stay so when nothing is to be done.
fn number(text: Option<&str>, factor: f64) -> Option<Number> {
    if factor == 1.0 {
        return int(text);
    }
    let value: f64 = text?.parse().ok()?;
    value.is_finite().then_some(Number::Double(value * factor))
}

fn int(text: Option<&str>) -> Option<Number> {
    text?.parse().ok().map(Number::Int)
}
