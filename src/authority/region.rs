//! What the books say of a word, and who may therefore do what with it.
//!
//! All words of a region have the same entry, so entries are kept once and a word holds a number.
//! The sets of who may write and who may read are worked out when an entry is made, so that a load
//! or a store costs two look-ups in arrays.

use std::collections::BTreeMap;

use crate::base::{Principal, PrincipalKind, PrincipalSet, Roster, Structure, TraceHash};

/// The entry of a region.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Region {
    /// Whose it is; `None` when it is nobody's.
    pub owner: Option<Principal>,
    /// As what.
    pub structure: Structure,
    /// Who may also write it, until taken back.
    pub lent: PrincipalSet,
    /// Processes that have it mapped to read.
    pub shared_read: PrincipalSet,
    /// Processes that have it mapped to write.
    pub shared_write: PrincipalSet,
    /// Devices that may read it.
    pub dma_read: PrincipalSet,
    /// Devices that may write it.
    pub dma_write: PrincipalSet,
    /// Whose content may still be in it: it was released and not overwritten since.
    pub residue: Option<Principal>,
}

impl Region {
    /// Nobody's.
    pub const FREE: Self = Self {
        owner: None,
        structure: Structure::Free,
        lent: PrincipalSet::NOBODY,
        shared_read: PrincipalSet::NOBODY,
        shared_write: PrincipalSet::NOBODY,
        dma_read: PrincipalSet::NOBODY,
        dma_write: PrincipalSet::NOBODY,
        residue: None,
    };

    /// Somebody's, lent to nobody and shared with nobody.
    #[must_use]
    pub const fn of(owner: Principal, structure: Structure) -> Self {
        Self { owner: Some(owner), structure, ..Self::FREE }
    }

    /// Whether it is nobody's.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.owner.is_none()
    }

    /// Whose it is, of whatever is there. The code of an image that processes share is theirs together:
    /// they run it. The kernel, which loaded it and has it mapped in its own process, does not. Nor is a
    /// section the kernel's that processes have mapped.
    #[must_use]
    pub fn owners(&self) -> PrincipalSet {
        let sharing = match self.structure {
            Structure::Code => self.shared_read,
            Structure::SharedSection => self.shared_read.union(self.shared_write),
            _ => PrincipalSet::NOBODY,
        };
        let sharing = sharing.without(Principal::KERNEL);
        match self.owner {
            Some(_) if !sharing.is_empty() => sharing,
            Some(owner) => PrincipalSet::of(owner),
            None => PrincipalSet::NOBODY,
        }
    }

    /// Who may write it, each as the structure it is.
    ///
    /// | structure | writers |
    /// |---|---|
    /// | free memory | nobody |
    /// | code | the kernel, and only in kernel images: it loads them |
    /// | private data, user stack | its process |
    /// | shared section | its owner, and whoever has it mapped to write |
    /// | kernel stack | all of kernel mode: any code runs on any thread's stack, and has its frame there |
    /// | IOMMU table, DMA buffer | the kernel, the HAL, its owner; a DMA buffer of the kernel's: any driver |
    /// | file cache of the kernel's | also any file-system driver |
    /// | request packet, system buffer, driver data, driver and device object, pool block, object body | the kernel and its owner |
    /// | all other | the kernel |
    ///
    /// And whoever it was lent to; a device it was opened to. What only the kernel itself keeps is
    /// never user mode's to write, whatever was announced.
    #[must_use]
    pub fn writers(&self, roster: &Roster) -> PrincipalSet {
        let Some(owner) = self.owner else { return PrincipalSet::NOBODY };
        let kernel = PrincipalSet::of(Principal::KERNEL);
        let is_kernel_mode = roster.kind(owner).is_kernel_mode();
        let trusted = if is_kernel_mode { kernel.with(owner) } else { kernel };
        let own = match self.structure {
            Structure::Free => PrincipalSet::NOBODY,
            Structure::Code if is_kernel_mode => kernel,
            Structure::Code => PrincipalSet::NOBODY,
            Structure::UserData | Structure::UserStack => PrincipalSet::of(owner),
            Structure::SharedSection => self.shared_write.with(owner),
            Structure::KernelStack => those(roster, PrincipalKind::is_kernel_mode),
            Structure::IommuTable => trusted.with(Principal::HAL),
            Structure::DmaBuffer if owner == Principal::KERNEL => {
                those(roster, PrincipalKind::is_kernel_mode)
            }
            Structure::DmaBuffer => trusted.with(Principal::HAL),
            Structure::FileCache if owner == Principal::KERNEL => {
                trusted.union(those(roster, |kind| kind == PrincipalKind::FileSystem))
            }
            Structure::RequestPacket
            | Structure::SystemBuffer
            | Structure::DriverData
            | Structure::DriverObject
            | Structure::DeviceObject
            | Structure::FileCache
            | Structure::PoolBlock
            | Structure::ObjectBody => trusted,
            _ => kernel,
        };
        let lent = if self.structure.is_user() {
            self.lent
        } else {
            PrincipalSet(self.lent.0 & those(roster, PrincipalKind::is_kernel_mode).0)
        };
        own.union(lent).union(self.dma_write)
    }

    /// Who may read it: all of kernel mode, which shares one address space; the process whose private
    /// memory or code it is; whoever has it mapped; a device it was opened to.
    #[must_use]
    pub fn readers(&self, roster: &Roster) -> PrincipalSet {
        let mut readers = those(roster, PrincipalKind::is_kernel_mode)
            .union(self.shared_read)
            .union(self.shared_write)
            .union(self.dma_read);
        if let Some(owner) = self.owner
            && (self.structure.is_user() || self.structure == Structure::Code)
        {
            readers = readers.with(owner);
        }
        readers
    }

    /// Whether a store that means to write `intended` means what is here. A view of a section is
    /// plain data to the program that uses it.
    #[must_use]
    pub fn is_meant(&self, intended: Structure) -> bool {
        self.structure == intended
            || self.structure == Structure::SharedSection && intended == Structure::UserData
            || self.structure.is_user() && intended.is_user() && !self.lent.is_empty()
    }
}

