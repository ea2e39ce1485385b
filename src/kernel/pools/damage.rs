//! What the pool can find wrong, and what each generation says then.

use crate::kernel::bug_check::{BugCheck, bug_checks};

use super::header::Undecodable;
use super::state::STATE;

bug_checks! {
    LIST: BAD_POOL_HEADER, parameter 1 = 3,
    when "in the legacy pool a block is taken off a free list whose links do not lead back to it",
    parameters "what: free list", "entry", "its forward neighbour leads to", "its back neighbour leads to",
    source "Bug Check 0x19: BAD_POOL_HEADER (not which look finds it)" inferred;

    BEFORE_DISAGREES: BAD_POOL_HEADER, parameter 1 = 5,
    when "in the legacy pool a block is freed whose header tells another size of the block before than that one's own",
    parameters "what: neighbours disagree", "block", "reserved", "other block",
    source "Bug Check 0x19: BAD_POOL_HEADER (not which look finds it)" inferred;

    BEFORE_TOO_LARGE: BAD_POOL_HEADER, parameter 1 = 6,
    when "in the legacy pool a block is freed whose header says that the block before began in another page",
    parameters "what: size of the block before", "block", "reserved", "bad block",
    source "Bug Check 0x19: BAD_POOL_HEADER (not which look finds it)" inferred;

    SIZE_ZERO: BAD_POOL_HEADER, parameter 1 = 8,
    when "in the legacy pool a block is freed whose header tells a size of zero",
    parameters "what: size zero", "reserved", "reserved", "bad block",
    source "Bug Check 0x19: BAD_POOL_HEADER (not which look finds it)" inferred;

    SIZE_TOO_LARGE: BAD_POOL_HEADER, parameter 1 = 9,
    when "in the legacy pool a block is freed whose header's size leads out of the page",
    parameters "what: size too large", "block", "reserved", "bad block",
    source "Bug Check 0x19: BAD_POOL_HEADER (not which look finds it)" inferred;

    FREE_HEADER: BAD_POOL_HEADER, parameter 1 = 0xd,
    when "in the legacy pool a block on a free list has the header of none",
    parameters "what: header of a free block", "reserved", "reserved", "reserved",
    source "Bug Check 0x19: BAD_POOL_HEADER (not which look finds it)" inferred;

    NEXT_DISAGREES: BAD_POOL_HEADER, parameter 1 = 0x20,
    when "in the legacy pool a block is freed and the next one's header tells another size of it",
    parameters "what: size and next block", "block", "next block", "reserved",
    source "Bug Check 0x19: BAD_POOL_HEADER (not which look finds it)" inferred;

    TAIL: BAD_POOL_HEADER, parameter 1 = 0x21,
    when "in the legacy pool a large allocation is freed and what begins behind it is no block",
    parameters "what: data behind the block", "freed", "bytes", "found behind it",
    source "Bug Check 0x19: BAD_POOL_HEADER (not which look finds it)" inferred;

    UNTRACKED: BAD_POOL_HEADER, parameter 1 = 0x22,
    when "in the legacy pool a page is freed that no large allocation begins at",
    parameters "what: free of an untracked page", "freed", "reserved", "reserved",
    source "Bug Check 0x19: BAD_POOL_HEADER (not which look finds it)" inferred;

    NO_BYTES: BAD_POOL_CALLER, parameter 1 = 0,
    when "no bytes are asked for, in the legacy pool or the segment heap",
    parameters "what: zero bytes", "reserved", "pool", "tag",
    source "Bug Check 0xC2: BAD_POOL_CALLER" documented;

    HEADER: BAD_POOL_CALLER, parameter 1 = 1,
    when "in the legacy pool a block is freed whose header has the type of none",
    parameters "what: header corrupt", "block", "header", "reserved",
    source "Bug Check 0xC2: BAD_POOL_CALLER" documented;

    DOUBLE_FREE: BAD_POOL_CALLER, parameter 1 = 7,
    when "in the legacy pool a free block is freed",
    parameters "what: double free", "reserved", "header", "block",
    source "Bug Check 0xC2: BAD_POOL_CALLER" documented;

    LEVEL_AT_ALLOCATION: BAD_POOL_CALLER, parameter 1 = 8,
    when "memory is asked for at a level at which that pool must not be touched",
    parameters "what: bad level at allocation", "level", "pool", "bytes",
    source "Bug Check 0xC2: BAD_POOL_CALLER" documented;

    LEVEL_AT_FREE: BAD_POOL_CALLER, parameter 1 = 9,
    when "memory is freed at a level at which that pool must not be touched",
    parameters "what: bad level at free", "level", "pool", "block",
    source "Bug Check 0xC2: BAD_POOL_CALLER" documented;

    TAG: BAD_POOL_CALLER, parameter 1 = 0xa,
    when "a block is freed with another tag than it was allocated with, in any generation of the pool",
    parameters "what: wrong tag", "block", "its tag", "tag given",
    source "Bug Check 0xC2: BAD_POOL_CALLER" documented;

    USER_ADDRESS: BAD_POOL_CALLER, parameter 1 = 0x40,
    when "a user address is freed",
    parameters "what: free of a user address", "freed", "system space from", "reserved",
    source "Bug Check 0xC2: BAD_POOL_CALLER" documented;

    NO_POOL: BAD_POOL_CALLER, parameter 1 = 0x42,
    when "an address is freed that is in no pool",
    parameters "what: free of no pool memory", "freed", "reserved", "reserved",
    source "Bug Check 0xC2: BAD_POOL_CALLER" documented;

    VERIFIED_NO_BYTES: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0,
    when "no bytes are asked for (automatic checks; every pool but the default one)",
    parameters "what: zero bytes", "level", "pool", "bytes",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    VERIFIED_PAGED: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 1,
    when "paged memory is asked for above APC level (automatic checks; every pool but the default one)",
    parameters "what: bad level", "level", "pool", "bytes",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    VERIFIED_NONPAGED: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 2,
    when "nonpaged memory is asked for above dispatch level (automatic checks; every pool but the default one)",
    parameters "what: bad level", "level", "pool", "bytes",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    VERIFIED_NOT_ALLOCATED: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x10,
    when "an address is freed that is in no pool (automatic checks; every pool but the default one)",
    parameters "what: bad address", "freed", "reserved", "reserved",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    VERIFIED_PAGED_FREE: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x11,
    when "paged memory is freed above APC level (automatic checks; every pool but the default one)",
    parameters "what: bad level", "level", "pool", "block",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    VERIFIED_NONPAGED_FREE: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x12,
    when "nonpaged memory is freed above dispatch level (automatic checks; the legacy pool and the segment heap)",
    parameters "what: bad level", "level", "pool", "block",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;

    HEAP_HEADER: KERNEL_MODE_HEAP_CORRUPTION, parameter 1 = 3,
    when "in the segment heap a header does not decode",
    parameters "what: header", "heap", "header", "reserved",
    source "Bug Check 0x13A: KERNEL_MODE_HEAP_CORRUPTION (not which look finds it)" inferred;

    HEAP_HEADERS: KERNEL_MODE_HEAP_CORRUPTION, parameter 1 = 4,
    when "in the segment heap more than one header of a page does not decode",
    parameters "what: several headers", "heap", "header", "reserved",
    source "Bug Check 0x13A: KERNEL_MODE_HEAP_CORRUPTION (not which look finds it)" inferred;

    HEAP_LARGE: KERNEL_MODE_HEAP_CORRUPTION, parameter 1 = 5,
    when "in the segment heap a page is freed that no large allocation begins at",
    parameters "what: large allocation", "heap", "freed", "reserved",
    source "Bug Check 0x13A: KERNEL_MODE_HEAP_CORRUPTION (not which look finds it)" inferred;

    HEAP_OVERRUN: KERNEL_MODE_HEAP_CORRUPTION, parameter 1 = 6,
    when "in the segment heap a block is freed and the next one's header does not decode",
    parameters "what: overrun", "heap", "next block", "reserved",
    source "Bug Check 0x13A: KERNEL_MODE_HEAP_CORRUPTION (not which look finds it)" inferred;

    HEAP_UNDERRUN: KERNEL_MODE_HEAP_CORRUPTION, parameter 1 = 7,
    when "in the segment heap only the word right in front of a block does not decode",
    parameters "what: underrun", "heap", "header", "reserved",
    source "Bug Check 0x13A: KERNEL_MODE_HEAP_CORRUPTION (not which look finds it)" inferred;

    HEAP_BUSY: KERNEL_MODE_HEAP_CORRUPTION, parameter 1 = 8,
    when "in the segment heap a free block is freed",
    parameters "what: block not in use", "heap", "block", "reserved",
    source "Bug Check 0x13A: KERNEL_MODE_HEAP_CORRUPTION (not which look finds it)" inferred;

    HEAP_USED_AFTER_FREE: KERNEL_MODE_HEAP_CORRUPTION, parameter 1 = 0xb,
    when "in the segment heap the links of a free block are wrong behind a good header",
    parameters "what: use after free", "heap", "entry", "reserved",
    source "Bug Check 0x13A: KERNEL_MODE_HEAP_CORRUPTION (not which look finds it)" inferred;

    HEAP_LIST: KERNEL_MODE_HEAP_CORRUPTION, parameter 1 = 0xd,
    when "in the segment heap a list's head leads to no block",
    parameters "what: free list", "heap", "entry", "reserved",
    source "Bug Check 0x13A: KERNEL_MODE_HEAP_CORRUPTION (not which look finds it)" inferred;
}

