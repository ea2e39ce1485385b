//! The tables that everybody walks, and the addresses they are asked for.

use ringfence::base::{Seed, Stream};

/// One frame, aligned as pointers to page tables must be.
#[repr(C, align(4096))]
#[derive(Clone)]
pub(crate) struct Frame(pub(crate) [u64; 512]);

/// What is mapped, and in which order it is asked for: uniformly at random.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// 64 pages of 4 KiB in a row.
    Near,
    /// 65,536 pages of 4 KiB in a row.
    Contiguous,
    /// 65,536 pages of 4 KiB anywhere in 16 GiB.
    Spread,
    /// 1,048,576 pages of 4 KiB anywhere in 64 GiB.
    Far,
    /// 4,096 pages of 2 MiB in a row.
    Large,
}

impl Workload {
    pub(crate) const ALL: [Self; 5] =
        [Self::Near, Self::Contiguous, Self::Spread, Self::Far, Self::Large];

    /// The head of its column.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Near => "64",
            Self::Contiguous => "64k",
            Self::Spread => "64k any",
            Self::Far => "1M any",
            Self::Large => "2 MiB",
        }
    }

    /// Pages, and the pages among which they are chosen.
    const fn pages(self) -> (usize, usize) {
        match self {
            Self::Near => (64, 64),
            Self::Contiguous => (1 << 16, 1 << 16),
            Self::Spread => (1 << 16, 1 << 22),
            Self::Far => (1 << 20, 1 << 24),
            Self::Large => (1 << 12, 1 << 12),
        }
    }

    /// Addresses in the sequence: few where the tables are in the first-level cache, so that the
    /// sequence itself does not displace them.
    const fn requests(self) -> usize {
        match self {
            Self::Near | Self::Large => 1 << 10,
            Self::Contiguous | Self::Spread => 1 << 16,
            Self::Far => 1 << 20,
        }
    }

    const fn page_shift(self) -> u32 {
        match self {
            Self::Large => 21,
            _ => 12,
        }
    }
}

/// The tables of one workload, for as long as the program runs.
#[derive(Clone, Copy)]
pub(crate) struct Tables {
    pub(crate) workload: Workload,
    /// Physical memory from address 0 up.
    pub(crate) frames: &'static [Frame],
    pub(crate) virts: &'static [u64],
    /// Where they lead.
    pub(crate) phys: &'static [u64],
}

/// Present, writable, user, accessed, dirty.
const ENTRY: u64 = 0x67;
/// In a leaf above the page table.
const LARGE: u64 = 0x80;
/// The first linear address; 512 GiB from there on have one PML4 entry.
const BASE: u64 = 0x5a80_0000_0000;
/// Physical address 0 means "none" to some.
const ROOT_FRAME: usize = 1;

impl Tables {
    /// The physical address of the root.
    pub(crate) const ROOT: u64 = (ROOT_FRAME as u64) << 12;

    pub(crate) fn new(workload: Workload) -> Self {
        let mut draw = Seed(7).stream("pages", 0);
        let (count, among) = workload.pages();
        let pages = chosen(&mut draw, count, among);
        let leaf_tables = among.div_ceil(512);
        let directories = match workload {
            Workload::Large => leaf_tables,
            _ => leaf_tables.div_ceil(512),
        };
        let page_tables = if workload == Workload::Large { 0 } else { leaf_tables };
        let first_directory = ROOT_FRAME + 2;
        let first_page_table = first_directory + directories;
        let mut frames = vec![Frame([0; 512]); first_page_table + page_tables];
        frames[ROOT_FRAME].0[(BASE >> 39) as usize & 511] = (ROOT_FRAME as u64 + 1) << 12 | ENTRY;
        for number in 0..directories {
            frames[ROOT_FRAME + 1].0[number] = ((first_directory + number) as u64) << 12 | ENTRY;
        }
        for number in 0..page_tables {
            frames[first_directory + number / 512].0[number % 512] =
                ((first_page_table + number) as u64) << 12 | ENTRY;
        }
        let first_leaf = if page_tables == 0 { first_directory } else { first_page_table };
        let size = if page_tables == 0 { LARGE } else { 0 };
        for &page in &pages {
            frames[first_leaf + page / 512].0[page % 512] = target(workload, page) | ENTRY | size;
        }
        let offsets = (1 << workload.page_shift()) - 1;
        let (virts, phys) = (0..workload.requests())
            .map(|_| {
                let page = pages[draw.index(pages.len())];
                let offset = draw.word() & offsets;
                let virt = BASE + ((page as u64) << workload.page_shift());
                (virt | offset, target(workload, page) | offset)
            })
            .collect::<(Vec<_>, Vec<_>)>();
        Self { workload, frames: frames.leak(), virts: virts.leak(), phys: phys.leak() }
    }

    /// The host's address of physical address 0.
    pub(crate) fn base(&self) -> *const u8 {
        self.frames.as_ptr().cast()
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> &'static [u8] {
        let len = std::mem::size_of_val(self.frames);
        // SAFETY: frames are arrays of integers without padding, alive for good and never changed.
        unsafe { std::slice::from_raw_parts(self.base(), len) }
    }

    /// All words.
    pub(crate) fn words(&self) -> &'static [u64] {
        // SAFETY: as above, and aligned to more than a word.
        unsafe { std::slice::from_raw_parts(self.base().cast(), self.frames.len() * 512) }
    }
}

/// Where a page lies: somewhere that no table is.
fn target(workload: Workload, page: usize) -> u64 {
    (1 << 38) + ((page as u64 ^ 0x55) << workload.page_shift())
}

/// `count` different numbers below `among`, in order.
fn chosen(draw: &mut Stream, count: usize, among: usize) -> Vec<usize> {
    if count == among {
        return (0..among).collect();
    }
    let mut is_chosen = vec![false; among];
    let mut left = count;
    while left > 0 {
        let number = draw.index(among);
        left -= usize::from(!std::mem::replace(&mut is_chosen[number], true));
    }
    (0..among).filter(|&number| is_chosen[number]).collect()
}
