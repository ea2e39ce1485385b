//! Flips of small images with pages of 2 MiB and 1 GiB, each classified by hand beforehand.
//!
//! The reasons are sentences of the manuals: Intel SDM volume 3A, "4-Level Paging and 5-Level Paging"
//! (which bits of an entry mean what, and which are reserved) and "Determination of Access Rights" (a
//! user-mode address has U/S = 1 in every entry; writable and executable likewise).

use ringfence::audit::flip::{Class, Flip, KernelGain, TableIs, Verdict, judge};
use ringfence::audit::image::{Image, Levels};
use ringfence::audit::space::Space;
use ringfence::base::PhysAddr;
use ringfence::machine::paging::x86_64::{ControlFlags, Controls, Vendor};

use crate::images::{P, PS, U, W, XD, image};

/// A user half with pages of all sizes, and a kernel half that maps all low memory by one page.
///
/// Tables in frames 0x100 to 0x104. User mode:
/// 1 GiB at 2 GiB (a piece of it once more as 2 MiB), 1 GiB at 8 GiB, and pages of 2 MiB from 4 GiB on;
/// between them one page of 2 MiB for the kernel alone. Kernel: 1 GiB at 0, where the tables lie, and
/// 1 GiB at 3 GiB, read-only and executable.
fn four_levels() -> Image {
    image(
        Levels::Four,
        0x100,
        &[
            (0x100, &[(0, 0x10_1000 | P | W | U), (256, 0x10_2000 | P | W)]),
            (
                0x101,
                &[
                    (1, 0x10_3000 | P | W | U),
                    (2, 0x8000_0000 | P | W | U | PS | XD),
                    (3, 0x2_0000_0000 | P | W | U | PS | XD),
                ],
            ),
            (0x102, &[(0, P | W | PS | XD), (1, 0xc000_0000 | P | PS)]),
            (
                0x103,
                &[
                    (0, 0x1_0000_0000 | P | W | U | PS | XD),
                    (1, 0x1_0020_0000 | P | W | PS | XD),
                    (2, 0x8000_0000 | P | W | U | PS | XD),
                    (3, 0x1_0040_0000 | P | U | PS | XD),
                    (4, 0x10_4000 | P | W | U),
                ],
            ),
            (0x104, &[(0, 0x1_0080_0000 | P | W | U | XD)]),
        ],
    )
}

/// User mode: 1 GiB at 1 GiB. Kernel: 1 GiB at 0, where the tables lie.
fn five_levels() -> Image {
    image(
        Levels::Five,
        0x200,
        &[
            (0x200, &[(0, 0x20_1000 | P | W | U), (256, 0x20_4000 | P | W)]),
            (0x201, &[(5, 0x20_2000 | P | W | U)]),
            (0x202, &[(0, 0x4000_0000 | P | W | U | PS | XD)]),
            (0x204, &[(0, 0x20_5000 | P | W)]),
            (0x205, &[(0, P | W | PS | XD)]),
        ],
    )
}

fn controls() -> Controls {
    let flags = ControlFlags::WP | ControlFlags::SMEP | ControlFlags::SMAP | ControlFlags::NXE;
    Controls { flags, maxphyaddr: 38, ..Controls::default() }
}

fn judged(image: Image, controls: Controls, [frame, slot, bit]: [u64; 3]) -> Verdict {
    let space = Space::incomplete(image, controls).expect("the root is there");
    let at = PhysAddr::truncated(frame << 12 | slot << 3);
    let flip = Flip { at, bit: u8::try_from(bit).expect("a bit") };
    judge(&space, flip).expect("it is in the image")
}

/// Where it gives something: class, linear address, frame.
fn given(verdict: &Verdict) -> (Class, Option<(u64, u64)>) {
    (verdict.class, verdict.gain.map(|gain| (gain.virt.0, gain.frame.0)))
}

