//! `streamgauge demo`: a Redis, a workload and the collector between them, on one screen.
//!
//! The collector is this binary as a child, on `configs/quickstart.yaml`; what the screen shows came out of its OTLP
//! exporter. Within half a minute a group falls behind, an alert goes pending and firing, the group catches up and
//! the alert resolves. Ctrl-C ends all of it.

mod collector;
mod feed;
mod screen;
mod server;
mod state;
mod workload;

use std::io::{IsTerminal as _, Write as _, stdout};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use self::collector::Collector;
use self::feed::{Feed, Sender};
use self::screen::Paint;
use self::server::Server;
use self::workload::Workload;
use crate::cli::Failure;

/// How often plain lines repeat the whole table where there is no terminal.
const PLAIN_EVERY: u64 = 5;

/// Another screen of the terminal, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// How long to run and on which Redis.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct DemoArgs {
    /// A Redis for trying out; keys of the demo are made on it and deleted again. Without it a private redis-server.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis: Option<String>,
    /// End after this many seconds; without it at Ctrl-C.
    #[arg(long)]
    seconds: Option<u64>,
}

/// Runs until Ctrl-C, SIGTERM, or the given seconds are over.
pub(crate) fn demo(args: &DemoArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::runtime)?;
    runtime.block_on(run(args)).map_err(Failure::runtime)
}

async fn run(args: &DemoArgs) -> Result<(), String> {
    let server = Server::start(args.redis.clone().filter(|url| !url.is_empty())).await?;
    let feed = Feed::start().await?;
    let workload = Workload::start(server.connect().await?).await?;
    let mut collector = Collector::start(server.url(), &feed.url())?;
    let sender = Sender::new(collector.otlp_url())?;
    let title = title(&server).await;
    let mut show = Show::new(&title);
    let done = tokio::select! {
        result = show.go_on(&feed, &workload, &sender, args.seconds) => result,
        why = collector.ended() => Err(why),
        () = asked_to_stop() => Ok(()),
    };
    show.end(&feed);
    collector.stop().await;
    if !server.is_private() {
        workload.clean_up().await;
    }
    done
}

/// The server's version, and whether it is ours.
async fn title(server: &Server) -> String {
    let whose = if server.is_private() { "private" } else { "from REDIS_URL" };
    let Ok(mut connection) = server.connect().await else { return format!("redis ({whose})") };
    let info: String =
        redis::cmd("INFO").arg("server").query_async(&mut connection).await.unwrap_or_default();
    let field = |name| info.lines().find_map(|l| l.strip_prefix(name)).unwrap_or("?").to_owned();
    format!("redis {} ({whose})", field("redis_version:"))
}

async fn asked_to_stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// The running picture.
struct Show<'a> {
    title: &'a str,
    terminal: bool,
    start: Instant,
}

impl<'a> Show<'a> {
    fn new(title: &'a str) -> Self {
        let show = Show { title, terminal: stdout().is_terminal(), start: Instant::now() };
        if show.terminal {
            show.write(ENTER);
        }
        show
    }

    /// Draws every second, and sends the workload's latencies on the way.
    async fn go_on(
        &mut self,
        feed: &Feed,
        workload: &Workload,
        sender: &Sender,
        seconds: Option<u64>,
    ) -> Result<(), String> {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tick.tick().await;
            sender.send(workload.take_jobs()).await;
            let passed = self.start.elapsed().as_secs();
            self.draw(feed, passed);
            if seconds.is_some_and(|limit| passed >= limit) {
                return Ok(());
            }
        }
    }

    fn draw(&self, feed: &Feed, passed: u64) {
        let mut state = feed.state();
        let new = state.take_new();
        if self.terminal {
            let picture = screen::picture(&state, Paint(true), self.title, passed);
            self.write(&format!("\x1b[H{}\x1b[J", picture.replace('\n', "\x1b[K\r\n")));
            return;
        }
        for transition in &new {
            self.write(&format!("{}\n", screen::transition_line(transition, Paint(false))));
        }
        if passed.is_multiple_of(PLAIN_EVERY) {
            self.write(&format!("{}\n", screen::picture(&state, Paint(false), self.title, passed)));
        }
    }

    /// Gives the terminal back, with the last picture on it.
    fn end(&self, feed: &Feed) {
        if self.terminal {
            let passed = self.start.elapsed().as_secs();
            self.write(LEAVE);
            self.write(&screen::picture(&feed.state(), Paint(true), self.title, passed));
        }
    }

    /// A terminal that is gone is no reason to fail: the demo ends by itself or by its signal.
    fn write(&self, text: &str) {
        let mut out = stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests;
