//! The report on an address space, as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::audit::file::Format;
use crate::audit::findings::{Example, Findings, rights_text};
use crate::machine::paging::PageSize;
use crate::machine::paging::x86_64::Vendor;
use crate::report::table::{Column, table};

use super::{Audited, protections};

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Tables => "page tables alone",
        Format::Elf => "ELF core",
        Format::Raw => "raw dump",
    }
}

pub(super) fn size_name(size: PageSize) -> &'static str {
    match size {
        PageSize::Kib4 => "4 KiB",
        PageSize::Mib2 => "2 MiB",
        PageSize::Gib1 => "1 GiB",
    }
}

/// A count, where the largest number stands for more than can be counted.
pub(super) fn counted(count: u64) -> String {
    if count == u64::MAX { "∞".to_owned() } else { count.to_string() }
}

/// `text` in lines of at most 100 columns after `indent` spaces, broken after commas.
pub(super) fn lines_of(indent: usize, text: &str) -> String {
    let mut lines = vec![" ".repeat(indent)];
    for part in text.split_inclusive(", ") {
        let width = lines.last().map_or(0, |line| line.chars().count());
        if width + part.trim_end().chars().count() > 100 && width > indent {
            lines.push(" ".repeat(indent + 2));
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(part);
        }
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn example_text(example: &Example) -> String {
    let Example { virt, frame, frames, at, addresses, rights } = example;
    let mut text = format!("{virt} → frame {:#x}", frame.start().raw());
    if *frames > 1 {
        write!(text, " and {} more", frames - 1).expect("a string takes everything");
    }
    write!(text, ", {rights}, entry {:#x}", at.raw()).expect("a string takes everything");
    if *addresses > 1 {
        write!(text, ", {} addresses", counted(*addresses)).expect("a string takes everything");
    }
    text
}

/// The report as text.
pub(super) fn text(audited: &Audited<'_>, findings: &Findings) -> String {
    let mut text = String::new();
    write_text(audited, findings, &mut text).expect("a string takes everything");
    text
}

fn write_text(audited: &Audited<'_>, findings: &Findings, to: &mut String) -> core::fmt::Result {
    let (loaded, controls) = (&audited.loaded, &audited.space.controls);
    let packed = if loaded.is_compressed { ", zstd" } else { "" };
    let vendor = if controls.vendor == Vendor::Amd { "AMD" } else { "Intel" };
    let tables = audited.space.image.frames().len();
    let head = format!(
        "{}: {}{packed}; CR3 {:#x}, {} levels, {tables} page tables",
        audited.arguments.image.display(),
        format_name(loaded.format),
        controls.cr3,
        audited.space.image.levels.count(),
    );
    write!(to, "{}", lines_of(0, &head))?;
    let (on, off) = protections(&audited.machine);
    writeln!(
        to,
        "MAXPHYADDR {}, {vendor}; on: {}; off: {}",
        controls.maxphyaddr,
        on.join(" "),
        off.join(" ")
    )?;
    if loaded.unreached > 0 {
        writeln!(to, "{} more frames in the file that no walk reads", loaded.unreached)?;
    }
    if let Some(end) = loaded.end {
        writeln!(to, "the file ends at {end:#x}, before or within a page table that is named")?;
    }
    writeln!(to)?;
    let columns = [
        Column::text("size"),
        Column::text("rights"),
        Column::number("mappings"),
        Column::number("entries"),
    ];
    let mut rows: Vec<[String; 4]> = findings
        .sizes
        .iter()
        .map(|row| {
            let (size, rights) = (size_name(row.size).to_owned(), rights_text(row.rights));
            [size, rights, counted(row.mappings), row.entries.to_string()]
        })
        .collect();
    let entries = findings.sizes.iter().map(|row| row.entries).sum::<u64>();
    rows.push(["all".to_owned(), String::new(), counted(findings.mappings()), entries.to_string()]);
    write!(to, "{}", table(&columns, &rows))?;
    writeln!(to)?;
    for finding in &findings.findings {
        writeln!(to, "{:>10}  {}", counted(finding.count), finding.kind.meaning())?;
        for example in &finding.examples {
            write!(to, "{}", lines_of(12, &example_text(example)))?;
        }
        let left = finding.instances - finding.examples.len() as u64;
        if left > 0 {
            writeln!(to, "            {left} more with --all")?;
        }
    }
    Ok(())
}

/// The report as objects, one a line.
pub(super) fn json(audited: &Audited<'_>, findings: &Findings) -> Vec<Value> {
    let (loaded, controls) = (&audited.loaded, &audited.space.controls);
    let (on, off) = protections(&audited.machine);
    let mut lines = vec![json!({ "image": {
        "file": audited.arguments.image.display().to_string(),
        "format": format_name(loaded.format),
        "zstd": loaded.is_compressed,
        "cr3": format!("{:#x}", controls.cr3),
        "levels": audited.space.image.levels.count(),
        "tables": audited.space.image.frames().len(),
        "unreached": loaded.unreached,
        "maxphyaddr": controls.maxphyaddr,
        "vendor": if controls.vendor == Vendor::Amd { "amd" } else { "intel" },
        "on": on,
        "off": off,
    } })];
    for row in &findings.sizes {
        lines.push(json!({ "mappings": {
            "size": row.size.bytes(),
            "rights": rights_text(row.rights),
            "count": row.mappings,
            "entries": row.entries,
        } }));
    }
    for finding in &findings.findings {
        let examples: Vec<Value> = finding.examples.iter().map(example_json).collect();
        lines.push(json!({ "finding": {
            "name": finding.kind.name(),
            "meaning": finding.kind.meaning(),
            "count": finding.count,
            "examples": examples,
        } }));
    }
    lines
}

fn example_json(example: &Example) -> Value {
    json!({
        "va": format!("{:#x}", example.virt.0),
        "pa": format!("{:#x}", example.frame.start().raw()),
        "frames": example.frames,
        "entry": format!("{:#x}", example.at.raw()),
        "addresses": example.addresses,
        "rights": example.rights,
    })
}

/// What the last object says in any case.
pub(super) fn summary(audited: &Audited<'_>, findings: &Findings) -> Value {
    let mut summary = json!({
        "tables": audited.space.image.frames().len(),
        "entries": audited.space.image.frames().len() * 512,
        "mappings": findings.mappings(),
    });
    for finding in &findings.findings {
        summary[finding.kind.name()] = json!(finding.count);
    }
    summary
}
