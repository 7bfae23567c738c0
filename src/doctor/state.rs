//! What INFO and a few settings tell of a server's health, as far as telemetry depends on it or suffers from it.

use std::time::Duration;

use streamgauge_redis::{Info, ReadCommand, Setting, Unreachable};

use super::finding::Chart;
use super::redis::Patient;
use crate::human;

/// From this share on, memory and connections count as nearly used up.
const NEARLY: f64 = 0.9;
/// A clock that is off by more makes lags in seconds, and alerts on them, wrong.
const SKEW: f64 = 1000.0;

/// Loading, persistence, memory, connections, replication. `has_streams`: whether streams are watched here.
pub(super) fn examine(info: &Info<'_>, has_streams: bool, chart: &mut Chart) {
    if info.int("loading") == Some(1) {
        chart.warn("state", "the server is loading its dataset", "look again when it has been loaded");
    }
    persistence(info, chart);
    memory(info, has_streams, chart);
    if let (Some(connected), Some(most)) = (info.double("connected_clients"), info.double("maxclients"))
        && connected >= NEARLY * most
    {
        let what = format!("{connected} of {most} connections are in use: a monitor may not get in");
        chart.warn("clients", what, "raise maxclients, or find who leaks connections (CLIENT LIST)");
    }
    if info.text("master_link_status") == Some("down") {
        let todo = "see the server's log; until then its numbers are old";
        chart.warn("replication", "this replica has lost its primary", todo);
    }
}

fn persistence(info: &Info<'_>, chart: &mut Chart) {
    let failed = |key: &str| info.text(key).is_some_and(|status| status != "ok");
    if failed("rdb_last_bgsave_status") {
        let todo = "see the server's log (disk space, rights, vm.overcommit_memory); by default writes are refused until a save succeeds";
        chart.fail("persistence", "the last save of the dataset (RDB) failed", todo);
    } else if failed("aof_last_write_status") {
        let todo = "see the server's log: disk space, rights; writes are refused until it works again";
        chart.fail("persistence", "the last write of the append-only file failed", todo);
    } else if failed("aof_last_bgrewrite_status") {
        chart.warn("persistence", "the last rewrite of the append-only file failed", "see the server's log");
    } else if info.int("aof_enabled") == Some(1) {
        chart.ok("persistence", "an append-only file is kept, without failure");
    } else if let Some(changes) = info.int("rdb_changes_since_last_save") {
        chart.ok("persistence", format!("no save has failed; {changes} changes since the last"));
    }
}

pub(super) fn memory(info: &Info<'_>, has_streams: bool, chart: &mut Chart) {
    let (Some(most), Some(used)) = (info.int("maxmemory"), info.int("used_memory")) else { return };
    let policy = info.text("maxmemory_policy").unwrap_or("noeviction");
    let size = |bytes: i64| human::size(bytes.unsigned_abs());
    if policy.starts_with("allkeys-") && has_streams {
        let when = if most == 0 { "as soon as a maxmemory is set" } else { "when memory is full" };
        let what = format!(
            "maxmemory-policy {policy}: whole streams with their groups and pending entries are evicted {when}"
        );
        chart.warn(
            "memory",
            what,
            "CONFIG SET maxmemory-policy volatile-lru, or noeviction: keys without a time to live then stay",
        );
    } else if most == 0 {
        let what = format!("no maxmemory; {} in use", size(used));
        chart.note(
            "memory",
            what,
            "a stream that nobody trims grows until the system kills the server: set maxmemory",
        );
    } else {
        chart.ok("memory", format!("{} of maxmemory {} in use, {policy}", size(used), size(most)));
    }
    if most > 0 && used as f64 >= NEARLY * most as f64 {
        let what = format!("{} of maxmemory {} in use", size(used), size(most));
        let todo = if policy == "noeviction" {
            "raise maxmemory or trim streams: writes are refused when it is full"
        } else {
            "raise maxmemory, or trim streams"
        };
        chart.warn("memory", what, todo);
    }
}

/// The server's clock against this machine's, which was `here` milliseconds at the middle of the question.
pub(super) fn clock(info: &Info<'_>, here: f64, round_trip: Duration, chart: &mut Chart) {
    let Some(there) = info.double("server_time_usec").map(|usec| usec / 1000.0) else { return };
    let skew = there - here;
    let exact = round_trip.as_secs_f64() * 500.0;
    if skew.abs() - exact > SKEW {
        let what = format!(
            "the server's clock is {:.1} s {} this machine's",
            skew.abs() / 1000.0,
            if skew > 0.0 { "ahead of" } else { "behind" }
        );
        chart.warn(
            "clock",
            what,
            "synchronise both (NTP): entry ids carry the server's clock, lags in seconds are wrong",
        );
    } else {
        chart.ok(
            "clock",
            format!("the clock is within {:.0} ms of this machine's", (skew.abs() + exact).max(1.0)),
        );
    }
}

