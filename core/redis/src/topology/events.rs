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

/// A message may come before what it tells is true everywhere: so long after the last one the view is asked for once more.
const SETTLES: Duration = Duration::from_secs(1);

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
            let Ok(Ok(events)) = timeout(PATIENCE, subscribe(&sentinel)).await else { return };
            let mut messages = events.into_on_message();
            // Also at the start: what happened before was published to nobody.
            let mut settled = false;
            loop {
                suspect.store(true, Ordering::Relaxed);
                settled = match settled {
                    true => match messages.next().await {
                        Some(_) => false,
                        None => break,
                    },
                    false => match timeout(SETTLES, messages.next()).await {
                        Ok(Some(_)) => false,
                        Ok(None) => break,
                        Err(_) => true,
                    },
                };
            }
            suspect.store(true, Ordering::Relaxed);
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
