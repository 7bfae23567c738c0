//! A file as a dead letter: OTLP/JSON, a line a request.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use streamgauge_component::{Edge, Host, Kind, Signal, edge_name};
use streamgauge_pdata::json;

use super::{Burial, DeadLetter, Letter};

/// Appends to a file until its quota is used up. What it has said to hold is on disk, and is never overwritten.
///
/// A line is an OTLP/JSON request whose resources say when, where and why. A request that JSON cannot carry, because
/// something in it cannot be read, is a line `{"deadLetter": {..., "request": "<base64>"}}`.
#[derive(Debug)]
pub struct DeadLetterFile {
    file: Arc<Shared>,
    max_bytes: u64,
    edge: Arc<Edge>,
}

/// How often the file is opened anew when it is taken away in that moment.
const TRIES: usize = 3;

/// One for a path: exporters and signals may write to the same file.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    open: Mutex<Option<File>>,
}

impl DeadLetterFile {
    /// For one exporter (the host's component) and signal. The file is opened, and made, when it is first needed.
    pub fn new(path: &str, max_bytes: u64, signal: Signal, host: &Host) -> Self {
        let make = || Shared { path: path.into(), open: Mutex::default() };
        let edge =
            host.registry().edge("", &edge_name(Kind::Exporter, host.id()), "dead_letter/file", signal);
        DeadLetterFile { file: host.shared(path, make), max_bytes, edge }
    }
}

#[async_trait]
impl DeadLetter for DeadLetterFile {
    async fn bury(&self, letter: &Letter) -> Burial {
        let (file, max_bytes, copy) = (self.file.clone(), self.max_bytes, letter.clone());
        let write = move || file.append(&lines(&copy), max_bytes);
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => {
                self.edge.items.add(letter.items() as u64);
                self.edge.bytes.add(letter.bytes() as u64);
                self.edge.batches.add(1);
                Burial::Held
            }
            Ok(Err(why)) => Burial::Refused(format!("{}: {why}", self.file.path.display())),
            Err(failed) => Burial::Refused(failed.to_string()),
        }
    }
}

impl Shared {
    /// All or nothing, and on disk when it returns.
    fn append(&self, lines: &[u8], max_bytes: u64) -> Result<(), String> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let said = |error: std::io::Error| error.to_string();
        let fresh = std::iter::repeat_with(|| opened(&self.path).map(Some)).take(TRIES);
        let found = std::iter::once(Ok(open.take())).chain(fresh).find_map(|file| match file {
            Ok(file) => file.filter(|file| self.is_ours(file)).map(Ok),
            Err(error) => Some(Err(error)),
        });
        let mut file = found.ok_or("somebody else has it in work")?.map_err(said)?;
        let size = file.metadata().map_err(said)?.len();
        if size + lines.len() as u64 > max_bytes {
            return Err(format!("the quota of {max_bytes} bytes is used up"));
        }
        let written = file.write_all(lines).and_then(|()| file.sync_data());
        if written.is_err() {
            let _ = file.set_len(size); // no half of a line
        } else {
            let _ = file.unlock();
            *open = Some(file);
        }
        written.map_err(said)
    }

    /// Takes the file's lock, if the file is still the one of this name. Somebody may have taken it away to work on it: who
    /// does so holds the lock (`streamgauge queue replay`), or works on a copy.
    fn is_ours(&self, file: &File) -> bool {
        if matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            return false;
        }
        let same = |a: Metadata, b: Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        let there = std::fs::metadata(&self.path).and_then(|there| Ok(same(there, file.metadata()?)));
        there.unwrap_or(false)
    }
}

/// Opens for appending. A line that a crash has cut short is ended.
fn opened(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).read(true);
    options.mode(0o600); // it holds users' data
    let mut file = options.open(path)?;
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

fn lines(letter: &Letter) -> Vec<u8> {
    let mut lines = Vec::new();
    for (part, _) in &letter.parts {
        match json::write(letter.signal, &letter.stamped(part)) {
            Ok(written) if written.broken == 0 => lines.extend_from_slice(&written.json),
            _ => lines.extend_from_slice(raw(letter, part).to_string().as_bytes()),
        }
        lines.push(b'\n');
    }
    lines
}

fn raw(letter: &Letter, part: &Bytes) -> serde_json::Value {
    let since = letter.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    serde_json::json!({"deadLetter": {
        "exporter": &*letter.exporter,
        "signal": letter.signal.name(),
        "reason": letter.reason.as_str(),
        "detail": &*letter.detail,
        "timeUnixNano": since.as_nanos().to_string(),
        "request": BASE64_STANDARD.encode(part),
    }})
}
