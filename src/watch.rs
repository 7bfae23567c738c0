//! Whether the configuration's files have changed.
//!
//! They are looked at each second, through links: an editor's rename and a ConfigMap, whose directory is exchanged, are
//! seen like any other change, and so are file systems that tell nobody.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);

/// What a file is told by: device, inode, length, time of the last change in nanoseconds.
type Look = Option<(u64, u64, u64, i128)>;

/// The files among the sources of a configuration.
pub(crate) struct Watch {
    files: Vec<PathBuf>,
    seen: Vec<Look>,
}

impl Watch {
    /// Of locations as `--config` takes them, as they are now.
    pub(crate) fn new(locations: &[String]) -> Self {
        let files = locations.iter().filter_map(|location| match location.split_once(':') {
            Some(("file", path)) => Some(path.into()),
            Some(("yaml" | "env", _)) => None,
            _ => Some(location.into()),
        });
        let mut watch = Watch { files: files.collect(), seen: Vec::new() };
        watch.seen = watch.look();
        watch
    }

    /// Returns when a file has changed and is at rest again. One that is missing is being replaced.
    pub(crate) async fn changed(&mut self) {
        let mut before = self.seen.clone();
        loop {
            tokio::time::sleep(EVERY).await;
            let now = self.look();
            let at_rest = now == before && now.iter().all(Option::is_some);
            if at_rest && now != self.seen {
                self.seen = now;
                return;
            }
            before = now;
        }
    }

    /// What is there now is known.
    pub(crate) fn mark(&mut self) {
        self.seen = self.look();
    }

    fn look(&self) -> Vec<Look> {
        let look = |file: &PathBuf| {
            let at = std::fs::metadata(file).ok()?;
            let changed = i128::from(at.mtime()) * 1_000_000_000 + i128::from(at.mtime_nsec());
            Some((at.dev(), at.ino(), at.len(), changed))
        };
        self.files.iter().map(look).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_seen_through_the_links_of_a_configmap_and_once() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for (version, text) in [("v1", "a: 1"), ("v2", "a: 2")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("config.yaml"), text).unwrap();
        }
        symlink("v1", at("..data")).unwrap();
        symlink("..data/config.yaml", at("config.yaml")).unwrap();
        let location = at("config.yaml").display().to_string();
        let mut watch = Watch::new(&[location, "yaml:a: 1".into(), "env:NOTHING".into()]);
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, watch.changed()).await.is_err(), "nothing has changed");
        symlink("v2", at("..next")).unwrap();
        fs::rename(at("..next"), at("..data")).unwrap();
        timeout(hour, watch.changed()).await.unwrap();
        assert!(timeout(hour, watch.changed()).await.is_err(), "it was told already");
        fs::remove_file(at("config.yaml")).unwrap();
        assert!(timeout(hour, watch.changed()).await.is_err(), "a missing file is being replaced");
        fs::write(at("config.yaml"), "a: 3").unwrap();
        timeout(hour, watch.changed()).await.unwrap();
    }
}