/// What was found wrong. Addresses of blocks are those handed out, those of headers 16 bytes lower.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// A page is freed that no large allocation begins at.
    Untracked(u64),
    /// A free block is freed: block, header's first word.
    AlreadyFree(u64, u64),
    /// A header says what none can say: header, its first word.
    Header(u64, u64),
    /// An encoded header does not decode: header, which words; whether another of the page does not.
    Undecodable(u64, Undecodable, bool),
    /// The size of the block before leads out of the page: header.
    BeforeTooLarge(u64),
    /// The block before tells another size of itself: header, the one before.
    BeforeDisagrees(u64, u64),
    /// A block's size is zero: header.
    NoSize(u64),
    /// A block's size leads out of the page: header.
    TooLarge(u64),
    /// The next header tells another size, or does not decode: header, the next one.
    NextDisagrees(u64, u64),
    /// The header of a block on a free list was changed: header.
    FreeHeader(u64),
    /// A free list does not lead back: entry, what its neighbours tell; whether its header is good.
    FreeList(u64, u64, u64, bool),
    /// What lies behind a large allocation was changed: block, its bytes, what is there.
    Tail(u64, u64, u64),
    /// The pool is asked for what it must not do.
    Request(Request),
}

/// What a caller does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// No bytes are asked for: type of pool, tag.
    NoBytes(u64, u64),
    /// Asked for at a level at which this pool must not be touched: level, type of pool, bytes.
    LevelAtAllocation(u64, u64, u64),
    /// The same when a block is freed: level, type of pool, block.
    LevelAtFree(u64, u64, u64),
    /// A user address is freed.
    UserAddress(u64),
    /// An address that is in no pool is freed.
    NotPool(u64),
    /// Another tag than the block's is given: block, its tag, the one given.
    WrongTag(u64, u64, u64),
}

