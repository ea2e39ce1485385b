//! A crate under test, as somebody else would have it: it knows nothing of `ringfence`. Pages of 4 KiB, four
//! levels, and one bug.
//!
//! `tests/conformance/standalone.rs` compiles this file a second time, beside tests that the suite printed.

#![allow(unreachable_pub, reason = "it stands for a crate of its own")]

/// What its user gives it.
pub trait Host {
    /// The entry at an address.
    fn load(&self, at: u64) -> u64;
    /// Stores an entry.
    fn store(&self, at: u64, entry: u64);
    /// A frame.
    fn allocate(&self) -> Option<u64>;
    /// Takes a frame back.
    fn free(&self, at: u64);
    /// Forgets a page.
    fn invalidate(&self, at: u64);
}

/// One bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// Translates an entry that is not present.
    TranslatesHidden,
    /// Does not invalidate what it unmaps.
    ForgetsToInvalidate,
    /// Frees a table and invalidates then.
    FreesBeforeInvalidating,
    /// Frees no table but the root.
    Leaks,
    /// Keeps the right to write.
    KeepsWrite,
    /// Unmaps the page behind it too.
    UnmapsNeighbour,
    /// Refuses to unmap a page with bit 7 set, which is its memory type.
    RefusesPat,
    /// Reports that what is not mapped was unmapped.
    UnmapsNothing,
    /// Writes to the page that it unmaps.
    WritesToPage,
    /// Panics when it gets no frame.
    PanicsWithoutFrame,
    /// Links a table before it is cleared.
    LinksBeforeClearing,
    /// Mapping a page takes out the one behind it.
    ClearsNext,
    /// When the page is not there whose rights it is to change, it frees the table if that is empty, and invalidates
    /// nothing.
    PrunesWhenRefusing,
}

/// What it refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// There is no frame.
    NoFrame,
    /// Something is mapped.
    Mapped,
    /// Nothing is mapped.
    NotMapped,
    /// An entry is malformed, or of another size.
    Other,
}

/// Tables.
pub struct Small<H: Host> {
    host: H,
    root: u64,
    bug: Option<Bug>,
}

const P: u64 = 1;
const PS: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

fn at(table: u64, level: u64, virt: u64) -> u64 {
    table + 8 * (virt >> (3 + 9 * level) & 511)
}

impl<H: Host> Small<H> {
    /// Empty tables.
    pub fn new(host: H, bug: Option<Bug>) -> Self {
        let root = host.allocate().expect("a frame for the root");
        (0..512).for_each(|index| host.store(root + 8 * index, 0));
        Self { host, root, bug }
    }