#[test]
fn a_page_of_1_gib_is_judged_by_what_lies_below_its_new_address() {
    const PAGE: u64 = 2 << 30;
    for (bit, class, place, reason) in [
        // 2 GiB − 2 GiB = 0: the first table of the image lies at 1 MiB.
        (31, Class::TableWrite, Some((PAGE + 0x10_0000, 0x100)), "the tables lie below 1 GiB"),
        // 2 GiB + 1 GiB: the kernel maps it read-only, but the process now maps it writable.
        (30, Class::KernelWrite, Some((PAGE, 0xc_0000)), "rights are those of the way taken"),
        // 2 GiB + 8 GiB.
        (33, Class::Outside, Some((PAGE, 0x28_0000)), "nothing is mapped there"),
        (37, Class::Outside, Some((PAGE, 0x208_0000)), "the highest bit below MAXPHYADDR"),
        (38, Class::Fault, None, "reserved from MAXPHYADDR up"),
        (51, Class::Fault, None, "likewise"),
        (12, Class::Nothing, None, "PAT in a page of 1 GiB"),
        (13, Class::Fault, None, "bits 29:13 are reserved"),
        (29, Class::Fault, None, "likewise"),
        (0, Class::Fault, None, "not present"),
        (1, Class::Fault, None, "no writes any more"),
        (2, Class::Fault, None, "not for user mode any more"),
        (63, Class::WiderRight, Some((PAGE, 0x8_0000)), "it can be executed"),
        (59, Class::Nothing, None, "a protection key, and CR4.PKE is 0"),
        (8, Class::Nothing, None, "global"),
        (52, Class::Nothing, None, "ignored"),
    ] {
        let verdict = judged(four_levels(), controls(), [0x101, 2, bit]);

        assert_eq!(given(&verdict), (class, place), "bit {bit}: {reason}");
    }
}

#[test]
fn a_page_of_1_gib_that_becomes_a_directory_is_one_of_the_process_that_wrote_it() {
    // Without PS the entry names a page directory at 2 GiB. The 2 MiB page at slot 2 of the directory
    // in frame 0x103 still maps that frame, writable: the process writes its own entries.
    let made = judged(four_levels(), controls(), [0x101, 2, 7]);
    // At 8 GiB no other page leads to the frame: what the process left in it decides.
    let filled = judged(four_levels(), controls(), [0x101, 3, 7]);

    let alias = (1 << 30) | (2 << 21);
    assert_eq!(given(&made), (Class::TableWrite, Some((alias, 0x8_0000))));
    assert_eq!(made.table, Some(TableIs::Made));
    assert_eq!(given(&filled), (Class::TableWrite, Some((3 << 30, 0x20_0000))));
    assert_eq!(filled.table, Some(TableIs::Filled));
}

#[test]
fn a_page_of_2_mib_is_judged_by_what_lies_below_its_new_address() {
    const FIRST: u64 = 1 << 30;
    let slot = |slot: u64| FIRST + (slot << 21);
    for (place, bit, class, gain, reason) in [
        // 4 GiB + 2 MiB: the page of the kernel alone.
        (0, 21, Class::KernelWrite, Some((slot(0), 0x10_0200)), "the kernel's page"),
        (0, 20, Class::Fault, None, "bits 20:13 are reserved in a page of 2 MiB"),
        (0, 13, Class::Fault, None, "likewise"),
        (0, 12, Class::Nothing, None, "PAT"),
        // 4 GiB − 4 GiB = 0: the first 2 MiB, and all tables in them.
        (0, 32, Class::TableWrite, Some((slot(0) + 0x10_0000, 0x100)), "the tables"),
        // A page of the kernel alone, below tables for everybody: its own U/S is all that keeps it.
        (1, 2, Class::KernelWrite, Some((slot(1), 0x10_0200)), "U/S in every entry"),
        (1, 1, Class::Nothing, None, "user mode could not use it before either"),
        (1, 21, Class::Nothing, None, "whatever it leads to, it is for the kernel"),
        // Read-only; 4 GiB + 4 MiB − 4 MiB is the process's own first page.
        (3, 22, Class::OtherMapping, Some((slot(3), 0x10_0000)), "its own page once more"),
        (3, 21, Class::Outside, Some((slot(3), 0x10_0600)), "nothing is mapped there"),
        (3, 1, Class::WiderRight, Some((slot(3), 0x10_0400)), "writable"),
        (3, 7, Class::Outside, Some((slot(3), 0x10_0400)), "a table that nobody can write"),
        // The piece of the big page: without PS a page table, and the process writes it as part of
        // that page.
        (2, 7, Class::TableWrite, Some((2 << 30, 0x8_0000)), "a table in its own memory"),
        // A table that becomes a page of 2 MiB: bits 20:13 of its address are not all 0.
        (4, 7, Class::Fault, None, "frame 0x104 is no multiple of 2 MiB"),
    ] {
        let verdict = judged(four_levels(), controls(), [0x103, place, bit]);

        assert_eq!(given(&verdict), (class, gain), "slot {place}, bit {bit}: {reason}");
    }
}

