//! The monitor's connection against real servers.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use streamgauge_harness::{Cluster, Redis, Server, Valkey};
use streamgauge_redis::*;
use tokio::time::{Instant, timeout};

/// The rule of the documentation: everything that a monitor asks, nothing else.
const RULES: &str = "monitor on >hunter2 -@all +ping +info +client|setname +cluster|info +xinfo +xpending +xlen +scan \
    resetkeys resetchannels %R~*";

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn target(endpoint: &str) -> Target {
    Target::new(&EndpointKeys { endpoint, ..EndpointKeys::default() }).unwrap()
}

fn monitor(endpoint: &str) -> Monitor {
    Monitor::new(target(endpoint), None, None)
}

async fn one(monitor: &Monitor, command: ReadCommand) -> CallResult {
    monitor.call(0, &[command], soon()).await.unwrap().remove(0)
}

async fn is_alive(monitor: &Monitor) {
    assert_eq!(one(monitor, ReadCommand::ping()).await, Ok(Value::BulkString(b"PONG".to_vec())));
}

fn fault(result: &CallResult) -> Fault {
    result.as_ref().unwrap_err().fault
}

#[tokio::test]
async fn one_connection_with_our_name_serves_every_call() {
    for server in [Redis::start(), Valkey::start()] {
        server.cli(&["config", "resetstat"]);
        let monitor = monitor(&server.url());
        for _ in 0..3 {
            is_alive(&monitor).await;
        }
        let clients = server.cli(&["client", "list"]);
        let ours: Vec<_> = clients.lines().filter(|line| line.contains("name=streamgauge ")).collect();
        assert_eq!(ours.len(), 1, "{clients}");
        let knows_libraries = ours[0].contains("lib-name=");
        assert!(!knows_libraries || ours[0].contains("lib-name=streamgauge "), "{clients}");
        let errors = server.cli(&["info", "errorstats"]);
        assert!(!errors.contains("errorstat"), "the greeting is an error on no version: {errors}");
    }
}

#[tokio::test]
async fn a_refused_command_leaves_its_neighbours_alone() {
    let server = Redis::start();
    server.fill("good", 3);
    server.run::<()>("SET text x");
    let commands = [
        ReadCommand::xlen(b"text"),
        ReadCommand::xlen(b"good"),
        ReadCommand::xinfo_stream(b"missing"),
        ReadCommand::xinfo_consumers(b"good", b"nobody", 1),
        ReadCommand::xpending_oldest(b"good", b"nobody", 1),
        ReadCommand::xlen(b"good"),
    ];
    let answers = monitor(&server.url()).call(0, &commands, soon()).await.unwrap();
    assert_eq!(fault(&answers[0]), Fault::WrongType);
    assert_eq!(answers[1], Ok(Value::Int(3)));
    assert_eq!(fault(&answers[2]), Fault::NoSuchKey);
    assert_eq!(fault(&answers[3]), Fault::NoSuchGroup);
    assert_eq!(fault(&answers[4]), Fault::NoSuchGroup);
    assert_eq!(answers[5], Ok(Value::Int(3)));
}

#[tokio::test]
async fn a_long_pipeline_is_answered_in_order() {
    let server = Redis::start();
    for n in 0..700 {
        server.fill(&format!("s{n}"), n % 3 + 1);
    }
    let commands: Vec<_> = (0..700).map(|n| ReadCommand::xlen(format!("s{n}").as_bytes())).collect();
    let answers = monitor(&server.url()).call(0, &commands, soon()).await.unwrap();
    let lengths: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(lengths, (0..700).map(|n| Value::Int(n % 3 + 1)).collect::<Vec<_>>());
}

#[tokio::test]
async fn each_call_reads_its_own_database() {
    let server = Redis::start();
    server.fill("s", 1);
    let monitor = monitor(&server.url());
    let length = [ReadCommand::xlen(b"s")];
    for (db, expected) in [(0, 1), (5, 0), (0, 1)] {
        assert_eq!(monitor.call(db, &length, soon()).await.unwrap(), [Ok(Value::Int(expected))]);
    }
    let none = monitor.call(999, &length, soon()).await.unwrap();
    assert_eq!(fault(&none[0]), Fault::Other);
    assert_eq!(monitor.call(0, &length, soon()).await.unwrap(), [Ok(Value::Int(1))]);
}

