//! Streams and groups that the settings name and that are not there.

use streamgauge_config::did_you_mean;
use streamgauge_redis::{CommandError, Fault};

/// A group is not there; `others` are.
pub(super) fn absent<'a>(what: &str, name: &str, others: impl Iterator<Item = &'a Vec<u8>>) -> CommandError {
    CommandError { fault: Fault::NoSuchGroup, message: format!("{what}{}", suggestion(name, others)) }
}

/// What a name that is not there may have been meant to be.
pub(super) fn suggestion<'a>(name: &str, others: impl Iterator<Item = &'a Vec<u8>>) -> String {
    let others: Vec<_> = others.map(|other| String::from_utf8_lossy(other)).collect();
    did_you_mean(name, others.iter().map(|other| &**other))
        .map(|text| format!("; {text}"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_a_name_is_told_with_what_was_probably_meant() {
        let others = [b"billing".to_vec(), b"shipping".to_vec()];
        let error = absent("the stream has no such group", "biling", others.iter());
        assert_eq!(error.fault, Fault::NoSuchGroup);
        assert_eq!(error.message, "the stream has no such group; did you mean `billing`?");
        let stranger = absent("the stream has no such group", "audit", others.iter());
        assert_eq!(stranger.message, "the stream has no such group");
    }
}
