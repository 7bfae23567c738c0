//! The command line as a user or a script meets it: what goes where, and the exit code.

#![allow(clippy::unwrap_used)] // an integration test: nothing but a test calls its helpers

use std::process::{Command, Output};

fn streamgauge(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_streamgauge")).args(args).env("PASSWORD", "hunter2").output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const RIGHT: &str = "yaml:{receivers: {otlp: {protocols: {grpc: }}}, \
                     exporters: {otlp_grpc: {endpoint: 'localhost:4317', headers: {x-team: '${env:PASSWORD}'}}}, \
                     service: {pipelines: {metrics: {receivers: [otlp], exporters: [otlp_grpc]}}}}";
const BROKEN: &str = "yaml:{receivers: {otlp: {protocols: {grpc: }}}, \
                      exporters: {otlp_grpc: {endpoint: 'localhost:4317', timeuot: 5s}}, \
                      service: {pipelines: {metrics: {receivers: [otlp], exporters: [otlp_grp]}}}}";

#[test]
fn a_wrong_flag_ends_with_2() {
    assert_eq!(streamgauge(&["validate", "--nope"]).status.code(), Some(2));
    assert_eq!(streamgauge(&["nope"]).status.code(), Some(2));
}

#[test]
fn validate_says_nothing_when_all_is_well() {
    let output = streamgauge(&["validate", "--config", RIGHT]);
    assert_eq!((output.status.code(), out(&output), err(&output)), (Some(0), String::new(), String::new()));
}

#[test]
fn validate_shows_every_error_with_its_line_and_ends_with_3() {
    let output = streamgauge(&["validate", "--config", BROKEN]);
    assert_eq!((output.status.code(), out(&output)), (Some(3), String::new()));
    let text = err(&output);
    for part in [
        "SG0301",
        "has invalid keys: timeuot",
        "did you mean `timeout`?",
        "^^^",
        "SG0503",
        "did you mean `otlp_grpc`?",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn a_setting_without_effect_is_named_with_the_reason_and_the_file_is_right() {
    let written = RIGHT
        .replace("endpoint: 'localhost:4317'", "endpoint: 'localhost:4317', write_buffer_size: 1024")
        .replace("{grpc: }", "{grpc: {read_buffer_size: 1024, npipe: {security_descriptor: D}}}");
    let output = streamgauge(&["validate", "--config", &written]);
    let text = err(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "SG0603",
        "exporters::otlp_grpc::write_buffer_size has no effect here: the HTTP/2 stack sizes its buffers itself",
        "receivers::otlp::protocols::grpc::read_buffer_size has no effect here",
        "receivers::otlp::protocols::grpc::npipe has no effect here: there are no named pipes here",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn run_refuses_a_broken_configuration_in_the_same_words() {
    let (run, validate) =
        (streamgauge(&["--config", BROKEN]), streamgauge(&["validate", "--config", BROKEN]));
    assert_eq!(run.status.code(), Some(3));
    assert_eq!(err(&run), err(&validate));
    assert_eq!(err(&streamgauge(&["run", "--config", BROKEN])), err(&validate));
}

#[test]
fn validate_without_a_configuration_says_what_to_give() {
    let output = streamgauge(&["validate"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(err(&output).contains("at least one config flag must be provided"));
}

#[test]
fn validate_as_json_is_an_array_with_places() {
    let output = streamgauge(&["validate", "--json", "--config", BROKEN]);
    assert_eq!(output.status.code(), Some(3));
    let found: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!((&found[0]["code"], &found[0]["line"]), (&"SG0503".into(), &1.into()));
    let well = streamgauge(&["validate", "--json", "--config", RIGHT]);
    assert_eq!((well.status.code(), out(&well).trim()), (Some(0), "[]"));
}

#[test]
fn components_are_listed_for_people_and_for_machines() {
    let table = out(&streamgauge(&["components"]));
    assert!(table.starts_with("KIND") && table.lines().any(|l| l.starts_with("receiver   otlp ")), "{table}");
    let json: serde_json::Value =
        serde_json::from_str(&out(&streamgauge(&["components", "--json"]))).unwrap();
    assert_eq!(json.as_array().unwrap().len(), table.lines().count() - 1);
    let yaml = out(&streamgauge(&["components", "--format", "yaml"]));
    assert!(yaml.contains("buildinfo:") && yaml.contains("- name: otlp"), "{yaml}");
}

#[test]
fn a_printed_configuration_shows_no_secret_unless_asked() {
    let redacted = streamgauge(&["print-config", "--config", RIGHT]);
    let text = out(&redacted);
    assert_eq!(redacted.status.code(), Some(0), "{}", err(&redacted));
    assert!(text.contains("[REDACTED]") && !text.contains("hunter2"), "{text}");
    assert!(text.contains("sending_queue"), "defaults are filled in:\n{text}");
    let open =
        out(&streamgauge(&["print-config", "--config", RIGHT, "--mode", "unredacted", "--format", "json"]));
    let open: serde_json::Value = serde_json::from_str(&open).unwrap();
    assert_eq!(open["exporters"]["otlp_grpc"]["headers"]["x-team"], "hunter2");
}

#[test]
fn secrets_in_urls_are_neither_printed_nor_quoted_by_an_error() {
    let url = "http://u:hunter2@h:1/push?tenant=a&token=hunter2";
    let args = ["print-config", "--validate=false", "--config", RIGHT, "--set"];
    let set = format!("exporters.otlp_grpc.endpoint='{url}'");
    let telemetry = format!(
        "service.telemetry.metrics.readers=[{{periodic: {{exporter: {{otlp: {{endpoint: '{url}', \
         headers: [{{name: x-team, value: hunter2}}]}}}}}}}}]"
    );
    let text = out(&streamgauge(&[&args[..], &[&set, "--set", &telemetry]].concat()));
    let shown = "http://u:[REDACTED]@h:1/push?tenant=a&token=[REDACTED]";
    assert!(text.matches(shown).count() == 2 && !text.contains("hunter2"), "{text}");

    let wrong =
        ["validate", "--config", RIGHT, "--set", "exporters.otlp_grpc.compression=http://u:hunter2@h"];
    for more in [&[][..], &["--json"]] {
        let output = streamgauge(&[&wrong[..], more].concat());
        let text = out(&output) + &err(&output);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains("u:[REDACTED]@h") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn what_is_missing_because_of_the_environment_names_the_variable() {
    let yaml = "yaml:{receivers: {redis: {endpoint: '${env:UNSET_A}'}}, exporters: {prometheus_remote_write: \
                {endpoint: '${env:UNSET_B}'}, otlp_http: {endpoint: '${env:UNSET_C}'}}, service: {pipelines: \
                {metrics: {receivers: [redis], exporters: [prometheus_remote_write, otlp_http]}}}}";
    let output = streamgauge(&["validate", "--config", yaml]);
    let text = err(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for (message, note) in [
        ("redis::endpoint: must be given", "note: environment variable UNSET_A is not set"),
        ("requires a non-empty \"endpoint\"", "note: environment variable UNSET_B is not set"),
        ("at least one endpoint must be", "note: `endpoint`: environment variable UNSET_C is not set"),
    ] {
        let error = text.split("\n\n").find(|error| error.contains(message));
        assert!(error.is_some_and(|error| error.contains(note)), "{message}: {text}");
    }
}

#[test]
fn a_printed_configuration_is_one_that_loads_to_the_same() {
    let first = out(&streamgauge(&["print-config", "--config", RIGHT]));
    let second = out(&streamgauge(&["print-config", "--config", &format!("yaml:{first}")]));
    assert!(first.contains("receivers:"), "{first}");
    assert_eq!(first, second);
}

#[test]
fn a_wrong_configuration_is_printed_only_when_not_validated() {
    assert_eq!(streamgauge(&["print-config", "--config", BROKEN]).status.code(), Some(3));
    let output = streamgauge(&[
        "print-config",
        "--config",
        BROKEN,
        "--validate=false",
        "--set",
        "exporters.otlp_grpc.headers.x-team=hunter2",
    ]);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(0));
    assert!(text.contains("timeuot: 5s") && !text.contains("hunter2"), "{text}");
}

#[test]
fn every_configuration_that_ships_is_right() {
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/configs")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        let output = streamgauge(&["validate", "--config", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    }
}
