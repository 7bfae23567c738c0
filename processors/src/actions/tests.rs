use std::sync::Arc;
use std::time::SystemTime;

use streamgauge_config::Section;
use streamgauge_pdata::build::{AnyValue, LogsBuilder};
use streamgauge_pdata::edit::edit_resources;
use streamgauge_pdata::view::LogsView;
use streamgauge_pdata::{Body, Signal};

use super::*;

#[derive(serde::Deserialize)]
struct List {
    actions: Vec<ActionConfig>,
}

fn read(yaml: &str) -> Vec<ActionConfig> {
    let text = format!("actions:\n{yaml}");
    Section::from_yaml("test", &text).unwrap().read::<List>().unwrap_or_else(|e| panic!("{e}")).actions
}

/// What the actions make of these attributes, a line each.
fn after(yaml: &str, attributes: &[(&str, AnyValue)]) -> Vec<String> {
    let configs = read(yaml);
    assert_eq!(problems("actions", &configs), []);
    let actions = Actions::new(&configs);
    let mut context = Context::new("test", SystemTime::UNIX_EPOCH);
    context.peer = Some("10.0.0.9".into());
    context.identity = Some("alice".into());
    let header = |name: &str, value: &str| (Arc::from(name), Arc::from(value));
    context.headers = vec![header("x-tenant", "t1"), header("x-tenant", "t2")];
    let mut request = LogsBuilder::new();
    request.resource(attributes).scope("", "").record(1);
    let mut scratch = EncodedValue::default();
    let mut bytes = Body::from(request.finish());
    edit_resources(Signal::Logs, &mut bytes, |e| actions.apply(&context, e, &mut scratch)).unwrap();
    let resource = LogsView::new(&bytes).resources().next().unwrap().unwrap();
    let line = |(key, value): (&str, Value<'_>)| match value.to_any().unwrap() {
        AnyValue::Str(text) => format!("{key}: {text:?}"),
        other => format!("{key}: {other:?}"),
    };
    resource.attributes().map(|pair| line(pair.unwrap())).collect()
}

fn text(text: &str) -> AnyValue {
    AnyValue::Str(text.to_owned())
}

#[test]
fn insert_update_and_upsert_differ_in_what_must_be_there() {
    let there = [("a", text("old"))];
    assert_eq!(
        after("  - {key: a, value: new, action: insert}\n  - {key: b, value: new, action: insert}", &there),
        ["a: \"old\"", "b: \"new\""]
    );
    assert_eq!(
        after("  - {key: a, value: new, action: update}\n  - {key: b, value: new, action: update}", &there),
        ["a: \"new\""]
    );
    assert_eq!(
        after("  - {key: a, value: new, action: UPSERT}\n  - {key: b, value: new, action: upsert}", &there),
        ["a: \"new\"", "b: \"new\""]
    );
}

