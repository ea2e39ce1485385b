//! Fuzzing without a fuzzer, the same on every machine: the stored inputs of both targets, then a
//! bounded number of inputs made of them. What it misses, the unit tests have to catch.
//!
//! `RINGFENCE_FUZZ_RUNS` says how many times more; 0 is the replay alone.

use std::fs;
use std::path::Path;

use ringfence::base::{Seed, Stream};

#[allow(dead_code, reason = "outcomes are for the replay beside the targets")]
mod tlb;
#[allow(dead_code, reason = "as above")]
mod translate;

/// Values that often matter in a byte.
const BYTES: [u8; 12] = [0, 1, 2, 3, 4, 7, 0x10, 0x40, 0x7f, 0x80, 0xfe, 0xff];

fn runs(ordinary: u64) -> u64 {
    let times = std::env::var("RINGFENCE_FUZZ_RUNS");
    ordinary * times.map_or(1, |times| times.parse::<u64>().expect("a number"))
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let listing = fs::read_dir(&folder).expect("a corpus");
    let mut files: Vec<_> = listing.map(|file| file.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a file that can be read")).collect()
}

/// A stored input, a little altered.
fn input(draw: &mut Stream, corpus: &[Vec<u8>], bytes_max: usize) -> Vec<u8> {
    let mut bytes = corpus[draw.index(corpus.len())].clone();
    for _ in 0..1 + draw.below(6) {
        alter(draw, corpus, &mut bytes);
    }
    bytes.truncate(bytes_max);
    bytes
}

#[allow(clippy::cast_possible_truncation, reason = "random bits")]
fn alter(draw: &mut Stream, corpus: &[Vec<u8>], bytes: &mut Vec<u8>) {
    let place = draw.index(bytes.len() + 1);
    match draw.below(8) {
        0 | 1 if place < bytes.len() => bytes[place] ^= 1 << draw.below(8),
        2 if place < bytes.len() => bytes[place] = draw.word() as u8,
        3 if place < bytes.len() => bytes[place] = BYTES[draw.index(BYTES.len())],
        4 => bytes.insert(place, draw.word() as u8),
        5 => {
            let more: Vec<u8> = (0..1 + draw.below(16)).map(|_| draw.word() as u8).collect();
            bytes.splice(place..place, more);
        }
        // The rest of another input, or some of it.
        _ => {
            let other = &corpus[draw.index(corpus.len())];
            let from = draw.index(other.len() + 1);
            let some = from + draw.index(other.len() - from + 1);
            if draw.below(2) == 0 {
                bytes.truncate(place);
                bytes.extend_from_slice(&other[from..]);
            } else {
                let end = (place + some - from).min(bytes.len());
                bytes.splice(place..end, other[from..some].iter().copied());
            }
        }
    }
}

/// One target: its stored inputs, and draws of altered ones.
struct Search {
    corpus: Vec<Vec<u8>>,
    draw: Stream,
    bytes_max: usize,
    run: fn(&[u8]),
}

impl Search {
    fn new(target: &str, bytes_max: usize, run: fn(&[u8])) -> Self {
        let draw = Seed(0x6675_7a7a).stream(target, 0);
        Self { corpus: corpus(target), draw, bytes_max, run }
    }

    fn replay(&self) {
        for bytes in &self.corpus {
            (self.run)(bytes);
        }
    }

    /// `count` inputs, each of them any bytes or an altered stored one.
    fn search(&mut self, count: u64) {
        for _ in 0..count {
            let bytes = if self.draw.below(4) == 0 {
                (0..self.bytes_max).map(|_| self.draw.word().to_le_bytes()[0]).collect()
            } else {
                input(&mut self.draw, &self.corpus, self.bytes_max)
            };
            (self.run)(&bytes);
        }
    }
}

/// One test, because one finding is enough; and a little of each target in turn, so that it comes
/// early.
#[test]
fn nothing_is_found() {
    let mut translate = Search::new("translate", 92, translate::run);
    let mut tlb = Search::new("tlb", 257, tlb::run);
    translate.replay();
    tlb.replay();
    for _ in 0..runs(50) {
        translate.search(200);
        tlb.search(20);
    }
}
