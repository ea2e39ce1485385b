//! What does a translation cost? A page walk and a cached translation beside a bare load.
//!
//!     cargo bench --bench walk
//!
//! Instructions instead of time: one of them alone under callgrind, twice, with and without `0`
//! repetitions to subtract the set-up:
//!
//!     cargo bench --bench walk --no-run
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/deps/walk-… walk 1000000
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/deps/walk-… walk 0
//!
//! (`load`, `hit` or `walk`; the difference of "Collected", divided by the number.)

use std::hint::black_box;
use std::time::Instant;

use ringfence::base::{Access, PhysAddr, Ring, Seed, VirtAddr};
use ringfence::machine::memory::Memory;
use ringfence::machine::paging::TableMemory;
use ringfence::machine::paging::x86_64::{Controls, Request, walk};
use ringfence::machine::tlb::Tlb;

const REPETITIONS: usize = 9;
const COUNT: usize = 1_000_000;
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

fn main() {
    let draws: Vec<u64> = {
        let mut stream = Seed(7).stream("pages", 0);
        (0..4096).map(|_| stream.below(1 << 16)).collect()
    };
    let near = || Bench::new(64, |n| n % 64);
    let far = || Bench::new(1 << 16, |n| draws[usize::try_from(n).expect("small")]);

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [what, count] = arguments.as_slice()
        && let Ok(count) = count.parse()
    {
        let mut bench = near();
        let sum = match what.as_str() {
            "load" => bench.load(count),
            "hit" => bench.hit(count),
            _ => bench.walk(count),
        };
        black_box(sum);
        return;
    }

    println!("{:<28} {:>8} {:>8} {:>8} {:>9}", "ns", "least", "median", "most", "/ load");
    for (name, mut bench) in [("64 pages in a row", near()), ("65536 pages at random", far())] {
        let floor = ns(|count| bench.load(count));
        let hit = ns(|count| bench.hit(count));
        let walk = ns(|count| bench.walk(count));
        println!("{name}");
        for (what, [least, median, most]) in
            [("bare load", floor), ("cached translation", hit), ("page walk", walk)]
        {
            let ratio = median / floor[1];
            println!("  {what:<26} {least:>8.2} {median:>8.2} {most:>8.2} {ratio:>9.1}");
        }
    }
}