    /// The root.
    pub fn root(&self) -> u64 {
        self.root
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// Where the last entry of a walk lies; tables are made if there is something to map.
    fn find(&self, virt: u64, makes: bool) -> Result<u64, Error> {
        let mut table = self.root;
        for level in [4, 3, 2] {
            let slot = at(table, level, virt);
            let mut entry = self.host.load(slot);
            if entry & P == 0 {
                if !makes {
                    return Err(Error::NotMapped);
                }
                let made = self.host.allocate();
                if self.has(Bug::PanicsWithoutFrame) {
                    made.expect("a frame");
                }
                entry = made.ok_or(Error::NoFrame)? | P | 6;
                if self.has(Bug::LinksBeforeClearing) {
                    self.host.store(slot, entry);
                }
                (0..512).for_each(|index| self.host.store((entry & ADDRESS) + 8 * index, 0));
                self.host.store(slot, entry);
            }
            if entry & PS != 0 {
                return Err(Error::Other);
            }
            table = entry & ADDRESS;
        }
        Ok(at(table, 1, virt))
    }

    /// Maps a page.
    pub fn map(&mut self, virt: u64, to: u64, flags: u64) -> Result<(), Error> {
        let slot = self.find(virt, true)?;
        if self.host.load(slot) & P != 0 {
            return Err(Error::Mapped);
        }
        self.host.store(slot, to | flags | P);
        if self.has(Bug::ClearsNext) && slot & 0xff8 != 0xff8 {
            self.host.store(slot + 8, 0);
        }
        Ok(())
    }

    /// Unmaps a page.
    pub fn unmap(&mut self, virt: u64) -> Result<u64, Error> {
        let slot = self.find(virt, false)?;
        let entry = self.host.load(slot);
        if entry & P == 0 && !self.has(Bug::UnmapsNothing) {
            return Err(Error::NotMapped);
        }
        if entry & PS != 0 && self.has(Bug::RefusesPat) {
            return Err(Error::Other);
        }
        self.host.store(slot, 0);
        if self.has(Bug::UnmapsNeighbour) && slot & 0xff8 != 0xff8 {
            self.host.store(slot + 8, 0);
        }
        if self.has(Bug::WritesToPage) {
            self.host.store(entry & ADDRESS, 0x1234);
        }
        if !self.has(Bug::ForgetsToInvalidate) {
            self.host.invalidate(virt);
            self.host.invalidate(virt + 4096);
        }
        Ok(entry & ADDRESS)
    }

    /// Gives a page other rights.
    pub fn protect(&mut self, virt: u64, flags: u64) -> Result<(), Error> {
        let slot = self.find(virt, false)?;
        let entry = self.host.load(slot);
        if entry & P == 0 {
            if self.has(Bug::PrunesWhenRefusing) {
                self.prune(virt);
            }
            return Err(Error::NotMapped);
        }
        let kept = if self.has(Bug::KeepsWrite) { entry & 2 } else { 0 };
        self.host.store(slot, entry & !(6 | 1 << 63) | flags | kept);
        self.host.invalidate(virt);
        Ok(())
    }

    /// Where an address leads.
    pub fn query(&self, virt: u64) -> Option<u64> {
        let is_canonical = [0, 0x1_ffff].contains(&(virt >> 47));
        let entry = self.host.load(self.find(virt, false).ok()?);
        let is_hidden = entry & P == 0 && !(self.has(Bug::TranslatesHidden) && entry != 0);
        (is_canonical && !is_hidden).then_some(entry & ADDRESS | virt & 0xfff)
    }

    /// Frees tables of the last level that are empty.
    pub fn clean_up(&mut self) {
        self.clean(self.root, 4);
    }

    fn prune(&self, virt: u64) {
        let slot = [4, 3]
            .into_iter()
            .fold(self.root, |table, level| self.host.load(at(table, level, virt)) & ADDRESS);
        let slot = at(slot, 2, virt);
        let below = self.host.load(slot) & ADDRESS;
        if (0..512).all(|index| self.host.load(below + 8 * index) == 0) {
            self.host.store(slot, 0);
            self.host.free(below);
        }
    }

    fn clean(&self, table: u64, level: u64) {
        for slot in (0..512).map(|index| table + 8 * index) {
            let entry = self.host.load(slot);
            if entry & P == 0 || entry & PS != 0 {
                continue;
            }
            let below = entry & ADDRESS;
            if level > 2 {
                self.clean(below, level - 1);
            } else if (0..512).all(|index| self.host.load(below + 8 * index) == 0) {
                self.host.store(slot, 0);
                if self.has(Bug::FreesBeforeInvalidating) {
                    self.host.free(below);
                    self.host.invalidate(0);
                } else {
                    self.host.invalidate(0);
                    self.host.free(below);
                }
            }
        }
    }

    fn release(&self, table: u64, level: u64) {
        for slot in (0..512).map(|index| table + 8 * index) {
            let entry = self.host.load(slot);
            if level > 1 && entry & P != 0 && entry & PS == 0 {
                self.release(entry & ADDRESS, level - 1);
                if !self.has(Bug::Leaks) {
                    self.host.free(entry & ADDRESS);
                }
            }
        }
    }
}

impl<H: Host> Drop for Small<H> {
    fn drop(&mut self) {
        self.release(self.root, 4);
        self.host.free(self.root);
    }
}
