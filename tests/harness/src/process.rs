//! A child process that dies with its handle, and the ports such processes listen on.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::poll_until;

/// A free loopback port, below the range from which the kernel picks ports for outgoing connections, so
/// that a server which is restarted finds its port free again.
pub fn free_port() -> u16 {
    loop {
        let random = RandomState::new().build_hasher().finish();
        let port = 20_000 + (random % 12_000) as u16;
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
