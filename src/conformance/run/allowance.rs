//! How much memory a call may access and take before it counts as endless, or is refused more.

use crate::conformance::memory::Memory;
use crate::conformance::operation::Call;
use crate::machine::paging::PageSize;

/// Accesses to memory within one call at most, but for those of its pages.
pub(crate) const ACCESSES_MAX: u32 = 200_000;

/// Pages of a call at most that are made or changed one by one.
const PAGES_BY_ONE: u64 = 1024;

/// Frames that a call takes at most which maps more than a GiB and not of large pages alone: the ways to both of its
/// ends, and some. Of small pages hundreds would be needed, and the time to fill them.
const FRAMES_OF_GIB: u64 = 12;

/// Accesses to memory of a call at most. Code may look through whole tables for each page that it changes, whether
/// they are empty by then, and may walk to each page of a hole.
fn accesses_within(accesses_max: u32, call: &Call) -> u32 {
    let pages = call.region().pages.saturating_sub(1);
    let each = u64::from(accesses_max / 200) * pages.min(PAGES_BY_ONE);
    let walks = u64::from(accesses_max / 20_000) * pages;
    u32::try_from(u64::from(accesses_max) + each + walks).unwrap_or(u32::MAX)
}

/// A call begins; how many accesses to memory it has.
pub(crate) fn begin(memory: &Memory, accesses_max: u32, call: &Call) -> u32 {
    let accesses_max = accesses_within(accesses_max, call);
    memory.begin(accesses_max);
    if let Call::MapRange { first, bytes, .. } = call
        && *bytes > PageSize::Gib1.bytes()
        && !(first.0 | bytes).is_multiple_of(PageSize::Mib2.bytes())
    {
        memory.ration(FRAMES_OF_GIB);
    }
    accesses_max
}
