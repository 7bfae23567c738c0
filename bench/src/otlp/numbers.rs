//! Numbered requests: which were sent, which were acknowledged, which arrived and how often.
//!
//! The number stands in the trace id of a request's first record, behind a mark, so that it survives every way of writing
//! the same records anew, and joining requests.

use std::collections::HashMap;

use memchr::memmem;
use serde::{Deserialize, Serialize};

/// What a trace id begins with that holds a number.
pub const MARK: [u8; 8] = *b"sg-bench";

/// A trace id with a number.
pub fn marked(number: u64) -> [u8; 16] {
    (u128::from(u64::from_be_bytes(MARK)) << 64 | u128::from(number)).to_be_bytes()
}

/// Where the first number stands.
pub fn place(body: &[u8]) -> Option<usize> {
    memmem::find(body, &MARK).map(|at| at + MARK.len())
}

/// Every number in a body.
pub fn of(body: &[u8]) -> Vec<u64> {
    let number = |at: usize| body.get(at + MARK.len()..)?.first_chunk().copied().map(u64::from_be_bytes);
    memmem::find_iter(body, &MARK).filter_map(number).collect()
}

/// What the load knows of its requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sent {
    /// Numbers below were given out.
    pub next: u64,
    pub acked: Vec<u64>,
}

/// How often the sink has answered a number with success.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Arrived(pub HashMap<u64, u32>);

/// Both sides together, in requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub sent: u64,
    pub acked: u64,
    /// At least once.
    pub delivered: u64,
    /// Once more than was needed.
    pub duplicated: u64,
    /// Acknowledged and never delivered.
    pub lost: u64,
}

impl Account {
    /// `counts` says which numbers belong to it.
    pub fn of(sent: &Sent, arrived: &Arrived, counts: impl Fn(u64) -> bool) -> Account {
        let count = |of: &mut dyn Iterator<Item = u64>| of.filter(|number| counts(*number)).count() as u64;
        let times =
            arrived.0.iter().filter(|(number, _)| counts(**number)).map(|(_, times)| u64::from(*times));
        let delivered = count(&mut arrived.0.keys().copied());
        Account {
            sent: count(&mut (0..sent.next)),
            acked: count(&mut sent.acked.iter().copied()),
            delivered,
            duplicated: times.sum::<u64>() - delivered,
            lost: count(&mut sent.acked.iter().copied().filter(|number| !arrived.0.contains_key(number))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_again_however_many_a_body_has() {
        let body = [b"ab".as_slice(), &marked(7), b"cd", &marked(u64::MAX), &MARK].concat();
        assert_eq!(of(&body), [7, u64::MAX]);
        assert_eq!(place(&body), Some(10));
        assert_eq!(place(b"nothing here"), None);
    }

    #[test]
    fn what_was_acknowledged_and_did_not_arrive_is_lost_and_what_came_twice_is_duplicated() {
        let sent = Sent { next: 5, acked: vec![0, 1, 3] };
        let arrived = Arrived(HashMap::from([(0, 1), (1, 3), (4, 1)]));
        let whole = Account { sent: 5, acked: 3, delivered: 3, duplicated: 2, lost: 1 };
        assert_eq!(Account::of(&sent, &arrived, |_| true), whole);
        let even = Account { sent: 3, acked: 1, delivered: 2, duplicated: 0, lost: 0 };
        assert_eq!(Account::of(&sent, &arrived, |number| number % 2 == 0), even);
    }
}
