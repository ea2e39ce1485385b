//! Driver Verifier's DMA verification: how drivers use the pages that they open to devices.
//!
//! What a device does past the IOMMU's grain of a page nobody else sees: a transfer that is longer than it was
//! told to be stays within the page that was opened. So while a transfer is under way, what lies behind its buffer
//! holds a tag and padding, and when the page is closed both are compared: whoever wrote there, driver or
//! hardware, wrote outside the buffer. What is mapped is remembered, so that mapping it once more, and closing
//! what is not mapped, are found too ("DMA Verification"; "Bug Check 0xE6: DRIVER_VERIFIER_DMA_VIOLATION").
//!
//! Looked at in what takes the place of the hardware abstraction layer's routines, see
//! [`verified`](super::verified). A page that is open to a device is one transfer's alone here, so that what is
//! behind its buffer may be padded: no driver keeps other data there. The layer remembers four pages at once, in
//! the IOMMU's root page, which is its own to write; of others nothing is said.
//!
//! | where in the root page | what |
//! |---|---|
//! | [`MAPPED`] | bus address of a page that is mapped, its hardware device from bit 4 on, [`IN_USE`]; 0 for none |
//! | [`BUFFER`] | its system address; in the low bits the words of the transfer under way, 0 for none |
//!
//! Not modelled: pages that are never closed (0xD), which are found when they are to be opened again; adapters, common buffers, channels and scatter/gather lists, which drivers here neither allocate
//! nor free; lists that describe a buffer; tags and padding in front of a buffer, which begins a page.

use crate::base::{Field, Rule, Structure};
use crate::machine::{Processor, Trap};

use super::bug_check::bug_checks;
use super::exception::resolve::DISPATCH_LEVEL;
use super::hal::{HARDWARE_DEVICES, TABLE_FRAMES, table_entry};
use super::layout::{address, element, frame_entry};
use super::mdl::LOCK;
use super::paging::{ADDRESS, PRESENT, entry_address};
use super::pools::special;
use super::pools::state::{PAGED_PAGES, PAGED_POOL};
use super::user_buffer::is_user_range;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "verifier-dma-overrun",
        "What is written behind a buffer during a transfer is found when its page is closed.",
        "DMA Verification; Bug Check 0xE6: DRIVER_VERIFIER_DMA_VIOLATION",
    ),
    Rule::chosen(
        "verifier-dma-rest-of-page",
        "The tag is the word behind the buffer; the rest of the page is padding.",
        "this model; Bug Check 0xE6: DRIVER_VERIFIER_DMA_VIOLATION (names both, and no places)",
    ),
    Rule::documented(
        "verifier-dma-mapped-twice",
        "A page that is open to a device already is not opened to it again, nor closed twice.",
        "DMA Verification; Bug Check 0xE6: DRIVER_VERIFIER_DMA_VIOLATION",
    ),
    Rule::inferred(
        "verifier-dma-levels",
        "Pages opened to a device, or closed, above dispatch level are found.",
        "Bug Check 0xE6: DRIVER_VERIFIER_DMA_VIOLATION (names no routines)",
    ),
    Rule::inferred(
        "verifier-dma-locked",
        "A page of paged pool or of user mode is opened to a device only while it is locked.",
        "DMA Verification (all buffers should be locked before DMA transfer begins)",
    ),
];

