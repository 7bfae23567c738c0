//! Keeps one receiver, exporter or extension up: starts it, makes it anew when it fell or failed to start.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use streamgauge_component::{ComponentError, Host, State, panic_message};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::backoff::Backoff;

type Make<T> = dyn Fn() -> Result<Arc<T>, ComponentError> + Send + Sync;
type Start<T> = dyn Fn(Arc<T>) -> BoxFuture<'static, Result<(), ComponentError>> + Send + Sync;

/// How an instance is made and started.
pub(crate) struct Recipe<T: ?Sized> {
    pub(crate) make: Box<Make<T>>,
    pub(crate) start: Box<Start<T>>,
}

/// One instance and whoever brings it back.
pub(crate) struct Keeper<T: ?Sized + Send + Sync + 'static> {
    recipe: Recipe<T>,
    host: Host,
    current: watch::Sender<Option<Arc<T>>>,
    fell: Notify,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<T: ?Sized + Send + Sync + 'static> Keeper<T> {
    /// Nothing runs yet; [`Keeper::watch`] works already.
    pub(crate) fn new(recipe: Recipe<T>, host: Host) -> Arc<Self> {
        Arc::new(Keeper {
            recipe,
            host,
            current: watch::Sender::new(None),
            fell: Notify::new(),
            task: Mutex::default(),
        })
    }

    /// Starts an instance that was made already. When that fails, new ones are made until one starts.
    pub(crate) async fn start(self: &Arc<Self>, first: Arc<T>) {
        self.host.report(State::Starting, None);
        let up = self.bring_up(first).await;
        if !up {
            self.fell.notify_one();
        }
        let task = tokio::spawn(self.clone().supervise());
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// The running instance, or `None` while it is down.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Arc<T>>> {
        self.current.subscribe()
    }

    /// Takes the running instance away for its stop. Nothing is made anew from now on.
    pub(crate) fn retire(&self) -> Option<Arc<T>> {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
        self.host.report(State::Stopping, None);
        self.current.send_replace(None)
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
            self.host.report(State::Recoverable, Some(text));
            self.fell.notify_one();
        }
    }

    async fn supervise(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        let _at_once = backoff.next();
        loop {
            self.fell.notified().await;
            loop {
                tokio::time::sleep(backoff.next()).await;
                let made = std::panic::catch_unwind(AssertUnwindSafe(|| (self.recipe.make)()));
                match made {
                    Ok(Ok(fresh)) => {
                        if self.bring_up(fresh).await {
                            break;
                        }
                    }
                    Ok(Err(error)) => self.down(&error.to_string()),
                    Err(panic) => self.down(&format!("panicked: {}", panic_message(&*panic))),
                }
            }
        }
    }

    async fn bring_up(&self, instance: Arc<T>) -> bool {
        let started =
            AssertUnwindSafe(async { (self.recipe.start)(instance.clone()).await }).catch_unwind().await;
        match started {
            Ok(Ok(())) => {
                self.host.report(State::Ok, None);
                self.current.send_replace(Some(instance));
                true
            }
            Ok(Err(error)) => {
                self.down(&error.to_string());
                false
            }
            Err(panic) => {
                self.down(&format!("panicked: {}", panic_message(&*panic)));
                false
            }
        }
    }

    fn down(&self, why: &str) {
        let text = format!("failed to start {:?} {}: {why}", self.host.id(), self.host.kind().as_str());
        tracing::error!("{text}");
        self.host.report(State::Recoverable, Some(text));
    }
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
        };
        let keeper = Keeper::new(recipe, host.clone());
        keeper.start("instance".into()).await;
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
