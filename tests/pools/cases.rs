//! What is done to the pool, and what each generation says of it.

use ringfence::kernel::layout::address;
use ringfence::kernel::pools::state::{HEADS, SPECIAL_POOL, SPECIAL_SLOTS, STATE, list_of};

use super::Op::{
    self, Allocate, AllocatePaged, Free, FreeAt, Level, Load, Store, StoreAddress, StoreAt,
};
use super::{OTHER_TAG, TAG};

/// A bug check at a thing done: which thing, code, parameters. `ANY` where the model may say what it
/// likes.
pub(crate) type Expected = Option<(u64, u64, fn(&Numbers) -> [u64; 4])>;
pub(crate) type Numbers = [u64; 8];
pub(crate) const ANY: u64 = 0x5eed_a11e_5eed_a11e;

/// The same things done in three generations.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) ops: &'static [Op],
    pub(crate) legacy: Expected,
    pub(crate) segment: Expected,
    pub(crate) special: Expected,
}

/// 100 bytes: with its header and rounded up a block of 128, of which 112 are its own.
const A: Op = Allocate(0, 100);
const B: Op = Allocate(1, 100);
const C: Op = Allocate(2, 100);

const HEADER: u64 = 0x19;
pub(crate) const CALLER: u64 = 0xc2;
pub(crate) const HEAP: u64 = 0x13a;
pub(crate) const FOUND: u64 = 0xc1;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "no damage",
        ops: &[A, B, C, Free(1, TAG), Allocate(3, 40), Free(0, TAG), Free(3, TAG), Free(2, TAG), A],
        legacy: None,
        segment: None,
        special: None,
    },
    Case {
        name: "an overrun that stays within the block's granule",
        ops: &[A, B, Store(0, 104, 8, u64::MAX), Free(0, TAG), Free(1, TAG)],
        legacy: None,
        segment: None,
        special: Some((3, FOUND, |n| [n[0], n[0] + 104, 0, 0x24])),
    },
    Case {
        name: "an overrun of one byte into a neighbour, the overrun block freed first",
        ops: &[A, B, Store(0, 112, 1, 0xcc), Free(0, TAG), Free(1, TAG)],
        legacy: Some((3, HEADER, |n| [0x20, n[0] - 16, n[1] - 16, 0])),
        segment: Some((3, HEAP, |n| [6, STATE, n[1] - 16, 0])),
        special: Some((2, 0xd6, |n| [n[0] + 112, 1, ANY, 0])),
    },
    Case {
        name: "the same, the neighbour freed first: its owner is blamed",
        ops: &[A, B, Store(0, 112, 1, 0x01), Free(1, TAG), Free(0, TAG)],
        legacy: Some((3, HEADER, |n| [5, n[1] - 32, 0, n[1] - 16])),
        segment: Some((3, HEAP, |n| [3, STATE, n[1] - 16, 0])),
        special: Some((2, 0xd6, |n| [n[0] + 112, 1, ANY, 0])),
    },
    Case {
        name: "an overrun of four bytes into a neighbour's type",
        ops: &[A, B, Store(0, 112, 4, 0xcccc_cccc), Free(1, TAG)],
        legacy: Some((3, CALLER, |n| [1, n[1] - 16, TAG << 32 | 0xcccc_cccc, 0])),
        segment: Some((3, HEAP, |n| [3, STATE, n[1] - 16, 0])),
        special: Some((2, 0xd6, |n| [n[0] + 112, 1, ANY, 0])),
    },
    Case {
        name: "an overrun of eight bytes with what looks like a free block's header",
        ops: &[A, B, Store(0, 112, 8, 0x0008_0008), Free(1, TAG)],
        legacy: Some((3, CALLER, |n| [7, 0, 0x0008_0008, n[1]])),
        segment: Some((3, HEAP, |n| [3, STATE, n[1] - 16, 0])),
        special: Some((2, 0xd6, |n| [n[0] + 112, 1, ANY, 0])),
    },
    Case {
        name: "an overrun into a free neighbour's header, found when that is taken",
        ops: &[A, B, C, Free(1, TAG), Store(0, 112, 4, 0xcccc_cccc), Allocate(3, 100)],
        legacy: Some((5, HEADER, |_| [0xd, 0, 0, 0])),
        segment: Some((5, HEAP, |n| [3, STATE, n[1] - 16, 0])),
        special: Some((4, 0xd6, |n| [n[0] + 112, 1, ANY, 0])),
    },
    Case {
        name: "an overrun past a free neighbour's header into its links",
        ops: &[A, B, C, Free(1, TAG), StoreAddress(0, 128, 2), Allocate(3, 100)],
        legacy: Some((5, HEADER, |n| [3, n[1], ANY, 0])),
        segment: Some((5, HEAP, |n| [0xb, STATE, n[1], 0])),
        special: Some((4, 0xd6, |n| [n[0] + 128, 1, ANY, 0])),
    },
    Case {
        name: "a write to a freed block's first word",
        ops: &[A, B, Free(0, TAG), StoreAddress(0, 0, 1), Allocate(2, 100)],
        legacy: Some((4, HEADER, |n| [3, n[0], ANY, 0])),
        segment: Some((4, HEAP, |n| [0xb, STATE, n[0], 0])),
        special: Some((3, 0xd5, |n| [n[0], 1, ANY, 0])),
    },
    Case {
        name: "a write to the middle of a freed block",
        ops: &[A, B, Free(0, TAG), Store(0, 48, 8, u64::MAX), Allocate(2, 100), Free(2, TAG)],
        legacy: None,
        segment: None,
        special: Some((3, 0xd5, |n| [n[0] + 48, 1, ANY, 0])),
    },
    Case {
        name: "a read of a freed block",
        ops: &[A, B, Free(0, TAG), Load(0, 8)],
        legacy: None,
        segment: None,
        special: Some((3, 0xd5, |n| [n[0] + 8, 0, ANY, 0])),
    },
    Case {
        name: "an underrun of eight bytes",
        ops: &[A, B, Store(0, -8, 8, u64::MAX), Free(0, TAG)],
        legacy: None,
        segment: Some((3, HEAP, |n| [7, STATE, n[0] - 16, 0])),
        special: Some((3, FOUND, |n| [n[0], n[0] - 8, 0, 0x23])),
    },
    Case {
        name: "an underrun of twelve bytes: the tag",
        ops: &[A, B, Store(0, -12, 4, OTHER_TAG), Free(0, TAG)],
        legacy: Some((3, CALLER, |n| [0xa, n[0], OTHER_TAG, TAG])),
        segment: Some((3, HEAP, |n| [3, STATE, n[0] - 16, 0])),
        special: Some((3, FOUND, |n| [n[0], n[0] - 16, 0, 0x23])),
    },
    Case {
        name: "an underrun of one bit",
        ops: &[A, B, Store(0, -1, 1, 0xa4), Free(0, TAG)],
        legacy: None,
        segment: Some((3, HEAP, |n| [7, STATE, n[0] - 16, 0])),
        special: Some((3, FOUND, |n| [n[0], n[0] - 8, 0, 0x32])),
    },
    Case {
        name: "two headers of a page",
        ops: &[A, B, C, Store(0, 112, 8, 7), Store(1, 112, 8, 7), Free(2, TAG)],
        legacy: Some((5, CALLER, |n| [7, 0, 7, n[2]])),
        segment: Some((5, HEAP, |n| [4, STATE, n[2] - 16, 0])),
        special: Some((3, 0xd6, |n| [n[0] + 112, 1, ANY, 0])),
    },
    Case {
        name: "a double free",
        ops: &[A, B, Free(0, TAG), Free(0, TAG)],
        legacy: Some((3, CALLER, |n| [7, 0, ANY, n[0]])),
        segment: Some((3, HEAP, |n| [8, STATE, n[0], 0])),
        special: Some((3, FOUND, |n| [n[0], 0, 0, 0x20])),
    },
    Case {
        name: "a double free after the block was handed out again",
        ops: &[A, B, Free(0, TAG), Allocate(2, 100), Free(0, TAG), Store(2, 48, 8, 1)],
        legacy: None,
        segment: None,
        special: Some((4, FOUND, |n| [n[0], 0, 0, 0x20])),
    },
    Case {
        name: "the wrong tag",
        ops: &[A, Free(0, OTHER_TAG)],
        legacy: Some((1, CALLER, |n| [0xa, n[0], TAG, OTHER_TAG])),
        segment: Some((1, CALLER, |n| [0xa, n[0], TAG, OTHER_TAG])),
        special: Some((1, CALLER, |n| [0xa, n[0], TAG, OTHER_TAG])),
    },
    Case {
        name: "a user address",
        ops: &[FreeAt(address::USER_DATA)],
        legacy: Some((0, CALLER, |_| [0x40, address::USER_DATA, 0xffff_8000_0000_0000, 0])),
        segment: Some((0, CALLER, |_| [0x40, address::USER_DATA, 0xffff_8000_0000_0000, 0])),
        special: Some((0, CALLER, |_| [0x40, address::USER_DATA, 0xffff_8000_0000_0000, 0])),
    },
    Case {
        name: "an address that was never in any pool",
        ops: &[FreeAt(address::KERNEL_DATA + 16)],
        legacy: Some((0, CALLER, |_| [0x42, address::KERNEL_DATA + 16, 0, 0])),
        segment: Some((0, CALLER, |_| [0x42, address::KERNEL_DATA + 16, 0, 0])),
        special: Some((0, CALLER, |_| [0x42, address::KERNEL_DATA + 16, 0, 0])),
    },
    Case {
        name: "an address in special pool at which no block begins",
        ops: &[A, FreeAt(SPECIAL_POOL + 16)],
        legacy: Some((1, CALLER, |_| [0x42, SPECIAL_POOL + 16, 0, 0])),
        segment: Some((1, CALLER, |_| [0x42, SPECIAL_POOL + 16, 0, 0])),
        special: Some((1, FOUND, |_| [SPECIAL_POOL + 16, 100, 112, 0x21])),
    },
    Case {
        name: "no bytes",
        ops: &[Allocate(0, 0)],
        legacy: Some((0, CALLER, |_| [0, 0, 0, TAG])),
        segment: Some((0, CALLER, |_| [0, 0, 0, TAG])),
        special: Some((0, CALLER, |_| [0, 0, 0, TAG])),
    },
    Case {
        name: "an overrun of a large allocation into its last page's tail",
        ops: &[Allocate(0, 5000), Allocate(1, 3000), Store(0, 5008, 8, 0xcc), Free(0, TAG)],
        legacy: Some((3, HEADER, |n| [0x21, n[0], 5000, 0xcc])),
        segment: None,
        special: Some((3, HEADER, |n| [0x21, n[0], 5000, 0xcc])),
    },
    Case {
        name: "a large allocation goes and what shares its last page stays",
        ops: &[
            Allocate(0, 5000),
            Allocate(1, 3000),
            Free(0, TAG),
            Allocate(2, 800),
            Free(1, TAG),
            Free(2, TAG),
            Allocate(0, 9000),
            Free(0, TAG),
        ],
        legacy: None,
        segment: None,
        special: None,
    },
    Case {
        name: "a large allocation freed twice",
        ops: &[Allocate(0, 5000), Free(0, TAG), Free(0, TAG)],
        legacy: Some((2, HEADER, |n| [0x22, n[0], 0, 0])),
        segment: Some((2, HEAP, |n| [5, STATE, n[0], 0])),
        special: Some((2, HEADER, |n| [0x22, n[0], 0, 0])),
    },
    Case {
        name: "an overrun of one byte that says the block before began in another page",
        ops: &[A, B, Store(0, 112, 1, 0xff), Free(1, TAG)],
        legacy: Some((3, HEADER, |n| [6, n[1] - 16, 0, n[1] - 16])),
        segment: Some((3, HEAP, |n| [3, STATE, n[1] - 16, 0])),
        special: Some((2, 0xd6, |n| [n[0] + 112, 1, ANY, 0])),
    },
    Case {
        name: "a header whose size is nothing",
        ops: &[A, B, Store(1, -14, 1, 0), Free(1, TAG)],
        legacy: Some((3, HEADER, |n| [8, 0, 0, n[1] - 16])),
        segment: Some((3, HEAP, |n| [3, STATE, n[1] - 16, 0])),
        special: Some((3, FOUND, |n| [n[1], n[1] - 16, 0, 0x23])),
    },
    Case {
        name: "a header whose size leads out of the page",
        ops: &[A, B, Store(1, -14, 1, 0xff), Free(1, TAG)],
        legacy: Some((3, HEADER, |n| [9, n[1] - 16, 0, n[1] - 16])),
        segment: Some((3, HEAP, |n| [3, STATE, n[1] - 16, 0])),
        special: Some((3, FOUND, |n| [n[1], n[1] - 16, 0, 0x23])),
    },
    Case {
        name: "a list's head that leads nowhere",
        ops: &[
            A,
            B,
            Free(0, TAG),
            StoreAt(STATE + HEADS.offset + list_of(128) * 16, 0x4141_4141_4141_4141),
            Allocate(2, 100),
        ],
        // No canonical address.
        legacy: Some((4, 0x50, |_| [0x4141_4141_4141_4130, ANY, ANY, 4])),
        segment: Some((4, HEAP, |_| [0xd, STATE, ANY, 0])),
        special: None,
    },
    Case {
        name: "nonpaged pool given back above dispatch level",
        ops: &[A, Level(3), Free(0, TAG)],
        legacy: Some((2, CALLER, |n| [9, 3, 0, n[0]])),
        segment: Some((2, CALLER, |n| [9, 3, 0, n[0]])),
        special: Some((2, FOUND, |n| [3, 0, n[0], 0x31])),
    },
    Case {
        name: "nonpaged pool asked for above dispatch level",
        ops: &[Level(3), A],
        legacy: Some((1, CALLER, |_| [8, 3, 0, 100])),
        segment: Some((1, CALLER, |_| [8, 3, 0, 100])),
        special: Some((1, FOUND, |_| [3, 0, 100, 0x30])),
    },
    Case {
        name: "paged pool asked for at dispatch level",
        ops: &[AllocatePaged(0, 32), Free(0, TAG), Level(2), AllocatePaged(0, 32)],
        legacy: Some((3, CALLER, |_| [8, 2, 1, 32])),
        segment: Some((3, CALLER, |_| [8, 2, 1, 32])),
        special: Some((3, FOUND, |_| [2, 1, 32, 0x30])),
    },
    Case {
        name: "paged pool given back at dispatch level",
        ops: &[AllocatePaged(0, 32), Level(2), Free(0, TAG)],
        legacy: Some((2, CALLER, |n| [9, 2, 1, n[0]])),
        segment: Some((2, CALLER, |n| [9, 2, 1, n[0]])),
        special: Some((2, FOUND, |n| [2, 1, n[0], 0x31])),
    },
    Case {
        name: "an overrun of a block of paged pool",
        ops: &[AllocatePaged(0, 100), AllocatePaged(1, 100), Store(0, 112, 1, 0xcc), Free(0, TAG)],
        legacy: Some((3, HEADER, |n| [0x20, n[0] - 16, n[1] - 16, 0])),
        segment: Some((3, HEAP, |n| [6, STATE, n[1] - 16, 0])),
        special: Some((2, 0xd6, |n| [n[0] + 112, 1, ANY, 0])),
    },
    Case {
        name: "a block of paged pool used after it was freed",
        ops: &[AllocatePaged(0, 100), Free(0, TAG), Load(0, 8)],
        legacy: None,
        segment: None,
        special: Some((2, 0xd5, |n| [n[0] + 8, 0, ANY, 0])),
    },
    Case {
        name: "an overrun where special pool is exhausted and nobody was told",
        ops: &{
            #[allow(clippy::cast_possible_truncation, reason = "a few")]
            const SLOTS: usize = SPECIAL_SLOTS as usize;
            let mut ops = [Allocate(7, 16); SLOTS + 5];
            ops[SLOTS] = A;
            ops[SLOTS + 1] = B;
            ops[SLOTS + 2] = Store(0, 112, 1, 0xcc);
            ops[SLOTS + 3] = Load(0, 0);
            ops[SLOTS + 4] = Free(0, TAG);
            ops
        },
        legacy: Some((68, HEADER, |n| [0x20, n[0] - 16, n[1] - 16, 0])),
        segment: Some((68, HEAP, |n| [6, STATE, n[1] - 16, 0])),
        special: Some((68, HEADER, |n| [0x20, n[0] - 16, n[1] - 16, 0])),
    },
];
