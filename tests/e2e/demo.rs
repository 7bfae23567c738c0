//! `streamgauge demo`, as `make demo` runs it.

use std::time::Duration;

use streamgauge_harness::Redis;

use crate::support::{SOON, binary};

#[test]
fn the_demo_shows_rates_percentiles_lag_and_an_alert_that_comes_and_goes_within_half_a_minute() {
    // An empty REDIS_URL counts as none: the demo starts a server of its own.
    let mut demo = binary().arg("demo").arg("--seconds").arg("25").env("REDIS_URL", "").start();
    for state in ["pending", "firing", "resolved"] {
        demo.wait_for_log(&format!("  {state:<8}  HighConsumerLag warning"), SOON);
    }
    assert_eq!(demo.exit_code(SOON), Some(0));
    let log = demo.log();
    let last = &log[log.rfind("streamgauge demo").unwrap()..];
    let row = |name: &str| -> Vec<&str> {
        let line =
            last.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("no {name} in\n{last}"));
        line.split_whitespace().collect()
    };
    let number = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("{text} in\n{last}"));
    assert!(number(row("up")[1]) > 10.0, "commands a second:\n{last}");
    let orders = row("demo-shop:orders");
    assert!(number(orders[3]) > 10.0 && number(orders[4]) > 10.0, "in and out a second:\n{last}");
    assert!(number(orders[5]) < 100.0, "caught up:\n{last}");
    assert!(
        number(row("demo-shop:payments")[6]) >= 1.0,
        "entries that nobody can handle stay pending:\n{last}"
    );
    let billing = row("billing");
    assert!(number(billing[1]) <= number(billing[3]), "p50 is not above p99:\n{last}");
}

#[test]
fn on_a_given_redis_the_demo_uses_keys_of_its_own_deletes_them_and_touches_nobody_else_s() {
    let redis = Redis::start();
    redis.run::<()>("SET mine 1");
    let mut demo = binary().arg("demo").env("REDIS_URL", &redis.url()).start();
    demo.wait_for_log("demo-shop:orders", SOON);
    assert!(redis.run::<i64>("DBSIZE") > 1);
    demo.signal("INT");
    assert_eq!(demo.exit_code(Duration::from_secs(10)), Some(0), "{}", demo.log());
    assert_eq!(redis.run::<Vec<String>>("KEYS *"), ["mine"]);

    redis.run::<()>("SET demo-shop:orders theirs");
    let mut refused = binary().arg("demo").env("REDIS_URL", &redis.url()).start();
    assert_eq!(refused.exit_code(SOON), Some(1));
    assert!(refused.log().contains("demo-shop:orders exists"), "{}", refused.log());
    assert_eq!(redis.run::<String>("GET demo-shop:orders"), "theirs");
}
