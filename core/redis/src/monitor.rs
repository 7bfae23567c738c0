//! The one connection to a node and user.

use std::borrow::Borrow;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use redis::Value;
use rustls::ClientConfig;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::command::ReadCommand;
use crate::connect::{Identity, Tls, password, socket};
use crate::endpoint::Target;
use crate::error::{CommandError, Unreachable};
use crate::governor::{Budget, Governor, Usage};
use crate::live::{Broken, Live, Socket};
use crate::reply::text;

/// Server time that one chunk of a pipeline may take, in microseconds: with what the estimate misses it stays below 1 ms.
const CHUNK_COST: u32 = 500;
/// Commands in a chunk.
const CHUNK: usize = 128;
/// Bytes that the answers to a chunk may hold.
const CAP: usize = 8 << 20;
/// How long a refusal of a command is believed, in case somebody grants it.
const BELIEVED: Duration = Duration::from_secs(600);
/// The first and the longest wait after a failed connect.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The answer to one command.
pub type CallResult = Result<Value, CommandError>;

/// One persistent connection, named `streamgauge`, over which only [`ReadCommand`]s go, one request at a time. It
/// connects when it is first used and again when it was lost, with jittered exponential back-off.
pub struct Monitor {
    target: Target,
    tls: Option<Tls>,
    state: Mutex<State>,
    known: std::sync::Mutex<Known>,
    governor: Governor,
}

/// What is known of the server beyond a connection.
#[derive(Default)]
struct Known {
    identity: Option<Arc<Identity>>,
    /// Commands that this process of the server refuses to this user, and since when.
    refused: BTreeMap<&'static str, (Instant, CommandError)>,
    /// How long the last PING that went alone took.
    round_trip: Option<Duration>,
    /// Refusals that nobody has told yet.
    news: Vec<(&'static str, CommandError)>,
}

struct State {
    live: Option<Live>,
    /// Until the server or a proxy before it turns out not to speak it.
    resp3: bool,
    /// Failed attempts to connect in a row, what the last one said and when the next may be.
    failures: u32,
    last: Option<(Instant, Unreachable)>,
}

impl Monitor {
    /// A connection that is not open yet. `tls` is used when the target asks for TLS; `server_name` replaces the host
    /// in the check of its certificate.
    pub fn new(target: Target, tls: Option<Arc<ClientConfig>>, server_name: Option<String>) -> Self {
        let tls = tls.map(|config| Tls { config, server_name });
        let state = State { live: None, resp3: true, failures: 0, last: None };
        Monitor {
            target,
            tls,
            state: Mutex::new(state),
            known: Default::default(),
            governor: Governor::default(),
        }
    }

    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// A socket of somebody's own to the same place, over TLS where that is spoken. Nothing was said on it.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn dial(&self) -> Result<Box<dyn Socket>, Unreachable> {
        socket(&self.target, self.tls()).await
    }

