//! `streamgauge explain`: what an answer of Redis means, and what to do.

use clap::Args;
use serde_json::json;

use crate::cli::{Failure, print};

#[derive(Debug, Clone, Args)]
pub(crate) struct ExplainArgs {
    /// The word that the answer begins with, such as `NOGROUP`; all of them without it.
    code: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A word, why it is said, what to do, and what this program does by itself.
struct Entry {
    code: &'static str,
    cause: &'static str,
    fix: &'static str,
    here: &'static str,
}

const fn entry(code: &'static str, cause: &'static str, fix: &'static str, here: &'static str) -> Entry {
    Entry { code, cause, fix, here }
}

const ENTRIES: [Entry; 12] = [
    entry(
        "NOGROUP",
        "The stream has no such consumer group: it was never made, or went with the key or by XGROUP DESTROY.",
        "XGROUP CREATE STREAM GROUP ID MKSTREAM; `streamgauge streams inspect STREAM` lists the groups.",
        "The receiver redis_stream makes the group again (group.create) and goes on.",
    ),
    entry(
        "BUSYGROUP",
        "The group exists already.",
        "Use it, or choose another name.",
        "The receiver redis_stream uses it.",
    ),
    entry(
        "WRONGTYPE",
        "The key holds something else than a stream.",
        "Use another name. Before deleting the key look at what it is: TYPE, MEMORY USAGE, and its content.",
        "That stream alone is set aside and shown; the exporter redis_stream sends the entry to its dead letter.",
    ),
    entry(
        "OOM",
        "The server is at its maxmemory and its policy lets it evict nothing.",
        "Give it more memory, or trim: `streamgauge streams trim`; `noeviction` is right for streams.",
        "The exporter redis_stream tries again; its queue fills, and its sources slow down.",
    ),
    entry(
        "READONLY",
        "The server is a replica: a failover happened, or the address is that of a replica.",
        "Name the master, a sentinel, or a node of the cluster: with topology `auto` the master is found.",
        "The topology is looked up again, and the command sent again.",
    ),
    entry(
        "LOADING",
        "The server reads its data from the disk after a start.",
        "Wait.",
        "The command is sent again.",
    ),
    entry(
        "MASTERDOWN",
        "A replica has lost its master, and gives no old data (replica-serve-stale-data no).",
        "Bring the master back, or let a sentinel promote a replica.",
        "The topology is looked up again, and the command sent again.",
    ),
    entry(
        "MOVED",
        "Another node of the cluster has the key.",
        "Use a client that knows clusters.",
        "It is followed at once.",
    ),
    entry(
        "UNBLOCKED",
        "A blocked reader was let go: the key was deleted, or the master became a replica.",
        "See what deletes the key; XTRIM empties a stream and keeps its groups.",
        "The receiver redis_stream makes the group again where it is gone, and reads on.",
    ),
    entry(
        "NOAUTH",
        "The server asks for a password.",
        "Set password or password_file; on the command line the variable REDIS_PASSWORD.",
        "Nothing is sent until it is there.",
    ),
    entry(
        "NOPERM",
        "The ACL user may not run the command or touch the key.",
        "`streamgauge doctor` prints the ACL rule that is missing.",
        "Said once, and the rest goes on.",
    ),
    entry(
        "MISCONF",
        "The server takes no writes since its last RDB snapshot failed.",
        "See its log; most often the disk is full.",
        "The command is sent again.",
    ),
];

/// Prints one entry, or all.
pub(crate) fn explain(args: &ExplainArgs) -> Result<(), Failure> {
    let wanted = args.code.as_ref().map(|code| code.trim_start_matches('-').to_ascii_uppercase());
    let word = wanted.as_deref().and_then(|text| text.split_whitespace().next());
    let found: Vec<&Entry> =
        ENTRIES.iter().filter(|entry| word.is_none_or(|word| word == entry.code)).collect();
    if found.is_empty() {
        let known: Vec<_> = ENTRIES.iter().map(|entry| entry.code).collect();
        let word = word.unwrap_or_default();
        return Err(Failure::runtime(format!("{word} is not known here; known are {}", known.join(", "))));
    }
    if args.json {
        let one = |e: &&Entry| json!({"code": e.code, "cause": e.cause, "fix": e.fix, "here": e.here});
        return print(&format!("{:#}", found.iter().map(one).collect::<serde_json::Value>()));
    }
    let text =
        |e: &&Entry| format!("{}\n  cause  {}\n  fix    {}\n  here   {}", e.code, e.cause, e.fix, e.here);
    print(&found.iter().map(text).collect::<Vec<_>>().join("\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_answer_of_the_server_is_understood_and_an_unknown_one_lists_what_is_known() {
        let args = |code: &str| ExplainArgs { code: Some(code.to_owned()), json: false };
        for code in ["NOGROUP", "nogroup", "-OOM command not allowed when used memory > 'maxmemory'"] {
            assert!(explain(&args(code)).is_ok(), "{code}");
        }
        let error = explain(&args("E42")).unwrap_err();
        assert!(error.text.contains("E42") && error.text.contains("BUSYGROUP"), "{}", error.text);
    }
}
