//! Where does an address lead?
//!
//! The walk only reads. What it would write — accessed and dirty bits — is part of its answer, for
//! the caller to [`apply`](super::apply). After a fault nothing is to be written: the manual leaves
//! accessed bits open there, and this processor sets none.

use super::controls::{Controls, Request};
use super::entry::{Entry, EntryKind, Level, Reserved};
use super::exception::{Exception, PageFaultCode};
use super::marks::Marks;
use super::rights::{Rights, refusal};
use crate::base::{Access, PhysAddr, VirtAddr};
use crate::machine::paging::{PageSize, TableMemory};

/// One entry that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Where it lies.
    pub at: PhysAddr,
    /// Its bits as read.
    pub entry: Entry,
}

/// The entries that were read, from the root down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    steps: [Step; Self::STEPS_MAX],
    len: u8,
    top: Level,
}

impl Path {
    /// Levels of 5-level paging: no walk reads more entries.
    pub const STEPS_MAX: usize = 5;

    #[inline(always)]
    const fn new(top: Level) -> Self {
        let nothing = Step { at: PhysAddr::truncated(0), entry: Entry(0) };
        Self { steps: [nothing; Self::STEPS_MAX], len: 0, top }
    }

    #[inline(always)]
    fn push(&mut self, step: Step) {
        if let Some(slot) = self.steps.get_mut(usize::from(self.len)) {
            *slot = step;
            self.len += 1;
        }
    }

    /// The entries read; the last is where the walk ended.
    #[must_use]
    #[inline(always)]
    pub fn steps(&self) -> &[Step] {
        self.steps.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The level of the first entry.
    #[must_use]
    pub const fn top(&self) -> Level {
        self.top
    }
}

/// What an address leads to, before anybody asks who wants it and what for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reach {
    /// The first byte of the page.
    pub page: PhysAddr,
    /// Its size.
    pub size: PageSize,
    /// What every entry on the way allows.
    pub rights: Rights,
    /// The leaf entry.
    pub leaf: Entry,
}

/// A translation that exists and permits what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Walk {
    /// The physical address of the byte.
    pub address: PhysAddr,
    /// How much the leaf maps.
    pub size: PageSize,
    /// What every entry on the way allows.
    pub rights: Rights,
    /// The leaf is global and CR4.PGE is on.
    pub global: bool,
    /// The protection key of the leaf, whether or not keys are on.
    pub key: u8,
    /// The leaf's dirty bit is set once the [`marks`](Self::marks) are applied.
    pub leaf_is_dirty: bool,
    /// The bits this use of the translation sets.
    pub marks: Marks,
    /// The entries that were used.
    pub path: Path,
}

enum End {
    NotPresent,
    Reserved,
    Page(Reach),
}

/// Reads entries from the root down until one of them ends the walk; each is shown to `visit`.
#[inline(always)]
fn descend(
    memory: &impl TableMemory,
    controls: &Controls,
    virt: VirtAddr,
    mut visit: impl FnMut(Step),
) -> End {
    let reserved = Reserved::new(controls);
    let mut level = Level::top(controls);
    let mut table = controls.root();
    let mut rights = Rights::ROOT;
    // A page table names no further table, so the loop ends after at most `STEPS_MAX` turns.
    loop {
        let at = table.plus(8 * level.index(virt));
        let entry = Entry(memory.entry(at));
        visit(Step { at, entry });
        match entry.kind(level, reserved) {
            EntryKind::NotPresent => return End::NotPresent,
            EntryKind::Reserved => return End::Reserved,
            EntryKind::Leaf(page, size) => {
                let rights = rights.through_leaf(entry);
                return End::Page(Reach { page, size, rights, leaf: entry });
            }
            EntryKind::Table(below) => {
                rights = rights.through_table(entry);
                table = below;
                level = level.below();
            }
        }
    }
}

