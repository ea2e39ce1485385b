//! Each form of store is seen with old and new value, in order; each privileged instruction does what it
//! does.

#![allow(
    unsafe_code,
    reason = "stores by raw pointers and privileged instructions are what is tested"
)]

use core::arch::asm;

use super::super::{BASE, Event, Invalidation, Memory, StoreKind};
use super::{Hosting, Observed};
use crate::base::{PhysAddr, VirtAddr};
use crate::conformance::fault::{Fault, FaultKind};
use crate::conformance::format::X86_64;
use crate::conformance::stop::Stop;

const OLD: u64 = 0x1111_1111_1111_1111;
const NEW: u64 = 0x2222_3333_4444_5555;

fn memory(observed: Option<Observed>, fault: Option<Fault>) -> Memory {
    let hosting = Hosting { observed, is_privileged: true, ..Hosting::default() };
    let memory = Memory::hosted(X86_64::FOUR_LEVELS, fault, hosting);
    memory.begin(10_000);
    for _ in 0..4 {
        let _ = memory.allocate_zeroed();
    }
    for word in 0..1024 {
        memory.poke(at(word), OLD);
    }
    let _ = memory.take_journal();
    memory
}

/// The physical address of a word of the first two frames.
fn at(word: u64) -> PhysAddr {
    PhysAddr::truncated(BASE + 8 * word)
}

