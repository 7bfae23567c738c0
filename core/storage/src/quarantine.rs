//! What was damaged is set aside as it was found, for people to look at.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::StorageError;
use crate::segment::Slot;
use crate::storage::create_directory;
use crate::walk::CHUNK;

/// Bytes that one quarantine keeps. What comes when it is full is counted and said in the log, not kept.
const LIMIT: u64 = 256 << 20;

/// Copies a range of a segment's file.
pub(crate) fn copy(log: &Path, slot: &Slot, at: u64, len: u64) -> Result<(), StorageError> {
    let directory = directory(log)?;
    let name = slot.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let path = free(&directory, &format!("{name}-{at}"));
    if held(&directory) + len > LIMIT {
        tracing::warn!(quarantine = %directory.display(), len, "the quarantine is full: damaged bytes are not kept");
        return Ok(());
    }
    let failed = |error: std::io::Error| StorageError::from_io("set damaged bytes aside", &path, &error);
    let mut to = std::fs::File::create_new(&path).map_err(failed)?;
    let (mut at, end) = (at, at + len);
    while at < end {
        let mut chunk = vec![0; (end - at).min(CHUNK) as usize];
        let read = disk::read(&slot.path, &slot.file, &mut chunk, at)?;
        if read == 0 {
            break;
        }
        to.write_all(chunk.get(..read).unwrap_or_default()).map_err(failed)?;
        at += read as u64;
    }
    to.sync_all().map_err(failed)
}

/// Moves a whole file away.
pub(crate) fn take(parent: &Path, file: &Path) -> Result<(), StorageError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let to = free(&directory(parent)?, &name);
    std::fs::rename(file, &to).map_err(|error| StorageError::from_io("set it aside", file, &error))
}

fn directory(parent: &Path) -> Result<PathBuf, StorageError> {
    let path = parent.join("quarantine");
    create_directory(&path)?;
    Ok(path)
}

/// A path that nothing has yet.
fn free(directory: &Path, name: &str) -> PathBuf {
    let numbered = |n: u32| if n == 0 { name.to_owned() } else { format!("{name}.{n}") };
    (0..).map(|n| directory.join(numbered(n))).find(|path| !path.exists()).unwrap_or_default()
}

fn held(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|about| about.len()).sum()
}
