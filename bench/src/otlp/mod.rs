//! OTLP in, OTLP out: ours beside a relay that looks at nothing and beside the peers, on the same pinned core.
//!
//! - `rows`: the matrix. `subject`: who takes part, and how it is configured. `run`: one run. `table`: what is printed.
//! - `load`, `sink`, `relay`: this program in other modes, as children. `bodies`: what is sent.

mod backlog;
mod bodies;
mod child;
mod histogram;
pub mod load;
mod machine;
mod numbers;
mod promise;
pub mod relay;
mod rows;
mod run;
pub mod sink;
mod subject;
mod table;
mod wire;
pub mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

pub use self::child::{Helper, Process, answer_commands};
pub use self::load::LoadCounts;
pub use self::machine::about;
pub use self::numbers::{Account, Arrived, MARK, Sent};
use self::run::Times;
pub use self::run::{BENCH_CORE, SUBJECT_CORE, args};
pub use self::sink::{Latency, STAMP, SinkCounts};
pub use self::subject::{Programs, Subject};
use self::table::Done;

pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[derive(Args, Clone, Debug)]
pub struct OtlpArgs {
    /// A row to run, by its name; may be repeated. Without it every row.
    #[arg(long)]
    row: Vec<String>,
    /// Rounds of each row that holds a promise; in each, ours and its base run twice and the peers once.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The measured part of a run, in seconds.
    #[arg(long, default_value_t = 4.0)]
    window: f64,
    /// The measured part of a run whose sink is slow or stalled, in seconds.
    #[arg(long, default_value_t = 60.0)]
    overload: f64,
    /// Bytes of the backlog of the rows that have one, in millions.
    #[arg(long, default_value_t = 2000)]
    backlog: u64,
    /// Where the peers are: what `bench/peers/setup` made.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Leave the peers out.
    #[arg(long)]
    no_peers: bool,
    /// Watch the idle agent for a minute too, and write docs/performance.md.
    #[arg(long)]
    pub document: bool,
    /// Keep the rows of the last run that are not run now.
    #[arg(long)]
    keep: bool,
}

impl OtlpArgs {
    /// The rows of `quick`, everything else as the defaults are.
    pub fn quick() -> Self {
        OtlpArgs {
            row: rows::QUICK.map(str::to_owned).to_vec(),
            rounds: 1,
            window: 3.0,
            overload: 10.0,
            backlog: 2000,
            peers: None,
            no_peers: false,
            document: false,
            keep: false,
        }
    }

    /// Every row, and the document.
    pub fn everything() -> Self {
        OtlpArgs { row: Vec::new(), rounds: 3, window: 3.0, overload: 60.0, document: true, ..Self::quick() }
    }
}

/// Runs the rows, prints the table, stores it; whether all promises hold. `idle` is stored beside.
pub fn measure(args: &OtlpArgs, ours: &Path, idle: &[crate::table::Row]) -> Result<bool, String> {
    let all = rows::all();
    let mut chosen = all.clone();
    if let Some(unknown) = args.row.iter().find(|name| chosen.iter().all(|row| row.name != **name)) {
        let names: Vec<_> = chosen.iter().map(|row| &*row.name).collect();
        return Err(format!("there is no row {unknown}; there are {}", names.join(", ")));
    }
    chosen.retain(|row| args.row.is_empty() || args.row.iter().any(|name| **name == row.name));
    if !ours.is_file() {
        return Err(format!("{} is not there: build it, or name it with --binary", ours.display()));
    }
    if std::thread::available_parallelism().map_or(0, usize::from) < 2 {
        return Err("two cores are needed: one for what is measured, one for what measures".to_owned());
    }
    let none = args.no_peers.then(PathBuf::new);
    let programs = Programs::new(ours, &none.unwrap_or_else(|| peers(args.peers.as_deref())));
    let times = Times {
        warm_up: Duration::from_secs(1),
        window: Duration::from_secs_f64(args.window),
        overload: Duration::from_secs_f64(args.overload),
        backlog: args.backlog * 1_000_000,
    };
    let about = about(&programs);
    let mut done = match args.keep {
        true => table::kept(&last(), &all, &chosen),
        false => Vec::new(),
    };
    let before = done.len();
    for row in chosen {
        let mut runs = Vec::new();
        let rounds = row.rounds(args.rounds);
        for round in 0..rounds {
            for subject in row.round(round) {
                if !subject.is_there(&programs) || subject.lacks(&row).is_some() {
                    continue;
                }
                let dir = directory()?;
                let measured = run::run(&row, subject, &programs, times, dir.path(), &runs);
                println!(
                    "{} {}/{rounds} {}: {:.0} ns a record, {:.0} records/s",
                    row.name,
                    round + 1,
                    subject.name(),
                    measured.cpu_ns,
                    measured.rate
                );
                runs.push(measured);
            }
        }
        done.push(Done { row, date: machine::date(), runs });
        // After each row, so that a long run that breaks off has not been for nothing.
        store(&in_order(&all, &done), &about, idle, args.document)?;
    }
    println!("\n{}", table::text(&in_order(&all, &done[before..])));
    Ok(done[before..].iter().flat_map(Done::promises).all(|promise| promise.holds))
}

/// Where the peers are: there, or where `bench/peers/setup` puts them.
pub fn peers(there: Option<&Path>) -> PathBuf {
    there.map_or_else(|| Path::new(ROOT).join("target/peers"), Path::to_owned)
}

/// A new one beside this program, so that it is on a disk: a temporary directory may be memory.
pub fn directory() -> Result<tempfile::TempDir, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let parent = program.parent().unwrap_or(Path::new("."));
    tempfile::tempdir_in(parent).map_err(|error| format!("make a directory in {}: {error}", parent.display()))
}

/// As the rows stand in the table, whenever they were run.
fn in_order<'d>(all: &[rows::Row], done: &'d [Done]) -> Vec<&'d Done> {
    all.iter().filter_map(|row| done.iter().find(|done| done.row.name == row.name)).collect()
}

/// The results of the last run.
fn last() -> serde_json::Value {
    let text = std::fs::read_to_string(Path::new(ROOT).join("bench/results/otlp.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn store(
    done: &[&Done],
    about: &serde_json::Value,
    idle: &[crate::table::Row],
    document: bool,
) -> Result<(), String> {
    let write = |name: &str, text: String| {
        let path = Path::new(ROOT).join(name);
        std::fs::write(&path, text).map_err(|error| format!("write {}: {error}", path.display()))
    };
    std::fs::create_dir_all(Path::new(ROOT).join("bench/results")).map_err(|error| error.to_string())?;
    let markdown = table::markdown(done);
    let mut json = table::json(done, about);
    let mut idle_json = crate::table::json(idle)["rows"].take();
    if idle.is_empty() {
        idle_json = last()["idle"].take();
    }
    json["idle"] = idle_json;
    write("bench/results/otlp.json", format!("{json:#}\n"))?;
    write("bench/results/otlp.md", markdown.clone())?;
    if document {
        let page = machine::document(about, &table::verdicts(done), &markdown, &crate::table::markdown(idle));
        write("docs/performance.md", page)?;
    }
    Ok(())
}
