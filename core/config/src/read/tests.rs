use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::*;
use crate::{Secret, Section};

#[derive(Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    endpoint: String,
    port: u16,
    ratio: f64,
    enabled: bool,
    #[serde(with = "humantime_serde")]
    timeout: Duration,
    #[serde(with = "humantime_serde::option")]
    linger: Option<Duration>,
    password: Option<Secret>,
    streams: Vec<String>,
    labels: BTreeMap<String, String>,
    level: Level,
    tls: Tls,
    grpc: Named,
    rules: Vec<Rule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoint: "localhost:6379".into(),
            port: 1,
            ratio: 0.5,
            enabled: true,
            timeout: Duration::from_secs(5),
            linger: Some(Duration::from_secs(1)),
            password: None,
            streams: vec!["default".into()],
            labels: BTreeMap::new(),
            level: Level::Normal,
            tls: Tls::default(),
            grpc: Named(None),
            rules: Vec::new(),
        }
    }
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Level {
    Normal,
    Detailed,
}

#[derive(Debug, Deserialize, PartialEq, Default)]
#[serde(default)]
struct Tls {
    insecure: bool,
    ca_file: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(default)]
struct Grpc {
    endpoint: String,
}

impl Default for Grpc {
    fn default() -> Self {
        Self { endpoint: "localhost:4317".into() }
    }
}

/// A group that is on by being named, as core/component has it.
#[derive(Debug, Default, PartialEq)]
struct Named(Option<Grpc>);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Group;
        impl<'de> serde::de::Visitor<'de> for Group {
            type Value = Grpc;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map")
            }
            fn visit_none<E>(self) -> Result<Grpc, E> {
                Ok(Grpc::default())
            }
            fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Grpc, D::Error> {
                Grpc::deserialize(deserializer)
            }
        }
        deserializer.deserialize_option(Group).map(|group| Named(Some(group)))
    }
}

#[derive(Debug, Deserialize, PartialEq)]
struct Rule {
    metric: String,
    #[serde(default)]
    window: Option<u32>,
}

fn settings(yaml: &str) -> Result<Settings, Diagnostics> {
    Section::from_yaml("t.yaml", yaml).unwrap().read()
}

fn errors(yaml: &str) -> Vec<String> {
    let mut found = settings(yaml)
        .unwrap_err()
        .into_iter()
        .map(|d| format!("{}: {}", d.place.unwrap(), d.message))
        .collect::<Vec<_>>();
    found.iter_mut().for_each(|m| *m = m.replacen("t.yaml:", "", 1));
    found
}

#[test]
fn every_kind_of_setting_is_read() {
    let got = settings(
        "endpoint: h:1\nport: 0x10\nratio: 2\nenabled: false\ntimeout: 1m30s\nlinger: 500ms\npassword: p\nstreams: a, b\n\
         labels: {a: '1'}\nlevel: detailed\ntls: {insecure: true, ca_file: c}\ngrpc:\nrules: [{metric: m, window: 3}]\n",
    )
    .unwrap();
    let want = Settings {
        endpoint: "h:1".into(),
        port: 16,
        ratio: 2.0,
        enabled: false,
        timeout: Duration::from_secs(90),
        linger: Some(Duration::from_millis(500)),
        password: Some(Secret::new("p")),
        streams: vec!["a".into(), "b".into()],
        labels: BTreeMap::from([("a".into(), "1".into())]),
        level: Level::Detailed,
        tls: Tls { insecure: true, ca_file: Some("c".into()) },
        grpc: Named(Some(Grpc::default())),
        rules: vec![Rule { metric: "m".into(), window: Some(3) }],
    };
    assert_eq!(got, want);
}

#[test]
fn null_keeps_the_default_everywhere() {
    let all = "endpoint:\nport:\nratio:\nenabled:\ntimeout:\nlinger:\npassword:\nstreams:\nlabels:\nlevel:\ntls:\nrules:\n";
    assert_eq!(settings(all).unwrap(), Settings::default());
    assert_eq!(settings("").unwrap(), Settings::default());
    assert_eq!(settings("streams: []").unwrap().streams, Vec::<String>::new());
}

