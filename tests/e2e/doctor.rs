//! `streamgauge doctor` on real servers, well and unwell in one way each.

mod consumer;

use std::process::{Command, Stdio};

use serde_json::Value;
use streamgauge_harness::{Certs, Cluster, OtlpSink, Redis, SentinelSet, Server, free_port, poll_until};

use crate::support::{SOON, binary};

/// What it said and how it ended. Nothing of it ever holds a secret.
struct Visit {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Visit {
    #[track_caller]
    fn pay(yaml: &str, args: &[&str]) -> Visit {
        let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
            .args(["doctor", "--config", &format!("yaml:{yaml}")])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let visit =
            Visit { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) };
        let all = format!("{}{}", visit.out, visit.err);
        assert!(!all.contains("hunter2") && !all.contains('\x1b'), "{all}");
        visit
    }

    /// The findings of a level, of one check.
    #[track_caller]
    fn json(yaml: &str, args: &[&str]) -> Findings {
        let visit = Visit::pay(yaml, &[&["--json"], args].concat());
        let all: Value = serde_json::from_str(&visit.out)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", visit.out, visit.err));
        let list = all["findings"].as_array().unwrap().clone();
        let failed = list.iter().any(|finding| finding["level"] == "fail");
        assert_eq!(visit.code, Some(if failed { 5 } else { 0 }), "{all:#}");
        Findings(list)
    }
}

#[derive(Debug)]
struct Findings(Vec<Value>);

impl Findings {
    fn all(&self, level: &str, check: &str) -> Vec<&Value> {
        self.0.iter().filter(|one| one["level"] == level && one["check"] == check).collect()
    }

    /// The only finding of this kind.
    #[track_caller]
    fn one(&self, level: &str, check: &str) -> (&str, &str) {
        let found = self.all(level, check);
        let [one] = found.as_slice() else { panic!("not one {level} {check}: {self:#?}") };
        (one["what"].as_str().unwrap(), one["do"].as_str().unwrap_or(""))
    }

    /// That nothing fails, or only this.
    #[track_caller]
    fn fails(&self, checks: &[&str]) {
        let failed: Vec<_> = self.0.iter().filter(|one| one["level"] == "fail").collect();
        let found: Vec<_> = failed.iter().map(|one| one["check"].as_str().unwrap()).collect();
        assert_eq!(found, checks, "{failed:#?}");
    }
}

/// Both receivers on a server, with what comes behind the endpoint's address, and the exporter `nop`.
fn watching(endpoint: &str, more: &str) -> String {
    format!(
        "{{receivers: {{redis: {{endpoint: '{endpoint}'{more}}},
           redis_stream_metrics: {{endpoint: '{endpoint}'{more}, streams: ['orders:*']}}}},
         exporters: {{nop: }},
         service: {{pipelines: {{metrics: {{receivers: [redis, redis_stream_metrics], exporters: [nop]}}}}}}}}"
    )
}

const USER: &str = ", username: monitor, password: hunter2";

/// Runs a rule that was printed, as a person would.
#[track_caller]
fn apply(redis: &Redis, rule: &str) {
    assert!(rule.starts_with("ACL SETUSER "), "{rule}");
    let answer = redis.cli(&rule.split(' ').collect::<Vec<_>>());
    assert_eq!(answer, "OK", "{rule}");
}

