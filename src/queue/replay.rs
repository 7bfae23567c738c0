//! `streamgauge queue replay`.

use std::collections::HashMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use serde_json::json;
use streamgauge_component::storage::snapshot;
use streamgauge_component::{Context, Request, restored};

use super::PlaceArgs;
use super::find::{Places, Queue};
use super::letters::LetterFile;
use super::purge::{amend, open};
use super::target::{Sent, Target};
use crate::cli::{Failure, print};
use crate::{catalogue, human, run};

#[derive(Debug, Clone, Args)]
pub(super) struct ReplayArgs {
    /// The queue of a stopped collector, as `ls` shows its name.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    queue: Option<String>,
    /// A dead letter file, or what `export` wrote: OTLP/JSON, a line a request.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// An OTLP endpoint, such as `http://gateway:4318`. Without it, the exporter that the data was meant for.
    #[arg(long, value_name = "URL", conflicts_with_all = ["exporter", "through"])]
    to: Option<String>,
    /// `--to` speaks gRPC instead of HTTP.
    #[arg(long, requires = "to")]
    grpc: bool,
    /// An exporter of the configuration, with its address, TLS and credentials.
    #[arg(long, value_name = "ID", conflicts_with = "through")]
    exporter: Option<String>,
    /// The running collector's `otlp` receiver, as the configuration has it: the data goes through its pipelines again.
    #[arg(long)]
    through: bool,
    /// How long to try one request while the peer is not there or has no time, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    patience: u64,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Sends again, and removes what was acknowledged.
pub(super) fn replay(args: &ReplayArgs) -> Result<(), Failure> {
    let runtime = run::runtime().map_err(Failure::runtime)?;
    runtime.block_on(async {
        let mut targets = Targets::new(args)?;
        let mut tally = Tally::new();
        let source = match (&args.file, &args.queue) {
            (Some(path), _) => {
                let done = file(LetterFile::open(path)?, &mut targets, &mut tally).await;
                targets.close().await;
                done?;
                path.display().to_string()
            }
            (None, name) => {
                let places = targets.places.take().map_or_else(|| Places::of(&args.place), Ok)?;
                let found = places.queue(name.as_deref().unwrap_or_default())?;
                targets.places = Some(places);
                let done = queue(&found, &mut targets, &mut tally).await;
                targets.close().await;
                done?;
                format!("{} in {}", found.name(), found.directory.display())
            }
        };
        tally.tell(&source, args.place.json)
    })
}

/// A line at a time, in order.
async fn file(mut file: LetterFile, targets: &mut Targets, tally: &mut Tally) -> Result<(), Failure> {
    let mut result = Ok(());
    while tally.stopped.is_none() {
        let (line, letter) = match file.next() {
            Ok(Some(next)) => next,
            Ok(None) => break,
            Err(error) => {
                result = Err(error);
                break;
            }
        };
        let letter = match letter {
            Ok(letter) => letter,
            Err(why) => {
                tally.refused(0, why);
                continue;
            }
        };
        let target = match targets.of(letter.exporter.as_deref()).await {
            Ok(target) => target,
            Err(error) => {
                result = Err(error);
                break;
            }
        };
        let context = Arc::new(Context::new("", SystemTime::now()));
        let (parts, items) = (vec![letter.request], letter.items);
        let sent = target.send(&Request { signal: letter.signal, context, parts, items }).await;
        if tally.count(items as u64, sent)
            && let Err(error) = file.remove(line)
        {
            result = Err(error);
            break;
        }
        let (read, all) = file.progress();
        tally.show(|| format!("{}%", (read * 100).checked_div(all).unwrap_or(100)));
    }
    file.finish().and(result)
}

/// A record at a time, in order, under the directory's lock.
async fn queue(queue: &Queue, targets: &mut Targets, tally: &mut Tally) -> Result<(), Failure> {
    if let Some(holder) = snapshot::holder(&queue.directory).map_err(Failure::runtime)? {
        let who = holder.pid.map_or("another process".to_owned(), |pid| format!("process {pid}"));
        return Err(Failure::runtime(format!(
            "{} is in use by {who}, which sends this queue itself: stop it first, or `export` the queue and replay that file",
            queue.directory.display()
        )));
    }
    let target = targets.of(Some(&queue.exporter)).await?;
    let (storage, log) = open(queue).await.map_err(Failure::runtime)?;
    let all = log.stats().records;
    let mut reader = log.reader();
    let mut result = Ok(());
    while tally.stopped.is_none() {
        let record = match reader.try_next().await {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(error) => {
                result = Err(Failure::runtime(error));
                break;
            }
        };
        let batch = match restored(&record.payload) {
            Ok(batch) => batch,
            Err(error) => {
                tally.refused(0, error.to_string());
                continue;
            }
        };
        let (items, parts) =
            (batch.items(), batch.parts.iter().map(|part| part.bytes.whole().clone()).collect());
        let request = Request { signal: batch.signal, context: batch.context.clone(), parts, items };
        if tally.count(items as u64, target.send(&request).await) {
            log.settle(record.id);
        }
        tally.show(|| format!("of {all}"));
    }
    log.close().await;
    amend(&storage, queue, tally.acknowledged.1, None).await;
    result
}

/// Where each request goes.
struct Targets {
    choice: Choice,
    patience: Duration,
    places: Option<Places>,
    made: HashMap<String, Target>,
}

enum Choice {
    /// An OTLP endpoint, by HTTP or gRPC.
    Address(String, bool),
    Exporter(String),
    /// The exporter that the data was meant for.
    Own,
}

impl Targets {
    fn new(args: &ReplayArgs) -> Result<Targets, Failure> {
        let patience = Duration::from_secs(args.patience);
        let made = HashMap::new();
        if let Some(url) = &args.to {
            let choice = Choice::Address(url.clone(), args.grpc);
            return Ok(Targets { choice, patience, places: None, made });
        }
        let places = Places::of(&args.place)?;
        let choice = match &args.exporter {
            _ if args.through => door(&places)?,
            Some(id) => Choice::Exporter(id.clone()),
            None => Choice::Own,
        };
        Ok(Targets { choice, patience, places: Some(places), made })
    }

