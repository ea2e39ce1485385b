//! What code says of itself beside its capabilities: bits of its own, sizes it does not know, what it does
//! not tell. Without the declaration each is a finding; with it silence, a line of the report, and a bug
//! beside it is found all the same.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    self, Attempt, Capabilities, Capability, Check, Finding, Mapper, Mapping, Memory, Refusal,
    Report, Rights, Walker,
};
use ringfence::machine::paging::PageSize;

use crate::tables::Tables;

const P: u64 = 1;
const RW: u64 = 1 << 1;
const PS: u64 = 1 << 7;
const ADDRESS: u64 = ((1 << 52) - 1) & !0xfff;
/// A page that copies itself when it is written to.
const COPIED: u64 = 1 << 9;
/// A page, or a table, that is not present and in memory still.
const IN_TRANSITION: u64 = 1 << 11;

/// How a walker for dumps differs from the processor.
#[derive(Clone, Copy, Default)]
struct Kind {
    /// Takes every entry for a table until the last level.
    small_only: bool,
    reads_transition: bool,
    says_so: bool,
    ignores_present: bool,
}

struct Dump {
    memory: Memory,
    root: PhysAddr,
    kind: Kind,
}

impl Walker for Dump {
    fn knows(&self, size: PageSize) -> bool {
        size == PageSize::Kib4 || !(self.kind.small_only && self.kind.says_so)
    }

    fn own_bits(&self) -> u64 {
        if self.kind.reads_transition && self.kind.says_so { IN_TRANSITION } else { 0 }
    }

    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let virt = attempt.virt.0;
        if !matches!(virt >> 47, 0 | 0x1_ffff) {
            return None;
        }
        let mut table = self.root.raw();
        for level in (1..=4u32).rev() {
            let shift = 12 + 9 * (level - 1);
            let entry = self.memory.load(PhysAddr::truncated(table + 8 * (virt >> shift & 511)));
            let is_kept = self.kind.reads_transition && entry & IN_TRANSITION != 0;
            if entry & P == 0 && !is_kept && !self.kind.ignores_present {
                return None;
            }
            let is_large = entry & PS != 0 && level > 1 && !(self.kind.small_only && level < 4);
            let below = (1 << shift) - 1;
            let page = entry & ADDRESS;
            if is_large && (level == 4 || page & below & !0x1fff != 0) {
                return None;
            }
            if is_large || level == 1 {
                let address = PhysAddr::truncated(page & !below | virt & below);
                return Some(Mapping { address, size: None, rights: None });
            }
            table = page;
        }
        None
    }
}

fn dump(kind: Kind) -> Report {
    // A few kinds are enough, and each is minimised.
    let suite = conformance::walker(move |memory, root| Dump { memory, root, kind });
    suite.cases(1000).findings_max(2).run()
}

fn kinds(report: &Report) -> Vec<&str> {
    report.findings().iter().map(Finding::kind).collect()
}

#[test]
fn a_page_that_a_walker_reads_in_transition_is_not_drawn_for_one_that_says_so() {
    let kind = Kind { reads_transition: true, ..Kind::default() };

    let unsaid = dump(kind);
    let said = dump(Kind { says_so: true, ..kind });
    let wrong = dump(Kind { says_so: true, ignores_present: true, ..kind });

    let not_present = "translates through an entry that is not present";
    assert!(kinds(&unsaid)[0].starts_with(not_present), "{unsaid}");
    assert!(said.findings().is_empty(), "{said}");
    assert!(wrong.has(Check::Translation), "{wrong}");
    let line = "entries in which somebody else sets bits 0x800: its own".to_owned();
    assert!(said.skipped().contains(&line), "{said}");
}

#[test]
fn a_walker_that_knows_small_pages_only_is_not_asked_about_large_ones_when_it_says_so() {
    let kind = Kind { small_only: true, ..Kind::default() };

    let unsaid = dump(kind);
    let said = dump(Kind { says_so: true, ..kind });
    let wrong = dump(Kind { says_so: true, ignores_present: true, ..kind });

    let is_missed = |kind: &&str| kind.starts_with("misses a page of ");
    assert!(kinds(&unsaid).iter().any(is_missed), "{unsaid}");
    assert!(said.findings().is_empty(), "{said}");
    assert!(wrong.has(Check::Translation), "{wrong}");
    for line in ["pages of 2 MiB: not known", "pages of 1 GiB: not known"] {
        assert!(said.skipped().contains(&line.to_owned()), "{said}");
    }
}