bug_checks! {
    NOT_LOCKED: DRIVER_VERIFIER_DMA_VIOLATION, parameter 1 = 0xe,
    when "a driver opens pageable memory that is not locked to a device (DMA verification)",
    parameters "what: not locked", "buffer", "reserved", "reserved",
    source "Bug Check 0xE6: DRIVER_VERIFIER_DMA_VIOLATION (names the buffer's list)" inferred;

    OUTSIDE: DRIVER_VERIFIER_DMA_VIOLATION, parameter 1 = 0xf,
    when "behind a buffer something was written during a transfer (DMA verification)",
    parameters "what: written outside the buffer", "tag 2, padding 5", "length, or buffer", "buffer, or written at",
    source "Bug Check 0xE6: DRIVER_VERIFIER_DMA_VIOLATION" documented;

    TOO_HIGH: DRIVER_VERIFIER_DMA_VIOLATION, parameter 1 = 0x13,
    when "a driver opens a page to a device, or closes it, above dispatch level (DMA verification)",
    parameters "what: bad level", "why: too high", "highest level", "level",
    source "Bug Check 0xE6: DRIVER_VERIFIER_DMA_VIOLATION (names no routines)" inferred;

    NOT_MAPPED: DRIVER_VERIFIER_DMA_VIOLATION, parameter 1 = 0x16,
    when "a driver closes a page to a device that is not open to it (DMA verification)",
    parameters "what: not mapped", "map register", "where mapped pages are known", "reserved",
    source "Bug Check 0xE6: DRIVER_VERIFIER_DMA_VIOLATION" documented;

    MAPPED_ALREADY: DRIVER_VERIFIER_DMA_VIOLATION, parameter 1 = 0x1d,
    when "a driver opens a page to a device that is open to it already (DMA verification)",
    parameters "what: already mapped", "buffer", "its end", "address already mapped",
    source "Bug Check 0xE6: DRIVER_VERIFIER_DMA_VIOLATION" documented;
}

/// Pages that are known to be mapped at once.
const MAPPED_MAX: u64 = 4;
/// First of the pages that are mapped.
pub const MAPPED: Field = Field::new(Structure::IommuTable, 0x800, "verified DMA page");
/// First of their buffers.
pub const BUFFER: Field = Field::new(Structure::IommuTable, 0x820, "verified DMA buffer");
/// Bit of [`MAPPED`]. An entry of the IOMMU's would have the lowest bit set.
pub const IN_USE: u64 = 2;

/// What follows a buffer.
pub const TAG: u64 = u64::from_le_bytes(*b"DmaVrfy0");
/// What follows the tag, up to the page's end.
pub const PADDING: u64 = 0x0f0f_0f0f_0f0f_0f0f;

const PAGE: u64 = 4096;
const PAGE_WORDS: u64 = PAGE / 8;

/// Violation codes of [`OUTSIDE`], and of [`TOO_HIGH`].
const TAG_BEHIND: u64 = 2;
const PADDING_BEHIND: u64 = 5;
const HIGHER: u64 = 2;

/// What was found: the arguments of the bug check.
type Found = Result<Option<[u64; 5]>, Trap>;

/// What is known of a page of a device.
const fn key(device: u64, bus: u64) -> u64 {
    bus & ADDRESS | (device & 7) << 4 | IN_USE
}

/// Where a page that is mapped is known.
const fn known_at(number: u64) -> u64 {
    element(address::IOMMU_TABLES, number)
}

