//! All examinations at once, and a word about those that take longer than a second.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::finding::Finding;

/// One target's examination, and its name for people.
pub(super) struct Examination {
    pub(super) name: String,
    pub(super) run: BoxFuture<'static, Vec<Finding>>,
}

/// The findings in the order of the examinations.
pub(super) async fn together(all: Vec<Examination>) -> Vec<Finding> {
    let mut waiting: Vec<Option<String>> = all.iter().map(|one| Some(one.name.clone())).collect();
    let mut found: Vec<Vec<Finding>> = all.iter().map(|_| Vec::new()).collect();
    let mut running: FuturesUnordered<_> =
        all.into_iter().enumerate().map(|(n, one)| async move { (n, one.run.await) }).collect();
    let second = Duration::from_secs(1);
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + second, second);
    let mut line = Line::default();
    loop {
        tokio::select! {
            done = running.next() => {
                let Some((n, findings)) = done else { break };
                waiting[n] = None;
                found[n] = findings;
            }
            _ = tick.tick() => line.show(&waiting.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ")),
        }
    }
    line.clear();
    found.into_iter().flatten().collect()
}

/// On a terminal a line that is written over, elsewhere a line for each change.
#[derive(Default)]
struct Line {
    shown: String,
}

impl Line {
    fn show(&mut self, waiting: &str) {
        if self.shown != waiting {
            let (begin, end) = if stderr().is_terminal() { ("\r\x1b[K", "") } else { ("", "\n") };
            let _ = write!(stderr(), "{begin}examining {waiting} ...{end}");
            self.shown = waiting.to_owned();
        }
    }

    fn clear(&self) {
        if !self.shown.is_empty() && stderr().is_terminal() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
