//! Redis as a monitor sees it: where a server is, one careful connection to it, and what its answers mean.
//!
//! - [`Target`]: address, user and database, from `host:port` or a URL.
//! - [`ReadCommand`]: the only commands that can be sent from here. There is no way to send a text.
//! - [`Monitor`]: one named connection for a node and user, shared by all who watch that node.
//! - [`Deployment`]: from one address to all nodes that belong together, and who serves which keys now.
//! - [`Lease`]: who of several collectors watches; the one write that there is.
//! - [`Budget`]: how much of a node's time all of it together may take, and [`Usage`]: what it took.
//! - [`Info`], [`StreamInfo`], [`GroupInfo`], [`ConsumerInfo`], [`PendingEntry`], [`StreamId`]: answers, parsed
//!   without ever failing as a whole and without ever making a number of a nil.
//!
//! This crate knows nothing of metrics or pipelines.

mod acl;
mod client;
mod command;
mod connect;
mod endpoint;
mod error;
pub mod fuzz;
mod governor;
mod id;
mod info;
mod latency;
mod lease;
mod live;
mod monitor;
mod reply;
mod slowlog;
mod stream;
mod topology;
pub mod wire;

pub use acl::{Denial, denials};
pub use client::ClientLine;
pub use command::{CommandLog, LOG_PAGE, Named, Priority, ReadCommand, SAFE_SETTINGS, Setting};
pub use connect::Identity;
pub use endpoint::{Address, EndpointKeys, Target, Transport};
pub use error::{CommandError, Fault, Unreachable};
pub use governor::{Budget, Usage};
pub use id::StreamId;
pub use info::{Field, Info};
pub use latency::{CommandHistogram, LatencyEvent, command_histograms, latency_events};
pub use lease::{Lease, Owner};
pub use live::Socket;
pub use monitor::{CallResult, Monitor};
pub use redis::Value;
pub use reply::{keys, number, pairs, scan_page, text};
pub use slowlog::{LoggedCommand, logged_commands};
pub use stream::{ConsumerInfo, GroupInfo, PendingEntry, StreamInfo, entry_ids};
pub use topology::{Connect, Deployment, Node, Role, SENTINEL_CHANNELS, SentinelOptions, View, slot};