    /// The target of data that was meant for this exporter.
    async fn of(&mut self, meant: Option<&str>) -> Result<&Target, Failure> {
        let key = match (&self.choice, meant) {
            (Choice::Address(url, _), _) => url,
            (Choice::Exporter(id), _) => id,
            (Choice::Own, Some(id)) => id,
            (Choice::Own, None) => {
                let text = "the data does not say which exporter it was meant for: give --to, --exporter or --through";
                return Err(Failure::runtime(text));
            }
        };
        let key = key.to_owned();
        if !self.made.contains_key(&key) {
            let configuration = self.places.as_ref().and_then(|places| places.configuration.as_ref());
            let target = match (&self.choice, configuration) {
                (Choice::Address(url, grpc), _) => Target::address(url, *grpc, self.patience).await?,
                (_, Some(configuration)) => Target::exporter(configuration, &key, self.patience).await?,
                (_, None) => {
                    let text = format!("where is exporter {key:?}? Give --config, or --to instead");
                    return Err(Failure::runtime(text));
                }
            };
            self.made.insert(key.clone(), target);
        }
        self.made.get(&key).ok_or_else(|| Failure::runtime("no target"))
    }

    async fn close(&self) {
        for target in self.made.values() {
            target.close().await;
        }
    }
}

/// The first `otlp` receiver's address, by HTTP if it has that.
fn door(places: &Places) -> Result<Choice, Failure> {
    let none = |why: &str| Failure::runtime(format!("{why}: name an address with --to"));
    let configuration = places.configuration.as_ref().ok_or_else(|| none("no configuration was given"))?;
    let mut receivers = configuration.config.receivers.iter();
    let otlp = receivers.find(|receiver| receiver.type_name == "otlp");
    let otlp = otlp.ok_or_else(|| none("the configuration has no receiver `otlp`"))?;
    let entry = catalogue::find(streamgauge_config::Kind::Receiver, "otlp");
    let section = entry.and_then(|entry| {
        let read = (entry.config.read)(&otlp.section).ok()?;
        (entry.config.effective)(&read)
    });
    let protocols = section.unwrap_or_default()["protocols"].clone();
    for (name, grpc) in [("http", false), ("grpc", true)] {
        let protocol = &protocols[name];
        if let Some(endpoint) = protocol["endpoint"].as_str()
            && protocol["tls"].is_null()
        {
            return Ok(Choice::Address(format!("http://{endpoint}"), grpc));
        }
    }
    Err(none("the receiver `otlp` has no protocol without TLS"))
}

/// What became of it.
struct Tally {
    acknowledged: (u64, u64),
    refused: (u64, u64),
    /// Items that the peer left out of requests that it took.
    left_out: u64,
    /// Why something was refused, the first time.
    why: Option<String>,
    /// Why it did not go on.
    stopped: Option<String>,
    shown: Instant,
}

impl Tally {
    fn new() -> Self {
        let zero = (0, 0);
        Tally {
            acknowledged: zero,
            refused: zero,
            left_out: 0,
            why: None,
            stopped: None,
            shown: Instant::now(),
        }
    }

