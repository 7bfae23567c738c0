//! A letter, and which letters are meant.

use clap::Args;
use serde_json::{Value, json};
use streamgauge_redis::StreamId;
use streamgauge_streams::Request;

use crate::cli::Failure;
use crate::streams::entry::Shown;
use crate::streams::server::Server;
use crate::streams::when::{Place, place};

/// What stands before the names of fields that tell why a letter is there.
pub(super) const MARK: &[u8] = b"dlq.";
/// Letters that are read at once.
const PAGE: usize = 500;

/// Which letters of a stream are meant: those to which all of it applies.
#[derive(Debug, Clone, Args)]
pub(super) struct Filter {
    /// Letters with this kind of error.
    #[arg(long, value_name = "TYPE")]
    reason: Option<String>,
    /// Letters that came from this stream.
    #[arg(long, value_name = "STREAM")]
    source: Option<String>,
    /// Letters of this consumer group.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Letters from here on: an id, a time, or how long ago (`15m`).
    #[arg(long, value_name = "PLACE", value_parser = place)]
    since: Option<Place>,
    /// Letters before this place.
    #[arg(long, value_name = "PLACE", value_parser = place)]
    until: Option<Place>,
    /// Letters in which a name or value has this text.
    #[arg(long, value_name = "TEXT")]
    contains: Option<String>,
    /// At most so many, the oldest first.
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,
}

impl Filter {
    /// How many are wanted at most, if nobody says it.
    pub(super) fn limited(&self, otherwise: u64) -> u64 {
        self.limit.unwrap_or(otherwise)
    }

    fn takes(&self, letter: &Shown) -> bool {
        let is = |wanted: &Option<String>, name: &str| {
            wanted.as_ref().is_none_or(|wanted| letter.field(name).as_deref() == Some(wanted))
        };
        let has = |text: &String| {
            let in_bytes = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).contains(text.as_str());
            letter.fields.iter().any(|(name, value)| in_bytes(name) || in_bytes(value))
        };
        is(&self.reason, "dlq.error.type")
            && is(&self.source, "dlq.stream")
            && is(&self.group, "dlq.group")
            && self.contains.as_ref().is_none_or(has)
    }

    /// Calls `each` with the letters, page by page, until it says that it has enough or the limit is reached.
    pub(super) async fn walk(
        &self,
        server: &mut Server,
        key: &[u8],
        most: Option<u64>,
        mut each: impl AsyncFnMut(&mut Server, Shown) -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let most = most.into_iter().chain(self.limit).min().unwrap_or(u64::MAX);
        let mut from = self.since.map_or("-".to_owned(), Place::from);
        let until = match self.until {
            Some(Place::At(id)) => format!("({id}"),
            _ => end(server, key).await?,
        };
        let mut taken = 0;
        while taken < most {
            let count = PAGE.to_string();
            let words: [&[u8]; 6] =
                [b"XRANGE", key, from.as_bytes(), until.as_bytes(), b"COUNT", count.as_bytes()];
            let replies = server.ask(key, &Request::of(&words)).await?;
            let reply =
                replies.last().ok().map_err(|refusal| crate::streams::server::explained(&refusal, &words))?;
            let page = Shown::all(&reply)?;
            let is_last = page.len() < PAGE;
            let Some(last) = page.last().map(|letter| letter.id.clone()) else { break };
            for letter in page {
                if taken < most && self.takes(&letter) {
                    taken += 1;
                    each(server, letter).await?;
                }
            }
            if is_last {
                break;
            }
            from = format!("({last}");
        }
        Ok(taken)
    }

    /// All of them in memory, with a bound.
    pub(super) async fn collect(
        &self,
        server: &mut Server,
        key: &[u8],
        most: Option<u64>,
    ) -> Result<Vec<Shown>, Failure> {
        let mut all = Vec::new();
        self.walk(server, key, most, async |_, letter| {
            all.push(letter);
            Ok(())
        })
        .await?;
        Ok(all)
    }
}

/// The last letter that is there now: what comes meanwhile is not meant, as a requeue that fails again would go round.
async fn end(server: &mut Server, key: &[u8]) -> Result<String, Failure> {
    let last = server.one(key, &[b"XREVRANGE", key, b"+", b"-", b"COUNT", b"1"]).await?;
    Ok(last[0][0].as_str().unwrap_or("+").to_owned())
}

/// A letter as JSON: what it says of itself under `dlq`, and the fields of the entry that it was.
pub(super) fn json(letter: &Shown) -> Value {
    let mut about = serde_json::Map::new();
    for (name, value) in &letter.fields {
        if let Some(name) = name.strip_prefix(MARK) {
            about.insert(String::from_utf8_lossy(name).into_owned(), String::from_utf8_lossy(value).into());
        }
    }
    let entry = Shown { id: letter.id.clone(), fields: original(letter) };
    json!({"id": letter.id, "dlq": about, "fields": entry.json()["fields"]})
}

/// The fields of the entry that it was.
pub(super) fn original(letter: &Shown) -> Vec<(Vec<u8>, Vec<u8>)> {
    letter.fields.iter().filter(|(name, _)| !name.starts_with(MARK)).cloned().collect()
}

/// Reads an id of a letter.
pub(super) fn id(letter: &Shown) -> Result<StreamId, Failure> {
    StreamId::parse(letter.id.as_bytes()).ok_or_else(|| Failure::runtime(format!("{} is no id", letter.id)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn letter(fields: &[(&str, &str)]) -> Shown {
        let fields = fields.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
        Shown { id: "5-0".to_owned(), fields }
    }

    fn filter() -> Filter {
        Filter {
            reason: None,
            source: None,
            group: None,
            since: None,
            until: None,
            contains: None,
            limit: None,
        }
    }

    #[test]
    fn a_filter_takes_what_all_of_it_applies_to() {
        let sent = letter(&[
            ("body", "order 17"),
            ("dlq.stream", "orders"),
            ("dlq.error.type", "body"),
            ("dlq.group", "g"),
        ]);
        let some = |text: &str| Some(text.to_owned());
        assert!(filter().takes(&sent));
        assert!(
            Filter { reason: some("body"), source: some("orders"), contains: some("17"), ..filter() }
                .takes(&sent)
        );
        assert!(!Filter { reason: some("body"), group: some("other"), ..filter() }.takes(&sent));
        assert!(!Filter { contains: some("18"), ..filter() }.takes(&sent));
    }

    #[test]
    fn a_letter_is_apart_from_what_is_said_about_it() {
        let json = json(&letter(&[("body", "x"), ("dlq.stream", "orders"), ("body", "y")]));
        assert_eq!(
            json,
            json!({"id": "5-0", "dlq": {"stream": "orders"}, "fields": [["body", "x"], ["body", "y"]]})
        );
    }
}
