//! What the logs of the receiver `redis` need.

use streamgauge_receivers::redis::LogsConfig;
use streamgauge_redis::{CommandLog, ReadCommand};

use super::Right;
use crate::doctor::features::Version;

/// The commands for what these sections ask of such a server.
pub(super) fn wanted(sections: &[LogsConfig], version: &Version) -> Vec<Right> {
    let any = |is_on: fn(&LogsConfig) -> bool| sections.iter().any(is_on);
    let right = |rule, command, without| Right { rule, command, keys: None, without: Some(without) };
    let mut all = Vec::new();
    if any(|logs| logs.slowlog) {
        all.push(right("slowlog|get", ReadCommand::slowlog_get(1), "slow commands in the logs"));
    }
    if any(|logs| logs.commandlog) && version.has(None, Some((8, 1))) {
        let command = ReadCommand::commandlog_get(1, CommandLog::LargeRequest);
        all.push(right("commandlog|get", command, "large requests and replies in the logs"));
    }
    if any(|logs| logs.latency) {
        all.push(right("latency|latest", ReadCommand::latency_latest(), "latency spikes in the logs"));
    }
    if any(|logs| logs.acl) {
        all.push(right("acl|log", ReadCommand::acl_log(1), "what users were refused in the logs"));
    }
    if any(|logs| logs.flight_recorder.enabled) {
        let without = "clients in flight records";
        all.push(right("client|list", ReadCommand::client_list([1], 1), without));
        all.push(right("client|id", ReadCommand::client_id(), without));
    }
    all
}
