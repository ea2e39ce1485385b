//! One flip: the entry bit by bit, the walk, and the verdict, before and after.

use std::io::Write;

use serde_json::json;

use crate::audit::findings::rights_text;
use crate::audit::flip::{Flip, KernelGain, TableIs, Verdict, judge};
use crate::audit::protections::level_name;
use crate::audit::space::Space;
use crate::audit::ways::{Missing, Ways};
use crate::base::VirtAddr;
use crate::machine::paging::TableMemory as _;
use crate::machine::paging::x86_64::{Entry, EntryKind, Level, Reserved, lookup, path};

use super::Audited;
use super::bits::bits;
use super::told::size_name;
use super::witnesses::{kernel_text, opens};
use crate::cli::{Ended, Failure};

/// Shows one flip.
pub(super) fn one(
    audited: &Audited<'_>,
    flip: Flip,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    let space = &audited.space;
    let Some(verdict) = judge(space, flip) else {
        let page_tables: Vec<String> = space
            .image
            .frames()
            .iter()
            .take(4)
            .map(|frame| format!("{:#x}", frame.start().raw()))
            .collect();
        return Err(Failure::mistake(
            format!(
                "no page table of {} has an entry at {:#x}",
                audited.arguments.image.display(),
                flip.at.raw()
            ),
            format!("page tables lie at {}, …", page_tables.join(", ")),
        ));
    };
    let before = space.image.entry(flip.at);
    let after = before ^ 1 << flip.bit;
    if audited.arguments.json {
        let object = json!({ "flip": {
            "entry": format!("{:#x}", flip.at.raw()),
            "bit": flip.bit,
            "level": level_name(verdict.level),
            "before": format!("{before:#x}"),
            "after": format!("{after:#x}"),
            "class": verdict.class.name(),
            "va": verdict.gain.map(|gain| gain.virt.to_string()),
            "frame": verdict.gain.map(|gain| format!("{:#x}", gain.frame.start().raw())),
            "opens": verdict.gain.map(|gain| opens(&verdict, &gain)),
            "kernel": KernelGain::ALL.iter().zip(&verdict.kernel)
                .filter_map(|(kind, gain)| gain.map(|gain| (kind.name(), kernel_text(*kind, &gain))))
                .collect::<std::collections::BTreeMap<_, _>>(),
            "kernel-faults": verdict.kernel_faults,
        } });
        writeln!(out, "{object}")?;
        return Ok(Ended::Held);
    }
    writeln!(
        out,
        "Bit {} of the {} entry at {:#x}: {before:#x} → {after:#x}\n",
        flip.bit,
        level_name(verdict.level),
        flip.at.raw()
    )?;
    write!(out, "{}", bits(before, after, verdict.level, &space.controls))?;
    let mut flipped = space.clone();
    flipped.image.set(flip.at, after);
    writeln!(out)?;
    for (title, entry) in [("before", before), ("after", after)] {
        writeln!(out, "{title:<8}{}", in_words(space, entry, verdict.level))?;
    }
    let virt = verdict.gain.map(|gain| gain.virt).or_else(|| first_virt(space, flip));
    let kernel = verdict.kernel.iter().flatten().map(|gain| gain.virt);
    let made = made(&flipped, &verdict);
    let walked = made.iter().map(|made| made.first);
    let mut shown: Vec<VirtAddr> = virt.into_iter().chain(walked).chain(kernel).collect();
    shown.dedup();
    for virt in shown {
        writeln!(out, "\nThe walk for {virt}")?;
        for (title, space) in [("before", space), ("after", &flipped)] {
            write_walk(title, space, virt, out)?;
        }
    }
    writeln!(out, "\nA user process gets: {}", verdict.class.meaning())?;
    if let Some(gain) = &verdict.gain {
        writeln!(out, "  {}", opens(&verdict, gain))?;
    }
    if let Some(made) = made {
        let (frame, level) = (made.frame.start().raw(), level_name(made.level));
        writeln!(out, "  {frame:#x} is read as a {level} table for {}", made.first)?;
    }
    for (kind, gain) in KernelGain::ALL.into_iter().zip(&verdict.kernel) {
        if let Some(gain) = gain {
            writeln!(out, "{}: {}", kind.name(), kernel_text(kind, gain))?;
        }
    }
    if verdict.kernel_faults {
        writeln!(out, "Some access of kernel mode that was permitted faults.")?;
    }
    Ok(Ended::Held)
}

/// How the frame that becomes a page table is reached as one.
fn made(flipped: &Space, verdict: &Verdict) -> Option<Missing> {
    let is_made = matches!(verdict.table, Some(TableIs::Made | TableIs::Filled));
    let gain = verdict.gain.filter(|_| is_made)?;
    let ways = Ways::new(&flipped.image, &flipped.controls, None);
    ways.missing.into_iter().find(|missing| missing.frame == gain.frame)
}

/// The first address whose walk reads the entry.
fn first_virt(space: &Space, flip: Flip) -> Option<VirtAddr> {
    let index = flip.at.offset() / 8;
    let ways = space.ways.all.iter().filter(|way| way.using.at.frame() == flip.at.frame());
    ways.map(|way| way.using.first_of(&space.controls, index)).min()
}

fn in_words(space: &Space, entry: u64, level: Level) -> String {
    let entry = Entry(entry);
    let reserved = Reserved::new(&space.controls);
    match entry.kind(level, reserved) {
        EntryKind::NotPresent => "not present".to_owned(),
        EntryKind::Reserved => {
            format!("reserved bits {:#x} set: a page fault", entry.0 & reserved.at(level, entry))
        }
        EntryKind::Table(at) => {
            format!("names a {} table at {:#x}", level_name(level.below()), at.raw())
        }
        EntryKind::Leaf(page, size) => {
            format!("maps {} at {:#x}", size_name(size), page.raw())
        }
    }
}

fn write_walk(
    title: &str,
    space: &Space,
    virt: VirtAddr,
    out: &mut impl Write,
) -> Result<(), Failure> {
    writeln!(out, "  {title}")?;
    let path = path(&space.image, &space.controls, virt);
    let mut level = path.top();
    for step in path.steps() {
        let held = space.image.index_of(step.at.frame()).is_some();
        let told = if held {
            in_words(space, step.entry.0, level)
        } else {
            "not in the image: whatever that frame holds".to_owned()
        };
        let at = format!("{:#x}", step.at.raw());
        let entry = if held { format!("{:#x}", step.entry.0) } else { "?".to_owned() };
        writeln!(out, "    {:<5}{at:<14} {entry:<19} {told}", level_name(level))?;
        level = level.below();
    }
    match lookup(&space.image, &space.controls, virt) {
        Some(reach) => {
            let accesses = space.at_will.of(reach.rights, reach.leaf.key());
            writeln!(
                out,
                "    → {:#x}, {}; user mode {}, kernel mode {}",
                reach.page.plus(virt.0 & (reach.size.bytes() - 1)).raw(),
                rights_text(reach.rights),
                accesses.user_text(),
                accesses.kernel_text()
            )?;
        }
        None => writeln!(out, "    → no translation")?,
    }
    Ok(())
}
