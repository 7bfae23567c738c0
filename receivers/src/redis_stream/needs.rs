//! What this receiver needs of a server, for whoever examines one before it runs: each command that is sent, on the keys that
//! are meant, in a form that changes nothing. Groups are called by a name that none has, ids and times are none.

use regex::bytes::Regex;
use streamgauge_streams::encoding::{Encoding, opsconductor};

use super::config::{Meant, RedisStreamConfig};
use super::roster::glob_regex;
use super::stream::OURS;

/// A group that is not there: who may read for it gets nothing, and acknowledges nothing.
const NOBODY: &str = "streamgauge-doctor";

/// Streams that one line of the settings means.
#[derive(Clone, Debug)]
pub struct Place {
    /// A name, or a glob.
    pub stream: String,
    /// Whether it is a glob.
    pub is_glob: bool,
    /// The consumer group.
    pub group: String,
    /// Where dead letters go, if anywhere; of a glob this is one too.
    pub dead_letter: Option<String>,
}

/// A command and what it is about.
#[derive(Clone, Debug)]
pub struct Need {
    /// As ACL rules spell it.
    pub rule: &'static str,
    /// The command.
    pub words: Vec<String>,
    /// Its key with all that could stand in its place: a name, and whether it is a glob.
    pub key: Option<(String, bool)>,
    /// What is missing without it; `None` when entries are not read, acknowledged or put aside without it.
    pub without: Option<&'static str>,
}

impl RedisStreamConfig {
    /// The streams of the settings. `has_slots` where the server is a node of a cluster.
    pub fn places(&self, has_slots: bool) -> Vec<Place> {
        let place = |choice: &super::config::StreamChoice| {
            let (stream, is_glob) = match choice.settings().meant()? {
                Meant::Name(name) if self.encoding == Encoding::Opsconductor => {
                    (opsconductor::full_name(&name), false)
                }
                Meant::Name(name) => (name, false),
                Meant::Glob(glob) => (glob, true),
            };
            Some(self.place(choice, stream, is_glob, has_slots))
        };
        self.streams.iter().filter_map(place).collect()
    }

    /// The stream of a name that a search has brought, if a glob of the settings means it.
    pub fn found(&self, name: &str, has_slots: bool) -> Option<Place> {
        let is_like =
            |glob: &str| Regex::new(&glob_regex(glob)).is_ok_and(|regex| regex.is_match(name.as_bytes()));
        let choice = self.streams.iter().find(|choice| {
            let settings = choice.settings();
            matches!(settings.meant(), Some(Meant::Glob(glob)) if is_like(&glob))
                && !settings.exclude.iter().any(|glob| is_like(glob))
        })?;
        Some(self.place(choice, name.to_owned(), false, has_slots))
    }

