//! How a test without the suite drives the crate `x86_64`.

use ringfence::conformance::{Call, Rights};
use ringfence::machine::paging::PageSize;

/// What both kinds of tables need.
const COMMON: &str = "
#[allow(unused_imports)]
use x86_64::structures::paging::mapper::{CleanUp, Translate};
#[allow(unused_imports)]
use x86_64::structures::paging::{
    FrameAllocator, FrameDeallocator, Mapper, Page, PageTable, PageTableFlags, PhysFrame, Size1GiB,
    Size2MiB, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

struct Frames;
unsafe impl FrameAllocator<Size4KiB> for Frames {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        Some(PhysFrame::containing_address(PhysAddr::new(allocate()?)))
    }
}
impl FrameDeallocator<Size4KiB> for Frames {
    unsafe fn deallocate_frame(&mut self, frame: PhysFrame) {
        free(frame.start_address().as_u64());
    }
}
let root: *mut PageTable = pointer(allocate_zeroed().unwrap()).cast();
";

const OFFSET: &str = "
use x86_64::structures::paging::OffsetPageTable;
let mut tables = unsafe { OffsetPageTable::new(&mut *root, VirtAddr::new(offset())) };
";

const MAPPED: &str = "
use x86_64::structures::paging::MappedPageTable;
let pointers = |frame: PhysFrame| pointer(frame.start_address().as_u64()).cast();
let mut tables = unsafe { MappedPageTable::new(&mut *root, pointers) };
";

/// Which tables.
#[derive(Clone, Copy)]
pub(super) enum Spelling {
    Offset,
    Mapped,
}

impl Spelling {
    pub(super) fn setup(self) -> String {
        let tables = match self {
            Self::Offset => OFFSET,
            Self::Mapped => MAPPED,
        };
        format!("{}{}", COMMON, tables.trim_start())
    }

    pub(super) fn call(self, call: &Call) -> Option<String> {
        let range = |first: u64, bytes: u64| {
            let first = page(first, PageSize::Kib4);
            format!("Page::range({first}, {first} + {})", bytes / 4096)
        };
        Some(match *call {
            Call::Map { page: at, to, size, rights } => {
                let to = format!("{:#x}", to.raw());
                map(&page(at.0, size), &to, rights)
            }
            Call::Unmap { page: at, size } => {
                format!("tables.unmap({}).map(|(_, flush)| flush.ignore())", page(at.0, size))
            }
            Call::Protect { page: at, size, rights } => protect(&page(at.0, size), rights),
            Call::Query { virt } => {
                format!("tables.translate_addr(VirtAddr::new({virt})).map(|at| at.as_u64())")
            }
            Call::MapRange { first, to, bytes, rights } => {
                let to = format!("{:#x} + 0x1000 * number", to.raw());
                format!(
                    "{}.zip(0..).try_for_each(|(page, number)| {{\n    {}\n}})",
                    range(first.0, bytes),
                    map("page", &to, rights).replace('\n', "\n    ")
                )
            }
            Call::UnmapRange { first, bytes } => format!(
                "{}\n    .try_for_each(|page| tables.unmap(page).map(|(_, flush)| flush.ignore()))",
                range(first.0, bytes)
            ),
            Call::ProtectRange { first, bytes, rights } => format!(
                "{}.try_for_each(|page| {{\n    {}\n}})",
                range(first.0, bytes),
                protect("page", rights).replace('\n', "\n    ")
            ),
            Call::CleanUp => "Ok::<(), ()>(unsafe { tables.clean_up(&mut Frames) })".to_owned(),
            Call::Disturb { .. } => return None,
        })
    }
}

fn page(at: u64, size: PageSize) -> String {
    let size = match size {
        PageSize::Kib4 => "Size4KiB",
        PageSize::Mib2 => "Size2MiB",
        PageSize::Gib1 => "Size1GiB",
    };
    format!("Page::<{size}>::containing_address(VirtAddr::new({at:#x}))")
}

fn flags(rights: Rights) -> String {
    let given = [
        (true, "PRESENT"),
        (rights.has(Rights::WRITE), "WRITABLE"),
        (rights.has(Rights::USER), "USER_ACCESSIBLE"),
        (!rights.has(Rights::EXECUTE), "NO_EXECUTE"),
    ];
    let given = given.into_iter().filter(|(is_given, _)| *is_given);
    let given = given.map(|(_, name)| format!("PageTableFlags::{name}"));
    given.collect::<Vec<_>>().join(" | ")
}

/// Parents get all rights, as from a user that changes rights later.
fn map(page: &str, to: &str, rights: Rights) -> String {
    format!(
        "unsafe {{\n    \
         let frame = PhysFrame::containing_address(PhysAddr::new({to}));\n    \
         let flags = {};\n    \
         let parents = {};\n    \
         tables.map_to_with_table_flags({page}, frame, flags, parents, &mut Frames)\n\
         }}\n\
         .map(|flush| flush.ignore())",
        flags(rights),
        flags(Rights::ALL),
    )
}

fn protect(page: &str, rights: Rights) -> String {
    format!(
        "unsafe {{\n    tables.update_flags({page}, {})\n}}\n.map(|flush| flush.ignore())",
        flags(rights)
    )
}
