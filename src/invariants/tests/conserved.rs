//! What is conserved, from both sides: one reference too few, and one that nobody has.

use super::worlds::{APPS, DRIVERS, HEIR};
use super::*;
use crate::base::{PhysAddr, PrincipalKind, Structure, VirtAddr};

/// What is found when a word of the kernel's is changed once nothing happens any more.
fn found_after(text: &str, at: impl Fn(&Trial) -> u64, change: i64) -> Vec<&'static str> {
    let mut trial = Trial::new(text, None);
    let rest = trial.run();
    let at = at(&trial);
    let machine = &mut trial.world.machine;
    let at = PhysAddr::truncated(machine.locate(0, VirtAddr(at)).expect("mapped"));
    let count = machine.memory.read(at);
    machine.memory.write(at, count.wrapping_add_signed(change));
    trial.rests(None, PrincipalSet::NOBODY, rest);
    trial.found()
}

/// Where the frame database counts the first frame that the books have as this.
fn count_of(trial: &Trial, structure: Structure, is_kernels: bool) -> u64 {
    let frames = 1..trial.world.machine.memory.frame_count();
    let mut frames = frames.filter(|frame| {
        let region = trial.authority.region_at(PhysAddr::truncated(frame << 12));
        let is_owned = region.owner.is_some_and(|owner| {
            (trial.world.roster().kind(owner) != PrincipalKind::Application) == is_kernels
        });
        region.structure == structure && is_owned
    });
    let frame = frames.next().unwrap_or_else(|| panic!("a frame is {structure:?}"));
    let map = &trial.map;
    map.frame_database + frame * map.frame_entry_bytes + map.frame_count
}

#[test]
fn a_frame_that_counts_a_reference_that_nobody_has_is_caught() {
    for structure in [Structure::PageTable, Structure::SharedSection, Structure::KernelStack] {
        for (change, found) in [(0, vec![]), (1, vec!["frames-are-conserved"])] {
            let at = |trial: &Trial| count_of(trial, structure, true);
            assert_eq!(found_after(HEIR, at, change), found, "{structure:?}, {change}");
        }
    }
}

#[test]
fn an_object_to_which_no_handle_leads_counts_who_refers_to_it_and_nobody_else() {
    // The system process, which has its own object.
    let pointers = |trial: &Trial| {
        let object = trial.authority.object_of(Principal::KERNEL).expect("it exists");
        object + trial.map.object_pointers
    };
    let handles =
        |trial: &Trial| pointers(trial) - trial.map.object_pointers + trial.map.object_handles;
    for (change, found) in [(0, vec![]), (1, vec!["references-are-conserved"])] {
        assert_eq!(found_after(APPS, pointers, change), found, "{change} pointer");
        assert_eq!(found_after(APPS, pointers, -change), found, "-{change} pointer");
        assert_eq!(found_after(APPS, handles, change), found, "{change} handle");
    }
}

/// What is found of each time that the kernel comes to a point in a routine and it is left out.
fn found_without(
    text: &str,
    fault: &str,
    kind: PointKind,
    routine: &str,
) -> Vec<Vec<&'static str>> {
    let mut found = Vec::new();
    loop {
        let mut trial = Trial::new(text, None);
        let nth = found.len() as u64 + 1;
        trial.arm(fault, kind, "kernel", routine, nth, Recurrence::Once);
        let rest = trial.run();
        if trial.world.machine.points.armed()[0].strikes == 0 {
            return found;
        }
        trial.rests(None, PrincipalSet::NOBODY, rest);
        found.push(trial.found());
    }
}

#[test]
fn every_reference_and_every_frame_that_is_left_is_caught() {
    let leaks = [
        (
            APPS,
            "leaked-reference",
            PointKind::Dereference,
            "ObfDereferenceObject",
            "references-are-conserved",
        ),
        (APPS, "leak", PointKind::Free, "MiDecrementShareCount", "frames-are-conserved"),
    ];
    for (text, fault, kind, routine, invariant) in leaks {
        let found = found_without(text, fault, kind, routine);
        assert!(found.len() > 10, "{fault} strikes {} times", found.len());
        for (number, found) in found.iter().enumerate() {
            assert_eq!(found, &[invariant], "{fault} {}", number + 1);
        }
    }
}

#[test]
fn every_pool_block_that_is_left_is_caught() {
    // An object counts who refers to it: left with nobody, it is told by that.
    let known = ["pool-blocks-are-conserved", "references-are-conserved"];
    for (text, least) in [(APPS, 5), (DRIVERS, 10)] {
        let found = found_without(text, "leak", PointKind::Free, "ExFreePoolWithTag");
        assert!(found.len() >= least, "it strikes {} times", found.len());
        for (number, found) in found.iter().enumerate() {
            assert!(found.len() == 1 && known.contains(&found[0]), "{}: {found:?}", number + 1);
        }
    }
}
