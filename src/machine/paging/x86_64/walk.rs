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

impl Reach {
    /// Whether the translation outlives a load of CR3.
    #[must_use]
    #[inline(always)]
    pub const fn is_global(&self, controls: &Controls) -> bool {
        self.leaf.has(Entry::G) && controls.flags.has(super::ControlFlags::PGE)
    }
}
