//! Each flip is what the lists of all translations before and after it say it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use ringfence::audit::flip::{Class, Flip, Swept, TableIs, judge, sweep};
use ringfence::audit::image::{Image, Levels};
use ringfence::audit::protections::{Machine, Protection};
use ringfence::audit::space::Space;
use ringfence::base::PhysAddr;
use ringfence::machine::paging::x86_64::{ControlFlags, Controls, Vendor};

use crate::brute::{self, Judged, Memory};
use crate::images::{self, P, U, W, XD};

fn memory_of(image: &Image) -> Memory {
    let mut entries = BTreeMap::new();
    let mut held = BTreeSet::new();
    for (index, frame) in image.frames().iter().enumerate() {
        held.insert(frame.0);
        for (slot, &entry) in (0u64..).zip(image.table(index)) {
            if entry != 0 {
                entries.insert(frame.start().raw() + 8 * slot, entry);
            }
        }
    }
    Memory(entries, held)
}

/// Judges flips both ways and returns how many of each class there were.
fn compared(image: Image, controls: Controls, slots: &[usize]) -> BTreeMap<Class, u64> {
    let space = Space::incomplete(image, controls).expect("the root is there");
    let memory = memory_of(&space.image);
    let before = brute::list(&memory, &space.controls);
    let mut verdicts = BTreeMap::new();
    let swept = sweep(
        &space,
        2,
        &AtomicBool::new(false),
        |_| (),
        |verdict| {
            verdicts.insert(verdict.flip, verdict.clone());
            true
        },
    );
    let Swept::Whole(counts) = swept else { panic!("nobody stopped it") };
    assert_eq!(counts.flips(), 512 * 64 * space.image.frames().len() as u64);

    let mut seen: BTreeMap<Class, u64> = BTreeMap::new();
    let mut made_count = 0;
    for (index, frame) in space.image.frames().iter().enumerate() {
        for slot in 0..512 {
            let entry = space.image.table(index)[slot];
            if entry == 0 && !slots.contains(&slot) {
                continue;
            }
            for bit in 0..64 {
                if entry & 1 == 0 && bit > 0 {
                    continue;
                }
                let at = frame.start().plus(8 * slot as u64);
                let flip = Flip { at, bit };
                let after = brute::list(&brute::flipped(&memory, flip), &space.controls);
                let expected = brute::judge(&before, &after);

                let verdict = judge_again(&space, flip, verdicts.get(&flip));

                let is_made = matches!(verdict.table, Some(TableIs::Made | TableIs::Filled));
                made_count += u64::from(is_made);
                let virt = verdict.gain.filter(|_| !is_made).map(|gain| gain.virt.0);
                let found = Judged {
                    class: verdict.class,
                    virt,
                    table: verdict.table,
                    kernel: verdict.kernel.map(|gain| gain.map(|gain| gain.virt.0)),
                    kernel_faults: verdict.kernel_faults,
                };
                assert_eq!(found, expected, "{flip}: entry {entry:#x}");
                *seen.entry(verdict.class).or_default() += 1;
                if is_made {
                    brute::assert_made(&before, &after, verdict.gain.expect("where"));
                }
            }
        }
    }
    println!("{seen:?}, {made_count} made");
    seen
}

/// The verdict of the sweep where it gave one; else that of the flip alone.
fn judge_again(
    space: &Space,
    flip: Flip,
    swept: Option<&ringfence::audit::flip::Verdict>,
) -> ringfence::audit::flip::Verdict {
    match swept {
        Some(verdict) => verdict.clone(),
        None => {
            let verdict = judge(space, flip).expect("it is in the image");
            assert!(!verdict.class.is_gain(), "{flip} was left out");
            verdict
        }
    }
}

fn all_on() -> Controls {
    let flags = ControlFlags::WP | ControlFlags::SMEP | ControlFlags::SMAP | ControlFlags::NXE;
    Controls { flags, maxphyaddr: 38, ..Controls::default() }
}

const SLOTS: [usize; 5] = [0, 4, 9, 257, 511];

#[test]
fn an_ordinary_address_space_is_judged_as_its_lists_say() {
    let seen = compared(images::ordinary(), all_on(), &SLOTS);

    assert_eq!(seen.len(), 8, "every class occurs: {seen:?}");
}

