//! What is not well now, told in one state.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use streamgauge_component::{Host, State};

/// Everything that is not well, by what it is about.
#[derive(Debug)]
pub(super) struct Troubles {
    host: Host,
    known: Mutex<BTreeMap<String, String>>,
}

impl Troubles {
    pub fn new(host: &Host) -> Self {
        Troubles { host: host.clone(), known: Mutex::default() }
    }

    /// Something is not well.
    pub fn tell(&self, about: &str, message: impl Into<String>) {
        let message = message.into();
        self.change(|known| known.insert(about.to_owned(), message.clone()).as_ref() != Some(&message));
    }

    /// It is well again.
    pub fn clear(&self, about: &str) {
        self.change(|known| known.remove(about).is_some());
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, String>) -> bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !change(&mut known) {
            return;
        }
        let text: Vec<_> = known.iter().map(|(about, message)| format!("{about}: {message}")).collect();
        // Told under the lock, so that the last one told is the last one true.
        match text.is_empty() {
            true => self.host.report(State::Ok, None),
            false => self.host.report(State::Recoverable, Some(text.join("; "))),
        }
    }
}