#[tokio::test]
async fn a_reply_above_the_cap_is_not_read_and_costs_only_its_own_answer() {
    let server = Redis::start();
    server.fill("small", 2);
    let big = "x".repeat(9 << 20);
    redis::cmd("XADD")
        .arg("big")
        .arg("*")
        .arg("f")
        .arg(big)
        .query::<String>(&mut server.connection())
        .unwrap();
    let commands =
        [ReadCommand::xlen(b"small"), ReadCommand::xinfo_stream(b"big"), ReadCommand::xlen(b"small")];
    let monitor = monitor(&server.url());
    let answers = monitor.call(0, &commands, soon()).await.unwrap();
    assert_eq!(answers[0], Ok(Value::Int(2)));
    assert_eq!(fault(&answers[1]), Fault::TooLarge);
    assert_eq!(answers[2], Ok(Value::Int(2)));
    is_alive(&monitor).await;
}

#[tokio::test]
async fn a_user_with_the_documented_rule_gets_all_answers_but_no_data() {
    let server = Redis::builder().user(RULES).start();
    server.fill("s", 1);
    server.run::<()>("XGROUP CREATE s g 0");
    let with_user = format!("redis://monitor:hunter2@{}", server.addr());
    let monitor = monitor(&with_user);
    let commands = [
        ReadCommand::info_everything(),
        ReadCommand::info_server(),
        ReadCommand::cluster_info(),
        ReadCommand::scan_streams(0, b"*", 100),
        ReadCommand::xlen(b"s"),
        ReadCommand::xinfo_stream(b"s"),
        ReadCommand::xinfo_groups(b"s", 1),
        ReadCommand::xinfo_consumers(b"s", b"g", 0),
        ReadCommand::xpending(b"s", b"g", 0),
        ReadCommand::xpending_oldest(b"s", b"g", 1),
    ];
    for (command, answer) in commands.iter().zip(monitor.call(0, &commands, soon()).await.unwrap()) {
        let disabled = matches!(&answer, Err(error) if error.message.contains("cluster support disabled"));
        assert!(answer.is_ok() || disabled, "{command:?}: {answer:?}");
    }
    assert_eq!(
        fault(&one(&monitor, ReadCommand::xrange_next(b"s", StreamId::ZERO)).await),
        Fault::NoPermission
    );
}

#[tokio::test]
async fn a_wrong_or_missing_password_is_said_to_be_one_and_not_shown() {
    let server = Redis::builder().password("right").start();
    for endpoint in [server.url(), format!("redis://:hunter2@{}", server.addr())] {
        let error = monitor(&endpoint).call(0, &[ReadCommand::ping()], soon()).await.unwrap_err();
        assert_eq!(error.stage, "auth", "{error}");
        assert!(!error.message.contains("hunter2"), "{error}");
    }
    is_alive(&monitor(&format!("redis://:right@{}", server.addr()))).await;
}

#[tokio::test]
async fn a_password_file_is_read_again_when_the_server_asks_again() {
    let mut server = Redis::builder().password("old").start();
    let file = server.dir().join("password");
    std::fs::write(&file, "old\n").unwrap();
    let keys =
        EndpointKeys { endpoint: &server.addr(), password_file: Some(&file), ..EndpointKeys::default() };
    let monitor = Monitor::new(Target::new(&keys).unwrap(), None, None);
    is_alive(&monitor).await;
    std::fs::write(&file, "new").unwrap();
    server.start_again();
    let error = monitor.call(0, &[ReadCommand::ping()], soon()).await.unwrap_err();
    assert_eq!(error.stage, "auth", "the server still has the old one: {error}");
    std::fs::write(&file, "old").unwrap();
    recovers(&monitor).await;

    let missing = server.dir().join("no-such-file");
    let keys = EndpointKeys { password_file: Some(&missing), ..keys };
    let monitor = Monitor::new(Target::new(&keys).unwrap(), None, None);
    let error = monitor.call(0, &[ReadCommand::ping()], soon()).await.unwrap_err();
    assert!(error.stage == "auth" && error.message.contains("no-such-file"), "{error}");
}