#[test]
fn a_healthy_deployment_passes_and_nothing_of_it_is_changed() {
    let redis = Redis::builder()
        .config("appendonly yes")
        .config("maxmemory 100mb")
        .config("latency-monitor-threshold 100")
        .user("monitor on >hunter2 ~* +@all")
        .start();
    redis.fill("orders:eu", 3);
    redis.run::<()>("XGROUP CREATE orders:eu writer 0");
    redis.run::<redis::Value>("XREADGROUP GROUP writer w STREAMS orders:eu >");
    let (sink, dir) = (OtlpSink::http(), tempfile::tempdir().unwrap());
    let yaml = format!(
        "{{receivers: {{redis: {{endpoint: '{endpoint}'{USER}}},
           redis_stream_metrics: {{endpoint: '{endpoint}'{USER}, streams: ['orders:*']}}}},
         exporters: {{otlp_http: {{endpoint: '{sink}', headers: {{x: hunter2}}, sending_queue: {{storage: file_storage}}}},
           prometheus: {{endpoint: '127.0.0.1:{port}'}}}},
         extensions: {{file_storage: {{directory: '{dir}', quota: 65536}}}},
         service: {{extensions: [file_storage], pipelines: {{metrics: {{receivers: [redis, redis_stream_metrics],
           exporters: [otlp_http, prometheus]}}}}}}}}",
        endpoint = redis.addr(),
        sink = sink.url(),
        port = free_port(),
        dir = dir.path().display(),
    );
    let changes = redis.info("rdb_changes_since_last_save");
    let found = Visit::json(&yaml, &[]);
    for finding in &found.0 {
        let is_fine = finding["level"] == "ok" || finding["check"] == "features";
        assert!(is_fine, "{finding:#}");
    }
    for check in
        ["reach", "version", "rights", "persistence", "memory", "clock", "slowlog", "latency", "streams"]
    {
        assert!(!found.all("ok", check).is_empty(), "{check}: {found:#?}");
    }
    let both = "redis, redis_stream_metrics";
    let of = |component: &str| found.0.iter().any(|one| one["component"] == component);
    assert!(of(both) && of("otlp_http") && of("prometheus") && of("file_storage"), "{found:#?}");
    assert_eq!(redis.info("rdb_changes_since_last_save"), changes);
    assert_eq!(redis.info("errorstat_NOPERM"), None);
    assert_eq!((sink.requests(), dir.path().read_dir().unwrap().count()), (0, 0), "nothing sent or left");

    let visit = Visit::pay(&yaml, &[]);
    assert_eq!((visit.code, visit.err.as_str()), (Some(0), ""));
    let columns: Vec<_> = visit.out.lines().filter_map(|line| line.find("connected")).collect();
    assert!(columns.len() == 2 && columns[0] == columns[1], "aligned: {}", visit.out);
    assert!(visit.out.trim_end().ends_with("0 warn, 0 fail"), "{}", visit.out);
}

#[test]
fn a_wrong_password_a_missing_one_and_a_dead_server_are_told_apart() {
    let redis = Redis::builder().password("right").start();
    let wrong = Visit::json(&watching(&redis.addr(), ", password: hunter2"), &[]);
    wrong.fails(&["auth"]);
    assert!(wrong.one("fail", "auth").1.contains("correct `username`"), "{wrong:?}");
    let missing = Visit::json(&watching(&redis.addr(), ""), &[]);
    assert!(missing.one("fail", "auth").1.contains("set `username` and `password`"), "{missing:?}");
    let dead = Visit::json(&watching(&format!("127.0.0.1:{}", free_port()), ""), &[]);
    assert!(dead.one("fail", "reach").1.contains("start the server"), "{dead:?}");
    let nowhere = Visit::json(&watching("no-such-host.invalid:6379", ""), &[]);
    assert!(nowhere.one("fail", "dns").0.contains("no-such-host.invalid"), "{nowhere:?}");
}

#[test]
fn a_server_that_does_not_answer_ends_the_examination_in_time() {
    let redis = Redis::start();
    redis.freeze();
    let visit = Visit::pay(&watching(&redis.addr(), ""), &["--timeout", "1500ms"]);
    redis.thaw();
    assert_eq!(visit.code, Some(5));
    assert!(visit.out.contains("has not answered in time"), "{}", visit.out);
    assert!(visit.err.contains(&format!("examining {}", redis.addr())), "after a second: {}", visit.err);
}

#[test]
fn the_printed_rule_grants_exactly_the_right_that_is_missing_on_every_server() {
    for server in Server::matrix() {
        let reads = if server.version() >= (7, 0) { "%R~orders:*" } else { "~orders:*" };
        let connection = "+client|setname +client|setinfo +client|no-touch";
        let connection = if server.version() >= (7, 2) { connection } else { "+client|setname" };
        let all = format!(
            "+ping +info {connection} +config|get +xlen +xinfo|stream +xinfo|groups +xinfo|consumers +xpending +xrange +scan {reads}"
        );
        for lacking in ["+xinfo|groups", "+info", "+scan", "+xpending", reads] {
            let redis = server.start();
            redis.fill("orders:eu", 1);
            let rules: Vec<_> = all.split(' ').filter(|rule| *rule != lacking).collect();
            let name = server.name;
            apply(&redis, &format!("ACL SETUSER monitor on >hunter2 -@all {}", rules.join(" ")));
            let yaml = watching(&redis.addr(), USER);
            let found = Visit::json(&yaml, &[]);
            found.fails(&["rights"]);
            let rule = found.one("fail", "rights").1;
            assert_eq!(rule, format!("ACL SETUSER monitor {lacking}"), "{name}");
            apply(&redis, rule);
            let healed = Visit::json(&yaml, &[]);
            healed.fails(&[]);
            assert!(healed.one("ok", "rights").0.contains("by trying"), "{name}");
        }
    }
}

