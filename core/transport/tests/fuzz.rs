//! The fuzz targets on mutated good inputs; `make fuzz` runs them for longer.

use streamgauge_transport::{Code, Codec, PartialSuccess, Status, fuzz};

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

fn drive(target: fn(&[u8]), seeds: &[Vec<u8>]) {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for round in 0..20_000 {
        let mut input = seeds[round % seeds.len()].clone();
        for _ in 0..noise.next(4) {
            let place = noise.next(input.len());
            input[place] = noise.next(256) as u8;
        }
        input.truncate(1 + noise.next(input.len() * 2));
        target(&input);
    }
}

#[test]
fn grpc_deframing_does_not_depend_on_the_frames() {
    let seeds: Vec<Vec<u8>> = [0u8, 1, 40, 200]
        .map(|len| [&[7, 0, 0, 0, 0, len][..], &vec![3; usize::from(len)]].concat())
        .to_vec();
    drive(fuzz::grpc_deframing, &seeds);
}

#[test]
fn unpacking_is_total_and_bounded() {
    let plain = vec![9; 70_000];
    let mut seeds = Vec::new();
    for (index, codec) in Codec::ALL.into_iter().enumerate() {
        for plain in [&plain[..], &plain[..100]] {
            seeds.push([&[index as u8][..], &codec.pack(plain, None).unwrap()].concat());
        }
    }
    drive(fuzz::unpacking, &seeds);
}

#[test]
fn reading_answers_is_total() {
    let delay = std::time::Duration::from_millis(1500);
    let status = Status::new(Code::Unavailable, "later").retry_after(delay).encode();
    let partial = PartialSuccess { rejected: 300, message: "old".into() }.encode();
    drive(fuzz::answers, &[status.to_vec(), partial.to_vec()]);
}
