//! The names and labels of oliver006/redis_exporter. Its dashboards (763, redis-mixin) and the community's alert rules
//! ask for these.
//!
//! On purpose different: a lag that nobody knows is absent (there it is 0), and `stream_group_lag_known` says which.

use super::From::{Attribute, Prefixed, Stripped, Words};
use super::{COUNTER, Change, GAUGE, Label, Row, SUMMARY, Table, label, row};

pub(super) static TABLE: Table = Table { replaces: true, rows: ROWS, ratios: &[], labels: &[] };

const NONE: &[Label] = &[];
const DB: &[Label] = &[label("db", Prefixed("db", "db"))];
const CMD: &[Label] = &[label("cmd", Attribute("cmd"))];
const ERR: &[Label] = &[label("err", Attribute("error"))];
const QUANTILE: &[Label] = &[label("cmd", Attribute("cmd")), label("quantile", Stripped("p", "percentile"))];
const ROLE: &[Label] = &[
    label("role", Words("role", &[("primary", "master"), ("replica", "slave")])),
    label("redis_version", super::From::Resource("redis.version")),
];
const STREAM: &[Label] = &[label("db", Prefixed("db", "db")), label("stream", Attribute("stream"))];
const GROUP: &[Label] = &[
    label("db", Prefixed("db", "db")),
    label("stream", Attribute("stream")),
    label("group", Attribute("group")),
];
const CONSUMER: &[Label] = &[
    label("db", Prefixed("db", "db")),
    label("stream", Attribute("stream")),
    label("group", Attribute("group")),
    label("consumer", Attribute("consumer")),
];

/// Ids are shown by their milliseconds.
const MS: f64 = 1000.0;

