//! Commands that a user may name in a configuration.

use redis::Value;

use super::{Priority, ReadCommand};
use crate::reply::bytes;

/// The words before the arguments, how many arguments, microseconds. Each reads one number in constant or logarithmic
/// time, and its first argument, where it has one, is a key. GET is sent as GETRANGE of a number's length.
const ALLOWED: [(&str, usize, u32); 16] = [
    ("dbsize", 0, 1),
    ("exists", 1, 2),
    ("get", 1, 2),
    ("hlen", 1, 2),
    ("hstrlen", 2, 3),
    ("lastsave", 0, 1),
    ("llen", 1, 2),
    ("pttl", 1, 2),
    ("scard", 1, 2),
    ("slowlog|len", 0, 1),
    ("strlen", 1, 2),
    ("ttl", 1, 2),
    ("xlen", 1, 3),
    ("zcard", 1, 2),
    ("zcount", 3, 10),
    ("zscore", 2, 3),
];

/// The longest text of a value that is looked at: no number is longer, and the value may have megabytes.
const LONGEST: usize = 64;

/// A command that a user has named, and what its answer means.
#[derive(Clone, Debug)]
pub struct Named {
    /// What is sent.
    pub command: ReadCommand,
    /// The key that it is about: the node that has it is the one to ask.
    pub key: Option<Vec<u8>>,
    /// Whether an answer below 0 says that there is none, as those of TTL do.
    pub negative_is_none: bool,
}

impl Named {
    /// Whether an answer is the beginning of a value that is longer than a number.
    pub fn is_cut(answer: &Value) -> bool {
        bytes(answer).is_some_and(|text| text.len() >= LONGEST)
    }
}

impl ReadCommand {
    /// A command that a user names, when it is one of those that read one number at a small cost.
    ///
    /// # Errors
    /// It is none of them, or has too few or too many arguments; the text says which there are.
    pub fn named(words: &[String]) -> Result<Named, String> {
        let begins = |name: &str| {
            let parts = name.split('|');
            words.len() >= parts.clone().count() && parts.zip(words).all(|(a, b)| a.eq_ignore_ascii_case(b))
        };
        let Some((name, wanted, cost)) = ALLOWED.into_iter().find(|(name, ..)| begins(name)) else {
            let names: Vec<_> = ALLOWED.iter().map(|(name, ..)| shown(name)).collect();
            return Err(format!("is no command that reads one number at a small cost: {}", names.join(", ")));
        };
        let arguments: Vec<_> = words[name.split('|').count()..].iter().map(String::as_bytes).collect();
        if arguments.len() != wanted {
            let given = arguments.len();
            return Err(format!("{} takes {wanted} arguments, {given} are given", shown(name)));
        }
        Ok(Named {
            key: arguments.first().map(|key| key.to_vec()),
            negative_is_none: ["ttl", "pttl"].contains(&name),
            command: match name {
                "get" => Self::new("getrange", &[arguments[0], b"0", b"63"], cost),
                _ => Self::new(name, &arguments, cost),
            }
            .of(Priority::High),
        })
    }
}

fn shown(name: &str) -> String {
    name.replace('|', " ").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_command_that_reads_one_number_cheaply_may_be_named_with_the_key_it_is_about() {
        let named = |text| ReadCommand::named(&words(text)).unwrap();
        let zcount = named("zcount RESET -inf +inf");
        assert_eq!(format!("{:?}", zcount.command), "ZCOUNT RESET -inf +inf");
        assert_eq!(zcount.key.as_deref(), Some(&b"RESET"[..]));
        assert_eq!(
            format!("{:?}", named("GET k").command),
            "GETRANGE k 0 63",
            "of a value no more than a number"
        );
        let slowlog = named("SlowLog len");
        assert_eq!((format!("{:?}", slowlog.command), slowlog.key), ("SLOWLOG LEN".to_owned(), None));
        assert!(named("pttl k").negative_is_none && !named("zscore k m").negative_is_none);
    }

    #[test]
    fn a_command_that_may_write_or_take_long_cannot_be_made() {
        for text in [
            "get k j",
            "getset k v",
            "set k v",
            "slowlog reset",
            "slowlog",
            "keys *",
            "xlen",
            "xlen a b",
            "config get *",
            "",
        ] {
            assert!(ReadCommand::named(&words(text)).is_err(), "{text}");
        }
        assert!(ReadCommand::named(&words("llen")).unwrap_err().contains("LLEN takes 1 arguments, 0"));
    }
}
