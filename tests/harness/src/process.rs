//! A child process that dies with its handle, and the ports such processes listen on.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::poll_until;

/// Ports below the range from which the kernel picks those of outgoing connections.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// A process takes its ports from one slice: two that run at the same time never get the same.
const SLICE: u16 = 1000;

struct Slice {
    first: u16,
    next: AtomicU16,
    /// Locked as long as this process lives.
    _lock: Option<File>,
}

impl Slice {
    fn take() -> Slice {
        let lock = |first: &u16| {
            let path = std::env::temp_dir().join(format!("streamgauge-ports-{first}"));
            let file = File::options().create(true).append(true).open(path).ok()?;
            file.try_lock().ok().map(|()| file)
        };
        let random = RandomState::new().build_hasher().finish() as u16;
        let mut slices = PORTS.step_by(usize::from(SLICE));
        let locked = slices.find_map(|first| Some((first, lock(&first)?)));
        // With more processes than slices some share one.
        let (first, lock) = match locked {
            Some((first, lock)) => (first, Some(lock)),
            None => (PORTS.start, None),
        };
        Slice { first, next: AtomicU16::new(random), _lock: lock }
    }
}

/// A free loopback port that nobody else gets soon, so that a server which is restarted finds it free again.
pub fn free_port() -> u16 {
    static OURS: OnceLock<Slice> = OnceLock::new();
    let ours = OURS.get_or_init(Slice::take);
    loop {
        let port = ours.first + ours.next.fetch_add(1, Ordering::Relaxed) % SLICE;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A running program whose output goes to a file.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with standard output and error appended to `log`.
    pub(crate) fn spawn(command: &mut Command, log: &Path) -> Process {
        let out = File::options().create(true).append(true).open(log).expect("open the log file");
        let err = out.try_clone().expect("share the log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}; run scripts/setup"));
        Process { child, log: log.to_owned() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The exit status if the process has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("ask for the child's state")
    }

    /// Sends a signal by name (`TERM`, `INT`, `STOP`, `CONT`).
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("run sh").success(), "{kill}");
    }

    /// Waits for the end; panics with the log when it does not come.
    pub(crate) fn wait(&mut self, within: Duration) -> ExitStatus {
        let what = format!("process {} ends", self.id());
        poll_until(&what, within, || self.child.try_wait().expect("ask for the child's state"))
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