#[test]
fn what_a_logs_pipeline_reads_is_in_the_rule_and_only_there() {
    for server in Server::matrix() {
        let redis = server.start();
        let metrics = watching(&redis.addr(), USER);
        let logs =
            metrics.replace("pipelines: {", "pipelines: {logs: {receivers: [redis], exporters: [nop]}, ");
        let metrics_alone = Visit::json(&watching(&redis.addr(), ""), &[]);
        let rule = metrics_alone.one("note", "rights").1.replace(">PASSWORD", ">hunter2");
        apply(&redis, &rule.replace("SETUSER streamgauge", "SETUSER monitor"));
        assert!(Visit::json(&metrics, &[]).all("note", "rights").is_empty(), "{}", server.name);
        let found = Visit::json(&logs, &[]);
        found.fails(&[]);
        let (what, rule) = found.one("note", "rights");
        let command_log = if server.is_valkey() { "+commandlog|get " } else { "" };
        let wanted = format!(
            "ACL SETUSER monitor +slowlog|get {command_log}+latency|latest +acl|log +client|list +client|id"
        );
        assert_eq!(rule, wanted, "{}", server.name);
        assert!(what.contains("without slow commands in the logs"), "{what}");
        apply(&redis, rule);
        assert!(Visit::json(&logs, &[]).all("note", "rights").is_empty(), "{}", server.name);
    }
}

#[test]
fn the_whole_rule_that_is_printed_suffices_for_the_collector() {
    for server in Server::matrix() {
        let redis = server.start();
        redis.fill("orders:eu", 3);
        redis.run::<()>("XGROUP CREATE orders:eu writer 0");
        redis.run::<redis::Value>("XREADGROUP GROUP writer w COUNT 1 STREAMS orders:eu >");
        let found = Visit::json(&watching(&redis.addr(), ""), &[]);
        found.fails(&[]);
        let rule = found.one("note", "rights").1.replace(">PASSWORD", ">hunter2");
        apply(&redis, &rule.replace("SETUSER streamgauge", "SETUSER monitor"));
        let yaml = watching(&redis.addr(), USER);
        let own = Visit::json(&yaml, &[]);
        own.fails(&[]);
        assert!(own.all("note", "rights").is_empty(), "{own:#?}");
        let before = redis.info("errorstat_NOPERM");
        let sink = OtlpSink::http();
        let yaml = yaml
            .replace("nop: ", &format!("otlp_http: {{endpoint: '{}'}}", sink.url()))
            .replace("exporters: [nop]", "exporters: [otlp_http]")
            .replace(USER, &format!("{USER}, initial_delay: 0s, collection_interval: 200ms"));
        let collector = binary().config(&yaml).start();
        poll_until("three rounds with consumers", SOON, || {
            let come = |metric| sink.points(metric).len();
            (come("redis.stream.group.pending") >= 3 && come("redis.stream.consumer.idle") >= 1).then_some(())
        });
        let refused = redis.info("errorstat_NOPERM");
        assert_eq!(refused, before, "on {}: a command is missing in src/doctor/rights.rs", server.name);
        collector.terminate(SOON);
    }
}

#[test]
fn another_authority_than_the_servers_is_told_and_the_right_one_passes() {
    let redis = Redis::builder().tls().start();
    let dir = tempfile::tempdir().unwrap();
    let wrong = Certs::generate(dir.path());
    let with = |ca: &std::path::Path| {
        watching(&redis.tls_addr(), &format!(", tls: {{ca_file: '{}'}}", ca.display()))
    };
    let found = Visit::json(&with(&wrong.ca), &[]);
    found.fails(&["tls"]);
    assert!(found.one("fail", "tls").1.contains("has not signed the peer's certificate"), "{found:?}");
    let found = Visit::json(&with(&redis.certs().ca), &[]);
    found.fails(&[]);
    assert!(found.one("ok", "reach").0.contains("with TLS"), "{found:?}");
    let plain =
        Visit::json(&watching(&redis.addr(), ", tls: {insecure_skip_verify: true}"), &["--timeout", "1s"]);
    assert!(plain.one("fail", "reach").1.contains("speaks TLS"), "{plain:?}");
    let mutual = Redis::builder().mutual_tls().start();
    let ca = mutual.certs().ca.display().to_string();
    let found = Visit::json(&watching(&mutual.tls_addr(), &format!(", tls: {{ca_file: '{ca}'}}")), &[]);
    assert!(found.one("fail", "tls").1.contains("`tls: cert_file`"), "{found:?}");
}

