//! Gives back the pages of the program's file (its code and its constants) that are mapped; and freed memory soon (`heap`).
//!
//! The kernel maps a file in runs of sixteen pages around each one that is touched, and leaves them mapped: what only the
//! start of the program needs counts as resident for as long as it runs. After a release the program maps again what it
//! uses, from the page cache; what it does not use is no memory of its own any more.

mod heap;
mod maps;

use std::io;

pub use heap::give_back_early;
use maps::Mapping;

/// Gives back the pages of code and constants. Nothing is lost by it: a page that is touched again is the file's. Returns
/// the bytes that were resident in them.
///
/// # Errors
/// `/proc` cannot be read, or the kernel refuses.
pub fn release() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps")?;
    let mut released = 0;
    for mapping in maps::of_the_file_at(&text, release as *const () as usize) {
        forget(&mapping)?;
        released += mapping.resident;
    }
    Ok(released)
}

#[expect(
    unsafe_code,
    reason = "madvise has no safe form, since it can throw away what was written: see below"
)]
fn forget(mapping: &Mapping) -> io::Result<()> {
    let at = mapping.start as *mut libc::c_void;
    // SAFETY: MADV_DONTNEED throws away what this process has changed in the pages; here it has changed nothing. The mapping
    // is of a file, private, cannot be written, and the kernel counts no page of it, in memory or swapped out, that is not
    // the file's own. So each page is the same when it is mapped again, and no reference into it sees a difference. It is
    // still the mapping that was read: the program's own code and constants are never unmapped or made writable.
    match unsafe { libc::madvise(at, mapping.end - mapping.start, libc::MADV_DONTNEED) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the program's code that are resident.
    fn code() -> u64 {
        let text = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        let own = code as *const () as usize;
        maps::read(&text).find(|m| m.holds(own)).map_or(0, |m| m.resident)
    }

    #[test]
    fn what_was_used_once_is_given_back_and_everything_still_works() {
        /// Constants with addresses in them, which the loader has written.
        static RELOCATED: [&str; 3] = ["a", "bc", "def"];
        let lines: Vec<String> = (0..100).map(|n| format!("{n:?} {:e}", f64::from(n))).collect();
        let before = code();
        let released = release().unwrap_or_else(|error| panic!("{error}"));
        assert!(released >= before && before > 0, "{released} of {before} bytes");
        assert!(code() < before, "{} of {before} bytes are still there", code());
        assert_eq!((lines.len(), RELOCATED.concat()), (100, "abcdef".to_owned()));
        assert!(release().is_ok());
    }
}
