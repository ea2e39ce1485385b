//! What the person responsible for a machine wants to know of its page tables.
//!
//! What is reached is told whatever PKRU denies, which protects nothing from the process
//! ([`at_will`](super::permits::Permits::at_will)). `IA32_PKRS` is the kernel's own and is honoured.
//! *Rights* are what the entries say with R/W, U/S and XD; a protection key is none of them.

mod different;

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Frame, PhysAddr, VirtAddr};
use crate::machine::paging::PageSize;
use crate::machine::paging::x86_64::{Entry, EntryKind, Found, Reserved, Rights};

use super::frames::FrameUse;
use super::permits::Accesses;
use super::protections::level_name;
use super::space::Space;
use super::ways::{Mapping, Way, frames_of};
use different::different_rights;

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
    /// How many instances there are. Mappings that are alike are one.
    pub instances: u64,
    /// The first instances, in the order of addresses.
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
    find_first(space, usize::MAX)
}

/// The same with so many examples of each kind at most: what is only counted takes no memory.
#[must_use]
pub fn find_first(space: &Space, examples_max: usize) -> Findings {
    let mut mappings = space.ways.mappings(&space.image, &space.controls);
    let has_user = mappings.any(|mapping| mapping.reach.rights.has(Rights::USER));
    let both = Rights::from_bits(Rights::WRITABLE.bits() | Rights::EXECUTABLE.bits());
    let [by_user, written_by_user, written_by_kernel] = of_tables(space, examples_max);
    let of_mappings =
        |kind, is_one: &dyn Fn(&Mapping) -> bool| of_mappings(kind, space, examples_max, is_one);
    let findings = vec![
        of_mappings(Kind::UserInSystemHalf, &|mapping| {
            mapping.first.is_system() && mapping.reach.rights.has(Rights::USER)
        }),
        of_mappings(Kind::WritableAndExecutable, &|mapping| mapping.reach.rights.has(both)),
        by_user,
        written_by_user,
        written_by_kernel,
        different_rights(space, examples_max),
        of_mappings(Kind::KernelUnderUserRoot, &|mapping| {
            has_user && !mapping.reach.rights.has(Rights::USER)
        }),
        reserved_bits(space, examples_max),
        missing_tables(space, examples_max),
    ];
    Findings { sizes: sizes(space), findings }
}

/// The first few of many, in the order of their keys.
struct First<K, V> {
    max: usize,
    kept: BTreeMap<K, V>,
    count: u64,
}

impl<K: Ord, V> First<K, V> {
    fn new(max: usize) -> Self {
        Self { max, kept: BTreeMap::new(), count: 0 }
    }

    /// Takes one in; each has a key of its own.
    fn offer(&mut self, key: K, value: V) {
        self.count += 1;
        if self.kept.len() < self.max
            || self.kept.last_key_value().is_some_and(|(last, _)| key < *last)
        {
            self.kept.insert(key, value);
        }
        if self.kept.len() > self.max {
            self.kept.pop_last();
        }
    }

    /// A finding of which each is an instance.
    fn finding(self, kind: Kind, example: impl Fn(V) -> Example) -> Finding {
        let examples = self.kept.into_values().map(example).collect();
        Finding { kind, count: self.count, instances: self.count, examples }
    }
}

/// The rights that tables show: what a leaf adds for shadow stacks is left out.
fn shown(rights: Rights) -> Rights {
    Rights::from_bits(rights.bits() & Rights::ROOT.bits())
}

