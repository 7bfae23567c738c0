//! What a first `streamgauge` shows: the server, its streams and groups, the worst three, and what to type next.

use std::fmt::Write as _;
use std::time::Duration;

use streamgauge_redis::{EndpointKeys, GroupInfo, Info, Monitor, ReadCommand, Target, Value, scan_page};
use streamgauge_transport::TlsClient;
use tokio::time::Instant;

/// The longest that a look at the server may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Streams that the screen looks at; the receiver looks at all.
const STREAMS: usize = 200;
/// Pages of SCAN that the screen asks for.
const PAGES: usize = 100;
const WORST: usize = 3;

/// A server as the screen shows it.
struct Look {
    product: &'static str,
    version: String,
    role: String,
    keys: u64,
    streams: Vec<Vec<u8>>,
    more: bool,
    groups: Vec<Group>,
}

struct Group {
    stream: String,
    name: String,
    lag: Option<u64>,
    pending: u64,
    consumers: u64,
}

/// The text of the first screen. Never fails: a server that does not answer is what the screen then says.
pub(crate) async fn text(endpoint: &str) -> String {
    let target = match Target::new(&EndpointKeys { endpoint, ..EndpointKeys::default() }) {
        Ok(target) => target,
        Err(problems) => {
            let why: Vec<String> = problems.into_iter().map(|(_, message)| message).collect();
            return format!("Redis: {}\n", why.join("; "));
        }
    };
    let address = target.address.to_string();
    let tls = if target.tls {
        match TlsClient::default().load(&[]) {
            Ok(config) => Some(config),
            Err(error) => return format!("Redis at {address}: {error}\n"),
        }
    } else {
        None
    };
    let db = target.db;
    let monitor = Monitor::new(target, tls.map(|tls| tls.get()), None);
    match look(&monitor, db, Instant::now() + PATIENCE).await {
        Ok(look) => show(&address, &look),
        Err(why) => unreachable(&address, &why),
    }
}

async fn look(monitor: &Monitor, db: u32, deadline: Instant) -> Result<Look, String> {
    let info = one(monitor, db, ReadCommand::info_everything(), deadline).await?;
    let info = match &info {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::VerbatimString { text, .. } => text.clone(),
        _ => return Err("INFO was not answered with text".to_owned()),
    };
    let info = Info::parse(&info);
    let mut streams = Vec::new();
    let mut cursor = 0;
    let mut more = false;
    for page in 0..PAGES {
        let reply = one(monitor, db, ReadCommand::scan_streams(cursor, b"*", 500), deadline).await?;
        let Some((next, found)) = scan_page(&reply) else { break };
        streams.extend(found);
        cursor = next;
        more = cursor != 0 && (page + 1 == PAGES || streams.len() >= STREAMS);
        if cursor == 0 || more {
            break;
        }
    }
    streams.sort();
    streams.dedup();
    let looked: Vec<&Vec<u8>> = streams.iter().take(STREAMS).collect();
    let commands: Vec<ReadCommand> = looked.iter().map(|key| ReadCommand::xinfo_groups(key, 10)).collect();
    let mut groups = Vec::new();
    let replies = monitor.call(db, &commands, deadline).await.map_err(|error| error.to_string())?;
    for (key, reply) in looked.into_iter().zip(replies) {
        let found = reply.ok().and_then(|value| GroupInfo::parse_all(&value)).unwrap_or_default();
        groups.extend(found.into_iter().map(|group| Group {
            stream: String::from_utf8_lossy(key).into_owned(),
            name: String::from_utf8_lossy(&group.name).into_owned(),
            lag: group.lag,
            pending: group.pending,
            consumers: group.consumers,
        }));
    }
    Ok(Look {
        product: if info.is_valkey() { "Valkey" } else { "Redis" },
        version: info.version().unwrap_or("of unknown version").to_owned(),
        role: info.text("role").unwrap_or("unknown").to_owned(),
        keys: info.databases().filter_map(|(_, db)| db.member("keys")?.parse::<u64>().ok()).sum(),
        streams,
        more,
        groups,
    })
}

