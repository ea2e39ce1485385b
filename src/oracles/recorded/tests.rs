use super::explanation::{Check, explain};
use super::{
    AccessedOnFault, CaseAccess, CaseOutcome, LevelMask, Mode, RecordedMachine, TranslationCase,
    Walker,
};
use crate::base::{PhysAddr, Ring, VirtAddr};
use crate::machine::paging::TableMemory as _;
use crate::machine::paging::x86_64::Level;

/// Indices 1, 2, 3 and 4 from PML4 to PT, offset 8.
const VIRT: VirtAddr = VirtAddr(1 << 39 | 2 << 30 | 3 << 21 | 4 << 12 | 8);
const NXE: u16 = 1 << 4;

fn case(access: CaseAccess, entries: [u64; 5]) -> TranslationCase {
    TranslationCase {
        mode: Mode::new(NXE).expect("a mode"),
        virt: VIRT,
        access,
        ring: Ring::User,
        pkru: 0,
        pkrs: 0,
        maxphyaddr: None,
        entries,
    }
}

const ORDINARY: [u64; 5] = [0x112_3007, 0x60_4007, 0x60_3007, 0x60_2007, 0];

#[track_caller]
fn answered(machine: &RecordedMachine, case: &TranslationCase) -> (CaseOutcome, u8, u8) {
    let answer = machine.answer(case);
    assert_eq!(answer, machine.answer_of(Walker::Book, case), "the book says otherwise");
    (answer.outcome, answer.accessed.bits(), answer.dirtied.bits())
}

fn fault(code: u32) -> CaseOutcome {
    CaseOutcome::PageFault { code, virt: VIRT }
}

#[test]
fn each_entry_lies_where_the_one_above_says() {
    let machine = RecordedMachine::default();
    let case = case(CaseAccess::Write, ORDINARY);
    let memory = machine.memory(&case);

    let places = [Level::Pml5, Level::Pml4, Level::Pdpt, Level::Pd, Level::Pt]
        .map(|level| memory.place(level).map(PhysAddr::raw));

    assert_eq!(places, [None, Some(0x60_0008), Some(0x60_2010), Some(0x60_3018), Some(0x60_4020)]);
    assert_eq!(answered(&machine, &case), (CaseOutcome::Translated(0x112_3008), 0b1111, 1));
}

#[test]
fn an_entry_outside_the_tables_ends_what_is_in_memory() {
    let machine = RecordedMachine::default();
    for outside in [0x60_0007, 0x61_0007, 0x8060_1007, 0x112_3007] {
        let mut case = case(CaseAccess::Read, ORDINARY);
        case.entries[2] = outside;

        assert_eq!(machine.memory(&case).place(Level::Pd), None, "{outside:x}");
        assert_eq!(answered(&machine, &case), (fault(4), 0, 0), "{outside:x}");
    }
    let mut absent = case(CaseAccess::Read, ORDINARY);
    absent.entries[2] &= !1;
    assert!(machine.memory(&absent).place(Level::Pt).is_some(), "present or not");
}

#[test]
fn memory_outside_the_tables_is_data_or_zero() {
    let machine = RecordedMachine::default();
    let case = case(CaseAccess::Read, ORDINARY);
    let memory = machine.memory(&case);
    let word = |at| memory.entry(PhysAddr::truncated(at));

    assert_eq!(word(0x112_3458), 0x90e6_ff01_1234_58b8);
    assert_eq!(word(0x417f_fff8), 0x90e6_ff41_7fff_f8b8);
    for outside in [0, 0xff_fff8, 0x180_0000, 0x4180_0000, 0x60_2008, 0xf_ffff_ffff_fff8] {
        assert_eq!(word(outside), 0, "{outside:x}");
    }
}

#[test]
fn a_table_that_names_itself_is_read_at_every_level_and_marked_once() {
    let machine = RecordedMachine::default();
    // Index 1 everywhere: e4 names its own table.
    let virt = VirtAddr(1 << 39 | 1 << 30 | 1 << 21 | 1 << 12 | 8);
    let mut case = TranslationCase { virt, ..case(CaseAccess::Write, [0, 0, 0, 0x60_0007, 0]) };

    let expected = (CaseOutcome::Translated(0x60_0008), 0b1000, 0b1000);
    assert_eq!(answered(&machine, &case), expected);
    case.entries[3] |= 1 << 5;
    assert_eq!(answered(&machine, &case), (CaseOutcome::Translated(0x60_0008), 0, 0b1000));
}

#[test]
fn of_entries_at_one_place_the_lowest_was_written_last() {
    let machine = RecordedMachine::default();
    let virt = VirtAddr(1 << 39 | 2 << 30 | 2 << 21 | 4 << 12 | 8);
    // PDPTE and PDE share frame and index.
    let entries = [0x112_3007, 0x60_4007, 0x60_2007, 0x60_2007, 0];
    let case = TranslationCase { virt, ..case(CaseAccess::Read, entries) };

    // The PDE names 0x604000, which is then read as a page directory: at index 2 it is empty.
    let absent = CaseOutcome::PageFault { code: 4, virt };
    assert_eq!(answered(&machine, &case), (absent, 0, 0));
    let passed = RecordedMachine {
        accessed_on_fault: AccessedOnFault::Passed,
        ..RecordedMachine::default()
    };
    assert_eq!(passed.answer(&case).accessed, LevelMask::new(0b1110).expect("levels"));
}