#[tokio::test]
async fn resp3_is_spoken_and_resp2_where_it_may_not_be() {
    for server in Server::matrix() {
        let (new, old) = (server.start(), server.builder().config("rename-command HELLO \"\"").start());
        for server in [&new, &old] {
            server.fill("s", 1);
            server.run::<()>("XGROUP CREATE s g 0");
        }
        let groups = |server: &Redis| {
            let monitor = monitor(&server.url());
            async move {
                let value = one(&monitor, ReadCommand::xinfo_groups(b"s", 1)).await.unwrap();
                let groups = streamgauge_redis::GroupInfo::parse_all(&value).unwrap();
                groups.into_iter().map(|group| (group.name, group.pending)).collect::<Vec<_>>()
            }
        };
        let all = vec![(b"g".to_vec(), 0)];
        assert_eq!((groups(&new).await, groups(&old).await), (all.clone(), all));
        let said_hello = |server: &Redis| {
            let stats = server.cli(&["info", "commandstats"]);
            stats
                .lines()
                .any(|line| line.starts_with("cmdstat_hello:calls=1,") && line.contains("failed_calls=0"))
        };
        assert!(said_hello(&new) && !said_hello(&old), "where nobody knows HELLO, RESP2 is spoken");
    }
}

#[tokio::test]
async fn a_command_that_is_refused_is_sent_once_for_a_process_of_the_server_and_told_once() {
    for server in Server::matrix() {
        let rule = "m on >p -@all +ping +info +client|setname +xlen +select ~open*";
        let mut server = server.builder().user(rule).start();
        server.fill("open", 1);
        server.fill("closed", 1);
        let monitor = monitor(&format!("redis://m:p@{}", server.addr()));
        let commands = [
            ReadCommand::xlen(b"open"),
            ReadCommand::xpending(b"open", b"g", 1),
            ReadCommand::xlen(b"closed"),
            ReadCommand::xlen(b"open"),
        ];
        let denials = |server: &Redis| {
            let text = server.cli(&["info", "commandstats"]);
            let line =
                text.lines().find_map(|line| line.strip_prefix("cmdstat_xpending:").map(str::to_owned));
            let rejected =
                line.as_deref().and_then(|line| line.split("rejected_calls=").nth(1)).map(str::to_owned);
            rejected.and_then(|rest| rest.split(',').next()?.parse::<u32>().ok()).unwrap_or(0)
        };
        for restart in [false, true] {
            if restart {
                server.restart();
                server.fill("open", 1);
                server.fill("closed", 1);
                // What is planned before the new process is met is planned for the old one.
                is_alive(&monitor).await;
            }
            for round in 0..5 {
                let answers = monitor.call(0, &commands, soon()).await.unwrap();
                assert_eq!(
                    (&answers[0], &answers[3]),
                    (&Ok(Value::Int(1)), &Ok(Value::Int(1))),
                    "{answers:?}"
                );
                assert_eq!(
                    (fault(&answers[1]), fault(&answers[2])),
                    (Fault::NoPermission, Fault::NoPermission)
                );
                assert_eq!(monitor.news().len(), usize::from(round == 0), "a key that is closed is no news");
            }
            assert_eq!(monitor.refused(), [("xpending", "no_permission")]);
            assert_eq!(denials(&server), 1);
        }
    }
}

#[tokio::test]
async fn a_key_that_is_on_its_way_is_asked_for_at_its_new_node() {
    let cluster = Cluster::start(&Server::find("redis-7.0").unwrap());
    cluster.fill("orders", 3);
    let (slot, from) = (cluster.slot("orders"), cluster.owner("orders"));
    let to = (from + 1) % 3;
    cluster.begin_migration(slot, from, to);
    cluster.move_keys(slot, from, to);
    let ask = one(&monitor(&cluster.nodes[from].url()), ReadCommand::xlen(b"orders")).await.unwrap_err();
    let there = Address::Tcp("127.0.0.1".into(), cluster.nodes[to].port());
    assert_eq!((ask.fault, ask.redirect()), (Fault::Moved, Some((there, true))));
    let target = monitor(&cluster.nodes[to].url());
    let commands = [
        ReadCommand::xlen(b"orders").asking(),
        ReadCommand::ping(),
        ReadCommand::xinfo_stream(b"orders").asking(),
    ];
    let answers = target.call(0, &commands, soon()).await.unwrap();
    assert_eq!(answers[0], Ok(Value::Int(3)));
    assert_eq!(StreamInfo::parse(answers[2].as_ref().unwrap()).unwrap().length, 3);
    let moved = one(&target, ReadCommand::xlen(b"orders")).await.unwrap_err();
    assert!(!moved.redirect().unwrap().1, "{moved}");
}

