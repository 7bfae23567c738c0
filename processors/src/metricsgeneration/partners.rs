//! Which point of the second metric belongs to a point of the first.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

use streamgauge_pdata::view::NumberPoint;
use streamgauge_series::Identity;

use super::generate::{Sample, Skipped};

/// The points of a second metric, to be found by the attributes that they share with a point of the first.
///
/// Points are partners when every attribute that both have is equal in both. Which attributes both have depends on
/// the keys alone, and nearly all points of a metric have the same: for each set of keys that asks, the points stand
/// in tables by the values of what is shared, so that ten thousand pools find their maxima in ten thousand steps.
pub(super) struct Partners<'s, 'a> {
    seconds: Vec<(Vec<&'a str>, &'s Sample<'a>)>,
    tables: HashMap<Vec<&'a str>, Vec<Table<'s, 'a>>>,
}

/// The points that share these keys with who asks, by the values of them.
struct Table<'s, 'a> {
    shared: Vec<&'a str>,
    by_values: HashMap<Vec<u8>, Vec<Candidate<'s, 'a>>>,
}

/// A point, and how many attributes it has.
type Candidate<'s, 'a> = (usize, &'s Sample<'a>);

impl<'s, 'a> Partners<'s, 'a> {
    pub fn new(seconds: &'s [Sample<'a>]) -> Self {
        let seconds = seconds.iter().map(|sample| (keys(&sample.point), sample)).collect();
        Partners { seconds, tables: HashMap::new() }
    }

    /// The nearest partner: with most attributes in common, then with fewest others, then of the same scope, then of
    /// the same time.
    pub fn find(&mut self, first: &Sample<'a>, identity: &mut Identity) -> Result<&'s Sample<'a>, Skipped> {
        let Partners { seconds, tables } = self;
        let tables =
            tables.entry(keys(&first.point)).or_insert_with_key(|keys| tables_of(keys, seconds, identity));
        let mut best = None;
        for table in tables {
            let candidates =
                values(&table.shared, &first.point, identity).and_then(|v| table.by_values.get(v));
            for (attributes, second) in candidates.into_iter().flatten() {
                let same_time = second.point.time == first.point.time;
                let near = (table.shared.len(), Reverse(attributes), second.scope == first.scope, same_time);
                match best.as_ref().map_or(Ordering::Greater, |(nearest, _)| near.cmp(nearest)) {
                    Ordering::Greater => best = Some((near, Ok(*second))),
                    Ordering::Equal => best = Some((near, Err(Skipped::Ambiguous))),
                    Ordering::Less => {}
                }
            }
        }
        best.map_or(Err(Skipped::NoPartner), |(_, found)| found)
    }
}

fn tables_of<'s, 'a>(
    keys: &[&'a str],
    seconds: &[(Vec<&'a str>, &'s Sample<'a>)],
    identity: &mut Identity,
) -> Vec<Table<'s, 'a>> {
    let mut tables: Vec<Table<'_, '_>> = Vec::new();
    for (own, second) in seconds {
        let shared: Vec<_> = keys.iter().copied().filter(|key| own.contains(key)).collect();
        let Some(values) = values(&shared, &second.point, identity).map(<[u8]>::to_vec) else { continue };
        let place = tables.iter().position(|table| table.shared == shared).unwrap_or_else(|| {
            tables.push(Table { shared, by_values: HashMap::new() });
            tables.len() - 1
        });
        tables[place].by_values.entry(values).or_default().push((own.len(), second));
    }
    tables
}

/// The keys of a point's attributes, sorted.
fn keys<'a>(point: &NumberPoint<'a>) -> Vec<&'a str> {
    let mut keys: Vec<_> = point.attributes().flatten().map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The values of these attributes, in a form in which equal ones are equal.
fn values<'i>(keys: &[&str], point: &NumberPoint<'_>, identity: &'i mut Identity) -> Option<&'i [u8]> {
    identity.group(keys.iter().map(|key| point.attributes().get(key).ok().flatten())).ok()
}
