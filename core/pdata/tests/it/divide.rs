use bytes::Bytes;
use proptest::prelude::*;
use streamgauge_pdata::{Share, Signal, check, divide, split_resources};

use crate::sample::Gen;

fn by_turns(signal: Signal, request: &Bytes, places: &[&[usize]]) -> Vec<Share> {
    let (mut at, total) = (0, check(signal, request).unwrap());
    divide(signal, request, total, |_, to| {
        to.extend(places[at % places.len()]);
        at += 1;
    })
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn each_place_has_the_bytes_of_its_resources_and_no_others(
        seed: u64, signal in prop::sample::select(&Signal::ALL[..])
    ) {
        let request = Bytes::from(Gen::new(seed).request(signal));
        let resources = split_resources(signal, &request).unwrap();
        let turns: [&[usize]; 4] = [&[2], &[0, 1], &[], &[1]];
        let shares = by_turns(signal, &request, &turns);
        for place in 0..3 {
            let own = || resources.iter().zip(turns.iter().cycle()).filter(|(_, to)| to.contains(&place));
            let bytes: Vec<u8> = own().flat_map(|(piece, _)| piece.bytes.to_vec()).collect();
            let items: usize = own().map(|(piece, _)| piece.items).sum();
            let share = shares.iter().find(|share| share.place == place);
            prop_assert_eq!(share.map_or(0, |share| share.items), items);
            prop_assert_eq!(share.map(|share| share.bytes.to_vec()).unwrap_or_default(), bytes);
        }
    }

    #[test]
    fn a_request_that_goes_to_one_place_is_not_copied(
        seed: u64, signal in prop::sample::select(&Signal::ALL[..])
    ) {
        let request = Bytes::from(Gen::new(seed).request(signal));
        let total = check(signal, &request).unwrap();
        if let [share] = &by_turns(signal, &request, &[&[7]])[..] {
            prop_assert_eq!(share.bytes.as_ptr(), request.as_ptr());
            prop_assert_eq!((share.bytes.len(), share.items, share.place), (request.len(), total, 7));
        }
    }
}

#[test]
fn a_request_without_resources_has_no_shares_and_one_that_ends_too_early_is_an_error() {
    assert!(by_turns(Signal::Logs, &Bytes::new(), &[&[0]]).is_empty());
    let cut = Bytes::from_static(&[0x0a, 9, 1]);
    assert!(divide(Signal::Logs, &cut, 0, |_, _| {}).is_err());
}

#[test]
fn what_the_request_itself_says_beside_its_resources_goes_with_the_one_before_it() {
    // An unknown field first, then a resource, an unknown field, and another resource.
    let request = Bytes::from_static(&[0x78, 1, 0x0a, 0, 0x78, 2, 0x0a, 0]);
    let shares = by_turns(Signal::Logs, &request, &[&[0], &[1]]);
    assert_eq!(shares[0].bytes[..], [0x78, 1, 0x0a, 0, 0x78, 2]);
    assert_eq!(shares[1].bytes[..], [0x0a, 0]);
}