/// The number under which this is known, 0 for what is free.
fn number_of(p: &mut Processor<'_>, key: u64) -> Result<Option<u64>, Trap> {
    for number in 0..MAPPED_MAX {
        if p.load(known_at(number), MAPPED)? == key {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// What is wrong with the level of a call.
fn of_level(p: &mut Processor<'_>) -> Found {
    let level = p.irql()?;
    let is_bad = level > DISPATCH_LEVEL;
    Ok(is_bad.then(|| TOO_HIGH.with([0x13, HIGHER, DISPATCH_LEVEL, level])))
}

/// Whether a buffer may be paged out during a transfer. `entry` is its page's.
fn is_pageable(p: &mut Processor<'_>, virt: u64, entry: u64) -> Result<bool, Trap> {
    let is_paged_pool = (PAGED_POOL..PAGED_POOL + PAGED_PAGES * PAGE).contains(&virt);
    if !is_paged_pool && !is_user_range(virt, 1) && !special::is_paged(p, virt)? {
        return Ok(false);
    }
    if entry & PRESENT == 0 {
        return Ok(true);
    }
    let frame = (entry & ADDRESS) >> 12;
    let at = address::FRAME_DATABASE.wrapping_add(frame.wrapping_mul(16));
    Ok(p.load(at, frame_entry::COUNT)? < LOCK)
}

/// What is wrong with opening a page to a device. Where nothing is, it is mapped from now on.
pub(super) fn of_map(p: &mut Processor<'_>) -> Found {
    let (device, virt) = (p.argument(0), p.argument(1));
    if let Some(found) = of_level(p)? {
        return Ok(Some(found));
    }
    let at = entry_address(p, virt)?;
    let entry = p.load_at(at, Structure::PageTable)?;
    if is_pageable(p, virt, entry)? {
        return Ok(Some(NOT_LOCKED.with([0xe, virt, 0, 0])));
    }
    let bus = entry & ADDRESS;
    if device >= HARDWARE_DEVICES || bus >> 12 >= TABLE_FRAMES || entry & PRESENT == 0 {
        return Ok(None);
    }
    let page = virt & !(PAGE - 1);
    if let Some(number) = number_of(p, key(device, bus))? {
        let mapped = p.load(known_at(number), BUFFER)? & !(PAGE - 1);
        let end = page.wrapping_add(PAGE);
        return Ok(Some(MAPPED_ALREADY.with([0x1d, page, end, mapped])));
    }
    if let Some(number) = number_of(p, 0)? {
        p.store(known_at(number), MAPPED, key(device, bus))?;
        p.store(known_at(number), BUFFER, page)?;
    }
    Ok(None)
}

/// What is wrong with the transfer before, in the same page. Puts a tag and padding behind the buffer of the next.
pub(super) fn of_start(p: &mut Processor<'_>) -> Found {
    let (device, bus, words) = (p.argument(0), p.argument(1), p.argument(2));
    if device >= HARDWARE_DEVICES {
        return Ok(None);
    }
    let Some(number) = number_of(p, key(device, bus))? else { return Ok(None) };
    let buffer = p.load(known_at(number), BUFFER)?;
    // Of a transfer that was before in the same page.
    if let Some(found) = of_rest(p, buffer)? {
        return Ok(Some(found));
    }
    let page = buffer & !(PAGE - 1);
    // A transfer of nothing has no buffer, and behind a page there is nothing to pad.
    let words = if words < PAGE_WORDS { words } else { 0 };
    p.store(known_at(number), BUFFER, page | words)?;
    if words == 0 {
        return Ok(None);
    }
    let end = page.wrapping_add(words * 8);
    p.store_at(end, Structure::DmaBuffer, TAG)?;
    p.fill(end.wrapping_add(8), Structure::DmaBuffer, PADDING, PAGE_WORDS - words - 1)?;
    Ok(None)
}

/// What was written behind the buffer of a transfer.
fn of_rest(p: &mut Processor<'_>, buffer: u64) -> Found {
    let (page, words) = (buffer & !(PAGE - 1), buffer & (PAGE - 1));
    if words == 0 {
        return Ok(None);
    }
    let bytes = words.wrapping_mul(8);
    for offset in (bytes..PAGE).step_by(8) {
        let at = page.wrapping_add(offset);
        let found = p.load_at(at, Structure::DmaBuffer)?;
        if offset == bytes && found != TAG {
            return Ok(Some(OUTSIDE.with([0xf, TAG_BEHIND, bytes, page])));
        }
        if offset != bytes && found != PADDING {
            return Ok(Some(OUTSIDE.with([0xf, PADDING_BEHIND, page, at])));
        }
    }
    Ok(None)
}

/// What is wrong with closing a page to a device. Where nothing is, it is no longer mapped.
pub(super) fn of_unmap(p: &mut Processor<'_>) -> Found {
    let (device, bus) = (p.argument(0), p.argument(1));
    if let Some(found) = of_level(p)? {
        return Ok(Some(found));
    }
    let frame = bus >> 12;
    let has_register = device < HARDWARE_DEVICES && frame < TABLE_FRAMES;
    let known = if has_register { number_of(p, key(device, bus))? } else { None };
    let Some(number) = known else {
        // There may have been no room for it.
        let is_full = has_register && number_of(p, 0)?.is_none();
        let register = if has_register { table_entry(device, frame) } else { 0 };
        let where_known = known_at(0).wrapping_add(MAPPED.offset);
        return Ok((!is_full).then(|| NOT_MAPPED.with([0x16, register, where_known, 0])));
    };
    let buffer = p.load(known_at(number), BUFFER)?;
    if let Some(found) = of_rest(p, buffer)? {
        return Ok(Some(found));
    }
    p.store(known_at(number), MAPPED, 0)?;
    p.store(known_at(number), BUFFER, 0)?;
    Ok(None)
}
