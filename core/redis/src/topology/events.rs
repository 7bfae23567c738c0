//! What a sentinel publishes. A message only says that the view is old; what is true then is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::PubSub;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::connect::{login, refused, socket};
use crate::endpoint::{Address, Target};
use crate::error::Unreachable;
use crate::monitor::Monitor;

/// Events after which the nodes or their roles are others.
const CHANNELS: [&str; 9] = [
    "+switch-master",
    "+slave",
    "+sentinel",
    "+sdown",
    "-sdown",
    "+odown",
    "-odown",
    "+reboot",
    "+role-change",
];
/// How long subscribing may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A subscription to one sentinel; it ends with the value.
pub(super) struct Events {
    task: JoinHandle<()>,
    /// The sentinel.
    pub(super) address: Address,
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Events {
    /// Subscribes. Without the right to do so there is nothing but polling, and a dead connection is a reason to look.
    pub(super) fn of(sentinel: Arc<Monitor>, suspect: Arc<AtomicBool>) -> Events {
        let address = sentinel.target().address.clone();
        let task = tokio::spawn(async move {
            if let Ok(Ok(events)) = timeout(PATIENCE, subscribe(&sentinel)).await {
                let mut messages = events.into_on_message();
                while messages.next().await.is_some() {
                    suspect.store(true, Ordering::Relaxed);
                }
                suspect.store(true, Ordering::Relaxed);
            }
        });
        Events { task, address }
    }

    /// Whether nothing comes any more.
    pub(super) fn ended(&self) -> bool {
        self.task.is_finished()
    }
}

async fn subscribe(sentinel: &Monitor) -> Result<PubSub, Unreachable> {
    let target: &Target = sentinel.target();
    let failed = |error| refused(target, &error);
    let socket = socket(target, sentinel.tls()).await?;
    let mut events = PubSub::new(&login(target).await?, socket).await.map_err(failed)?;
    events.subscribe(&CHANNELS[..]).await.map_err(failed)?;
    Ok(events)
}
