//! The fuzz functions on stable: valid requests with a few bytes changed, for a bounded number of rounds.

use streamgauge_pdata::{Signal, fuzz};

use crate::sample::Gen;

fn mutate(g: &mut Gen, data: &mut Vec<u8>) {
    for _ in 0..=g.below(4) {
        if data.is_empty() {
            return;
        }
        let at = g.below(data.len());
        match g.below(5) {
            0 => data[at] = g.bits() as u8,
            1 => data[at] ^= 1 << g.below(8),
            2 => data.truncate(at),
            3 => data.insert(at, g.bits() as u8),
            _ => {
                let n = g.below(data.len() - at);
                data.drain(at..at + n.min(8));
            }
        }
    }
}

fn drive(salt: u64, rounds: u64, target: fn(&[u8])) {
    for seed in 0..rounds {
        let mut g = Gen::new(seed ^ salt);
        let mut data = g.request(Signal::ALL[seed as usize % 3]);
        target(&data);
        mutate(&mut g, &mut data);
        target(&data);
        let n = g.below(40);
        let noise: Vec<u8> = (0..n).map(|_| g.bits() as u8 & 0x3f).collect();
        target(&noise);
    }
}

#[test]
fn walking_survives_any_bytes() {
    drive(1 << 32, 1500, fuzz::walk);
}

#[test]
fn splitting_survives_any_bytes() {
    drive(2 << 32, 500, fuzz::split_pieces);
}

#[test]
fn splicing_survives_any_bytes() {
    drive(3 << 32, 500, fuzz::splice);
}

#[test]
fn views_survive_any_bytes() {
    drive(4 << 32, 1000, fuzz::views);
}

#[test]
fn json_survives_any_bytes_both_ways() {
    drive(5 << 32, 500, fuzz::json_both_ways);
    for seed in 0..3000u64 {
        let mut g = Gen::new(seed ^ 6 << 32);
        let signal = Signal::ALL[seed as usize % 3];
        let mut text = streamgauge_pdata::json::write(signal, &g.request(signal)).unwrap().json;
        mutate(&mut g, &mut text);
        fuzz::json_both_ways(&text);
    }
}
