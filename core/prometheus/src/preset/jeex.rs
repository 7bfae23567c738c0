//! JEEX's names for a Redis server, by project.

use super::From::{Attribute, Fixed, Resource};
use super::{COUNTER, GAUGE, HISTOGRAM, Label, Ratio, Row, Table, Whole, label, row};

pub(super) static TABLE: Table = Table { replaces: false, rows: ROWS, ratios: RATIOS, labels: PROJECT };

const NONE: &[Label] = &[];
const PROJECT: &[Label] = &[label("project_id", Resource("project.id"))];
const COMMAND_TYPE: &[Label] = &[label("command_type", Attribute("cmd"))];
const COMMAND: &[Label] = &[label("command", Attribute("cmd"))];
const ERROR_TYPE: &[Label] = &[label("error_type", Attribute("error"))];

static ROWS: &[Row] = &[
    row("redis.up", "redis_up", GAUGE, NONE),
    row("redis.memory.used", "redis_memory_bytes", GAUGE, NONE),
    row("redis.memory.fragmentation_ratio", "redis_memory_fragmentation_ratio", GAUGE, NONE),
    row("redis.clients.connected", "redis_connections_active", GAUGE, NONE),
    row("redis.cmd.calls", "redis_commands_total", COUNTER, COMMAND_TYPE),
    row("redis.errors", "redis_errors_total", COUNTER, ERROR_TYPE),
    row("redis.rdb.last_save.time", "redis_rdb_last_save_timestamp_seconds", GAUGE, NONE),
    row("redis.cmd.duration", "redis_command_duration_seconds", HISTOGRAM, COMMAND).times(1e-9),
    row("redis.cmd.slow.calls", "redis_slow_commands_total", COUNTER, COMMAND),
    row("redis.connections.rejected", "redis_connection_errors_total", COUNTER, REJECTED),
];
const REJECTED: &[Label] = &[label("error_type", Fixed("rejected"))];

static RATIOS: &[Ratio] = &[
    Ratio {
        to: "redis_memory_percentage",
        part: "redis.memory.used",
        whole: Whole::Of("redis.maxmemory"),
        times: 100.0,
        about: "Memory in use, in percent of maxmemory; absent without a maxmemory",
    },
    Ratio {
        to: "redis_connection_utilization",
        part: "redis.clients.connected",
        whole: Whole::Of("redis.clients.max"),
        times: 1.0,
        about: "Client connections, of maxclients (0 to 1)",
    },
    Ratio {
        to: "redis_hit_rate",
        part: "redis.keyspace.hits",
        whole: Whole::With("redis.keyspace.misses"),
        times: 1.0,
        about: "Key lookups that found one, of all (0 to 1); absent before the first lookup",
    },
];
