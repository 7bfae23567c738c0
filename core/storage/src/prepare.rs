//! The segment after the one that is being filled, made ahead by a thread of its own: zeros are written to it, so that
//! later writes change no metadata and a growing log commits as fast as one that uses its files again.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use crate::error::StorageError;
use crate::log::Shared;
use crate::segment::Slot;

/// Bytes written at once.
const CHUNK: usize = 1 << 20;

/// At most one segment is being made. Its bytes count as allocated from the beginning.
#[derive(Default)]
pub(crate) struct Preparer(Option<JoinHandle<()>>);

impl Preparer {
    /// Whether a segment should be made: nothing is there to be used again, and the quota has room for it.
    pub(crate) fn is_wanted(&self, shared: &Shared) -> bool {
        let state = shared.lock();
        let room = state.allocated + shared.segment_bytes <= shared.quota;
        room && state.spares.is_empty() && !state.preparing && !state.closing
    }

    /// Begins to make one. Where that fails the writer finds no spare, and makes one itself.
    pub(crate) fn begin(&mut self, shared: &Arc<Shared>, path: PathBuf) {
        self.join();
        let capacity = shared.segment_bytes;
        {
            let mut state = shared.lock();
            state.preparing = true;
            state.allocated += capacity;
        }
        let theirs = shared.clone();
        let run = move || {
            let made = prepare(&theirs, path, capacity);
            finish(&theirs, capacity, made.ok());
        };
        match std::thread::Builder::new().name("storage-ahead".to_owned()).spawn(run) {
            Ok(thread) => self.0 = Some(thread),
            Err(_) => finish(shared, capacity, None),
        }
    }

    /// Waits for the one that is being made.
    pub(crate) fn join(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join(); // what it came to stands in the state
        }
    }
}

fn finish(shared: &Shared, capacity: u64, made: Option<Slot>) {
    let mut state = shared.lock();
    state.preparing = false;
    match made {
        Some(slot) => state.spares.push(slot),
        None => state.allocated -= capacity,
    }
    drop(state);
    shared.prepared.notify_all();
}

fn prepare(shared: &Shared, path: PathBuf, capacity: u64) -> Result<Slot, StorageError> {
    let disk = &shared.disk;
    let file = disk.open(&path, true)?;
    let written = || {
        disk.allocate(&path, &file, capacity)?;
        let zeros = vec![0; CHUNK];
        let mut at = 0;
        // Whoever waits for it is served sooner without the rest of the zeros.
        while at < capacity && !shared.lock().is_awaited() {
            let len = (capacity - at).min(CHUNK as u64);
            disk.write(&path, &file, &mut [IoSlice::new(&zeros[..len as usize])], at)?;
            at += len;
        }
        disk.sync(&path, &file)?;
        disk.sync_directory(&shared.directory)
    };
    if let Err(error) = written() {
        let _ = std::fs::remove_file(&path); // an empty file would be found and removed at the next start
        return Err(error);
    }
    Ok(Slot { path: path.into(), file: Arc::new(file), capacity })
}

/// Waits until no segment is being made, and hurries the one that is.
pub(crate) fn wait(shared: &Shared) {
    let mut state = shared.lock();
    state.hurry = true;
    while state.preparing {
        state = shared.prepared.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}
