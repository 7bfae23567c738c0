//! Commands beyond the basic set: latency, clients, settings.

use super::{Priority, ReadCommand, cost_of};

/// The most ids that one page may name: ids that are gone cost little.
const IDS: usize = 3_000;

/// Settings that hold no secret and no path, and that say how the server is meant to behave.
pub const SAFE_SETTINGS: &[&str] = &[
    "activedefrag",
    "active-defrag-cycle-max",
    "active-defrag-cycle-min",
    "active-defrag-ignore-bytes",
    "active-defrag-threshold-lower",
    "active-defrag-threshold-upper",
    "appendfsync",
    "appendonly",
    "auto-aof-rewrite-min-size",
    "auto-aof-rewrite-percentage",
    "client-output-buffer-limit",
    "client-query-buffer-limit",
    "cluster-node-timeout",
    "cluster-require-full-coverage",
    "databases",
    "hz",
    "io-threads",
    "latency-monitor-threshold",
    "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire",
    "maxclients",
    "maxmemory",
    "maxmemory-clients",
    "maxmemory-policy",
    "maxmemory-samples",
    "min-replicas-max-lag",
    "min-replicas-to-write",
    "notify-keyspace-events",
    "repl-backlog-size",
    "repl-backlog-ttl",
    "repl-diskless-sync",
    "repl-ping-replica-period",
    "repl-timeout",
    "replica-read-only",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "stop-writes-on-bgsave-error",
    "stream-node-max-bytes",
    "stream-node-max-entries",
    "tcp-backlog",
    "tcp-keepalive",
    "timeout",
];

impl ReadCommand {
    /// `LATENCY HISTOGRAM`: all commands, since 7.0. For about so many commands: 1 us each.
    pub fn latency_histogram(commands: u64) -> Self {
        Self::new("latency|histogram", &[], 10 + cost_of(commands)).of(Priority::Normal)
    }

    /// `LATENCY LATEST`: the last and the greatest spike of each kind.
    pub fn latency_latest() -> Self {
        Self::new("latency|latest", &[], 5).of(Priority::Normal)
    }

    /// `CLIENT ID`: that of our own connection.
    pub fn client_id() -> Self {
        Self::new("client|id", &[], 1).of(Priority::Normal)
    }

    /// `CLIENT LIST ID id ...` for at most 3,000 ids of which at most so many are still there: 3 us each, while one
    /// that is gone costs next to nothing.
    pub fn client_list(ids: impl IntoIterator<Item = u64>, there: u64) -> Self {
        let ids: Vec<_> = ids.into_iter().take(IDS).map(|id| id.to_string()).collect();
        let mut words: Vec<&[u8]> = vec![b"ID"];
        words.extend(ids.iter().map(|id| id.as_bytes()));
        let there = there.min(ids.len() as u64);
        let cost = 10 + 3 * cost_of(there) + cost_of(ids.len() as u64 / 12);
        Self::new("client|list", &words, cost).of(Priority::Low)
    }

    /// `CONFIG GET name` for one of [`SAFE_SETTINGS`]. Another name is none.
    pub fn config_get(name: &str) -> Option<Self> {
        let command = || Self::new("config|get", &[name.as_bytes()], 5).of(Priority::Normal);
        SAFE_SETTINGS.contains(&name).then(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detail_commands_are_ones_that_a_monitor_may_send() {
        let all = [
            ReadCommand::latency_histogram(100),
            ReadCommand::latency_latest(),
            ReadCommand::client_id(),
            ReadCommand::client_list([7, 8], 2),
            ReadCommand::config_get("maxmemory").unwrap(),
        ];
        let shown: Vec<_> = all.iter().map(|command| format!("{command:?}").to_uppercase()).collect();
        assert_eq!(
            shown,
            [
                "LATENCY HISTOGRAM",
                "LATENCY LATEST",
                "CLIENT ID",
                "CLIENT LIST ID 7 8",
                "CONFIG GET MAXMEMORY",
            ]
        );
    }

    #[test]
    fn a_page_of_clients_is_cut_at_its_ids() {
        let shown = format!("{:?}", ReadCommand::client_list(0..1_000_000, 1));
        assert_eq!(shown.split(' ').count(), 3 + IDS);
        assert!(ReadCommand::client_list(0..IDS as u64, 150).cost() < 1000);
    }

    #[test]
    fn a_setting_that_may_hold_a_secret_cannot_be_asked_for() {
        for name in ["requirepass", "masterauth", "*", "tls-key-file", "dir", "MAXMEMORY"] {
            assert!(ReadCommand::config_get(name).is_none(), "{name}");
        }
    }
}
