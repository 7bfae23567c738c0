//! Redis streams as a job uses them: read, acknowledge, claim, publish, and what an entry means.
//!
//! - [`Entry`]: one entry as it stands in a stream.
//! - [`encoding`]: what an entry means, as an OTLP request, and back.
//! - [`Link`]: a connection of one's own to one node, made from its `Monitor`. [`Link::call`] sends a [`Request`] (any number
//!   of commands in one piece) and gives its [`Replies`] by a deadline; [`Link::send`] and [`Link::receive`] are its halves,
//!   for those who ask for the next before they have read the last. An `Unreachable` means that the link is lost and what
//!   became of the commands is not known; a [`Refusal`], with its [`Kind`], is the reply to one command.
//! - [`Entries`]: the entries of XREADGROUP, XRANGE and XCLAIM, read where they lie in the reply.
//! - [`Keys`]: the server from the settings, to the `Deployment` that is shared in this process.
//! - [`Owners`]: which node has a key, and where MOVED and ASK lead. The usual way round:
//!
//! ```no_run
//! # use std::{sync::Arc, time::Duration};
//! # use streamgauge_streams::{Link, Owners, Request};
//! # async fn publish(deployment: Arc<streamgauge_redis::Deployment>) -> Result<(), Box<dyn std::error::Error>> {
//! let owners = Owners::new(deployment);
//! let deadline = tokio::time::Instant::now() + Duration::from_secs(1);
//! let mut link = Link::open(&*owners.of(b"orders", deadline).await?, "streamgauge", deadline).await?;
//! let replies = link.call(&Request::of(&[b"XADD", b"orders", b"*", b"amount", b"7"]), deadline).await?;
//! if let Err(refusal) = replies.last().ok() {
//!     // Of MOVED and ASK the node to go to, and whether ASKING must be sent before the command there.
//!     let _elsewhere = owners.redirected(&refusal, deadline).await;
//! }
//! # Ok(()) }
//! ```
//!
//! `core/redis` is what a monitor may do, and can only read. This crate writes: whoever stands on it has been told by
//! the user to take part in a stream. It knows nothing of pipelines.

pub mod encoding;
mod entry;
pub mod fuzz;
mod link;
mod owner;
mod read;
mod server;

pub use entry::Entry;
pub use link::{Kind, Link, List, Malformed, Refusal, Replies, Reply, Request};
pub use owner::Owners;
pub use read::{Entries, Item};
pub use server::{Keys, Sentinel, Topology};
pub use streamgauge_redis::StreamId;
pub use streamgauge_redis::Transport;