    /// The password of now for [`Monitor::dial`]; `None` where there is nothing to log in with.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub async fn password(&self) -> Result<Option<String>, Unreachable> {
        password(&self.target).await
    }

    /// Who answered last; `None` before the first connection.
    pub fn identity(&self) -> Option<Arc<Identity>> {
        self.known().identity.clone()
    }

    /// Makes sure that there is, or was, a connection, and tells who answered.
    ///
    /// # Errors
    /// The server cannot be reached, or the deadline passed.
    pub async fn hello(&self, deadline: Instant) -> Result<Arc<Identity>, Unreachable> {
        self.call(self.target.db, &[], deadline).await?;
        self.identity().ok_or_else(|| Unreachable::new("connect", &self.target.address))
    }

    /// Who answered last, which takes a connection only where nobody ever has.
    ///
    /// # Errors
    /// The server cannot be reached, or the deadline passed.
    pub async fn known_identity(&self, deadline: Instant) -> Result<Arc<Identity>, Unreachable> {
        match self.identity() {
            Some(identity) => Ok(identity),
            None => self.hello(deadline).await,
        }
    }

    /// A receiver's limits, which hold for all who share the connection: of several the largest.
    pub fn allow(&self, budget: Budget) {
        self.governor.allow(budget);
    }

    /// Whether a command is estimated to hold the server for no more than half of what one command may, so that it is sent
    /// and leaves room for what the estimate misses.
    pub fn is_short(&self, command: &ReadCommand) -> bool {
        self.governor.is_short(command)
    }

    /// What all who share the connection have cost the server.
    pub fn usage(&self) -> Usage {
        self.governor.usage()
    }

    /// The commands that this process of the server refuses to this user; they are not sent again for ten minutes.
    pub fn refused(&self) -> Vec<(&'static str, &'static str)> {
        self.known().refused.iter().map(|(name, (_, error))| (*name, error.fault.as_str())).collect()
    }

    /// How long it took from sending the last PING to its answer, when it went alone: the network, and what the server had
    /// to do before.
    pub fn round_trip(&self) -> Option<Duration> {
        self.known().round_trip
    }

    /// Refusals since the last call, for a log that tells each once.
    pub fn news(&self) -> Vec<(&'static str, CommandError)> {
        std::mem::take(&mut self.known().news)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What tells two connections apart: address, user, and what they are proved by. Holds no secret. `settings` is
    /// whatever else the connection is made of.
    pub fn key(target: &Target, settings: &impl std::hash::Hash) -> String {
        let mut hasher = std::hash::DefaultHasher::new();
        (&target.password, target.tls, settings).hash(&mut hasher);
        format!("{} {} {:x}", target.address, target.user(), hasher.finish())
    }

    /// The server and the user.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends commands to the database `db` in chunks that keep the server busy for less than 1 ms each, and gives an
    /// answer for each. All of it, waiting for others included, ends at the deadline.
    ///
    /// # Errors
    /// The server cannot be reached, or the deadline passed. A refusal of a single command is in its own answer.
    pub async fn call(
        &self,
        db: u32,
        commands: &[ReadCommand],
        deadline: Instant,
    ) -> Result<Vec<CallResult>, Unreachable> {
        let late =
            || Unreachable::new("timeout", format!("{} has not answered in time", self.target.address));
        let mut state = timeout_at(deadline, self.state.lock()).await.map_err(|_| late())?;
        let had = state.live.is_some();
        let mut plan = self.plan(commands);
        let mut sent: Vec<&ReadCommand> = commands
            .iter()
            .zip(&plan)
            .filter(|(_, refused)| refused.is_none())
            .map(|(command, _)| command)
            .collect();
        let tells_stats = sent.iter().any(|command| command.tells_stats());
        let stats = (!sent.is_empty() && !tells_stats && self.governor.wants_stats()).then(|| {
            let has_several = self.identity().is_some_and(|identity| identity.commands >= (7, 0));
            ReadCommand::info_commandstats(has_several)
        });
        sent.extend(&stats);
        match timeout_at(deadline, self.run(&mut state, db, &sent)).await {
            Ok(answers) => {
                let mut answers = answers?.into_iter();
                let missing = || Unreachable::new("call", "an answer is missing");
                plan.drain(..)
                    .map(|refused| match refused {
                        Some(error) => Ok(Err(error)),
                        None => answers.next().ok_or_else(missing),
                    })
                    .collect()
            }
            Err(_) => {
                // What was under way is gone with the future. An attempt to connect that takes too long has failed.
                if !had {
                    state.failed(late());
                }
                Err(late())
            }
        }
    }

    /// For each command why it is not sent, if so.
    fn plan(&self, commands: &[ReadCommand]) -> Vec<Option<CommandError>> {
        let mut known = self.known();
        known.refused.retain(|_, (since, _)| since.elapsed() < BELIEVED);
        let refused =
            |command: &ReadCommand| known.refused.get(command.name()).map(|(_, error)| error.clone());
        let before: Vec<_> = commands.iter().map(refused).collect();
        drop(known);
        let asked: Vec<&ReadCommand> =
            commands.iter().zip(&before).filter(|(_, r)| r.is_none()).map(|(c, _)| c).collect();
        let mut planned = self.governor.plan(&asked).into_iter();
        before.into_iter().map(|refused| refused.or_else(|| planned.next().flatten())).collect()
    }

    /// Keeps the books of an answer, and remembers a refusal.
    fn note(&self, command: &ReadCommand, answer: &CallResult) {
        let stats = answer.as_ref().ok().filter(|_| command.tells_stats()).map(text);
        self.governor.answered(command, stats.as_deref());
        if let Err(error) = answer
            && error.is_about_the_command()
        {
            let mut known = self.known();
            known.refused.insert(command.name(), (Instant::now(), error.clone()));
            known.news.push((command.name(), error.clone()));
        }
    }

    async fn run(
        &self,
        state: &mut State,
        db: u32,
        commands: &[&ReadCommand],
    ) -> Result<Vec<CallResult>, Unreachable> {
        // Out of the state while in use: if this future is dropped, so is the connection with its unread answers.
        let idle = state.live.take();
        let mut stale = idle.is_some();
        let mut live = match idle {
            Some(live) => live,
            None => self.connect(state).await?,
        };
        let mut results = Vec::with_capacity(commands.len());
        let mut singly = 0;
        let cost = |command: &ReadCommand| self.governor.estimate(command);
        while let Some(chunk) = chunk(&commands[results.len()..], singly > 0, cost) {
            let begin = Instant::now();
            match self.send(&mut live, db, chunk).await {
                Ok(answers) => {
                    if let [one] = chunk
                        && one.is_ping()
                    {
                        self.known().round_trip = Some(begin.elapsed());
                    }
                    for (command, answer) in chunk.iter().zip(answers) {
                        let answer = result(answer);
                        self.note(command, &answer);
                        results.push(answer);
                    }
                }
                Err(Broken::TooLarge) => {
                    if let [_] = chunk {
                        results.push(Err(CommandError::too_large(CAP)));
                    } else {
                        singly = chunk.len() + 1;
                    }
                    live = self.connect(state).await?;
                }
                // The server may have closed it while nobody looked.
                Err(Broken::Lost(_)) if stale => live = self.connect(state).await?,
                Err(Broken::Lost(error)) => {
                    return Err(Unreachable::new("call", format!("{}: {error}", self.target.address)));
                }
            }
            stale = false;
            singly = singly.saturating_sub(1);
        }
        state.live = Some(live);
        Ok(results)
    }

    async fn send(&self, live: &mut Live, db: u32, chunk: &[&ReadCommand]) -> Result<Vec<Value>, Broken> {
        let selects = live.db != db;
        if !selects && !chunk.iter().any(|command| command.is_asking()) {
            return live.send(chunk, CAP).await;
        }
        let mut commands = Vec::with_capacity(chunk.len() + 1);
        let mut wanted = Vec::with_capacity(chunk.len());
        let (select, ask) = (ReadCommand::select(db), ReadCommand::ask());
        commands.extend(selects.then_some(&select));
        for command in chunk {
            commands.extend(command.is_asking().then_some(&ask));
            wanted.push(commands.len());
            commands.push(*command);
        }
        let answers = live.send(&commands, CAP).await?;
        if selects {
            // Whatever came after a refusal was answered by another database.
            if let Some(Value::ServerError(error)) = answers.first() {
                return Ok(vec![Value::ServerError(error.clone()); chunk.len()]);
            }
            live.db = db;
        }
        let wanted: HashSet<usize> = wanted.into_iter().collect();
        Ok(answers
            .into_iter()
            .enumerate()
            .filter(|(n, _)| wanted.contains(n))
            .map(|(_, answer)| answer)
            .collect())
    }

    async fn connect(&self, state: &mut State) -> Result<Live, Unreachable> {
        if let Some((until, last)) = &state.last
            && *until > Instant::now()
        {
            return Err(last.clone());
        }
        match Live::open(&self.target, self.tls.as_ref(), &mut state.resp3).await {
            Ok(live) => {
                (state.failures, state.last) = (0, None);
                let mut known = self.known();
                if known.identity.as_ref().is_none_or(|before| before.run_id != live.identity.run_id) {
                    known.refused.clear();
                }
                known.identity = Some(live.identity.clone());
                Ok(live)
            }
            Err(error) => {
                state.failed(error.clone());
                Err(error)
            }
        }
    }
}