#[test]
fn memory_that_decodes_fewer_bits_repeats() {
    let high = 1 << 44 | 1 << 51;
    let entries = ORDINARY.map(|entry| if entry == 0 { 0 } else { entry | high });
    let case = TranslationCase { maxphyaddr: Some(52), ..case(CaseAccess::Write, entries) };
    let machine = RecordedMachine::default();

    assert_eq!(answered(&machine, &case), (fault(6), 0, 0), "nothing is up there");
    for decode_bits in [40, 36] {
        let machine = RecordedMachine { decode_bits, ..machine.clone() };
        let expected = (CaseOutcome::Translated(0x112_3008), 0b1111, 1);
        assert_eq!(answered(&machine, &case), expected);
    }
    let narrow = TranslationCase { maxphyaddr: Some(51), ..case };
    let machine = RecordedMachine { decode_bits: 40, ..machine };
    assert_eq!(answered(&machine, &narrow), (fault(0xf), 0, 0));
}

#[test]
fn the_width_of_a_row_comes_before_that_of_the_machine() {
    for bits in 36..=52 {
        for bit in 36..52 {
            let mut case = case(CaseAccess::Read, ORDINARY);
            case.entries[0] |= 1 << bit;
            case.maxphyaddr = Some(bits);
            let machine = RecordedMachine { maxphyaddr: 36, ..RecordedMachine::default() };
            let translated = CaseOutcome::Translated(0x112_3008 | 1 << bit);

            let expected = if bit >= bits { fault(0xd) } else { translated };
            assert_eq!(answered(&machine, &case).0, expected, "{bits} bits, bit {bit}");
        }
    }
}

#[test]
fn supervisor_keys_need_their_mode_bit() {
    let mut case = case(CaseAccess::Read, ORDINARY);
    case.ring = Ring::Kernel;
    case.entries[0] = 3 << 59 | 0x112_3003;
    case.pkrs = 1 << 6;
    let machine = RecordedMachine::default();

    assert_eq!(answered(&machine, &case).0, CaseOutcome::Translated(0x112_3008));
    case.mode = Mode::new(NXE | 1 << 9).expect("a mode");
    assert_eq!(answered(&machine, &case).0, fault(0x21));
    assert_eq!(Mode::new(1 << 10), None);
}

/// As in QEMU (`target/i386/tcg/sysemu/excp_helper.c`, `mmu_translate`: a user's access to a supervisor
/// page goes to `do_fault_protect` before keys are looked at) and Bochs (`cpu/paging.cc`: keys of
/// supervisor pages where `CR4.PKS && !user`).
#[test]
fn supervisor_keys_are_not_asked_about_user_mode() {
    let machine = RecordedMachine::default();
    let answered = |ring, access, leaf: u64, pkrs| {
        let case = TranslationCase {
            mode: Mode::new(NXE | 1 << 9 | 1).expect("a mode"),
            ring,
            pkrs,
            ..case(access, [3 << 59 | 0x112_3000 | leaf, 0x60_4007, 0x60_3007, 0x60_2007, 0])
        };
        let answer = answered(&machine, &case);
        let explanation = explain(&machine, &case, &machine.answer(&case));
        let told = explanation.reasons.iter().any(|reason| reason.check == Check::KeyAccess);
        assert_eq!(told, matches!(answer.0, CaseOutcome::PageFault { code, .. } if code & 32 != 0));
        answer.0
    };
    let denied = 1 << 6;

    for pkrs in [denied, denied << 1, 0] {
        assert_eq!(answered(Ring::User, CaseAccess::Read, 3, pkrs), fault(5));
        assert_eq!(answered(Ring::User, CaseAccess::Write, 3, pkrs), fault(7));
        assert_eq!(answered(Ring::User, CaseAccess::Write, 1, pkrs), fault(7));
        assert_eq!(answered(Ring::User, CaseAccess::Fetch, 3, pkrs), fault(0x15));
    }
    assert_eq!(answered(Ring::Kernel, CaseAccess::Read, 3, denied), fault(0x21));
    assert_eq!(answered(Ring::Kernel, CaseAccess::Write, 1, denied), fault(0x23));
    assert_eq!(answered(Ring::Kernel, CaseAccess::Write, 1, 0), fault(3));
}

#[test]
fn a_read_before_a_write_that_faults_leaves_its_accessed_bits() {
    let machine = RecordedMachine::default();
    let mut case = case(CaseAccess::ReadThenWrite, ORDINARY);
    case.entries[0] &= !2;

    assert_eq!(answered(&machine, &case), (fault(7), 0b1111, 0));
    let range = machine.accessed_range(&case);
    assert_eq!((range.least.bits(), range.most.bits()), (0b1111, 0b1111));
    case.entries[0] |= 2;
    assert_eq!(answered(&machine, &case), (CaseOutcome::Translated(0x112_3008), 0b1111, 1));
    case.access = CaseAccess::Read;
    case.entries[0] &= !1;
    let range = machine.accessed_range(&case);
    assert_eq!((range.least.bits(), range.most.bits()), (0, 0b1110));
    assert!(range.contains(LevelMask::new(0b1000).expect("levels")));
    assert!(!range.contains(LevelMask::new(1).expect("levels")));
}
