//! Dividing a request between its resources.

use bytes::Bytes;

use crate::body::Body;
use crate::check::{is_child, items, locate};
use crate::edit::{ResourceHeader, Unread};
use crate::malformed::{Fault, Malformed};
use crate::rope::Rope;
use crate::signal::Signal;
use crate::view::Reader;
use crate::wire::{self, Field};

/// What of a request goes to one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The number that the resources in it were given.
    pub place: usize,
    /// They, in their order.
    pub bytes: Body,
    /// Their items.
    pub items: usize,
}

/// Asks `sort` where each resource goes, which may be several places, and makes one request for each place, in the order
/// of their first resources. Resources that stay neighbours are not copied where they are long, and a request that goes
/// to one place is that request. `total` is the number of items in it.
///
/// # Errors
/// A fault at a border, as in [`check`](crate::check()); where all goes to one place, of the resources' borders only.
pub fn divide(
    signal: Signal,
    request: &Bytes,
    total: usize,
    sort: impl FnMut(Unread<'_, ResourceHeader<'_>>, &mut Vec<usize>),
) -> Result<Vec<Share>, Malformed> {
    shares(signal, request, total, sort).map_err(|fault| locate(signal, request, fault))
}

/// The resources for one place.
struct Lane {
    place: usize,
    rope: Rope,
    resources: Vec<Field>,
}

fn shares(
    signal: Signal,
    request: &Bytes,
    total: usize,
    mut sort: impl FnMut(Unread<'_, ResourceHeader<'_>>, &mut Vec<usize>),
) -> Result<Vec<Share>, Fault> {
    let (level, mut pos, mut from, mut seen) = (signal.request(), 0, 0, 0);
    let mut lanes: Vec<Lane> = Vec::new();
    let mut places = Vec::new();
    while let Some(field) = wire::next_field(request, &mut pos, request.len())? {
        if !is_child(level, &field)? {
            continue; // goes with the resource before it, or with the first
        }
        if seen > 0 {
            extend(&mut lanes, &places, from, field.start);
            from = field.start;
        }
        places.clear();
        seen += 1;
        sort(Unread::new(Reader::new(request, field.span())), &mut places);
        for place in &places {
            match lanes.iter_mut().find(|lane| lane.place == *place) {
                Some(lane) => lane.resources.push(field),
                None => lanes.push(Lane { place: *place, rope: Rope::default(), resources: vec![field] }),
            }
        }
    }
    extend(&mut lanes, &places, from, request.len());
    let is_one = lanes.len() == 1 && lanes.iter().all(|lane| lane.resources.len() == seen);
    let share = |mut lane: Lane| {
        let count = |field: &Field| match level.below(field.number) {
            Some(below) => items(below, request, field.body, field.end),
            None => Ok(1),
        };
        let items = if is_one { total } else { lane.resources.iter().map(count).sum::<Result<_, _>>()? };
        Ok(Share { place: lane.place, bytes: lane.rope.body(request), items })
    };
    lanes.into_iter().map(share).collect()
}

/// The bytes up to the next resource go where the last one went.
fn extend(lanes: &mut [Lane], places: &[usize], from: usize, to: usize) {
    for lane in lanes.iter_mut().filter(|lane| places.contains(&lane.place)) {
        lane.rope.old(from, to);
    }
}
