//! The section `file_storage`, with the Collector's keys.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;
use streamgauge_storage::Settings;

/// Settings of `file_storage`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where everything is stored: on a local disk, and used by one collector only.
    pub directory: PathBuf,
    /// Whether to make the directory when it is missing.
    pub create_directory: bool,
    /// How long to wait for a directory that another process uses before the extension counts as failed; it is started
    /// again later. `0s` waits for ever.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Whether what is acknowledged has reached the disk. Without it a power cut may lose data, a kill does not.
    pub fsync: bool,
    /// Bytes of disk that each queue may take, unless the queue says otherwise. At least 64 KiB.
    pub quota: u64,
    /// Taken from Collector files and without effect: files are used again, and never grow above the quota.
    pub compaction: Compaction,
}

/// Taken from Collector files and without effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Compaction {
    /// Without effect.
    pub on_start: bool,
    /// Without effect.
    pub on_rebound: bool,
    /// Without effect.
    pub directory: Option<PathBuf>,
    /// Without effect.
    pub rebound_needed_threshold_mib: i64,
    /// Without effect.
    pub rebound_trigger_threshold_mib: i64,
    /// Without effect.
    pub max_transaction_size: i64,
    /// Without effect.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub check_interval: Duration,
    /// Without effect.
    pub cleanup_on_start: bool,
}

impl Compaction {
    /// Whether somebody expects it to do something.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.on_start || self.on_rebound || self.cleanup_on_start
    }
}

impl Default for Config {
    fn default() -> Self {
        let defaults = Settings::new("/var/lib/otelcol/file_storage");
        Config {
            directory: defaults.directory,
            create_directory: defaults.create_directory,
            timeout: defaults.timeout,
            fsync: defaults.fsync,
            quota: defaults.quota,
            compaction: Compaction::default(),
        }
    }
}

impl Default for Compaction {
    fn default() -> Self {
        Compaction {
            on_start: false,
            on_rebound: false,
            directory: None,
            rebound_needed_threshold_mib: 100,
            rebound_trigger_threshold_mib: 10,
            max_transaction_size: 65536,
            check_interval: Duration::from_secs(5),
            cleanup_on_start: false,
        }
    }
}

impl Config {
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            create_directory: self.create_directory,
            timeout: self.timeout,
            fsync: self.fsync,
            quota: self.quota,
            ..Settings::new(&self.directory)
        }
    }
}

impl ComponentConfig for Config {
    fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut problem = |key: &str, text: &str| problems.push((key.to_owned(), text.to_owned()));
        if self.directory.as_os_str().is_empty() {
            problem("directory", "`directory` must be given");
        }
        if self.quota < 64 << 10 {
            problem("quota", "`quota` must be at least 65536 bytes");
        }
        if self.compaction.max_transaction_size < 0 {
            let text = "max transaction size for compaction cannot be less than 0";
            problem("compaction::max_transaction_size", text);
        }
        if self.compaction.on_rebound && self.compaction.check_interval.is_zero() {
            let text = "compaction check interval must be positive when rebound compaction is set";
            problem("compaction::check_interval", text);
        }
        problems
    }
}
