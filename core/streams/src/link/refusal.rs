//! What a server says instead of an answer, by what is to be done about it.

use std::fmt;

use streamgauge_redis::{Address, CommandError};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A class of refusals.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// The name as it stands in metrics and logs.
            pub fn as_str(self) -> &'static str {
                match self { $(Kind::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// There is no such consumer group, or it was destroyed while a reader was blocked on it.
    NoGroup = "no_group",
    /// The group is there already.
    BusyGroup = "busy_group",
    /// A blocked reader was let go: the key was deleted, or the master became a replica.
    Unblocked = "unblocked",
    /// The key holds something else than a stream.
    WrongType = "wrong_type",
    /// There is no such key.
    NoSuchKey = "no_such_key",
    /// The server reads its data from the disk.
    Loading = "loading",
    /// A replica, which takes no writes.
    ReadOnly = "read_only",
    /// A replica without its master that gives no old data.
    MasterDown = "master_down",
    /// The server is at its `maxmemory` and may not evict.
    OutOfMemory = "out_of_memory",
    /// The server takes no writes because it cannot save, or has too few replicas.
    NoWrites = "no_writes",
    /// The server is busy with a script.
    Busy = "busy",
    /// Another node has the key.
    Moved = "moved",
    /// Another node is about to get the key.
    Ask = "ask",
    /// The cluster cannot answer for this slot now: it is down, or the slot's keys are on both sides of a move.
    ClusterDown = "cluster_down",
    /// The keys of one command are in several slots.
    CrossSlot = "cross_slot",
    /// Nobody is logged in, or the password is wrong.
    NoAuth = "no_auth",
    /// The user may not do this.
    NoPermission = "no_permission",
    /// The server does not know the command, or an option of it.
    Unknown = "unknown",
    /// Anything else.
    Other = "other",
}

impl Kind {
    fn of(text: &str) -> Kind {
        let code = text.split(' ').next().unwrap_or("");
        match code {
            "NOGROUP" => Kind::NoGroup,
            "BUSYGROUP" => Kind::BusyGroup,
            "UNBLOCKED" => Kind::Unblocked,
            "WRONGTYPE" => Kind::WrongType,
            "LOADING" => Kind::Loading,
            "READONLY" => Kind::ReadOnly,
            "MASTERDOWN" => Kind::MasterDown,
            "OOM" => Kind::OutOfMemory,
            "MISCONF" | "NOREPLICAS" => Kind::NoWrites,
            "BUSY" => Kind::Busy,
            "MOVED" => Kind::Moved,
            "ASK" => Kind::Ask,
            "CLUSTERDOWN" | "TRYAGAIN" => Kind::ClusterDown,
            "CROSSSLOT" => Kind::CrossSlot,
            "NOAUTH" | "WRONGPASS" => Kind::NoAuth,
            "NOPERM" => Kind::NoPermission,
            "ERR" => {
                let has = |words: &str| text.contains(words);
                match () {
                    () if has("unknown command") || has("unknown subcommand") || has("syntax error") => {
                        Kind::Unknown
                    }
                    () if has("no such key") || has("requires the key to exist") => Kind::NoSuchKey,
                    () => Kind::Other,
                }
            }
            _ => Kind::Other,
        }
    }

    /// Whether the same command may well be taken later, without anybody doing anything about it here.
    pub fn is_passing(self) -> bool {
        matches!(
            self,
            Kind::Unblocked
                | Kind::Loading
                | Kind::ReadOnly
                | Kind::MasterDown
                | Kind::OutOfMemory
                | Kind::NoWrites
                | Kind::Busy
                | Kind::Moved
                | Kind::Ask
                | Kind::ClusterDown
        )
    }

    /// Whether another node may be the one to ask.
    pub fn is_about_the_node(self) -> bool {
        matches!(
            self,
            Kind::Moved | Kind::Ask | Kind::ReadOnly | Kind::MasterDown | Kind::Unblocked | Kind::ClusterDown
        )
    }
}

/// A command was refused; the link is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The class.
    pub kind: Kind,
    /// The server's words.
    pub message: String,
}

impl Refusal {
    pub(crate) fn of(text: &[u8]) -> Refusal {
        let message = String::from_utf8_lossy(text).into_owned();
        Refusal { kind: Kind::of(&message), message }
    }

    /// The reply was not what the command answers.
    pub(crate) fn unexpected() -> Refusal {
        Refusal { kind: Kind::Other, message: super::Malformed.to_string() }
    }

    /// Where MOVED or ASK sends, and whether ASKING must go before the command.
    pub fn redirect(&self) -> Option<(Address, bool)> {
        CommandError::redirect_in(&self.message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl From<super::Malformed> for Refusal {
    fn from(_: super::Malformed) -> Self {
        Refusal::unexpected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_is_classed() {
        for (text, kind) in [
            ("NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option", Kind::NoGroup),
            ("UNBLOCKED the stream key no longer exists", Kind::Unblocked),
            (
                "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
                Kind::Unblocked,
            ),
            ("OOM command not allowed when used memory > 'maxmemory'.", Kind::OutOfMemory),
            ("MISCONF Redis is configured to save RDB snapshots", Kind::NoWrites),
            ("ERR unknown command 'XACKDEL', with args beginning with: ", Kind::Unknown),
            ("ERR syntax error", Kind::Unknown),
            ("ERR no such key", Kind::NoSuchKey),
            ("ERR The XGROUP subcommand requires the key to exist. Note that", Kind::NoSuchKey),
            ("WRONGPASS invalid username-password pair or user is disabled.", Kind::NoAuth),
            ("", Kind::Other),
        ] {
            assert_eq!(Refusal::of(text.as_bytes()).kind, kind, "{text}");
        }
        let moved = Refusal::of(b"ASK 3999 10.0.0.1:6381");
        assert_eq!(moved.redirect(), Some((Address::Tcp("10.0.0.1".to_owned(), 6381), true)));
    }
}
