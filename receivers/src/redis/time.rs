//! Where the main thread's time goes: shares of the time since the last round.

use std::time::Duration;

use streamgauge_redis::{Info, Usage};

use super::metrics::index;
use crate::scrape::recorder::{Number, Recorder};

/// Where a millisecond of the main thread can go. Together they are all of it.
const LOOP: [(&str, &str); 3] = [
    ("commands", "eventloop_duration_cmd_sum"),
    ("aof", "eventloop_duration_aof_sum"),
    ("timers", "eventloop_duration_cron_sum"),
];

/// One node's.
pub(crate) struct Time {
    metrics: [usize; 3],
    before: Option<Reading>,
}

/// What had been spent so far, in microseconds.
struct Reading {
    run_id: String,
    /// Nanoseconds since 1970.
    at: u64,
    /// Commands, AOF and timers, as far as the server tells.
    parts: [Option<f64>; 3],
    /// The whole event loop.
    all: Option<f64>,
    expiry: Option<f64>,
    forks: Option<f64>,
    monitoring: f64,
}

impl Time {
    pub(crate) fn new() -> Self {
        let names = ["redis.main_thread.share", "redis.main_thread.cause.share", "redis.round_trip"];
        Time { metrics: names.map(index), before: None }
    }

    /// Records what went where since the last round of the same process. What a server does not tell is absent.
    pub(crate) fn round(
        &mut self,
        info: &Info<'_>,
        usage: &Usage,
        round_trip: Option<Duration>,
        now: u64,
        recorder: &mut Recorder,
    ) {
        let [share, cause, trip] = self.metrics;
        if let Some(round_trip) = round_trip {
            recorder.record(trip, &[], Number::Double(round_trip.as_secs_f64()));
        }
        let reading = Reading::of(info, usage, now);
        let before = self.before.replace(reading);
        let (Some(before), Some(reading)) = (before, &self.before) else { return };
        if before.run_id != reading.run_id || reading.at <= before.at {
            return;
        }
        let wall = (reading.at - before.at) as f64 / 1e3;
        // A sum that falls was set back (CONFIG RESETSTAT): this round tells nothing of it.
        let spent = |now: Option<f64>, then: Option<f64>| {
            let spent = now? - then?;
            (spent >= 0.0).then_some((spent / wall).min(1.0))
        };
        let parts: Vec<_> =
            reading.parts.iter().zip(before.parts).map(|(now, then)| spent(*now, then)).collect();
        let mut put = |metric, name: &str, value: Option<f64>| {
            if let Some(value) = value {
                recorder.record(metric, &[name], Number::Double(value));
            }
        };
        for ((name, _), value) in LOOP.iter().zip(&parts) {
            put(share, name, *value);
        }
        if let (Some(all), [Some(commands), Some(aof), Some(timers)]) =
            (spent(reading.all, before.all), parts.as_slice())
        {
            put(share, "io", Some((all - commands - aof - timers).max(0.0)));
            put(share, "idle", Some((1.0 - all).max(0.0)));
        }
        put(cause, "expiry", spent(reading.expiry, before.expiry));
        // Each fork of the round took about as long as the last one.
        let fork =
            reading.forks.zip(before.forks).map(|(now, then)| now - then).filter(|forks| *forks >= 0.0);
        let each = info.double("latest_fork_usec");
        put(cause, "fork", fork.zip(each).map(|(forks, each)| (forks * each / wall).min(1.0)));
        put(cause, "monitoring", spent(Some(reading.monitoring), Some(before.monitoring)));
    }
}

impl Reading {
    fn of(info: &Info<'_>, usage: &Usage, at: u64) -> Reading {
        let parts = LOOP.map(|(_, field)| info.double(field));
        let [commands, aof, timers] = parts;
        Reading {
            run_id: info.text("run_id").unwrap_or("").to_owned(),
            at,
            // Before 7.2 the commands' own count is all there is.
            parts: [commands.or_else(|| of_commands(info)), aof, timers],
            all: info.double("eventloop_duration_sum"),
            expiry: info.double("expire_cycle_cpu_milliseconds").map(|ms| ms * 1e3),
            forks: info.double("total_forks"),
            monitoring: usage.server_time,
        }
    }
}

fn of_commands(info: &Info<'_>) -> Option<f64> {
    let each = info.with_prefix("cmdstat_").filter_map(|(_, line)| line.member("usec")?.parse::<f64>().ok());
    each.reduce(|a, b| a + b)
}