/// Translates the address of `request` and checks that it may do what it asks for.
///
/// # Errors
///
/// The exception the processor raises. In order: a general protection for an address that is not
/// canonical; at each level from the root a page fault for an entry that is not present, then for
/// a reserved bit; last a page fault for rights that are missing. No accessed or dirty bit is set.
#[inline]
pub fn walk(
    memory: &impl TableMemory,
    controls: &Controls,
    request: &Request,
) -> Result<Walk, Exception> {
    let virt = request.virt;
    if !controls.is_canonical(virt) {
        return Err(Exception::GeneralProtection);
    }
    let page_fault = |bits| {
        let code = PageFaultCode::of_access(controls, request).with(bits);
        Err(Exception::PageFault { virt, code })
    };
    let mut path = Path::new(Level::top(controls));
    let mut in_all = u64::MAX;
    let visit = |step: Step| {
        path.push(step);
        in_all &= step.entry.0;
    };
    let reach = match descend(memory, controls, virt, visit) {
        End::NotPresent => return page_fault(0),
        End::Reserved => return page_fault(PageFaultCode::P | PageFaultCode::RSVD),
        End::Page(reach) => reach,
    };
    let key = reach.leaf.key();
    if let Some(refusal) = refusal(controls, request, reach.rights, key) {
        let by_key = if refusal.by_key { PageFaultCode::PK } else { 0 };
        return page_fault(PageFaultCode::P | by_key);
    }
    let writes = request.access == Access::Write;
    // Mostly everything is marked already.
    let is_marked = in_all & Entry::A != 0 && (!writes || reach.leaf.has(Entry::D));
    Ok(Walk {
        address: reach.page.plus(virt.0 & (reach.size.bytes() - 1)),
        size: reach.size,
        rights: reach.rights,
        global: reach.is_global(controls),
        key,
        leaf_is_dirty: writes || reach.leaf.has(Entry::D),
        marks: if is_marked { Marks::default() } else { Marks::of(&path, writes) },
        path,
    })
}

/// What `virt` leads to, whoever asks: `None` when it is not canonical, not mapped, or mapped
/// through a reserved bit.
#[must_use]
#[inline]
pub fn lookup(memory: &impl TableMemory, controls: &Controls, virt: VirtAddr) -> Option<Reach> {
    if !controls.is_canonical(virt) {
        return None;
    }
    match descend(memory, controls, virt, |_| ()) {
        End::Page(reach) => Some(reach),
        End::NotPresent | End::Reserved => None,
    }
}

/// The entries a walk for `virt` reads, however it ends: what explains a fault. Nothing is read for
/// an address that is not canonical.
#[must_use]
pub fn path(memory: &impl TableMemory, controls: &Controls, virt: VirtAddr) -> Path {
    let mut path = Path::new(Level::top(controls));
    if controls.is_canonical(virt) {
        descend(memory, controls, virt, |step| path.push(step));
    }
    path
}

impl Walk {
    /// What the way allows once the [`marks`](Self::marks) are applied: what a processor remembers.
    ///
    /// It differs from the [`rights`](Self::rights), which are those of the entries as read, in one
    /// case: with CR0.WP off a supervisor's write sets the dirty bit of a read-only page, and below
    /// writable tables that makes a shadow-stack page of it (Intel SDM volume 3A, "Determination of
    /// Access Rights").
    #[must_use]
    #[inline]
    pub fn rights_once_marked(&self) -> Rights {
        match self.path.steps() {
            [tables @ .., leaf] if self.leaf_is_dirty && !leaf.entry.has(Entry::D) => {
                let above =
                    tables.iter().fold(Rights::ROOT, |above, step| above.through_table(step.entry));
                let marked = above.through_leaf(Entry(leaf.entry.0 | Entry::D)).bits();
                Rights::from_bits(self.rights.bits() | marked & Rights::SHADOW_STACK.bits())
            }
            _ => self.rights,
        }
    }
}

