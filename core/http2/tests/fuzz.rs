//! The fuzz targets on mutated good inputs; `make fuzz` runs them for longer.

mod support;

use streamgauge_http2::fuzz;
use support::{DATA, END, GOAWAY, HEADERS, HEADERS_END, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame};

/// Deterministic noise (xorshift), so that a failure can be run again.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

fn drive(target: fn(&[u8]), seeds: &[Vec<u8>], rounds: usize) {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds {
        let mut input = seeds[round % seeds.len()].clone();
        for _ in 0..noise.next(4) {
            let place = noise.next(input.len());
            input[place] = noise.next(256) as u8;
        }
        input.truncate(1 + noise.next(input.len() * 2));
        target(&input);
    }
}

/// The first byte of an input says where the rest is cut.
fn every_cut(target: fn(&[u8]), mut input: Vec<u8>) {
    for seed in 0..64 {
        input[0] = seed;
        target(&input);
    }
}

/// `:method POST`, `:scheme http`, `:path /v1`, a field that goes into the table.
const BLOCK: &[u8] = b"\x83\x86\x04\x03/v1\x40\x01a\x01b";

fn conversations() -> Vec<Vec<u8>> {
    let hello = frame(SETTINGS, 0, 0, &[]);
    let post = |stream, body: &[u8]| {
        [frame(HEADERS, HEADERS_END, stream, BLOCK), frame(DATA, END, stream, body)].concat()
    };
    let padded = [&[3][..], BLOCK, &[0; 3]].concat();
    let cut = [frame(HEADERS, END, 5, &BLOCK[..6]), frame(9, HEADERS_END, 5, &BLOCK[6..])].concat();
    let busy = [
        post(1, b"one"),
        frame(HEADERS, HEADERS_END | 8, 3, &padded),
        frame(PING, 0, 0, &[7; 8]),
        frame(DATA, 0, 3, &[2; 600]),
        cut,
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]),
        frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]),
        frame(HEADERS, HEADERS_END | END, 3, b"\x00\x01t\x01u"),
        frame(HEADERS, HEADERS_END, 7, b"\x83\x86\x04\x03/v2\xbe"),
        frame(RST_STREAM, 0, 7, &[0, 0, 0, 8]),
        frame(2, 0, 9, &[0, 0, 0, 1, 5]),
        post(9, &[4; 2000]),
    ]
    .concat();
    [0_u8, 1, 7, 30].map(|seed| [&[seed][..], &hello, &busy].concat()).to_vec()
}

#[test]
fn a_connection_means_the_same_however_it_is_cut() {
    drive(fuzz::connection, &conversations(), 3000);
}

#[test]
fn every_cut_of_a_good_conversation_means_the_same() {
    every_cut(fuzz::connection, conversations().remove(0));
}

fn answers() -> Vec<Vec<u8>> {
    let hello = frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 100]);
    let head = b"\x88\x40\x01a\x01b";
    let trailers = |stream| frame(HEADERS, HEADERS_END | END, stream, b"\x40\x0bgrpc-status\x010");
    let usual = [
        frame(HEADERS, HEADERS_END, 1, head),
        frame(DATA, 0, 1, &[0; 5]),
        trailers(1),
        frame(HEADERS, HEADERS_END, 3, b"\x88\xbf"),
        frame(DATA, 8, 3, &[1, 9, 9, 0]),
        trailers(3),
    ]
    .concat();
    let busy = [
        frame(WINDOW_UPDATE, 0, 0, &[0, 1, 0, 0]),
        frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
        frame(HEADERS, HEADERS_END, 5, b"\x08\x03100"),
        frame(HEADERS, 0, 5, &head[..3]),
        frame(9, HEADERS_END, 5, &head[3..]),
        frame(PING, 0, 0, &[7; 8]),
        frame(DATA, END, 5, &[2; 9_000]),
        frame(RST_STREAM, 0, 7, &[0, 0, 0, 7]),
        frame(WINDOW_UPDATE, 0, 7, &[0, 1, 0, 0]),
        frame(GOAWAY, 0, 0, b"\0\0\0\x05\0\0\0\x0btoo_many_pings"),
    ]
    .concat();
    [0_u8, 1, 7, 30].map(|seed| [&[seed][..], &hello, &usual, &busy].concat()).to_vec()
}

#[test]
fn a_servers_answers_mean_the_same_however_they_are_cut() {
    drive(fuzz::answers, &answers(), 3000);
}

#[test]
fn every_cut_of_good_answers_means_the_same() {
    every_cut(fuzz::answers, answers().remove(0));
}

#[test]
fn reading_heads_is_total_and_bounded() {
    let coded = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff\xbe\x40\x01a\x01b\xbf";
    drive(
        fuzz::head,
        &[coded.repeat(8), BLOCK.repeat(20), b"\x3f\xe1\x1f\x20\x82\x10\x01a\x01b".repeat(9)],
        20_000,
    );
}