fn sizes(space: &Space) -> Vec<SizeRow> {
    let mut rows: BTreeMap<(PageSize, u8), SizeRow> = BTreeMap::new();
    for (index, ways) in space.ways_by_table().iter().enumerate() {
        for (slot, &entry) in (0u64..).zip(space.image.table(index)) {
            if entry & Entry::P == 0 {
                continue;
            }
            let mut met = BTreeSet::new();
            for way in ways {
                let found = way.using.found(&space.controls, slot, Entry(entry));
                let Some(Found::Leaf { reach, .. }) = found else { continue };
                let (size, rights) = (reach.size, shown(reach.rights));
                // User first, then the wider rights.
                let key = (size, !rights.bits().reverse_bits());
                let new = SizeRow { size, rights, mappings: 0, entries: 0 };
                let row = rows.entry(key).or_insert(new);
                row.mappings = row.mappings.saturating_add(way.count);
                row.entries += u64::from(met.insert(key));
            }
        }
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

fn of_mappings(
    kind: Kind,
    space: &Space,
    examples_max: usize,
    is_one: &dyn Fn(&Mapping) -> bool,
) -> Finding {
    let mut first = First::new(examples_max);
    let mut addresses = 0u64;
    for mapping in space.ways.mappings(&space.image, &space.controls).filter(is_one) {
        addresses = addresses.saturating_add(mapping.count);
        first.offer((mapping.first, mapping.at), mapping);
    }
    Finding { count: addresses, ..first.finding(kind, |mapping| example(&mapping)) }
}

/// Page tables that some page lets one access in some way; each once, by its first address.
fn of_tables(space: &Space, examples_max: usize) -> [Finding; 3] {
    let asked = [
        (Kind::TablesReadByUser, Accesses::USER),
        (Kind::TablesWrittenByUser, Accesses::USER_WRITE),
        (Kind::TablesWrittenByKernel, Accesses::KERNEL_WRITE),
    ];
    let mut found: [BTreeMap<u64, Mapping>; 3] = Default::default();
    for mapping in space.ways.mappings(&space.image, &space.controls) {
        let accesses = space.at_will.of(mapping.reach.rights, mapping.reach.leaf.key());
        let (first, count) = frames_of(&mapping.reach);
        let covered = space.frames.over(first..first + count);
        for frame in
            covered.filter(|(_, told)| told.has(FrameUse::TABLE)).flat_map(|(range, _)| range)
        {
            for (found, _) in
                found.iter_mut().zip(asked).filter(|(_, (_, wanted))| accesses.any(*wanted))
            {
                let kept = found.entry(frame).or_insert(mapping);
                if (mapping.first, mapping.at) < (kept.first, kept.at) {
                    *kept = mapping;
                }
            }
        }
    }
    let told = |found: BTreeMap<u64, Mapping>, kind| {
        let mut tables = First::new(examples_max);
        for (frame, mapping) in found {
            let virt = mapping.first.plus((frame - frames_of(&mapping.reach).0) << 12);
            tables.offer((virt, frame), (virt, frame, mapping));
        }
        tables.finding(kind, |(virt, frame, mapping)| Example {
            virt,
            frame: Frame(frame),
            frames: 1,
            ..example(&mapping)
        })
    };
    let [one, two, three] = found;
    [told(one, asked[0].0), told(two, asked[1].0), told(three, asked[2].0)]
}

fn reserved_bits(space: &Space, examples_max: usize) -> Finding {
    let reserved = Reserved::new(&space.controls);
    let mut found = First::new(examples_max);
    for (index, ways) in space.ways_by_table().iter().enumerate() {
        for (slot, &entry) in (0u64..).zip(space.image.table(index)) {
            let entry = Entry(entry);
            let is_reserved =
                |way: &&Way| entry.kind(way.using.level, reserved) == EntryKind::Reserved;
            let mut ways = ways.iter().filter(is_reserved);
            let Some(way) = ways.next() else { continue };
            let at = way.using.at.plus(8 * slot);
            let virt = way.using.first_of(&space.controls, slot);
            let addresses = ways.fold(way.count, |sum, way| sum.saturating_add(way.count));
            found.offer((virt, at), (way.using.level, entry, addresses, (virt, at)));
        }
    }
    found.finding(Kind::ReservedBits, |(level, entry, addresses, (virt, at))| Example {
        virt,
        frame: PhysAddr::truncated(entry.0 & Entry::ADDRESS).frame(),
        frames: 1,
        at,
        addresses,
        rights: format!(
            "{} entry {:#x}, reserved {:#x}",
            level_name(level),
            entry.0,
            entry.0 & reserved.at(level, entry)
        ),
    })
}

fn missing_tables(space: &Space, examples_max: usize) -> Finding {
    let examples = space.ways.missing.iter().take(examples_max).map(|missing| Example {
        virt: missing.first,
        frame: missing.frame,
        frames: 1,
        at: missing.at,
        addresses: 1,
        rights: format!("as a {} table", level_name(missing.level)),
    });
    let instances = space.ways.missing.len() as u64;
    let examples = examples.collect();
    Finding { kind: Kind::MissingTables, count: instances, instances, examples }
}