/// Everybody of these kinds.
fn those(roster: &Roster, wanted: impl Fn(PrincipalKind) -> bool) -> PrincipalSet {
    let them = roster.iter().filter(|(_, entry)| wanted(entry.kind));
    them.fold(PrincipalSet::NOBODY, |set, (principal, _)| set.with(principal))
}

/// What a load or store looks up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rights {
    pub(super) writers: PrincipalSet,
    pub(super) readers: PrincipalSet,
    /// Those of the readers who learn nothing by it that was another's.
    pub(super) plain_readers: PrincipalSet,
    /// The structure, by its number, that a granted store without consequences means; [`WATCHED`]
    /// where every store has some.
    pub(super) plainly: u8,
}

/// No structure's number.
const WATCHED: u8 = u8::MAX;

impl Rights {
    /// Whether a granted store here has more consequences than none.
    pub(super) const fn is_watched(&self) -> bool {
        self.plainly == WATCHED
    }
}

/// The entries, by number. Number 0 is [`Region::FREE`].
#[derive(Clone, Debug)]
pub(super) struct Regions {
    regions: Vec<Region>,
    pub(super) rights: Vec<Rights>,
    /// What each adds to a fingerprint.
    prints: Vec<u64>,
    numbers: BTreeMap<Region, u16>,
    /// Numbers found last, in places that the entries choose: most are asked for again and again.
    recent: [u16; RECENT],
}

/// Numbers that are remembered.
const RECENT: usize = 64;

#[allow(clippy::cast_possible_truncation, reason = "six bits, as many as there are places")]
fn place_of(region: &Region) -> usize {
    let one = |principal: Option<Principal>| principal.map_or(0, |one| 1 + u64::from(one.0));
    let word = one(region.owner) ^ one(region.residue) << 8 ^ (region.structure as u64) << 16;
    let sets = region.lent.0 ^ region.shared_read.0.rotate_left(11) ^ region.dma_read.0;
    let sets = sets ^ region.shared_write.0.rotate_left(23) ^ region.dma_write.0.rotate_left(37);
    ((word.rotate_left(40) ^ sets).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize
}

impl Regions {
    pub(super) fn new(roster: &Roster) -> Self {
        let mut regions = Self {
            regions: Vec::new(),
            rights: Vec::new(),
            prints: Vec::new(),
            numbers: BTreeMap::new(),
            recent: [0; RECENT],
        };
        regions.number(roster, Region::FREE);
        regions
    }

    /// What an entry adds to a fingerprint.
    pub(super) fn print(&self, number: u16) -> u64 {
        self.prints[usize::from(number)]
    }

    pub(super) fn get(&self, number: u16) -> &Region {
        &self.regions[usize::from(number)]
    }

    pub(super) fn len(&self) -> usize {
        self.regions.len()
    }

    /// Forgets what was added since there were `len` entries.
    pub(super) fn truncate(&mut self, len: usize) {
        for region in self.regions.drain(len..) {
            self.numbers.remove(&region);
        }
        self.rights.truncate(len);
        self.prints.truncate(len);
    }

    /// The number of an entry, a new one if need be.
    pub(super) fn number(&mut self, roster: &Roster, region: Region) -> u16 {
        let place = place_of(&region);
        let recent = self.recent[place];
        if self.regions.get(usize::from(recent)) == Some(&region) {
            return recent;
        }
        if let Some(&number) = self.numbers.get(&region) {
            self.recent[place] = number;
            return number;
        }
        let number = u16::try_from(self.regions.len()).expect("a run has few different regions");
        self.regions.push(region);
        let is_watched = region.structure == Structure::PageTable
            || region.residue.is_some()
            || region.structure.is_user() && !region.lent.is_empty();
        let readers = region.readers(roster);
        // What another left is news to every process but that one.
        let learns = |one: Principal| roster.kind(one).is_process() && region.residue != Some(one);
        let plain_readers = match region.residue {
            None => readers,
            Some(_) => {
                readers.iter().filter(|one| learns(*one)).fold(readers, PrincipalSet::without)
            }
        };
        self.rights.push(Rights {
            writers: region.writers(roster),
            readers,
            plain_readers,
            plainly: if is_watched { WATCHED } else { region.structure as u8 },
        });
        let mut print = TraceHash::default();
        region.absorb(&mut print);
        let [high, low] = print.digest().words();
        self.prints.push(high ^ low);
        self.numbers.insert(region, number);
        number
    }
}