/// A row with its parameters: those it is told by are filled in.
fn stop(row: &'static BugCheck, rest: [u64; 3]) -> [u64; 5] {
    let kind = row.subtype.map_or(0, |(_, kind)| kind);
    row.with([kind, rest[0], rest[1], rest[2]])
}

/// What the legacy pool says: code and parameters.
#[must_use]
pub fn legacy(damage: Damage) -> [u64; 5] {
    match damage {
        Damage::Untracked(block) => stop(&UNTRACKED, [block, 0, 0]),
        Damage::BeforeTooLarge(header) => stop(&BEFORE_TOO_LARGE, [header, 0, header]),
        Damage::BeforeDisagrees(header, before) => stop(&BEFORE_DISAGREES, [before, 0, header]),
        Damage::NoSize(header) => stop(&SIZE_ZERO, [0, 0, header]),
        Damage::TooLarge(header) => stop(&SIZE_TOO_LARGE, [header, 0, header]),
        Damage::NextDisagrees(header, next) => stop(&NEXT_DISAGREES, [header, next, 0]),
        // A plain header decodes whatever it says.
        Damage::FreeHeader(_) | Damage::Undecodable(..) => stop(&FREE_HEADER, [0, 0, 0]),
        Damage::FreeList(entry, forward, back, _) => stop(&LIST, [entry, forward, back]),
        Damage::Tail(block, bytes, value) => stop(&TAIL, [block, bytes, value]),
        Damage::AlreadyFree(block, contents) => stop(&DOUBLE_FREE, [0, contents, block]),
        Damage::Header(header, contents) => stop(&HEADER, [header, contents, 0]),
        Damage::Request(request) => bad_request(request),
    }
}