#[test]
fn pages_of_the_kernel_are_kept_by_the_entry_above_them() {
    // U/S of the PML4E is 0, so no flip below it can give anything to user mode, nor can it alone.
    for flip in [[0x102, 0, 2], [0x102, 1, 2], [0x100, 256, 2], [0x102, 0, 31], [0x102, 0, 63]] {
        let verdict = judged(four_levels(), controls(), flip);

        assert_eq!(given(&verdict), (Class::Nothing, None), "{flip:x?}");
    }
    // R/W of the PML4E: the kernel loses its writes, with CR0.WP.
    let read_only = judged(four_levels(), controls(), [0x100, 256, 1]);
    assert!(read_only.kernel_faults && read_only.class == Class::Nothing);
}

#[test]
fn the_kernel_s_own_page_of_1_gib_may_come_to_lead_to_memory_of_the_process() {
    // 3 GiB − 1 GiB: kernel text is now what the process writes at 2 GiB. SMEP and SMAP look at U/S of
    // the linear address, which is a supervisor-mode address.
    let verdict = judged(four_levels(), controls(), [0x102, 1, 30]);

    let first = 0xffff_8000_4000_0000;
    assert_eq!(given(&verdict), (Class::Nothing, None));
    let place = |kind: KernelGain| verdict.kernel[kind as usize].map(|gain| gain.virt.0);
    assert_eq!(place(KernelGain::Execute), Some(first));
    assert_eq!(place(KernelGain::Data), Some(first));
    assert_eq!(place(KernelGain::TableWrite), None);
}

#[test]
fn a_root_that_comes_to_name_itself_is_a_page_of_the_process() {
    // Frame 0x101 becomes 0x100: the same entry is PML4E, PDPTE, PDE and PTE, and permits everything.
    let four = judged(four_levels(), controls(), [0x100, 0, 12]);
    // Frame 0x201 becomes 0x200: PML5E as well.
    let five = judged(five_levels(), controls(), [0x200, 0, 12]);

    assert_eq!(given(&four), (Class::TableWrite, Some((0, 0x100))));
    assert_eq!(given(&five), (Class::TableWrite, Some((0, 0x200))));
    assert_eq!((four.table, five.table), (Some(TableIs::There), Some(TableIs::There)));
}

#[test]
fn five_levels_have_two_kinds_of_entry_that_never_map_a_page() {
    let page = 5 << 39;
    for (flip, class, gain, reason) in [
        ([0x200, 0, 7], Class::Fault, None, "bit 7 of a PML5E is reserved"),
        ([0x201, 5, 7], Class::Fault, None, "bit 7 of a PML4E is reserved"),
        ([0x200, 0, 8], Class::Nothing, None, "bit 8 of a PML5E is ignored"),
        ([0x201, 5, 8], Class::Nothing, None, "bit 8 of a PML4E is ignored"),
        // Frame 0x205 as a PML4 table: its one entry has bit 7 set, which is reserved there.
        ([0x200, 0, 14], Class::Fault, None, "a PDPTE of 1 GiB read as a PML4E"),
        ([0x201, 5, 14], Class::Outside, Some((page, 0x206)), "a table that is not held"),
        ([0x201, 5, 2], Class::Fault, None, "not for user mode any more"),
        // 1 GiB − 1 GiB = 0; the first table lies at 2 MiB.
        ([0x202, 0, 30], Class::TableWrite, Some((page + 0x20_0000, 0x200)), "the tables"),
        ([0x205, 0, 2], Class::Nothing, None, "U/S of the PML5E and PML4E above is 0"),
    ] {
        let verdict = judged(five_levels(), controls(), flip);

        assert_eq!(given(&verdict), (class, gain), "{flip:x?}: {reason}");
    }
}

#[test]
fn on_amd_bit_8_of_an_upper_entry_is_reserved() {
    let amd = Controls { vendor: Vendor::Amd, ..controls() };
    for flip in [[0x200, 0, 8], [0x201, 5, 8]] {
        let verdict = judged(five_levels(), amd, flip);

        assert_eq!(given(&verdict), (Class::Fault, None), "{flip:x?}");
    }
    let pdpte = judged(five_levels(), amd, [0x202, 0, 8]);
    assert_eq!(given(&pdpte), (Class::Nothing, None), "global in a page of 1 GiB");
}

#[test]
fn without_nxe_bit_63_is_reserved_in_large_pages_too() {
    let without = Controls { flags: controls().flags.without(ControlFlags::NXE), ..controls() };
    // The page can't be used as long as the bit is set: clearing it opens it.
    let opened = judged(four_levels(), without, [0x101, 2, 63]);
    let closed = judged(four_levels(), without, [0x102, 1, 63]);

    assert_eq!(opened.class, Class::Outside, "mapped by nobody before: {opened:?}");
    assert!(closed.kernel_faults && closed.class == Class::Nothing);
}
