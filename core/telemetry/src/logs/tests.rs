use std::path::Path;

use serde_json::Value;
use tracing::subscriber::with_default;

use super::{Logs, LogsConfig};
use crate::config::{Encoding, LogLevel};

fn config(file: &Path, encoding: Encoding) -> LogsConfig {
    let initial_fields = [("node".to_owned(), Value::from("n 1"))].into_iter().collect();
    LogsConfig {
        encoding,
        output_paths: vec![file.display().to_string()],
        initial_fields,
        ..LogsConfig::default()
    }
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_console_line_is_time_level_message_and_fields() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    let (_logs, subscriber) = Logs::build(&config(&file, Encoding::Console)).unwrap();
    with_default(subscriber, || {
        tracing::warn!(items = 3, why = "too full", id = "redis/a", "Queue is full");
        tracing::info!(id = "debug", "Metrics: 2\na 1\nb 2\n");
    });
    let got = lines(&file);
    assert!(got[1].ends_with(r#"INFO  Metrics: 2 node="n 1" id=debug"#), "{}", got[1]);
    assert_eq!(got[2..], ["a 1", "b 2"], "further lines follow as they are");
    let (time, rest) = got[0].split_once(' ').unwrap();
    assert!(time.parse::<jiff::Timestamp>().is_ok() && time.ends_with('Z'), "{time}");
    assert_eq!(rest, r#"WARN  Queue is full node="n 1" items=3 why="too full" id=redis/a"#);
}

#[test]
fn a_json_line_is_one_object_with_the_collectors_keys() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    let (_logs, subscriber) = Logs::build(&config(&file, Encoding::Json)).unwrap();
    with_default(subscriber, || tracing::error!(items = 3_u64, ok = false, "two\nlines \"quoted\""));
    let got = lines(&file);
    assert_eq!(got.len(), 1);
    let line: Value = serde_json::from_str(&got[0]).unwrap();
    let expected = serde_json::json!({"level": "error", "ts": line["ts"], "msg": "two\nlines \"quoted\"",
        "node": "n 1", "items": 3, "ok": false});
    assert_eq!(line, expected);
    assert!(line["ts"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
}

#[test]
fn the_level_changes_while_the_log_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    let (logs, subscriber) = Logs::build(&config(&file, Encoding::Console)).unwrap();
    with_default(subscriber, || {
        let speak = || {
            tracing::debug!("quiet");
            tracing::info!(target: "hyper", "a library");
            tracing::info!("loud");
        };
        speak();
        assert_eq!(lines(&file).len(), 1);
        logs.set_level(LogLevel::Debug).unwrap();
        speak();
        assert_eq!(lines(&file).len(), 3, "debug is written now, the library's line is not");
        logs.set_level(LogLevel::Error).unwrap();
        speak();
        assert_eq!(lines(&file).len(), 3);
    });
}

#[test]
fn a_new_configuration_moves_the_log_and_a_bad_one_leaves_it() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("a"), dir.path().join("b"));
    let (logs, subscriber) = Logs::build(&config(&first, Encoding::Console)).unwrap();
    with_default(subscriber, || {
        tracing::info!("one");
        let error = logs.apply(&config(&dir.path().join("none/x"), Encoding::Console)).unwrap_err();
        assert!(error.to_string().contains("cannot open"), "{error}");
        tracing::info!("two");
        logs.apply(&config(&second, Encoding::Json)).unwrap();
        tracing::info!("three");
    });
    assert_eq!((lines(&first).len(), lines(&second).len()), (2, 1));
}
