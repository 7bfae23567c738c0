//! The way to a Redis, and its answers as values.

use std::collections::HashMap;
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use streamgauge_component::{Clock, Host, Kind};
use streamgauge_redis::{Monitor, Unreachable};
use streamgauge_streams::{Link, Owners, Refusal, Replies, Reply, Request};
use tokio::time::Instant;

use super::audit::Audit;
use super::place::PlaceArgs;
use crate::cli::{Failure, print};
use crate::run;

/// The longest that a server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often MOVED and ASK are followed.
const HOPS: usize = 5;

/// Which server is meant, and how it is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// A file that gets a line of JSON for each change, before it is made.
    #[arg(long, value_name = "FILE", env = "STREAMGAUGE_AUDIT", global = true)]
    audit: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// A Redis, and the connections to its nodes.
pub(crate) struct Server {
    owners: Owners,
    links: HashMap<String, Link>,
    /// Where changes are written down before they are made.
    pub(crate) audit: Audit,
}

/// Connects and runs a command.
pub(crate) fn run(
    args: &ServerArgs,
    command: impl AsyncFnOnce(&mut Server) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let runtime = run::runtime().map_err(Failure::runtime)?;
    runtime.block_on(async {
        let mut server = Server::of(args)?;
        command(&mut server).await
    })
}

impl Server {
    fn of(args: &ServerArgs) -> Result<Server, Failure> {
        let meant = args.place.meant()?;
        let host = Host::new(Clock::system(), Arc::default(), Arc::default());
        let (deployment, target) = meant
            .keys()
            .deployment(&host.for_component(Kind::Extension, "redis"))
            .map_err(Failure::runtime)?;
        let audit = Audit::new(args.audit.as_deref(), target.address.to_string(), target.username.clone());
        Ok(Server { owners: Owners::new(deployment), links: HashMap::new(), audit })
    }

