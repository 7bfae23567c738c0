use streamgauge_config::Section;
use streamgauge_harness::{Cluster, Server};

use crate::redis::FACTORY;
use crate::scrape::testing::{Point, Running, named, value_of};

async fn running(endpoint: &str, more: &str) -> Running {
    let yaml = format!(
        "endpoint: {endpoint}\ncollection_interval: 30ms\ninitial_delay: 0s\ntimeout: 5s\nmax_server_time: unlimited\n{more}"
    );
    Running::start(&FACTORY, &yaml).await
}

fn problems(yaml: &str) -> String {
    match (FACTORY.config.read)(&Section::from_yaml("test", &format!("endpoint: h\n{yaml}")).unwrap()) {
        Ok(_) => String::new(),
        Err(diagnostics) => diagnostics.into_iter().map(|d| format!("{d:?}\n")).collect(),
    }
}

#[test]
fn what_is_wrong_in_a_declaration_is_said_at_its_place_with_what_to_do() {
    let metric = |entry: &str| format!("custom_metrics:\n- {{name: a.b, field: x}}\n- {{{entry}}}");
    let check = |entry: &str| format!("checks:\n- {{{entry}}}");
    for (yaml, place, message) in [
        (metric("name: c"), "custom_metrics::1", "lacks `field`"),
        (metric("name: c, field: x, command: DBSIZE"), "command", "give one of the two"),
        (metric("name: c, feild: x"), "feild", "did you mean `field`"),
        (metric("name: c, field: 'a b'"), "field", "cannot be a field of INFO"),
        (metric("name: c, command: GETDEL k"), "command", "no command that reads one number"),
        (metric("name: c, command: [ZCOUNT, k, 0]"), "command", "takes 3 arguments, 2 are given"),
        (metric("name: c, command: {a: b}"), "command", "or a list of its words"),
        (metric("name: c, field: x, kind: histogram"), "kind", "counter"),
        (metric("name: c, field: [x]"), "field", "string"),
        (metric("name: 9c, field: x"), "name", "must begin with a letter"),
        (metric("name: redis.memory.used, field: x"), "name", "is a metric of this receiver"),
        (metric("name: redis_memory_used, field: x"), "name", "redis.memory.used is a metric"),
        (metric("name: a.b, field: y"), "name", "there twice"),
        (metric("name: a.b, field: y, unit: By"), "name", "another unit"),
        (metric("name: a.b, field: y, attributes: {q: x}"), "name", "other attributes"),
        (check("name: c, field: x, op: '<', value: up"), "value", "wants a number"),
        (check("name: c, command: DBSIZE, op: '==', value: up"), "value", "answers a number"),
        (check("name: c, field: x, op: '~', value: 1"), "op", "<="),
        (check("name: c, field: x, op: '<'"), "value", "value"),
        (check("name: '', field: x, op: '<', value: 1"), "name", "name of its own"),
        (check("name: c, field: x, op: '<', value: 1, severity: bad"), "severity", "critical"),
    ] {
        let text = problems(&yaml);
        assert!(text.contains(place) && text.contains(message), "{yaml}: {text}");
        assert!(text.contains("Some(test:"), "it has a place: {text}");
    }
    let fine = metric("name: c, command: LLEN jobs, kind: sum, unit: '{job}', attributes: {queue: a}")
        + "\n- {name: c, command: [llen, 'my jobs'], kind: sum, unit: '{job}', attributes: {queue: b}}\n\
           checks:\n- {name: link, field: master_link_status, op: '==', value: up}";
    assert_eq!(problems(&fine), "");
}

#[test]
fn a_declaration_is_kept_once_however_often_it_is_loaded() {
    let load = || {
        let yaml = "endpoint: h\ncustom_metrics: [{name: kept.once, field: x, attributes: {a: b}}]";
        let config: crate::redis::RedisConfig = Section::from_yaml("t", yaml).unwrap().read().unwrap();
        super::metrics(&config).next().unwrap()
    };
    assert!(std::ptr::eq(load(), load()));
}

