//! Reading a tree into a type by serde: all errors at once, each with its place.
//!
//! Serde stops at the first error. So a failed value is noted, left out, and the reading starts again, until nothing new is
//! found; the tree is small and every round leaves out one value more. The same round trip gives null its meaning: a null
//! is left out, and the setting keeps its default.

mod de;
mod duration;
mod error;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use serde::de::DeserializeOwned;

use crate::{Diagnostic, Diagnostics, Node, codes};
use de::De;
use error::{Address, Reason};

/// What is known from the rounds before.
#[derive(Default)]
struct Notes {
    /// Values that are left out: nulls, and values that were wrong.
    nulls: HashSet<Address>,
    wrong: HashSet<Address>,
    /// Keys that nothing knows, by the map they stand in.
    unknown: RefCell<HashMap<Address, Diagnostic>>,
}

/// Most wrong values and nulls that are looked for in one section.
const MAX_ROUNDS: usize = 1000;

/// Reads a node into a type; `prefix` is the path that messages begin with.
pub(crate) fn read<T: DeserializeOwned>(node: &Node, prefix: &str) -> Result<T, Diagnostics> {
    let mut notes = Notes::default();
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut value = None;
    for _ in 0..MAX_ROUNDS {
        let root = De { node, path: prefix.to_owned(), notes: &notes, optional: false };
        let error = match T::deserialize(root) {
            Ok(read) => {
                value = Some(read);
                break;
            }
            Err(error) => error.at(node, prefix),
        };
        let Some(spot) = error.spot.clone() else { break };
        if matches!(error.reason, Reason::Null) && spot.address != error::address(node) {
            if !notes.nulls.insert(spot.address) {
                break;
            }
            continue;
        }
        // A value that is missing because it was wrong has been told about.
        if !error.misses_one_of(&notes.wrong) {
            found.push(error.into_diagnostic());
        }
        if spot.address == error::address(node) || !notes.wrong.insert(spot.address) {
            break;
        }
    }
    found.extend(notes.unknown.into_inner().into_values());
    found.sort_by(|a, b| a.place.as_ref().map(|p| p.order()).cmp(&b.place.as_ref().map(|p| p.order())));
    match value {
        Some(value) if found.is_empty() => Ok(value),
        _ if found.is_empty() => {
            let message = format!("'{prefix}' cannot be read");
            Err(Diagnostic::error(codes::BAD_VALUE, message).at(&node.place).into())
        }
        _ => Err(found.into_iter().collect()),
    }
}

#[cfg(test)]
mod tests;
