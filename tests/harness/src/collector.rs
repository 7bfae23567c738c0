//! The collector's binary as a child: its configuration, log, readiness, signals and exit code.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;
use crate::{http, poll_until};

/// A running collector.
pub struct Collector {
    process: Process,
    dir: TempDir,
}

/// How a [`Collector`] is to be started.
pub struct CollectorBuilder {
    program: PathBuf,
    configs: Vec<String>,
    files: Vec<PathBuf>,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl CollectorBuilder {
    /// Adds a configuration as text; it is written to a file and passed with `--config`.
    pub fn config(mut self, yaml: &str) -> Self {
        self.configs.push(yaml.to_owned());
        self
    }

    /// Adds an existing configuration file, before those given as text.
    pub fn config_file(mut self, path: impl AsRef<Path>) -> Self {
        self.files.push(path.as_ref().to_owned());
        self
    }

    /// Adds a command line argument, after the configurations.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the program. It may still be loading, or fail: see [`Collector::wait_for_log`].
    pub fn start(self) -> Collector {
        let dir = tempfile::tempdir().expect("make a directory");
        let mut command = Command::new(&self.program);
        for file in &self.files {
            command.arg("--config").arg(file);
        }
        for (n, text) in self.configs.iter().enumerate() {
            let path = dir.path().join(format!("config-{n}.yaml"));
            std::fs::write(&path, text).expect("write a configuration");
            command.arg("--config").arg(path);
        }
        command.args(&self.args).envs(self.env).current_dir(dir.path());
        let process = Process::spawn(&mut command, &dir.path().join("collector.log"));
        Collector { process, dir }
    }
}

impl Collector {
    /// A builder for the binary at `program` (in the root package's tests `env!("CARGO_BIN_EXE_streamgauge")`).
    pub fn builder(program: impl Into<PathBuf>) -> CollectorBuilder {
        CollectorBuilder {
            program: program.into(),
            configs: vec![],
            files: vec![],
            args: vec![],
            env: vec![],
        }
    }

    /// Everything written to standard output and error so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The process id, for /proc.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The directory it runs in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Waits until the log holds `text`; panics with the log when it does not come or the process ends.
    #[track_caller]
    pub fn wait_for_log(&mut self, text: &str, within: Duration) {
        self.wait(&format!("the log has {text:?}"), within, |log| log.contains(text).then_some(()));
    }

    /// Waits until GET `url` answers 200, such as the health check's.
    #[track_caller]
    pub fn wait_for_ok(&mut self, url: &str, within: Duration) {
        self.wait(&format!("{url} is 200"), within, |_| {
            http::get(url).ok().filter(|a| a.status == 200).map(drop)
        });
    }

    #[track_caller]
    fn wait(&mut self, what: &str, within: Duration, mut look: impl FnMut(&str) -> Option<()>) {
        let start = std::time::Instant::now();
        poll_until(what, within + Duration::from_secs(1), || {
            let log = self.log();
            if let Some(found) = look(&log) {
                return Some(found);
            }
            if let Some(status) = self.process.ended() {
                panic!("the collector ended with {status}; wanted: {what}\n{log}");
            }
            assert!(start.elapsed() < within, "not within {within:?}: {what}\n{log}");
            None
        });
    }

    /// Sends a signal by name: `TERM`, `INT`, `HUP`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits for the end and gives the exit code; `None` when a signal ended it.
    #[track_caller]
    pub fn exit_code(&mut self, within: Duration) -> Option<i32> {
        self.process.wait(within).code()
    }

    /// SIGTERM, then the exit code and the whole log.
    #[track_caller]
    pub fn terminate(mut self, within: Duration) -> (Option<i32>, String) {
        self.signal("TERM");
        let code = self.exit_code(within);
        (code, self.log())
    }
}