#[test]
fn a_dead_exporters_peer_fails_and_what_is_not_in_a_pipeline_is_left_alone() {
    let (port, sink) = (free_port(), OtlpSink::grpc());
    let yaml = format!(
        "{{receivers: {{nop: , redis: {{endpoint: '127.0.0.1:{port}'}}}},
         exporters: {{otlp_http: {{endpoint: 'http://127.0.0.1:{port}'}}, otlp_grpc: {{endpoint: '{}', tls: {{insecure: true}}}},
           otlp_grpc/tls: {{endpoint: '{}'}}, otlp_http/unused: {{endpoint: 'http://127.0.0.1:{port}'}}}},
         service: {{pipelines: {{metrics: {{receivers: [nop], exporters: [otlp_http, otlp_grpc, otlp_grpc/tls]}}}}}}}}",
        sink.addr(),
        sink.addr(),
    );
    let found = Visit::json(&yaml, &["--timeout", "5s"]);
    assert_eq!(found.0.len(), 3, "{found:#?}");
    found.fails(&["reach", "tls"]);
    assert!(found.one("fail", "reach").0.contains("refused"), "{found:?}");
    assert!(found.one("fail", "tls").1.contains("insecure: true"), "{found:?}");
    assert_eq!(found.one("ok", "reach").0, "connected");

    let letters =
        yaml.replace("otlp_grpc/tls: {", "otlp_grpc/tls: {dead_letter: {exporter: otlp_http/unused}, ");
    let found = Visit::json(&letters, &["--timeout", "5s"]);
    found.fails(&["reach", "tls", "reach"]);
    assert_eq!(found.0[3]["component"], "otlp_http/unused", "dead letters go there: {found:#?}");
}

#[test]
fn a_storage_that_is_absent_fails_and_one_without_room_for_its_quota_warns() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = |directory: &str, more: &str| {
        format!(
            "{{receivers: {{nop: }}, exporters: {{otlp_http: {{endpoint: 'http://{}', sending_queue: {{storage: file_storage}},
               dead_letter: {{file: '{}/absent/dead.jsonl'}}}}}},
             extensions: {{file_storage: {{directory: '{directory}'{more}}}}},
             service: {{extensions: [file_storage], pipelines: {{logs: {{receivers: [nop], exporters: [otlp_http]}}}}}}}}",
            SINK.addr(),
            dir.path().display(),
        )
    };
    static SINK: std::sync::LazyLock<OtlpSink> = std::sync::LazyLock::new(OtlpSink::http);
    let absent = dir.path().join("storage").display().to_string();
    let found = Visit::json(&yaml(&absent, ""), &[]);
    found.fails(&["disk", "disk"]);
    assert!(found.all("fail", "disk")[0]["do"].as_str().unwrap().contains("create_directory"), "{found:?}");
    let made = Visit::json(&yaml(&absent, ", create_directory: true"), &[]);
    assert!(made.one("note", "disk").0.contains("the collector makes it"), "{made:?}");
    assert!(!dir.path().join("storage").exists(), "the doctor does not");
    let here = dir.path().display().to_string();
    let huge = Visit::json(&yaml(&here, ", quota: 1000000000000000000"), &[]);
    assert!(huge.one("warn", "disk").0.contains("to its quota: the disk is full before"), "{huge:?}");
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let found = Visit::json(&yaml(&file.display().to_string(), ""), &[]);
    assert!(found.all("fail", "disk")[0]["what"].as_str().unwrap().contains("no directory"), "{found:?}");
}

