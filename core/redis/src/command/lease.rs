//! The one write of a monitor: the key that says who of several watches. Only a [`crate::Lease`] can make these, and there
//! is none unless a user names its key.

use std::time::Duration;

use super::ReadCommand;

impl ReadCommand {
    /// `SET key owner NX PX ms`: the key is ours, unless it is somebody's.
    pub(crate) fn lease_take(key: &[u8], owner: &str, time: Duration) -> Self {
        Self::new("set", &[key, owner.as_bytes(), b"NX", b"PX", &milliseconds(time)], 3)
    }

    /// `SET key owner XX GET PX ms`: a key that is ours is so for longer; the answer says whose it was.
    pub(crate) fn lease_renew(key: &[u8], owner: &str, time: Duration) -> Self {
        Self::new("set", &[key, owner.as_bytes(), b"XX", b"GET", b"PX", &milliseconds(time)], 3)
    }

    /// `GET key`: whose it is.
    pub(crate) fn lease_owner(key: &[u8]) -> Self {
        Self::new("get", &[key], 2)
    }
}

fn milliseconds(time: Duration) -> Vec<u8> {
    time.as_millis().max(1).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_writes_one_key_that_expires_and_nothing_else() {
        let time = Duration::from_secs(30);
        let all = [
            ReadCommand::lease_take(b"k", "me", time),
            ReadCommand::lease_renew(b"k", "me", time),
            ReadCommand::lease_renew(b"k", "me", Duration::ZERO),
            ReadCommand::lease_owner(b"k"),
        ];
        let shown: Vec<_> = all.iter().map(|command| format!("{command:?}")).collect();
        assert_eq!(
            shown,
            ["SET k me NX PX 30000", "SET k me XX GET PX 30000", "SET k me XX GET PX 1", "GET k"]
        );
    }
}
