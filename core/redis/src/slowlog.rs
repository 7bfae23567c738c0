//! Answers of SLOWLOG GET and COMMANDLOG GET.

use redis::Value;

use crate::reply::{bytes, count, items};

/// The most arguments that a server keeps of a command, where it does not say otherwise.
const KEPT: usize = 32;

/// One command that was slow, or large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedCommand {
    /// Its number: the process of the server counts on from 0, also over SLOWLOG RESET.
    pub id: u64,
    /// When it ended, seconds since 1970.
    pub time: u64,
    /// How long it took, microseconds; in COMMANDLOG's logs of large ones how large it was, bytes.
    pub amount: u64,
    /// The command and its arguments, as far as the server keeps them; a long one is cut and says so.
    pub arguments: Vec<Vec<u8>>,
    /// How many arguments the server has not kept.
    pub left_out: u64,
    /// The client's address, `host:port` or a path.
    pub client: String,
    /// The name that the client has given itself.
    pub client_name: String,
}

/// Reads the answer. An entry that cannot be understood is left out.
pub fn logged_commands(value: &Value) -> Vec<LoggedCommand> {
    items(value).unwrap_or_default().iter().filter_map(entry).collect()
}

fn entry(value: &Value) -> Option<LoggedCommand> {
    let [id, time, amount, arguments, rest @ ..] = items(value)? else { return None };
    let text = |at: usize| {
        let bytes = rest.get(at).and_then(bytes).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    let mut arguments: Vec<_> = items(arguments)?.iter().filter_map(bytes).map(<[u8]>::to_vec).collect();
    let left_out = arguments.last().filter(|_| arguments.len() >= KEPT).and_then(|last| more(last));
    if left_out.is_some() {
        arguments.pop();
    }
    Some(LoggedCommand {
        id: count(id)?,
        time: count(time)?,
        amount: count(amount)?,
        arguments,
        left_out: left_out.unwrap_or(0),
        client: text(0),
        client_name: text(1),
    })
}

/// The last of the arguments that are kept says how many are not: `... (5 more arguments)`.
fn more(argument: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(argument).ok()?;
    text.strip_prefix("... (")?.strip_suffix(" more arguments)")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn logged(arguments: Vec<Value>, more: &[&str]) -> Value {
        let mut items = vec![Value::Int(7), Value::Int(1_700_000_000), Value::Int(12_345)];
        items.push(Value::Array(arguments));
        items.extend(more.iter().map(|more| text(more)));
        Value::Array(items)
    }

    #[test]
    fn entries_of_all_versions_are_read_and_a_broken_one_costs_no_other() {
        let get = || vec![text("GET"), text("k")];
        let answer = Value::Array(vec![
            logged(get(), &["127.0.0.1:5", "web"]),
            Value::Nil,
            Value::Array(vec![Value::Int(1)]),
            logged(get(), &[]),
            logged(get(), &["127.0.0.1:5", "web", "2"]),
        ]);
        let entries = logged_commands(&answer);
        assert_eq!(entries.len(), 3);
        assert_eq!((entries[0].client.as_str(), entries[0].client_name.as_str()), ("127.0.0.1:5", "web"));
        assert_eq!((entries[0].id, entries[0].time, entries[0].amount), (7, 1_700_000_000, 12_345));
        assert_eq!(entries[1].client, "");
        assert_eq!(entries[0], entries[2]);
    }

    #[test]
    fn what_the_server_has_not_kept_is_a_number_and_no_argument() {
        let words = |count: usize, last: &str| {
            let mut words = vec![text("k"); count - 1];
            words.push(text(last));
            words
        };
        let read = |words| logged_commands(&Value::Array(vec![logged(words, &[])])).remove(0);
        let cut = read(words(32, "... (5 more arguments)"));
        assert_eq!((cut.arguments.len(), cut.left_out), (31, 5));
        let whole = read(words(31, "... (5 more arguments)"));
        assert_eq!((whole.arguments.len(), whole.left_out), (31, 0), "somebody's value");
        let long = read(words(32, "abc... (5 more bytes)"));
        assert_eq!((long.arguments.len(), long.left_out), (32, 0));
    }
}
