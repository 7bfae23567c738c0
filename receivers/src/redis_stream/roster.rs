//! Which streams there are, and which lane reads each.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use regex::bytes::Regex;
use streamgauge_component::{ComponentError, Signal};
use streamgauge_redis::{Monitor, Unreachable, slot};
use streamgauge_streams::encoding::{Encoding, opsconductor};
use streamgauge_streams::{Link, Request};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

use super::config::{Meant, StreamSettings};
use super::job::{Job, PATIENCE, Phase};
use super::lane::{self, Common, Streams};
use super::line::Backoff;
use super::stream::{Progress, Stream};

/// Keys that one SCAN looks at.
const SCAN: &[u8] = b"1000";

/// What the settings say of streams, ready to use.
pub(super) struct Wanted {
    settings: StreamSettings,
    meant: Meant,
    signal: Signal,
    exclude: Vec<Regex>,
    /// Finds what the first star of the glob stands for.
    star: Option<Regex>,
}

impl Wanted {
    /// All of them. `signals` are those that pipelines take from this receiver.
    pub fn all(job: &Job) -> Result<Vec<Wanted>, ComponentError> {
        let wanted = |choice: &super::config::StreamChoice| {
            let settings = choice.settings();
            let meant = match settings.meant().ok_or("a stream has no name")? {
                Meant::Name(name) if job.format.encoding == Encoding::Opsconductor => {
                    Meant::Name(opsconductor::full_name(&name))
                }
                meant => meant,
            };
            let signal = signal(job, &settings)?;
            let regex = |glob: &str| Regex::new(&glob_regex(glob)).map_err(|error| error.to_string());
            let exclude = settings.exclude.iter().map(|glob| regex(glob)).collect::<Result<_, _>>()?;
            let star = match &meant {
                Meant::Glob(glob) => Some(regex(glob)?),
                // Which of its services a stream of OpsConductor is.
                Meant::Name(name) if job.format.encoding == Encoding::Opsconductor => {
                    Some(regex(&opsconductor::stream_key("*"))?)
                        .filter(|regex| regex.is_match(name.as_bytes()))
                }
                Meant::Name(_) => None,
            };
            Ok(Wanted { settings, meant, signal, exclude, star })
        };
        let all: Result<_, String> = job.config.streams.iter().map(wanted).collect();
        all.map_err(|message| ComponentError(format!("{}: {message}", job.host.id())))
    }

    /// The stream of a name, if it is meant.
    fn stream(&self, job: &Job, name: &[u8], is_late: bool, has_slots: bool) -> Option<Arc<Stream>> {
        let star = match &self.star {
            Some(regex) => {
                let found = regex.captures(name)?;
                found.get(1).map_or(&b""[..], |star| star.as_bytes()).to_vec()
            }
            None => Vec::new(),
        };
        if self.exclude.iter().any(|regex| regex.is_match(name)) {
            return None;
        }
        let group = self.settings.group.as_ref().unwrap_or(&job.config.group.name).of(name, &star);
        let settings = &job.config.dead_letter;
        Some(Arc::new(Stream {
            name: name.to_vec(),
            shown: String::from_utf8_lossy(name).into_owned(),
            group: String::from_utf8_lossy(&group).into_owned(),
            level: self.settings.priority,
            signal: self.signal,
            dead_letter: settings.enabled.then(|| settings.of(name, &star, has_slots)),
            is_late,
            progress: Progress::default(),
        }))
    }
}

/// What the entries of a stream are.
fn signal(job: &Job, settings: &StreamSettings) -> Result<Signal, String> {
    let (encoding, taken) = (job.format.encoding, job.outlets.signals().collect::<Vec<_>>());
    let able: Vec<_> = taken.iter().copied().filter(|signal| encoding.carries(*signal)).collect();
    let name = encoding.as_str();
    match (settings.signal.map(Signal::from), able.as_slice()) {
        (Some(signal), _) if able.contains(&signal) => Ok(signal),
        (Some(signal), _) if !encoding.carries(signal) => {
            Err(format!("streams: encoding {name} carries logs and no {}", signal.name()))
        }
        (Some(signal), _) => {
            Err(format!("streams: no pipeline of {} takes from this receiver", signal.name()))
        }
        (None, [signal]) => Ok(*signal),
        (None, []) => {
            Err(format!("encoding {name} carries logs: take from this receiver in a pipeline of logs"))
        }
        (None, _) => {
            Err("streams: pipelines of several signals take from this receiver: say signal for each stream"
                .to_owned())
        }
    }
}

