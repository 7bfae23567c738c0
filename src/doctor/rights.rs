//! May this user do what the configuration wants? And if not, by which ACL rule it might.
//!
//! ACL DRYRUN tells without doing anything, where the server has it and the user may ask. Elsewhere the commands
//! themselves are sent: each reads only, and from a key that need not exist, because rights are looked at first.

pub(super) mod consumer;
mod logs;
mod rule;

use streamgauge_redis::{
    CallResult, Fault, Info, ReadCommand, SENTINEL_CHANNELS, Setting, StreamId, Unreachable,
};

pub(super) use self::rule::example;
use self::rule::{Rule, key_pattern, literal};
use super::custom;
use super::features::Version;
use super::finding::Chart;
use super::redis::{Patient, text};

/// What the rest of the examination may ask.
pub(super) struct May {
    pub(super) config: bool,
    pub(super) streams: bool,
}

/// A command that is sent, and why.
pub(super) struct Right<C = ReadCommand> {
    /// As ACL rules spell it.
    rule: &'static str,
    command: C,
    /// The keys it is about, as a pattern.
    keys: Option<String>,
    /// What is missing without it; `None` when nothing works without it.
    without: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    NoCommand,
    NoKey,
    Unknown,
}

/// Tells what is missing, by the rule that grants it.
pub(super) async fn examine(
    patient: &Patient<'_>,
    version: &Version,
    info: &Info<'_>,
    chart: &mut Chart,
) -> Result<May, Unreachable> {
    let rights = wanted(patient, version, info);
    let (user, how, verdicts) = judge(patient, version, &rights).await?;
    let has = |rule: &str| {
        rights.iter().zip(&verdicts).all(|(right, verdict)| right.rule != rule || *verdict == Verdict::Yes)
    };
    let may = May { config: has("config|get"), streams: has("xinfo|groups") };
    if patient.server.follow && info.mode() == Some("sentinel") {
        subscription(patient, version, chart).await?;
    }
    let readable = version.has(Some((7, 0)), Some((0, 0)));
    let is_enough = tell(&user, how, &rights, &verdicts, readable, chart);
    if user == "default" && is_enough {
        let mut all = Rule::new(readable);
        rights.iter().for_each(|right| all.want(right));
        let what = "asks as the default user, who may usually do more than a monitor should";
        chart.note("rights", what, all.create());
    }
    Ok(may)
}

/// Says what is missing, and by which rule it might be. Whether all that is needed is there.
fn tell<C>(
    user: &str,
    how: &str,
    rights: &[Right<C>],
    verdicts: &[Verdict],
    readable: bool,
    chart: &mut Chart,
) -> bool {
    let missing = |is_needed: bool| {
        let mut rule = Rule::new(readable);
        for (right, verdict) in rights.iter().zip(verdicts) {
            if right.without.is_none() == is_needed {
                rule.add(right, *verdict, rights, verdicts);
            }
        }
        rule
    };
    let needed = missing(true);
    let nice = missing(false);
    for (right, _) in rights.iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Unknown) {
        let what = format!("the server does not know {}", right.rule);
        let todo = "a proxy or a managed service may have renamed or removed it";
        match right.without {
            None => chart.fail("rights", what, todo),
            Some(without) => chart.note("rights", format!("{what}: without {without}"), todo),
        }
    }
    if !needed.is_empty() {
        let what = format!("user {user} may not {}", needed.words());
        chart.fail("rights", what, needed.grant(user));
    }
    if !nice.is_empty() {
        let what = format!("user {user} may not {}: without {}", nice.words(), nice.without());
        chart.note("rights", what, nice.grant(user));
    }
    if needed.is_empty() && nice.is_empty() {
        chart.ok("rights", format!("user {user} may do all that is wanted ({how})"));
    }
    needed.is_empty()
}

/// Whether failovers are heard of when they happen. Only a server that can tell beforehand is asked.
async fn subscription(
    patient: &Patient<'_>,
    version: &Version,
    chart: &mut Chart,
) -> Result<(), Unreachable> {
    if !version.has(Some((7, 0)), Some((0, 0))) {
        return Ok(());
    }
    let Some(Ok(user)) = patient.ask(&[ReadCommand::acl_who_am_i()]).await?.pop() else { return Ok(()) };
    let user = text(&user);
    let dry = ReadCommand::acl_dry_run_subscription(&user);
    let Some(Ok(answer)) = patient.ask(&[dry]).await?.pop() else { return Ok(()) };
    if text(&answer) != "OK" {
        let channels: Vec<_> = SENTINEL_CHANNELS.iter().map(|channel| format!("&{channel}")).collect();
        let what = format!("user {user} may not subscribe: a failover is seen by asking, some seconds later");
        chart.note("rights", what, format!("ACL SETUSER {user} +subscribe {}", channels.join(" ")));
    }
    Ok(())
}

