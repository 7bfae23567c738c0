use super::pieces::{Piece, pieces};
use super::*;

fn env(name: &str) -> Option<OsString> {
    let value = match name {
        "A" => "value",
        "NAME" => "A",
        "PORT" => "6379",
        "OCTAL" => "0123",
        "EMPTY" => "",
        "LIST" => "[x, y]",
        "QUOTED" => "\"abc\"",
        "PASSWORD" => "p$${env:A}: #x\n$$",
        "TILDE" => "~",
        _ => return None,
    };
    Some(OsString::from(value))
}

fn expanded(text: &str) -> (Node, Diagnostics) {
    let mut found = Diagnostics::new();
    let place = Place::start_of(&Source::new("t.yaml", ""));
    let mut node = Node::new(Value::Scalar(Scalar::string(text)), place);
    Expander::new(&env, &mut found).expand(&mut node);
    (node, found)
}

fn string(text: &str) -> String {
    let (node, found) = expanded(text);
    assert!(found.is_empty(), "{found}");
    node.as_text().unwrap_or_else(|| panic!("{text} gave {node:?}")).to_owned()
}

fn error(text: &str) -> String {
    let (_, found) = expanded(text);
    assert_eq!(found.len(), 1, "{found}");
    found.iter().next().unwrap().message.clone()
}

#[test]
fn dollars_escape_as_in_the_collector() {
    for (text, gives) in [
        ("$$ENV", "$ENV"),
        ("$ENV", "$ENV"),
        ("$${env:A}", "${env:A}"),
        ("$$${env:A}", "$value"),
        ("$$$${env:A}", "$${env:A}"),
        ("text$$", "text$"),
        ("$", "$"),
        ("${", "${"),
        ("${env:A", "${env:A"),
        ("a}b", "a}b"),
    ] {
        assert_eq!(string(text), gives, "{text}");
    }
}

#[test]
fn what_follows_an_escaped_reference_is_still_expanded() {
    assert_eq!(string("$${env:A} and ${env:A}"), "${env:A} and value");
    assert_eq!(string("${env:A ${env:A}"), "${env:A value");
}

#[test]
fn references_nest_innermost_first() {
    assert_eq!(string("${env:${NAME}}"), "value");
    assert_eq!(string("${env:NOPE:-${env:A}/x}"), "value/x");
    assert_eq!(string("${${yaml:env}:A}"), "value");
}

#[test]
fn a_default_is_for_an_unset_variable_only() {
    assert_eq!(string("${env:NOPE:-5}"), "5");
    assert_eq!(string("${env:NOPE:-}"), "");
    assert_eq!(string("${env:EMPTY:-5}"), "");
    assert_eq!(string("${env:NOPE:-a:-b}"), "a:-b");
}

#[test]
fn a_whole_value_is_typed_and_keeps_its_text() {
    let (node, _) = expanded("${PORT}");
    assert_eq!(node.as_scalar().unwrap().kind, ScalarKind::Int(6379));
    let (node, _) = expanded("${OCTAL}");
    assert_eq!((node.as_scalar().unwrap().kind, node.as_text()), (ScalarKind::Int(83), Some("0123")));
    let (node, _) = expanded("${LIST}");
    assert_eq!((node.as_list().unwrap().len(), node.as_text()), (2, Some("[x, y]")));
    assert_eq!(string("${QUOTED}"), "\"abc\"", "a string stays as it is, quotes and all");
}

#[test]
fn within_a_string_the_original_text_is_used() {
    assert_eq!(string("x${OCTAL}y"), "x0123y");
    assert_eq!(string("${PORT}${PORT}"), "63796379");
    assert_eq!(string("<${LIST}>"), "<[x, y]>");
}

#[test]
fn what_comes_from_the_environment_is_data() {
    assert_eq!(string("${PASSWORD}"), "p$${env:A}: #x\n$$");
    assert_eq!(string("redis://:${PASSWORD}@h"), "redis://:p$${env:A}: #x\n$$@h");
    assert_eq!(string("${TILDE}"), "~");
    let (node, _) = expanded("${env:PASSWORD}");
    assert!(node.is_from_env());
}

#[test]
fn an_unset_variable_is_null_with_a_warning() {
    let (node, found) = expanded("${env:NOPE}");
    assert!(node.is_null());
    let warning = found.iter().next().unwrap();
    assert_eq!((warning.code, warning.severity), (codes::UNSET_ENV, crate::Severity::Warning));
    assert_eq!(warning.message, "Configuration references unset environment variable");
}