/// A glob of Redis as a regular expression; its first star is the first group.
pub(super) fn glob_regex(glob: &str) -> String {
    let mut regex = "(?s-u)^".to_owned();
    let (mut chars, mut is_first) = (glob.chars().peekable(), true);
    while let Some(c) = chars.next() {
        match c {
            '*' if std::mem::take(&mut is_first) => regex.push_str("(.*)"),
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => {
                regex.push('[');
                while let Some(c) = chars.next_if(|c| *c != ']') {
                    match c {
                        '^' | '-' => regex.push(c),
                        c => regex.push_str(&regex::escape(&c.to_string())),
                    }
                }
                chars.next();
                regex.push(']');
            }
            '\\' => regex.push_str(&chars.next().map(|c| regex::escape(&c.to_string())).unwrap_or_default()),
            c => regex.push_str(&regex::escape(&c.to_string())),
        }
    }
    regex + "$"
}

/// Finds streams and gives them to lanes.
pub(super) struct Roster {
    job: Arc<Job>,
    wanted: Vec<Wanted>,
    /// Every stream that was found, by its name.
    known: BTreeMap<Vec<u8>, Arc<Stream>>,
    lanes: HashMap<Common, watch::Sender<Streams>>,
    tasks: JoinSet<()>,
    is_full: bool,
}

impl Roster {
    pub fn new(job: &Arc<Job>, wanted: Vec<Wanted>) -> Self {
        Roster {
            job: job.clone(),
            wanted,
            known: BTreeMap::new(),
            lanes: HashMap::new(),
            tasks: JoinSet::new(),
            is_full: false,
        }
    }

    /// Starts it. The task ends when all lanes have.
    pub fn start(self) -> JoinHandle<()> {
        tokio::spawn(self.run())
    }

