//! How a test without the suite drives the crate `page_table_multiarch`, 0.5 and 0.6, or `ax-page-table-multiarch`. It needs `page_table_entry`
//! and `memory_addr` too, which its interface is made of.

use ringfence::conformance::{Call, Rights};
use ringfence::machine::paging::PageSize;

const META: &str = "
use memory_addr::{PhysAddr, VirtAddr};
use page_table_entry::x86_64::X64PTE;
#[allow(unused_imports)]
use page_table_multiarch::{MappingFlags, PageSize, PageTable64, PagingHandler, PagingMetaData};

struct Meta;
impl PagingMetaData for Meta {
    const LEVELS: usize = 4;
    const PA_MAX_BITS: usize = 52;
    const VA_MAX_BITS: usize = 48;
    type VirtAddr = VirtAddr;

    fn flush_tlb(virt: Option<VirtAddr>) {
        match virt {
            Some(virt) => invalidate(virt.as_usize() as u64),
            None => invalidate_all(),
        }
    }
}

struct Handler;
impl PagingHandler for Handler {
";

const FRAMES_0_5: &str = "    fn alloc_frame() -> Option<PhysAddr> {
        Some(PhysAddr::from(allocate()? as usize))
    }
    fn dealloc_frame(at: PhysAddr) {
        free(at.as_usize() as u64);
    }
";

/// Tables of x86-64 are one frame each.
const FRAMES_0_6: &str = "    fn alloc_frames(_: usize, _: usize) -> Option<PhysAddr> {
        Some(PhysAddr::from(allocate()? as usize))
    }
    fn dealloc_frames(at: PhysAddr, _: usize) {
        free(at.as_usize() as u64);
    }
";

const TABLES: &str = "    fn phys_to_virt(at: PhysAddr) -> VirtAddr {
        VirtAddr::from(pointer(at.as_usize() as u64) as usize)
    }
}

#[allow(unused_mut)]
let mut tables = PageTable64::<Meta, X64PTE, Handler>::try_new().unwrap();
";

/// Which interface.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "a row has one version")]
pub(super) enum Spelling {
    V0_5,
    V0_6,
    Ax0_8,
}

impl Spelling {
    pub(super) fn setup(self) -> String {
        let frames = match self {
            Self::V0_5 => FRAMES_0_5,
            Self::V0_6 | Self::Ax0_8 => FRAMES_0_6,
        };
        let setup = format!("{META}{frames}{TABLES}");
        match self {
            Self::V0_5 | Self::V0_6 => setup,
            Self::Ax0_8 => ["memory_addr", "page_table_entry", "page_table_multiarch"]
                .iter()
                .fold(setup, |setup, name| {
                    setup.replace(&format!("{name}::"), &format!("ax_{name}::"))
                }),
        }
    }

    pub(super) fn call(self, call: &Call) -> Option<String> {
        // What comes behind a call in 0.5, which returns what is to be flushed.
        let (tables, done, last, token) = match self {
            Self::V0_5 => ("tables", ".map(|token| token.flush())", ", true, false", true),
            Self::V0_6 | Self::Ax0_8 => ("tables.cursor()", "", ", true", false),
        };
        let behind = |pattern: &str, does: &str| {
            if token { format!(".map(|{pattern}| token.{does}())") } else { String::new() }
        };
        let fewer = if token { ", false" } else { "" };
        let virt = |at: u64| format!("VirtAddr::from({at:#x})");
        Some(match *call {
            Call::Map { page, to, size, rights } => format!(
                "{tables}.map(\n    {},\n    PhysAddr::from({:#x}),\n    {},\n    {},\n){done}",
                virt(page.0),
                to.raw(),
                size_name(size),
                flags(rights),
            ),
            Call::Unmap { page, .. } => {
                format!("{tables}.unmap({}){}", virt(page.0), behind("(_, _, token)", "flush"))
            }
            Call::Protect { page, rights, .. } => format!(
                "{tables}.protect({}, {}){}",
                virt(page.0),
                flags(rights),
                behind("(_, token)", "flush")
            ),
            Call::Query { virt: at } => {
                format!("tables.query({}).ok().map(|(at, _, _)| at.as_usize() as u64)", virt(at.0))
            }
            Call::MapRange { first, to, bytes, rights } => format!(
                "{tables}.map_region(\n    {},\n    |at| PhysAddr::from({:#x} + (at.as_usize() - \
                 {:#x})),\n    {bytes:#x},\n    {}{last},\n){}",
                virt(first.0),
                to.raw(),
                first.0,
                flags(rights),
                behind("token", "flush_all")
            ),
            Call::UnmapRange { first, bytes } => format!(
                "{tables}.unmap_region({}, {bytes:#x}{fewer}){}",
                virt(first.0),
                behind("token", "flush_all")
            ),
            Call::ProtectRange { first, bytes, rights } => format!(
                "{tables}.protect_region({}, {bytes:#x}, {}{fewer}){}",
                virt(first.0),
                flags(rights),
                behind("token", "flush_all")
            ),
            Call::CleanUp | Call::Disturb { .. } => return None,
        })
    }
}

fn size_name(size: PageSize) -> &'static str {
    match size {
        PageSize::Kib4 => "PageSize::Size4K",
        PageSize::Mib2 => "PageSize::Size2M",
        PageSize::Gib1 => "PageSize::Size1G",
    }
}

fn flags(rights: Rights) -> String {
    let given = [
        (true, "READ"),
        (rights.has(Rights::WRITE), "WRITE"),
        (rights.has(Rights::USER), "USER"),
        (rights.has(Rights::EXECUTE), "EXECUTE"),
    ];
    let given = given.into_iter().filter(|(is_given, _)| *is_given);
    given.map(|(_, name)| format!("MappingFlags::{name}")).collect::<Vec<_>>().join(" | ")
}