fn with<'a>(points: &'a [Point], name: &str, key: &str, value: &str) -> Vec<&'a Point> {
    named(points, name).into_iter().filter(|p| p.value.is_some() && p.attribute(key) == value).collect()
}

const METRICS: &str = "
custom_metrics:
- {name: app.peak, field: used_memory_peak, unit: By, description: The most}
- {name: app.sets, field: cmdstat_set.calls, kind: counter, unit: '{call}'}
- {name: app.jobs, command: LLEN jobs, kind: sum, unit: '{job}', attributes: {queue: jobs}}
- {name: app.jobs, command: [LLEN, 'my jobs'], kind: sum, unit: '{job}', attributes: {queue: mine}}
- {name: app.score, command: ZSCORE z m}
- {name: app.no_score, command: ZSCORE z missing}
- {name: app.ttl, command: TTL forever, unit: s}
- {name: app.keys, command: DBSIZE}
- {name: app.word, field: maxmemory_policy}
- {name: app.slip, field: used_memroy}
- {name: app.wrong, command: XLEN jobs}
- {name: app.told, command: GET told}
- {name: app.untold, command: GET missing}
- {name: app.text, command: GET other}
- {name: app.long, command: GET long}
- {name: app.list, command: GET jobs}
";

#[tokio::test]
async fn custom_metrics_are_what_the_server_says_and_nothing_is_made_up() {
    for server in Server::matrix() {
        let name = server.name;
        let running_server = server.start();
        redis::cmd("SET").arg("long").arg("1".repeat(100)).exec(&mut running_server.connection()).unwrap();
        for command in ["SET told 41.5", "RPUSH jobs a b c", "ZADD z 2.5 m", "SET forever v", "SET other v"] {
            running_server.run::<()>(command);
        }
        redis::cmd("RPUSH").arg("my jobs").arg("x").query::<()>(&mut running_server.connection()).unwrap();
        let receiver = running(&running_server.url(), METRICS).await;
        let points = receiver.until(|points| !named(points, "app.keys").is_empty()).await;
        let peak: f64 = running_server.info("used_memory_peak").unwrap().parse().unwrap();
        assert!(value_of(&points, "app.peak").is_some_and(|value| value > 0.0 && value <= peak), "{name}");
        let sets = named(&points, "app.sets")[0];
        assert_eq!((sets.value, sets.kind, sets.unit.as_str()), (Some(4.0), "counter", "{call}"), "{name}");
        let jobs = |queue| with(&points, "app.jobs", "queue", queue)[0].clone();
        assert_eq!((jobs("jobs").value, jobs("mine").value), (Some(3.0), Some(1.0)), "{name}");
        assert_eq!((jobs("jobs").kind, jobs("jobs").unit.as_str()), ("sum", "{job}"));
        assert_eq!(value_of(&points, "app.score"), Some(2.5), "{name}");
        assert_eq!(value_of(&points, "app.keys"), Some(7.0), "{name}");
        assert_eq!(value_of(&points, "app.told"), Some(41.5), "{name}");
        for (metric, reason) in [
            ("app.no_score", "absent"),
            ("app.ttl", "absent"),
            ("app.word", "not_a_number"),
            ("app.slip", "absent"),
            ("app.wrong", "wrong_type"),
            ("app.untold", "absent"),
            ("app.text", "not_a_number"),
            ("app.long", "not_a_number"),
            ("app.list", "wrong_type"),
        ] {
            assert!(named(&points, metric).is_empty(), "nil is never 0: {metric} on {name}");
            let unread = with(&points, "redis.custom.unread", "name", metric);
            assert_eq!(unread[0].attribute("reason"), reason, "{metric} on {name}");
        }
        running_server.run::<()>("RPUSH jobs d");
        receiver
            .until(|points| {
                !with(points, "app.jobs", "queue", "jobs").is_empty()
                    && with(points, "app.jobs", "queue", "jobs")[0].value == Some(4.0)
            })
            .await;
        receiver.stop().await;
    }
}

