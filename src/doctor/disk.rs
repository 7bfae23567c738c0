//! The directories of queues and dead letters: there, writable, with room for what they may grow to.

use std::io;
use std::path::{Path, PathBuf};

use streamgauge_component::DeliverySettings;
use streamgauge_config::{Component, Config, Diagnostics};
use streamgauge_exporters::otlp_grpc::OtlpGrpcConfig;
use streamgauge_exporters::otlp_http::OtlpHttpConfig;
use streamgauge_exporters::prometheus_remote_write::RemoteWriteConfig;
use streamgauge_exporters::redis_stream::RedisStreamConfig;
use streamgauge_extensions::file_storage;
use tokio::time::timeout;

use super::Limits;
use super::finding::{Chart, Finding};
use super::peers::in_use;
use super::progress::Examination;
use crate::human;

/// Below this a queue cannot even begin a file.
const LEAST: u64 = 1 << 20;
/// Files that are looked at to know what is used already.
const FILES: usize = 10_000;

/// A directory that the collector writes to.
struct Place {
    /// The component's id.
    component: String,
    directory: PathBuf,
    /// The collector makes it when it is missing.
    is_made: bool,
    /// What may be written there, in bytes.
    quota: u64,
    /// The file that grows, when it is not the whole directory.
    file: Option<PathBuf>,
}

/// One examination for each storage of the service, and for each dead letter file of an exporter in use.
pub(super) fn examinations(config: &Config, limits: Limits) -> Result<Vec<Examination>, Diagnostics> {
    let mut places = Vec::new();
    let exporters: Vec<_> = in_use(config)
        .map(|exporter| Ok(delivery(exporter)?.map(|delivery| (exporter, delivery))))
        .collect::<Result<Vec<_>, Diagnostics>>()?
        .into_iter()
        .flatten()
        .collect();
    for storage in config.extensions.iter().filter(|extension| extension.type_name == "file_storage") {
        if !config.service.extensions.contains(&storage.id) {
            continue;
        }
        let section: file_storage::Config = storage.section.read()?;
        let id = storage.id.to_string();
        let queues = exporters
            .iter()
            .filter(|(_, delivery)| delivery.queue.enabled && delivery.queue.storage.as_ref() == Some(&id))
            .map(|(exporter, _)| signals(config, exporter))
            .sum::<usize>() as u64;
        places.push(Place {
            component: id,
            directory: section.directory,
            is_made: section.create_directory,
            quota: section.quota.saturating_mul(queues),
            file: None,
        });
    }
    for (exporter, delivery) in &exporters {
        let Some(letters) = delivery.dead_letter.as_ref() else { continue };
        let Some(file) = letters.file.as_ref().map(PathBuf::from) else { continue };
        let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        places.push(Place {
            component: exporter.id.to_string(),
            directory: directory.unwrap_or(Path::new(".")).to_owned(),
            is_made: false,
            quota: letters.max_bytes,
            file: Some(file),
        });
    }
    Ok(places
        .into_iter()
        .map(|place| Examination {
            name: place.directory.display().to_string(),
            run: Box::pin(examine(place, limits)),
        })
        .collect())
}

fn delivery(exporter: &Component) -> Result<Option<DeliverySettings>, Diagnostics> {
    let section = &exporter.section;
    Ok(match exporter.type_name.as_str() {
        "otlp_grpc" => Some(section.read::<OtlpGrpcConfig>()?.delivery()),
        "otlp_http" => Some(section.read::<OtlpHttpConfig>()?.delivery()),
        "prometheus_remote_write" => Some(section.read::<RemoteWriteConfig>()?.delivery()),
        "redis_stream" => Some(section.read::<RedisStreamConfig>()?.delivery()),
        _ => None,
    })
}

/// How many queues an exporter has: one a signal.
fn signals(config: &Config, exporter: &Component) -> usize {
    let pipelines = config.service.pipelines.iter().filter(|p| p.exporters.contains(&exporter.id));
    let mut signals: Vec<_> = pipelines.map(|pipeline| pipeline.id.signal().name()).collect();
    signals.sort();
    signals.dedup();
    signals.len()
}

