//! Every metric, where its value stands, and nothing twice.

use std::sync::LazyLock;

use super::rows;
use crate::scrape::table::{Kind, Metric, Since, Table};

/// Where a metric's values come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// Whether the server answered.
    Up,
    /// A whole number in INFO.
    Int(&'static str),
    /// A number in INFO.
    Double(&'static str),
    /// Numbers in INFO, each with the value of the attribute.
    Doubles(&'static [(&'static str, &'static str)]),
    /// A number in INFO, times a factor: what it takes to make it the unit.
    Scaled(&'static str, f64),
    /// Numbers in INFO, each with the value of the attribute and times the factor.
    Several(&'static [(&'static str, &'static str)], f64),
    /// Whether a text in INFO is the given one: 1 or 0.
    Is(&'static str, &'static str),
    /// A text in INFO; attribute: the text.
    Text(&'static str),
    /// The first by the second, where the second is more than 0.
    Ratio(&'static str, &'static str),
    /// A whole number about the link to the primary; attribute: the primary's `host:port`.
    Link(&'static str),
    /// Whether that link is up; attribute: the same.
    LinkUp,
    /// Whether a replica takes no writes; attributes: its primary and yes or no.
    LinkInfo,
    /// What there is to say of the process; attributes: each of it.
    Instance,
    /// A member of each `dbN` line; attribute: N.
    Database(&'static str),
    /// A member of each `cmdstat_` line; attribute: the command.
    Command(&'static str),
    /// The same in milliseconds, as seconds.
    CommandMs(&'static str),
    /// A member of each line of a kind; attribute: whom the line is about.
    Each(Line, &'static str),
    /// How far each replica is behind; attribute: its address.
    Behind,
    /// How many seconds of writes, at the rate since the last round, the backlog holds.
    BacklogTime,
    /// `dbN_distrib_` lines whose name ends so, as a histogram; attributes: N and the type.
    Sizes(&'static str),
    /// Fields that no other row reads; attributes: section and field.
    Unknown,
    /// How many of them are over the cap.
    Omitted,
    /// What other commands tell; they are sent only for this.
    Extra,
    /// `latency_percentiles_usec_` lines; attributes: the command and the percentile.
    Latency,
    /// `errorstat_` lines; attribute: the error's prefix.
    Errors,
    /// `role`; attribute: primary or replica.
    Role,
    /// `redis_mode`, or `server_mode` in Valkey; attribute: the mode.
    Mode,
    /// A whole number in CLUSTER INFO.
    Cluster(&'static str),
    /// `cluster_state` in CLUSTER INFO; attribute: the state.
    ClusterState,
    /// Time of the server's main thread that we took.
    OwnTime,
    /// What that was of our budget.
    OwnShare,
    /// Commands that we sent; attribute: the command.
    OwnCommands,
    /// Commands that we did not send because of the budget; attribute: the command.
    OwnShed,
    /// Commands that the server refuses us; attributes: the command and why.
    OwnRefused,
    /// Whether what can wait is waiting.
    OwnRest,
}

/// Lines of INFO that come once for each of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// `slaveN`; attribute: the replica's `ip:port`.
    Replica,
    /// `masterN` of a sentinel; attribute: the master's name.
    Master,
    /// `io_thread_N`; attribute: N.
    IoThread,
    /// `module`; attribute: its name.
    Module,
    /// `engine_N` of Valkey's scripting engines; attribute: its name.
    Engine,
}

/// A metric and its source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) metric: Metric,
    pub(crate) source: Source,
}

/// The receiver's table.
#[derive(Debug)]
pub struct RedisMetrics;

impl Table for RedisMetrics {
    #[allow(private_interfaces)]
    fn metrics() -> impl Iterator<Item = &'static Metric> {
        ROWS.iter().map(|row| &row.metric)
    }

    fn names() -> &'static [&'static str] {
        static NAMES: LazyLock<Vec<&'static str>> =
            LazyLock::new(|| ROWS.iter().map(|r| r.metric.name).collect());
        &NAMES
    }
}

pub(super) const ON: bool = true;
pub(super) const OFF: bool = false;
pub(super) const GAUGE: Kind = Kind::Gauge;
pub(super) const SUM: Kind = Kind::UpDown;
/// Counters that CONFIG RESETSTAT sets back.
pub(super) const STATS: Kind = Kind::Counter(Since::Stats);
/// Counters of this process about the server.
const OWN: Kind = Kind::Counter(Since::Series);
/// Counters that only a restart sets back.
pub(super) const PROCESS: Kind = Kind::Counter(Since::Process);

pub(super) const fn row(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    enabled: bool,
    attributes: &'static [&'static str],
    source: Source,
    about: &'static str,
) -> Row {
    Row { metric: Metric { name, unit, kind, enabled, attributes, about }, source }
}

use Source::*;

/// The processor times of INFO, by state.
const CPU: &[(&str, &str)] = &[
    ("used_cpu_sys", "sys"),
    ("used_cpu_sys_children", "sys_children"),
    ("used_cpu_sys_main_thread", "sys_main_thread"),
    ("used_cpu_user", "user"),
    ("used_cpu_user_children", "user_children"),
    ("used_cpu_user_main_thread", "user_main_thread"),
];

/// All metrics.
pub(crate) static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| [COLLECTORS, rows::ROWS].concat());

/// Names, units and kinds are the Collector's, but for `redis.up`, `redis.errors` and `redis.collector.*`, which it lacks.
#[rustfmt::skip]
static COLLECTORS: &[Row] = &[
    row("redis.up", GAUGE, "", ON, &[], Up, "1 when the server answered INFO this round, else 0"),
    row("redis.uptime", PROCESS, "s", ON, &[], Int("uptime_in_seconds"), "Seconds since the server started"),
    row("redis.cpu.time", PROCESS, "s", ON, &["state"], Doubles(CPU), "Processor time that the server has used"),
    row("redis.clients.connected", SUM, "{client}", ON, &[], Int("connected_clients"), "Client connections, without those of replicas"),
    row("redis.clients.blocked", SUM, "{client}", ON, &[], Int("blocked_clients"), "Clients that wait in a blocking command"),
    row("redis.clients.max_input_buffer", GAUGE, "By", ON, &[], Int("client_recent_max_input_buffer"), "The largest input buffer among current clients"),
    row("redis.clients.max_output_buffer", GAUGE, "By", ON, &[], Int("client_recent_max_output_buffer"), "The largest output buffer among current clients"),
    row("redis.keys.expired", STATS, "{event}", ON, &[], Int("expired_keys"), "Keys that expired"),
    row("redis.keys.evicted", STATS, "{key}", ON, &[], Int("evicted_keys"), "Keys that were evicted because of maxmemory"),
    row("redis.connections.received", STATS, "{connection}", ON, &[], Int("total_connections_received"), "Connections that were accepted"),
    row("redis.connections.rejected", STATS, "{connection}", ON, &[], Int("rejected_connections"), "Connections that were refused because of maxclients"),
    row("redis.memory.used", GAUGE, "By", ON, &[], Int("used_memory"), "Memory that the allocator has given out"),
    row("redis.memory.peak", GAUGE, "By", ON, &[], Int("used_memory_peak"), "The most memory that was ever given out"),
    row("redis.memory.rss", GAUGE, "By", ON, &[], Int("used_memory_rss"), "Memory as the operating system sees it"),
    row("redis.memory.lua", GAUGE, "By", ON, &[], Int("used_memory_lua"), "Memory of the Lua engine"),
    row("redis.memory.fragmentation_ratio", GAUGE, "1", ON, &[], Double("mem_fragmentation_ratio"), "used_memory_rss divided by used_memory"),
    row("redis.rdb.changes_since_last_save", SUM, "{change}", ON, &[], Int("rdb_changes_since_last_save"), "Changes that are not in the last dump"),
    row("redis.commands", GAUGE, "{ops}/s", ON, &[], Int("instantaneous_ops_per_sec"), "Commands a second, as the server samples them"),
    row("redis.commands.processed", STATS, "{command}", ON, &[], Int("total_commands_processed"), "Commands that were processed"),
    row("redis.net.input", STATS, "By", ON, &[], Int("total_net_input_bytes"), "Bytes read from the network"),
    row("redis.net.output", STATS, "By", ON, &[], Int("total_net_output_bytes"), "Bytes written to the network"),
    row("redis.keyspace.hits", STATS, "{hit}", ON, &[], Int("keyspace_hits"), "Key lookups that found one"),
    row("redis.keyspace.misses", STATS, "{miss}", ON, &[], Int("keyspace_misses"), "Key lookups that found none"),
    row("redis.latest_fork", GAUGE, "us", ON, &[], Int("latest_fork_usec"), "How long the last fork took"),
    row("redis.slaves.connected", SUM, "{replica}", ON, &[], Int("connected_slaves"), "Connected replicas"),
    row("redis.replication.backlog_first_byte_offset", GAUGE, "By", ON, &[], Int("repl_backlog_first_byte_offset"), "Replication offset of the backlog's first byte"),
    row("redis.replication.offset", GAUGE, "By", ON, &[], Int("master_repl_offset"), "Replication offset of the server"),
    row("redis.db.keys", GAUGE, "{key}", ON, &["db"], Database("keys"), "Keys in the database"),
    row("redis.db.expires", GAUGE, "{key}", ON, &["db"], Database("expires"), "Keys with a time to live"),
    row("redis.db.avg_ttl", GAUGE, "ms", ON, &["db"], Database("avg_ttl"), "Mean time to live, as the server estimates it"),
    row("redis.errors", STATS, "{error}", ON, &["error"], Errors, "Errors that were answered, by prefix (INFO errorstats)"),
    row("redis.collector.server_time", OWN, "s", ON, &[], OwnTime, "Time of the server's main thread that monitoring by this process took, by the server's commandstats"),
    row("redis.collector.budget.utilization", GAUGE, "1", ON, &[], OwnShare, "What monitoring took of max_server_time in the last interval; above 1 the basic set alone was over it"),
    row("redis.collector.commands", OWN, "{command}", ON, &["cmd"], OwnCommands, "Commands that were sent for monitoring"),
    row("redis.collector.shed", OWN, "{command}", ON, &["cmd"], OwnShed, "Commands that were not sent because of max_server_time or max_command_time"),
    row("redis.collector.refused", GAUGE, "1", ON, &["cmd", "reason"], OwnRefused, "1 for a command that the server refuses this user, or does not know, and that is not sent any more"),
    row("redis.collector.resting", GAUGE, "1", ON, &[], OwnRest, "1 while only the basic set and what explains it is asked for, because the server loads its data or a child of it writes them"),
    row("redis.maxmemory", GAUGE, "By", OFF, &[], Int("maxmemory"), "The limit of memory; 0 is none"),
    row("redis.role", SUM, "{role}", OFF, &["role"], Role, "1 for the server's role: primary or replica"),
    row("redis.mode", GAUGE, "{mode}", OFF, &["mode"], Mode, "1 for the server's mode: standalone, cluster or sentinel"),
    row("redis.cmd.calls", STATS, "{call}", OFF, &["cmd"], Command("calls"), "Calls of the command"),
    row("redis.cmd.usec", STATS, "us", OFF, &["cmd"], Command("usec"), "Processor time of the command"),
    row("redis.cmd.latency", GAUGE, "s", OFF, &["cmd", "percentile"], Latency, "Latency of the command: p50, p99, p99.9"),
    row("redis.replication.replica_offset", GAUGE, "By", OFF, &[], Int("slave_repl_offset"), "Replication offset of a replica"),
    row("redis.memory.used_memory_overhead", GAUGE, "By", OFF, &[], Int("used_memory_overhead"), "Memory of the server's own structures"),
    row("redis.memory.used_memory_startup", GAUGE, "By", OFF, &[], Int("used_memory_startup"), "Memory that was in use after the start"),
    row("redis.tracking_total_keys", GAUGE, "{key}", OFF, &[], Int("tracking_total_keys"), "Keys that are tracked for client caches"),
    row("redis.sentinel.masters", GAUGE, "{masters}", OFF, &[], Int("sentinel_masters"), "Masters that the sentinel watches"),
    row("redis.sentinel.running_scripts", GAUGE, "{scripts}", OFF, &[], Int("sentinel_running_scripts"), "Scripts that the sentinel runs"),
    row("redis.sentinel.scripts_queue_length", GAUGE, "{scripts}", OFF, &[], Int("sentinel_scripts_queue_length"), "Scripts that wait to run"),
    row("redis.sentinel.simulate_failure_flags", GAUGE, "{flags}", OFF, &[], Int("sentinel_simulate_failure_flags"), "Failures that the sentinel simulates"),
    row("redis.sentinel.tilt_since_seconds", GAUGE, "s", OFF, &[], Int("sentinel_tilt_since_seconds"), "Seconds in TILT mode; -1 when it is not"),
    row("redis.sentinel.total_tilt", PROCESS, "{events}", OFF, &[], Int("sentinel_total_tilt"), "How often TILT mode was entered"),
    row("redis.cluster.cluster_enabled", GAUGE, "1", OFF, &[], Int("cluster_enabled"), "1 when the server is a node of a cluster"),
    row("redis.cluster.state", GAUGE, "{state}", OFF, &["cluster_state"], ClusterState, "1 for the cluster's state: ok or fail"),
    row("redis.cluster.slots_assigned", GAUGE, "{slot}", OFF, &[], Cluster("cluster_slots_assigned"), "Slots that have a node"),
    row("redis.cluster.slots_ok", GAUGE, "{slot}", OFF, &[], Cluster("cluster_slots_ok"), "Slots whose node is well"),
    row("redis.cluster.slots_pfail", GAUGE, "{slot}", OFF, &[], Cluster("cluster_slots_pfail"), "Slots whose node may have failed"),
    row("redis.cluster.slots_fail", GAUGE, "{slot}", OFF, &[], Cluster("cluster_slots_fail"), "Slots whose node has failed"),
    row("redis.cluster.known_nodes", GAUGE, "{node}", OFF, &[], Cluster("cluster_known_nodes"), "Nodes that this one knows"),
    row("redis.cluster.node.count", GAUGE, "{node}", OFF, &[], Cluster("cluster_size"), "Primaries that own slots"),
    row("redis.cluster.uptime", GAUGE, "s", OFF, &[], Cluster("cluster_current_epoch"), "The cluster's current epoch; the Collector's name and unit are wrong and kept"),
    row("redis.cluster.node.uptime", GAUGE, "s", OFF, &[], Cluster("cluster_my_epoch"), "The node's epoch; the Collector's name and unit are wrong and kept"),
    row("redis.cluster.stats_messages_sent", PROCESS, "{message}", OFF, &[], Cluster("cluster_stats_messages_sent"), "Messages sent over the cluster bus"),
    row("redis.cluster.stats_messages_received", PROCESS, "{message}", OFF, &[], Cluster("cluster_stats_messages_received"), "Messages received over the cluster bus"),
    row("redis.cluster.links_buffer_limit_exceeded.count", PROCESS, "{count}", OFF, &[], Cluster("total_cluster_links_buffer_limit_exceeded"), "Cluster links that were closed because their buffer was full"),
];

/// The number of a metric.
pub(crate) fn index(name: &str) -> usize {
    ROWS.iter()
        .position(|row| row.metric.name == name)
        .unwrap_or_else(|| unreachable!("{name} is in the table"))
}

/// Whether a metric stands in CLUSTER INFO.
pub(crate) fn needs_cluster_info(source: Source) -> bool {
    matches!(source, Cluster(_) | ClusterState)
}
