//! What a printed test brings with it: memory, its allocator, the log of invalidations, the walk.

use super::{Must, Plot, hex};
use crate::conformance::memory::{DATA_FRAMES, Memory, POOL_FRAMES};
use crate::conformance::rights::Rights;

/// A part is printed when one of its names occurs in what is printed already.
type Part = (&'static [&'static str], String);

/// What `body` uses, directly or by way of another part. `None` when it needs a walk that the format does
/// not spell.
pub(super) fn used_by(body: &str, plot: &Plot<'_>, failing: Option<u32>) -> Option<String> {
    let mut text = String::new();
    for (names, part) in all(plot, failing) {
        if names.iter().any(|name| body.contains(name) || text.contains(name)) {
            if part.is_empty() {
                return None;
            }
            text = format!("{part}\n{text}");
        }
    }
    let uses = [("Mutex", "Mutex"), ("AtomicU64", "atomic::{AtomicU64, Ordering::Relaxed}")];
    let uses = uses.into_iter().filter(|(name, _)| text.contains(name));
    let uses: String = uses.map(|(_, path)| format!("use std::sync::{path};\n")).collect();
    Some(if uses.is_empty() { text } else { format!("{uses}\n{text}") })
}

/// All parts, those that use others first.
fn all(plot: &Plot<'_>, failing: Option<u32>) -> Vec<Part> {
    let logs_frees = matches!(plot.must, Must::BeFreedForgotten { .. });
    vec![
        (&["walk("], plot.format.spelled_walk().unwrap_or_default()),
        (&["is_forgotten("], FORGOTTEN.to_owned()),
        (&["is_forgotten_when_freed("], FORGOTTEN_WHEN_FREED.to_owned()),
        (&["forget_events("], FORGET.to_owned()),
        (&["invalidate_all("], INVALIDATE_ALL.to_owned()),
        (&["invalidate("], INVALIDATE.to_owned()),
        (&["lent("], LENT.to_owned()),
        (&["free("], free(logs_frees)),
        (&["EVENTS"], EVENTS.to_owned()),
        (&["allocate_zeroed("], ZEROED.to_owned()),
        (&["allocate("], allocate(failing)),
        (&["FREED"], FREED.to_owned()),
        (&["spoil("], spoil(plot)),
        (&["offset("], OFFSET.to_owned()),
        (&["pointer("], POINTER.to_owned()),
        (&["word("], WORD.to_owned()),
        (&["set("], SET.to_owned()),
        (&["MEMORY", "BASE"], memory()),
        (&["ROOT"], format!("const ROOT: u64 = {};\n", hex(plot.root.raw()))),
    ]
}

fn memory() -> String {
    let base = hex(Memory::frame(0).start().raw());
    let frames = POOL_FRAMES + DATA_FRAMES;
    format!(
        "\
// Physical memory, from BASE on.
const BASE: u64 = {base};
#[repr(C, align(4096))]
struct Words([AtomicU64; 512 * {frames}]);
static MEMORY: Words = Words([const {{ AtomicU64::new(0) }}; 512 * {frames}]);
"
    )
}

const SET: &str = "\
fn set(at: u64, value: u64) {
    MEMORY.0[((at - BASE) / 8) as usize].store(value, Relaxed);
}
";

const WORD: &str = "\
fn word(at: u64) -> u64 {
    let word = MEMORY.0.get((at.wrapping_sub(BASE) / 8) as usize);
    word.map_or(0, |word| word.load(Relaxed))
}
";

const POINTER: &str = "\
/// A pointer to the byte at a physical address.
fn pointer(at: u64) -> *mut u8 {
    MEMORY.0.as_ptr().cast_mut().cast::<u8>().wrapping_add(at.wrapping_sub(BASE) as usize)
}
";

const OFFSET: &str = "\
/// What to add to a physical address to get a pointer.
fn offset() -> u64 {
    (pointer(BASE).expose_provenance() as u64).wrapping_sub(BASE)
}
";

fn spoil(plot: &Plot<'_>) -> String {
    let entry = hex(plot.format.leaf(1, Memory::data_frame(5), Rights::ALL));
    format!(
        "\
/// A frame that nobody has cleared: some of it looks like entries.
fn spoil(frame: u64) {{
    for index in 0..512 {{
        set(frame + 8 * index, if index % 64 == 5 {{ {entry} }} else {{ 0 }});
    }}
}}
"
    )
}

const FREED: &str = "\
/// Frames that were freed, and how many others were handed out.
static FREED: Mutex<Vec<u64>> = Mutex::new(Vec::new());
static COUNT: AtomicU64 = AtomicU64::new(0);
";

/// Frames as the suite hands them out: what was freed last comes first.
fn allocate(failing: Option<u32>) -> String {
    let fails = failing.map_or(String::new(), |nth| {
        format!(
            "    static CALLS: AtomicU64 = AtomicU64::new(0);
    if CALLS.fetch_add(1, Relaxed) + 1 == {nth} {{
        return None;
    }}
"
        )
    });
    format!(
        "\
fn allocate() -> Option<u64> {{
{fails}    let freed = FREED.lock().unwrap().pop();
    let frame = freed.unwrap_or_else(|| BASE + 0x1000 * COUNT.fetch_add(1, Relaxed));
    if frame >= BASE + 0x1000 * {POOL_FRAMES} {{
        return None;
    }}
    spoil(frame);
    Some(frame)
}}
"
    )
}

const ZEROED: &str = "\
fn allocate_zeroed() -> Option<u64> {
    let frame = allocate()?;
    (0..512).for_each(|index| set(frame + 8 * index, 0));
    Some(frame)
}
";

fn free(is_logged: bool) -> String {
    let log =
        if is_logged { "    EVENTS.lock().unwrap().push((\"free\", Some(at)));\n" } else { "" };
    format!(
        "\
fn free(at: u64) {{
{log}    spoil(at);
    FREED.lock().unwrap().push(at);
}}
"
    )
}

const LENT: &str = "\
/// How many frames are not freed.
fn lent() -> u64 {
    COUNT.load(Relaxed) - FREED.lock().unwrap().len() as u64
}
";

const EVENTS: &str = "\
/// What was invalidated, `None` for everything, and what was freed, in order.
static EVENTS: Mutex<Vec<(&str, Option<u64>)>> = Mutex::new(Vec::new());
";

const INVALIDATE: &str = "\
fn invalidate(at: u64) {
    EVENTS.lock().unwrap().push((\"invalidate\", Some(at)));
}
";

const INVALIDATE_ALL: &str = "\
fn invalidate_all() {
    EVENTS.lock().unwrap().push((\"invalidate\", None));
}
";

const FORGET: &str = "\
fn forget_events() {
    EVENTS.lock().unwrap().clear();
}
";

const FORGOTTEN: &str = "\
/// Whether one of these addresses was invalidated.
fn is_forgotten(first: u64, last: u64) -> bool {
    let events = EVENTS.lock().unwrap();
    let mut told = events.iter().filter(|event| event.0 == \"invalidate\");
    told.any(|(_, at)| at.is_none_or(|at| (first..=last).contains(&at)))
}
";

const FORGOTTEN_WHEN_FREED: &str = "\
/// Whether something was invalidated before that frame was freed, if it was.
fn is_forgotten_when_freed(frame: u64) -> bool {
    let events = EVENTS.lock().unwrap();
    let freed = events.iter().position(|event| *event == (\"free\", Some(frame)));
    let invalidated = events.iter().position(|event| event.0 == \"invalidate\");
    freed.is_none_or(|freed| invalidated.is_some_and(|at| at < freed))
}
";
