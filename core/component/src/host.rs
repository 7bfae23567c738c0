//! What a running component may ask for.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use streamgauge_pdata::Signal;
use streamgauge_storage::Storage;

use crate::authenticator::Authenticator;
use crate::budget::Budget;
use crate::clock::Clock;
use crate::control::Control;
use crate::counters::{Instrument, InstrumentKind, Node, Registry};
use crate::error::ComponentError;
use crate::extension::Extension;
use crate::queues::StoredQueue;
use crate::random::Random;
use crate::status::{Kind, State, StatusBoard};

/// What a running component may ask for: its id, the time, where to report, what it shares with others. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    kind: Kind,
    id: Arc<str>,
    process: Arc<Process>,
}

/// What all components of a process share.
struct Process {
    clock: Clock,
    random: Random,
    board: Arc<StatusBoard>,
    registry: Arc<Registry>,
    budget: Arc<Budget>,
    extensions: Mutex<HashMap<Arc<str>, Weak<dyn Extension>>>,
    control: OnceLock<Arc<dyn Control>>,
    queues: Mutex<Vec<Weak<dyn StoredQueue>>>,
    shared: Mutex<HashMap<(TypeId, String), Weak<dyn Any + Send + Sync>>>,
}

impl Host {
    /// The host of a process, from which those of the components are made by [`Host::for_component`].
    pub fn new(clock: Clock, board: Arc<StatusBoard>, registry: Arc<Registry>) -> Self {
        let random = if clock.is_simulated() { Random::seeded(1) } else { Random::from_system() };
        let budget = Budget::new(Budget::of_this_process(), &registry);
        let process = Process {
            clock,
            random,
            board,
            registry,
            budget,
            extensions: Mutex::default(),
            control: OnceLock::new(),
            queues: Mutex::default(),
            shared: Mutex::default(),
        };
        Host { kind: Kind::Extension, id: "".into(), process: Arc::new(process) }
    }

    /// A host of its own for a test: system clock, empty board and registry.
    pub fn for_test(kind: Kind, id: &str) -> Self {
        Host::new(Clock::system(), Arc::default(), Arc::default()).for_component(kind, id)
    }

    /// The same process seen by one component.
    #[must_use]
    pub fn for_component(&self, kind: Kind, id: &str) -> Self {
        Host { kind, id: id.into(), process: self.process.clone() }
    }

    /// The component's id, such as `redis/a`.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The component's kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Time.
    pub fn clock(&self) -> &Clock {
        &self.process.clock
    }

    /// Randomness for jitter. On simulated time it is the same in every run.
    pub fn random(&self) -> &Random {
        &self.process.random
    }

    /// The states of all components.
    pub fn board(&self) -> &Arc<StatusBoard> {
        &self.process.board
    }

    /// The numbers of all components.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.process.registry
    }

    /// The memory that data in flight may hold.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.process.budget
    }

    /// Lets the others find this extension under its id, for as long as it lives. The engine does so once it is started.
    pub fn offer(&self, extension: &Arc<dyn Extension>) {
        let mut all = self.process.extensions.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(self.id.clone(), Arc::downgrade(extension));
    }

    /// The authenticator that a running extension offers.
    ///
    /// # Errors
    /// When no running extension has this id, or it is none that authenticates.
    pub fn authenticator(&self, id: &str) -> Result<Arc<dyn Authenticator>, ComponentError> {
        let failed = |why: &str| ComponentError(format!("failed to resolve authenticator {id:?}: {why}"));
        let extension = self.extension(id).ok_or_else(|| {
            failed("authenticator not found: name it under extensions and in service::extensions")
        })?;
        extension.authenticator().ok_or_else(|| failed("requested extension is not an authenticator"))
    }

    /// The storage that a running extension offers. One whose disk is not well yet runs later: ask again.
    ///
    /// # Errors
    /// When no running extension has this id, or it is none that stores.
    pub fn storage(&self, id: &str) -> Result<Storage, ComponentError> {
        let failed = |why: &str| ComponentError(format!("failed to resolve storage {id:?}: {why}"));
        let extension = self.extension(id).ok_or_else(|| {
            failed("storage client extension not found: name it under extensions and in service::extensions")
        })?;
        extension.storage().ok_or_else(|| failed("requested extension is not a storage extension"))
    }

    fn extension(&self, id: &str) -> Option<Arc<dyn Extension>> {
        let all = self.process.extensions.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(id).and_then(Weak::upgrade)
    }

    /// Lets extensions ask the process itself. Once; it must not hold a host.
    pub fn set_control(&self, control: Arc<dyn Control>) {
        let _first = self.process.control.set(control);
    }

    /// The process itself, where it can be asked.
    pub fn control(&self) -> Option<&Arc<dyn Control>> {
        self.process.control.get()
    }

    /// Shows a queue on the disk to whoever asks, for as long as it lives.
    pub fn offer_queue(&self, queue: &Arc<dyn StoredQueue>) {
        let mut queues = self.process.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|known| known.strong_count() > 0);
        queues.push(Arc::downgrade(queue));
    }

    /// The queues on the disk that are open now.
    pub fn stored_queues(&self) -> Vec<Arc<dyn StoredQueue>> {
        let queues = self.process.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.iter().filter_map(Weak::upgrade).collect()
    }

    /// Reports this component's state. A change is logged once, a recovery too.
    pub fn report(&self, state: State, message: Option<String>) {
        let before = self.process.board.state(self.kind, &self.id);
        if !self.process.board.report(self.kind, &self.id, state, message.clone()) {
            return;
        }
        let (kind, id, why) = (self.kind.as_str(), &*self.id, message.unwrap_or_default());
        match state {
            State::Permanent | State::Fatal => tracing::error!(kind, id, state = state.as_str(), "{why}"),
            State::Recoverable => tracing::warn!(kind, id, state = state.as_str(), "{why}"),
            State::Ok if matches!(before, Some(State::Recoverable | State::Permanent)) => {
                tracing::info!(kind, id, state = state.as_str(), "well again");
            }
            _ => tracing::debug!(kind, id, state = state.as_str(), "{why}"),
        }
    }

    /// This component's ledger for a signal (of what all pipelines share).
    pub fn node(&self, signal: Signal) -> Arc<Node> {
        self.process.registry.node("", &self.id, self.kind, signal)
    }

    /// A number of this component's own; `kind` and `id` of the component are added to the attributes.
    pub fn instrument(
        &self,
        kind: InstrumentKind,
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        mut attributes: Vec<(&'static str, String)>,
    ) -> Arc<Instrument> {
        attributes.insert(0, (self.kind.as_str(), self.id.to_string()));
        self.process.registry.instrument(kind, name, unit, help, attributes)
    }

    /// Something that belongs to the process by address, such as a Redis connection: components that ask with the same
    /// type and key get the same one. It lives as long as somebody holds it.
    pub fn shared<T: Any + Send + Sync>(&self, key: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut shared = self.process.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = (TypeId::of::<T>(), key.to_owned());
        if let Some(found) = shared.get(&slot).and_then(Weak::upgrade)
            && let Ok(found) = found.downcast::<T>()
        {
            return found;
        }
        let made = Arc::new(make());
        let any: Arc<dyn Any + Send + Sync> = made.clone();
        shared.retain(|_, weak| weak.strong_count() > 0);
        shared.insert(slot, Arc::downgrade(&any));
        made
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Host({} {})", self.kind.as_str(), self.id)
    }
}
