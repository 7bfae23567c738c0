//! Against a model: whatever is appended, settled, closed and killed in whatever order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::RecordId;

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<usize>),
    Settle(prop::sample::Index, usize),
    /// Closed and opened.
    Restart,
    /// As a kill leaves it: what is on the disk at that moment.
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(prop_oneof![0_usize..300, 0_usize..30_000], 1..12).prop_map(Step::Append),
        4 => (any::<prop::sample::Index>(), 1_usize..20).prop_map(|(index, many)| Step::Settle(index, many)),
        1 => Just(Step::Restart),
        2 => Just(Step::Kill),
    ]
}

async fn check(steps: Vec<Step>) {
    let dirs = tempfile::tempdir().unwrap();
    let at = |n: usize| dirs.path().join(n.to_string());
    std::fs::create_dir(at(0)).unwrap();
    let (mut storage, mut log) = log(&at(0)).await;
    let mut live: BTreeMap<RecordId, u64> = BTreeMap::new();
    let mut settled: Vec<u64> = Vec::new();
    let mut number = 0;
    for (n, step) in steps.into_iter().enumerate() {
        let mut killed = false;
        match step {
            Step::Append(lens) => {
                let appends = lens.into_iter().map(|len| {
                    number += 1;
                    let (number, log) = (number, &log);
                    async move { (log.append(payload(number, len)).await, number) }
                });
                // Full is an answer too.
                let done = futures_util::future::join_all(appends.collect::<Vec<_>>()).await;
                live.extend(done.into_iter().filter_map(|(id, number)| Some((id.ok()?, number))));
            }
            Step::Settle(index, many) => {
                let from = if live.is_empty() { 0 } else { index.index(live.len()) };
                let ids: Vec<RecordId> = live.keys().skip(from).take(many).copied().collect();
                for id in ids {
                    assert!(log.settle(id));
                    settled.extend(live.remove(&id));
                }
            }
            Step::Restart => {
                log.close().await;
                drop((log, storage));
                let patient = Settings { timeout: std::time::Duration::from_secs(10), ..settings(&at(0)) };
                let root = std::fs::read_link(dirs.path().join("now")).unwrap_or(patient.directory.clone());
                storage = Storage::open(Settings { directory: root, ..patient }).await.unwrap();
                log = storage.log("queue", None).await.unwrap();
            }
            Step::Kill => {
                killed = true;
                let from = std::fs::read_link(dirs.path().join("now")).unwrap_or(at(0));
                let to = at(n + 1);
                copy(&from, &to);
                let _ = std::fs::remove_file(dirs.path().join("now"));
                std::os::unix::fs::symlink(&to, dirs.path().join("now")).unwrap();
                drop((log, storage));
                (storage, log) = self::log(&to).await;
            }
        }
        let mut reader = log.reader();
        let mut found = BTreeMap::new();
        while let Some(record) = reader.try_next().await.unwrap() {
            found.insert(record.id, super::number(&record.payload));
        }
        let numbers: Vec<u64> = found.values().copied().collect();
        assert!(numbers.is_sorted(), "order is kept");
        assert!(live.values().all(|number| numbers.contains(number)), "nothing acknowledged is lost");
        if killed {
            assert!(numbers.iter().all(|n| live.values().any(|m| m == n) || settled.contains(n)));
            live = found;
        } else {
            assert_eq!(found, live);
        }
        settled.retain(|number| !live.values().any(|n| n == number));
        let stats = log.stats();
        assert_eq!(stats.records, live.len() as u64);
        assert_eq!((stats.damaged_records, stats.torn_tails), (0, 0));
        assert!(stats.allocated <= stats.quota);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_lost_reordered_or_made_up(steps in prop::collection::vec(step(), 1..30)) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(check(steps));
    }
}