#[test]
fn groups_without_consumers_leaked_consumers_and_forgotten_entries_are_found() {
    let redis = Redis::builder().config("maxmemory 100mb").config("maxmemory-policy allkeys-lru").start();
    redis.fill("orders:eu", 5);
    redis.run::<()>("SET orders:text 1");
    redis.run::<()>("XGROUP CREATE orders:eu idle 0");
    redis.run::<()>("XGROUP CREATE orders:eu busy 0");
    redis.run::<redis::Value>("XREADGROUP GROUP busy holder COUNT 2 STREAMS orders:eu >");
    redis.run::<()>("XGROUP CREATECONSUMER orders:eu busy ghost");
    let yaml = watching(&redis.addr(), "");
    let fresh = Visit::json(&yaml, &[]);
    fresh.fails(&[]);
    let (what, todo) = fresh.one("warn", "consumers");
    assert_eq!(
        (what, todo.contains("XGROUP DESTROY orders:eu idle")),
        ("the group has no consumer; entries waiting: 5, pending: 0", true)
    );
    assert!(fresh.all("warn", "pending").is_empty(), "{fresh:?}");
    assert!(fresh.one("warn", "memory").0.contains("allkeys-lru"), "{fresh:?}");
    assert!(fresh.one("ok", "streams").0.ends_with("streams: 1, groups: 2, with findings: 1"), "{fresh:?}");

    let old = Visit::json(&yaml, &["--leaked-after", "0s", "--forgotten-after", "0s"]);
    let about = format!("{} orders:eu busy", redis.addr());
    let of_busy: Vec<_> = old.0.iter().filter(|one| one["target"] == about.as_str()).collect();
    assert_eq!(of_busy.len(), 2, "{old:#?}");
    assert!(
        of_busy[0]["do"].as_str().unwrap().ends_with("XGROUP DELCONSUMER orders:eu busy ghost"),
        "{of_busy:#?}"
    );
    assert!(!of_busy[0]["what"].as_str().unwrap().contains("holder"), "it holds entries: {of_busy:#?}");
    assert!(of_busy[1]["what"].as_str().unwrap().starts_with("2 of the 2 pending"), "{of_busy:#?}");

    let named =
        yaml.replace("orders:*", "orders:text").replace("['orders:text']", "['orders:text', orders:none]");
    let named = Visit::json(&named, &[]);
    let told: Vec<_> = named.all("warn", "streams").iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(told, ["this key is no stream", "there is no such stream"]);
}

#[test]
fn every_server_of_a_cluster_and_of_a_sentinel_set_is_examined() {
    let server = Server::find("redis-7.0").unwrap();
    let cluster = Cluster::start(&server);
    cluster.fill("orders:eu", 1);
    cluster.fill("orders:us", 1);
    let found = Visit::json(&watching(&cluster.nodes[0].addr(), ""), &[]);
    found.fails(&[]);
    assert_eq!(
        (found.all("ok", "reach").len(), found.one("ok", "topology").0),
        (6, "6 servers belong together")
    );
    let streams: Vec<_> =
        found.all("ok", "streams").iter().map(|one| one["what"].as_str().unwrap()).collect();
    let count: u32 =
        streams.iter().map(|what| what.split("streams: ").nth(1).unwrap()[..1].parse::<u32>().unwrap()).sum();
    assert_eq!((streams.len(), count), (3, 2), "at the primaries, each once: {streams:?}");
    let rule = found.all("note", "rights")[0]["do"].as_str().unwrap().to_owned();
    assert!(rule.contains("+cluster|myid +cluster|shards"), "{rule}");

    let mut set = SentinelSet::start(&server);
    let yaml = watching(&set.sentinels[0].addr(), "");
    let found = Visit::json(&yaml, &[]);
    found.fails(&[]);
    assert_eq!(found.all("ok", "reach").len(), 6, "{found:#?}");
    set.servers[2].stop();
    Visit::json(&yaml, &[]).fails(&["reach"]);
}

#[test]
fn a_wrong_configuration_and_a_wrong_command_line_have_the_codes_of_the_other_commands() {
    let wrong = Visit::pay("{receivers: {redis: {endpoin: x}}}", &[]);
    assert_eq!((wrong.code, wrong.out.as_str()), (Some(3), ""));
    assert!(wrong.err.contains("endpoin"), "{}", wrong.err);
    assert_eq!(Visit::pay("{}", &["--timeout", "soon"]).code, Some(2));
}

