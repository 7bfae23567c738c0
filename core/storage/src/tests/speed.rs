//! Figures, not limits: `cargo test --profile ... -p streamgauge-storage -- --ignored --nocapture speed`.

use std::time::Instant;

use super::*;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures of this machine's disk"]
async fn speed() {
    let dir = tempfile::tempdir_in(std::env::var_os("SPEED_DIR").unwrap_or("/var/tmp".into())).unwrap();
    for fsync in [true, false] {
        let root = dir.path().join(fsync.to_string());
        let settings = Settings { fsync, create_directory: true, ..Settings::new(root) };
        let storage = Storage::open(settings).await.unwrap();
        let log = storage.log("large", Some(16 << 30)).await.unwrap();
        let chunk = Bytes::from(vec![1; 4 << 20]);
        for (name, settles) in [("new segments", false), ("segments used again", true)] {
            let started = Instant::now();
            for _ in 0..256 {
                let id = log.append(vec![chunk.clone()]).await.unwrap();
                if settles {
                    log.settle(id);
                }
            }
            let rate = 1024.0 / started.elapsed().as_secs_f64();
            println!(
                "fsync {fsync}, 4 MiB commits, {name}: {rate:.0} MiB/s; {:?}",
                log.stats().slowest_commit
            );
        }
        let started = Instant::now();
        let (mut reader, mut bytes) = (log.reader(), 0);
        while let Some(record) = reader.try_next().await.unwrap() {
            bytes += record.payload.len();
            log.settle(record.id);
        }
        println!("read: {:.0} MiB/s", bytes as f64 / (1 << 20) as f64 / started.elapsed().as_secs_f64());

        let log = storage.log("paced", Some(16 << 30)).await.unwrap();
        let body = Bytes::from(vec![1; 1 << 20]);
        let mut pace = tokio::time::interval(std::time::Duration::from_millis(10));
        let mut taken = Vec::new();
        for _ in 0..256 {
            pace.tick().await;
            let started = Instant::now();
            log.append(vec![body.clone()]).await.unwrap();
            taken.push(started.elapsed());
        }
        taken.sort();
        println!(
            "fsync {fsync}, 1 MiB each 10 ms, new segments: median {:?}, slowest tenth from {:?}",
            taken[128], taken[230]
        );

        let log = storage.log("small", Some(16 << 30)).await.unwrap();
        let piece = Bytes::from(vec![1; 262]);
        let started = Instant::now();
        for _ in 0..300 {
            let group = (0..1000).map(|_| log.append(vec![piece.clone()])).collect::<Vec<_>>();
            for id in futures_util::future::join_all(group).await {
                log.settle(id.unwrap());
            }
        }
        println!("262 B x 1000 at once: {:.0} records/s", 300_000.0 / started.elapsed().as_secs_f64());
        let body = Bytes::from(vec![1; 262_000]);
        let started = Instant::now();
        for _ in 0..1000 {
            log.settle(log.append(vec![body.clone()]).await.unwrap());
        }
        println!("262 kB records one by one: {:.0} /s", 1000.0 / started.elapsed().as_secs_f64());
    }
}
