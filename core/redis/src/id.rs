//! Ids of stream entries.

use std::fmt;
use std::str::FromStr;

/// An entry's id: milliseconds since 1970 by the server's clock (unless the producer chose its own), and a number
/// within the millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// Number within the millisecond.
    pub seq: u64,
}

impl StreamId {
    /// `0-0`, which no entry has.
    pub const ZERO: StreamId = StreamId { ms: 0, seq: 0 };

    /// Reads `ms-seq`; a missing `-seq` is 0.
    pub fn parse(bytes: &[u8]) -> Option<StreamId> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (ms, seq) = text.split_once('-').unwrap_or((text, "0"));
        Some(StreamId { ms: number(ms)?, seq: number(seq)? })
    }
}

/// `u64::from_str` takes a leading `+`, Redis does not.
fn number(text: &str) -> Option<u64> {
    if text.starts_with('+') { None } else { u64::from_str(text).ok() }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_order_by_time_then_number() {
        let id = |text: &str| StreamId::parse(text.as_bytes()).unwrap();
        assert!(id("9-5") < id("10-0") && id("10-0") < id("10-1") && id("10") == id("10-0"));
    }

    #[test]
    fn what_is_no_id_is_none() {
        for text in ["", "-", "a-1", "1-", "1-2-3", "+1-2", "1-+2", "99999999999999999999-0", "-1"] {
            assert_eq!(StreamId::parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_id_survives_printing(ms: u64, seq: u64) {
            let id = StreamId { ms, seq };
            prop_assert_eq!(StreamId::parse(id.to_string().as_bytes()), Some(id));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = StreamId::parse(&bytes);
        }
    }
}
