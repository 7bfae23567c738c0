//! State of a processor that outlives the process: read before its first call, written after each that changed it.

use std::time::Duration;

use streamgauge_component::{Host, Lasting, Out, State};
use streamgauge_storage::Cell;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::{Instant, sleep};

/// How long a processor waits at its start for the extension that stores its state.
const PATIENCE: Duration = Duration::from_secs(5);
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Where one instance's state is kept.
pub(crate) struct Memory {
    /// Name of the cell.
    name: String,
    /// Set once the state of the instance before has been taken over, or could not be.
    read: OnceCell<()>,
    /// One write at a time, so that the last one holds the newest state.
    writing: Mutex<()>,
}

impl Memory {
    pub(crate) fn new(name: String) -> Self {
        Memory { name, read: OnceCell::new(), writing: Mutex::default() }
    }

    /// Hands the processor the state that was written last, once; `ended` gets what it asked for.
    pub(crate) async fn restore(&self, lasting: &dyn Lasting, host: &Host, ended: impl FnOnce(Out)) {
        let read = async {
            match self.last(lasting.storage(), host).await {
                Ok(None) => {}
                Ok(Some(state)) => {
                    let mut out = Out::new(host.clock().now());
                    match lasting.restore(&state, &mut out) {
                        Ok(()) => ended(out),
                        Err(error) => tracing::error!(
                            id = %host.id(), %error, "the state of the last run cannot be read: it begins anew"
                        ),
                    }
                }
                Err(error) => host.report(State::Recoverable, Some(error)),
            }
        };
        self.read.get_or_init(|| read).await;
    }

    async fn last(&self, storage: &str, host: &Host) -> Result<Option<bytes::Bytes>, String> {
        let until = Instant::now() + PATIENCE;
        let cell = loop {
            match self.cell(storage, host) {
                Ok(cell) => break cell,
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => sleep(ASK_EVERY).await,
            }
        };
        cell.read().await.map_err(|error| error.to_string())
    }

    /// Writes the state as it is now. A failure is the component's state until a write succeeds.
    pub(crate) async fn write(&self, lasting: &dyn Lasting, host: &Host) {
        let _turn = self.writing.lock().await;
        let written = match self.cell(lasting.storage(), host) {
            Ok(cell) => cell.write(lasting.state()).await.map_err(|error| error.to_string()),
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => host.report(State::Ok, None),
            Err(error) => {
                let text = format!("its state cannot be stored, a restart would forget it: {error}");
                host.report(State::Recoverable, Some(text));
            }
        }
    }

    fn cell(&self, storage: &str, host: &Host) -> Result<Cell, String> {
        Ok(host.storage(storage).map_err(|error| error.to_string())?.cell(&self.name))
    }
}
