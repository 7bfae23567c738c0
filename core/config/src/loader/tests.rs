use serde::Deserialize;

use super::*;
use crate::{Kind, KnownType, Secret, Signal};

fn known() -> Known {
    Known::new([
        KnownType::new(Kind::Receiver, "redis", &[Signal::Metrics]),
        KnownType::new(Kind::Receiver, "otlp", &Signal::ALL),
        KnownType::new(Kind::Exporter, "otlp_grpc", &Signal::ALL).aliases(&["otlp"]),
        KnownType::new(Kind::Exporter, "debug", &Signal::ALL),
    ])
}

const BASE: &str = "yaml:{receivers: {redis: {endpoint: 'a:1', username: u}}, exporters: {debug: }, service: {pipelines: {metrics: {receivers: [redis], exporters: [debug]}}}}";

#[derive(Deserialize, Default, Debug, PartialEq)]
#[serde(default)]
struct Redis {
    endpoint: String,
    username: String,
    password: Secret,
}

fn redis(loader: Loader<'_>) -> Redis {
    let (config, _, _) = loader.load(&known()).into_result().unwrap();
    config.receivers.iter().next().unwrap().section.read().unwrap()
}

#[test]
fn later_sources_win_and_a_set_wins_over_all() {
    let over = "yaml:receivers::redis::endpoint: b:2";
    assert_eq!(redis(Loader::new().source(BASE).source(over)).endpoint, "b:2");
    let got = redis(Loader::new().set("receivers.redis.endpoint=c:3").source(BASE).source(over));
    assert_eq!((got.endpoint.as_str(), got.username.as_str()), ("c:3", "u"));
}

#[test]
fn a_password_from_the_environment_arrives_unchanged() {
    for password in
        ["pa$$word", "$", "${env:HOME}", "a: #b", "# c", "line\nbreak\n", "[1", "~", "0123", "'q'", "true"]
    {
        let loader = Loader::new()
            .source(BASE)
            .source("yaml:{receivers: {redis: {password: '${env:PASSWORD}'}}}")
            .env(|_| Some(password.into()));
        assert_eq!(redis(loader).password.expose(), password);
    }
}

#[test]
fn a_whole_configuration_may_come_from_the_environment() {
    let text = BASE.strip_prefix("yaml:").unwrap();
    assert_eq!(redis(Loader::new().source("env:CONFIG").env(|_| Some(text.into()))).endpoint, "a:1");
}

#[test]
fn a_file_is_read_with_and_without_its_scheme() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.yaml");
    std::fs::write(&path, BASE.strip_prefix("yaml:").unwrap()).unwrap();
    for location in [path.display().to_string(), format!("file:{}", path.display())] {
        assert_eq!(redis(Loader::new().source(location)).endpoint, "a:1");
    }
}

#[test]
fn an_old_name_works_with_a_warning_and_keeps_its_id() {
    let over = "yaml:{exporters: {otlp: }, service: {pipelines: {metrics: {exporters: [otlp]}}}}";
    let (config, _, warnings) = Loader::new().source(BASE).source(over).load(&known()).into_result().unwrap();
    let exporter = config.exporters.iter().find(|c| c.type_name == "otlp_grpc").unwrap();
    assert_eq!(exporter.id.to_string(), "otlp");
    assert!(warnings.iter().any(|w| w.message == r#""otlp" alias is deprecated; use "otlp_grpc" instead"#));
    assert!(warnings.iter().any(|w| w.code == codes::UNUSED), "debug is not used any more");
}

#[test]
fn the_same_meaning_written_elsewhere_is_an_equal_section() {
    let load = |extra: &str| Loader::new().source(BASE).source(extra).load(&known()).into_result().unwrap().0;
    let one = load("yaml:{}");
    assert_eq!(one, load("yaml:\n\n{receivers: {redis: {username: u, endpoint: 'a:1'}}}"));
    assert_ne!(one, load("yaml:receivers::redis::endpoint: b:2"));
}

#[test]
fn the_fuzz_entry_takes_any_text() {
    use proptest::prelude::*;
    let words = prop_oneof![
        Just("receivers: "),
        Just("exporters: "),
        Just("service: "),
        Just("pipelines: "),
        Just("metrics: "),
        Just("connectors: "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(", "),
        Just("\n"),
        Just("  "),
        Just("- "),
        Just(": "),
        Just("a"),
        Just("c"),
        Just("&x "),
        Just("*x"),
        Just("<<: "),
        Just("${"),
        Just("env:A"),
        Just(":-"),
        Just("$"),
        Just("::"),
        Just("\""),
        Just("'"),
        Just("|\n"),
        Just("!!int "),
        Just("0x"),
        Just("\0"),
        Just("\u{fffd}"),
        Just("---\n"),
        Just("%"),
    ];
    proptest!(ProptestConfig::with_cases(2000), |(text in proptest::collection::vec(words, 0..40))| {
        crate::fuzz::load(text.concat().as_bytes());
    });
    proptest!(ProptestConfig::with_cases(2000), |(bytes in proptest::collection::vec(any::<u8>(), 0..60))| {
        crate::fuzz::load(&bytes);
    });
}