    fn place(
        &self,
        choice: &super::config::StreamChoice,
        stream: String,
        is_glob: bool,
        has_slots: bool,
    ) -> Place {
        let settings = choice.settings();
        let star = match settings.meant() {
            _ if is_glob => b"*".to_vec(),
            Some(Meant::Glob(glob)) => first_star(&glob, &stream),
            _ if self.encoding == Encoding::Opsconductor => {
                first_star(&opsconductor::stream_key("*"), &stream)
            }
            _ => Vec::new(),
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let group = settings.group.as_ref().unwrap_or(&self.group.name).of(stream.as_bytes(), &star);
        let letters = &self.dead_letter;
        let dead_letter = letters.enabled.then(|| text(letters.of(stream.as_bytes(), &star, has_slots)));
        Place { group: text(group), dead_letter, stream, is_glob }
    }

    /// What is sent about a place. `example` makes a key of a glob.
    pub fn needs(&self, place: &Place, example: impl Fn(&str) -> String) -> Vec<Need> {
        let key_of = |name: &str| if place.is_glob { example(name) } else { name.to_owned() };
        let stream = key_of(&place.stream);
        let mut all = Vec::new();
        let mut add = |rule, about: &Option<(String, bool)>, line: &[&str], without| {
            let words = line.iter().map(|word| (*word).to_owned()).collect();
            all.push(Need { rule, words, key: about.clone(), without });
        };
        let s = stream.as_str();
        let on = Some((place.stream.clone(), place.is_glob));
        add("xreadgroup", &on, &["XREADGROUP", "GROUP", NOBODY, "c", "COUNT", "1", "STREAMS", s, ">"], None);
        add("xack", &on, &["XACK", s, NOBODY, "0-1"], None);
        add("xpending", &on, &["XPENDING", s, NOBODY], None);
        add("xclaim", &on, &["XCLAIM", s, NOBODY, "c", "0", "0-1"], None);
        add("xrange", &on, &["XRANGE", s, "0-1", "0-1"], None);
        let lost = Some("how far was read when a connection was lost");
        add("xinfo|groups", &on, &["XINFO", "GROUPS", s], lost);
        if self.group.create {
            let made = Some("groups and streams that are missing");
            add("xgroup|create", &on, &["XGROUP", "CREATE", s, NOBODY, "none"], made);
            let again = Some("where to go on when a group was destroyed: all is read again");
            add("xrevrange", &on, &["XREVRANGE", s, "0-1", "0-1", "COUNT", "1"], again);
        }
        if self.ack.delete {
            add("xdel", &on, &["XDEL", s, "none"], None);
            add("command|info", &None, &["COMMAND", "INFO", "XACKDEL"], Some("XACKDEL"));
        }
        let cleans = Some("the removal of consumers that are gone");
        if !self.consumer.cleanup_after.is_zero() {
            add("xinfo|consumers", &on, &["XINFO", "CONSUMERS", s, NOBODY], cleans);
            add("xgroup|delconsumer", &on, &["XGROUP", "DELCONSUMER", s, NOBODY, "c"], cleans);
        }
        if !self.consumer.cleanup_after.is_zero() || self.ordering.enabled {
            let without = cleans.filter(|_| !self.ordering.enabled);
            add("eval", &on, &["EVAL", "return 0", "1", s], without);
        }
        let own = format!("{OURS}doctor:{{{s}}}");
        let own = own.as_str();
        let ours = Some((format!("{OURS}*"), true));
        let beats =
            Some("heartbeats: who is gone is told by idle time alone").filter(|_| !self.ordering.enabled);
        add("set", &ours, &["SET", own, "x", "PX", "none", "GET"], beats);
        add("del", &ours, &["DEL", own], beats);
        add("exists", &ours, &["EXISTS", own], beats.or(Some("heartbeats")));
        if self.ordering.enabled {
            add("get", &ours, &["GET", own], None);
            add("xread", &on, &["XREAD", "COUNT", "1", "STREAMS", s, "$"], None);
        }
        if let Some(name) = &place.dead_letter {
            let letter = key_of(name);
            let (d, on) = (letter.as_str(), Some((name.clone(), place.is_glob)));
            add("xadd", &on, &["XADD", d, "none", "a", "b"], None);
            add("type", &on, &["TYPE", d], Some("a look at the type of a dead letter's key"));
            if !self.dead_letter.ttl.is_zero() {
                add("xtrim", &on, &["XTRIM", d, "MAXLEN", "none"], Some("dead_letter.ttl"));
            }
        }
        if place.is_glob {
            add("scan", &None, &["SCAN", "0", "MATCH", &place.stream, "COUNT", "1", "TYPE", "stream"], None);
        }
        if place.dead_letter.is_some() {
            add("multi", &None, &["MULTI"], None);
            add("exec", &None, &["EXEC"], None);
        }
        all
    }
}

/// What the first star of a glob stands for in a name.
fn first_star(glob: &str, name: &str) -> Vec<u8> {
    let found = Regex::new(&glob_regex(glob)).ok();
    let found = found.as_ref().and_then(|regex| regex.captures(name.as_bytes())?.get(1));
    found.map_or_else(Vec::new, |star| star.as_bytes().to_vec())
}
