//! How abandoned acks are counted. A file of one test, because the count is of the whole process.

use streamgauge_component::{Ack, Outcome, abandoned_acks};

#[test]
fn what_is_dropped_unsettled_is_counted_and_a_panic_is_not() {
    assert_eq!(abandoned_acks(), 0);
    Ack::new(|_| {}).settle(Outcome::Delivered);
    drop(Ack::none());
    assert_eq!(abandoned_acks(), 0);
    drop(Ack::new(|_| {}));
    assert_eq!(abandoned_acks(), 1);
    let ack = Ack::new(|_| {});
    let panicked = std::thread::spawn(move || {
        let _in_hand = ack;
        panic!("poison");
    });
    assert!(panicked.join().is_err());
    assert_eq!(abandoned_acks(), 1, "a panic is told as one");
}
