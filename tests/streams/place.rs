//! Which Redis is meant: TLS, ACL users, and sections of a configuration.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use streamgauge_harness::Redis;

use super::{half_read, letters};

/// All that the commands need, and no more.
const USER: &str = "cli on >geheim ~* -@all +info +client|setname +scan +type +xinfo +xpending +xlen +xrange +xrevrange \
                    +xread +xadd +xclaim +xtrim +xdel +xgroup|setid +memory|usage +multi +exec";

/// Every subcommand; what changes something last.
const ALL: &[&[&str]] = &[
    &["streams", "ls"],
    &["streams", "inspect", "orders"],
    &["streams", "tail", "orders"],
    &["streams", "find", "3"],
    &["streams", "pending", "orders", "billing"],
    &["dlq", "ls"],
    &["dlq", "show", "orders:dlq"],
    &["dlq", "export", "orders:dlq"],
    &["streams", "publish", "orders", "a=1"],
    &["streams", "claim", "orders", "billing", "--to", "bob", "--min-idle", "0s"],
    &["streams", "reset", "orders", "billing", "--to", "0", "--yes", "billing"],
    &["streams", "trim", "orders", "--max-len", "3", "--exact", "--force", "--yes", "orders"],
    &["dlq", "requeue", "orders:dlq", "--reason", "body", "--yes", "orders:dlq"],
    &["dlq", "purge", "orders:dlq", "--yes", "orders:dlq"],
    &["bench", "produce", "--count", "10"],
];

fn run(args: &[&str], password: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.args(args).env_remove("REDIS_URL").env_remove("REDIS_PASSWORD");
    command.envs(password.map(|password| ("REDIS_PASSWORD", password))).output().unwrap()
}