/// All commands that the receivers, the connection and this examination send to such a server.
fn wanted(patient: &Patient<'_>, version: &Version, info: &Info<'_>) -> Vec<Right> {
    let right = |rule, command, without| Right { rule, command, keys: None, without };
    let mut all =
        vec![right("ping", ReadCommand::ping(), None), right("info", ReadCommand::info_everything(), None)];
    // HELLO and AUTH need no right.
    let [name, library, no_touch] = ReadCommand::greetings();
    all.push(right("client|setname", name, Some("the connection's name in CLIENT LIST")));
    if version.has(Some((7, 2)), Some((0, 0))) {
        all.push(right("client|setinfo", library, Some("the library in CLIENT LIST")));
        all.push(right("client|no-touch", no_touch, Some("NO-TOUCH: what is read looks used")));
    }
    let follow = patient.server.follow;
    if info.mode() == Some("sentinel") {
        if follow {
            let names = ["sentinel|myid", "sentinel|masters", "sentinel|replicas", "sentinel|sentinels"];
            let each = names.into_iter().zip(ReadCommand::sentinel_discovery());
            all.extend(each.map(|(rule, command)| right(rule, command, None)));
        }
        return all;
    }
    if info.int("cluster_enabled") == Some(1) {
        all.push(right("cluster|info", ReadCommand::cluster_info(), Some("the state of the cluster")));
        if follow {
            let has_shards = version.has(Some((7, 0)), Some((0, 0)));
            let [id, nodes] = ReadCommand::discovery(has_shards);
            all.push(right("cluster|myid", id, None));
            all.push(right(if has_shards { "cluster|shards" } else { "cluster|nodes" }, nodes, None));
        }
    }
    let setting = ReadCommand::setting(Setting::SlowlogMaxLen);
    all.push(right("config|get", setting, Some("what the doctor says of slow log and latency monitor")));
    for (command, key) in custom::declared(patient, info).commands() {
        let keys = key.map(|key| literal(&String::from_utf8_lossy(&key)));
        let (rule, without) = (command.name(), Some("custom metrics and checks that ask for it"));
        all.push(Right { rule, command, keys, without });
    }
    let has_histograms = version.has(Some((7, 0)), Some((0, 0)));
    for (command, without) in &patient.server.optional {
        if has_histograms || command.name() != "latency|histogram" {
            all.push(right(command.name(), command.clone(), Some(*without)));
        }
    }
    for key in &patient.server.leases {
        let (rehearsal, question) = (ReadCommand::lease_rehearsal(key), ReadCommand::lease_question(key));
        for (rule, command) in [("set", rehearsal), ("get", question)] {
            all.push(Right { rule, command, keys: Some(literal(key)), without: None });
        }
    }
    all.extend(logs::wanted(&patient.server.logs, version));
    for (db, config) in &patient.server.streams {
        if *db != 0 {
            // Connecting has selected a database already, or failed: nothing is left to try.
            all.push(right("select", ReadCommand::ping(), None));
        }
        for pattern in &config.streams {
            let (key, keys) = (example(pattern.as_str()), key_pattern(pattern.as_str()));
            let key = key.as_bytes();
            let mut about = |rule, command, without| {
                all.push(Right { rule, command, keys: Some(keys.clone()), without });
            };
            about("xlen", ReadCommand::xlen(key), None);
            about("xinfo|stream", ReadCommand::xinfo_stream(key), None);
            about("xinfo|groups", ReadCommand::xinfo_groups(key, 1), None);
            about("xpending", ReadCommand::xpending_oldest(key, b"-", 1), None);
            let next = ReadCommand::xrange_next(key, StreamId::ZERO);
            about(
                "xrange",
                next,
                Some("lags in seconds, and exact ones where the server does not know (it reads payload)"),
            );
            if config.consumers.enabled {
                about("xinfo|consumers", ReadCommand::xinfo_consumers(key, b"-", 1), None);
            }
            if keys != pattern.as_str() || key != pattern.as_str().as_bytes() {
                let scan = ReadCommand::scan_streams(0, pattern.as_str().as_bytes(), 1);
                all.push(right("scan", scan, None));
            }
        }
    }
    all
}

/// The user, how it was found out, and a verdict for each right.
async fn judge(
    patient: &Patient<'_>,
    version: &Version,
    rights: &[Right],
) -> Result<(String, &'static str, Vec<Verdict>), Unreachable> {
    let commands: Vec<_> = rights.iter().map(|right| right.command.clone()).collect();
    let named = patient.monitor.target().user().to_owned();
    if version.has(Some((7, 0)), Some((0, 0)))
        && let Some(Ok(user)) = patient.ask(&[ReadCommand::acl_who_am_i()]).await?.pop()
    {
        let user = text(&user);
        let dry: Vec<_> = commands.iter().map(|command| ReadCommand::acl_dry_run(&user, command)).collect();
        let first = patient.ask(dry.get(..1).unwrap_or_default()).await?;
        if matches!(first.first(), Some(Ok(_))) {
            let answers = patient.ask(&dry).await?;
            return Ok((user, "by ACL DRYRUN", answers.iter().map(rehearsed).collect()));
        }
    }
    let answers = patient.ask(&commands).await?;
    Ok((named, "by trying", answers.iter().map(tried).collect()))
}

fn refusal(message: &str) -> Verdict {
    // "... to access one of the keys", "... to run the 'x' command".
    if message.contains("access") { Verdict::NoKey } else { Verdict::NoCommand }
}

/// ACL DRYRUN answers OK, or with the words of the refusal.
fn rehearsed(answer: &CallResult) -> Verdict {
    match answer {
        Ok(answer) => match text(answer) {
            text if text == "OK" => Verdict::Yes,
            text => refusal(&text),
        },
        Err(_) => Verdict::Unknown,
    }
}

/// An error that is about something else came after the rights had been looked at.
fn tried(answer: &CallResult) -> Verdict {
    match answer {
        Err(error) if error.fault == Fault::NoPermission => refusal(&error.message),
        Err(error) if error.fault == Fault::Unsupported => Verdict::Unknown,
        _ => Verdict::Yes,
    }
}
