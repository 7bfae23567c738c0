//! `file_storage`: one directory for what must outlive the process: sending queues on disk, and small state.
//!
//! - [`config`]: the section, with the Collector's keys.
//!
//! The work is done by `core/storage`; this is the extension that locks the directory when it starts, offers it to the
//! others, and lets it go when it stops. A directory that cannot be had now is asked for again: meanwhile those who
//! store in it are degraded, nobody else is.

mod config;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use streamgauge_component::{
    ComponentError, ConfigType, Create, Description, Extension, ExtensionFactory, Host, Stability,
};
use streamgauge_storage::Storage;
use tokio::sync::OnceCell;

pub use config::{Compaction, Config};

/// Registers the extension.
pub static FACTORY: ExtensionFactory = ExtensionFactory {
    description: Description {
        name: "file_storage",
        aliases: &[],
        summary: "A directory for sending queues that survive a restart, and for small state.",
        signals: &[],
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<Config>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Extension>, ComponentError> {
    Ok(Arc::new(FileStorage { config: create.config()?, open: Mutex::default() }))
}

/// A directory of this process. Whoever names it shares it: an instance and the one that replaces it at a reload.
type Shared = OnceCell<Storage>;

struct FileStorage {
    config: Arc<Config>,
    open: Mutex<Option<Open>>,
}

struct Open {
    storage: Storage,
    _shared: Arc<Shared>,
}

impl FileStorage {
    fn open(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Extension for FileStorage {
    async fn start(&self, host: Host) -> Result<(), ComponentError> {
        let settings = self.config.settings();
        let id = &**host.id();
        if !settings.fsync {
            tracing::warn!(id, "fsync is off: a power cut may lose what was acknowledged (a kill does not)");
        }
        if self.config.compaction.is_asked_for() {
            tracing::info!(
                id,
                "compaction has no effect: the files are used again and never grow above the quota"
            );
        }
        let shared: Arc<Shared> = host.shared(&settings.directory.to_string_lossy(), OnceCell::new);
        let first = shared.get_or_try_init(|| Storage::open(settings.clone())).await;
        let storage = first.map_err(ComponentError::new)?.with(settings);
        *self.open() = Some(Open { storage, _shared: shared });
        Ok(())
    }

    async fn shutdown(&self) {
        // The lock goes with the last log that is open; queues were closed before.
        self.open().take();
    }

    fn storage(&self) -> Option<Storage> {
        self.open().as_ref().map(|open| open.storage.clone())
    }
}

#[cfg(test)]
mod tests;
