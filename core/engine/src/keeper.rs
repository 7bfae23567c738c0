//! Keeps one receiver, exporter or extension up: starts it, makes it anew when it fell or failed to start.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use streamgauge_component::{ComponentError, Host, State, panic_message};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::backoff::Backoff;
use crate::supervisor::Supervisor;

type Make<T> = dyn Fn() -> Result<Arc<T>, ComponentError> + Send + Sync;
type Start<T> = dyn Fn(Arc<T>) -> BoxFuture<'static, Result<(), ComponentError>> + Send + Sync;
type Stop<T> = fn(Arc<T>) -> BoxFuture<'static, ()>;

/// How an instance is made, started and stopped.
pub(crate) struct Recipe<T: ?Sized> {
    pub(crate) make: Box<Make<T>>,
    pub(crate) start: Box<Start<T>>,
    pub(crate) stop: Stop<T>,
}

/// An instance that was made and may become the one that runs.
pub(crate) struct Fresh<T: ?Sized> {
    pub(crate) recipe: Arc<Recipe<T>>,
    pub(crate) instance: Arc<T>,
}

/// Whoever brings one id's instance back, also when a reload changes what it is made of.
pub(crate) struct Keeper<T: ?Sized + Send + Sync + 'static> {
    /// Held while the running instance changes, so that only the present recipe's can become it; `None` once retired.
    recipe: Mutex<Option<Arc<Recipe<T>>>>,
    host: Host,
    supervisor: Arc<Supervisor>,
    current: watch::Sender<Option<Arc<T>>>,
    fell: Notify,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<T: ?Sized> Fresh<T> {
    /// Makes one.
    pub(crate) fn make(recipe: Recipe<T>, host: &Host) -> Result<Self, ComponentError> {
        let instance = (recipe.make)().map_err(|error| not_made(host, &error))?;
        Ok(Fresh { recipe: Arc::new(recipe), instance })
    }

    /// Starts it. A panic is a failure like any other.
    pub(crate) async fn start(&self) -> Result<(), String> {
        start(&self.recipe, &self.instance).await
    }
}

async fn start<T: ?Sized>(recipe: &Recipe<T>, instance: &Arc<T>) -> Result<(), String> {
    let starting = AssertUnwindSafe(async { (recipe.start)(instance.clone()).await });
    match starting.catch_unwind().await {
        Ok(started) => started.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("panicked: {}", panic_message(&*panic))),
    }
}

/// The Collector's words for a component that cannot be made of its configuration.
pub(crate) fn not_made(host: &Host, error: &ComponentError) -> ComponentError {
    ComponentError(format!("failed to create {:?} {}: {error}", &**host.id(), host.kind().as_str()))
}

/// The Collector's words for a component that does not start.
pub(crate) fn not_started(host: &Host, why: &str) -> String {
    format!("failed to start {:?} {}: {why}", &**host.id(), host.kind().as_str())
}