#[test]
fn which_variables_gave_nothing_is_known_of_the_value() {
    for (text, gaps) in [
        ("${env:NOPE}", &["environment variable NOPE is not set"][..]),
        ("${env:NOPE}:${env:A}", &["environment variable NOPE is not set"]),
        ("${env:EMPTY}", &["environment variable EMPTY is empty"]),
        ("${env:NOPE:-}", &["environment variable NOPE is not set, and its default is empty"]),
        (
            "${env:NOPE:-${env:NADA}}",
            &[
                "environment variable NOPE is not set, and its default is empty",
                "environment variable NADA is not set",
            ],
        ),
        ("${env:NOPE:-value}", &[]),
        ("${env:A}", &[]),
    ] {
        assert_eq!(expanded(text).0.gaps, gaps, "{text}");
    }
}

#[test]
fn wrong_references_are_told_in_the_collectors_words() {
    assert_eq!(error("${env:$A}"), r#"the uri "env:$A" contains unsupported characters ('$')"#);
    assert_eq!(error("${s3:x}"), r#"unsupported scheme on URI "s3:x""#);
    assert_eq!(error("${NOPE:-x}"), r#"unsupported scheme on URI "NOPE:-x""#);
    assert_eq!(error("${a:x}"), r#"invalid uri: "a:x""#);
    assert_eq!(
        error("${env:1A}"),
        r#"environment variable "1A" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$"#
    );
    assert!(
        error("${file:/nowhere/at/all}").starts_with("unable to read the file file:/nowhere/at/all: open")
    );
}

#[test]
fn yaml_and_file_values_become_structure() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("part.yaml");
    std::fs::write(&path, "endpoint: ${env:A}\nport: 5\n").unwrap();
    let (node, found) = expanded(&format!("${{file:{}}}", path.display()));
    assert!(found.is_empty(), "{found}");
    let endpoint = node.get("endpoint").unwrap();
    assert_eq!(endpoint.as_text(), Some("value"));
    assert_eq!((endpoint.place.line, endpoint.place.source.name()), (1, path.to_str().unwrap()));
    let (node, _) = expanded("${yaml:[1, 2]}");
    assert_eq!(node.as_list().unwrap().len(), 2);
}

#[test]
fn a_file_with_one_scalar_is_data_without_its_last_line_break() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, "p$$w${env:A}\n").unwrap();
    assert_eq!(string(&format!("${{file:{}}}", path.display())), "p$$w${env:A}");
}

#[test]
fn a_file_that_includes_itself_ends_in_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("loop.yaml");
    let reference = format!("${{file:{}}}", path.display());
    std::fs::write(&path, format!("a: {reference}\nb: {reference}\n")).unwrap();
    let (_, found) = expanded(&reference);
    assert!(found.iter().all(|d| d.message == "too many recursive expansions"), "{found}");
    assert!(found.has_errors());
}

#[test]
fn many_or_deep_references_in_one_string_are_refused() {
    assert_eq!(error(&"${A}".repeat(1001)), "too many recursive expansions");
    assert_eq!(error(&"${".repeat(1_000_000)), "too many recursive expansions");
}

proptest::proptest! {
    #[test]
    fn a_string_with_its_dollars_doubled_comes_out_as_it_was(text in "[a-z${}: ]{0,40}") {
        let cut = pieces(&text.replace('$', "$$")).unwrap();
        let out: String = cut.iter().map(|p| match p {
            Piece::Text(t) => t.as_str(),
            Piece::Reference(_) => panic!("{text}"),
        }).collect();
        proptest::prop_assert_eq!(out, text);
    }

    #[test]
    fn an_environment_value_reaches_a_string_unchanged(value in "\\PC{0,40}|[ -~\n]{0,20}") {
        let mut found = Diagnostics::new();
        let mut node = Node::new(Value::Scalar(Scalar::string("${env:X}")), Place::start_of(&Source::new("t", "")));
        let env = |_: &str| Some(OsString::from(&value));
        Expander::new(&env, &mut found).expand(&mut node);
        proptest::prop_assert_eq!(crate::read::read::<String>(&node, "").unwrap(), value);
    }
}