    /// Commands about one stream, sent to the node that has it; all are answered.
    pub(crate) async fn ask(&mut self, stream: &[u8], request: &Request) -> Result<Replies, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut node = self.owners.of(stream, deadline).await.map_err(Failure::runtime)?;
        for _ in 0..HOPS {
            let replies = self.send(&node, request, deadline).await.map_err(Failure::runtime)?;
            let moved = replies.iter().find_map(|reply| reply.ok().err().filter(|r| r.redirect().is_some()));
            let Some(moved) = moved else { return Ok(replies) };
            match self.owners.redirected(&moved, deadline).await {
                // A slot on its way is there in a moment; a command of ours is not worth the ASKING.
                Some((next, false)) => node = next,
                _ => return Err(Failure::runtime(moved)),
            }
        }
        Err(Failure::runtime("the cluster sent us from node to node"))
    }

    /// One command about one stream.
    pub(crate) async fn one(&mut self, stream: &[u8], words: &[&[u8]]) -> Result<Value, Failure> {
        let replies = self.ask(stream, &Request::of(words)).await?;
        let reply = replies.last().ok().map_err(|refusal| explained(&refusal, words))?;
        Ok(value(&reply))
    }

    /// The keys of the streams that match a glob, sorted.
    pub(crate) async fn streams(&mut self, glob: &str) -> Result<Vec<Vec<u8>>, Failure> {
        let mut found = Vec::new();
        let nodes = self.owners.all(Instant::now() + PATIENCE).await.map_err(Failure::runtime)?;
        for node in nodes {
            let mut cursor = "0".to_owned();
            loop {
                let words: [&[u8]; 8] = [
                    b"SCAN",
                    cursor.as_bytes(),
                    b"MATCH",
                    glob.as_bytes(),
                    b"COUNT",
                    b"1000",
                    b"TYPE",
                    b"stream",
                ];
                let request = Request::of(&words);
                let replies =
                    self.send(&node, &request, Instant::now() + PATIENCE).await.map_err(Failure::runtime)?;
                let mut page = replies.last().ok().map_err(Failure::runtime)?.list();
                cursor = page
                    .next()
                    .and_then(|c| Some(String::from_utf8_lossy(c.text()?).into_owned()))
                    .unwrap_or_default();
                let keys = page.next().map(|keys| keys.list()).into_iter().flatten();
                found.extend(keys.filter_map(|key| Some(key.text()?.to_vec())));
                if cursor.is_empty() || cursor == "0" {
                    break;
                }
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// Whether two streams are in one slot, so that one transaction can change both.
    pub(crate) async fn same_place(&self, a: &[u8], b: &[u8]) -> bool {
        let has_slots = self.owners.has_slots(Instant::now() + PATIENCE).await.unwrap_or(true);
        !has_slots || streamgauge_redis::slot(a) == streamgauge_redis::slot(b)
    }

    async fn send(
        &mut self,
        node: &Arc<Monitor>,
        request: &Request,
        deadline: Instant,
    ) -> Result<Replies, Unreachable> {
        let place = node.target().address.to_string();
        let mut link = match self.links.remove(&place) {
            Some(link) => link,
            None => Link::open(node, "streamgauge-cli", deadline).await?,
        };
        let replies = link.call(request, deadline).await?;
        self.links.insert(place, link);
        Ok(replies)
    }
}

/// A refusal with the command that it is about, and what to do where that is known.
pub(crate) fn explained(refusal: &Refusal, words: &[&[u8]]) -> Failure {
    use streamgauge_streams::Kind;
    let command: Vec<_> = words.iter().take(3).map(|word| String::from_utf8_lossy(word)).collect();
    let hint = match refusal.kind {
        Kind::NoGroup => "\nhint: `streamgauge streams inspect STREAM` lists its groups",
        Kind::NoSuchKey => "\nhint: `streamgauge streams ls` lists the streams",
        Kind::WrongType => "\nhint: the key holds something else than a stream: use another name",
        Kind::OutOfMemory => "\nhint: the server is at its maxmemory: give it more, or trim",
        _ => "",
    };
    Failure::runtime(format!("{}: {refusal}{hint}", command.join(" ")))
}

/// A reply as JSON: texts that are not UTF-8 with the signs that stand for what is not.
pub(crate) fn value(reply: &Reply<'_>) -> Value {
    match reply {
        Reply::Nil => Value::Null,
        Reply::Integer(number) => (*number).into(),
        Reply::Text(text) => String::from_utf8_lossy(text).into(),
        Reply::Error(refusal) => refusal.to_string().into(),
        Reply::List(list) => list.map(|reply| value(&reply)).collect(),
    }
}

/// The names and values of a flat list, in its order.
pub(crate) fn pairs(list: &Value) -> Vec<(String, Value)> {
    let pairs = list.as_array().map(Vec::as_slice).unwrap_or_default().chunks_exact(2);
    pairs.map(|pair| (pair[0].as_str().unwrap_or_default().to_owned(), pair[1].clone())).collect()
}

/// The same as an object.
pub(crate) fn object(list: &Value) -> Value {
    Value::Object(pairs(list).into_iter().collect())
}

/// A cell of a table.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Goes on once the name was typed, or given by `--yes`.
pub(crate) fn confirm(name: &str, yes: Option<&str>, what: &str) -> Result<(), Failure> {
    let typed = match yes {
        Some(yes) => yes.to_owned(),
        None => {
            let mut stderr = std::io::stderr();
            let asked = format!("{what}\nType {name} to go on: ");
            stderr.write_all(asked.as_bytes()).and_then(|()| stderr.flush()).map_err(Failure::runtime)?;
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map_err(Failure::runtime)?;
            line.trim().to_owned()
        }
    };
    match typed == name {
        true => Ok(()),
        false => Err(Failure::runtime(format!("nothing was done: {typed:?} is not {name:?}"))),
    }
}

/// Prints a result: JSON, or the text for people.
pub(crate) fn show(json: bool, value: &Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
    if json { print(&format!("{value:#}")) } else { print(&text()) }
}
