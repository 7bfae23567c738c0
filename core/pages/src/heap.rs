//! The allocator: mimalloc, told to give freed pages back to the system soon.
//!
//! By itself it keeps them for a second, so what a round of 40 ms has freed counts as resident until the next one
//! (docs/adr/0025).

use std::ffi::{c_int, c_long};

/// How long freed pages are kept, milliseconds: a busy relay uses them again within that.
const KEPT_MS: c_long = 10;
/// mimalloc's number for `purge_delay`.
const PURGE_DELAY: c_int = 15;

#[expect(unsafe_code, reason = "the library is told so by a C function alone: see below")]
mod options {
    // The library must be part of the program.
    use mimalloc as _;

    use super::{c_int, c_long};

    // SAFETY: these are mimalloc's own declarations. Numbers go in and out; nothing is touched but its table of options, and
    // a number that is no option's is refused.
    unsafe extern "C" {
        pub(super) safe fn mi_option_set(option: c_int, value: c_long);
        #[cfg(test)]
        pub(super) safe fn mi_option_get(option: c_int) -> c_long;
    }
}

/// Lets the allocator give freed pages back early. To be called once, at the start; `MIMALLOC_PURGE_DELAY` in the
/// environment wins.
pub fn give_back_early() {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        options::mi_option_set(PURGE_DELAY, KEPT_MS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

    /// A version that counts its options in another way is noticed here.
    #[test]
    fn the_number_is_that_of_the_delay_and_the_delay_is_changed() {
        assert_eq!(options::mi_option_get(PURGE_DELAY), 1000, "mimalloc's own");
        give_back_early();
        assert_eq!(options::mi_option_get(PURGE_DELAY), KEPT_MS);
    }
}
