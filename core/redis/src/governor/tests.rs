use super::*;
use crate::error::Fault;

fn budget(share: f64, interval: u64) -> Budget {
    Budget {
        max_server_time: share,
        max_command_time: Duration::ZERO,
        interval: Duration::from_secs(interval),
    }
}

fn governor(share: f64) -> Governor {
    let governor = Governor::default();
    governor.allow(budget(share, 10));
    governor
}

fn sent(governor: &Governor, commands: &[ReadCommand]) -> Vec<bool> {
    let plan = governor.plan(commands);
    for (command, refused) in commands.iter().zip(&plan) {
        if refused.is_none() {
            governor.answered(command, None);
        }
    }
    plan.iter().map(Option::is_none).collect()
}

fn stats(governor: &Governor, text: &str) {
    governor.answered(&ReadCommand::info_commandstats(false), Some(text));
}

#[tokio::test(start_paused = true)]
async fn when_the_budget_is_spent_the_lowest_priority_goes_first_and_the_basic_set_never() {
    let governor = governor(0.0001); // 1,000 us in 10 s
    let round = [
        ReadCommand::xinfo_consumers(b"s", b"g", 95),
        ReadCommand::xinfo_stream(b"s"),
        ReadCommand::xpending_oldest(b"s", b"g", 1),
        ReadCommand::xinfo_groups(b"s", 1),
    ];
    assert_eq!(sent(&governor, &round), [true; 4]);
    let mut seen = Vec::new();
    for _ in 0..100 {
        let now = sent(&governor, &round);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    let shed = |n: usize| (0..4).map(|i| i >= n).collect::<Vec<_>>();
    assert_eq!(seen, [shed(0), shed(1), shed(2), shed(3)]);
    assert!(governor.usage().shed["xinfo|consumers"] > governor.usage().shed["xinfo|stream"]);
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(sent(&governor, &round), [true; 4], "time fills it again");
}

#[tokio::test(start_paused = true)]
async fn the_servers_word_replaces_the_estimate_and_is_ours_only_in_part() {
    let governor = governor(0.002);
    stats(&governor, "cmdstat_xlen:calls=1000,usec=5000\r\ncmdstat_info:calls=1,usec=50");
    let before = governor.usage().server_time;
    for _ in 0..10 {
        governor.answered(&ReadCommand::xlen(b"s"), None);
    }
    // 40 calls at 6 us, 10 of them ours; INFO 70 us.
    stats(&governor, "cmdstat_xlen:calls=1040,usec=5240\r\ncmdstat_info:calls=2,usec=120");
    assert_eq!(governor.usage().server_time - before, 10.0 * 6.0 + 70.0);
    assert_eq!(
        governor.estimate(&ReadCommand::xlen(b"s")),
        2,
        "1 us, and a third of the way to six times that"
    );
    for _ in 0..20 {
        governor.answered(&ReadCommand::xlen(b"s"), None);
        stats(&governor, "");
    }
    let spent = governor.usage().server_time;
    governor.answered(&ReadCommand::xlen(b"s"), None);
    stats(&governor, "cmdstat_xlen:calls=1,usec=9");
    assert!(governor.usage().server_time > spent, "a reset of the statistics costs no accounts");
}

#[tokio::test(start_paused = true)]
async fn a_command_that_would_take_a_millisecond_is_not_sent_unless_that_is_allowed() {
    let governor = governor(1.0);
    let long = [ReadCommand::xinfo_consumers(b"s", b"g", 1500), ReadCommand::xinfo_groups(b"s", 4000)];
    let faults: Vec<_> = governor.plan(&long).into_iter().map(|e| e.map(|e| e.fault)).collect();
    assert_eq!(faults, [Some(Fault::TooLong), Some(Fault::TooLong)]);
    governor.allow(Budget { max_command_time: Duration::from_millis(2), ..budget(1.0, 10) });
    let faults: Vec<_> = governor.plan(&long).into_iter().map(|e| e.map(|e| e.fault)).collect();
    assert_eq!(faults, [None, Some(Fault::TooLong)]);
}

#[tokio::test(start_paused = true)]
async fn a_basic_set_above_the_budget_is_told() {
    let governor = governor(0.000_001);
    stats(&governor, "");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(sent(&governor, &[ReadCommand::info_everything()]), [true]);
    stats(&governor, "cmdstat_info:calls=9,usec=900");
    assert!(governor.usage().utilization > 1.0, "{:?}", governor.usage());
}
