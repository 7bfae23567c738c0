//! Commands that read what the server has written down: slow commands, large ones, and what users were refused.

use super::{Priority, ReadCommand};

/// The most entries that one command may ask for: about half a millisecond of 0.4 to 0.7 us each.
pub const LOG_PAGE: u64 = 1_000;

/// A log of Valkey's COMMANDLOG beside the slow log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandLog {
    /// Commands whose request was large.
    LargeRequest,
    /// Commands whose reply was large.
    LargeReply,
}

impl CommandLog {
    /// Its name on the server.
    pub fn as_str(self) -> &'static str {
        match self {
            CommandLog::LargeRequest => "large-request",
            CommandLog::LargeReply => "large-reply",
        }
    }
}

impl ReadCommand {
    /// `SLOWLOG GET n`: the `n` newest entries (at most [`LOG_PAGE`]), the newest first.
    pub fn slowlog_get(n: u64) -> Self {
        let n = page(n);
        Self::new("slowlog|get", &[n.to_string().as_bytes()], 5 + n / 2).of(Priority::High)
    }

    /// `COMMANDLOG GET n type`: the same of Valkey's other logs, since Valkey 8.1.
    pub fn commandlog_get(n: u64, log: CommandLog) -> Self {
        let n = page(n);
        let words = [n.to_string(), log.as_str().to_owned()];
        Self::new("commandlog|get", &[words[0].as_bytes(), words[1].as_bytes()], 5 + n / 2).of(Priority::High)
    }

    /// `ACL LOG n`: the `n` newest refusals (at most [`LOG_PAGE`]).
    pub fn acl_log(n: u64) -> Self {
        let n = page(n);
        Self::new("acl|log", &[n.to_string().as_bytes()], 5 + n).of(Priority::Normal)
    }
}

fn page(n: u64) -> u32 {
    n.clamp(1, LOG_PAGE) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_read_in_bounded_pages_and_never_reset() {
        let all = [
            ReadCommand::slowlog_get(0),
            ReadCommand::slowlog_get(u64::MAX),
            ReadCommand::commandlog_get(7, CommandLog::LargeRequest),
            ReadCommand::commandlog_get(7, CommandLog::LargeReply),
            ReadCommand::acl_log(10_000),
        ];
        let shown: Vec<_> = all.iter().map(|command| format!("{command:?}")).collect();
        assert_eq!(
            shown,
            [
                "SLOWLOG GET 1",
                "SLOWLOG GET 1000",
                "COMMANDLOG GET 7 large-request",
                "COMMANDLOG GET 7 large-reply",
                "ACL LOG 1000",
            ]
        );
    }
}