/// What the segment heap says: code and parameters. What a caller does wrong is said as before.
#[must_use]
pub fn segment(damage: Damage) -> [u64; 5] {
    let heap = |row, at| stop(row, [STATE, at, 0]);
    match damage {
        Damage::AlreadyFree(block, _) => heap(&HEAP_BUSY, block),
        Damage::Untracked(block) => heap(&HEAP_LARGE, block),
        Damage::Undecodable(header, _, true) => heap(&HEAP_HEADERS, header),
        Damage::Undecodable(header, Undecodable { first: false, .. }, false) => {
            heap(&HEAP_UNDERRUN, header)
        }
        Damage::Undecodable(header, _, false)
        | Damage::Header(header, _)
        | Damage::NoSize(header)
        | Damage::TooLarge(header)
        | Damage::BeforeTooLarge(header)
        | Damage::BeforeDisagrees(header, _)
        | Damage::FreeHeader(header) => heap(&HEAP_HEADER, header),
        Damage::NextDisagrees(_, next) => heap(&HEAP_OVERRUN, next),
        Damage::Tail(block, ..) => heap(&HEAP_OVERRUN, block),
        Damage::FreeList(entry, _, _, true) => heap(&HEAP_USED_AFTER_FREE, entry),
        Damage::FreeList(entry, _, _, false) => heap(&HEAP_LIST, entry),
        Damage::Request(request) => bad_request(request),
    }
}

/// What Driver Verifier says of a bad request at this level before the pool does, whichever the generation;
/// nothing of what it leaves to the pool.
#[must_use]
pub fn verified(request: Request, level: u64) -> Option<[u64; 5]> {
    Some(match request {
        Request::NoBytes(kind, _) => VERIFIED_NO_BYTES.with([0, level, kind, 0]),
        Request::LevelAtAllocation(level, 1, bytes) => VERIFIED_PAGED.with([1, level, 1, bytes]),
        Request::LevelAtAllocation(level, kind, bytes) => {
            VERIFIED_NONPAGED.with([2, level, kind, bytes])
        }
        Request::UserAddress(block) | Request::NotPool(block) => {
            VERIFIED_NOT_ALLOCATED.with([0x10, block, 0, 0])
        }
        Request::LevelAtFree(level, 1, block) => VERIFIED_PAGED_FREE.with([0x11, level, 1, block]),
        Request::LevelAtFree(level, kind, block) => {
            VERIFIED_NONPAGED_FREE.with([0x12, level, kind, block])
        }
        Request::WrongTag(..) => return None,
    })
}

/// What is said of a bad request, whichever the generation.
fn bad_request(request: Request) -> [u64; 5] {
    match request {
        Request::NoBytes(kind, tag) => stop(&NO_BYTES, [0, kind, tag]),
        Request::LevelAtAllocation(level, kind, bytes) => {
            stop(&LEVEL_AT_ALLOCATION, [level, kind, bytes])
        }
        Request::LevelAtFree(level, kind, block) => stop(&LEVEL_AT_FREE, [level, kind, block]),
        Request::UserAddress(block) => stop(&USER_ADDRESS, [block, SYSTEM_SPACE, 0]),
        Request::NotPool(block) => stop(&NO_POOL, [block, 0, 0]),
        Request::WrongTag(block, tag, given) => stop(&TAG, [block, tag, given]),
    }
}

/// The first address of the system half.
const SYSTEM_SPACE: u64 = 0xffff_8000_0000_0000;
