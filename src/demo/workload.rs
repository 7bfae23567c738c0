//! What the demo lets happen: three streams with groups, one falling behind and catching up again, one with entries
//! that nobody can handle, and commands that fail or take long.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use redis::aio::MultiplexedConnection;
use redis::{Value, cmd};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// `prefix:name` is what the `project` processor takes the project from.
pub const STREAMS: [(&str, &str); 3] =
    [("demo-shop:orders", "billing"), ("demo-shop:payments", "ledger"), ("demo-chat:messages", "fanout")];

const TICK: Duration = Duration::from_millis(100);
/// One round of falling behind and catching up.
const ROUND: Duration = Duration::from_secs(30);
/// How much of a round billing is slow.
const SLOW: Duration = Duration::from_secs(12);

/// One handled entry: its route, how long it took in ms, when in ns since 1970.
pub struct Job {
    /// What was done.
    pub route: &'static str,
    /// From reading the entry to its acknowledgement.
    pub millis: f64,
    /// When it was done.
    pub at: u64,
}

/// The running workload. Dropped, it stops.
pub struct Workload {
    tasks: JoinSet<()>,
    connection: MultiplexedConnection,
    jobs: Arc<Mutex<Vec<Job>>>,
}

impl Workload {
    /// Makes streams and groups and starts. Fails where a key exists already: the demo touches nobody's data.
    pub async fn start(mut connection: MultiplexedConnection) -> Result<Workload, String> {
        for (stream, group) in STREAMS {
            let text = |e: redis::RedisError| format!("cannot prepare {stream}: {e}");
            let taken: bool = cmd("EXISTS").arg(stream).query_async(&mut connection).await.map_err(text)?;
            if taken {
                return Err(format!(
                    "{stream} exists on this server; the demo wants keys of its own: \
                     DEL it if it is left from a demo, or unset REDIS_URL for a private server"
                ));
            }
            let mut create = cmd("XGROUP");
            create.arg("CREATE").arg(stream).arg(group).arg("0").arg("MKSTREAM");
            create.query_async::<()>(&mut connection).await.map_err(text)?;
        }
        let jobs = Arc::<Mutex<Vec<Job>>>::default();
        let mut tasks = JoinSet::new();
        let [orders, payments, chat] = STREAMS.map(|(stream, _)| stream);
        tasks.spawn(produce(connection.clone(), orders, 6));
        tasks.spawn(produce(connection.clone(), payments, 1));
        tasks.spawn(produce(connection.clone(), chat, 2));
        for (stream, group) in STREAMS {
            let worker =
                Worker { connection: connection.clone(), stream, group, jobs: jobs.clone(), handled: 0 };
            tasks.spawn(worker.run());
        }
        tasks.spawn(misbehave(connection.clone()));
        Ok(Workload { tasks, connection, jobs })
    }

    /// What was handled since the last call.
    pub fn take_jobs(&self) -> Vec<Job> {
        std::mem::take(&mut self.jobs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stops, and deletes the demo's keys. On the connection that the workload used: what is still under way there
    /// comes first, so that nothing makes a key again.
    pub async fn clean_up(mut self) {
        self.tasks.shutdown().await;
        let keys = STREAMS.map(|(stream, _)| stream);
        // A server that is gone has no keys left to delete.
        let _ = cmd("DEL").arg(&keys).query_async::<()>(&mut self.connection).await;
    }
}

/// Adds `count` entries a tick; one payment in fifty is broken.
async fn produce(mut connection: MultiplexedConnection, stream: &'static str, count: u64) {
    let mut tick = ticker(TICK);
    let mut number = 0_u64;
    loop {
        tick.tick().await;
        let mut pipe = redis::pipe();
        for _ in 0..count {
            number += 1;
            let amount =
                if number.is_multiple_of(50) { "broken".to_owned() } else { (number % 97).to_string() };
            pipe.cmd("XADD").arg(stream).arg("MAXLEN").arg("~").arg(20_000).arg("*");
            pipe.arg("number").arg(number).arg("amount").arg(amount).ignore();
        }
        let _ = pipe.query_async::<()>(&mut connection).await;
    }
}

/// One consumer of one group.
struct Worker {
    connection: MultiplexedConnection,
    stream: &'static str,
    group: &'static str,
    jobs: Arc<Mutex<Vec<Job>>>,
    handled: u64,
}

impl Worker {
    async fn run(mut self) {
        let mut tick = ticker(TICK);
        let start = Instant::now();
        loop {
            tick.tick().await;
            let into = Duration::from_millis((start.elapsed().as_millis() % ROUND.as_millis()) as u64);
            let slow = self.group == "billing" && into < SLOW;
            // A server that does not answer shows on the screen; the workload goes on when it is back.
            let _ = self.handle(if slow { 2 } else { 200 }).await;
        }
    }

    async fn handle(&mut self, count: usize) -> redis::RedisResult<()> {
        let started = Instant::now();
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(self.group).arg("worker-1").arg("COUNT").arg(count);
        let reply: Option<redis::streams::StreamReadReply> =
            read.arg("STREAMS").arg(self.stream).arg(">").query_async(&mut self.connection).await?;
        let entries: Vec<_> = reply.into_iter().flat_map(|r| r.keys).flat_map(|k| k.ids).collect();
        for (n, entry) in entries.iter().enumerate() {
            // The ledger cannot read a broken amount: it leaves the entry pending, as a crashing worker does.
            if self.group == "ledger" && entry.get::<String>("amount").as_deref() == Some("broken") {
                continue;
            }
            self.handled += 1;
            let work = match (self.handled % 40, n) {
                (0, _) => 20, // one in forty takes ten times as long
                (_, 0..3) => 2,
                _ => 0, // catching up
            };
            tokio::time::sleep(Duration::from_millis(work)).await;
            cmd("XACK")
                .arg(self.stream)
                .arg(self.group)
                .arg(&entry.id)
                .query_async::<()>(&mut self.connection)
                .await?;
            self.done(started);
        }
        Ok(())
    }

    fn done(&self, started: Instant) {
        let millis = started.elapsed().as_secs_f64() * 1e3;
        let at =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push(Job { route: self.group, millis, at });
    }
}

/// Commands that fail twice a second, and one that holds the server for some milliseconds every two seconds.
async fn misbehave(mut connection: MultiplexedConnection) {
    let mut tick = ticker(Duration::from_millis(500));
    for round in 0_u64.. {
        tick.tick().await;
        let _ = cmd("INCR").arg(STREAMS[0].0).query_async::<Value>(&mut connection).await;
        if round.is_multiple_of(4) {
            let busy = "local n = 0 for i = 1, 400000 do n = n + i end return n";
            let _ = cmd("EVAL").arg(busy).arg(0).query_async::<Value>(&mut connection).await;
        }
    }
}

fn ticker(period: Duration) -> tokio::time::Interval {
    let mut ticker = interval(period);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}
