//! Child processes on a core of their own: the bench itself in another mode, the collector, the peers.
//!
//! The bench's own children take commands line by line and answer each with one line; they end when their standard
//! input does, so none outlives the bench.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

const ANSWER: Duration = Duration::from_secs(20);
const READY: Duration = Duration::from_secs(20);

/// A running program; killed when dropped.
pub struct Process(Child);

impl Process {
    /// Starts `command` on `core`, its output in `log`.
    pub fn start(command: &Command, core: usize, log: &Path) -> Process {
        let out = File::create(log).expect("create a log file");
        let err = out.try_clone().expect("share a log file");
        let mut command = pinned(command, core);
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        Process(child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}")))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until something listens at `address`.
    pub fn wait_for_port(&mut self, address: SocketAddr, log: &Path) {
        if !self.listens(address) {
            panic!("nothing listens at {address}:\n{}", std::fs::read_to_string(log).unwrap_or_default());
        }
    }

    /// Whether something listens at `address` before the time is up or the program has ended.
    pub fn listens(&mut self, address: SocketAddr) -> bool {
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = self.0.try_wait().expect("ask for the child's state");
            if ended.is_some() || start.elapsed() > READY {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// SIGTERM. Whether it has ended within this time.
    pub fn terminate(&mut self, within: Duration) -> bool {
        let signalled = Command::new("kill").args(["-TERM", &self.id().to_string()]).status();
        assert!(signalled.is_ok_and(|status| status.success()), "kill -TERM");
        let start = Instant::now();
        while self.0.try_wait().expect("ask for the child's state").is_none() {
            if start.elapsed() > within {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The bench in another mode.
pub struct Helper {
    process: Process,
    lines: Receiver<String>,
}

impl Helper {
    /// Starts this program with `args` on `core`. Its first line of output is the second value.
    pub fn start(args: &[String], core: usize) -> (Helper, String) {
        let mut command = Command::new(std::env::current_exe().expect("know this program"));
        let mut command = pinned(command.args(args), core);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start this program again");
        let out = child.stdout.take().expect("the child's output is a pipe");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let helper = Helper { process: Process(child), lines };
        let first = helper.next(&args.join(" "));
        (helper, first)
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Gives a command and reads its answer.
    pub fn ask<T: DeserializeOwned>(&mut self, command: &str) -> T {
        let stdin = self.process.0.stdin.as_mut().expect("the child's input is a pipe");
        writeln!(stdin, "{command}").expect("the child reads commands");
        let line = self.next(command);
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{command} was answered {line:?}: {error}"))
    }

    fn next(&self, what: &str) -> String {
        self.lines.recv_timeout(ANSWER).unwrap_or_else(|_| panic!("no answer within {ANSWER:?}: {what}"))
    }
}

/// `taskset` becomes the program, so the process id is the program's.
fn pinned(command: &Command, core: usize) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", &core.to_string()]).arg(command.get_program()).args(command.get_args());
    pinned
}

/// The child's side: says `first`, then answers each line of its input until that ends, and the program with it.
pub fn answer_commands(first: &str, answer: impl Fn(&str) -> String + Send + 'static) {
    println!("{first}");
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            println!("{}", answer(line.trim()));
        }
        std::process::exit(0);
    });
}