#[test]
fn checks_of_the_configuration_are_looked_at_and_their_rights_are_told() {
    let server = Redis::start();
    server.run::<()>("RPUSH jobs a b c");
    let more = ", custom_metrics: [{name: app.slip, field: used_memroy}],
        checks: [{name: few, command: LLEN jobs, op: '<', value: 2, message: start a worker},
                 {name: kept, field: maxmemory_policy, op: '==', value: noeviction},
                 {name: link, field: master_link_status, op: '==', value: up}]";
    let yaml = format!(
        "{{receivers: {{redis: {{endpoint: '{}'{more}}}}}, exporters: {{nop: }},
          service: {{pipelines: {{metrics: {{receivers: [redis], exporters: [nop]}}}}}}}}",
        server.url()
    );
    let findings = Visit::json(&yaml, &[]);
    findings.fails(&[]);
    let failed = findings.one("warn", "check");
    assert_eq!(failed, ("few: LLEN jobs < 2 does not hold (it is 3)", "start a worker"));
    assert!(findings.one("ok", "check").0.starts_with("kept: maxmemory_policy == noeviction"));
    assert!(
        findings.one("note", "check").0.contains("link")
            && findings.one("note", "custom").0.contains("used_memory`")
    );
    // A critical one is a failure.
    let critical = yaml.replace("name: few,", "name: few, severity: critical,");
    Visit::json(&critical, &[]).fails(&["check"]);

    server.run::<()>("ACL SETUSER monitor on >hunter2 -@all +ping +info +client|setname +config|get");
    let yaml = yaml.replace("endpoint:", "username: monitor, password: hunter2, endpoint:");
    let findings = Visit::json(&yaml, &[]);
    let (what, todo) = findings.one("note", "rights");
    assert!(what.contains("custom metrics and checks"), "{what}");
    server.cli(&todo.split(' ').collect::<Vec<_>>());
    assert!(Visit::json(&yaml, &[]).all("note", "rights").is_empty());
}

#[test]
fn rights_for_a_lease_for_metrics_that_are_on_and_for_a_sentinels_events_are_told_by_their_rule() {
    for server in Server::matrix() {
        let running = server.start();
        running.run::<()>("ACL SETUSER monitor on >hunter2 -@all +ping +info +client|setname +config|get");
        let metrics = ["redis.latency.event.last", "redis.cmd.duration", "redis.client.count"]
            .map(|name| format!("{name}: {{enabled: true}}"))
            .join(", ");
        let yaml = format!(
            "{{receivers: {{redis: {{endpoint: '{}', username: monitor, password: hunter2, lease: {{key: watch}}, metrics: {{{metrics}}}}}}},
              exporters: {{nop: }}, service: {{pipelines: {{metrics: {{receivers: [redis], exporters: [nop]}}}}}}}}",
            running.url()
        );
        let findings = Visit::json(&yaml, &[]);
        let (what, todo) = findings.one("fail", "rights");
        assert!(
            what.contains("write key watch") && todo.contains("~watch"),
            "{}: {what} {todo}",
            server.name
        );
        let (missing, grant) = findings.one("note", "rights");
        assert!(missing.contains("latency|latest") && missing.contains("client|list"), "{missing}");
        assert_eq!(missing.contains("latency|histogram"), server.version() >= (7, 0), "{missing}");
        for todo in [todo, grant] {
            running.cli(&todo.split(' ').collect::<Vec<_>>());
        }
        let findings = Visit::json(&yaml, &[]);
        findings.fails(&[]);
        assert!(findings.all("note", "rights").is_empty(), "{}: {findings:?}", server.name);
        assert_eq!(running.run::<i64>("DBSIZE"), 0, "nothing was written");
    }
    let set = SentinelSet::start(&Server::find("redis-7.0").unwrap());
    let sentinel = &set.sentinels[0];
    sentinel.cli(&[
        "acl",
        "setuser",
        "monitor",
        "on",
        ">hunter2",
        "-@all",
        "+@all",
        "-subscribe",
        "resetchannels",
    ]);
    let yaml = format!(
        "{{receivers: {{redis: {{endpoint: '{}', sentinel: {{username: monitor, password: hunter2}}}}}},
          exporters: {{nop: }}, service: {{pipelines: {{metrics: {{receivers: [redis], exporters: [nop]}}}}}}}}",
        sentinel.addr()
    );
    let told = |findings: &Findings| {
        let notes = findings.all("note", "rights");
        let text = |one: &Value, key: &str| one[key].as_str().unwrap_or("").to_owned();
        notes.iter().find(|one| text(one, "what").contains("may not subscribe")).map(|one| text(one, "do"))
    };
    let rule = told(&Visit::json(&yaml, &[])).expect("it is told");
    assert!(rule.starts_with("ACL SETUSER monitor +subscribe &+switch-master"), "{rule}");
    sentinel.cli(&rule.split(' ').collect::<Vec<_>>());
    assert_eq!(told(&Visit::json(&yaml, &[])), None);
}
