use std::sync::Arc;

use streamgauge_component::testkit::{Bench, Source};
use streamgauge_component::{Outcome, Signal};
use streamgauge_config::Section;

use super::{FACTORY, Forward};

#[test]
fn what_comes_in_goes_out_unchanged_with_its_ack() {
    let (source, mut bench) = (Source::new(), Bench::new(Arc::new(Forward), 1));
    let bytes = vec![0x0a, 0x00];
    for signal in Signal::ALL {
        let sent = bench.process(source.batch(signal, bytes.clone(), 0));
        assert_eq!((sent[0].signal, &sent[0].parts[0].bytes[..]), (signal, &bytes[..]));
        sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
    }
    assert!(source.all_delivered());
}

#[test]
fn unknown_keys_are_refused_and_the_readmes_example_loads() {
    assert!((FACTORY.config.read)(&Section::from_yaml("forward", "a: 1").unwrap()).is_err());
    let readme = FACTORY.description.readme;
    let example = readme.split("```yaml\nforward:\n").nth(1).unwrap().split("```").next().unwrap();
    assert!((FACTORY.config.read)(&Section::from_yaml("forward", example).unwrap()).is_ok());
}
