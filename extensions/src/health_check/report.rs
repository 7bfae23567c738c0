//! The body: the Collector's members, and every component that is not well.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use streamgauge_component::{ComponentStatus, State, StatusBoard};

/// What the JSON says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// The Collector's words for ready or not.
    status: &'static str,
    /// When the pipelines became ready; absent until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    up_since: Option<String>,
    /// How long ago that was, such as `3m 12s`; absent until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime: Option<String>,
    /// Components that are neither well nor on their ordinary way up or down.
    degraded: Vec<Degraded>,
    /// How the last reload went; absent until there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_reload: Option<Reload>,
}

#[derive(Serialize)]
struct Reload {
    at: String,
    /// `ok`, or `refused`: the configuration before it runs on.
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Degraded {
    kind: &'static str,
    id: String,
    state: &'static str,
    reason: Option<String>,
    since: String,
}

impl Report {
    pub(super) fn new(board: &StatusBoard) -> Report {
        let up_since = board.ready_since();
        let status = if up_since.is_some() { "Server available" } else { "Server not available" };
        let whole_seconds = |up: SystemTime| Duration::from_secs(up.elapsed().unwrap_or_default().as_secs());
        Report {
            status,
            up_since: up_since.map(stamp),
            uptime: up_since.map(|up| humantime::format_duration(whole_seconds(up)).to_string()),
            degraded: board.components().into_iter().filter(is_degraded).map(Degraded::from).collect(),
            last_reload: board.last_reload().map(|last| Reload {
                at: stamp(last.at),
                result: if last.error.is_none() { "ok" } else { "refused" },
                reason: last.error,
            }),
        }
    }
}

impl From<ComponentStatus> for Degraded {
    fn from(status: ComponentStatus) -> Self {
        Degraded {
            kind: status.kind.as_str(),
            id: status.id,
            state: status.state.as_str(),
            reason: status.message,
            since: stamp(status.since),
        }
    }
}

fn is_degraded(status: &ComponentStatus) -> bool {
    matches!(status.state, State::Recoverable | State::Permanent | State::Fatal)
}

fn stamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
