//! What the person responsible for a machine wants to know of its page tables.
//!
//! What is reached is told whatever PKRU denies, which protects nothing from the process
//! ([`at_will`](super::permits::Permits::at_will)). `IA32_PKRS` is the kernel's own and is honoured.
//! *Rights* are what the entries say with R/W, U/S and XD; a protection key is none of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Frame, PhysAddr, VirtAddr};
use crate::machine::paging::PageSize;
use crate::machine::paging::x86_64::{Entry, EntryKind, Reserved, Rights};

use super::frames::FrameUse;
use super::permits::Accesses;
use super::protections::level_name;
use super::space::Space;
use super::ways::{Mapping, frames_of};

/// What may be found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Pages with U/S set in every entry on the way, in the half of address space that the kernel keeps.
    UserInSystemHalf,
    /// Pages that are both writable and executable by what the entries say.
    WritableAndExecutable,
    /// Page-table frames that a page of user mode covers: it may read them.
    TablesReadByUser,
    /// Page-table frames that a writable page of user mode covers.
    TablesWrittenByUser,
    /// Page-table frames that kernel mode may write through a page.
    TablesWrittenByKernel,
    /// Frames that pages with different rights lead to; with the same rights and different keys, none.
    DifferentRights,
    /// Pages of the kernel under a root that has user pages.
    KernelUnderUserRoot,
    /// Present entries with a reserved bit set.
    ReservedBits,
    /// Tables that are named and not in the image.
    MissingTables,
}

impl Kind {
    /// All, in the order of a report.
    pub const ALL: [Self; 9] = [
        Self::UserInSystemHalf,
        Self::WritableAndExecutable,
        Self::TablesReadByUser,
        Self::TablesWrittenByUser,
        Self::TablesWrittenByKernel,
        Self::DifferentRights,
        Self::KernelUnderUserRoot,
        Self::ReservedBits,
        Self::MissingTables,
    ];

    /// The name in tables and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UserInSystemHalf => "user-in-system-half",
            Self::WritableAndExecutable => "writable-and-executable",
            Self::TablesReadByUser => "tables-read-by-user",
            Self::TablesWrittenByUser => "tables-written-by-user",
            Self::TablesWrittenByKernel => "tables-written-by-kernel",
            Self::DifferentRights => "different-rights",
            Self::KernelUnderUserRoot => "kernel-under-user-root",
            Self::ReservedBits => "reserved-bits",
            Self::MissingTables => "missing-tables",
        }
    }

    /// What it means, in a few words; with what is counted.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::UserInSystemHalf => "user-accessible mappings in the system half",
            Self::WritableAndExecutable => "mappings both writable and executable",
            Self::TablesReadByUser => "page-table frames reachable from user mode",
            Self::TablesWrittenByUser => "page-table frames writable through a user alias",
            Self::TablesWrittenByKernel => "page-table frames writable through a kernel alias",
            Self::DifferentRights => "frames mapped more than once with different rights",
            Self::KernelUnderUserRoot => "kernel mappings visible under a user root",
            Self::ReservedBits => "entries with reserved bits set",
            Self::MissingTables => "page tables named but not in the image",
        }
    }
}

/// One instance of what was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Example {
    /// The first address.
    pub virt: VirtAddr,
    /// The first frame it leads to.
    pub frame: Frame,
    /// Frames from there on of which it is true.
    pub frames: u64,
    /// The entry that makes it so.
    pub at: PhysAddr,
    /// How many addresses it is true of; `u64::MAX` when more.
    pub addresses: u64,
    /// What is permitted, in words.
    pub rights: String,
}

/// What was found of one kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// How many mappings, frames or entries, as the kind's meaning says.
    pub count: u64,
    /// All instances, in the order of addresses. Mappings that are alike are one.
    pub examples: Vec<Example>,
}

/// Mappings of one size and with the same rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SizeRow {
    /// The size of the pages.
    pub size: PageSize,
    /// What all entries on the way allow.
    pub rights: Rights,
    /// Pages.
    pub mappings: u64,
    /// Leaf entries that make them; fewer where tables are shared.
    pub entries: u64,
}

/// Everything that is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Findings {
    /// By size, then user before kernel.
    pub sizes: Vec<SizeRow>,
    /// In the order of [`Kind::ALL`].
    pub findings: Vec<Finding>,
}

impl Findings {
    /// Pages in all.
    #[must_use]
    pub fn mappings(&self) -> u64 {
        self.sizes.iter().fold(0, |sum, row| sum.saturating_add(row.mappings))
    }
}

