//! What a sentinel publishes. A message only says that the view is old; what is true then is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::RedisError;
use redis::aio::PubSub;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::connect::{login, socket};
use crate::endpoint::{Address, Target};
use crate::monitor::{Monitor, wait_after};

/// Channels of a sentinel: events after which the nodes or their roles are others.
pub const SENTINEL_CHANNELS: [&str; 9] = [
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

/// How long a refusal is believed, in case somebody grants the right.
const BELIEVED: Duration = Duration::from_secs(600);

/// A subscription to one sentinel, made again whenever it ends; it is gone with the value.
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

/// Why nobody listens.
enum Deaf {
    /// The user may not subscribe: there is nothing but polling.
    Refused,
    /// Anything else.
    Failed,
}

impl Events {
    /// Subscribes, and again with back-off when that fails or ends. What is published meanwhile nobody hears: each time
    /// is a reason to look.
    pub(super) fn of(sentinel: Arc<Monitor>, suspect: Arc<AtomicBool>) -> Events {
        let address = sentinel.target().address.clone();
        let task = tokio::spawn(async move {
            let mut failures: u32 = 0;
            loop {
                match timeout(PATIENCE, subscribe(&sentinel)).await {
                    Ok(Err(Deaf::Refused)) => {
                        sleep(BELIEVED).await;
                        continue;
                    }
                    Ok(Ok(events)) => {
                        listen(events, &suspect).await;
                        failures = 0;
                    }
                    Ok(Err(Deaf::Failed)) | Err(_) => failures = failures.saturating_add(1),
                }
                suspect.store(true, Ordering::Relaxed);
                sleep(wait_after(failures)).await;
            }
        });
        Events { task, address }
    }
}

/// Marks the view as old whenever something comes, until nothing comes any more.
async fn listen(events: PubSub, suspect: &AtomicBool) {
    let mut messages = events.into_on_message();
    // Also at the start: what happened before was published to nobody.
    let mut settled = false;
    loop {
        suspect.store(true, Ordering::Relaxed);
        settled = match settled {
            true => match messages.next().await {
                Some(_) => false,
                None => return,
            },
            false => match timeout(SETTLES, messages.next()).await {
                Ok(Some(_)) => false,
                Ok(None) => return,
                Err(_) => true,
            },
        };
    }
}

async fn subscribe(sentinel: &Monitor) -> Result<PubSub, Deaf> {
    let target: &Target = sentinel.target();
    let failed = |error: RedisError| match error.code() {
        Some("NOPERM") => Deaf::Refused,
        _ => Deaf::Failed,
    };
    let socket = socket(target, sentinel.tls()).await.map_err(|_| Deaf::Failed)?;
    let login = login(target).await.map_err(|_| Deaf::Failed)?;
    let mut events = PubSub::new(&login, socket).await.map_err(failed)?;
    events.subscribe(&SENTINEL_CHANNELS[..]).await.map_err(failed)?;
    Ok(events)
}