/// Slow log, latency monitor and saving, as far as the server tells.
pub(super) async fn settings(
    patient: &Patient<'_>,
    may_ask: bool,
    info: &Info<'_>,
    chart: &mut Chart,
) -> Result<(), Unreachable> {
    if !may_ask {
        return Ok(());
    }
    let all = [
        Setting::SlowlogLogSlowerThan,
        Setting::SlowlogMaxLen,
        Setting::LatencyMonitorThreshold,
        Setting::Save,
    ];
    let answers = patient.ask(&all.map(ReadCommand::setting)).await?;
    let value = |setting: Setting| {
        let at = all.iter().position(|one| *one == setting)?;
        setting.read(answers.get(at)?.as_ref().ok()?)
    };
    let number = |setting| value(setting)?.parse::<i64>().ok();
    if let (Some(from), Some(keeps)) = (number(Setting::SlowlogLogSlowerThan), number(Setting::SlowlogMaxLen))
    {
        slow_log(from, keeps, chart);
    }
    match number(Setting::LatencyMonitorThreshold) {
        Some(0) => {
            let todo = "CONFIG SET latency-monitor-threshold 100";
            chart.note("latency", "the latency monitor is off: LATENCY LATEST stays empty", todo);
        }
        Some(from) => chart.ok("latency", format!("the latency monitor keeps events from {from} ms on")),
        None => {}
    }
    if value(Setting::Save).as_deref() == Some("") && info.int("aof_enabled") == Some(0) {
        let todo = "CONFIG SET appendonly yes, unless the data may be lost";
        let what =
            "nothing is persisted (no save, no append-only file): a restart loses all streams and groups";
        chart.warn("persistence", what, todo);
    }
    Ok(())
}

fn slow_log(from: i64, keeps: i64, chart: &mut Chart) {
    let from_ms = from as f64 / 1000.0;
    match (from, keeps) {
        (..0, _) => chart.note("slowlog", "the slow log is off", "CONFIG SET slowlog-log-slower-than 10000"),
        (_, 0) => chart.note("slowlog", "the slow log keeps no entry", "CONFIG SET slowlog-max-len 1024"),
        (0, _) => {
            let todo = "CONFIG SET slowlog-log-slower-than 10000";
            chart.warn("slowlog", "every command is written to the slow log", todo);
        }
        (_, ..128) => {
            let what =
                format!("the slow log keeps only {keeps} entries: bursts push them out before they are read");
            chart.note("slowlog", what, "CONFIG SET slowlog-max-len 1024");
        }
        _ => chart.ok("slowlog", format!("the slow log keeps {keeps} commands from {from_ms} ms on")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(info: &str, has_streams: bool) -> String {
        let mut chart = Chart::new("redis", "a:1");
        examine(&Info::parse(info), has_streams, &mut chart);
        super::super::finding::text(&chart.findings())
    }

    #[test]
    fn eviction_of_all_keys_is_a_danger_where_streams_are_watched() {
        let info = "maxmemory:100\nused_memory:10\nmaxmemory_policy:allkeys-lru\n";
        assert!(told(info, true).contains("whole streams"), "{}", told(info, true));
        assert!(told(info, false).starts_with("ok "), "{}", told(info, false));
        let volatile = info.replace("allkeys", "volatile");
        assert!(told(&volatile, true).starts_with("ok "), "without a time to live a stream stays");
    }

    #[test]
    fn memory_that_is_nearly_full_is_warned_about() {
        let info = "maxmemory:100\nused_memory:90\nmaxmemory_policy:noeviction\n";
        assert!(told(info, false).contains("writes are refused when it is full"));
        assert!(!told(&info.replace(":90", ":89"), false).contains("warn  "));
    }

    #[test]
    fn a_failed_save_or_write_does_not_pass() {
        for line in ["rdb_last_bgsave_status:err", "aof_last_write_status:err"] {
            assert!(told(line, false).starts_with("fail"), "{line}");
        }
        assert!(told("aof_last_bgrewrite_status:err", false).starts_with("warn"));
    }

    #[test]
    fn a_clock_is_wrong_only_beyond_what_the_round_trip_hides() {
        let told = |there_ms: u64, trip_ms| {
            let info = format!("server_time_usec:{}", there_ms * 1000);
            let mut chart = Chart::new("redis", "a:1");
            clock(&Info::parse(&info), 10_000.0, Duration::from_millis(trip_ms), &mut chart);
            super::super::finding::text(&chart.findings())
        };
        assert!(told(11_500, 2).contains("1.5 s ahead"), "{}", told(11_500, 2));
        assert!(told(8_000, 2).contains("2.0 s behind"));
        assert!(told(11_500, 2000).starts_with("ok"), "the answer may have been under way for a second");
    }

    #[test]
    fn the_slow_log_must_hold_what_comes_between_two_looks() {
        let told = |from, keeps| {
            let mut chart = Chart::new("redis", "a:1");
            slow_log(from, keeps, &mut chart);
            super::super::finding::text(&chart.findings())[..4].to_owned()
        };
        assert_eq!([told(-1, 128), told(0, 128), told(10_000, 10)], ["note", "warn", "note"]);
        assert_eq!(told(10_000, 128), "ok  ");
    }
}