impl<T: ?Sized + Send + Sync + 'static> Keeper<T> {
    /// Nothing runs yet; [`Keeper::watch`] works already.
    pub(crate) fn new(recipe: Arc<Recipe<T>>, host: Host, supervisor: Arc<Supervisor>) -> Arc<Self> {
        Arc::new(Keeper {
            recipe: Mutex::new(Some(recipe)),
            host,
            supervisor,
            current: watch::Sender::new(None),
            fell: Notify::new(),
            task: Mutex::default(),
        })
    }

    /// Starts an instance that was made already. When that fails, new ones are made until one starts.
    pub(crate) async fn start(self: &Arc<Self>, first: Fresh<T>) {
        self.host.report(State::Starting, None);
        if !self.bring_up(&first.recipe, first.instance).await {
            self.fell.notify_one();
        }
        self.keep();
    }

    /// From now on this instance, which is started, is the one that runs, and its recipe that by which it is made anew.
    /// Gives the one that ran before.
    pub(crate) fn turn(self: &Arc<Self>, to: Fresh<T>) -> Option<Fresh<T>> {
        let mut recipe = lock(&self.recipe);
        let before = self.current.send_replace(Some(to.instance));
        let old = recipe.replace(to.recipe);
        drop(recipe);
        self.keep();
        self.host.report(State::Ok, None);
        Some(Fresh { recipe: old?, instance: before? })
    }

    /// The running instance, or `None` while it is down.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Arc<T>>> {
        self.current.subscribe()
    }

    /// Takes the running instance away for its stop. Nothing is made anew from now on.
    pub(crate) fn retire(&self) -> Option<Fresh<T>> {
        let mut recipe = lock(&self.recipe);
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
        self.host.report(State::Stopping, None);
        let last = self.current.send_replace(None);
        Some(Fresh { recipe: recipe.take()?, instance: last? })
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// The instance panicked: it is gone, a fresh one comes.
    pub(crate) fn panicked(&self, message: &str) {
        let text = format!("panicked: {message}");
        tracing::error!(kind = self.host.kind().as_str(), id = %self.host.id(), "{text}");
        // Several calls may have been under way in it; the first to panic took it down.
        if self.current.send_replace(None).is_some() {
            self.supervisor.fell(&self.host, text);
            self.fell.notify_one();
        }
    }

    /// Begins to look after the instance anew: a fall before, or a start under way, is no matter any more.
    fn keep(self: &Arc<Self>) {
        let task = tokio::spawn(self.clone().supervise());
        if let Some(before) = lock(&self.task).replace(task) {
            before.abort();
        }
    }

    async fn supervise(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        let _at_once = backoff.next();
        loop {
            self.fell.notified().await;
            while self.current.borrow().is_none() {
                tokio::time::sleep(backoff.next()).await;
                let Some(recipe) = lock(&self.recipe).clone() else { return };
                let made = std::panic::catch_unwind(AssertUnwindSafe(|| (recipe.make)()));
                match made {
                    Ok(Ok(fresh)) => {
                        self.bring_up(&recipe, fresh).await;
                    }
                    Ok(Err(error)) => self.down(&error.to_string()),
                    Err(panic) => self.down(&format!("panicked: {}", panic_message(&*panic))),
                }
            }
        }
    }

    async fn bring_up(&self, recipe: &Arc<Recipe<T>>, instance: Arc<T>) -> bool {
        if let Err(why) = start(recipe, &instance).await {
            self.down(&why);
            return false;
        }
        {
            let present = lock(&self.recipe);
            if present.as_ref().is_some_and(|present| Arc::ptr_eq(present, recipe)) {
                self.host.report(State::Ok, None);
                self.current.send_replace(Some(instance));
                return true;
            }
        }
        (recipe.stop)(instance).await; // a reload or a stop was faster
        true
    }

    fn down(&self, why: &str) {
        let text = not_started(&self.host, why);
        tracing::error!("{text}");
        self.host.report(State::Recoverable, Some(text));
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use streamgauge_component::Kind;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_fails_to_start_is_made_anew_until_it_does() {
        let host = Host::for_test(Kind::Receiver, "otlp");
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = tries.clone();
        let recipe = Recipe::<str> {
            make: Box::new(|| Ok("instance".into())),
            start: Box::new(move |_| {
                let n = counted.fetch_add(1, Ordering::SeqCst);
                Box::pin(async move { if n < 3 { Err("listen tcp: in use".into()) } else { Ok(()) } })
            }),
            stop: |_| Box::pin(async {}),
        };
        let first = Fresh::make(recipe, &host).unwrap();
        let keeper = Keeper::new(first.recipe.clone(), host.clone(), Arc::default());
        keeper.start(first).await;
        assert!(keeper.watch().borrow().is_none());
        let status = &host.board().components()[0];
        assert_eq!(status.state, State::Recoverable);
        assert_eq!(status.message.as_deref(), Some("failed to start \"otlp\" receiver: listen tcp: in use"));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(keeper.watch().borrow().is_some());
        assert_eq!(tries.load(Ordering::SeqCst), 4);
        keeper.panicked("boom");
        assert!(keeper.watch().borrow().is_none());
        keeper.watch().wait_for(Option::is_some).await.unwrap();
        assert!(keeper.retire().is_some());
    }
}
