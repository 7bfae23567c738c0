//! Where and when it was measured, and with which versions.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::subject::Programs;

/// The machine, the date and the programs.
pub fn about(programs: &Programs) -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: String, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({
        "date": date(),
        "cpu": field(read("/proc/cpuinfo"), "model name"),
        "cores": cores,
        "memory": field(read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_average": read("/proc/loadavg").split_whitespace().next(),
        "streamgauge": version(&programs.ours),
        "go collector": version(&programs.go),
        // The agent of the PyPI wheel 0.0.1a15 says what it was built from.
        "rotel": version(&programs.rotel),
    })
}

/// Now.
pub fn date() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn version(program: &Path) -> Option<String> {
    let out = Command::new(program).arg("--version").output().ok()?;
    String::from_utf8_lossy(&out.stdout).lines().next().map(str::to_owned)
}

/// The document that keeps the last table.
pub fn document(about: &Value, verdicts: &str, table: &str, idle: &str) -> String {
    let of = |key: &str| about[key].as_str().unwrap_or("not there").to_owned();
    format!(
        "# Performance\n\n\
         Measured {date} on {cores} cores of {cpu}, {memory} of memory, Linux {kernel}; load average of the machine at the \
         start: {load}. This page is written by `make bench`; `bench/results/` has every run.\n\n\
         - Streamgauge: {ours}\n- Go Collector: {go}\n- Rotel: {rotel} (the PyPI wheel, older than the project's latest)\n\n\
         ## How to read it\n\n\
         The subject has core 0 to itself; load generator and sink share core 1. Records are about 262 bytes with five \
         attributes. Rows without `saturated` offer a fixed rate, those with it send as fast as answers come, 16 requests under way. \
         The floor is a relay on hyper that looks at nothing; `own pass` is ourselves without the row's job. Runs of ours \
         and of the base stand in balanced order (base, ours, ours, base), peers after them; the numbers are medians.\n\n\
         - `CPU ns/rec`: CPU time of the subject's process for each acknowledged record (each delivered one where the sink is \
         slow), out of the kernel's schedstat. `of base`: against the floor or the own pass. `of ours`: against Streamgauge.\n\
         - `lost`: acknowledged, not delivered half a minute after the load ended. `later`: requests refused with a retryable \
         code and a delay. `refused`: refused in another way, or broken off.\n\
         - Rows that hold a promise run three rounds and the others one unless a run asks for other numbers (`runs`: two of ours and \
         of the base each round); Rotel runs in the first round alone, and overload rows once. A run of some rows keeps the last \
         figures of all others.\n\
         - Overload rows offer 100,000 records/s for a minute to a sink that takes a third of it or nothing; queues are bounded by \
         `memory_limiter` at {bound} MiB alone (Rotel has none). What counts is that nothing acknowledged is lost once the sink is back.\n\
         - Rows of the queue on the disk and their like have numbered requests: `lost` and `twice` (delivered more often than once) are of \
         those. Their queue has room for 100 requests and makes senders wait, so that `records/s` is what left it. Ours syncs \
         before it answers; the Go Collector's `file_storage` does with `fsync: true`, which is not its default. The bare writer \
         writes and syncs the same bytes in groups as large as ours were, over blocks that were written before, and does nothing else.\n\
         - `backlog`: 2 GB of records are acknowledged while the sink stands still, then it takes what it is sent, while 20,000 records/s \
         more arrive. `records/s` and CPU are of the drain. It is cut into seconds, or twenty pieces if it is shorter than twenty.\n\
         - Overload rows with a disk queue have no other bound than `memory_limiter` and the disk; all that was acknowledged must \
         have arrived four minutes after the load ended.\n\
         - Pass and tag rows answer when the sink has the data. Rotel answers before it sends and gives no other choice.\n\n\
         ## What was promised\n\n{verdicts}\n\
         ## The idle agent\n\nconfigs/quickstart.yaml on a private Redis with three streams, watched for a minute; the binary as it is shipped.\n\n{idle}\n\
         ## The table\n\n{table}\n\
         ## Reproduce\n\n\
         ```sh\n\
         make bench                                     # peers, every row, this page\n\
         make bench-quick                               # the three most important rows\n\
         cargo run --release -p streamgauge-bench -- otlp --row pass-logs-grpc --row tag --rounds 5\n\
         ```\n\n\
         Two cores are needed, and nothing else running on them. `bench/peers/setup` builds the Go Collector (Go 1.24 or later) and \
         fetches Rotel (Python 3.11, x86-64); a peer that is not there is left out.\n",
        date = of("date"),
        cores = about["cores"],
        bound = super::rows::MEMORY_MIB,
        cpu = of("cpu"),
        memory = of("memory"),
        kernel = of("kernel"),
        load = of("load_average"),
        ours = of("streamgauge"),
        go = of("go collector"),
        rotel = of("rotel"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_machine_date_table_and_the_command() {
        let nowhere = || Path::new("/nonexistent").to_owned();
        let about = about(&Programs { ours: nowhere(), go: nowhere(), rotel: nowhere() });
        assert!(about["cores"].as_u64().unwrap() > 0);
        let text = document(&about, "- ok: fast", "| the table |", "| idle |");
        assert!(
            text.contains("| the table |")
                && text.contains("| idle |")
                && text.contains("- ok: fast")
                && text.contains("make bench")
        );
        assert!(text.contains("Go Collector: not there") && text.contains("Measured 20"));
    }
}
