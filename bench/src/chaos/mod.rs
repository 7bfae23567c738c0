//! What becomes of acknowledged records when things go wrong: ours and the Go Collector, side by side.
//!
//! - `scenarios`: what happens. `rig`: a collector that can be killed and started again, its load and its sink.
//! - `page`: the table, as `docs/reliability-peers.md`.

mod page;
mod rig;
mod scenarios;

use std::path::{Path, PathBuf};

use clap::Args;

use self::page::Line;
use self::scenarios::SCENARIOS;
use crate::otlp::{Programs, about, peers};

#[derive(Args, Clone, Debug)]
pub struct ChaosArgs {
    /// Scenarios whose title has this word; without it all.
    #[arg(long)]
    only: Option<String>,
    /// How often the collector is killed where it is killed at random moments.
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// Where the peers are: what `bench/peers/setup` made.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Write docs/reliability-peers.md; wants all scenarios.
    #[arg(long)]
    document: bool,
}

/// Runs the scenarios and prints the table; whether ours lost nothing but what it may.
pub fn run(args: &ChaosArgs, ours: &Path) -> Result<bool, String> {
    let programs = Programs::new(ours, &peers(args.peers.as_deref()));
    let about = about(&programs);
    let mut lines: Vec<Line> = Vec::new();
    for scenario in &SCENARIOS {
        if args.only.as_ref().is_some_and(|word| !scenario.title.contains(&**word)) {
            continue;
        }
        for subject in scenario.subjects() {
            if !subject.is_there(&programs) {
                continue;
            }
            let dir = crate::otlp::directory()?;
            let line = scenario.run(subject, &programs, args.kills, dir.path());
            println!("{}", line.text());
            lines.push(line);
        }
    }
    if args.document {
        let path = Path::new(crate::otlp::ROOT).join("docs/reliability-peers.md");
        let page = page::document(&lines, &about);
        std::fs::write(&path, page).map_err(|error| format!("write {}: {error}", path.display()))?;
    }
    let broken: Vec<&Line> = lines.iter().filter(|line| !line.holds()).collect();
    broken.iter().for_each(|line| println!("OVER  {}", line.text()));
    Ok(broken.is_empty())
}