#[test]
fn what_a_walker_does_not_tell_is_listed() {
    let report = dump(Kind::default());

    assert_eq!(
        report.skipped(),
        [
            "accesses that are to be refused for want of rights: not judged",
            "the size of a page: never told",
            "the rights of a page: never told",
        ],
        "{report}"
    );
}

#[test]
fn a_walk_is_told_entry_by_entry_at_the_levels_at_which_the_processor_reads_them() {
    let report = dump(Kind { ignores_present: true, ..Kind::default() });

    let story = report.findings()[0].to_string();
    let levels: Vec<&str> = story.lines().filter(|line| line.starts_with("    level ")).collect();
    assert!(levels[0].starts_with("    level 4  0x100000"), "{story}");
    assert!(levels[1].starts_with("    level 3  0x"), "{story}");
    assert!(story.contains(", 1 address; nothing can be left out"), "{story}");
    assert!(!story.contains("0 calls"), "{story}");
}

#[test]
fn a_table_where_there_is_no_memory_is_told_as_that() {
    /// Cuts addresses off at 48 bits.
    struct Short(Dump);
    impl Walker for Short {
        fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
            let mut table = self.0.root.raw();
            for level in (1..=4u32).rev() {
                let index = attempt.virt.0 >> (12 + 9 * (level - 1)) & 511;
                let entry = self.0.memory.load(PhysAddr::truncated(table + 8 * index));
                if entry & P == 0 {
                    return None;
                }
                table = entry & 0xffff_ffff_f000;
            }
            let address = PhysAddr::truncated(table | attempt.virt.0 & 0xfff);
            Some(Mapping { address, size: None, rights: None })
        }
        fn knows(&self, size: PageSize) -> bool {
            size == PageSize::Kib4
        }
    }
    let own = |memory, root| Short(Dump { memory, root, kind: Kind::default() });

    let report = conformance::walker(own).findings_max(6).run();

    let told = report.to_string();
    assert!(told.contains(", where there is no memory"), "{told}");
    assert!(told.contains("  there is no memory\n"), "{told}");
}

/// Takes a page with its mark for read-only, whatever the entry says.
struct CopyOnWrite {
    tables: Tables,
    memory: Memory,
    says_so: bool,
}

impl Mapper for CopyOnWrite {
    fn capabilities(&self) -> Capabilities {
        Capabilities::PLAIN
            .with(Capability::Query)
            .with(Capability::ForeignEntries)
            .with(Capability::AlteredTables)
    }

    fn own_bits(&self) -> u64 {
        if self.says_so { COPIED } else { 0 }
    }

    fn root(&self) -> PhysAddr {
        self.tables.root()
    }

    fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        size: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        if rights.has(Rights::USER) {
            return Err(Refusal::Declined("pages of the kernel only"));
        }
        self.tables.map(page, to, size, rights)
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.tables.unmap(page, size)
    }

    fn query(&mut self, virt: VirtAddr) -> Result<Option<Mapping>, Refusal> {
        let Some(found) = self.tables.query(virt)? else { return Ok(None) };
        let mut entry = self.tables.root().raw();
        for level in (1..=4u32).rev() {
            let index = virt.0 >> (12 + 9 * (level - 1)) & 511;
            entry = self.memory.load(PhysAddr::truncated((entry & ADDRESS) + 8 * index));
            if entry & PS != 0 {
                break;
            }
        }
        let hidden =
            if entry & (COPIED | RW) == COPIED | RW { Rights::WRITE } else { Rights::READ };
        let kept = Rights::from_bits(Rights::ALL.bits() & !hidden.bits());
        Ok(Some(Mapping { rights: found.rights.map(|rights| rights.within(kept)), ..found }))
    }
}

fn copy_on_write(says_so: bool) -> Report {
    let own = move |memory: Memory| {
        let tables = Tables::new(memory.clone(), None);
        CopyOnWrite { tables, memory, says_so }
    };
    conformance::mapper(own).cases(200).run()
}

#[test]
fn a_mark_that_means_something_to_a_mapper_is_not_set_by_others_when_it_says_so() {
    let unsaid = copy_on_write(false);
    let said = copy_on_write(true);

    assert_eq!(kinds(&unsaid), ["misses a right that is granted, write"], "{unsaid}");
    assert!(said.findings().is_empty(), "{said}");
    let line = "entries in which somebody else sets bits 0x200: its own".to_owned();
    assert!(said.skipped().contains(&line), "{said}");
}

#[test]
fn what_a_mapper_declines_is_listed_with_its_reason() {
    let told = copy_on_write(true).to_string();

    assert!(told.contains("declined   pages of the kernel only: "), "{told}");
}