impl State {
    fn failed(&mut self, error: Unreachable) {
        self.last = Some((Instant::now() + wait_after(self.failures), error));
        self.failures += 1;
    }
}

/// How long to wait after so many failures before this one: doubling, and between half and all of it by chance, so
/// that many collectors do not come back at the same moment.
pub(crate) fn wait_after(failures: u32) -> Duration {
    wait(failures, RandomState::new().hash_one(0))
}

fn wait(failures: u32, chance: u64) -> Duration {
    let full = LONGEST_WAIT.min(FIRST_WAIT * 2u32.pow(failures.min(10)));
    full.mul_f64(0.5 + 0.5 * (chance as f64 / u64::MAX as f64))
}

/// The next commands to send together; `None` when all are sent.
fn chunk<C: Borrow<ReadCommand>>(
    rest: &[C],
    single: bool,
    estimate: impl Fn(&ReadCommand) -> u32,
) -> Option<&[C]> {
    let limit = if single { 1 } else { CHUNK };
    let mut cost = 0u32;
    let fit = rest.iter().take(limit).take_while(|command| {
        cost = cost.saturating_add(estimate((*command).borrow()));
        cost <= CHUNK_COST
    });
    // A command above the limit goes alone.
    let count = fit.count().max(1);
    rest.get(..count)
}

