//! `lease`: of several collectors that watch the same servers, the one that holds a key does.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::{Host, Instrument, InstrumentKind};
use streamgauge_redis::{Deployment, Lease, Owner, View};
use tokio::time::Instant;

/// `lease`: of several collectors that watch the same servers, the one that holds this key does; the others wait.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaseConfig {
    /// The key. It is the only one that is ever written: the user needs `+set +get` and the right to this key.
    pub key: String,
    /// How long a collector that is gone keeps it; at least three times `collection_interval`.
    #[serde(default = "half_a_minute", with = "humantime_serde")]
    #[schemars(with = "String")]
    pub duration: Duration,
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

impl LeaseConfig {
    /// What is wrong with it, by path below the section.
    pub(crate) fn problem(&self, interval: Duration) -> Option<(String, String)> {
        if self.key.is_empty() {
            return Some(("lease::key".to_owned(), "must not be empty".to_owned()));
        }
        let least = interval * 3;
        (self.duration < least).then(|| {
            let message = format!(
                "must be at least three times collection_interval ({}): else it is lost between two rounds",
                humantime_serde::re::humantime::format_duration(least)
            );
            ("lease::duration".to_owned(), message)
        })
    }
}

/// How long giving it back may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The part that one receiver has in the process' lease.
pub(crate) struct Share {
    lease: Arc<Lease>,
    held: Arc<Instrument>,
    host: Host,
    watched: Option<bool>,
    /// Where the key was.
    place: Arc<View>,
}

impl Share {
    /// All receivers of the process that name the same key of the same deployment have the same lease.
    pub(crate) fn new(settings: &LeaseConfig, deployment: &Arc<Deployment>, host: &Host) -> Share {
        let LeaseConfig { key, duration } = settings;
        let owner = host.shared("lease", Owner::new);
        let place = format!("{:p} {key}", Arc::as_ptr(deployment));
        let lease = host.shared(&place, || Lease::new(key, owner, *duration));
        let (name, about) =
            ("streamgauge.redis.lease.held", "1 while this collector is the one that watches, else 0.");
        let held = host.instrument(InstrumentKind::Gauge, name, "", about, vec![("key", key.clone())]);
        Share { lease, held, host: host.clone(), watched: None, place: Arc::default() }
    }

    /// Whether to watch in this round, and what is wrong with finding out.
    pub(crate) async fn holds(
        &mut self,
        view: &Arc<View>,
        db: u32,
        deadline: Instant,
    ) -> (bool, Option<String>) {
        self.place = view.clone();
        let (watches, problem) = self.lease.holds(view, db, deadline).await;
        self.held.value.set(watches.into());
        if self.watched.replace(watches) != Some(watches) {
            let id = &**self.host.id();
            let what =
                if watches { "this collector watches" } else { "another collector watches, this one waits" };
            tracing::info!(id, "{what}");
        }
        (watches, problem)
    }

    /// Gives it back when no other receiver of the process needs it.
    pub(crate) async fn leave(self, db: u32) {
        if let Some(lease) = Arc::into_inner(self.lease) {
            lease.release(&self.place, db, Instant::now() + PATIENCE).await;
        }
    }
}
