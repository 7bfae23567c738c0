//! What became of a part, and the closed list of reasons.

use std::sync::Arc;
use std::time::Duration;

/// What became of a part. Ordered by how bad it is for the source: a parent settles with its worst child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is where it was meant to go, or somebody has taken it over durably. The source acknowledges.
    Delivered,
    /// It will never be accepted. The source must not send it again.
    Rejected {
        /// Why, for the counters.
        reason: Reason,
        /// Why, for a person: the peer's words, the place of the fault.
        detail: Option<Arc<str>>,
    },
    /// It was not taken now. A source that can replay does so, any other drops it and counts.
    Retry {
        /// Why, for the counters.
        reason: Reason,
        /// How long the source should wait, when that is known.
        after: Option<Duration>,
        /// Whether the peer itself had the data and said "not now". What counts its tries counts this one, and none that
        /// never came to the peer.
        answered: bool,
        /// Why, for a person.
        detail: Option<Arc<str>>,
    },
}

impl Outcome {
    /// Rejected without further words.
    pub fn rejected(reason: Reason) -> Self {
        Outcome::Rejected { reason, detail: None }
    }

    /// Rejected with an explanation.
    pub fn rejected_with(reason: Reason, detail: impl Into<Arc<str>>) -> Self {
        Outcome::Rejected { reason, detail: Some(detail.into()) }
    }

    /// To be tried again, without a known delay.
    pub fn retry(reason: Reason) -> Self {
        Outcome::Retry { reason, after: None, answered: false, detail: None }
    }

    /// To be tried again after a delay.
    pub fn retry_after(reason: Reason, after: Duration) -> Self {
        Outcome::Retry { reason, after: Some(after), answered: false, detail: None }
    }

    /// The reason, unless it was delivered.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Outcome::Delivered => None,
            Outcome::Rejected { reason, .. } | Outcome::Retry { reason, .. } => Some(*reason),
        }
    }

    /// The explanation for a person, if there is one.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Outcome::Delivered => None,
            Outcome::Rejected { detail, .. } | Outcome::Retry { detail, .. } => detail.as_deref(),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Outcome::Delivered => 0,
            Outcome::Rejected { .. } => 1,
            Outcome::Retry { .. } => 2,
        }
    }

    /// The worse of two; of two retries the one with the longer delay. It was answered if one was.
    #[must_use]
    pub fn worst(self, other: Outcome) -> Outcome {
        match (&self, &other) {
            (Outcome::Retry { after: a, answered: x, .. }, Outcome::Retry { after: b, answered: y, .. }) => {
                let either = *x || *y;
                let mut worse = if b > a { other } else { self };
                if let Outcome::Retry { answered, .. } = &mut worse {
                    *answered = either;
                }
                worse
            }
            _ if other.rank() > self.rank() => other,
            _ => self,
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why something was dropped, returned or refused. One closed list, so that a dashboard can name them all.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, in the order of the enum.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The name as it stands in metrics and logs.
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// The sending queue has no room.
    QueueFull = "queue_full",
    /// The memory budget is used up.
    MemoryLimit = "memory_limit",
    /// The component that should take it is down and being made anew.
    ComponentDown = "component_down",
    /// The peer could not be reached or refused for now, until the retries ended.
    RetriesExhausted = "retries_exhausted",
    /// The collector is stopping.
    Stopping = "stopping",
    /// Nobody settled the part: a cancelled request, or a bug.
    Abandoned = "abandoned",
    /// A component panicked with the part in hand.
    Panic = "panic",
    /// The bytes are not a valid OTLP message.
    Malformed = "malformed",
    /// The sender did not prove who it is.
    Unauthenticated = "unauthenticated",
    /// Larger than a configured limit.
    TooLarge = "too_large",
    /// The peer refuses this content for good.
    PeerRefused = "peer_refused",
    /// The peer refuses for good for a reason of its own: credentials, a path that does not exist.
    PeerError = "peer_error",
    /// The peer did not answer in time.
    Timeout = "timeout",
    /// The component does not support this kind of data.
    Unsupported = "unsupported",
    /// Dropped on purpose by configuration.
    Filtered = "filtered",
    /// A delta sum or histogram where only cumulative ones can be written.
    DeltaTemporality = "delta_temporality",
    /// Older than what was already sent for the series.
    OutOfOrder = "out_of_order",
    /// Older than the peer accepts.
    TooOld = "too_old",
    /// Further in the future than the peer survives.
    TooFarInFuture = "too_far_in_future",
    /// A second value for the same series and time.
    Duplicate = "duplicate",
    /// More series, groups or keys than the configured bound.
    CardinalityLimit = "cardinality_limit",
    /// The queue was full and made room by dropping its oldest.
    DropOldest = "drop_oldest",
    /// Somebody emptied the queue.
    Purged = "purged",
    /// The process ended with it inside, and not on a disk.
    Restart = "restart",
    /// The storage behind the sending queue takes no writes now.
    StorageUnavailable = "storage_unavailable",
    /// It was stored, and the disk gave it back damaged: the bytes are in a quarantine file.
    Damaged = "damaged",
}

impl Reason {
    /// Whether it is the data that is at fault: the sender hears "invalid argument" and not "internal error".
    pub fn is_about_content(self) -> bool {
        matches!(self, Reason::Malformed | Reason::TooLarge | Reason::PeerRefused | Reason::Unsupported)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_hears_the_worst_and_the_longest_delay() {
        let rejected = Outcome::rejected(Reason::Malformed);
        let short = Outcome::retry_after(Reason::QueueFull, Duration::from_secs(1));
        let long = Outcome::retry_after(Reason::Timeout, Duration::from_secs(9));
        assert_eq!(Outcome::Delivered.worst(rejected.clone()), rejected);
        assert_eq!(rejected.clone().worst(Outcome::Delivered), rejected);
        assert_eq!(rejected.worst(short.clone()), short);
        assert_eq!(short.clone().worst(long.clone()), long);
        let answered =
            Outcome::Retry { reason: Reason::QueueFull, after: None, answered: true, detail: None };
        let Outcome::Retry { after, answered, .. } = answered.worst(long.clone()) else { panic!() };
        assert_eq!((after, answered), (Some(Duration::from_secs(9)), true));
        assert_eq!(long.clone().worst(short), long);
    }
}
