//! Dead letter files: OTLP/JSON, a line a request.
//!
//! To work on one it is moved aside (`FILE.replaying`), and the collector begins another. A line that was acknowledged is
//! overwritten with spaces at once, so that a crash repeats one request at most; in the end what is left goes back to the
//! file.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use streamgauge_component::Signal;
use streamgauge_pdata::Body;
use streamgauge_pdata::edit::edit_resources;
use streamgauge_pdata::json as otlp_json;

use crate::cli::Failure;

/// Resource attributes that a dead letter adds.
const STAMPS: &str = "streamgauge.dead_letter.";

/// One request of a file.
pub(super) struct Letter {
    pub(super) signal: Signal,
    /// OTLP protobuf, without what the dead letter added.
    pub(super) request: Bytes,
    pub(super) items: usize,
    /// The exporter that it was meant for.
    pub(super) exporter: Option<String>,
}

/// A request as a line, without its end. What JSON cannot carry goes as base64.
pub(super) fn line(signal: Signal, request: &[u8], exporter: &str) -> Vec<u8> {
    match otlp_json::write(signal, request) {
        Ok(written) if written.broken == 0 => written.json,
        _ => {
            let request = BASE64_STANDARD.encode(request);
            let raw =
                json!({"deadLetter": {"exporter": exporter, "signal": signal.name(), "request": request}});
            raw.to_string().into_bytes()
        }
    }
}

impl Letter {
    /// The other way round.
    fn read(line: &[u8]) -> Result<Letter, String> {
        let keys: BTreeMap<String, IgnoredAny> =
            serde_json::from_slice(line).map_err(|error| format!("no JSON: {error}"))?;
        let has = |names: [&str; 2]| names.iter().any(|name| keys.contains_key(*name));
        let signal = match () {
            () if keys.contains_key("deadLetter") => return Letter::raw(line),
            () if has(["resourceLogs", "resource_logs"]) => Signal::Logs,
            () if has(["resourceMetrics", "resource_metrics"]) => Signal::Metrics,
            () if has(["resourceSpans", "resource_spans"]) => Signal::Traces,
            () => return Err("it is no OTLP/JSON request".to_owned()),
        };
        let request = otlp_json::read(signal, line).map_err(|error| error.to_string())?;
        let mut exporter = None;
        let mut request = Body::from(request);
        let edited = edit_resources(signal, &mut request, |resource| {
            if let Ok(Some(value)) = resource.get(&format!("{STAMPS}exporter")) {
                exporter = value.as_str().map(str::to_owned);
            }
            resource.remove_where(|key| key.starts_with(STAMPS));
        });
        edited.map_err(|error| error.to_string())?;
        let request = Bytes::from(request);
        let items = streamgauge_pdata::count(signal, &request);
        Ok(Letter { signal, request, items, exporter })
    }

    fn raw(line: &[u8]) -> Result<Letter, String> {
        let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let text = |key: &str| value["deadLetter"][key].as_str().unwrap_or_default();
        let signal = Signal::ALL.into_iter().find(|signal| signal.name() == text("signal"));
        let signal = signal.ok_or("its signal is unknown")?;
        let request: Bytes =
            BASE64_STANDARD.decode(text("request")).map_err(|error| error.to_string())?.into();
        let items = streamgauge_pdata::count(signal, &request);
        Ok(Letter { signal, request, items, exporter: Some(text("exporter").to_owned()) })
    }
}

/// A dead letter file in work.
pub(super) struct LetterFile {
    path: PathBuf,
    moved: PathBuf,
    lines: BufReader<File>,
    file: File,
    at: u64,
}

/// A line, and what it is.
pub(super) type Entry = (Line, Result<Letter, String>);

/// Where a line is.
#[derive(Clone, Copy)]
pub(super) struct Line {
    at: u64,
    len: usize,
}

impl LetterFile {
    /// Takes a file in work, and what a replay that was cut short has left of it.
    pub(super) fn open(path: &Path) -> Result<LetterFile, Failure> {
        let mut name = path.as_os_str().to_owned();
        name.push(".replaying");
        let moved = PathBuf::from(name);
        if moved.exists() {
            let _lock = locked(&moved)?;
            put_back(&moved, path)?;
        }
        std::fs::rename(path, &moved).map_err(|error| failed(path, &error))?;
        let file = locked(&moved)?;
        let lines = BufReader::new(File::open(&moved).map_err(|error| failed(&moved, &error))?);
        Ok(LetterFile { path: path.to_owned(), moved, lines, file, at: 0 })
    }

    /// Bytes of it, and how far it is read.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.at, self.file.metadata().map_or(0, |about| about.len()))
    }

    /// The next line that is not empty, and what it is.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, Failure> {
        let mut text = Vec::new();
        loop {
            text.clear();
            let read =
                self.lines.read_until(b'\n', &mut text).map_err(|error| failed(&self.moved, &error))?;
            if read == 0 {
                return Ok(None);
            }
            let line = Line { at: self.at, len: text.trim_ascii_end().len() };
            self.at += read as u64;
            if !text.trim_ascii().is_empty() {
                return Ok(Some((line, Letter::read(text.trim_ascii()))));
            }
        }
    }

    /// A line is done with.
    pub(super) fn remove(&self, line: Line) -> Result<(), Failure> {
        let blank = vec![b' '; line.len];
        self.file.write_all_at(&blank, line.at).map_err(|error| failed(&self.moved, &error))
    }

    /// What is left goes back to where it was.
    pub(super) fn finish(self) -> Result<(), Failure> {
        put_back(&self.moved, &self.path)
    }
}

