//! Streams that are read by one connection: those of one group, in a cluster those of one slot.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::sleep;

use super::job::{Job, Phase};
use super::keeper::Keeper;
use super::ordered::Ordered;
use super::reader::Reader;
use super::shard::Shard;
use super::stream::Stream;

/// The streams of a lane, as they are now.
pub(super) type Streams = Arc<[Arc<Stream>]>;

/// What a lane's streams have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Common {
    pub slot: Option<u16>,
    pub group: String,
    /// The one stream of a lane in order.
    pub stream: Option<Vec<u8>>,
}

impl Common {
    /// For people.
    fn about(&self) -> String {
        match (&self.stream, self.slot) {
            (Some(stream), _) => format!("group {} of {}", self.group, String::from_utf8_lossy(stream)),
            (None, Some(slot)) => format!("group {} in slot {slot}", self.group),
            (None, None) => format!("group {}", self.group),
        }
    }
}

/// Reads and keeps the streams of a lane until the receiver ends. One that falls is made anew: what it had in hand is pending
/// and is read again.
pub(super) async fn run(job: Arc<Job>, common: Common, streams: watch::Receiver<Streams>) {
    let about = common.about();
    loop {
        let Some(first) = streams.borrow().first().cloned() else { return };
        let (tell, events) = unbounded_channel();
        let shard = common.stream.is_some().then(|| Shard::new(&job, &first));
        let keeper = Keeper::new(
            &job,
            streams.clone(),
            (tell.clone(), events),
            (&first.name, &about, common.slot.is_some()),
            shard.clone(),
        );
        let _lease = shard.clone().map(|shard| Ends(tokio::spawn(shard.keep())));
        let mut reader = Ends(match &shard {
            Some(shard) => tokio::spawn(Ordered::new(&job, &first, shard, tell, &about).run()),
            None => {
                let reader = Reader::new(&job, streams.clone(), tell, keeper.alone(), &first.name, &about);
                tokio::spawn(reader.run())
            }
        });
        let mut keeper = Ends(tokio::spawn(keeper.run()));
        let fell = tokio::select! {
            // The keeper ends after the reader, when everything is settled.
            ended = &mut keeper.0 => ended,
            fell = fall(&mut reader.0) => Err(fell),
        };
        match fell {
            Ok(()) => return,
            Err(error) => {
                job.counters.error("lane", "panic");
                tracing::error!(receiver = %job.host.id(), "{about} is begun anew: {error}");
            }
        }
        drop((reader, keeper));
        if job.phase() != Phase::Running {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Waits for a task to fall, for ever if it ends well.
async fn fall(task: &mut JoinHandle<()>) -> JoinError {
    match task.await {
        Err(error) => error,
        Ok(()) => std::future::pending().await,
    }
}

/// A task that ends with the value.
struct Ends(JoinHandle<()>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}
