//! Waiting for a state: look again until it is there or the deadline has passed.

use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(20);

/// Calls `look` every 20 ms until it gives a value, and panics with `what` after `within`.
///
/// Blocks the thread: for plain tests, and for async ones whose other tasks run on other threads.
#[track_caller]
pub fn poll_until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        std::thread::sleep(STEP);
    }
}

/// [`poll_until`] for async tests: yields to the runtime between looks. Real time, so not for paused clocks.
pub async fn poll_until_async<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        tokio::time::sleep(STEP).await;
    }
}
