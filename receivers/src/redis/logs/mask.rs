//! A command without what it holds: its text with values masked, and its shape.

use std::borrow::Cow;

use ring::digest::{SHA256, digest};
use streamgauge_redis::LoggedCommand;

use super::config::{Keys, LogsConfig, Values};
use super::keys::{has_subcommand, keys};

/// The longest word that is believed to be a command's name.
const NAME: usize = 40;

/// A command as it may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Masked {
    /// Its name, with the subcommand where it has one: `XINFO GROUPS`.
    pub(super) name: String,
    /// All of it: `SET user:7 ?`.
    pub(super) text: String,
    /// What calls like this one have in common: `SET key ?`, `MSET key ? ...`.
    pub(super) shape: String,
    /// Arguments, those included that the server has not kept.
    pub(super) arguments: u64,
}

impl Masked {
    pub(super) fn of(command: &LoggedCommand, config: &LogsConfig) -> Masked {
        let arguments = &command.arguments;
        let word = |at: usize| arguments.get(at).and_then(|word| name(word));
        let first = word(0);
        let second = first.as_deref().filter(|first| has_subcommand(first)).and_then(|_| word(1));
        let named = usize::from(first.is_some()) + usize::from(second.is_some());
        let is_key = keys(first.as_deref().unwrap_or_default(), arguments, command.left_out);
        let names: Vec<String> = first.into_iter().chain(second).collect();
        let (mut text, mut shape) = (names.clone(), Vec::new());
        for (argument, is_key) in arguments.iter().zip(is_key).skip(named) {
            shape.push(if is_key { "key" } else { "?" });
            text.push(match (is_key, config.keys, config.values) {
                (true, Keys::Shown, _) | (false, _, Values::Shown) => quoted(argument),
                (true, Keys::Hashed, _) => format!("#{}", hash(argument)),
                _ => "?".to_owned(),
            });
        }
        if command.left_out > 0 {
            text.push(format!("... ({} more)", command.left_out));
            shape.push("...");
        }
        let words: Vec<&str> = names.iter().map(String::as_str).chain(folded(&shape)).collect();
        let arguments = (arguments.len() as u64).saturating_sub(1) + command.left_out;
        Masked { name: names.join(" "), text: text.join(" "), shape: words.join(" "), arguments }
    }
}

/// The name of a command in capitals; a word that cannot be one is none.
fn name(word: &[u8]) -> Option<String> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let is_name = !word.is_empty() && word.len() <= NAME && word.iter().all(plain);
    is_name.then(|| String::from_utf8_lossy(word).to_ascii_uppercase())
}

/// The beginning of the SHA-256, 16 hexadecimal digits.
pub(super) fn hash(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// As one word.
fn quoted(argument: &[u8]) -> String {
    let text: Cow<'_, str> = String::from_utf8_lossy(argument);
    let is_plain =
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"');
    if is_plain { text.into_owned() } else { format!("{text:?}") }
}

/// What repeats, one word or a pair, stands once with dots behind it.
fn folded<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let (mut folded, mut at) = (Vec::new(), 0);
    while at < words.len() {
        let repeats = |width: usize| {
            let unit = words.get(at..at + width)?;
            let times = words[at..].chunks_exact(width).take_while(|chunk| *chunk == unit).count();
            (times > 1).then_some((width, times))
        };
        match repeats(1).or_else(|| repeats(2)) {
            Some((width, times)) => {
                folded.extend(&words[at..at + width]);
                if words.get(at + width * times) != Some(&"...") {
                    folded.push("...");
                }
                at += width * times;
            }
            None => {
                folded.push(words[at]);
                at += 1;
            }
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn command(words: &[&str]) -> LoggedCommand {
        LoggedCommand {
            id: 0,
            time: 0,
            amount: 0,
            arguments: words.iter().map(|word| word.as_bytes().to_vec()).collect(),
            left_out: 0,
            client: String::new(),
            client_name: String::new(),
        }
    }

    fn shape(text: &str) -> String {
        Masked::of(&command(&text.split(' ').collect::<Vec<_>>()), &LogsConfig::default()).shape
    }

    #[test]
    fn calls_of_one_kind_have_one_shape() {
        for (text, wanted) in [
            ("SET user:7 hunter2", "SET key ?"),
            ("set user:8 other", "SET key ?"),
            ("SET user:7 hunter2 EX 5", "SET key ? ..."),
            ("MGET a", "MGET key"),
            ("MGET a b c", "MGET key ..."),
            ("MSET a v b w", "MSET key ? ..."),
            ("HSET h f v g w", "HSET key ? ..."),
            ("XINFO STREAM s FULL", "XINFO STREAM key ?"),
            ("CONFIG SET requirepass hunter2", "CONFIG SET ? ..."),
            ("DEBUG SLEEP 0.2", "DEBUG SLEEP ?"),
            ("EVAL return 1 k v", "EVAL ? ... key ?"),
            ("FT.SEARCH idx hunter2", "FT.SEARCH ? ..."),
            ("PING", "PING"),
        ] {
            assert_eq!(shape(text), wanted, "{text}");
        }
    }

    #[test]
    fn keys_and_values_are_told_as_the_settings_say() {
        let set = command(&["SET", "user 7", "hunter2"]);
        let text =
            |keys, values| Masked::of(&set, &LogsConfig { keys, values, ..LogsConfig::default() }).text;
        assert_eq!(text(Keys::Shown, Values::Masked), "SET \"user 7\" ?");
        assert_eq!(text(Keys::Masked, Values::Masked), "SET ? ?");
        assert_eq!(text(Keys::Masked, Values::Shown), "SET ? hunter2");
        let hashed = text(Keys::Hashed, Values::Masked);
        assert_eq!((hashed.len(), hashed.starts_with("SET #"), hashed.contains("user")), (23, true, false));
        assert_eq!(hashed, text(Keys::Hashed, Values::Masked), "the same key has the same hash");
    }

    #[test]
    fn what_the_server_has_not_kept_is_counted() {
        let mut del = command(&["DEL", "a", "b"]);
        del.left_out = 40;
        let masked = Masked::of(&del, &LogsConfig::default());
        assert_eq!(masked.text, "DEL a b ... (40 more)");
        assert_eq!((masked.shape.as_str(), masked.arguments), ("DEL key ...", 42));
    }

    proptest! {
        /// Whatever the command is: names from a sample, or any bytes.
        #[test]
        fn no_value_is_ever_told(
            name in prop::sample::select(vec!["SET", "HSET", "XADD", "EVAL", "CONFIG", "AUTH", "NOSUCH", "MSET"]),
            rest in prop::collection::vec("[ -~]{0,12}", 0..20),
        ) {
            // No other word is so written.
            let secret = |n: usize| format!("§{n}§");
            let mut words = vec![name.to_owned()];
            words.extend(rest);
            let n = words.len();
            words.extend((0..3).map(secret));
            let config = LogsConfig { keys: Keys::Masked, ..LogsConfig::default() };
            let masked = Masked::of(&command(&words.iter().map(String::as_str).collect::<Vec<_>>()), &config);
            let told = format!("{masked:?}");
            prop_assert!(!told.contains('§'), "{told}");
            prop_assert_eq!(masked.arguments as usize, n + 2);
        }
    }
}