    /// Whether the peer has it.
    fn count(&mut self, items: u64, sent: Sent) -> bool {
        match sent {
            Sent::Acknowledged { refused_items } => {
                self.acknowledged = (self.acknowledged.0 + 1, self.acknowledged.1 + items);
                self.left_out += refused_items;
                return true;
            }
            Sent::Refused(why) => self.refused(items, why),
            Sent::Failed(why) => self.stopped = Some(why),
        }
        false
    }

    fn refused(&mut self, items: u64, why: String) {
        self.refused = (self.refused.0 + 1, self.refused.1 + items);
        self.why.get_or_insert(why);
    }

    /// On a terminal a line that changes, else one every few seconds.
    fn show(&mut self, of: impl FnOnce() -> String) {
        let terminal = std::io::stderr().is_terminal();
        let every = if terminal { Duration::from_millis(200) } else { Duration::from_secs(5) };
        if self.shown.elapsed() < every {
            return;
        }
        self.shown = Instant::now();
        let ((acknowledged, _), (refused, _)) = (self.acknowledged, self.refused);
        let text =
            format!("{} {}: {acknowledged} acknowledged, {refused} refused", acknowledged + refused, of());
        let mut stderr = std::io::stderr();
        let _ = if terminal { write!(stderr, "\r{text}\x1b[K") } else { writeln!(stderr, "{text}") };
    }

    /// The end of it: a failure when something stays.
    fn tell(self, source: &str, as_json: bool) -> Result<(), Failure> {
        if std::io::stderr().is_terminal() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
        let Tally { acknowledged, refused, left_out, why, stopped, .. } = self;
        if as_json {
            let pair = |(requests, items): (u64, u64)| json!({"requests": requests, "items": items});
            let all = json!({
                "acknowledged": pair(acknowledged),
                "refused": pair(refused),
                "left_out_items": left_out,
                "why_refused": why,
                "stopped": stopped,
            });
            print(&format!("{all:#}"))?;
        } else {
            let text = |(requests, items): (u64, u64)| {
                format!("{} ({})", human::count(requests, "request"), human::count(items, "item"))
            };
            let mut said = format!("acknowledged {}", text(acknowledged));
            if left_out > 0 {
                said.push_str(&format!(", {} of them left out by the peer", human::count(left_out, "item")));
            }
            if refused.0 > 0 {
                said.push_str(&format!(", refused {}", text(refused)));
            }
            print(&said)?;
        }
        match (stopped, why) {
            (Some(why), _) => Err(Failure::runtime(format!("what was not sent stays in {source}: {why}"))),
            (None, Some(why)) => Err(Failure::runtime(format!("what was refused stays in {source}: {why}"))),
            (None, None) => Ok(()),
        }
    }
}