#[tokio::test]
async fn a_check_is_1_or_0_with_its_reason_and_says_nothing_where_nothing_is_known() {
    for server in Server::matrix() {
        let name = server.name;
        let server = server.start();
        let receiver = running(
            &server.url(),
            "
checks:
- {name: few-keys, command: DBSIZE, op: '<', value: 2, severity: critical, message: too many keys}
- {name: policy, field: maxmemory_policy, op: '==', value: noeviction}
- {name: not-lru, field: maxmemory_policy, op: '!=', value: noeviction}
- {name: link, field: master_link_status, op: '==', value: up}
",
        )
        .await;
        let points = receiver.next().await;
        let told = |points: &[Point], check| {
            let found = with(points, "redis.check.ok", "check", check);
            assert!(found.len() < 2, "{found:?}");
            found.first().map(|p| {
                (p.value.unwrap(), p.attribute("reason").to_owned(), p.attribute("severity").to_owned())
            })
        };
        let expected =
            |value, reason: &str, severity: &str| Some((value, reason.to_owned(), severity.to_owned()));
        assert_eq!(told(&points, "few-keys"), expected(1.0, "ok", "critical"), "{name}");
        assert_eq!(told(&points, "policy"), expected(1.0, "ok", "warning"), "{name}");
        let reason = "not maxmemory_policy != noeviction";
        assert_eq!(told(&points, "not-lru"), expected(0.0, reason, "warning"), "{name}");
        assert_eq!(told(&points, "link"), None, "a primary has no link: {name}");
        assert_eq!(with(&points, "redis.custom.unread", "name", "link")[0].attribute("reason"), "absent");
        server.run::<()>("MSET a 1 b 2");
        let points = receiver
            .until(|points| told(points, "few-keys") == expected(0.0, "too many keys", "critical"))
            .await;
        let ended =
            named(&points, "redis.check.ok").into_iter().filter(|p| p.attribute("check") == "few-keys");
        assert!(ended.clone().count() < 3, "{points:?}");
        receiver.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_a_key_is_told_by_the_node_that_has_it_and_once() {
    let server = Server::matrix().into_iter().find(|server| server.version() >= (7, 0)).unwrap();
    let cluster = Cluster::start(&server);
    let owner = &cluster.nodes[cluster.owner("jobs")];
    owner.run::<()>("RPUSH jobs a b");
    let more = "custom_metrics: [{name: app.jobs, command: LLEN jobs}, {name: app.keys, command: DBSIZE}]";
    let receiver = running(&cluster.nodes[0].addr(), more).await;
    let points = receiver.until(|points| named(points, "app.keys").len() == 6).await;
    let jobs = named(&points, "app.jobs");
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert_eq!((jobs[0].value, &jobs[0].resource["server.port"]), (Some(2.0), &owner.port().to_string()));
    receiver.stop().await;
}

#[tokio::test]
async fn what_the_budget_puts_off_goes_on_and_does_not_end() {
    let server = streamgauge_harness::Redis::start();
    server.run::<()>("RPUSH jobs a");
    let yaml = format!(
        "endpoint: {}\ncollection_interval: 20ms\ninitial_delay: 0s\nmax_server_time: 0.0001%\n\
         custom_metrics: [{{name: app.jobs, command: LLEN jobs}}]",
        server.url()
    );
    let receiver = Running::start(&FACTORY, &yaml).await;
    let shed = |points: &[Point]| !with(points, "redis.collector.shed", "cmd", "llen").is_empty();
    let points = receiver.until(shed).await;
    assert!(named(&points, "app.jobs").iter().all(|point| point.value.is_some()), "{points:?}");
    assert!(named(&points, "redis.custom.unread").is_empty());
    receiver.stop().await;
}