#[test]
fn a_value_keeps_the_type_that_the_configuration_gave_it() {
    let yaml = "
  - {key: s, value: \"5\", action: insert}
  - {key: i, value: 5, action: insert}
  - {key: d, value: 0.5, action: insert}
  - {key: b, value: true, action: insert}
  - {key: l, value: [a, 1], action: insert}";
    assert_eq!(
        after(yaml, &[]),
        ["s: \"5\"", "i: Int(5)", "d: Double(0.5)", "b: Bool(true)", "l: Array([Str(\"a\"), Int(1)])"]
    );
}

#[test]
fn a_missing_source_does_nothing_unless_there_is_a_default() {
    let yaml = "
  - {key: copy, from_attribute: a, action: insert}
  - {key: none, from_attribute: missing, action: insert}
  - {key: default, from_attribute: missing, default_value: d, action: insert}
  - {key: copy_of_copy, from_attribute: copy, action: insert}";
    assert_eq!(
        after(yaml, &[("a", AnyValue::Int(7))]),
        ["a: Int(7)", "copy: Int(7)", "default: \"d\"", "copy_of_copy: Int(7)"]
    );
}

#[test]
fn the_context_gives_headers_the_peer_and_the_identity() {
    let yaml = "
  - {key: tenant, from_context: metadata.X-Tenant, action: upsert}
  - {key: old_style, from_context: x-tenant, action: upsert}
  - {key: peer, from_context: client.address, action: upsert}
  - {key: who, from_context: auth.subject, action: upsert}
  - {key: none, from_context: metadata.x-other, action: upsert}";
    assert_eq!(
        after(yaml, &[]),
        ["tenant: \"t1;t2\"", "old_style: \"t1;t2\"", "peer: \"10.0.0.9\"", "who: \"alice\""]
    );
}

#[test]
fn delete_takes_a_key_and_all_keys_that_match() {
    let there = [("a", text("1")), ("secret.x", text("2")), ("secret.y", text("3")), ("b", text("4"))];
    assert_eq!(after("  - {key: b, pattern: \"^secret\", action: delete}", &there), ["a: \"1\""]);
}

#[test]
fn hash_is_the_sha_256_of_the_values_bytes() {
    let there = [("s", text("abc")), ("i", AnyValue::Int(1)), ("b", AnyValue::Bool(true)), ("e", text(""))];
    let hashed = after("  - {pattern: \".\", action: hash}", &there);
    // FIPS 180-2, appendix B.1, for "abc"; the others computed with coreutils' sha256sum.
    assert_eq!(
        hashed,
        [
            "s: \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"",
            "i: \"7c9fa136d4413fa6173637e883b6998d32e1d675f88cddff9dcbcf331820f4b8\"",
            "b: \"4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a\"",
            "e: \"\"",
        ]
    );
}

#[test]
fn extract_sets_an_attribute_for_every_named_group() {
    let yaml = "  - {key: url, pattern: \"^(?P<scheme>[a-z]+)://(?P<host>[^/]+)\", action: extract}";
    let url = |value| [("url", value), ("host", text("old"))];
    assert_eq!(
        after(yaml, &url(text("http://h/p"))),
        ["url: \"http://h/p\"", "host: \"h\"", "scheme: \"http\""]
    );
    assert_eq!(after(yaml, &url(text("no match"))), ["url: \"no match\"", "host: \"old\""]);
    assert_eq!(after(yaml, &url(AnyValue::Int(1))), ["url: Int(1)", "host: \"old\""]);
}

#[test]
fn convert_changes_the_type_or_leaves_what_has_no_meaning_in_it() {
    let to = |to: &str, value| {
        after(&format!("  - {{key: v, converted_type: {to}, action: convert}}"), &[("v", value)])
    };
    assert_eq!(to("int", text("-5")), ["v: Int(-5)"]);
    assert_eq!(to("int", text("5 apples")), ["v: \"5 apples\""]);
    assert_eq!(to("int", AnyValue::Double(2.9)), ["v: Int(2)"]);
    assert_eq!(to("int", AnyValue::Bool(true)), ["v: Int(1)"]);
    assert_eq!(to("double", text("1.5")), ["v: Double(1.5)"]);
    assert_eq!(to("double", AnyValue::Int(3)), ["v: Double(3.0)"]);
    assert_eq!(to("string", AnyValue::Int(3)), ["v: \"3\""]);
    assert_eq!(to("string", AnyValue::Array(vec![AnyValue::Int(3)])), ["v: \"[3]\""]);
    assert_eq!(to("int", AnyValue::Array(vec![])), ["v: Array([])"]);
}

#[test]
fn what_makes_no_sense_is_refused_at_its_place() {
    let refused = |yaml: &str| {
        let found = problems("actions", &read(yaml));
        found.into_iter().map(|(path, message)| format!("{path}: {message}")).collect::<Vec<_>>().join("\n")
    };
    let all = [
        refused("  - {value: 1, action: insert}"),
        refused("  - {key: a, action: upsert}"),
        refused("  - {key: a, value: 1, from_attribute: b, action: upsert}"),
        refused("  - {key: a, value: 1, pattern: x, action: upsert}"),
        refused("  - {action: delete}"),
        refused("  - {key: a, value: 1, action: delete}"),
        refused("  - {pattern: \"(\", action: hash}").lines().next().unwrap().to_owned(),
        refused("  - {key: a, action: extract}"),
        refused("  - {key: a, pattern: abc, action: extract}"),
        refused("  - {key: a, pattern: \"(?P<x>a)(b)\", action: extract}"),
        refused("  - {key: a, action: convert}"),
        refused("  - {key: a, value: 1, converted_type: int, action: insert}"),
    ];
    insta::assert_snapshot!(all.join("\n"), @r#"
    actions::0::key: "insert" needs a "key"
    actions::0::action: "upsert" needs one of "value", "from_attribute" or "from_context"
    actions::0::action: "upsert" takes its value from one place only, here are 2
    actions::0::pattern: "upsert" does not take a "pattern"
    actions::0::key: "delete" needs "key" or "pattern" or both
    actions::0::action: "delete" does not take a value
    actions::0::pattern: regex parse error:
    actions::0::pattern: "extract" needs a "pattern"
    actions::0::pattern: has no named group, such as (?P<name>...): nothing would be extracted
    actions::0::pattern: has a group without a name; write (?:...) or name it
    actions::0::converted_type: "convert" needs a "converted_type": int, double or string
    actions::0::converted_type: "insert" does not take a "converted_type"
    "#);
}
