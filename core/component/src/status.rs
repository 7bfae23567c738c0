//! Who is well and who is not: the Collector's component states.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// The kinds of components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Takes data in.
    Receiver,
    /// Changes or watches data on the way.
    Processor,
    /// Ends some pipelines and begins others.
    Connector,
    /// Sends data out.
    Exporter,
    /// Serves the collector itself.
    Extension,
}

impl Kind {
    /// The name as it stands in configuration errors and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Receiver => "receiver",
            Kind::Processor => "processor",
            Kind::Connector => "connector",
            Kind::Exporter => "exporter",
            Kind::Extension => "extension",
        }
    }
}

/// The Collector's component states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Being started.
    Starting,
    /// Well.
    Ok,
    /// Not well, expected to recover by itself.
    Recoverable,
    /// Not well until the configuration or the outside changes.
    Permanent,
    /// The collector cannot go on.
    Fatal,
    /// Being stopped.
    Stopping,
    /// Stopped.
    Stopped,
}

impl State {
    /// The Collector's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Starting => "StatusStarting",
            State::Ok => "StatusOK",
            State::Recoverable => "StatusRecoverableError",
            State::Permanent => "StatusPermanentError",
            State::Fatal => "StatusFatalError",
            State::Stopping => "StatusStopping",
            State::Stopped => "StatusStopped",
        }
    }
}

/// How one component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentStatus {
    /// Its kind.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: State,
    /// Why, when it is not well.
    pub message: Option<String>,
    /// Since when it has been in this state.
    pub since: SystemTime,
}

/// How the last reload of the configuration went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastReload {
    /// When.
    pub at: SystemTime,
    /// Why the configuration before it runs on; nothing when the new one runs.
    pub error: Option<String>,
}

/// The states of all components, and whether the pipelines are ready. One for a process.
#[derive(Debug, Default)]
pub struct StatusBoard {
    inner: Mutex<Board>,
}

#[derive(Debug, Default)]
struct Board {
    ready_since: Option<SystemTime>,
    last_reload: Option<LastReload>,
    components: BTreeMap<(Kind, String), ComponentStatus>,
}

impl StatusBoard {
    /// Puts a component into a state. `true` when the state or its message changed.
    pub fn report(&self, kind: Kind, id: &str, state: State, message: Option<String>) -> bool {
        let mut board = self.lock();
        let key = (kind, id.to_owned());
        if let Some(old) = board.components.get_mut(&key)
            && old.state == state
        {
            let changed = old.message != message;
            old.message = message;
            return changed;
        }
        let status = ComponentStatus { kind, id: id.to_owned(), state, message, since: SystemTime::now() };
        board.components.insert(key, status);
        true
    }

    /// The state of one component, once it has reported.
    pub fn state(&self, kind: Kind, id: &str) -> Option<State> {
        self.lock().components.get(&(kind, id.to_owned())).map(|status| status.state)
    }

    /// Forgets a component that is gone.
    pub fn remove(&self, kind: Kind, id: &str) {
        self.lock().components.remove(&(kind, id.to_owned()));
    }

    /// Tells how a reload went.
    pub fn set_reload(&self, last: LastReload) {
        self.lock().last_reload = Some(last);
    }

    /// How the last reload went, once there was one.
    pub fn last_reload(&self) -> Option<LastReload> {
        self.lock().last_reload.clone()
    }

    /// Says whether the pipelines are ready.
    pub fn set_ready(&self, ready: bool) {
        let mut board = self.lock();
        board.ready_since = if ready { board.ready_since.or_else(|| Some(SystemTime::now())) } else { None };
    }

    /// Whether the pipelines are ready.
    pub fn ready(&self) -> bool {
        self.ready_since().is_some()
    }

    /// Since when the pipelines are ready.
    pub fn ready_since(&self) -> Option<SystemTime> {
        self.lock().ready_since
    }

    /// All components, by kind and id.
    pub fn components(&self) -> Vec<ComponentStatus> {
        self.lock().components.values().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Board> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
