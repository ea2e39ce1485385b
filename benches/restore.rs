//! What does it cost to go back? Undoing 4, 32 and 256 dirty frames beside a copy of as many.
//!
//!     cargo bench --bench restore
//!
//! Three measures of "dirty": one word of each frame changed, as a typical store does; 16; all 512.
//! The journal's cost follows the words changed, the copy's the frames.

use std::hint::black_box;
use std::time::Instant;

use ringfence::base::PhysAddr;
use ringfence::machine::memory::{FRAME_WORDS, Memory};

const REPETITIONS: usize = 9;
const ROUNDS: u32 = 200;

/// Least, median and most, in ns.
fn summary(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures the host's time")]
fn ns(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e9
}

fn main() {
    println!(
        "{:>6} {:>6} | {:>10} {:>10} {:>10} | {:>10} {:>10} {:>10} | {:>6}",
        "frames", "words", "restore ns", "median", "most", "memcpy ns", "median", "most", "ratio"
    );
    for frames in [4usize, 32, 256] {
        for words in [1usize, 16, 512] {
            let mut memory = Memory::new(512);
            let source = vec![1u64; frames * FRAME_WORDS];
            let mut target = vec![0u64; frames * FRAME_WORDS];
            let (mut undo, mut copy) = (Vec::new(), Vec::new());
            let mut value = 1;
            for _ in 0..REPETITIONS {
                let (mut undo_ns, mut copy_ns) = (0.0, 0.0);
                for _ in 0..ROUNDS {
                    let mark = memory.mark();
                    value += 1;
                    for frame in 0..frames {
                        for word in 0..words {
                            let word = word * FRAME_WORDS / words;
                            let at = (frame * FRAME_WORDS + word) as u64 * 8;
                            memory.write(PhysAddr::truncated(at), value);
                        }
                    }
                    undo_ns += ns(|| black_box(&mut memory).restore(mark));
                    copy_ns += ns(|| black_box(&mut target).copy_from_slice(black_box(&source)));
                }
                undo.push(undo_ns / f64::from(ROUNDS));
                copy.push(copy_ns / f64::from(ROUNDS));
            }
            let ([a, b, c], [d, e, f]) = (summary(undo), summary(copy));
            let ratio = b / e;
            println!(
                "{frames:>6} {words:>6} | {a:>10.0} {b:>10.0} {c:>10.0} | {d:>10.0} {e:>10.0} {f:>10.0} | {ratio:>6.2}"
            );
        }
    }
}