#[tokio::test]
async fn the_accounts_are_those_of_the_server() {
    for server in Server::matrix() {
        let running = server.start();
        running.fill("s", 10);
        let monitor = monitor(&running.url());
        monitor.hello(soon()).await.unwrap();
        running.cli(&["config", "resetstat"]);
        one(&monitor, ReadCommand::info_everything()).await.unwrap();
        let before = monitor.usage();
        let commands: Vec<_> = std::iter::repeat_n(ReadCommand::xlen(b"s"), 100)
            .chain(std::iter::repeat_n(ReadCommand::xinfo_stream(b"s"), 50))
            .collect();
        monitor.call(0, &commands, soon()).await.unwrap();
        let answer = one(&monitor, ReadCommand::info_everything()).await.unwrap();
        let text = streamgauge_redis::text(&answer);
        let info = Info::parse(&text);
        let theirs: f64 = ["xlen", "xinfo|stream", "xinfo", "info"]
            .iter()
            .filter_map(|name| info.field(&format!("cmdstat_{name}"))?.member("usec")?.parse::<f64>().ok())
            .sum();
        let ours = monitor.usage();
        assert_eq!(ours.commands["xlen"] - before.commands.get("xlen").unwrap_or(&0), 100);
        let spent = ours.server_time - before.server_time;
        assert!(
            (spent - theirs).abs() < 1.0,
            "{}: {spent} us by our books, {theirs} us by the server's",
            server.name
        );
    }
}

#[tokio::test]
async fn a_unix_socket_works() {
    let server = Redis::builder().unix_socket().start();
    is_alive(&monitor(&format!("unix://{}", server.socket().display()))).await;
}

#[tokio::test]
async fn tls_checks_the_server_and_shows_a_client_certificate() {
    let server = Redis::builder().mutual_tls().start();
    let certs = server.certs();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certs.ca).unwrap()).unwrap();
    let builder = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
    };
    let chain = vec![CertificateDer::from_pem_file(&certs.client_cert).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&certs.client_key).unwrap();
    let trusting = builder().with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();
    let target = || target(&format!("rediss://{}", server.tls_addr()));
    let trusting = Arc::new(trusting);
    is_alive(&Monitor::new(target(), Some(trusting.clone()), None)).await;

    let other_name = Monitor::new(target(), Some(trusting), Some("other.example".into()));
    let strict = builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    for refused in [other_name, Monitor::new(target(), Some(Arc::new(strict)), None)] {
        let error = refused.call(0, &[ReadCommand::ping()], soon()).await.unwrap_err();
        assert_eq!(error.stage, "tls", "{error}");
    }
}

#[tokio::test]
async fn a_frozen_server_costs_no_more_than_the_deadline_and_is_found_again() {
    let server = Redis::start();
    let monitor = monitor(&server.url());
    is_alive(&monitor).await;
    server.freeze();
    for _ in 0..2 {
        let begin = Instant::now();
        let error =
            monitor.call(0, &[ReadCommand::ping()], begin + Duration::from_millis(200)).await.unwrap_err();
        assert_eq!(error.stage, "timeout");
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }
    server.thaw();
    recovers(&monitor).await;
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again_and_a_restart_between_calls_is_not_noticed() {
    let mut server = Redis::start();
    let monitor = monitor(&server.url());
    is_alive(&monitor).await;
    server.restart();
    is_alive(&monitor).await;
    server.stop();
    let error = monitor.call(0, &[ReadCommand::ping()], soon()).await.unwrap_err();
    assert_eq!(error.stage, "connect");
    assert!(error.message.contains(&server.addr()), "{error}");
    server.start_again();
    recovers(&monitor).await;
}

/// Calls until the back-off lets the monitor connect again.
async fn recovers(monitor: &Monitor) {
    let again = async {
        while monitor.call(0, &[ReadCommand::ping()], soon()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(15), again).await.unwrap();
}
