use super::*;
use crate::scrape::testing::points;

static TABLE: &[Metric] = &[
    metric("gauge", Kind::Gauge, &["k"]),
    metric("stats", Kind::Counter(Since::Stats), &["k"]),
    metric("process", Kind::Counter(Since::Process), &[]),
    metric("own", Kind::Counter(Since::Series), &["k"]),
];
const GAUGE: usize = 0;
const STATS: usize = 1;
const PROCESS: usize = 2;
const OWN: usize = 3;

const fn metric(name: &'static str, kind: Kind, attributes: &'static [&'static str]) -> Metric {
    Metric { name, unit: "1", kind, enabled: true, attributes, about: "" }
}

fn recorder() -> Recorder {
    Recorder::new(TABLE.iter(), vec![true; TABLE.len()])
}

/// One round; each point as `name{k}=value since start`, `-` for no recorded value.
fn round(recorder: &mut Recorder, now: u64, fill: impl Fn(&mut Recorder)) -> Vec<String> {
    round_of(recorder, "", now, fill)
}

/// The same with a version as the resource, which stands before the points when it is not empty.
fn round_of(recorder: &mut Recorder, version: &str, now: u64, fill: impl Fn(&mut Recorder)) -> Vec<String> {
    let resource = if version.is_empty() { Vec::new() } else { vec![("version", version.to_owned())] };
    recorder.begin(now, resource);
    fill(recorder);
    let Some((bytes, items)) = recorder.finish("test") else { return Vec::new() };
    let points = points(&bytes);
    assert_eq!(points.len(), items);
    let line = |point: &crate::scrape::testing::Point| {
        let value = point.value.map_or("-".to_owned(), |value| value.to_string());
        let version = point.resource.get("version").map(|version| format!("{version} ")).unwrap_or_default();
        format!("{version}{}{{{}}}={value} since {}", point.name, point.attribute("k"), point.start)
    };
    points.iter().map(line).collect()
}

#[test]
fn a_reset_of_one_statistic_moves_the_start_of_all_and_of_no_process_counter() {
    let mut recorder = recorder();
    round(&mut recorder, 100, |r| {
        r.restarted(10);
        r.record(STATS, &["a"], Number::Int(50));
        r.record(STATS, &["b"], Number::Int(5));
        r.record(PROCESS, &[], Number::Int(90));
    });
    let after = round(&mut recorder, 200, |r| {
        r.record(STATS, &["a"], Number::Int(3));
        r.record(STATS, &["b"], Number::Int(6));
        r.record(PROCESS, &[], Number::Int(190));
    });
    assert_eq!(after, ["stats{a}=3 since 100", "stats{b}=6 since 100", "process{}=190 since 10"]);
}

#[test]
fn a_new_process_moves_every_start_but_never_before_the_last_round() {
    let mut recorder = recorder();
    let fill = |r: &mut Recorder| {
        r.record(STATS, &["a"], Number::Int(1));
        r.record(PROCESS, &[], Number::Int(1));
    };
    let first = round(&mut recorder, 100, |r| {
        r.restarted(10);
        fill(r);
    });
    assert_eq!(first, ["stats{a}=1 since 10", "process{}=1 since 10"]);
    for (claimed, start) in [(150, 150), (90, 101)] {
        let mut recorder = super::tests::recorder();
        round(&mut recorder, 100, |r| {
            r.restarted(10);
            fill(r);
        });
        let after = round(&mut recorder, 200, |r| {
            r.restarted(claimed);
            fill(r);
        });
        assert_eq!(after, [format!("stats{{a}}=1 since {start}"), format!("process{{}}=1 since {start}")]);
    }
}

#[test]
fn a_reset_while_rounds_were_missed_is_dated_after_the_last_good_round() {
    let mut recorder = recorder();
    round(&mut recorder, 100, |r| {
        r.restarted(10);
        r.record(STATS, &["a"], Number::Int(50));
    });
    assert!(round(&mut recorder, 200, Recorder::missed).is_empty());
    let after = round(&mut recorder, 300, |r| r.record(STATS, &["a"], Number::Int(1)));
    assert_eq!(after, ["stats{a}=1 since 100"]);
}

#[test]
fn a_counter_of_its_own_counts_from_where_it_was_first_seen_or_fell() {
    let mut recorder = recorder();
    let at = |recorder: &mut Recorder, now, value| {
        round(recorder, now, |r| r.record(OWN, &["a"], Number::Int(value)))
    };
    assert_eq!(at(&mut recorder, 100, 7), ["own{a}=7 since 100"]);
    assert_eq!(at(&mut recorder, 200, 9), ["own{a}=9 since 100"]);
    assert_eq!(at(&mut recorder, 300, 2), ["own{a}=2 since 200"]);
}

#[test]
fn a_series_that_got_no_point_ends_once_unless_it_is_kept() {
    let mut recorder = recorder();
    round(&mut recorder, 100, |r| {
        r.record(GAUGE, &["a"], Number::Int(1));
        r.record(GAUGE, &["b"], Number::Double(0.5));
    });
    let second = round(&mut recorder, 200, |r| r.keep(|_, values| values[0] == "b"));
    assert_eq!(second, ["gauge{a}=- since 0"]);
    let third = round(&mut recorder, 300, |_| {});
    assert_eq!(third, ["gauge{b}=- since 0"]);
    assert!(round(&mut recorder, 400, |_| {}).is_empty());
}

#[test]
fn what_is_off_is_not_recorded() {
    let mut recorder = Recorder::new(TABLE.iter(), vec![false, true, true, true]);
    assert!(round(&mut recorder, 1, |r| r.record(GAUGE, &["a"], Number::Int(1))).is_empty());
}

#[test]
fn another_resource_ends_every_series_of_the_old_one_once_even_those_that_are_kept() {
    let mut recorder = recorder();
    round_of(&mut recorder, "7", 100, |r| {
        r.restarted(10);
        r.record(GAUGE, &["a"], Number::Int(1));
        r.record(GAUGE, &["kept"], Number::Int(1));
        r.record(PROCESS, &[], Number::Int(90));
        r.record(OWN, &["a"], Number::Int(5));
    });
    round_of(&mut recorder, "7", 200, |r| {
        r.record(GAUGE, &["a"], Number::Int(1));
        r.record(PROCESS, &[], Number::Int(190));
        r.record(OWN, &["a"], Number::Int(6));
        r.keep(|_, _| true);
    });
    let moved = |r: &mut Recorder| {
        r.restarted(250);
        r.record(GAUGE, &["a"], Number::Int(2));
        r.record(PROCESS, &[], Number::Int(50));
        r.keep(|_, _| true);
    };
    assert_eq!(
        round_of(&mut recorder, "8", 300, moved),
        [
            "7 gauge{a}=- since 0",
            "7 gauge{kept}=- since 0",
            "7 process{}=- since 0",
            "7 own{a}=- since 0",
            "8 gauge{a}=2 since 0",
            "8 process{}=50 since 250",
        ]
    );
    let calm = round_of(&mut recorder, "8", 400, |r| {
        r.record(GAUGE, &["a"], Number::Int(3));
        r.record(PROCESS, &[], Number::Int(150));
    });
    assert_eq!(calm, ["8 gauge{a}=3 since 0", "8 process{}=150 since 250"]);
}

#[test]
fn a_counter_that_a_restart_takes_away_ends() {
    let mut recorder = recorder();
    round(&mut recorder, 100, |r| {
        r.restarted(10);
        r.record(STATS, &["a"], Number::Int(5));
        r.record(STATS, &["b"], Number::Int(5));
    });
    let after = round(&mut recorder, 200, |r| {
        r.restarted(150);
        r.record(STATS, &["a"], Number::Int(1));
    });
    assert_eq!(after, ["stats{a}=1 since 150", "stats{b}=- since 0"]);
}

#[test]
fn series_beyond_the_limit_are_one_and_those_that_were_first_stay() {
    let mut recorder = recorder().limited(2);
    let fill = |r: &mut Recorder| {
        for (key, value) in [("d", 8), ("a", 1), ("b", 2), ("c", 4)] {
            r.record(OWN, &[key], Number::Int(value));
            r.record(GAUGE, &[key], Number::Int(value));
        }
    };
    let first = round(&mut recorder, 100, fill);
    let gauges = ["gauge{d}=8 since 0", "gauge{a}=1 since 0", "gauge{other}=4 since 0"];
    assert_eq!(first[..3], gauges, "of what cannot be added up, the greatest");
    assert_eq!(first[3..], ["own{d}=8 since 100", "own{a}=1 since 100", "own{other}=6 since 100"]);
    let more = round(&mut recorder, 150, fill);
    assert_eq!(more[3..], first[3..], "a part of the rest is no fall of all of it");
    let without = |r: &mut Recorder| r.record(OWN, &["c"], Number::Int(9));
    let second = round(&mut recorder, 200, without);
    assert!(second.contains(&"own{other}=9 since 100".to_owned()), "{second:?}");
    assert!(second.contains(&"own{a}=- since 0".to_owned()), "{second:?}");
    let third = round(&mut recorder, 300, |r| r.record(OWN, &["e"], Number::Int(1)));
    assert!(third.contains(&"own{e}=1 since 300".to_owned()), "there is room again: {third:?}");
}

#[test]
fn a_round_that_is_cut_ends_no_series_that_it_has_told_and_tells_none_twice() {
    let mut recorder = recorder();
    let names: Vec<_> = (0..MANY + 10).map(|n| n.to_string()).collect();
    for now in [100, 200] {
        recorder.begin(now, Resource::new());
        let mut parts = Vec::new();
        for name in &names {
            let place = recorder.at(&[name]);
            recorder.put(GAUGE, place, Number::Int(1));
            recorder.put(OWN, place, Number::Int(now as i64));
            parts.extend(recorder.cut("test"));
        }
        recorder.record(GAUGE, &[&names[0]], Number::Int(2));
        parts.extend(recorder.finish("test"));
        let items: Vec<_> = parts.iter().map(|(_, items)| *items).collect();
        assert_eq!(items, [MANY, MANY, 20]);
        let all: Vec<_> = parts.iter().flat_map(|(bytes, _)| points(bytes)).collect();
        assert!(all.iter().all(|point| point.value.is_some()), "{now}");
        assert!(all.iter().filter(|point| point.name == "own").all(|point| point.start == 100));
    }
    recorder.begin(300, Resource::new());
    let place = recorder.at(&["7"]);
    recorder.keep_at(GAUGE, place);
    let (bytes, items) = recorder.finish("test").unwrap();
    assert_eq!(items, 2 * names.len() - 1);
    assert!(
        points(&bytes).iter().all(|p| p.value.is_none() && (p.name != "gauge" || p.attribute("k") != "7"))
    );
}