/// Opened, and nobody else works on it. A collector that is just writing to it holds it for a moment; after that it writes
/// to another.
fn locked(path: &Path) -> Result<File, Failure> {
    let file = File::options().read(true).write(true).open(path).map_err(|error| failed(path, &error))?;
    let until = Instant::now() + Duration::from_secs(1);
    while let Err(error) = file.try_lock() {
        match error {
            TryLockError::WouldBlock if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10))
            }
            TryLockError::WouldBlock => {
                return Err(Failure::runtime(format!("{}: another replay works on it", path.display())));
            }
            TryLockError::Error(error) => return Err(failed(path, &error)),
        }
    }
    Ok(file)
}

/// Appends the lines that are left of `moved` to `path`, durably, then removes `moved`. Its lock is held.
fn put_back(moved: &Path, path: &Path) -> Result<(), Failure> {
    let read = File::open(moved).map_err(|error| failed(moved, &error))?;
    let mut lines = BufReader::new(read);
    let (mut to, mut text) = (None::<File>, Vec::new());
    while lines.read_until(b'\n', &mut text).map_err(|error| failed(moved, &error))? > 0 {
        let line = text.trim_ascii();
        if !line.is_empty() {
            let to = match &mut to {
                Some(to) => to,
                None => to.insert(append(path)?),
            };
            to.write_all(&[line, b"\n"].concat()).map_err(|error| failed(path, &error))?;
        }
        text.clear();
    }
    if let Some(to) = &to {
        to.sync_data().map_err(|error| failed(path, &error))?;
    }
    std::fs::remove_file(moved).map_err(|error| failed(moved, &error))
}

fn append(path: &Path) -> Result<File, Failure> {
    let opened = File::options().create(true).append(true).mode(0o600).open(path);
    opened.map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::runtime(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"resourceLogs":[{"resource":{"attributes":[
        {"key":"service.name","value":{"stringValue":"a"}},
        {"key":"streamgauge.dead_letter.exporter","value":{"stringValue":"otlp_http/x"}},
        {"key":"streamgauge.dead_letter.time_unix_nano","value":{"intValue":"1"}}]},
        "scopeLogs":[{"logRecords":[{"body":{"stringValue":"one"}},{"body":{"stringValue":"two"}}]}]}]}"#;

    fn one_line() -> String {
        LOG.replace('\n', "")
    }

    #[test]
    fn a_letter_is_what_it_was_before_it_was_stamped() {
        let letter = Letter::read(one_line().as_bytes()).unwrap();
        assert_eq!((letter.signal, letter.items), (Signal::Logs, 2));
        assert_eq!(letter.exporter.as_deref(), Some("otlp_http/x"));
        let text = String::from_utf8(line(Signal::Logs, &letter.request, "")).unwrap();
        assert!(text.contains("service.name") && !text.contains("dead_letter"), "{text}");
    }

    #[test]
    fn what_json_cannot_carry_goes_as_it_is() {
        let broken = b"\x0a\x05\x12\x03\x12\x01\xff";
        let letter = Letter::read(&line(Signal::Logs, broken, "x")).unwrap();
        assert_eq!((&letter.request[..], letter.exporter.as_deref()), (&broken[..], Some("x")));
        assert!(Letter::read(b"{\"other\": 1}").is_err() && Letter::read(b"{").is_err());
    }

    #[test]
    fn lines_that_are_done_are_gone_and_the_others_are_where_they_were_also_after_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dead.jsonl");
        let text = |n: &str| one_line().replace("\"one\"", &format!("\"{n}\""));
        std::fs::write(&path, format!("{}\n\n{}\n{}\n", text("a"), text("b"), text("c"))).unwrap();
        let mut file = LetterFile::open(&path).unwrap();
        assert!(!path.exists(), "the collector begins another");
        let (first, _) = file.next().unwrap().unwrap();
        file.remove(first).unwrap();
        drop(file);
        std::fs::write(&path, format!("{}\n", text("d"))).unwrap();

        let mut file = LetterFile::open(&path).unwrap();
        assert!(LetterFile::open(&path).is_err(), "one at a time");
        let mut seen = Vec::new();
        while let Some((at, letter)) = file.next().unwrap() {
            seen.push(String::from_utf8(line(Signal::Logs, &letter.unwrap().request, "")).unwrap());
            file.remove(at).unwrap();
        }
        let has = |n: &str| seen.iter().any(|line| line.contains(&format!("\"{n}\"")));
        assert!(seen.len() == 3 && has("b") && has("c") && has("d"), "{seen:?}");
        file.finish().unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