#[rustfmt::skip]
static ROWS: &[Row] = &[
    row("redis.up", "up", GAUGE, NONE),
    row("redis.uptime", "uptime_in_seconds", GAUGE, NONE),
    row("redis.uptime", "start_time_seconds", GAUGE, NONE).change(Change::Before),
    row("redis.role", "instance_info", GAUGE, ROLE),
    // Clients.
    row("redis.clients.connected", "connected_clients", GAUGE, NONE),
    row("redis.clients.blocked", "blocked_clients", GAUGE, NONE),
    row("redis.clients.max_input_buffer", "client_recent_max_input_buffer_bytes", GAUGE, NONE),
    row("redis.clients.max_output_buffer", "client_recent_max_output_buffer_bytes", GAUGE, NONE),
    row("redis.tracking_total_keys", "tracking_total_keys", GAUGE, NONE),
    // Memory.
    row("redis.memory.used", "memory_used_bytes", GAUGE, NONE),
    row("redis.memory.rss", "memory_used_rss_bytes", GAUGE, NONE),
    row("redis.memory.peak", "memory_used_peak_bytes", GAUGE, NONE),
    row("redis.memory.lua", "memory_used_lua_bytes", GAUGE, NONE),
    row("redis.memory.used_memory_overhead", "memory_used_overhead_bytes", GAUGE, NONE),
    row("redis.memory.used_memory_startup", "memory_used_startup_bytes", GAUGE, NONE),
    row("redis.memory.fragmentation_ratio", "mem_fragmentation_ratio", GAUGE, NONE),
    row("redis.maxmemory", "memory_max_bytes", GAUGE, NONE),
    row("redis.maxmemory", "config_maxmemory", GAUGE, NONE),
    // Persistence and processor.
    row("redis.rdb.changes_since_last_save", "rdb_changes_since_last_save", GAUGE, NONE),
    row("redis.latest_fork", "latest_fork_usec", GAUGE, NONE),
    row("redis.cpu.time", "cpu_sys_seconds_total", COUNTER, NONE).only("state", "sys"),
    row("redis.cpu.time", "cpu_user_seconds_total", COUNTER, NONE).only("state", "user"),
    row("redis.cpu.time", "cpu_sys_children_seconds_total", COUNTER, NONE).only("state", "sys_children"),
    row("redis.cpu.time", "cpu_user_children_seconds_total", COUNTER, NONE).only("state", "user_children"),
    row("redis.cpu.time", "cpu_sys_main_thread_seconds_total", COUNTER, NONE).only("state", "sys_main_thread"),
    row("redis.cpu.time", "cpu_user_main_thread_seconds_total", COUNTER, NONE).only("state", "user_main_thread"),
    // Work.
    row("redis.connections.received", "connections_received_total", COUNTER, NONE),
    row("redis.connections.rejected", "rejected_connections_total", COUNTER, NONE),
    row("redis.commands.processed", "commands_processed_total", COUNTER, NONE),
    row("redis.net.input", "net_input_bytes_total", COUNTER, NONE),
    row("redis.net.output", "net_output_bytes_total", COUNTER, NONE),
    row("redis.keys.expired", "expired_keys_total", COUNTER, NONE),
    row("redis.keys.evicted", "evicted_keys_total", COUNTER, NONE),
    row("redis.keyspace.hits", "keyspace_hits_total", COUNTER, NONE),
    row("redis.keyspace.misses", "keyspace_misses_total", COUNTER, NONE),
    row("redis.errors", "errors_total", COUNTER, ERR),
    row("redis.cmd.calls", "commands_total", COUNTER, CMD),
    row("redis.cmd.usec", "commands_duration_seconds_total", COUNTER, CMD).times(1e-6),
    row("redis.cmd.latency", "latency_percentiles_usec", SUMMARY, QUANTILE).times(1e6),
    // Databases.
    row("redis.db.keys", "db_keys", GAUGE, DB),
    row("redis.db.expires", "db_keys_expiring", GAUGE, DB),
    row("redis.db.avg_ttl", "db_avg_ttl_seconds", GAUGE, DB).times(1e-3),
    // Replication.
    row("redis.slaves.connected", "connected_slaves", GAUGE, NONE),
    row("redis.replication.offset", "master_repl_offset", GAUGE, NONE),
    row("redis.replication.replica_offset", "slave_repl_offset", GAUGE, NONE),
    row("redis.replication.backlog_first_byte_offset", "repl_backlog_first_byte_offset", GAUGE, NONE),
    // Sentinel and cluster.
    row("redis.sentinel.masters", "sentinel_masters", GAUGE, NONE),
    row("redis.sentinel.running_scripts", "sentinel_running_scripts", GAUGE, NONE),
    row("redis.sentinel.scripts_queue_length", "sentinel_scripts_queue_length", GAUGE, NONE),
    row("redis.sentinel.simulate_failure_flags", "sentinel_simulate_failure_flags", GAUGE, NONE),
    row("redis.cluster.cluster_enabled", "cluster_enabled", GAUGE, NONE),
    row("redis.cluster.state", "cluster_state", GAUGE, NONE).change(Change::Is("cluster_state", "ok")),
    row("redis.cluster.slots_assigned", "cluster_slots_assigned", GAUGE, NONE),
    row("redis.cluster.slots_ok", "cluster_slots_ok", GAUGE, NONE),
    row("redis.cluster.slots_pfail", "cluster_slots_pfail", GAUGE, NONE),
    row("redis.cluster.slots_fail", "cluster_slots_fail", GAUGE, NONE),
    row("redis.cluster.known_nodes", "cluster_known_nodes", GAUGE, NONE),
    row("redis.cluster.node.count", "cluster_size", GAUGE, NONE),
    row("redis.cluster.uptime", "cluster_current_epoch", GAUGE, NONE),
    row("redis.cluster.node.uptime", "cluster_my_epoch", GAUGE, NONE),
    row("redis.cluster.stats_messages_sent", "cluster_messages_sent_total", COUNTER, NONE),
    row("redis.cluster.stats_messages_received", "cluster_messages_received_total", COUNTER, NONE),
    // Streams.
    row("redis.stream.length", "stream_length", GAUGE, STREAM),
    row("redis.stream.entries_added", "stream_entries_added_total", COUNTER, STREAM),
    row("redis.stream.groups", "stream_groups", GAUGE, STREAM),
    row("redis.stream.first_entry_time", "stream_first_entry_id", GAUGE, STREAM).times(MS),
    row("redis.stream.last_entry_time", "stream_last_entry_id", GAUGE, STREAM).times(MS),
    row("redis.stream.group.consumers", "stream_group_consumers", GAUGE, GROUP),
    row("redis.stream.group.consumers", "stream_groups_consumers", GAUGE, GROUP), // as a dashboard spells it
    row("redis.stream.group.pending", "stream_group_messages_pending", GAUGE, GROUP),
    row("redis.stream.group.entries_read", "stream_group_entries_read", GAUGE, GROUP),
    row("redis.stream.group.last_delivered_time", "stream_group_last_delivered_id", GAUGE, GROUP).times(MS),
    row("redis.stream.group.lag", "stream_group_lag", GAUGE, GROUP),
    row("redis.stream.group.lag_quality", "stream_group_lag_known", GAUGE, GROUP).change(Change::Positive),
    row("redis.stream.consumer.pending", "stream_group_consumer_messages_pending", GAUGE, CONSUMER),
    row("redis.stream.consumer.idle", "stream_group_consumer_idle_seconds", GAUGE, CONSUMER),
];
