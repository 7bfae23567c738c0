//! Commands of an examination, which a person starts: no timer ever sends them.

use redis::Value;

use super::ReadCommand;
use crate::reply::{bytes, get};
use crate::topology::SENTINEL_CHANNELS;

/// A setting that may be read: none of these is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Microseconds from which a command is in the slow log; negative is never.
    SlowlogLogSlowerThan,
    /// Entries that the slow log keeps.
    SlowlogMaxLen,
    /// Milliseconds from which an event is in the latency monitor; 0 is never.
    LatencyMonitorThreshold,
    /// When the dataset is saved; empty is never.
    Save,
}

impl Setting {
    /// Its name on the server.
    pub fn name(self) -> &'static str {
        match self {
            Setting::SlowlogLogSlowerThan => "slowlog-log-slower-than",
            Setting::SlowlogMaxLen => "slowlog-max-len",
            Setting::LatencyMonitorThreshold => "latency-monitor-threshold",
            Setting::Save => "save",
        }
    }

    /// Its value in the answer of [`ReadCommand::setting`].
    pub fn read(self, answer: &Value) -> Option<String> {
        get(answer, self.name()).and_then(bytes).map(|text| String::from_utf8_lossy(text).into_owned())
    }
}

impl ReadCommand {
    /// `CONFIG GET name`, for the settings of [`Setting`] alone.
    pub fn setting(setting: Setting) -> Self {
        Self::new("config|get", &[setting.name().as_bytes()], 10)
    }

    /// What a monitor says first on each connection: its name, and since 7.2 its library and `CLIENT NO-TOUCH on`.
    pub fn greetings() -> [Self; 3] {
        [Self::set_name("streamgauge"), Self::set_info("LIB-NAME", "streamgauge"), Self::no_touch()]
    }

    /// How a node of a cluster is asked for the others: by CLUSTER SHARDS since 7.0, else by CLUSTER NODES.
    pub fn discovery(has_shards: bool) -> [Self; 2] {
        [Self::cluster_my_id(), if has_shards { Self::cluster_shards(1) } else { Self::cluster_nodes(1) }]
    }

    /// How a sentinel is asked for what it watches.
    pub fn sentinel_discovery() -> [Self; 4] {
        let name = "mymaster";
        [
            Self::sentinel_my_id(),
            Self::sentinel_masters(),
            Self::sentinel_replicas(name),
            Self::sentinel_sentinels(name),
        ]
    }

    /// `SET key - NX XX`: what a lease writes, in a form that no server carries out, for it contradicts itself: only the
    /// right to it is looked at.
    pub fn lease_rehearsal(key: &str) -> Self {
        Self::new("set", &[key.as_bytes(), b"-", b"NX", b"XX"], 2)
    }

    /// `GET key`: whose a lease is.
    pub fn lease_question(key: &str) -> Self {
        Self::lease_owner(key.as_bytes())
    }

    /// `ACL DRYRUN user SUBSCRIBE channel ...`, since 7.0: whether the user might hear what a sentinel publishes.
    pub fn acl_dry_run_subscription(user: &str) -> Self {
        let mut all: Vec<&[u8]> = vec![user.as_bytes(), b"SUBSCRIBE"];
        all.extend(SENTINEL_CHANNELS.iter().map(|channel| channel.as_bytes()));
        Self::new("acl|dryrun", &all, 5)
    }

    /// `ACL WHOAMI`
    pub fn acl_who_am_i() -> Self {
        Self::new("acl|whoami", &[], 2)
    }

    /// `ACL DRYRUN user command`, since 7.0: whether the user might send the command, which is not carried out.
    pub fn acl_dry_run(user: &str, command: &ReadCommand) -> Self {
        let words = command.words();
        let mut all = vec![user.as_bytes()];
        all.extend(words.iter().map(String::as_bytes));
        Self::new("acl|dryrun", &all, 5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_examination_may_send_beyond_a_monitor() {
        let all = [
            ReadCommand::setting(Setting::SlowlogLogSlowerThan),
            ReadCommand::setting(Setting::SlowlogMaxLen),
            ReadCommand::setting(Setting::LatencyMonitorThreshold),
            ReadCommand::setting(Setting::Save),
            ReadCommand::acl_who_am_i(),
            ReadCommand::acl_dry_run("u", &ReadCommand::xinfo_groups(b"FLUSHALL", 1)),
            ReadCommand::lease_rehearsal("k"),
            ReadCommand::lease_question("k"),
        ];
        let shown: Vec<_> = all.iter().map(|command| format!("{command:?}")).collect();
        assert_eq!(
            shown,
            [
                "CONFIG GET slowlog-log-slower-than",
                "CONFIG GET slowlog-max-len",
                "CONFIG GET latency-monitor-threshold",
                "CONFIG GET save",
                "ACL WHOAMI",
                "ACL DRYRUN u XINFO GROUPS FLUSHALL",
                "SET k - NX XX",
                "GET k",
            ]
        );
    }

    #[test]
    fn a_setting_is_read_from_the_answers_of_both_protocols() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let pair = (text("save"), text(""));
        let flat = Value::Array(vec![pair.0.clone(), pair.1.clone()]);
        for answer in [flat, Value::Map(vec![pair])] {
            assert_eq!(Setting::Save.read(&answer).as_deref(), Some(""));
            assert_eq!(Setting::SlowlogMaxLen.read(&answer), None);
        }
    }
}
