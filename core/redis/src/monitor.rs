//! The one connection to a node and user.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use rustls::ClientConfig;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::command::ReadCommand;
use crate::connect::{Broken, Live, Tls};
use crate::endpoint::Target;
use crate::error::{CommandError, Unreachable};

/// Server time that one chunk of a pipeline may take, in microseconds: with what the estimate misses it stays below 1 ms.
const CHUNK_COST: u32 = 500;
/// Commands in a chunk.
const CHUNK: usize = 128;
/// Bytes that the answers to a chunk may hold.
const CAP: usize = 8 << 20;
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
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    /// Failed attempts to connect in a row, what the last one said and when the next may be.
    failures: u32,
    last: Option<(Instant, Unreachable)>,
}

impl Monitor {
    /// A connection that is not open yet. `tls` is used when the target asks for TLS; `server_name` replaces the host
    /// in the check of its certificate.
    pub fn new(target: Target, tls: Option<Arc<ClientConfig>>, server_name: Option<String>) -> Self {
        let tls = tls.map(|config| Tls { config, server_name });
        Monitor { target, tls, state: Mutex::default() }
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
        match timeout_at(deadline, self.run(&mut state, db, commands)).await {
            Ok(result) => result,
            Err(_) => {
                // What was under way is gone with the future. An attempt to connect that takes too long has failed.
                if !had {
                    state.failed(late());
                }
                Err(late())
            }
        }
    }

    async fn run(
        &self,
        state: &mut State,
        db: u32,
        commands: &[ReadCommand],
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
        while let Some(chunk) = chunk(&commands[results.len()..], singly > 0) {
            match self.send(&mut live, db, chunk).await {
                Ok(answers) => results.extend(answers.into_iter().map(result)),
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

    async fn send(&self, live: &mut Live, db: u32, chunk: &[ReadCommand]) -> Result<Vec<Value>, Broken> {
        if live.db == db {
            return live.send(chunk, CAP).await;
        }
        let mut commands = Vec::with_capacity(chunk.len() + 1);
        commands.push(ReadCommand::select(db));
        commands.extend_from_slice(chunk);
        let mut answers = live.send(&commands, CAP).await?;
        match answers.remove(0) {
            // Whatever came after it was answered by another database.
            Value::ServerError(error) => Ok(vec![Value::ServerError(error); chunk.len()]),
            _ => {
                live.db = db;
                Ok(answers)
            }
        }
    }

    async fn connect(&self, state: &mut State) -> Result<Live, Unreachable> {
        if let Some((until, last)) = &state.last
            && *until > Instant::now()
        {
            return Err(last.clone());
        }
        match Live::open(&self.target, self.tls.as_ref()).await {
            Ok(live) => {
                (state.failures, state.last) = (0, None);
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
        self.last = Some((Instant::now() + wait(self.failures, RandomState::new().hash_one(0)), error));
        self.failures += 1;
    }
}

/// How long to wait after so many failures before this one: doubling, and between half and all of it by chance, so
/// that many collectors do not come back at the same moment.
fn wait(failures: u32, chance: u64) -> Duration {
    let full = LONGEST_WAIT.min(FIRST_WAIT * 2u32.pow(failures.min(10)));
    full.mul_f64(0.5 + 0.5 * (chance as f64 / u64::MAX as f64))
}

/// The next commands to send together; `None` when all are sent.
fn chunk(rest: &[ReadCommand], single: bool) -> Option<&[ReadCommand]> {
    let limit = if single { 1 } else { CHUNK };
    let mut cost = 0u32;
    let fit = rest.iter().take(limit).take_while(|command| {
        cost = cost.saturating_add(command.cost());
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
        assert_eq!(chunk(&cheap, false).unwrap().len(), CHUNK);
        let dear = vec![ReadCommand::xinfo_consumers(b"s", b"g", 200); 10];
        assert_eq!(chunk(&dear, false).unwrap().len(), 2);
        let too_dear = vec![ReadCommand::xinfo_consumers(b"s", b"g", u64::MAX); 2];
        assert_eq!(chunk(&too_dear, false).unwrap().len(), 1);
        assert_eq!(chunk(&cheap, true).unwrap().len(), 1);
        assert!(chunk(&[], false).is_none());
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
