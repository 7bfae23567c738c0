//! `streamgauge streams` and `streamgauge dlq` against real servers: what they say is what redis-cli says.

#![allow(clippy::unwrap_used)] // an integration test: nothing but a test calls its helpers

mod letters;
mod place;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use streamgauge_harness::{Cluster, Redis, Server};

fn run(redis: &Redis, args: &[&str]) -> Output {
    typing(redis, args, "")
}

/// With something typed when asked.
fn typing(redis: &Redis, args: &[&str], typed: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.args(args).args(["--redis", &redis.addr()]).env_remove("REDIS_URL");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What a command that must go well prints.
fn text(redis: &Redis, args: &[&str]) -> String {
    let output = run(redis, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn json(redis: &Redis, args: &[&str]) -> Value {
    serde_json::from_str(&text(redis, &[args, &["--json"]].concat())).unwrap()
}

/// Why a command that must fail does.
fn error(redis: &Redis, args: &[&str], typed: &str) -> String {
    let output = typing(redis, args, typed);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Ten entries of which a group has been given six and acknowledged two.
fn half_read(redis: &Redis) {
    redis.fill("orders", 10);
    redis.run::<()>("XGROUP CREATE orders billing 0");
    let read =
        redis.cli(&["XREADGROUP", "GROUP", "billing", "alice", "COUNT", "6", "STREAMS", "orders", ">"]);
    let ids: Vec<&str> =
        read.lines().filter(|line| line.contains("-0") || line.contains("-1")).take(2).collect();
    redis.cli(&[&["XACK", "orders", "billing"][..], &ids].concat());
}

/// redis-cli's lines of names and values in turns.
fn pairs(cli: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = cli.lines().collect();
    lines.chunks(2).map(|pair| (pair[0].to_owned(), pair.get(1).unwrap_or(&"").to_string())).collect()
}

#[test]
fn inspect_has_the_fields_of_redis_cli() {
    for server in [Server::find("redis-7.0").unwrap(), Server::find("redis-8").unwrap()] {
        let redis = server.start();
        half_read(&redis);
        let all = json(&redis, &["streams", "inspect", "orders"]);
        let shown = text(&redis, &["streams", "inspect", "orders"]);
        let flat = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let stream = redis.cli(&["XINFO", "STREAM", "orders"]);
        let numbers = stream.lines().take_while(|line| *line != "first-entry").collect::<Vec<_>>().join("\n");
        for (name, value) in pairs(&numbers) {
            assert_eq!(flat(&all["info"][&name]), value, "{name}");
            assert!(shown.contains(&name), "{name} in\n{shown}");
        }
        for (name, value) in pairs(&redis.cli(&["XINFO", "GROUPS", "orders"])) {
            assert_eq!(flat(&all["groups"][0][&name]), value, "{name}");
        }
        for (name, value) in pairs(&redis.cli(&["XINFO", "CONSUMERS", "orders", "billing"])) {
            let ours = flat(&all["groups"][0]["consumers_list"][0][&name]);
            // Time goes on between the two.
            let is_time = name == "idle" || name == "inactive";
            assert!(is_time || ours == value, "{name}: {ours} {value}");
        }
        let pending = redis.cli(&["XPENDING", "orders", "billing"]);
        let range = &all["groups"][0]["pending_range"];
        assert_eq!(pending.lines().nth(1), range["lowest"].as_str());
        assert_eq!(pending.lines().nth(2), range["highest"].as_str());
        assert!(error(&redis, &["streams", "inspect", "none"], "").contains("streams ls"));
    }
}

#[test]
fn ls_and_pending_say_what_the_server_says() {
    let redis = Redis::start();
    half_read(&redis);
    redis.run::<()>("SET other 1");
    let all = json(&redis, &["streams", "ls"]);
    let row = json!({"stream": "orders", "length": 10, "groups": 1, "pending": 4, "lag": 4, "lag_known": true,
        "last-generated-id": all[0]["last-generated-id"]});
    assert_eq!(all, json!([row]));
    assert!(text(&redis, &["streams", "ls", "none*"]).contains("none*"));

    let pending = json(&redis, &["streams", "pending", "orders", "billing", "-n", "2"]);
    let cli = redis.cli(&["XPENDING", "orders", "billing", "-", "+", "2"]);
    let lines: Vec<&str> = cli.lines().collect();
    for (row, cli) in pending["pending"].as_array().unwrap().iter().zip(lines.chunks(4)) {
        assert_eq!((row["id"].as_str(), row["consumer"].as_str()), (Some(cli[0]), Some(cli[1])));
        assert_eq!(row["deliveries"].to_string(), cli[3]);
    }
    assert_eq!((&pending["total"], &pending["consumers"][0]["pending"]), (&json!(4), &json!(4)));
    let none = json(&redis, &["streams", "pending", "orders", "billing", "--min-idle", "1h"]);
    assert_eq!(none["pending"], json!([]));
}

#[test]
fn entries_change_hands_without_being_delivered_again() {
    let redis = Redis::start();
    half_read(&redis);
    let args = ["streams", "claim", "orders", "billing", "--to", "bob", "--min-idle", "0s", "-n", "3"];
    assert_eq!(text(&redis, &[&args[..], &["--dry-run"]].concat()), "3 entries would go to bob");
    assert_eq!(text(&redis, &args), "3 entries went to bob");
    let pending = json(&redis, &["streams", "pending", "orders", "billing", "--consumer", "bob"]);
    let deliveries: Vec<&Value> =
        pending["pending"].as_array().unwrap().iter().map(|p| &p["deliveries"]).collect();
    assert_eq!(deliveries, [&json!(1); 3]);
}

#[test]
fn what_is_published_stands_in_the_stream_of_its_service() {
    let redis = Redis::start();
    let id = text(&redis, &["streams", "publish", "orders", "amount=7", "note=a=b"]);
    assert_eq!(redis.cli(&["XRANGE", "orders", "-", "+"]), format!("{id}\namount\n7\nnote\na=b"));
    let told = json(
        &redis,
        &[
            "streams",
            "publish",
            "--service",
            "identity-service",
            "--event-type",
            "user_login",
            "--data",
            "{\"id\":7}",
            "--priority",
            "high",
            "--user-id",
            "u1",
            "--correlation-id",
            "c1",
        ],
    );
    assert_eq!(told["stream"], "opsconductor:identity:events");
    let entry = redis.cli(&["XRANGE", "opsconductor:identity:events", "-", "+"]);
    let fields = pairs(entry.split_once('\n').unwrap().1);
    let names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, streamgauge_streams::encoding::opsconductor::MEMBERS);
    let get = |name: &str| &*fields.iter().find(|(found, _)| found == name).unwrap().1;
    assert_eq!((get("stream"), get("service"), get("data")), ("identity", "identity-service", "{\"id\":7}"));
    assert_eq!((get("priority"), get("user_id"), get("correlation_id")), ("HIGH", "u1", "c1"));
    assert_eq!((get("retry_count"), get("max_retries")), ("0", "3"));
    assert!(error(&redis, &["streams", "publish", "orders"], "").contains("NAME=VALUE"));
}

#[test]
fn tail_shows_the_last_entries_and_those_that_come() {
    let redis = Redis::start();
    redis.fill("orders", 20);
    let shown = text(&redis, &["streams", "tail", "orders", "-n", "2", "--json"]);
    let last: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((last.len(), &last[1]["fields"]), (2, &json!([["n", "19"]])));
    let mut follow = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .args(["streams", "tail", "orders", "-n", "0", "-f", "--json", "--redis", &redis.addr()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !redis.cli(&["CLIENT", "LIST"]).contains("cmd=xread") {
        assert!(Instant::now() < deadline, "the reader waits");
    }
    redis.run::<()>("XADD orders * n new");
    let mut line = String::new();
    let mut out = std::io::BufReader::new(follow.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    follow.kill().unwrap();
    follow.wait().unwrap();
    let entry: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(entry["fields"], json!([["n", "new"]]));
}

#[test]
fn trim_keeps_what_a_group_wants_unless_it_is_forced_and_asks_for_the_name() {
    let redis = Redis::start();
    half_read(&redis);
    let args = ["streams", "trim", "orders", "--max-len", "3", "--exact"];
    let preview = json(&redis, &[&args[..], &["--dry-run"]].concat());
    assert_eq!((&preview["goes"], &preview["length"]), (&json!(2), &json!(10)));
    assert_eq!(preview["groups"][0]["group"], "billing");
    assert!(error(&redis, &args, "no\n").contains("nothing was done"));
    assert_eq!(redis.run::<usize>("XLEN orders"), 10);
    assert_eq!(json(&redis, &[&args[..], &["--yes", "orders"]].concat())["removed"], 2);
    let forced = json(&redis, &[&args[..], &["--force", "--yes", "orders"]].concat());
    assert_eq!((&forced["goes"], &forced["removed"]), (&json!(5), &json!(5)));
    assert_eq!(redis.run::<usize>("XLEN orders"), 3);
}

#[test]
fn reset_says_what_is_read_again_or_skipped_and_is_setid() {
    let redis = Redis::start();
    half_read(&redis);
    let args = ["streams", "reset", "orders", "billing", "--to"];
    let preview = text(&redis, &[&args[..], &["0", "--dry-run"]].concat());
    assert!(preview.contains("6 entries are read again") && preview.contains("4 pending"), "{preview}");
    let group = |field: &str| {
        pairs(&redis.cli(&["XINFO", "GROUPS", "orders"])).into_iter().find(|(n, _)| n == field).unwrap().1
    };
    let skip = json(&redis, &[&args[..], &["$", "--yes", "billing"]].concat());
    assert_eq!((&skip["skipped"], &skip["read_again"]), (&json!(4), &json!(0)));
    assert_eq!((group("lag"), group("pending")), ("0".to_owned(), "4".to_owned()));
    let again = typing(&redis, &[&args[..], &["0"]].concat(), "billing\n");
    assert!(again.status.success());
    assert_eq!((group("last-delivered-id"), group("lag")), ("0-0".to_owned(), "10".to_owned()));
    let third = redis.cli(&["XRANGE", "orders", "-", "+", "COUNT", "3"]);
    let third = third.lines().rfind(|line| line.contains('-')).unwrap();
    json(&redis, &[&args[..], &[third, "--yes", "billing"]].concat());
    let read = redis.cli(&["XREADGROUP", "GROUP", "billing", "bob", "COUNT", "1", "STREAMS", "orders", ">"]);
    assert!(read.contains(third), "the entry that was named is the next: {read}");
    assert!(
        error(&redis, &["streams", "reset", "orders", "none", "--to", "0", "--yes", "none"], "")
            .contains("no group")
    );
}

/// Letters as the receiver writes them: of two streams and two reasons.
fn letters(redis: &Redis) {
    for (n, (stream, reason)) in
        [("orders", "body"), ("orders", "max_deliveries"), ("payments", "body"), ("orders", "body")]
            .iter()
            .enumerate()
    {
        let n = n.to_string();
        redis.cli(&[
            "XADD",
            "orders:dlq",
            "*",
            "body",
            &n,
            "k",
            "v",
            "dlq.stream",
            stream,
            "dlq.id",
            "1-1",
            "dlq.group",
            "billing",
            "dlq.error.type",
            reason,
            "dlq.error.message",
            "no JSON",
        ]);
    }
}

#[test]
fn dead_letters_are_listed_filtered_and_exported() {
    let redis = Redis::start();
    letters(&redis);
    let all = json(&redis, &["dlq", "ls"]);
    assert_eq!((&all[0]["stream"], &all[0]["letters"]), (&json!("orders:dlq"), &json!(4)));
    assert_eq!(all[0]["reasons"], json!({"body": 3, "max_deliveries": 1}));
    let shown =
        json(&redis, &["dlq", "show", "orders:dlq", "--reason", "body", "--source", "orders", "-n", "1"]);
    assert_eq!(shown[0]["fields"], json!([["body", "0"], ["k", "v"]]));
    assert_eq!(shown[0]["dlq"]["error.message"], "no JSON");
    let exported = text(&redis, &["dlq", "export", "orders:dlq", "--contains", "payments"]);
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["dlq"]["stream"]), (1, &json!("payments")));
}

#[test]
fn letters_go_back_to_where_they_came_from_at_the_rate_that_was_said() {
    let redis = Redis::start();
    letters(&redis);
    let args = ["dlq", "requeue", "orders:dlq", "--reason", "body"];
    let preview = text(&redis, &[&args[..], &["--dry-run"]].concat());
    assert!(
        preview.contains("3 letters")
            && preview.contains("2 go to orders")
            && preview.contains("1 go to payments"),
        "{preview}"
    );
    let began = Instant::now();
    let done = json(&redis, &[&args[..], &["--rate", "10", "--yes", "orders:dlq"]].concat());
    assert!(began.elapsed() >= Duration::from_millis(200), "three letters at ten a second");
    assert_eq!((&done["requeued"], redis.run::<usize>("XLEN orders:dlq")), (&json!(3), 1));
    let back = redis.cli(&["XRANGE", "orders", "-", "+", "COUNT", "1"]);
    let fields = pairs(back.split_once('\n').unwrap().1);
    assert_eq!(fields[..2], [("body".to_owned(), "0".to_owned()), ("k".to_owned(), "v".to_owned())]);
    assert!(
        fields[2].0 == "dlq.requeued_from" && fields[2].1.starts_with("orders:dlq ") && fields.len() == 3
    );
    assert_eq!(
        json(&redis, &["dlq", "requeue", "orders:dlq", "--to", "other", "--yes", "orders:dlq"])["requeued"],
        1
    );
    assert_eq!(redis.run::<usize>("XLEN other"), 1);
}

#[test]
fn letters_do_not_go_where_no_stream_is() {
    let redis = Redis::start();
    letters(&redis);
    redis.run::<()>("SET orders x");
    let told = error(&redis, &["dlq", "requeue", "orders:dlq", "--yes", "orders:dlq"], "");
    assert!(told.contains("orders is a string") && told.contains("--to"), "{told}");
    assert_eq!((redis.run::<usize>("XLEN orders:dlq"), redis.run::<usize>("EXISTS payments")), (4, 0));
}

#[test]
fn purge_removes_what_matches_once_the_name_is_said() {
    let redis = Redis::start();
    letters(&redis);
    let args = ["dlq", "purge", "orders:dlq", "--reason", "body"];
    assert_eq!(json(&redis, &[&args[..], &["--dry-run"]].concat())["matching"], 3);
    assert!(error(&redis, &args, "orders\n").contains("nothing was done"));
    assert_eq!(redis.run::<usize>("XLEN orders:dlq"), 4);
    assert!(typing(&redis, &args, "orders:dlq\n").status.success());
    assert_eq!(redis.run::<usize>("XLEN orders:dlq"), 1);
}

#[test]
fn every_command_finds_its_stream_in_a_cluster() {
    let cluster = Cluster::start(&Server::find("redis-7.0").unwrap());
    let any = &cluster.nodes[0];
    for stream in ["a", "b", "c", "{x}:s"] {
        text(any, &["streams", "publish", stream, "n=1"]);
    }
    let all = json(any, &["streams", "ls"]);
    let names: Vec<&str> =
        all.as_array().unwrap().iter().map(|row| row["stream"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c", "{x}:s"]);
    let owner = &cluster.nodes[cluster.owner("b")];
    owner.cli(&["XADD", "b:dlq", "*", "n", "1", "dlq.stream", "{x}:s"]);
    let elsewhere = &cluster.nodes[cluster.owner("b:dlq")];
    elsewhere.cli(&["XADD", "b:dlq", "*", "n", "2", "dlq.stream", "{x}:s"]);
    let done = json(any, &["dlq", "requeue", "b:dlq", "--yes", "b:dlq"]);
    let held = json(any, &["streams", "inspect", "{x}:s"])["info"]["length"].as_u64().unwrap();
    assert_eq!(held, 1 + done["requeued"].as_u64().unwrap());
    assert_eq!(json(any, &["streams", "inspect", "b:dlq"])["info"]["length"], 0);
}

#[test]
fn what_has_a_correlation_id_is_found_in_streams_and_dead_letters() {
    let redis = Redis::start();
    let mut pipe = redis::pipe();
    for n in 0..100_000 {
        let id = if n % 50_000 == 77 { "wanted" } else { "other" };
        pipe.cmd("XADD")
            .arg("opsconductor:ai:events")
            .arg("*")
            .arg("n")
            .arg(n)
            .arg("correlation_id")
            .arg(id)
            .ignore();
    }
    pipe.query::<()>(&mut redis.connection()).unwrap();
    redis.cli(&["XADD", "opsconductor:ai:events:dlq", "*", "correlation_id", "wanted", "dlq.stream", "x"]);
    redis.cli(&["XADD", "notes", "*", "text", "wanted"]);
    let began = Instant::now();
    let found = text(&redis, &["streams", "find", "wanted", "--field", "correlation_id", "--json"]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let streams: Vec<Value> = found.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = streams.iter().map(|entry| entry["stream"].as_str().unwrap()).collect();
    assert_eq!(names, ["opsconductor:ai:events", "opsconductor:ai:events", "opsconductor:ai:events:dlq"]);
    assert_eq!(text(&redis, &["streams", "find", "wanted", "--json"]).lines().count(), 4);
    assert!(error(&redis, &["streams", "find", "nowhere"], "").contains("no entry"));
}

#[test]
fn ten_thousand_messages_take_the_memory_that_inspect_shows() {
    let redis = Redis::start();
    let data = "x".repeat(200);
    let mut pipe = redis::pipe();
    for n in 0..10_000 {
        pipe.cmd("XADD").arg("s").arg("*").arg("data").arg(&data).arg("n").arg(n).ignore();
    }
    pipe.query::<()>(&mut redis.connection()).unwrap();
    let all = json(&redis, &["streams", "inspect", "s"]);
    let bytes = all["memory_bytes"].as_u64().unwrap();
    assert!((2_000_000..10_000_000).contains(&bytes), "{bytes}");
    assert!(text(&redis, &["streams", "inspect", "s"]).contains("MEMORY USAGE s"));
}

#[test]
fn a_letter_without_its_entrys_fields_stays_where_it_is() {
    let redis = Redis::start();
    redis.cli(&["XADD", "s:dlq", "*", "dlq.stream", "s", "dlq.request", "bytes"]);
    let done = json(&redis, &["dlq", "requeue", "s:dlq", "--yes", "s:dlq"]);
    assert_eq!((&done["requeued"], &done["stay"]), (&json!(0), &json!(1)));
    assert_eq!((redis.run::<usize>("XLEN s:dlq"), redis.run::<usize>("XLEN s")), (1, 0));
}

#[test]
fn a_load_of_a_thousand_entries_is_a_lag_of_a_thousand() {
    let redis = Redis::start();
    redis.run::<()>("XGROUP CREATE events:chat g 0 MKSTREAM");
    let done = json(&redis, &["bench", "produce", "--stream", "events:chat", "--count", "1000"]);
    assert_eq!(done["entries"], 1000);
    assert_eq!(json(&redis, &["streams", "ls", "events:*"])[0]["lag"], 1000);
    let last = redis.cli(&["XREVRANGE", "events:chat", "+", "-", "COUNT", "1"]);
    assert!(last.ends_with("event_type\ntest_message\ndata\ntest_999"), "{last}");
    let began = Instant::now();
    json(&redis, &["bench", "produce", "--count", "50", "--rate", "100", "--pipeline", "10"]);
    assert!(began.elapsed() >= Duration::from_millis(350), "a hundred a second");
}

#[test]
fn changes_are_written_down_before_they_are_made_and_what_cannot_be_is_not_done() {
    let redis = Redis::start();
    half_read(&redis);
    letters(&redis);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    let path = file.to_str().unwrap();
    text(&redis, &["streams", "ls", "--audit", path]);
    assert!(!file.exists(), "who looks changes nothing");
    text(
        &redis,
        &["streams", "reset", "orders", "billing", "--to", "0", "--yes", "billing", "--audit", path],
    );
    text(&redis, &["dlq", "purge", "orders:dlq", "--yes", "orders:dlq", "--audit", path]);
    let lines = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let about = &lines[0]["about"];
    assert_eq!(
        (&lines[0]["action"], &about["to"], &about["read_again"]),
        (&json!("streams reset"), &json!("0-0"), &json!(6))
    );
    assert_eq!((&lines[1]["action"], &lines[1]["about"]["letters"]), (&json!("dlq purge"), &json!(4)));
    let nowhere = dir.path().join("no/such/directory");
    let args = ["streams", "trim", "orders", "--max-len", "1", "--force", "--yes", "orders", "--audit"];
    let text = error(&redis, &[&args[..], &[nowhere.to_str().unwrap()]].concat(), "");
    assert!(text.contains("nothing was done"), "{text}");
    assert_eq!(redis.run::<usize>("XLEN orders"), 10);
}

#[test]
fn the_doctor_says_whether_an_exporter_may_write() {
    let redis = Redis::builder().user("writer on >secret ~orders +@all").start();
    for (stream, code, words) in
        [("orders", 0, "user writer may add to orders"), ("secrets", 5, "ACL SETUSER writer +xadd ~secrets")]
    {
        let yaml = format!(
            "yaml:{{receivers: {{nop: }}, exporters: {{redis_stream: {{endpoint: '{}', username: writer, password: secret, \
             stream: {stream}}}}}, service: {{pipelines: {{logs: {{receivers: [nop], exporters: [redis_stream]}}}}}}}}",
            redis.addr()
        );
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
        let output = command.args(["doctor", "--config", &yaml]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(words) && !text.contains("secret:"), "{text}");
    }
    assert_eq!(redis.run::<usize>("EXISTS orders"), 0, "nothing was written");
}

#[test]
fn previews_of_long_streams_are_right_from_either_end() {
    let redis = Redis::start();
    redis.fill("long", 5000);
    redis.run::<()>("XGROUP CREATE long g 0");
    let ids = redis.cli(&["XRANGE", "long", "-", "+"]);
    let ids: Vec<&str> = ids.lines().step_by(3).collect();
    for keep in [1, 1000, 2499, 2500, 2501, 4000, 4999] {
        let args = ["streams", "trim", "long", "--max-len", &keep.to_string(), "--force", "--dry-run"];
        let preview = json(&redis, &args);
        assert_eq!(
            (&preview["goes"], preview["before"].as_str()),
            (&json!(5000 - keep), Some(ids[5000 - keep]))
        );
    }
    // The lag counts what was trimmed: then the entries are.
    redis.run::<()>("XTRIM long MAXLEN 3000");
    let args = ["streams", "reset", "long", "g", "--dry-run", "--to"];
    assert_eq!(json(&redis, &[&args[..], &["$"]].concat())["skipped"], 3000);
    let at = json(&redis, &[&args[..], &[ids[4000]]].concat());
    assert_eq!(at["skipped"], 2000);
}
