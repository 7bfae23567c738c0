//! The dead letter stream.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use streamgauge_component::testkit::Behaviour;
use streamgauge_component::{Outcome, Reason};
use streamgauge_harness::{Cluster, Redis, Server};

use super::rig::*;

fn refused() -> Behaviour {
    Behaviour::Settle(Outcome::rejected_with(Reason::PeerRefused, "400"))
}

#[tokio::test]
async fn what_cannot_be_decoded_is_put_aside_at_once_with_its_own_fields_and_the_others_arrive() {
    for server in Server::matrix() {
        let redis = server.start();
        for (id, body) in [("1-1", r#"{"a":1}"#), ("1-2", "no-json"), ("1-3", "[]")] {
            let _: String = redis.run(&format!("XADD s {id} x \u{e9} body {body} x 2"));
        }
        let rig = Rig::start(&redis, "encoding: json").await;
        rig.arrived(2).await;
        rig.until("it is put aside", |rig| rig.count("dead_lettered") == 1).await;
        settled(&redis, "s").await;
        assert_eq!((rig.ids(), rig.count("undecodable")), (vec!["1-1".to_owned(), "1-3".to_owned()], 1));
        let letter: Vec<(String, Vec<String>)> = redis.run("XRANGE s:dlq - +");
        let fields = &letter[0].1;
        assert_eq!(fields[..6], ["x", "\u{e9}", "body", "no-json", "x", "2"], "{}", server.name);
        let names: Vec<_> = fields[6..].iter().step_by(2).map(String::as_str).collect();
        let wanted = [
            "dlq.stream",
            "dlq.id",
            "dlq.group",
            "dlq.consumer",
            "dlq.deliveries",
            "dlq.first_seen",
            "dlq.error.type",
            "dlq.error.message",
            "dlq.attempts_json",
        ];
        assert_eq!(names, wanted);
        rig.stop().await;
    }
}

#[tokio::test]
async fn without_a_dead_letter_such_entries_are_dropped_and_counted() {
    let redis = Redis::start();
    let _: String = redis.run("XADD s * body no-json");
    for (group, yaml) in [("a", "enabled: false"), ("b", "on_undecodable: drop")] {
        let yaml = format!("encoding: json, group: {{name: {group}}}, dead_letter: {{{yaml}}}");
        let rig = Rig::start(&redis, &yaml).await;
        rig.until("it is gone", |_| redis.cli(&["xpending", "s", group]).starts_with('0')).await;
        rig.until("it is counted", |rig| rig.count("undecodable") == 1).await;
        assert_eq!(redis.run::<i64>("EXISTS s:dlq"), 0);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_written_keeps_the_entry_pending_and_says_why() {
    let redis = Redis::builder().user("job on nopass ~s ~streamgauge:* +@all").start();
    redis.fill("s", 3);
    // Something else is there.
    let _: () = redis.run("SET s:dlq x");
    let rig = Rig::with(&redis.addr(), "", refused()).await;
    rig.until("it is told", |rig| {
        rig.trouble().is_some_and(|text| text.contains("is a string and no stream"))
    })
    .await;
    assert_eq!(pending(&redis, "s"), 3);
    let _: i64 = redis.run("DEL s:dlq");
    rig.until("they are put aside", |rig| rig.count("dead_lettered") == 3).await;
    settled(&redis, "s").await;
    assert_eq!(redis.run::<i64>("XLEN s:dlq"), 3);
    rig.until("it is well again", |rig| rig.trouble().is_none()).await;
    rig.stop().await;

    // No memory.
    redis.fill("s", 1);
    let rig = Rig::with(&redis.addr(), "", Behaviour::Hold).await;
    rig.arrived(1).await;
    let _: () = redis.run("CONFIG SET maxmemory 1");
    rig.sink.release(&Outcome::rejected_with(Reason::PeerRefused, "400"));
    rig.until("it is told", |rig| rig.trouble().is_some_and(|text| text.contains("OOM"))).await;
    assert_eq!(pending(&redis, "s"), 1);
    let _: () = redis.run("CONFIG SET maxmemory 0");
    settled(&redis, "s").await;
    assert_eq!(redis.run::<i64>("XLEN s:dlq"), 4);
    rig.stop().await;

    // No right.
    redis.fill("s", 1);
    let rig = Rig::with(&format!("redis://job:x@{}", redis.addr()), "", refused()).await;
    rig.until("it is told", |rig| rig.trouble().is_some_and(|text| text.contains("NOPERM"))).await;
    assert_eq!((pending(&redis, "s"), redis.run::<i64>("XLEN s:dlq")), (1, 4));
    rig.stop().await;
}

#[tokio::test]
async fn old_letters_are_trimmed_and_young_ones_kept() {
    let redis = Redis::start();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let hours = |hours: u64| (now - Duration::from_secs(hours * 3600)).as_millis();
    for age in [48, 25, 23, 1] {
        let _: String = redis.run(&format!("XADD s:dlq {}-0 age {age}", hours(age)));
    }
    let rig = Rig::start(&redis, "").await;
    rig.until("the old ones are gone", |_| redis.run::<i64>("XLEN s:dlq") == 2).await;
    let letters = redis.cli(&["xrange", "s:dlq", "-", "+"]);
    assert!(letters.contains("23") && letters.ends_with('1'), "{letters}");
    rig.stop().await;
}

#[tokio::test]
async fn an_entry_that_is_trimmed_while_it_is_in_hand_still_reaches_the_dead_letter() {
    let redis = Redis::start();
    let id: String = redis.run("XADD s * a 1");
    let rig = Rig::with(&redis.addr(), "", Behaviour::Hold).await;
    rig.arrived(1).await;
    let _: i64 = redis.run(&format!("XDEL s {id}"));
    rig.sink.release(&Outcome::rejected(Reason::PeerRefused));
    rig.until("it is put aside", |rig| rig.count("dead_lettered") == 1).await;
    assert!(redis.cli(&["xrange", "s:dlq", "-", "+"]).contains("dlq.request"));
    settled(&redis, "s").await;
    rig.stop().await;
}

/// A cluster and streams whose dead letters of this name lie on another node.
fn apart(letters: impl Fn(&str) -> String) -> (Cluster, String) {
    let cluster = Cluster::start(&Server::find("redis-7.0").unwrap());
    let is_apart = |stream: &String| cluster.owner(stream) != cluster.owner(&letters(stream));
    let stream = (0..).map(|n| format!("s{n}")).find(is_apart).unwrap();
    (cluster, stream)
}

#[tokio::test]
async fn in_a_cluster_the_default_dead_letter_is_written_in_one_step_with_the_acknowledgement() {
    let (cluster, stream) = apart(|stream| format!("{stream}:dlq"));
    let home = &cluster.nodes[cluster.owner(&stream)];
    home.fill(&stream, 3);
    let rig = Rig::with(&home.addr(), &format!("streams: ['{stream}']"), refused()).await;
    rig.until("they are put aside", |rig| rig.count("dead_lettered") == 3).await;
    settled(home, &stream).await;
    assert_eq!(home.run::<i64>(&format!("XLEN {{{stream}}}:dlq")), 3);
    let commands: String = home.run("INFO commandstats");
    assert!(commands.contains("cmdstat_exec"), "{commands}");
    rig.stop().await;
}

#[tokio::test]
async fn in_another_slot_a_letter_is_added_once_however_often_its_acknowledgement_fails() {
    let (cluster, stream) = apart(|_| "dead".to_owned());
    let (home, away) = (&cluster.nodes[cluster.owner(&stream)], &cluster.nodes[cluster.owner("dead")]);
    home.fill(&stream, 1);
    let _: () = home.run("ACL SETUSER default -xack");
    let yaml = format!("streams: ['{stream}'], dead_letter: {{stream: dead}}");
    let rig = Rig::with(&home.addr(), &yaml, refused()).await;
    rig.until("the letter is added", |_| away.run::<i64>("XLEN dead") == 1).await;
    let denied = || {
        let stats: String = home.run("INFO commandstats");
        let line =
            stats.lines().find(|line| line.starts_with("cmdstat_xack:")).unwrap_or_default().to_owned();
        line.rsplit_once("rejected_calls=")
            .map_or(0, |(_, rest)| rest.split(',').next().unwrap().parse().unwrap())
    };
    rig.until("its acknowledgement is tried again", |_| denied() >= 4).await;
    assert_eq!((away.run::<i64>("XLEN dead"), pending(home, &stream)), (1, 1));
    assert!(rig.trouble().is_some_and(|text| text.contains("NOPERM")));
    let _: () = home.run("ACL SETUSER default +xack");
    settled(home, &stream).await;
    assert_eq!(away.run::<i64>("XLEN dead"), 1);
    rig.stop().await;
}
