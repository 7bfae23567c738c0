use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use streamgauge_component::storage::{Settings, Storage};
use streamgauge_component::testkit::Disk;
use streamgauge_component::{Extension, Kind};
use tokio::time::{Instant, sleep};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// The keeping of books as a task, and how often it was woken.
fn keep(books: &Arc<Books>, host: &Host) -> (Arc<AtomicU64>, oneshot::Sender<()>) {
    let (end, ended) = oneshot::channel();
    let polls = Arc::new(AtomicU64::new(0));
    let (books, host, counted) = (books.clone(), host.clone(), polls.clone());
    tokio::spawn(async move {
        let mut keeping = pin!(books.keep(host, ended));
        std::future::poll_fn(|context| {
            counted.fetch_add(1, Ordering::Relaxed);
            keeping.as_mut().poll(context)
        })
        .await;
    });
    (polls, end)
}

#[tokio::test(start_paused = true)]
async fn without_a_storage_nothing_is_asked_for_however_long_it_runs() {
    let host = Host::for_test(Kind::Extension, "test");
    let books = Books::new(host.registry().clone(), None);
    let (polls, _end) = keep(&books, &host);
    sleep(HOUR).await;
    assert_eq!(polls.load(Ordering::Relaxed), 1, "it was woken though nothing had happened");
    // One that is configured and does not start is asked for.
    books.set_storage(Some("disk".to_owned()));
    sleep(Duration::from_secs(1)).await;
    assert!(polls.load(Ordering::Relaxed) > 20);
    // No more when the next configuration has none.
    books.set_storage(None);
    sleep(Duration::from_secs(1)).await;
    let before = polls.load(Ordering::Relaxed);
    sleep(HOUR).await;
    assert_eq!(polls.load(Ordering::Relaxed), before);
}

#[tokio::test]
async fn a_storage_that_a_reload_brings_is_taken_up() {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::for_test(Kind::Extension, "test");
    let books = Books::new(host.registry().clone(), None);
    let (_polls, end) = keep(&books, &host);
    tokio::task::yield_now().await;
    assert!(books.ledger().since.is_none());

    let settings = Settings { quota: 1 << 20, ..Settings::new(directory.path()) };
    let disk: Arc<dyn Extension> = Arc::new(Disk::new(Storage::open(settings).await.unwrap()));
    host.for_component(Kind::Extension, "disk").offer(&disk);
    books.set_storage(Some("disk".to_owned()));
    let begin = Instant::now();
    while books.ledger().since.is_none() {
        assert!(begin.elapsed() < Duration::from_secs(20), "the storage was not taken up");
        sleep(Duration::from_millis(5)).await;
    }
    drop(end);
}
