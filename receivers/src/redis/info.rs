//! From INFO to points.

use streamgauge_redis::{Info, Usage};

use super::metrics::{ROWS, Source};
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
        Source::Role => {
            let role = match info.text("role") {
                Some("master") => Some("primary"),
                Some("slave") => Some("replica"),
                _ => None,
            };
            one_for(role, &mut put);
        }
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
        Source::OwnRefused => {
            for (command, reason) in &own.refused {
                put(&[command, reason], Some(Number::Int(1)));
            }
        }
        Source::ClusterState => one_for(cluster.and_then(|info| info.text("cluster_state")), &mut put),
    }
}

fn one_for(value: Option<&str>, put: &mut impl FnMut(&[&str], Option<Number>)) {
    if let Some(value) = value {
        put(&[value], Some(Number::Int(1)));
    }
}

fn int(text: Option<&str>) -> Option<Number> {
    text?.parse().ok().map(Number::Int)
}
