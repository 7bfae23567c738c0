//! Is the server there: its name, its port, TLS, the user.

use std::time::Duration;

use streamgauge_redis::{Address, Monitor, ReadCommand, Unreachable};
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};

use super::finding::Chart;
use super::servers::Server;
use super::tls;

/// How long one question and its answer take; else a finding says why there is none.
pub(super) async fn reach(
    server: &Server,
    monitor: &Monitor,
    deadline: Instant,
    chart: &mut Chart,
) -> Option<Duration> {
    let target = monitor.target();
    if let Address::Tcp(host, port) = &target.address {
        let why = match timeout_at(deadline, lookup_host((host.as_str(), *port))).await {
            Ok(Ok(mut found)) => found.next().is_none().then(|| "the name has no address".to_owned()),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        if let Some(why) = why {
            let todo = "correct the host in `endpoint`, or the resolver of this machine";
            chart.fail("dns", format!("{host}: {why}"), todo);
            return None;
        }
    }
    let mut round_trip = Duration::ZERO;
    // Connecting is no part of the round trip.
    for _ in 0..2 {
        let start = Instant::now();
        if let Err(error) = monitor.call(target.db, &[ReadCommand::ping()], deadline).await {
            unreachable(&error, server, monitor, chart);
            return None;
        }
        round_trip = start.elapsed();
    }
    let with = if target.tls { " with TLS" } else { "" };
    let (user, took) = (target.user(), round_trip.as_secs_f64() * 1000.0);
    chart.ok("reach", format!("connected{with} as user {user}, answers in {took:.2} ms"));
    Some(round_trip)
}

/// An error of the whole connection, with what helps.
pub(super) fn unreachable(error: &Unreachable, server: &Server, monitor: &Monitor, chart: &mut Chart) {
    let text = &error.message;
    // TLS 1.3 tells a refused client only when it reads.
    let is_tls = error.stage == "tls" || text.contains("received fatal alert");
    let (check, todo) = match error.stage {
        _ if is_tls => ("tls", tls::advice(text, &server.tls, "is this a port that speaks TLS (tls-port)?")),
        "auth" if text.contains("asks for a password") => {
            ("auth", "set `username` and `password` of a user that the server knows".to_owned())
        }
        "auth" => (
            "auth",
            format!(
                "correct `username` (now {}) and `password`; ACL GETUSER shows the user on the server",
                monitor.target().user()
            ),
        ),
        _ if text.contains("NOPERM") && text.contains("select") => {
            ("rights", format!("ACL SETUSER {} +select", monitor.target().user()))
        }
        // A server without TLS waits for the end of what it takes for a command.
        "timeout" if monitor.target().tls => (
            "reach",
            "is this a port that speaks TLS (tls-port)? Else give it more time with --timeout".to_owned(),
        ),
        "timeout" => (
            "reach",
            "give it more time with --timeout; a firewall may drop what is sent, or the server is busy"
                .to_owned(),
        ),
        _ if text.contains("refused") => ("reach", "start the server, or correct `endpoint`".to_owned()),
        _ if monitor.target().tls => ("reach", "is this a port that speaks TLS (tls-port)?".to_owned()),
        _ => ("reach", "correct `endpoint`; a port that speaks TLS needs `tls: {}` or rediss://".to_owned()),
    };
    chart.fail(check, text.clone(), todo);
}
