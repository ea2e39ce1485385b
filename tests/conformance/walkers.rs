//! Walkers: one that walks by its own code, and the same with bugs of published ones.

use ringfence::base::{PhysAddr, Ring};
use ringfence::conformance::{self, Attempt, Check, Mapping, Memory, Rights, Walker};
use ringfence::machine::paging::PageSize;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    /// Goes on through entries that are not present (page-walker, `read_pte`).
    IgnoresPresent,
    /// Takes PS in the root for a page of 512 GiB and panics (x86_64, `translate_addr`).
    PanicsAtRoot,
    /// Takes all of bits 51:12 for the address (page_table_multiarch, vmi).
    TakesPatForAddress,
    /// Takes any 64 bits for an address (rsemu, vmi).
    TakesAnyAddress,
    /// Ignores reserved bits (memflow).
    IgnoresReserved,
    /// Takes the rights of the leaf for those of all entries (memflow 36e6c5bf).
    TakesLeafRights,
    /// Refuses the last page of the lower half, the first of the upper one and the last of all.
    RefusesEdges,
    /// Takes an entry that is all ones for a sign of broken memory, and panics.
    PanicsAtAllOnes,
    /// Loses what the middle entry of a table of level 3 leads to.
    LosesTheMiddle,
    /// Sets an ignored bit in each leaf that it meets.
    MarksLeaves,
    /// Sets the accessed flag in each leaf that it meets, and does not say so.
    SetsAccessed,
    /// Keeps a note in a frame of data.
    WritesToData,
    /// Takes a frame each time it is asked.
    TakesFrames,
}

struct Walk {
    memory: Memory,
    root: PhysAddr,
    bug: Option<Bug>,
}

impl Walk {
    /// What has no influence on its answers.
    fn scribble(&self, at: PhysAddr, entry: u64) {
        match self.bug {
            Some(Bug::MarksLeaves) => self.memory.store(at, entry | 1 << 9),
            Some(Bug::SetsAccessed) => self.memory.store(at, entry | 1 << 5),
            Some(Bug::WritesToData) => self.memory.store(self.memory.base().plus(100 << 12), 7),
            Some(Bug::TakesFrames) => {
                let _ = self.memory.allocate();
            }
            _ => {}
        }
    }
}

impl Walker for Walk {
    fn judges_rights(&self) -> bool {
        true
    }

    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let has = |bug| self.bug == Some(bug);
        let virt = attempt.virt.0;
        let high = virt >> 47;
        if high != 0 && high != 0x1_ffff && !has(Bug::TakesAnyAddress) {
            return None;
        }
        let edges = [0x7_ffff_ffff, 0xf_ffff_8000_0000, 0xf_ffff_ffff_ffff];
        if has(Bug::RefusesEdges) && edges.contains(&(virt >> 12)) {
            return None;
        }
        let mut table = self.root.raw();
        let mut rights = Rights::ALL;
        for level in (1..=4u32).rev() {
            let shift = 12 + 9 * (level - 1);
            let at = table + 8 * (virt >> shift & 511);
            let entry = self.memory.load(PhysAddr::truncated(at));
            assert!(entry != u64::MAX || !has(Bug::PanicsAtAllOnes), "memory is gone");
            let is_lost = level == 3 && at & 0xfff == 0x800 && has(Bug::LosesTheMiddle);
            if is_lost || entry & 1 == 0 && !has(Bug::IgnoresPresent) {
                return None;
            }
            if level == 4 && entry & 1 << 7 != 0 {
                assert!(!has(Bug::PanicsAtRoot), "level 4 entry has huge page bit set");
                return None;
            }
            let is_leaf = level == 1 || entry & 1 << 7 != 0;
            if !has(Bug::TakesLeafRights) || is_leaf {
                let write = if entry & 2 != 0 { Rights::WRITE } else { Rights::READ };
                let user = if entry & 4 != 0 { Rights::USER } else { Rights::READ };
                let execute = if entry >> 63 == 0 { Rights::EXECUTE } else { Rights::READ };
                rights = rights.within(write.and(user).and(execute));
            }
            let address = entry & ((1 << 52) - 1) & !0xfff;
            if !is_leaf {
                table = address;
                continue;
            }
            let below = (1 << shift) - 1;
            if level > 1 && entry & below & !0x1fff != 0 && !has(Bug::IgnoresReserved) {
                return None;
            }
            self.scribble(PhysAddr::truncated(at), entry);
            let page = if has(Bug::TakesPatForAddress) { address } else { address & !below };
            let needed = match attempt.access {
                ringfence::base::Access::Read => Rights::READ,
                ringfence::base::Access::Write => Rights::WRITE,
                ringfence::base::Access::Execute => Rights::EXECUTE,
            };
            let is_allowed = attempt.ring == Ring::Kernel || rights.has(Rights::USER);
            let size = [PageSize::Kib4, PageSize::Mib2, PageSize::Gib1][level as usize - 1];
            return (is_allowed && rights.has(needed)).then_some(Mapping {
                address: PhysAddr::truncated(page.wrapping_add(virt & below)),
                size: Some(size),
                rights: Some(rights),
            });
        }
        None
    }
}

fn run(bug: Option<Bug>) -> conformance::Report {
    conformance::walker(move |memory, root| Walk { memory, root, bug }).run()
}

