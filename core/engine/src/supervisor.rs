//! What a fall means: for the component alone, or with `service.fail_fast` for the whole collector.

use streamgauge_component::{Host, State};
use tokio::sync::watch;

/// One for a running collector; hears of every component that fell.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    fail_fast: bool,
    fatal: watch::Sender<Option<String>>,
}

impl Supervisor {
    pub(crate) fn new(fail_fast: bool) -> Self {
        Supervisor { fail_fast, fatal: watch::Sender::default() }
    }

    pub(crate) fn fail_fast(&self) -> bool {
        self.fail_fast
    }

    /// A component panicked.
    pub(crate) fn fell(&self, host: &Host, why: String) {
        if !self.fail_fast {
            return host.report(State::Recoverable, Some(why));
        }
        host.report(State::Fatal, Some(why.clone()));
        let text = format!("{:?} {}: {why}", &**host.id(), host.kind().as_str());
        self.fatal.send_modify(|first| *first = first.take().or(Some(text)));
    }

    /// Returns when the collector has to end, with the reason; never without `fail_fast`.
    pub(crate) async fn fatal(&self) -> String {
        let mut fatal = self.fatal.subscribe();
        let found = fatal.wait_for(Option::is_some).await.ok().and_then(|text| text.clone());
        match found {
            Some(text) => text,
            None => std::future::pending().await, // cannot be: the other end is `self`
        }
    }
}
