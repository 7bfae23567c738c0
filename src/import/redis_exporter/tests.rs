use super::configuration;
use crate::cli::ConfigArgs;
use crate::import::flags::{FLAGS, read};

fn imported(flags: &[&str], environment: &[(&str, &str)]) -> String {
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    configuration(&read(&flags, environment).unwrap())
}

/// Loads it; what the environment holds is not there in a test, so there must be no reference to it.
fn loads(text: &str) -> streamgauge_engine::Plan {
    let args = ConfigArgs { config: vec![format!("yaml:{text}")], ..ConfigArgs::default() };
    crate::configuration::load(&args, None).unwrap_or_else(|found| panic!("{found}\n{text}")).plan
}

#[test]
fn nothing_given_is_one_server_on_the_usual_port() {
    let text = imported(&[], &[]);
    loads(&text);
    let switches = |line: &&str| line.starts_with("      redis.");
    assert!(
        text.lines().filter(switches).any(|line| line == "      redis.cmd.calls: {enabled: true}"),
        "{text}"
    );
    let rest: Vec<_> = text.lines().filter(|line| !switches(line)).collect();
    insta::assert_snapshot!(rest.join("\n"));
}

#[test]
fn the_writers_variables_watch_their_streams_and_groups() {
    let text = imported(
        &[],
        &[
            ("REDIS_ADDR", "redis://redis:6379"),
            ("REDIS_EXPORTER_CHECK_STREAMS", "intuition_testnet_atom_created, events:*,db3=a$b"),
            ("REDIS_EXPORTER_CHECK_STREAM_GROUPS", "postgres-sync,surreal-sync"),
            ("REDIS_EXPORTER_NAMESPACE", "cache"),
            ("HOME", "/root"),
        ],
    );
    loads(&text);
    for line in [
        "    endpoint: \"redis:6379\"\n",
        "    db: 0\n    streams: [\"intuition_testnet_atom_created\", \"events:*\"]\n",
        "    db: 3\n    streams: [\"a$$b\"]\n",
        "    groups: [\"postgres-sync\", \"surreal-sync\"]\n",
        "    preset_settings: {redis_exporter: {prefix: \"cache\"}}\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_cluster_is_watched_whole_with_its_nodes_told_apart() {
    let text = imported(&[], &[("REDIS_EXPORTER_IS_CLUSTER", "true"), ("REDIS_EXPORTER_CHECK_STREAMS", "*")]);
    loads(&text);
    assert_eq!(text.matches("    topology: auto\n").count(), 2, "{text}");
    assert!(!text.contains("server.address"), "{text}");
}

#[test]
fn secrets_stay_where_they_are() {
    let text = imported(
        &["--redis.password=hunter2", "-redis.addr", "rediss://u:hunter3@h:1"],
        &[
            ("REDIS_EXPORTER_BASIC_AUTH_USERNAME", "ann"),
            ("REDIS_EXPORTER_BASIC_AUTH_PASSWORD", "hunter4"),
            ("REDIS_EXPORTER_TLS_CA_CERT_FILE", "/ca.pem"),
        ],
    );
    assert!(!text.contains("hunter"), "{text}");
    for line in [
        "    endpoint: ${env:REDIS_ADDR}\n",
        "    password: ${env:REDIS_PASSWORD}\n",
        "    tls: {ca_file: \"/ca.pem\"}\n",
        "    htpasswd: {inline: \"ann:${env:REDIS_EXPORTER_BASIC_AUTH_PASSWORD}\"}\n",
        "    auth: {authenticator: basicauth}\n",
        "put it into REDIS_ADDR",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn what_is_left_out_is_said_and_the_rest_loads() {
    let text = imported(
        &[
            "--check-keys=db0=a*",
            "--is-tile38=false",
            "--debug",
            "--log-format",
            "json",
            "--web.telemetry-path=/m",
        ],
        &[("REDIS_EXPORTER_CHECK_KYES", "x"), ("REDIS_EXPORTER_PING_ON_CONNECT", "true")],
    );
    loads(&text);
    for line in [
        "# REDIS_EXPORTER_CHECK_KEYS is NOT AVAILABLE: keys other than streams are not read",
        "# REDIS_EXPORTER_PING_ON_CONNECT is not needed",
        "# REDIS_EXPORTER_CHECK_KYES is not a variable of redis_exporter.",
        "    logs: {level: \"debug\", encoding: json}\n",
        "    path: \"/m\"\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("TILE38"), "what is off is not missed:\n{text}");
}

#[test]
fn wrong_flags_are_refused() {
    for (flags, expected) in
        [(["--nope=1"], "has no flag --nope"), (["redis"], "is no flag"), (["--redis.addr"], "needs a value")]
    {
        let flags = flags.map(str::to_owned);
        let error = read(&flags, std::iter::empty()).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn every_variable_is_named_as_the_exporter_names_it() {
    let variable = |name: &str| FLAGS.iter().find(|flag| flag.name == name).unwrap().variable();
    assert_eq!(variable("redis.addr"), "REDIS_ADDR");
    assert_eq!(variable("redis.password-file"), "REDIS_PASSWORD_FILE");
    assert_eq!(variable("check-streams"), "REDIS_EXPORTER_CHECK_STREAMS");
    assert_eq!(variable("web.listen-address"), "REDIS_EXPORTER_WEB_LISTEN_ADDRESS");
}