#[test]
fn a_correct_walker_raises_no_finding() {
    let report = run(None);

    assert!(report.findings().is_empty(), "\n{report}");
}

#[test]
fn each_planted_bug_of_a_walker_is_found() {
    for (bug, check) in [
        (Bug::IgnoresPresent, Check::Translation),
        (Bug::PanicsAtRoot, Check::Totality),
        (Bug::TakesPatForAddress, Check::Translation),
        (Bug::TakesAnyAddress, Check::Translation),
        (Bug::IgnoresReserved, Check::Translation),
        (Bug::TakesLeafRights, Check::Translation),
        (Bug::RefusesEdges, Check::Translation),
        (Bug::PanicsAtAllOnes, Check::Totality),
        (Bug::LosesTheMiddle, Check::Translation),
        (Bug::MarksLeaves, Check::Stores),
        (Bug::SetsAccessed, Check::Stores),
        (Bug::WritesToData, Check::Stores),
        (Bug::TakesFrames, Check::Frames),
    ] {
        // The bugs that are easy to find are found in the first few cases.
        let is_found = (0..12).any(|part| {
            let suite =
                conformance::walker(move |memory, root| Walk { memory, root, bug: Some(bug) });
            suite.seed(1 + 250 * part).cases(250).run().has(check)
        });

        assert!(is_found, "{bug:?}");
    }
}

/// A walker that does what it does, and says that it sets accessed and dirty flags.
struct Marking(Walk);

impl Walker for Marking {
    fn sets_marks(&self) -> bool {
        true
    }

    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        self.0.translate(&Attempt { access: ringfence::base::Access::Read, ..*attempt })
    }
}

#[test]
fn a_walker_that_emulates_the_processor_may_set_its_flags_and_no_other_bit() {
    let run = |bug| {
        conformance::walker(move |memory, root| Marking(Walk { memory, root, bug: Some(bug) }))
            .cases(200)
            .run()
    };

    let [flags, more] = [Bug::SetsAccessed, Bug::MarksLeaves].map(run);

    assert!(!flags.has(Check::Stores), "\n{flags}");
    assert!(more.has(Check::Stores), "\n{more}");
}

#[test]
fn a_walker_may_store_to_what_it_took_when_it_was_made() {
    let factory = |memory: Memory, root| {
        let own = memory.allocate().expect("a frame");
        memory.store(own, 7);
        Walk { memory, root, bug: None }
    };

    let report = conformance::walker(factory).cases(200).run();

    assert!(!report.has(Check::Stores) && !report.has(Check::Frames), "\n{report}");
}

/// A walker that keeps every answer for a page, and forgets or not when it is told to.
struct Caching {
    walk: Walk,
    kept: std::collections::BTreeMap<u64, Mapping>,
    forgets: bool,
}

impl Walker for Caching {
    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let (page, byte) = (attempt.virt.0 >> 12, attempt.virt.0 & 0xfff);
        let asked = Attempt {
            virt: ringfence::base::VirtAddr(page << 12),
            access: ringfence::base::Access::Read,
            ring: Ring::Kernel,
        };
        let found = self.kept.get(&page).copied().or_else(|| self.walk.translate(&asked))?;
        self.kept.insert(page, found);
        Some(Mapping { address: found.address.plus(byte), ..found })
    }

    fn invalidate(&mut self, what: conformance::Invalidation) {
        match what {
            _ if !self.forgets => {}
            conformance::Invalidation::Page(virt) => {
                self.kept.remove(&(virt.0 >> 12));
            }
            _ => self.kept.clear(),
        }
    }
}

fn run_caching(forgets: bool) -> conformance::Report {
    let factory = move |memory, root| {
        let walk = Walk { memory, root, bug: None };
        Caching { walk, kept: std::collections::BTreeMap::new(), forgets }
    };
    conformance::walker(factory).run()
}

#[test]
fn a_walker_that_keeps_translations_until_it_is_told_raises_no_finding() {
    let report = run_caching(true);

    assert!(report.findings().is_empty(), "\n{report}");
}

#[test]
fn a_walker_that_keeps_translations_for_good_is_found() {
    let report = run_caching(false);

    assert!(report.has(Check::Translation), "\n{report}");
}

/// A walker that reads whole tables, and tells of one right only, the others wrong.
struct ByPages(Walk);

impl Walker for ByPages {
    fn tells_rights(&self) -> Rights {
        Rights::WRITE
    }

    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let mut table = [0; 4096];
        self.0.memory.read(self.0.root, &mut table);
        let index = (attempt.virt.0 >> 39 & 511) as usize * 8;
        let entry = u64::from_le_bytes(table[index..index + 8].try_into().expect("8 bytes"));
        let at = self.0.root.plus(index as u64);
        assert_eq!(entry, self.0.memory.load(at), "read and load agree");
        let asked =
            Attempt { access: ringfence::base::Access::Read, ring: Ring::Kernel, ..*attempt };
        let found = self.0.translate(&asked)?;
        let rights = found.rights?.within(Rights::WRITE).and(Rights::USER);
        Some(Mapping { rights: Some(rights), ..found })
    }
}

#[test]
fn rights_that_a_walker_does_not_tell_are_not_compared() {
    let report =
        conformance::walker(|memory, root| ByPages(Walk { memory, root, bug: None })).run();

    assert!(report.findings().is_empty(), "\n{report}");
}