impl Reach {
    /// Whether the translation outlives a load of CR3.
    #[must_use]
    #[inline(always)]
    pub const fn is_global(&self, controls: &Controls) -> bool {
        self.leaf.has(Entry::G) && controls.flags.has(super::ControlFlags::PGE)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sparse::{Sparse, TABLE, address};
    use super::super::{ControlFlags, Vendor};
    use super::*;
    use crate::base::Ring;

    const INDICES: [u64; 4] = [0x155, 3, 5, 7];

    fn virt() -> VirtAddr {
        address(INDICES, 0xabc)
    }

    /// Tables for [`virt`] with these entries, from the PML4E down.
    fn tables(entries: [u64; 4]) -> Sparse {
        let pairs: Vec<_> = INDICES.into_iter().zip(entries).collect();
        Sparse::new(&pairs)
    }

    fn small(leaf: u64) -> Sparse {
        tables([0x2000 | TABLE, 0x3000 | TABLE, 0x4000 | TABLE, leaf])
    }

    fn read() -> Request {
        Request::new(virt(), Access::Read, Ring::Kernel)
    }

    /// The error code of a user's read.
    fn code(memory: &Sparse, controls: &Controls) -> u32 {
        let request = Request::new(virt(), Access::Read, Ring::User);
        match walk(memory, controls, &request) {
            Err(Exception::PageFault { virt: cr2, code }) => {
                assert_eq!(cr2, virt());
                code.0
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_page_size_keeps_its_own_low_bits_of_the_address() {
        let pages = [
            (small(0x12_3456_7000 | TABLE), 0x12_3456_7abc, PageSize::Kib4, 4),
            (
                tables([0x2000 | TABLE, 0x3000 | TABLE, 0x12_3440_0087, 0]),
                0x12_3440_7abc,
                PageSize::Mib2,
                3,
            ),
            (tables([0x2000 | TABLE, 0x12_4000_0087, 0, 0]), 0x12_40a0_7abc, PageSize::Gib1, 2),
        ];
        for (memory, address, size, entries) in pages {
            let found = walk(&memory, &Sparse::controls(), &read()).expect("mapped");

            assert_eq!((found.address.raw(), found.size), (address, size));
            assert_eq!(found.rights, Rights::ROOT);
            assert_eq!(found.path.steps().len(), entries);
            assert_eq!(memory.reads.get() as usize, entries);
        }
    }

    #[test]
    fn five_levels_read_one_entry_more() {
        let virt = VirtAddr(0x0042_0000_0000_0000 | virt().0 & 0xffff_ffff_ffff);
        let mut pairs = vec![(0x42, 0x2000 | TABLE)];
        let below = [0x3000 | TABLE, 0x4000 | TABLE, 0x5000 | TABLE, 0x9000 | TABLE];
        pairs.extend(INDICES.into_iter().zip(below));
        let memory = Sparse::new(&pairs);
        let flags = Sparse::controls().flags | ControlFlags::LA57;
        let controls = Controls { flags, ..Sparse::controls() };

        let found = walk(&memory, &controls, &Request { virt, ..read() }).expect("mapped");

        assert_eq!(found.address.raw(), 0x9abc);
        assert_eq!((found.path.top(), found.path.steps().len()), (Level::Pml5, 5));
        assert_eq!(found.marks.items().len(), 5);
        let four = Sparse::controls();
        assert_eq!(
            walk(&memory, &four, &Request { virt, ..read() }),
            Err(Exception::GeneralProtection)
        );
        assert_eq!(lookup(&memory, &four, virt), None);
        assert_eq!(path(&memory, &four, virt).steps(), []);
    }

    #[test]
    fn the_first_entry_that_ends_the_walk_decides() {
        let reserved = 0x2000 | TABLE | 1 << 45;
        let controls = Sparse::controls();

        assert_eq!(code(&tables([0, reserved, 0, 0]), &controls), 4);
        assert_eq!(code(&tables([reserved, 0, 0, 0]), &controls), 0xd);
        assert_eq!(code(&tables([0x2000 | TABLE, 0x3000 | TABLE, 0, 0]), &controls), 4);
        assert_eq!(code(&small(0x9000 | TABLE | 1 << 45), &controls), 0xd);
        assert_eq!(code(&small(0x9000 | Entry::P), &controls), 5);
    }

    #[test]
    fn a_protection_key_is_told_beside_other_reasons() {
        let flags = Sparse::controls().flags | ControlFlags::PKE | ControlFlags::PKS;
        let controls = Controls { flags, pkru: 1 << 10, pkrs: 1 << 10, ..Sparse::controls() };
        let key = 5 << 59;

        assert_eq!(code(&small(0x9000 | TABLE | key), &controls), 0x25);
        assert_eq!(code(&small(0x9000 | Entry::P), &controls), 5);
        // Supervisor mode writes a read-only page; of its keys user mode is not told.
        let request = Request::new(virt(), Access::Write, Ring::Kernel);
        let flags = flags | ControlFlags::WP;
        let code_of = |leaf| walk(&small(leaf), &Controls { flags, ..controls }, &request);
        let fault = |code| Err(Exception::PageFault { virt: virt(), code: PageFaultCode(code) });
        assert_eq!(code_of(0x9000 | Entry::P | key), fault(0x23));
        assert_eq!(code_of(0x9000 | Entry::P), fault(3));
        assert_eq!(code(&small(0x9000 | Entry::P | key), &controls), 5);
    }

    #[test]
    fn what_is_found_says_what_its_entries_say() {
        let leaf = 0x9000 | Entry::P | Entry::US | Entry::G | Entry::D | 9 << 59;
        let pge =
            Controls { flags: Sparse::controls().flags | ControlFlags::PGE, ..Sparse::controls() };

        let global = walk(&small(leaf), &pge, &read()).expect("mapped");
        let local = walk(&small(leaf), &Sparse::controls(), &read()).expect("mapped");
        let not = walk(&small(leaf & !Entry::G), &pge, &read()).expect("mapped");

        assert_eq!((global.global, local.global, not.global), (true, false, false));
        assert_eq!((global.key, global.leaf_is_dirty), (9, true));
        assert_eq!(global.rights.bits(), 1 | 4 | 8);
        let clean = small(0x9000 | TABLE);
        let is_dirty = |access| {
            let request = Request { access, ..read() };
            walk(&clean, &pge, &request).expect("mapped").leaf_is_dirty
        };
        assert_eq!([Access::Read, Access::Write].map(is_dirty), [false, true]);
    }

    #[test]
    fn a_look_up_asks_for_no_right() {
        let memory = small(0x9000 | Entry::P);
        let controls = Sparse::controls();

        let reach = lookup(&memory, &controls, virt()).expect("mapped");

        assert_eq!((reach.page.raw(), reach.size), (0x9000, PageSize::Kib4));
        assert_eq!((reach.rights, reach.leaf.0), (Rights::EXECUTABLE, 0x9001));
        assert_eq!(lookup(&memory, &controls, virt().plus(4096)), None);
        assert_eq!(lookup(&small(0x9001 | 1 << 45), &controls, virt()), None);
    }

    #[test]
    fn the_path_is_what_was_read_however_it_ended() {
        let memory = tables([0x2000 | TABLE, 0x3000 | TABLE, 0x4000, 0x9000 | TABLE]);

        let path = path(&memory, &Sparse::controls(), virt());

        let steps: Vec<_> = path.steps().iter().map(|step| (step.at.raw(), step.entry.0)).collect();
        assert_eq!(steps, [(0x1aa8, 0x2007), (0x2018, 0x3007), (0x3028, 0x4000)]);
        assert_eq!(path.top(), Level::Pml4);
    }

    #[test]
    fn bit_8_of_a_pml4_entry_is_a_question_of_the_vendor() {
        let memory =
            tables([0x2000 | TABLE | Entry::G, 0x3000 | TABLE, 0x4000 | TABLE, 0x9000 | TABLE]);
        let intel = Sparse::controls();
        let amd = Controls { vendor: Vendor::Amd, ..intel };

        assert!(walk(&memory, &intel, &read()).is_ok());
        assert_eq!(code(&memory, &amd), 0xd);
    }
}
