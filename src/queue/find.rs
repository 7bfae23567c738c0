//! Which queues there are: those in the storages of a configuration, or in one directory.

use std::path::PathBuf;

use streamgauge_component::Signal;
use streamgauge_component::storage::snapshot;
use streamgauge_extensions::file_storage;

use super::PlaceArgs;
use super::api::Api;
use crate::cli::Failure;
use crate::configuration::{self, Configuration};
use crate::run::built_in;

/// Logs that are sending queues have names that begin so.
const QUEUES: &str = "exporter/";

/// Where queues may be.
pub(super) struct Places {
    pub(super) configuration: Option<Configuration>,
    directories: Vec<PathBuf>,
    pub(super) api: Option<Api>,
}

/// A queue on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queue {
    /// Of the storage.
    pub(super) directory: PathBuf,
    /// The exporter's id.
    pub(super) exporter: String,
    pub(super) signal: Signal,
}

impl Queue {
    /// Its name for people: `otlp_http/eu/logs`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.exporter, self.signal.name())
    }

    /// The name of its log.
    pub(super) fn log(&self) -> String {
        format!("{QUEUES}{}", self.name())
    }
}

impl Places {
    pub(super) fn of(args: &PlaceArgs) -> Result<Places, Failure> {
        if let Some(directory) = &args.directory {
            return Ok(Places { configuration: None, directories: vec![directory.clone()], api: None });
        }
        let loaded = configuration::load(&args.config, Some(&built_in()));
        let configuration = loaded.map_err(|found| configuration::failure(&found))?;
        let mut directories = Vec::new();
        for storage in configuration.config.extensions.iter().filter(|e| e.type_name == "file_storage") {
            let section: file_storage::Config =
                storage.section.read().map_err(|found| configuration::failure(&found))?;
            if !directories.contains(&section.directory) {
                directories.push(section.directory);
            }
        }
        let api = Api::of(&configuration.config);
        Ok(Places { configuration: Some(configuration), directories, api })
    }

    /// Every queue, and the directories that are not there.
    pub(super) fn queues(&self) -> Result<(Vec<Queue>, Vec<PathBuf>), Failure> {
        if self.directories.is_empty() {
            return Err(Failure::runtime(
                "no file_storage is configured: name the collector's files with --config, or a storage with --directory",
            ));
        }
        let (mut queues, mut missing) = (Vec::new(), Vec::new());
        for directory in &self.directories {
            if !directory.is_dir() {
                missing.push(directory.clone());
                continue;
            }
            let logs = snapshot::logs(directory).map_err(Failure::runtime)?;
            queues.extend(logs.iter().filter_map(|log| {
                let (exporter, signal) = log.strip_prefix(QUEUES)?.rsplit_once('/')?;
                let signal = Signal::ALL.into_iter().find(|known| known.name() == signal)?;
                Some(Queue { directory: directory.clone(), exporter: exporter.to_owned(), signal })
            }));
        }
        Ok((queues, missing))
    }

    /// The queue that a person means by this: its name, or the exporter's id where that has one queue only.
    pub(super) fn queue(&self, name: &str) -> Result<Queue, Failure> {
        let (queues, missing) = self.queues()?;
        let meant = name.strip_prefix(QUEUES).unwrap_or(name);
        let named: Vec<&Queue> = queues.iter().filter(|queue| queue.name() == meant).collect();
        let of_exporter: Vec<&Queue> = queues.iter().filter(|queue| queue.exporter == meant).collect();
        let found = if named.is_empty() { of_exporter } else { named };
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            [] => {
                let names: Vec<String> = queues.iter().map(Queue::name).collect();
                let there = match (names.as_slice(), missing.as_slice()) {
                    ([], [missing, ..]) => format!("{} does not exist", missing.display()),
                    ([], []) => "there is none at all".to_owned(),
                    _ => format!("there are {}", names.join(", ")),
                };
                Err(Failure::runtime(format!("no queue {name:?}: {there}")))
            }
            several => {
                let all = several.iter().map(|q| format!("{} in {}", q.name(), q.directory.display()));
                let all = all.collect::<Vec<_>>().join(", ");
                let text = format!("{name:?} may be {all}: give the whole name, and --directory");
                Err(Failure::runtime(text))
            }
        }
    }
}
