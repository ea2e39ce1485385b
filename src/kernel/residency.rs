//! Pageable memory: which pages may be away, and who sends them there.
//!
//! A driver's code and data may be pageable, and paged pool is. Such a page may be *trimmed*: its entry
//! is not present, names its frame and says that the frame keeps what the page held. An access below
//! dispatch level brings it back unnoticed; at that level and above nothing can ("Managing Hardware
//! Priorities"). So code that touches pageable memory too high is wrong every time, and stops the
//! machine only when the page happens to be away: whether it is comes from the world's seed, drawn once
//! for the boot and again at each clock interrupt. Driver Verifier trims all of it whenever a driver
//! raises the level, so that the mistake is found every time ("Force IRQL Checking").
//!
//! Nothing is written to the disk: the frames themselves are the paging file, and nobody else gets them
//! meanwhile. A step is made again from its beginning when its page was away, so a step that touches
//! several pageable pages must only read before it has touched them all.

use crate::base::{Rule, Structure};
use crate::machine::{Flow, Processor, Trap, routine};

use super::layout::{address, element, residency};
use super::paging::{MM_REPLACE_ENTRY, PRESENT, TRIMMED, entry_address};
use super::pools::special;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "pageable-may-be-resident",
        "Pageable memory that is resident can be touched at any level, and the mistake isn't noticed.",
        "Force IRQL Checking",
    ),
    Rule::chosen(
        "residency-by-the-seed",
        "Which pageable pages are away is drawn for the boot and at each clock interrupt.",
        "this model: stands for the trimming of working sets",
    ),
    Rule::chosen(
        "trimmed-frames-stay",
        "A trimmed page's frame keeps its contents and goes to nobody else.",
        "this model: nothing is written to a paging file",
    ),
    Rule::inferred(
        "driver-sections",
        "A driver's code has a pageable and a nonpageable part; its static data is nonpageable here.",
        "Making Drivers Pageable (the data's part is this model's)",
    ),
];

/// Pages that may be away at most.
pub const PAGES_MAX: u64 = 48;
/// Which pages [`MM_TRIM_WORKING_SET`] trims: those that are drawn.
pub const SOME: u64 = 0;
/// Which pages [`MM_TRIM_WORKING_SET`] trims: all.
pub const ALL: u64 = 1;

/// Whether the next page of the sequence is to go. Knuth's linear congruential generator, in memory:
/// the seed of a world is in its first value, and 0 where nothing is drawn.
fn is_drawn(p: &mut Processor<'_>) -> Result<bool, Trap> {
    let last = p.load(address::RESIDENCY, residency::RANDOM)?;
    if last == 0 {
        return Ok(false);
    }
    let next = last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    p.store(address::RESIDENCY, residency::RANDOM, next)?;
    Ok(next >> 63 == 1)
}

routine! {
    /// Trims pageable pages. Argument: [`SOME`] or [`ALL`].
    pub static MM_TRIM_WORKING_SET = "MmTrimWorkingSet", frame 2;
    // Locals: 0 which; 1 number of the page in hand, those of special pool behind the others.
    keep => |p| {
        let which = p.argument(0);
        p.set_local(0, which)?;
        p.set_local(1, 0)?;
        Ok(Flow::Next)
    },
    trim, call MM_REPLACE_ENTRY => |p| {
        let number = p.local(1)?;
        let listed = p.load(address::RESIDENCY, residency::COUNT)?.min(PAGES_MAX);
        let virt = if number < listed {
            p.set_local(1, number.wrapping_add(1))?;
            p.load(element(address::RESIDENCY, number), residency::PAGES)?
        } else {
            let first = number.wrapping_sub(listed);
            let Some((slot, page)) = special::paged_from(p, first)? else { return Ok(Flow::Return) };
            p.set_local(1, listed.wrapping_add(slot).wrapping_add(1))?;
            page
        };
        if p.local(0)? != ALL && !is_drawn(p)? {
            return Ok(Flow::Stay);
        }
        let at = entry_address(p, virt)?;
        let entry = p.load_at(at, Structure::PageTable)?;
        if entry & PRESENT == 0 {
            return Ok(Flow::Stay);
        }
        p.pass([virt, entry & !PRESENT | TRIMMED]);
        Ok(Flow::Call)
    },
    trimmed => |_| Ok(Flow::To(At::trim as u8)),
}