#[test]
fn a_group_of_its_own_is_turned_on_by_null_and_off_by_absence() {
    assert_eq!(settings("grpc:").unwrap().grpc, Named(Some(Grpc::default())));
    assert_eq!(settings("port: 1").unwrap().grpc, Named(None));
}

#[test]
fn all_errors_are_told_at_once_with_their_places() {
    assert_eq!(
        errors(
            "endpoint: 5\nport: 70000\nenabled: 23\ntimeout: soon\nlevel: detaild\ntls: {insecur: true, x: 1}\nrules: [{metrik: m}, {metric: m, window: w}]\nprot: 1\n"
        ),
        [
            "1:11: 'endpoint' expected type 'string', got unconvertible type 'int'",
            "2:7: cannot parse 'port', 70000 overflows uint16",
            "3:10: 'enabled' expected type 'bool', got unconvertible type 'int'",
            "4:10: 'timeout' time: invalid duration \"soon\"",
            "5:8: 'level' unknown value \"detaild\" (valid values: [normal detailed])",
            "6:7: 'tls' has invalid keys: insecur, x",
            "7:9: 'rules[0].metric' must be set",
            "7:10: 'rules[0]' has invalid keys: metrik",
            "7:42: 'rules[1].window' expected type 'uint32', got unconvertible type 'string'",
            "8:1: '' has invalid keys: prot",
        ]
    );
}

#[test]
fn a_list_or_map_where_none_belongs_is_told_in_the_collectors_words() {
    assert_eq!(
        errors("endpoint: {a: 1}\nstreams: {a: 1}\ntls: 5\nlabels: text\n"),
        [
            "1:11: 'endpoint' expected type 'string', got unconvertible type 'map'",
            "2:10: 'streams': source data must be an array or slice, got map",
            "3:6: 'tls' expected a map or struct, got \"int\"",
            "4:9: 'labels' expected a map or struct, got \"string\"",
        ]
    );
}

#[test]
fn a_duration_needs_a_unit_except_zero() {
    assert_eq!(settings("timeout: 0").unwrap().timeout, Duration::ZERO);
    assert_eq!(settings("timeout: 1.5h").unwrap().timeout, Duration::from_secs(5400));
    assert_eq!(settings("timeout: 1 day").unwrap().timeout, Duration::from_secs(86400));
    assert_eq!(errors("timeout: 90"), ["1:10: 'timeout' time: invalid duration \"90\""]);
    assert_eq!(errors("linger: -1s"), ["1:9: 'linger' time: invalid duration \"-1s\""]);
}

#[test]
fn a_slip_gets_its_help() {
    let found = settings("endpont: x").unwrap_err();
    assert_eq!(found.iter().next().unwrap().help.as_deref(), Some("did you mean `endpoint`?"));
}

#[test]
fn a_value_from_the_environment_is_never_quoted() {
    let mut section =
        crate::parse(&crate::Source::new("t", "timeout: ${env:X}\nlevel: ${env:X}\nport: ${env:N}"))
            .unwrap()
            .0;
    let mut found = Diagnostics::new();
    let env = |name: &str| Some(if name == "X" { "hunter2" } else { "98765" }.into());
    crate::expand::Expander::new(&env, &mut found).expand(&mut section);
    let found = read::<Settings>(&section, "").unwrap_err();
    assert_eq!(found.len(), 3);
    let shown = crate::render(&found, crate::Style::Plain);
    assert!(!shown.contains("hunter2") && !shown.contains("98765"), "{shown}");
}

#[test]
fn any_value_can_be_read_as_json() {
    let json: serde_json::Value =
        Section::from_yaml("t", "a: [1, x, 2.5, true, null]\nb: {c: '1'}").unwrap().read().unwrap();
    assert_eq!(json, serde_json::json!({"a": [1, "x", 2.5, true, null], "b": {"c": "1"}}));
}
