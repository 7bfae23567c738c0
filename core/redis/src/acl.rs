//! The answer of ACL LOG.

use redis::Value;

use crate::reply::{bytes, count, get, items, number};

/// Something that a user was refused, with how often in a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Denial {
    /// Its number, since 7.2.
    pub id: Option<u64>,
    /// How often: what is refused again within a minute is counted on.
    pub count: u64,
    /// The kind: `auth`, `command`, `key`, `channel`, and what newer servers have.
    pub reason: String,
    /// Where: `toplevel`, `multi`, `lua` or `module`.
    pub context: String,
    /// The command, key or channel that was refused.
    pub object: String,
    /// The user who was.
    pub user: String,
    /// Seconds since the last time.
    pub age: f64,
    /// The client's line of CLIENT LIST.
    pub client: String,
}

impl Denial {
    /// A member of the client's line, such as `addr`.
    pub fn client(&self, name: &str) -> Option<&str> {
        let pairs = self.client.split(' ').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Reads the answer, the newest first. An entry that cannot be understood is left out.
pub fn denials(value: &Value) -> Vec<Denial> {
    let denial = |entry: &Value| {
        let text = |key| {
            let bytes = get(entry, key).and_then(bytes).unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        Some(Denial {
            id: get(entry, "entry-id").and_then(count),
            count: count(get(entry, "count")?)?,
            reason: text("reason"),
            context: text("context"),
            object: text("object"),
            user: text("username"),
            age: get(entry, "age-seconds").and_then(number).unwrap_or(0.0).max(0.0),
            client: text("client-info"),
        })
    };
    items(value).unwrap_or_default().iter().filter_map(denial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_both_protocols_with_and_without_an_id_are_read_and_a_broken_one_costs_no_other() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let members = [
            ("count", Value::Int(3)),
            ("reason", text("key")),
            ("object", text("k")),
            ("username", text("app")),
            ("age-seconds", text("4.5")),
            ("client-info", text("id=3 addr=127.0.0.1:7 name=web")),
        ];
        let flat = members.iter().flat_map(|(key, value)| [text(key), value.clone()]).collect();
        let mut map: Vec<_> = members.iter().map(|(key, value)| (text(key), value.clone())).collect();
        map.push((text("entry-id"), Value::Int(9)));
        let answer = Value::Array(vec![Value::Array(flat), Value::Nil, Value::Map(map)]);
        let [old, new] = &denials(&answer)[..] else { panic!("{answer:?}") };
        assert_eq!((old.id, new.id, old.count, old.age), (None, Some(9), 3, 4.5));
        assert_eq!(Denial { id: None, ..new.clone() }, *old);
        assert_eq!((old.client("addr"), old.client("user")), (Some("127.0.0.1:7"), None));
    }
}