/// On a thread of its own: a disk may not answer.
async fn examine(place: Place, limits: Limits) -> Vec<Finding> {
    let chart = || Chart::new(&place.component, place.directory.display().to_string());
    let mut late = chart();
    let mut chart = chart();
    let looked = tokio::task::spawn_blocking(move || {
        look(&place, &mut chart);
        chart.findings()
    });
    match timeout(limits.timeout, looked).await {
        Ok(Ok(findings)) => findings,
        _ => {
            let what = format!("the disk has not answered within {:?}", limits.timeout);
            late.fail("disk", what, "is it a network's? Queues want a local disk");
            late.findings()
        }
    }
}

fn look(place: &Place, chart: &mut Chart) {
    let directory = &place.directory;
    match directory.metadata() {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return chart.fail("disk", "this is no directory", "name a directory"),
        Err(error) if error.kind() == io::ErrorKind::NotFound && place.is_made => {
            return match directory.ancestors().skip(1).find(|above| above.is_dir()).map(try_to_write) {
                Some(Ok(())) => chart.note("disk", "does not exist yet; the collector makes it", ""),
                Some(Err(error)) => {
                    chart.fail("disk", format!("does not exist and cannot be made: {error}"), RIGHTS);
                }
                None => chart.fail("disk", "does not exist and cannot be made", "name another directory"),
            };
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let todo = match place.file {
                None => format!("mkdir -p {}, or set `create_directory: true`", directory.display()),
                Some(_) => format!("mkdir -p {}", directory.display()),
            };
            return chart.fail("disk", "does not exist", todo);
        }
        Err(error) => return chart.fail("disk", error.to_string(), RIGHTS),
    }
    if let Err(error) = try_to_write(directory) {
        let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        return chart.fail("disk", format!("cannot write: {error}"), if is_full { ROOM } else { RIGHTS });
    }
    match rustix::fs::statvfs(directory) {
        Ok(system) => room(place, system.f_bavail.saturating_mul(system.f_frsize), chart),
        Err(error) => chart.note("disk", format!("writable; free space is unknown: {error}"), ""),
    }
}

const RIGHTS: &str =
    "give the collector's user the right to write there (chown, chmod), or name another directory";
const ROOM: &str = "make room on this disk, or name another directory";

fn room(place: &Place, free: u64, chart: &mut Chart) {
    let used = match &place.file {
        Some(file) => file.metadata().map_or(0, |found| found.len()),
        None => size_of(&place.directory),
    };
    let may_grow = place.quota.saturating_sub(used);
    let (free_text, grow, holds) = (human::size(free), human::size(may_grow), human::size(used));
    if free < LEAST {
        chart.fail("disk", format!("full: {free_text} free"), ROOM);
    } else if free < may_grow {
        let what =
            format!("{free_text} free, and it may grow by {grow} to its quota: the disk is full before");
        let todo = match place.file {
            None => "lower `quota`, or make room: other programs suffer from a full disk too",
            Some(_) => {
                "lower `dead_letter: max_bytes`, or make room: other programs suffer from a full disk too"
            }
        };
        chart.warn("disk", what, todo);
    } else {
        chart.ok("disk", format!("writable, {free_text} free, holds {holds}, may grow by {grow}"));
    }
}

/// Whether a file can be made there. It is empty, and removed at once.
fn try_to_write(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".streamgauge-doctor-{}", std::process::id()));
    std::fs::File::options().write(true).create_new(true).open(&probe)?;
    std::fs::remove_file(&probe)
}

/// Bytes of the files below, of so many as are worth counting.
fn size_of(directory: &Path) -> u64 {
    let (mut bytes, mut files) = (0, 0);
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            files += 1;
            match entry.metadata() {
                _ if files > FILES => return bytes,
                Ok(found) if found.is_dir() => open.push(entry.path()),
                Ok(found) => bytes += found.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(free: u64, quota: u64, used: usize) -> String {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("a")).unwrap();
        std::fs::write(directory.path().join("a/b"), vec![0; used]).unwrap();
        let directory_of = directory.path().to_owned();
        let place =
            Place { component: String::new(), directory: directory_of, is_made: false, quota, file: None };
        let mut chart = Chart::new("file_storage", "d");
        room(&place, free, &mut chart);
        super::super::finding::text(&chart.findings())
    }

    #[test]
    fn a_disk_is_full_before_the_quota_or_already() {
        assert!(told(10 << 20, 9 << 20, 0).starts_with("ok"));
        assert!(told(10 << 20, 11 << 20, 0).starts_with("warn"));
        assert!(told(10 << 20, 11 << 20, 1 << 20).starts_with("ok"), "what is used is no growth");
        assert!(told(4096, 0, 0).starts_with("fail"));
    }
}
