//! Receiver `redis_stream`: consumes Redis streams as a member of a consumer group, and loses nothing.
//!
//! - [`config`]: the section.
//! - `receiver`: its life; `job`: what its tasks share; `roster`: which streams there are; `lane`: those that one connection
//!   reads.
//! - `reader`: the read loop; `plan`: what is read next; `groups`: makes groups; `intake`: entries become parts;
//!   `events` counts messages by their type.
//! - `gate`: which part goes next, by its level; `offer`: a part on its way; `part`, `bound`: what is in hand, and how much may be.
//! - `keeper`: hears what became of parts, and acts: `acks`, `letter` and `post` (the dead letter), offers again.
//! - `pending`, `recover`, `claim`: entries that were read and not settled, by this consumer and by others.
//! - `needs`: what is sent, for the doctor.
//! - `shard`, `ordered`: the same for streams whose entries go on in order (`ordering`): whose a stream is, and its read loop.
//!
//! One read is one part. An entry is acknowledged when its part was delivered; what is not taken now stays in hand and is
//! offered again without being read again; what is refused is halved until the entry at fault stands alone.

mod acks;
mod bound;
mod claim;
pub mod config;
mod counters;
mod events;
mod gate;
mod groups;
mod intake;
mod job;
mod keeper;
mod lane;
mod letter;
mod line;
mod needs;
mod offer;
mod ordered;
mod part;
mod pending;
mod plan;
mod post;
mod reader;
mod receiver;
mod recover;
mod roster;
mod shard;
mod stream;
#[cfg(test)]
mod tests;
mod troubles;

use std::sync::Arc;

use streamgauge_component::{ConfigType, Description, ReceiverFactory, Signal, Stability};

pub use config::RedisStreamConfig;
pub use needs::{Need, Place};

/// How this receiver is registered.
pub static FACTORY: ReceiverFactory = ReceiverFactory {
    description: Description {
        name: "redis_stream",
        aliases: &[],
        summary: "Consumes Redis streams as a member of a consumer group, acknowledging what was delivered.",
        signals: &Signal::ALL,
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<RedisStreamConfig>(),
    create: |create| Ok(Arc::new(receiver::RedisStreamReceiver::new(create.config::<RedisStreamConfig>()?))),
};
