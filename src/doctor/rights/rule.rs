//! ACL rules as ACL SETUSER takes them.

use super::{Right, Verdict};

/// Rights that are wanted or missing.
pub(super) struct Rule {
    /// Since 7.0 keys can be granted for reading alone.
    readable: bool,
    commands: Vec<&'static str>,
    keys: Vec<String>,
    /// Keys that are written too.
    written: Vec<String>,
    without: Vec<&'static str>,
}

impl Rule {
    pub(super) fn new(readable: bool) -> Self {
        Rule { readable, commands: Vec::new(), keys: Vec::new(), written: Vec::new(), without: Vec::new() }
    }

    /// Adds what is missing of a right. While a command is refused the server does not tell about its keys: another
    /// command on the same keys may, else they count as missing.
    pub(super) fn add<C>(
        &mut self,
        right: &Right<C>,
        verdict: Verdict,
        rights: &[Right<C>],
        verdicts: &[Verdict],
    ) {
        let keys_are_readable = rights
            .iter()
            .zip(verdicts)
            .any(|(other, verdict)| other.keys == right.keys && *verdict == Verdict::Yes);
        match verdict {
            Verdict::Yes | Verdict::Unknown => return,
            Verdict::NoKey => {}
            Verdict::NoCommand => push(&mut self.commands, right.rule),
        }
        if let Some(keys) = right.keys.clone().filter(|_| !keys_are_readable) {
            push(self.keys_of(right), keys);
        }
        if let Some(without) = right.without {
            push(&mut self.without, without);
        }
    }

    /// Adds a right as a whole.
    pub(super) fn want<C>(&mut self, right: &Right<C>) {
        push(&mut self.commands, right.rule);
        if let Some(keys) = right.keys.clone() {
            push(self.keys_of(right), keys);
        }
    }

    fn keys_of<C>(&mut self, right: &Right<C>) -> &mut Vec<String> {
        // A lease's and a heartbeat's: nothing else is sent these.
        if ["set", "get", "del", "exists"].contains(&right.rule) { &mut self.written } else { &mut self.keys }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.keys.is_empty() && self.written.is_empty()
    }

    /// For a sentence: `run xlen, xinfo|groups and read keys orders:*`.
    pub(super) fn words(&self) -> String {
        let run = (!self.commands.is_empty()).then(|| format!("run {}", self.commands.join(", ")));
        let read = (!self.keys.is_empty())
            .then(|| format!("{} keys {}", if self.readable { "read" } else { "use" }, self.keys.join(", ")));
        let write = (!self.written.is_empty()).then(|| format!("write key {}", self.written.join(", ")));
        run.into_iter().chain(read).chain(write).collect::<Vec<_>>().join(" and ")
    }

    /// What is lost without them.
    pub(super) fn without(&self) -> String {
        self.without.join(", ")
    }

    fn rules(&self) -> String {
        let commands = self.commands.iter().map(|command| format!("+{command}"));
        let sign = if self.readable { "%R~" } else { "~" };
        let keys = self.keys.iter().map(|keys| quoted(format!("{sign}{keys}")));
        let written = self.written.iter().map(|keys| quoted(format!("~{keys}")));
        commands.chain(keys).chain(written).collect::<Vec<_>>().join(" ")
    }

    /// The command that adds them to a user.
    pub(super) fn grant(&self, user: &str) -> String {
        format!("ACL SETUSER {} {}", quoted(user.to_owned()), self.rules())
    }

    /// The command that makes a user with these rights and no others.
    pub(super) fn create(&self) -> String {
        format!("ACL SETUSER streamgauge on >PASSWORD resetkeys resetchannels -@all {}", self.rules())
    }
}

fn push<T: PartialEq>(list: &mut Vec<T>, one: T) {
    if !list.contains(&one) {
        list.push(one);
    }
}

/// As redis-cli reads it.
fn quoted(word: String) -> String {
    if word.contains([' ', '"', '\'', '\t', '\n']) { format!("{word:?}") } else { word }
}

/// The key pattern that covers a pattern of `streams`; a regular expression may match any key.
pub(super) fn key_pattern(pattern: &str) -> String {
    let is_regex = pattern.len() > 1 && pattern.starts_with('/') && pattern.ends_with('/');
    if is_regex { "*" } else { pattern }.to_owned()
}

/// The pattern of one key.
pub(super) fn literal(key: &str) -> String {
    key.chars().flat_map(|c| "*?[]\\".contains(c).then_some('\\').into_iter().chain([c])).collect()
}

/// A key that the pattern matches.
pub(in crate::doctor) fn example(pattern: &str) -> String {
    let pattern = key_pattern(pattern);
    let mut key = String::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => {}
            '?' => key.push('x'),
            '\\' => key.extend(rest.next()),
            '[' => {
                let set: String = rest.by_ref().take_while(|c| *c != ']').collect();
                let inverted = set.strip_prefix('^');
                let outside = |set: &str| ('0'..='z').find(|c| !set.contains(*c) && c.is_alphanumeric());
                key.extend(inverted.map_or_else(|| set.chars().next(), outside));
            }
            c => key.push(c),
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use streamgauge_redis::ReadCommand;

    use super::*;

    fn right(rule: &'static str, keys: Option<&str>) -> Right {
        Right { rule, command: ReadCommand::ping(), keys: keys.map(str::to_owned), without: None }
    }

    fn missing(readable: bool, verdicts: &[Verdict]) -> String {
        let rights = [right("info", None), right("xlen", Some("a:*")), right("xinfo|groups", Some("a:*"))];
        let mut rule = Rule::new(readable);
        for (right, verdict) in rights.iter().zip(verdicts) {
            rule.add(right, *verdict, &rights, verdicts);
        }
        if rule.is_empty() { String::new() } else { rule.grant("monitor") }
    }

    #[test]
    fn a_rule_grants_what_is_missing_and_nothing_else() {
        use Verdict::{NoCommand, NoKey, Unknown, Yes};
        assert_eq!(missing(true, &[Yes, Yes, NoCommand]), "ACL SETUSER monitor +xinfo|groups");
        assert_eq!(missing(true, &[Yes, NoKey, NoKey]), "ACL SETUSER monitor %R~a:*");
        assert_eq!(missing(false, &[NoCommand, NoKey, NoKey]), "ACL SETUSER monitor +info ~a:*");
        assert_eq!(missing(true, &[Yes, NoKey, NoCommand]), "ACL SETUSER monitor +xinfo|groups %R~a:*");
        assert_eq!(
            missing(true, &[Yes, NoCommand, NoCommand]),
            "ACL SETUSER monitor +xlen +xinfo|groups %R~a:*"
        );
        assert_eq!(missing(true, &[Yes, Unknown, Yes]), "");
    }

    #[test]
    fn names_with_spaces_are_quoted_for_redis_cli() {
        let mut rule = Rule::new(true);
        rule.want(&right("xlen", Some("my stream")));
        assert_eq!(rule.grant("u"), "ACL SETUSER u +xlen \"%R~my stream\"");
    }

    #[test]
    fn an_example_is_a_key_that_the_pattern_matches() {
        for pattern in ["orders", "orders:*", "a?c", "a[bc]d", "a[^x]", r"a\*b", "*", "/^orders/", "[a-c]*"] {
            let key = example(pattern);
            let glob: streamgauge_series::Pattern = key_pattern(pattern).parse().unwrap();
            assert!(glob.matches(&key), "{pattern}: {key:?}");
        }
    }
}