/// Rights as `user rwx` or `kernel r--`.
#[must_use]
pub fn rights_text(rights: Rights) -> String {
    let letter = |right, letter| if rights.has(right) { letter } else { '-' };
    format!(
        "{} r{}{}",
        if rights.has(Rights::USER) { "user" } else { "kernel" },
        letter(Rights::WRITABLE, 'w'),
        letter(Rights::EXECUTABLE, 'x')
    )
}

/// Goes through an address space.
#[must_use]
pub fn find(space: &Space) -> Findings {
    let mut mappings: Vec<Mapping> = space.ways.mappings(&space.image, &space.controls).collect();
    mappings.sort_unstable_by_key(|mapping| (mapping.first, mapping.at));
    let has_user = mappings.iter().any(|mapping| mapping.reach.rights.has(Rights::USER));
    let both = Rights::from_bits(Rights::WRITABLE.bits() | Rights::EXECUTABLE.bits());
    let findings = Kind::ALL.map(|kind| match kind {
        Kind::UserInSystemHalf => of_mappings(kind, &mappings, |mapping| {
            mapping.first.is_system() && mapping.reach.rights.has(Rights::USER)
        }),
        Kind::WritableAndExecutable => {
            of_mappings(kind, &mappings, |mapping| mapping.reach.rights.has(both))
        }
        Kind::KernelUnderUserRoot => of_mappings(kind, &mappings, |mapping| {
            has_user && !mapping.reach.rights.has(Rights::USER)
        }),
        Kind::TablesReadByUser => of_tables(kind, space, &mappings, Accesses::USER),
        Kind::TablesWrittenByUser => of_tables(kind, space, &mappings, Accesses::USER_WRITE),
        Kind::TablesWrittenByKernel => of_tables(kind, space, &mappings, Accesses::KERNEL_WRITE),
        Kind::DifferentRights => different_rights(&mappings),
        Kind::ReservedBits => reserved_bits(space),
        Kind::MissingTables => missing_tables(space),
    });
    Findings { sizes: sizes(&mappings), findings: findings.into() }
}

/// The rights that tables show: what a leaf adds for shadow stacks is left out.
fn shown(rights: Rights) -> Rights {
    Rights::from_bits(rights.bits() & Rights::ROOT.bits())
}

fn sizes(mappings: &[Mapping]) -> Vec<SizeRow> {
    let mut rows: BTreeMap<(PageSize, u8), SizeRow> = BTreeMap::new();
    let mut entries: BTreeSet<(PageSize, u8, PhysAddr)> = BTreeSet::new();
    for mapping in mappings {
        let (size, rights) = (mapping.reach.size, shown(mapping.reach.rights));
        // User first, then the wider rights.
        let order = !rights.bits().reverse_bits();
        let row =
            rows.entry((size, order)).or_insert(SizeRow { size, rights, mappings: 0, entries: 0 });
        row.mappings = row.mappings.saturating_add(mapping.count);
        row.entries += u64::from(entries.insert((size, order, mapping.at)));
    }
    rows.into_values().collect()
}

fn example(mapping: &Mapping) -> Example {
    let (frame, frames) = frames_of(&mapping.reach);
    Example {
        virt: mapping.first,
        frame: Frame(frame),
        frames,
        at: mapping.at,
        addresses: mapping.count,
        rights: rights_text(mapping.reach.rights),
    }
}

fn of_mappings(kind: Kind, mappings: &[Mapping], is_one: impl Fn(&Mapping) -> bool) -> Finding {
    let found = mappings.iter().filter(|mapping| is_one(mapping));
    let examples: Vec<Example> = found.map(example).collect();
    let sum = |sum: u64, example: &Example| sum.saturating_add(example.addresses);
    Finding { kind, count: examples.iter().fold(0, sum), examples }
}

/// Page tables that some page lets one access so; each once, by its first address.
fn of_tables(kind: Kind, space: &Space, mappings: &[Mapping], wanted: Accesses) -> Finding {
    let mut found: BTreeMap<u64, Example> = BTreeMap::new();
    for mapping in mappings {
        let reach = &mapping.reach;
        if !space.at_will.of(reach.rights, reach.leaf.key()).any(wanted) {
            continue;
        }
        let (first, count) = frames_of(reach);
        for (range, told) in space.frames.over(first..first + count) {
            if !told.has(FrameUse::TABLE) {
                continue;
            }
            for frame in range {
                found.entry(frame).or_insert_with(|| Example {
                    virt: mapping.first.plus((frame - first) << 12),
                    frame: Frame(frame),
                    frames: 1,
                    ..example(mapping)
                });
            }
        }
    }
    let mut examples: Vec<Example> = found.into_values().collect();
    examples.sort_by_key(|example| (example.virt, example.frame));
    Finding { kind, count: examples.len() as u64, examples }
}