#[test]
fn without_protections_too() {
    let flags = ControlFlags::NXE;
    compared(images::ordinary(), Controls { flags, ..all_on() }, &SLOTS);
    compared(images::ordinary(), Controls { flags: ControlFlags::WP, ..all_on() }, &SLOTS);
}

#[test]
fn of_another_vendor_too() {
    compared(images::ordinary(), Controls { vendor: Vendor::Amd, ..all_on() }, &[]);
}

#[test]
fn large_pages_and_five_levels_are_judged_as_their_lists_say() {
    compared(images::large(), all_on(), &[4]);
}

#[test]
fn tables_that_name_themselves_are_judged_as_their_lists_say() {
    compared(images::self_mapped(), all_on(), &SLOTS);
}

#[test]
fn any_tables_are_judged_as_their_lists_say() {
    for seed in 0..12 {
        let keys = ControlFlags::PKE | ControlFlags::PKS;
        let flags = if seed % 2 == 0 { all_on().flags } else { all_on().flags | keys };
        let (pkru, pkrs) = (0b1000_0100, 0b10_0100);
        println!("seed {seed}");
        compared(images::random(seed), Controls { flags, pkru, pkrs, ..all_on() }, &SLOTS);
    }
}

/// A process's own page; a flip of R/W of its last table's other entry, whose key PKRU denies, gives it
/// its page table.
#[test]
fn what_pkru_denies_is_gained_all_the_same() {
    let tables: [(u64, &[(usize, u64)]); 4] = [
        (1, &[(0, 0x2067)]),
        (2, &[(0, 0x3067)]),
        (3, &[(0, 0x4067)]),
        (4, &[(1, 0x1_0067), (3, 0x4063 | 2 << 59 | 1 << 63)]),
    ];
    let image = images::image(Levels::Four, 1, &tables);
    let flags = all_on().flags | ControlFlags::PKE;
    let denying = Controls { flags, pkru: 0x5555_5554, ..all_on() };
    let judged = |controls, at, bit| {
        let space = Space::new(image.clone(), controls).expect("whole");
        judge(&space, Flip { at: PhysAddr::truncated(at), bit }).expect("it is there")
    };

    // U/S of the entry with the key: the page table itself.
    let with_keys = judged(denying, 0x4018, 2);
    assert_eq!(with_keys.class, Class::TableWrite);
    assert_eq!(with_keys, judged(all_on(), 0x4018, 2));
    // The key of its own page, from 0 to 1: nothing is gained, and it faults until it writes PKRU.
    assert_eq!(judged(denying, 0x4008, 59).class, Class::Fault);
    assert_eq!(judged(all_on(), 0x4008, 59).class, Class::Nothing);

    let mut ordinary = images::ordinary();
    ordinary.set(PhysAddr::truncated(0x13010), 0x10000 | P | W | U | XD | 1 << 59);
    compared(ordinary.clone(), denying, &SLOTS);
    let machine = Machine::new(ordinary, denying, false);
    let margin = |is_on| {
        let space = machine.with(Protection::Pke, is_on).space().expect("whole");
        let swept = sweep(&space, 2, &AtomicBool::new(false), |_| (), |_| true);
        let Swept::Whole(counts) = swept else { panic!("nobody stopped it") };
        (Class::ALL.map(|class| class.is_gain().then(|| counts.of(class))), counts.kernel)
    };
    assert_eq!(margin(true), margin(false), "keys of user pages protect nothing from a process");
}

#[test]
fn any_number_of_workers_gives_the_same() {
    let space = Space::new(images::ordinary(), all_on()).expect("whole");
    let with = |workers| {
        let (mut verdicts, mut places) = (Vec::new(), Vec::new());
        let swept = sweep(
            &space,
            workers,
            &AtomicBool::new(false),
            |progress| places.push((progress.done, progress.total)),
            |verdict| {
                verdicts.push(verdict.clone());
                true
            },
        );
        (swept, verdicts, places)
    };

    let one = with(1);

    assert_eq!(one, with(2));
    assert_eq!(one, with(7));
    let flips: Vec<Flip> = one.1.iter().map(|verdict| verdict.flip).collect();
    assert!(flips.is_sorted());
    assert!(one.2.is_sorted_by(|before, after| before.0 < after.0 && before.1 == after.1));
    assert!(one.2.last().is_some_and(|(done, total)| done == total));
    assert!(judge(&space, Flip { at: PhysAddr::truncated(0x9000), bit: 0 }).is_none());
}
