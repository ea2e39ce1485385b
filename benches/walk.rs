//! What does a translation cost? A page walk and a cached translation beside a bare load.
//!
//!     cargo bench --bench walk
//!
//! Time varies with the machine; instructions do not. They are counted by running this program again
//! under callgrind, twice for each row, with many repetitions and with none to subtract the set-up.
//! Without valgrind the column says so.

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use ringfence::base::{Access, PhysAddr, Ring, Seed, VirtAddr};
use ringfence::machine::memory::Memory;
use ringfence::machine::paging::TableMemory;
use ringfence::machine::paging::x86_64::{Controls, Request, walk};
use ringfence::machine::tlb::Tlb;

const REPETITIONS: usize = 9;
const COUNT: usize = 1_000_000;
/// Repetitions under callgrind, which is some fifty times slower.
const COUNTED: usize = 20_000;
/// What is measured, as it is asked for and as it is told; the first is the floor.
const ROWS: [(&str, &str); 3] =
    [("load", "bare load"), ("hit", "cached translation"), ("walk", "page walk")];
/// Which pages are asked for, as above.
const SETS: [(&str, &str); 2] = [("near", "64 pages in a row"), ("far", "65536 pages at random")];
/// Present, writable, user, accessed, dirty.
const ENTRY: u64 = 0x67;

/// Entries as the processor reads them.
struct Tables<'a>(&'a Memory);

impl TableMemory for Tables<'_> {
    #[inline(always)]
    fn entry(&self, at: PhysAddr) -> u64 {
        self.0.read(at)
    }
}

struct Bench {
    memory: Memory,
    controls: Controls,
    tlb: Tlb,
    requests: Vec<Request>,
}

impl Bench {
    /// `mapped` pages from address 0, and requests for `asked` of them.
    fn new(mapped: u64, asked: impl Fn(u64) -> u64) -> Self {
        let tables = mapped.div_ceil(512);
        let frames = usize::try_from(tables + 4 + 512).expect("small");
        let mut memory = Memory::new(frames);
        let mut put = |frame: u64, slot: u64, next: u64| {
            memory.write(PhysAddr::truncated(frame * 4096 + slot * 8), next << 12 | ENTRY);
        };
        put(1, 0, 2);
        put(2, 0, 3);
        for table in 0..tables {
            put(3, table, 4 + table);
        }
        for page in 0..mapped {
            // The pages themselves share 512 frames: what is measured is the way there.
            put(4 + page / 512, page % 512, 4 + tables + page % 512);
        }
        let controls = Controls { cr3: 1 << 12, ..Controls::default() };
        let request = |virt| Request {
            virt: VirtAddr(virt),
            access: Access::Read,
            ring: Ring::User,
            ac: false,
            implicit: false,
            shadow_stack: false,
        };
        let requests = (0..4096).map(|n| request(asked(n) * 4096 + n % 512 * 8)).collect();
        Self { memory, controls, tlb: Tlb::default(), requests }
    }

    /// The pages of a set.
    fn of(set: &str) -> Self {
        if set == "near" {
            return Self::new(64, |n| n % 64);
        }
        let mut stream = Seed(7).stream("pages", 0);
        let draws: Vec<u64> = (0..4096).map(|_| stream.below(1 << 16)).collect();
        Self::new(1 << 16, |n| draws[usize::try_from(n).expect("small")])
    }

    fn run(&mut self, what: &str, count: usize) -> u64 {
        match what {
            "load" => self.load(count),
            "hit" => self.hit(count),
            _ => self.walk(count),
        }
    }

    /// The floor: a load from memory at the address that the others come to.
    fn load(&self, count: usize) -> u64 {
        (0..count).fold(0, |sum, n| {
            let request = &self.requests[n % 4096];
            let at = PhysAddr::truncated(request.virt.0 % (512 * 4096));
            sum ^ self.memory.read(black_box(at))
        })
    }

    fn walk(&self, count: usize) -> u64 {
        (0..count).fold(0, |sum, n| {
            let request = black_box(&self.requests[n % 4096]);
            sum ^ walk(&Tables(&self.memory), &self.controls, request)
                .map_or(0, |walk| walk.address.raw())
        })
    }

    fn hit(&mut self, count: usize) -> u64 {
        for request in &self.requests {
            let found = walk(&Tables(&self.memory), &self.controls, request).expect("it is mapped");
            self.tlb.fill(&self.controls, request, &found);
        }
        // Only requests that hit: the cache is direct-mapped, so some pages displace others.
        let hits: Vec<_> = self
            .requests
            .iter()
            .filter(|request| self.tlb.lookup(&self.controls, request).is_some())
            .collect();
        (0..count).fold(0, |sum, n| {
            let request = black_box(hits[n % hits.len()]);
            sum ^ self.tlb.lookup(&self.controls, request).map_or(0, |at| at.raw())
        })
    }
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures the host's time")]
fn ns(mut work: impl FnMut(usize) -> u64) -> [f64; 3] {
    let mut values: Vec<f64> = (0..REPETITIONS)
        .map(|_| {
            let start = Instant::now();
            black_box(work(COUNT));
            start.elapsed().as_secs_f64() * 1e9 / COUNT as f64
        })
        .collect();
    values.sort_by(f64::total_cmp);
    [values[0], values[REPETITIONS / 2], values[REPETITIONS - 1]]
}

/// Instructions that this program runs for a row, all of it, by callgrind's word.
fn collected(what: &str, set: &str, count: usize) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([what, set, &count.to_string()])
        .output()
        .map_err(|_| "valgrind is missing".to_owned())?;
    let told = String::from_utf8_lossy(&output.stderr);
    let line = told.lines().find_map(|line| line.split_once("Collected :"));
    line.and_then(|(_, number)| number.trim().parse().ok())
        .ok_or_else(|| "valgrind ran and counted nothing".to_owned())
}

/// Instructions of one repetition.
fn instructions(what: &str, set: &str) -> Result<f64, String> {
    let with = collected(what, set, COUNTED)?;
    let without = collected(what, set, 0)?;
    Ok(with.saturating_sub(without) as f64 / COUNTED as f64)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [what, set, count] = arguments.as_slice()
        && let Ok(count) = count.parse()
    {
        black_box(Bench::of(set).run(what, count));
        return;
    }

    println!(
        "{:<28} {:>8} {:>8} {:>8} {:>9} {:>13}",
        "ns", "least", "median", "most", "/ load", "instructions"
    );
    let mut not_counted = None;
    for (set, name) in SETS {
        println!("{name}");
        let mut bench = Bench::of(set);
        let mut floor = 1.0;
        for (what, told) in ROWS {
            let [least, median, most] = ns(|count| bench.run(what, count));
            if what == "load" {
                floor = median;
            }
            let counted = instructions(what, set).map(|count| format!("{count:.1}"));
            let counted = counted.unwrap_or_else(|why| {
                not_counted = Some(why);
                "-".to_owned()
            });
            let ratio = median / floor;
            println!(
                "  {told:<26} {least:>8.2} {median:>8.2} {most:>8.2} {ratio:>9.1} {counted:>13}"
            );
        }
    }
    if let Some(why) = not_counted {
        println!("instructions: not counted: {why}");
    }
}