fn result(value: Value) -> CallResult {
    match value {
        Value::ServerError(error) => Err(CommandError::server(&error)),
        value => Ok(value),
    }
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Monitor({:?})", self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_never_holds_more_than_its_server_time_or_count() {
        let cheap = vec![ReadCommand::ping(); 300];
        assert_eq!(chunk(&cheap, false, ReadCommand::cost).unwrap().len(), CHUNK);
        let dear = vec![ReadCommand::xinfo_consumers(b"s", b"g", 200); 10];
        assert_eq!(chunk(&dear, false, ReadCommand::cost).unwrap().len(), 2);
        let too_dear = vec![ReadCommand::xinfo_consumers(b"s", b"g", u64::MAX); 2];
        assert_eq!(chunk(&too_dear, false, ReadCommand::cost).unwrap().len(), 1);
        assert_eq!(chunk(&cheap, true, ReadCommand::cost).unwrap().len(), 1);
        assert!(chunk::<ReadCommand>(&[], false, ReadCommand::cost).is_none());
    }

    #[test]
    fn the_wait_after_a_failure_doubles_up_to_ten_seconds_with_jitter() {
        assert_eq!(wait(0, u64::MAX), Duration::from_millis(500));
        assert_eq!(wait(0, 0), Duration::from_millis(250));
        assert_eq!(wait(2, u64::MAX), Duration::from_secs(2));
        assert_eq!(wait(u32::MAX, u64::MAX), LONGEST_WAIT);
    }

    #[test]
    fn the_key_tells_users_and_passwords_apart_and_shows_no_password() {
        let target = |endpoint| Target::new(&crate::EndpointKeys { endpoint, ..Default::default() }).unwrap();
        let a = Monitor::key(&target("redis://u:hunter2@h"), &());
        assert_eq!(a, Monitor::key(&target("redis://u:hunter2@h:6379/3"), &()));
        assert_ne!(a, Monitor::key(&target("redis://u:other@h"), &()));
        assert!(!a.contains("hunter2"));
    }
}
