//! What the client waits for, and until when.

use streamgauge_component::{Batch, BoxFuture, Consumer, Outlet, Registry};
use streamgauge_transport::{Encoding, Handler as _, Reply, Request};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::super::config::WaitFor;
use super::super::door::Door;
use super::*;

#[tokio::test]
async fn accepted_answers_at_once_and_counts_what_comes_back_too_late() {
    let running = start(BOTH).await;
    running.sink.behave(Behaviour::Hold);
    assert_eq!(running.post("/v1/logs", &logs(5).encode_to_vec()).await.status, 200);
    running.sink.release(&Outcome::retry(Reason::RetriesExhausted));
    assert_eq!(running.came_back(), [("retries_exhausted".to_owned(), "none".to_owned(), 5)]);
}

#[tokio::test]
async fn delivered_answers_only_when_the_ack_has_come_and_not_after_the_clients_deadline() {
    let running = start(&format!("{BOTH}\nwait_for: delivered")).await;
    running.sink.behave(Behaviour::Hold);
    let mut client = running.grpc().await;
    for (outcome, code) in [
        (Outcome::Delivered, None),
        (Outcome::retry(Reason::QueueFull), Some(tonic::Code::ResourceExhausted)),
    ] {
        let mut theirs = client.clone();
        let answer = tokio::spawn(async move { theirs.export(logs(1)).await });
        let arrived = || (!running.sink.take().is_empty()).then_some(());
        poll_until_async("the request behind the door", SOON, async || arrived()).await;
        assert!(!answer.is_finished());
        running.sink.release(&outcome);
        assert_eq!(answer.await.unwrap().err().map(|error| error.code()), code);
    }
    let mut request = tonic::Request::new(logs(1));
    request.set_timeout(Duration::from_millis(30));
    let late = client.export(request).await.unwrap_err().code();
    assert!(matches!(late, tonic::Code::DeadlineExceeded | tonic::Code::Cancelled), "{late:?}");
    running.sink.release(&Outcome::Delivered);
}

#[tokio::test]
async fn at_the_stop_a_waiting_client_hears_its_ack_and_new_ones_find_no_door() {
    let running = start(&format!("{BOTH}\nwait_for: delivered")).await;
    running.sink.behave(Behaviour::Hold);
    let mut client = running.grpc().await;
    let answer = tokio::spawn(async move { client.export(logs(1)).await });
    let arrived = || (!running.sink.received().is_empty()).then_some(());
    poll_until_async("the request behind the door", SOON, async || arrived()).await;
    let address = running.receiver.address(Protocol::Grpc).unwrap();
    running.receiver.stop_intake().await;
    running.sink.release(&Outcome::Delivered);
    running.receiver.shutdown().await;
    answer.await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// A full queue that lets callers wait: it takes a batch for each permit, and then never settles it.
struct Gate {
    open: Semaphore,
    taken: std::sync::Mutex<Vec<Batch>>,
}

impl Consumer for Gate {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.open.acquire().await.unwrap().forget();
            self.taken.lock().unwrap().push(batch);
        })
    }
}

impl Gate {
    fn door() -> (Arc<Gate>, Door) {
        let gate = Arc::new(Gate { open: Semaphore::new(0), taken: Default::default() });
        let outlet = Outlet::new(Registry::default().edge("", "test", "gate", Signal::Logs), gate.clone());
        let door = Door {
            host: Host::for_test(Kind::Receiver, "otlp"),
            outlets: Outlets::new(vec![(Signal::Logs, outlet)]),
            wait_for: WaitFor::Delivered,
            include_metadata: false,
            authenticator: None,
            http: None,
        };
        (gate, door)
    }

    async fn taken(&self) -> Batch {
        poll_until_async("the data behind the gate", SOON, async || self.taken.lock().unwrap().pop()).await
    }
}

fn request(timeout: Option<Duration>) -> Request<Signal> {
    Request {
        route: Signal::Logs,
        protocol: Protocol::Grpc,
        encoding: Encoding::Proto,
        head: Arc::new(tonic::codegen::http::Request::new(()).into_parts().0),
        peer: Some("127.0.0.1:1".into()),
        identity: None,
        timeout,
        body: logs(1).encode_to_vec().into(),
    }
}

fn code(reply: Reply) -> Code {
    let Reply::Refused(status) = reply else { panic!("{reply:?}") };
    status.code
}

#[tokio::test(start_paused = true)]
async fn the_deadline_counts_from_the_arrival_and_the_data_goes_on_after_it() {
    let (gate, door) = Gate::door();
    let deadline = Duration::from_secs(10);
    let arrived = Instant::now();
    assert_eq!(code(door.handle(request(Some(deadline))).await), Code::DeadlineExceeded);
    assert_eq!(arrived.elapsed(), deadline, "back-pressure all the time");
    gate.open.add_permits(1);
    assert_eq!(gate.taken().await.items(), 1);

    let arrived = Instant::now();
    let late = async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        gate.open.add_permits(1);
    };
    let (reply, ()) = tokio::join!(door.handle(request(Some(deadline))), late);
    assert_eq!(
        (code(reply), arrived.elapsed()),
        (Code::DeadlineExceeded, deadline),
        "back-pressure, then no ack"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_known_at_the_deadline_is_answered() {
    let (gate, door) = Gate::door();
    gate.open.add_permits(1);
    let deadline = Duration::from_secs(10);
    let ack = async {
        tokio::time::sleep(deadline).await;
        for part in gate.taken().await.parts {
            part.ack.settle(Outcome::Delivered);
        }
    };
    // The ack is settled at the same instant, and first.
    let ((), reply) = tokio::join!(biased; ack, door.handle(request(Some(deadline))));
    assert_eq!(reply, Reply::Ok(Bytes::new()));
}

#[tokio::test(start_paused = true)]
async fn the_data_of_a_client_that_has_gone_goes_on() {
    let (gate, door) = Gate::door();
    let gone = tokio::time::timeout(Duration::from_secs(1), door.handle(request(None))).await;
    assert!(gone.is_err() && gate.taken.lock().unwrap().is_empty());
    gate.open.add_permits(1);
    assert_eq!(gate.taken().await.items(), 1);
}
