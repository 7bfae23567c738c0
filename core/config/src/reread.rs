//! What is made of files, made anew when they change.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How often files are looked at when nothing else is said.
pub const REREAD_EVERY: Duration = Duration::from_secs(1);

/// A value made of files. They are looked at when it is asked for, and not more often than its interval; a new value that
/// cannot be made leaves the old one in use.
pub struct Reread<T> {
    files: Vec<PathBuf>,
    every: Duration,
    make: Box<dyn Fn() -> Result<T, String> + Send + Sync>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    stamps: Vec<Stamp>,
    looked: Instant,
}

/// What changes with a file's content: time, size, and the file itself, since links are turned (Kubernetes); `None` while
/// there is no file.
type Stamp = Option<(SystemTime, u64, u64)>;

impl<T> Reread<T> {
    /// Makes the first value. Without files it is the only one.
    ///
    /// # Errors
    /// What `make` says.
    pub fn new(
        files: impl IntoIterator<Item = PathBuf>,
        every: Duration,
        make: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let files: Vec<PathBuf> = files.into_iter().collect();
        // Before they are read: a change in between is seen later.
        let stamps = stamps(&files);
        let state = State { value: Arc::new(make()?), stamps, looked: Instant::now() };
        Ok(Reread { files, every, make: Box::new(make), state: Mutex::new(state) })
    }

    /// The value of the files as they are now.
    pub fn get(&self) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.files.is_empty() || state.looked.elapsed() < self.every {
            return state.value.clone();
        }
        state.looked = Instant::now();
        let stamps = stamps(&self.files);
        if stamps != state.stamps {
            state.stamps = stamps;
            match (self.make)() {
                Ok(value) => {
                    tracing::info!(files = ?self.files, "files changed and were read again");
                    state.value = Arc::new(value);
                }
                Err(error) => {
                    tracing::warn!(files = ?self.files, %error, "files changed and cannot be used: the old content stays in use");
                }
            }
        }
        state.value.clone()
    }
}

impl<T> std::fmt::Debug for Reread<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reread({:?})", self.files)
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let found = std::fs::metadata(file).ok()?;
        Some((found.modified().ok()?, found.len(), found.ino()))
    };
    files.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_changes_nothing() {
        let file = std::env::temp_dir().join(format!("streamgauge-reread-{}", std::process::id()));
        std::fs::write(&file, "1").unwrap();
        let read = file.clone();
        let number = move || {
            let text = std::fs::read_to_string(&read).map_err(|error| error.to_string())?;
            text.parse::<u32>().map_err(|error| error.to_string())
        };
        let value = Reread::new([file.clone()], Duration::ZERO, number).unwrap();
        assert_eq!(*value.get(), 1);
        std::fs::write(&file, "22").unwrap();
        assert_eq!(*value.get(), 22);
        std::fs::write(&file, "no number").unwrap();
        assert_eq!(*value.get(), 22);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(*value.get(), 22);
        std::fs::write(&file, "333").unwrap();
        assert_eq!(*value.get(), 333);
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn within_its_interval_files_are_not_looked_at() {
        let made = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let count = made.clone();
        let make = move || Ok(count.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
        let file = std::env::temp_dir().join(format!("streamgauge-reread-late-{}", std::process::id()));
        let value = Reread::new([file.clone()], Duration::from_secs(3600), make).unwrap();
        std::fs::write(&file, "new").unwrap();
        assert_eq!(*value.get(), 0);
        std::fs::remove_file(&file).unwrap();
    }
}