#[track_caller]
fn told(output: &Output, code: i32) -> String {
    let text = [&*output.stdout, &output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(!text.contains("geheim"), "{text}");
    text
}

/// Runs all of them, and looks at what is left.
fn every_command(redis: &Redis, place: &[&str], password: Option<&str>) {
    half_read(redis);
    letters(redis);
    for command in ALL {
        let output = run(&[command, place, &["--json"]].concat(), password);
        let text = told(&output, 0);
        let lines: Vec<&str> = if text.starts_with(['[', '{']) && serde_json::from_str::<Value>(&text).is_ok()
        {
            vec![&text]
        } else {
            text.lines().filter(|line| line.starts_with('{')).collect()
        };
        assert!(!lines.is_empty(), "{command:?}: {text}");
        lines.iter().for_each(|line| drop(serde_json::from_str::<Value>(line).unwrap()));
    }
    // Ten, one that was published, three are kept; two letters came back.
    assert_eq!((redis.run::<usize>("XLEN orders"), redis.run::<usize>("XLEN orders:dlq")), (5, 0));
    assert_eq!(redis.run::<usize>("XLEN events:chat"), 10);
    let held = redis.cli(&["XPENDING", "orders", "billing"]);
    assert!(held.contains("bob") && !held.contains("alice"), "{held}");
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_command_goes_over_tls_as_a_user_who_may_do_no_more_than_it_needs() {
    let redis = Redis::builder().tls().user(USER).start();
    let (address, ca) = (redis.tls_addr(), path(&redis.certs().ca).to_owned());
    let place = ["--redis", &address, "--user", "cli", "--cacert", &ca];
    every_command(&redis, &place, Some("geheim"));
    for (args, words) in [
        (&["--redis", &address, "--tls", "--user", "cli"][..], "certificate"),
        (&["--redis", &address, "--cacert", &ca, "--sni", "other.example"], "certificate"),
        (&["--redis", &address, "--cacert", "/no/such.pem"], "/no/such.pem"),
        (&["--redis", &address, "--cacert", &ca, "--user", "nobody"], "nobody"),
    ] {
        let text = told(&run(&[&["streams", "ls"], args].concat(), Some("geheim")), 1);
        assert!(text.contains(words), "{words}: {text}");
    }
    told(&run(&["streams", "ls", "--redis", &address, "--insecure", "--user", "cli"], Some("geheim")), 0);
    let file = redis.dir().join("password");
    std::fs::write(&file, "geheim\n").unwrap();
    let with_file = [&["streams", "ls"], &place[..], &["--password-file", path(&file)]].concat();
    told(&run(&with_file, Some("not this one")), 0);
}

#[test]
fn a_server_that_asks_for_a_certificate_is_shown_one() {
    let redis = Redis::builder().mutual_tls().start();
    let (address, certs) = (redis.tls_addr(), redis.certs());
    let place = ["--redis", &address, "--cacert", path(&certs.ca)];
    told(&run(&[&["streams", "ls"], &place[..]].concat(), None), 1);
    let shown = ["--cert", path(&certs.client_cert), "--key", path(&certs.client_key)];
    every_command(&redis, &[&place[..], &shown].concat(), None);
}

#[test]
fn a_configuration_says_which_redis_and_how_to_log_in() {
    let (redis, other) = (Redis::builder().tls().user(USER).start(), Redis::start());
    other.fill("elsewhere", 1);
    let file = redis.dir().join("collector.yaml");
    let here = format!(
        "endpoint: {}, username: cli, password: geheim, tls: {{ca_file: {}}}",
        redis.tls_addr(),
        path(&redis.certs().ca)
    );
    let yaml = format!(
        "receivers:
  redis_stream/orders: {{{here}, streams: [orders]}}
  redis_stream_metrics: {{{here}}}
  redis: {{endpoint: {other}}}
exporters: {{redis_stream: {{endpoint: {other}, stream: out}}}}
service:
  pipelines:
    logs: {{receivers: [redis_stream/orders], exporters: [redis_stream]}}
    metrics: {{receivers: [redis, redis_stream_metrics], exporters: [redis_stream]}}
",
        other = other.addr()
    );
    std::fs::write(&file, yaml).unwrap();
    let config = ["--config", path(&file)];
    every_command(&redis, &[&config[..], &["--component", "redis_stream/orders"]].concat(), None);
    let of = |component: &str| {
        told(&run(&[&["streams", "ls", "--component", component], &config[..]].concat(), None), 0)
    };
    assert!(of("redis_stream_metrics").contains("orders"));
    for there in ["redis", "exporters::redis_stream"] {
        assert!(of(there).contains("elsewhere"), "{there}");
    }
    let text = told(&run(&[&["streams", "ls"], &config[..]].concat(), None), 1);
    let places = ["receivers::redis_stream/orders", "receivers::redis ", &redis.tls_addr(), "--component"];
    assert!(places.iter().all(|place| text.contains(place)), "{text}");
    let none = [&["streams", "ls"], &config[..], &["--component", "nop"]].concat();
    assert!(told(&run(&none, None), 1).contains("receivers::redis_stream_metrics"));
    let both = [&["streams", "ls", "--redis", "h"], &config[..]].concat();
    assert!(told(&run(&both, None), 2).contains("cannot be used with"));
    let wrong = ["streams", "ls", "--config", "yaml:{receivers: {redis: {endpint: h}}}"];
    assert!(told(&run(&wrong, None), 3).contains("endpint"));
}

#[test]
fn one_redis_of_a_configuration_needs_no_choice_and_none_is_said() {
    let redis = Redis::start();
    redis.fill("orders", 1);
    let of = |receivers: &str| {
        let pipeline = "{pipelines: {metrics: {receivers: [redis], exporters: [nop]}}}";
        format!("yaml:{{receivers: {{{receivers}}}, exporters: {{nop: }}, service: {pipeline}}}")
    };
    let address = redis.addr();
    let twice =
        of(&format!("redis: {{endpoint: '{address}'}}, redis_stream_metrics: {{endpoint: '{address}'}}"));
    assert!(told(&run(&["streams", "ls", "--config", &twice], None), 0).contains("orders"));
    let none = "yaml:{receivers: {nop: }, exporters: {nop: }, service: {pipelines: {logs: {receivers: [nop], exporters: [nop]}}}}";
    assert!(told(&run(&["streams", "ls", "--config", none], None), 1).contains("--redis"));
}