async fn one(monitor: &Monitor, db: u32, command: ReadCommand, deadline: Instant) -> Result<Value, String> {
    let mut replies = monitor.call(db, &[command], deadline).await.map_err(|error| error.to_string())?;
    match replies.pop() {
        Some(reply) => reply.map_err(|error| error.to_string()),
        None => Err("no answer".to_owned()),
    }
}

fn show(address: &str, look: &Look) -> String {
    let mut text = String::new();
    let at_least = if look.more { "at least " } else { "" };
    // Writing to a string does not fail.
    let _ = writeln!(text, "{} {} at {address}, {}", look.product, look.version, look.role);
    let _ = writeln!(
        text,
        "{} keys, {at_least}{} streams, {} groups",
        look.keys,
        look.streams.len(),
        look.groups.len()
    );
    let mut worst: Vec<&Group> = look.groups.iter().collect();
    // An unknown lag stands above 0: nobody knows that it is none.
    worst.sort_by_key(|group| std::cmp::Reverse((group.lag.unwrap_or(1), group.pending)));
    worst.truncate(WORST);
    if !worst.is_empty() {
        let rows: Vec<[String; 5]> = worst
            .iter()
            .map(|group| {
                [
                    group.stream.clone(),
                    group.name.clone(),
                    group.lag.map_or_else(|| "unknown".to_owned(), |lag| lag.to_string()),
                    group.pending.to_string(),
                    group.consumers.to_string(),
                ]
            })
            .collect();
        text.push('\n');
        text.push_str(&columns(["stream", "group", "lag", "pending", "consumers"], &rows));
    }
    text.push_str(NEXT);
    text
}

const NEXT: &str = "
What to type next
  streamgauge print-config                 this built-in configuration, to start a file of your own
  streamgauge validate --config FILE       check a file; errors show the line
  streamgauge components                   what can be received, processed and exported
  streamgauge demo                         a private Redis with a workload, alerts included
  curl localhost:8888/metrics              the collector's own numbers

";

fn unreachable(address: &str, why: &str) -> String {
    format!(
        "Redis at {address} does not answer: {why}\n\
         It is asked again as long as this runs; redis.up is 0 until it answers.\n\n\
         Another server: REDIS_URL=redis://user:password@host:6379 streamgauge\n\
         No server at hand: streamgauge demo\n\n"
    )
}

/// Aligned columns: the first two to the left, numbers to the right.
fn columns<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    let head = head.map(str::to_owned);
    for row in [&head].into_iter().chain(rows) {
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ =
                if column < 2 { write!(text, "  {cell:<width$}") } else { write!(text, "  {cell:>width$}") };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(stream: &str, lag: Option<u64>, pending: u64) -> Group {
        Group { stream: stream.to_owned(), name: "billing".to_owned(), lag, pending, consumers: 2 }
    }

    #[test]
    fn the_worst_three_groups_stand_in_aligned_columns_and_an_unknown_lag_is_no_zero() {
        let look = Look {
            product: "Redis",
            version: "7.0.15".to_owned(),
            role: "master".to_owned(),
            keys: 12,
            streams: vec![b"orders".to_vec(), b"tickets:open".to_vec()],
            more: false,
            groups: vec![
                group("orders", Some(0), 9),
                group("orders", Some(120_000), 3),
                group("tickets:open", None, 0),
                group("tickets:open", Some(7), 1),
            ],
        };
        let expected = "\
Redis 7.0.15 at 127.0.0.1:6379, master
12 keys, 2 streams, 4 groups

  stream        group        lag  pending  consumers
  orders        billing   120000        3          2
  tickets:open  billing        7        1          2
  tickets:open  billing  unknown        0          2
";
        let shown = show("127.0.0.1:6379", &look);
        assert_eq!(shown.split("\nWhat").next().unwrap(), expected);
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_said_with_what_to_do() {
        let socket =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|s| s.local_addr()).map(|a| a.port());
        let text = text(&format!("127.0.0.1:{}", socket.unwrap_or(1))).await;
        assert!(text.contains("does not answer") && text.contains("REDIS_URL="), "{text}");
    }
}