/// What a call stores, as words of the first two frames: number, old, new.
fn stores(call: impl FnOnce(*mut u8)) -> Vec<(u64, u64, u64)> {
    let memory = memory(Some(Observed::Stores), None);
    memory.attempt(|| call(memory.pointer())).expect("it returns");
    let told: Vec<(u64, u64, u64)> = memory
        .take_journal()
        .into_iter()
        .map(|event| match event {
            Event::Store { at, old, new, kind: StoreKind::Whole } => {
                ((at.raw() - BASE) / 8, old, new)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    for (word, _, _) in &told {
        let last = told.iter().rfind(|(other, _, _)| other == word).expect("itself");
        assert_eq!(memory.peek(at(*word)), last.2, "memory holds what was told last");
    }
    told
}

#[test]
fn a_store_of_each_width_is_told_as_the_word_before_and_after_it() {
    let told = stores(|start| unsafe {
        start.cast::<u64>().write_volatile(NEW);
        start.add(8).cast::<u32>().write_volatile(0x4444_5555);
        start.add(12).cast::<u32>().write_volatile(0x2222_3333);
        start.add(18).cast::<u16>().write_volatile(0x5555);
        start.add(31).write_volatile(0x22);
        start.cast::<u64>().write_volatile(NEW);
    });

    let expected = [
        (0, OLD, NEW),
        (1, OLD, 0x1111_1111_4444_5555),
        (1, 0x1111_1111_4444_5555, NEW),
        (2, OLD, 0x1111_1111_5555_1111),
        (3, OLD, 0x2211_1111_1111_1111),
        (0, NEW, NEW), // nothing changes, and it is a store all the same
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_store_that_is_not_aligned_is_told_as_the_words_it_touches_across_pages_too() {
    let told = stores(|start| unsafe {
        start.add(4).cast::<u64>().write_unaligned(NEW);
        start.add(4092).cast::<u64>().write_unaligned(NEW);
    });

    let (low, high) = (0x4444_5555_1111_1111, 0x1111_1111_2222_3333);
    assert_eq!(told, [(0, OLD, low), (1, OLD, high), (511, OLD, low), (512, OLD, high)]);
}

#[test]
fn wide_stores_are_told_word_by_word_upwards() {
    let told = stores(|start| unsafe {
        asm!(
            "pcmpeqd xmm0, xmm0",
            "movdqa [{0}], xmm0",
            "movups [{0} + 24], xmm0",
            "movnti [{0} + 48], {1}",
            in(reg) start, in(reg) NEW, out("xmm0") _,
        );
        if std::arch::is_x86_feature_detected!("avx") {
            asm!(
                "vpcmpeqd xmm0, xmm0, xmm0",
                "vinsertf128 ymm0, ymm0, xmm0, 1",
                "vmovups [{0} + 64], ymm0",
                "vzeroupper",
                in(reg) start, out("xmm0") _,
            );
        }
    });

    let all = u64::MAX;
    let mut expected =
        vec![(0, OLD, all), (1, OLD, all), (3, OLD, all), (4, OLD, all), (6, OLD, NEW)];
    if std::arch::is_x86_feature_detected!("avx") {
        expected.extend((8..12).map(|word| (word, OLD, all)));
    }
    assert_eq!(told, expected);
}

#[test]
fn fills_and_copies_of_strings_are_told_word_by_word() {
    let source = [NEW; 3];
    let told = stores(|start| unsafe {
        let mut to = start.add(6);
        asm!("rep stosb", inout("rdi") to => to, inout("rcx") 11_u64 => _, in("al") 0xee_u8);
        assert_eq!(to, start.add(17), "the register is where it would be");
        asm!("rep stosq", inout("rdi") start.add(4088) => _, inout("rcx") 2_u64 => _, in("rax") NEW);
        asm!(
            "rep movsq",
            inout("rdi") start.add(80) => _, inout("rsi") source.as_ptr() => _,
            inout("rcx") 3_u64 => _,
        );
    });

    let expected = [
        (0, OLD, 0xeeee_1111_1111_1111),
        (1, OLD, 0xeeee_eeee_eeee_eeee),
        (2, OLD, 0x1111_1111_1111_11ee),
        (511, OLD, NEW),
        (512, OLD, NEW),
        (10, OLD, NEW),
        (11, OLD, NEW),
        (12, OLD, NEW),
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_a_mask_leaves_out_is_no_store_though_its_page_faults() {
    let told = stores(|start| unsafe {
        // The last word of a page and, masked out, the first of the next.
        asm!(
            "pcmpeqd {mask}, {mask}",
            "psrldq {mask}, 8",
            "movq {value}, {new}",
            "maskmovdqu {value}, {mask}",
            mask = out(xmm_reg) _, value = out(xmm_reg) _, new = in(reg) NEW, in("rdi") start.add(4088),
        );
    });

    assert_eq!(told, [(511, OLD, NEW)]);
}

#[test]
fn a_compare_and_exchange_that_finds_something_else_stores_nothing() {
    let told = stores(|start| unsafe {
        for (expected, new) in [(OLD, NEW), (OLD, 7), (NEW, NEW)] {
            asm!(
                "lock cmpxchg [{0}], {1}",
                in(reg) start, in(reg) new, inout("rax") expected => _,
            );
        }
        asm!("xchg [{0}], {1}", in(reg) start, inout(reg) OLD => _);
        asm!("lock or qword ptr [{0}], 2", in(reg) start);
    });

    let expected = [(0, OLD, NEW), (0, NEW, NEW), (0, NEW, OLD), (0, OLD, OLD | 2)];
    assert_eq!(told, expected);
}

/// A leaf in use that the processor marks in front of a store to it.
fn marked(store: impl FnOnce(*mut u8)) -> Vec<Event> {
    let fault = Fault { kind: FaultKind::HardwareWalk, nth: 1 };
    let memory = memory(Some(Observed::Accesses), Some(fault));
    for (table, below) in [(0, 1), (1, 2), (2, 3)] {
        memory.poke(at(512 * table), (BASE + 4096 * below) | 7);
    }
    memory.poke(at(512 * 3), 0x1_0006_0007);
    memory.set_root(at(0));
    memory.attempt(|| store(memory.pointer().wrapping_add(3 * 4096))).expect("it returns");
    memory.take_journal()
}

#[test]
fn what_the_processor_marks_meanwhile_is_lost_unless_the_store_is_locked() {
    let loses =
        |events: &[Event]| events.iter().any(|event| matches!(event, Event::LostMark { .. }));

    let plain = marked(|entry| unsafe { entry.cast::<u64>().write_volatile(0x1_0006_0005) });
    let unlocked = marked(|entry| unsafe { asm!("and qword ptr [{0}], -3", in(reg) entry) });
    let locked = marked(|entry| unsafe { asm!("lock and qword ptr [{0}], -3", in(reg) entry) });

    assert!(loses(&plain), "{plain:?}");
    assert!(loses(&unlocked), "{unlocked:?}");
    assert!(!loses(&locked), "{locked:?}");
    let entry = at(512 * 3);
    let hardware = Event::Store {
        at: entry,
        old: 0x1_0006_0007,
        new: 0x1_0006_0067,
        kind: StoreKind::Hardware,
    };
    for (events, new) in
        [(plain, 0x1_0006_0005), (unlocked, 0x1_0006_0005), (locked, 0x1_0006_0065)]
    {
        assert!(events.contains(&hardware), "{events:?}");
        let kind = StoreKind::Whole;
        let last = Event::Store { at: entry, old: 0x1_0006_0067, new, kind };
        assert_eq!(events.last(), Some(&last));
    }
}

#[test]
fn accesses_where_there_is_no_memory_are_told_and_go_on() {
    let memory = memory(Some(Observed::Accesses), None);
    let nowhere = PhysAddr::truncated(0x20_0000_0018);

    let read = memory.attempt(|| unsafe {
        let pointer = memory.pointer_to(nowhere).cast::<u64>();
        pointer.write_volatile(NEW);
        pointer.read_volatile()
    });

    assert_eq!(read, Ok(0));
    let events = memory.take_journal();
    let expected = [Event::StrayStore { at: nowhere, new: NEW }, Event::StrayLoad { at: nowhere }];
    assert_eq!(events, expected);
}

#[test]
fn a_fill_where_there_is_no_memory_is_told_once_for_each_page() {
    let memory = memory(Some(Observed::Accesses), None);
    let nowhere = PhysAddr::truncated(0x20_0000_0ff0);

    let ends = memory.attempt(|| unsafe {
        let (mut to, mut left) = (memory.pointer_to(nowhere), 4_u64);
        let start = to;
        asm!("rep stosq", inout("rdi") to, inout("rcx") left, in("rax") NEW);
        (to.offset_from(start), left)
    });

    assert_eq!(ends, Ok((32, 0)));
    let told = |at| Event::StrayStore { at, new: NEW };
    assert_eq!(memory.take_journal(), [told(nowhere), told(nowhere.plus(16))]);
}

#[test]
fn an_operation_that_was_abandoned_at_a_store_leaves_what_was_there_then() {
    let fault = Fault { kind: FaultKind::Abandoned, nth: 2 };
    let memory = memory(Some(Observed::Stores), Some(fault));

    let result = memory.attempt(|| unsafe {
        let start = memory.pointer().cast::<u64>();
        for word in 0..4 {
            start.add(word).write_volatile(NEW);
        }
    });

    assert_eq!(result, Err(Stop::Abandoned));
    assert_eq!(memory.take_journal().len(), 2);
    assert_eq!([0, 1, 2, 3].map(|word| memory.peek(at(word))), [NEW, NEW, OLD, OLD]);
}

#[test]
fn code_that_never_returns_is_ended_at_an_access() {
    for observed in [Observed::Stores, Observed::Accesses] {
        let memory = memory(Some(observed), None);

        let result = memory.attempt(|| {
            loop {
                unsafe { memory.pointer().cast::<u64>().write_volatile(NEW) };
            }
        });

        assert_eq!(result, Err::<(), _>(Stop::Endless));
        assert!(memory.is_given_up());
        memory.retire();
    }
}

#[test]
fn a_panic_of_the_code_is_caught_and_the_next_call_goes_on() {
    let memory = memory(Some(Observed::Stores), None);

    let panicked: Result<(), Stop> = memory.attempt(|| panic!("on purpose"));
    let returned = memory.attempt(|| unsafe { memory.pointer().read_volatile() });

    assert!(matches!(panicked, Err(Stop::Panicked(text, _)) if text == "on purpose"));
    assert_eq!(returned, Ok(0x11));
}

/// What a call invalidates, with and without a trap beside.
fn invalidations(call: impl Fn()) -> Vec<Invalidation> {
    let [first, second] = [None, Some(Observed::Accesses)].map(|observed| {
        let memory = memory(observed, None);
        memory.set_root(at(512));
        memory.attempt(&call).expect("it returns");
        let told = memory.take_journal().into_iter().map(|event| match event {
            Event::Invalidate { what, is_lost: false } => what,
            other => panic!("{other:?}"),
        });
        told.collect::<Vec<_>>()
    });
    assert_eq!(first, second);
    first
}

#[test]
fn invlpg_names_the_page_of_its_operand_however_it_is_addressed() {
    let told = invalidations(|| unsafe {
        asm!("invlpg [{}]", in(reg) 0x7fff_ffff_f123_u64);
        asm!("invlpg [{0} + 8*{1} + 0x40]", in(reg) 0x1000_u64, in(reg) 0x200_u64);
        asm!("invlpg [r12 - 1]", in("r12") 0xffff_8000_0000_1000_u64);
    });

    let pages = [0x7fff_ffff_f123, 0x2040, 0xffff_8000_0000_0fff];
    assert_eq!(told, pages.map(|virt| Invalidation::Page(VirtAddr(virt))));
}

#[test]
fn invpcid_reaches_what_its_type_and_descriptor_say() {
    let told = invalidations(|| {
        for kind in 0..4_u64 {
            for pcid in [0, 1_u64] {
                let descriptor = [pcid, 0x5000];
                unsafe {
                    asm!("invpcid {}, [{}]", in(reg) kind, in(reg) &raw const descriptor);
                }
            }
        }
    });

    let (page, space, all) =
        (Invalidation::Page(VirtAddr(0x5000)), Invalidation::Space, Invalidation::All);
    assert_eq!(told, [page, space, all, all, space, space]);
}

#[test]
fn moves_to_control_registers_are_read_back_and_invalidate_what_the_manual_says() {
    let told = invalidations(|| unsafe {
        let (root, flags, other): (u64, u64, u64);
        asm!("mov {}, cr3", out(reg) root);
        assert_eq!(root, BASE + 4096, "at first the root of the tables");
        asm!("mov cr3, {}", in(reg) 0x1234_5000_u64);
        asm!("mov {}, cr3", out(reg) other);
        assert_eq!(other, 0x1234_5000);
        asm!("mov {}, cr4", out(reg) flags);
        asm!("mov cr4, {}", in(reg) flags); // nothing changes
        asm!("mov cr4, {}", in(reg) flags ^ 1 << 7); // PGE
        asm!("mov cr4, {}", in(reg) flags | 1 << 17); // PCIDE, and PGE again
        asm!("mov cr3, {}", in(reg) 0x1234_5001_u64 | 1 << 63); // keeps
        asm!("mov cr4, {}", in(reg) flags); // PCIDE off
        asm!("mov {0}, cr0", "and {0}, 0x7fffffff", "mov cr0, {0}", out(reg) _);
    });

    let (space, all) = (Invalidation::Space, Invalidation::All);
    assert_eq!(told, [space, all, all, all, all]);
}

#[test]
fn the_other_instructions_of_a_kernel_go_by() {
    let told = invalidations(|| unsafe {
        asm!("cli", "wbinvd", "sti", "hlt", "clts");
        let (mut low, mut high): (u32, u32);
        asm!("rdmsr", in("ecx") 0xc000_0080_u32, out("eax") low, out("edx") high);
        assert_eq!((low, high), (0xd01, 0), "SCE, LME, LMA and NXE");
        asm!("wrmsr", in("ecx") 0xc000_0080_u32, in("eax") 0x501, in("edx") 1);
        asm!("rdmsr", in("ecx") 0xc000_0080_u32, out("eax") low, out("edx") high);
        assert_eq!((low, high), (0x501, 1));
    });

    assert_eq!(told, []);
}