    async fn run(mut self) {
        let job = self.job.clone();
        let (mut backoff, mut is_first) = (Backoff::of_connecting(), true);
        while job.phase() == Phase::Running {
            let wait = match self.look(is_first).await {
                Ok(()) => {
                    is_first = false;
                    backoff.reset();
                    job.troubles.clear("streams");
                    job.config.discovery_interval
                }
                Err(error) => {
                    job.counters.error("scan", error.stage);
                    job.troubles.tell("streams", error.to_string());
                    backoff.next(job.host.random().next())
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = job.phase_after(Phase::Running) => {}
            }
        }
        while self.tasks.join_next().await.is_some() {}
    }

    /// Finds what is there now.
    async fn look(&mut self, is_first: bool) -> Result<(), Unreachable> {
        let deadline = Instant::now() + PATIENCE;
        let has_slots = self.job.owners.has_slots(deadline).await?;
        let mut names: Vec<Vec<u8>> = Vec::new();
        for wanted in &self.wanted {
            if let Meant::Name(name) = &wanted.meant {
                names.push(name.clone().into_bytes());
            }
        }
        let globs: Vec<_> = self
            .wanted
            .iter()
            .filter_map(|wanted| match &wanted.meant {
                Meant::Glob(glob) => Some(glob.clone()),
                Meant::Name(_) => None,
            })
            .collect();
        if !globs.is_empty() {
            for node in self.job.owners.all(deadline).await? {
                names.extend(scan(&node, &globs).await?);
            }
        }
        self.settle(names, is_first, has_slots);
        Ok(())
    }

    fn settle(&mut self, names: Vec<Vec<u8>>, is_first: bool, has_slots: bool) {
        let before = self.known.len();
        for name in names {
            if self.known.contains_key(&name) {
                continue;
            }
            let named =
                |wanted: &&Wanted| matches!(&wanted.meant, Meant::Name(own) if own.as_bytes() == name);
            let by_name = self.wanted.iter().find(named);
            let found = match by_name {
                Some(wanted) => wanted.stream(&self.job, &name, false, has_slots),
                None => {
                    let mut globs = self.wanted.iter().filter(|w| matches!(w.meant, Meant::Glob(_)));
                    globs.find_map(|wanted| wanted.stream(&self.job, &name, !is_first, has_slots))
                }
            };
            let Some(stream) = found else { continue };
            if by_name.is_none() && self.known.len() >= self.job.config.max_streams {
                if !std::mem::replace(&mut self.is_full, true) {
                    let most = self.job.config.max_streams;
                    tracing::warn!(receiver = %self.job.host.id(), "there are more streams than max_streams ({most}): the others are not read");
                }
                continue;
            }
            self.known.insert(name, stream);
        }
        // A dead letter stream is not read because a glob happens to match it.
        let letters: Vec<Vec<u8>> =
            self.known.values().filter_map(|stream| stream.dead_letter.clone()).collect();
        let is_named = |name: &[u8]| {
            self.wanted.iter().any(|w| matches!(&w.meant, Meant::Name(own) if own.as_bytes() == name))
        };
        self.known.retain(|name, _| is_named(name) || !letters.contains(name));
        if self.known.len() != before {
            self.assign(has_slots);
        }
    }

    /// Gives each stream to its lane.
    fn assign(&mut self, has_slots: bool) {
        let mut lanes: BTreeMap<Common, Vec<Arc<Stream>>> = BTreeMap::new();
        for stream in self.known.values() {
            let slot = has_slots.then(|| slot(&stream.name));
            let alone = self.job.config.ordering.enabled.then(|| stream.name.clone());
            let common = Common { slot, group: stream.group.clone(), stream: alone };
            lanes.entry(common).or_default().push(stream.clone());
        }
        for (common, streams) in lanes {
            let streams: Streams = streams.into();
            match self.lanes.get(&common) {
                Some(lane) => {
                    lane.send_if_modified(|now| {
                        let is_new = now.len() != streams.len();
                        *now = streams;
                        is_new
                    });
                }
                None => {
                    let (lane, told) = watch::channel(streams);
                    self.tasks.spawn(lane::run(self.job.clone(), common.clone(), told));
                    self.lanes.insert(common, lane);
                }
            }
        }
    }
}

/// The streams of a node that match a glob.
async fn scan(node: &Monitor, globs: &[String]) -> Result<Vec<Vec<u8>>, Unreachable> {
    let mut link = Link::open(node, "streamgauge", Instant::now() + PATIENCE).await?;
    let mut names = Vec::new();
    for glob in globs {
        let mut cursor = b"0".to_vec();
        loop {
            let request = Request::of(&[
                b"SCAN",
                &cursor,
                b"MATCH",
                glob.as_bytes(),
                b"COUNT",
                SCAN,
                b"TYPE",
                b"stream",
            ]);
            let replies = link.call(&request, Instant::now() + PATIENCE).await?;
            let page = replies.last().ok().map_err(|refusal| Unreachable::new("call", refusal))?;
            let mut page = page.list();
            cursor = page.next().and_then(|next| next.text().map(<[u8]>::to_vec)).unwrap_or_default();
            names.extend(
                page.next()
                    .into_iter()
                    .flat_map(|keys| keys.list())
                    .filter_map(|key| key.text().map(<[u8]>::to_vec)),
            );
            if cursor == b"0" || cursor.is_empty() {
                break;
            }
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_redis_and_tell_their_first_star() {
        let star = |glob: &str, name: &[u8]| {
            let found = Regex::new(&glob_regex(glob)).unwrap().captures(name)?.get(1)?.as_bytes().to_vec();
            Some(String::from_utf8_lossy(&found).into_owned())
        };
        assert_eq!(
            star("opsconductor:*:events", b"opsconductor:identity:events").as_deref(),
            Some("identity")
        );
        assert_eq!(star("a.*", b"abc"), None);
        assert_eq!(star("a.*", b"a.\xff\n").as_deref(), Some("\u{fffd}\n"));
        assert_eq!(star("[^a-c]?\\**x", b"dz*--x").as_deref(), Some("--"));
        assert_eq!(star("[^a-c]*", b"bz"), None);
    }
}
