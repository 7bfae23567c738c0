//! The rights of a user who reads for a group and acknowledges. No ReadCommand says what such a user sends: the receiver tells
//! it in forms that change nothing, so they can be tried where the server does not tell beforehand.

use streamgauge_receivers::redis_stream::Need;
use streamgauge_redis::Unreachable;
use streamgauge_streams::{Kind, Link, Reply, Request};
use tokio::time::Instant;

use super::rule::literal;
use super::{Right, Verdict, refusal, tell};
use crate::doctor::finding::Chart;

/// Tells what is missing, by the rule that grants it.
pub(in crate::doctor) async fn examine(
    link: &mut Link,
    user: &str,
    needs: Vec<Need>,
    deadline: Instant,
    chart: &mut Chart,
) -> Result<(), Unreachable> {
    let words = |need: &Need| need.words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    let send = |begin: &[&[u8]]| {
        let mut request = Request::new();
        for need in &needs {
            let words = words(need);
            let all: Vec<&[u8]> = begin.iter().copied().chain(words.iter().map(Vec::as_slice)).collect();
            request.command(&all);
        }
        request
    };
    let rehearsal = link.call(&send(&[b"ACL", b"DRYRUN", user.as_bytes()]), deadline).await?;
    // Of a command that the server does not know it is not told either: one answer is enough.
    let can_tell = rehearsal.iter().any(|reply| matches!(reply, Reply::Text(_)));
    let (how, verdicts): (_, Vec<Verdict>) = if can_tell {
        ("by ACL DRYRUN", rehearsal.iter().map(|reply| rehearsed(&reply)).collect())
    } else {
        ("by trying", link.call(&send(&[]), deadline).await?.iter().map(|reply| tried(&reply)).collect())
    };
    let right = |need: Need| {
        let keys = need.key.map(|(name, is_glob)| if is_glob { name } else { literal(&name) });
        Right { rule: need.rule, command: (), keys, without: need.without }
    };
    let rights: Vec<_> = needs.into_iter().map(right).collect();
    tell(user, how, &rights, &verdicts, false, chart);
    Ok(())
}

fn rehearsed(reply: &Reply<'_>) -> Verdict {
    match reply {
        Reply::Text(b"OK") => Verdict::Yes,
        Reply::Text(text) => refusal(&String::from_utf8_lossy(text)),
        _ => Verdict::Unknown,
    }
}

fn tried(reply: &Reply<'_>) -> Verdict {
    match reply {
        // EXEC tells of it in the words of a transaction that was given up.
        Reply::Error(error) if error.kind == Kind::NoPermission || error.message.contains("NOPERM") => {
            refusal(&error.message)
        }
        Reply::Error(error) if error.message.to_ascii_lowercase().contains("unknown command") => {
            Verdict::Unknown
        }
        _ => Verdict::Yes,
    }
}