/// Frames under several rights, in ranges that are alike.
fn different_rights(mappings: &[Mapping]) -> Finding {
    let mut edges: Vec<(u64, bool, usize)> = Vec::with_capacity(2 * mappings.len());
    for (index, mapping) in mappings.iter().enumerate() {
        let (first, count) = frames_of(&mapping.reach);
        edges.push((first, true, index));
        edges.push((first + count, false, index));
    }
    edges.sort_unstable();
    let mut finding = Finding { kind: Kind::DifferentRights, count: 0, examples: Vec::new() };
    // By rights, then by place in `mappings`, which is the order of addresses.
    let mut active: BTreeSet<(u8, usize)> = BTreeSet::new();
    let mut kinds = [0u64; 8];
    let mut from = 0;
    for &(at, starts, index) in &edges {
        if at > from && kinds.iter().filter(|count| **count > 0).count() > 1 {
            finding.count += at - from;
            finding.examples.push(differing(mappings, &active, from, at - from));
        }
        from = at;
        let rights = shown(mappings[index].reach.rights).bits();
        if starts {
            active.insert((rights, index));
            kinds[usize::from(rights)] += 1;
        } else {
            active.remove(&(rights, index));
            kinds[usize::from(rights)] -= 1;
        }
    }
    finding.examples.sort_by_key(|example| (example.virt, example.frame));
    finding
}

fn differing(
    mappings: &[Mapping],
    active: &BTreeSet<(u8, usize)>,
    frame: u64,
    frames: u64,
) -> Example {
    let mut told = Vec::new();
    for rights in 0..8 {
        if let Some((_, index)) = active.range((rights, 0)..=(rights, usize::MAX)).next() {
            let mapping = &mappings[*index];
            let (first, _) = frames_of(&mapping.reach);
            told.push((mapping.first.plus((frame - first) << 12), mapping));
        }
    }
    told.sort_by_key(|(virt, _)| *virt);
    let (virt, mapping) = told[0];
    let rights: Vec<String> = told
        .iter()
        .map(|(virt, mapping)| format!("{} at {virt}", rights_text(mapping.reach.rights)))
        .collect();
    Example {
        virt,
        frame: Frame(frame),
        frames,
        at: mapping.at,
        addresses: active
            .iter()
            .fold(0, |sum, (_, index)| sum.saturating_add(mappings[*index].count)),
        rights: rights.join(", "),
    }
}

fn reserved_bits(space: &Space) -> Finding {
    let reserved = Reserved::new(&space.controls);
    let mut found: BTreeMap<PhysAddr, Example> = BTreeMap::new();
    for way in &space.ways.all {
        for (index, &entry) in (0u64..).zip(space.image.table(way.table)) {
            let entry = Entry(entry);
            if entry.kind(way.using.level, reserved) != EntryKind::Reserved {
                continue;
            }
            let at = way.using.at.plus(8 * index);
            let bits = entry.0 & reserved.at(way.using.level, entry);
            let kept = found.entry(at).or_insert_with(|| Example {
                virt: way.using.first_of(&space.controls, index),
                frame: PhysAddr::truncated(entry.0 & Entry::ADDRESS).frame(),
                frames: 1,
                at,
                addresses: 0,
                rights: format!(
                    "{} entry {:#x}, reserved {bits:#x}",
                    level_name(way.using.level),
                    entry.0
                ),
            });
            kept.addresses = kept.addresses.saturating_add(way.count);
        }
    }
    let mut examples: Vec<Example> = found.into_values().collect();
    examples.sort_by_key(|example| (example.virt, example.at));
    Finding { kind: Kind::ReservedBits, count: examples.len() as u64, examples }
}

fn missing_tables(space: &Space) -> Finding {
    let examples = space.ways.missing.iter().map(|missing| Example {
        virt: missing.first,
        frame: missing.frame,
        frames: 1,
        at: missing.at,
        addresses: 1,
        rights: format!("as a {} table", level_name(missing.level)),
    });
    let examples: Vec<Example> = examples.collect();
    Finding { kind: Kind::MissingTables, count: examples.len() as u64, examples }
}
