//! Joining trees: maps merge, everything else is replaced.

use crate::{Entry, Map, Node, Value};

/// Puts `over` on top of `base`: maps merge key by key, lists and scalars (null too) are replaced whole.
pub(crate) fn merge(base: &mut Node, over: Node) {
    match (&mut base.value, over.value) {
        (Value::Map(base), Value::Map(over)) => {
            for entry in over.entries {
                insert(base, entry);
            }
        }
        (_, value) => *base = Node { value, ..over },
    }
}

fn insert(map: &mut Map, entry: Entry) {
    match map.entry_mut(&entry.key) {
        Some(there) => merge(&mut there.value, entry.value),
        None => map.entries.push(entry),
    }
}

/// Makes `a::b: 1` into `a: {b: 1}`, at every level.
///
/// A key with an empty part, such as `::1`, is no path and stays as it is.
pub(crate) fn nest(node: &mut Node) {
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::List(list) => list.iter_mut().for_each(nest),
        Value::Map(map) => {
            let entries = std::mem::take(&mut map.entries);
            for mut entry in entries {
                nest(&mut entry.value);
                insert(map, nested(entry));
            }
        }
    }
}

fn nested(entry: Entry) -> Entry {
    let parts: Vec<&str> = entry.key.split("::").collect();
    if parts.len() == 1 || parts.iter().any(|p| p.is_empty()) {
        return entry;
    }
    let mut parts = parts.into_iter().rev();
    let last = parts.next().unwrap_or_default().to_owned();
    let mut inner = Entry { key: last, place: entry.place.clone(), value: entry.value };
    for part in parts {
        let map = Map { entries: vec![inner] };
        inner = Entry {
            key: part.to_owned(),
            place: entry.place.clone(),
            value: Node::new(Value::Map(map), entry.place.clone()),
        };
    }
    inner
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Source, parse};

    fn tree(text: &str) -> Node {
        let mut node = parse(&Source::new("test", text)).unwrap().0;
        nest(&mut node);
        node
    }

    fn merged(a: &str, b: &str) -> Node {
        let mut base = tree(a);
        merge(&mut base, tree(b));
        base
    }

    #[test]
    fn maps_merge_and_lists_and_scalars_are_replaced() {
        let got = merged("a: {x: 1, l: [1, 2], m: {p: 1}}\nb: 1", "a: {x: 2, l: [3], m: {q: 2}}\nc: 3");
        assert_eq!(got, tree("{a: {x: 2, l: [3], m: {p: 1, q: 2}}, b: 1, c: 3}"));
    }

    #[test]
    fn null_over_a_map_replaces_it() {
        assert_eq!(merged("a: {x: 1}", "a:"), tree("a: null"));
    }

    #[test]
    fn a_double_colon_nests_at_every_level_but_an_address_stays() {
        assert_eq!(tree("a::b: 1\na: {c::d: 2, '::1': 3}"), tree("a: {b: 1, c: {d: 2}, '::1': 3}"));
    }

    fn any_tree() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![Just("1".to_owned()), Just("text".to_owned()), Just("[1, 2]".to_owned())];
        leaf.prop_recursive(3, 24, 4, |inner| {
            proptest::collection::btree_map("[a-d]", inner, 1..4).prop_map(|map| {
                let body: Vec<String> = map.iter().map(|(k, v)| format!("{k}: {v}")).collect();
                format!("{{{}}}", body.join(", "))
            })
        })
    }

    proptest! {
        #[test]
        fn what_is_laid_over_wins_and_laying_it_again_changes_nothing(a in any_tree(), b in any_tree()) {
            let once = merged(&a, &b);
            let mut twice = once.clone();
            merge(&mut twice, tree(&b));
            prop_assert_eq!(&once, &twice);
            prop_assert!(covers(&once, &tree(&b)), "{once:?} lacks something of {b}");
            prop_assert_eq!(merged(&a, &a), tree(&a));
        }
    }

    fn covers(whole: &Node, part: &Node) -> bool {
        match part.as_map() {
            Some(map) => map.entries.iter().all(|e| whole.get(&e.key).is_some_and(|v| covers(v, &e.value))),
            None => whole == part,
        }
    }
}
