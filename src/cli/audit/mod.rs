//! `ringfence audit`: what a machine's page tables allow, and how many faults from a breach it is.

mod arguments;
mod bits;
mod margin;
mod one;
mod told;
mod witnesses;

use std::fs::File;
use std::io::{Seek as _, Write};
use std::path::Path;

use serde_json::json;

use crate::audit::file::{self, Loaded, Registers};
use crate::audit::findings::find_first;
use crate::audit::listing;
use crate::audit::protections::{Machine, NotMade, Protection};
use crate::audit::space::{Incomplete, Space};
use crate::campaign::replay::file_word;
use crate::machine::paging::x86_64::{ControlFlags, Controls};
use crate::scenario::shown;

use super::{Ended, Failure};
use witnesses::WitnessFile;

pub(super) use arguments::AuditArguments;

/// What is audited.
struct Audited<'a> {
    arguments: &'a AuditArguments,
    loaded: Loaded,
    machine: Machine,
    space: Space,
}

impl Audited<'_> {
    /// The command that shows one flip of this image.
    fn replay(&self, flip: impl core::fmt::Display) -> String {
        let arguments = self.arguments;
        let image = file_word(&arguments.image.display().to_string());
        let mut line = format!("ringfence audit {image}");
        let mut option = |name: &str, value: String| {
            line.push_str(&format!(" --{name} {value}"));
        };
        if let Some(cr3) = arguments.cr3 {
            option("cr3", format!("{cr3:#x}"));
        }
        if arguments.base != 0 {
            option("base", format!("{:#x}", arguments.base));
        }
        if let Some(levels) = arguments.levels {
            option("levels", levels.count().to_string());
        }
        if arguments.maxphyaddr != 40 {
            option("maxphyaddr", arguments.maxphyaddr.to_string());
        }
        if arguments.vendor == arguments::VendorName::Amd {
            option("vendor", "amd".to_owned());
        }
        for (name, protections) in [("on", &arguments.on), ("off", &arguments.off)] {
            if !protections.is_empty() {
                let names: Vec<&str> = protections.iter().map(|one| one.name()).collect();
                option(name, names.join(","));
            }
        }
        if arguments.cpu != 0 {
            option("cpu", arguments.cpu.to_string());
        }
        for (name, value) in [("pkru", arguments.pkru), ("pkrs", arguments.pkrs)] {
            if value != 0x5555_5554 {
                option(name, format!("{value:#x}"));
            }
        }
        if arguments.incomplete {
            line.push_str(" --incomplete");
        }
        format!("{line} --flip-one {flip}")
    }

    fn jobs(&self) -> usize {
        match self.arguments.jobs {
            Some(jobs) => usize::from(jobs),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// Reads an image and does what is asked of it.
pub(super) fn audit(arguments: &AuditArguments, out: &mut impl Write) -> Result<Ended, Failure> {
    let audited = read(arguments)?;
    if arguments.list {
        return list(&audited, out);
    }
    if let Some(flip) = arguments.flip_one {
        return one::one(&audited, flip, out);
    }
    // A place that can't be written to is told before anything is printed.
    let witnesses = match &arguments.witnesses {
        Some(place) if arguments.flip => Some(WitnessFile::create(place, &arguments.image)?),
        _ => None,
    };
    let findings = find_first(&audited.space, arguments.examples_max());
    if arguments.json {
        for line in told::json(&audited, &findings) {
            writeln!(out, "{line}")?;
        }
    } else {
        write!(out, "{}", shown(&told::text(&audited, &findings)))?;
    }
    if arguments.flip {
        return margin::margin(&audited, &findings, witnesses, out);
    }
    if arguments.json {
        let summary = told::summary(&audited, &findings);
        writeln!(out, "{}", json!({ "summary": summary }))?;
    } else {
        writeln!(out, "\nEvery single-bit flip, and what it gives a process: --flip")?;
    }
    Ok(Ended::Held)
}

/// The image with everything that is derived from it.
fn read(arguments: &AuditArguments) -> Result<Audited<'_>, Failure> {
    let name = arguments.image.display();
    if let Some(both) = arguments.on.iter().find(|on| arguments.off.contains(on)) {
        return Err(Failure::mistake(
            format!("{} is both --on and --off", both.name()),
            "leave one of them out",
        ));
    }
    let mut controls = Controls {
        maxphyaddr: arguments.maxphyaddr,
        vendor: arguments.vendor.into(),
        pkru: arguments.pkru,
        pkrs: arguments.pkrs,
        ..Controls::default()
    };
    let options = file::Options {
        cr3: arguments.cr3,
        base: arguments.base,
        levels: arguments.levels,
        processor: arguments.cpu,
        controls,
    };
    let loaded = file::read(open(&arguments.image)?, &options)
        .map_err(|error| Failure::mistake(format!("{name}: {error}"), &error.remedy))?;
    controls.flags = match loaded.registers {
        Some(registers) => flags_of(registers),
        None => {
            ControlFlags::WP
                | ControlFlags::SMEP
                | ControlFlags::SMAP
                | ControlFlags::NXE
                | ControlFlags::PGE
        }
    };
    let mut machine = Machine::new(loaded.image.clone(), controls, arguments.incomplete);
    for (protections, on) in [(&arguments.on, true), (&arguments.off, false)] {
        for &protection in protections {
            machine = machine.with(protection, on);
        }
    }
    let space = machine.space().map_err(|error| {
        let ends = match (error, loaded.end) {
            (NotMade::Incomplete(Incomplete::Table(missing)), Some(end))
                if missing.frame.start().raw().saturating_add(4096) > end =>
            {
                format!("; the file ends at {end:#x}")
            }
            _ => String::new(),
        };
        let remedy = match error {
            NotMade::Incomplete(Incomplete::TooMany) => {
                "no more are audited at once, for want of memory; is CR3 right?"
            }
            NotMade::Incomplete(_) => {
                "dump all page tables, check --levels and --maxphyaddr, or give --incomplete to go \
                 on without"
            }
            NotMade::ReadOnlyAbove => "leave out --off read-only-tables",
        };
        Failure::mistake(format!("{name}: {error}{ends}"), remedy)
    })?;
    Ok(Audited { arguments, loaded, machine, space })
}

fn open(path: &Path) -> Result<File, Failure> {
    let back_and_forth = |what: &str| {
        Failure::mistake(
            format!("can't read {}: {what}, and tables are read back and forth", path.display()),
            "write what it gives into a file, and name that",
        )
    };
    if path == Path::new("-") {
        return Err(back_and_forth("standard input may be a pipe"));
    }
    let opened = if path.is_dir() {
        Err(std::io::Error::from(std::io::ErrorKind::IsADirectory))
    } else {
        File::open(path)
    };
    let mut file = opened.map_err(|error| {
        Failure::mistake(
            format!("can't read {}: {error}", path.display()),
            "name an image of page tables or of memory that can be read",
        )
    })?;
    file.stream_position().map_err(|_| back_and_forth("it is a pipe"))?;
    Ok(file)
}

/// What an ELF core tells of CR0 and CR4; of `IA32_EFER` it tells nothing, and every 64-bit kernel
/// sets NXE.
fn flags_of(registers: Registers) -> ControlFlags {
    let bits = [
        (registers.cr0 >> 16, ControlFlags::WP),
        (registers.cr4 >> 7, ControlFlags::PGE),
        (registers.cr4 >> 17, ControlFlags::PCIDE),
        (registers.cr4 >> 20, ControlFlags::SMEP),
        (registers.cr4 >> 21, ControlFlags::SMAP),
        (registers.cr4 >> 22, ControlFlags::PKE),
        (registers.cr4 >> 23, ControlFlags::CET),
        (registers.cr4 >> 24, ControlFlags::PKS),
    ];
    let set = bits.into_iter().filter(|(bit, _)| bit & 1 == 1);
    set.fold(ControlFlags::NXE, |flags, (_, flag)| flags | flag)
}

/// Every page, one a line.
fn list(audited: &Audited<'_>, out: &mut impl Write) -> Result<Ended, Failure> {
    let json = audited.arguments.json;
    if !json {
        writeln!(out, "{}", listing::HEADER)?;
    }
    let mut written = Ok(());
    let _ = listing::pages(&audited.space, |page| {
        written = if json {
            let (virt, at) = (format!("{:#x}", page.virt.0), format!("{:#x}", page.page.raw()));
            let entry = format!("{:#x}", page.leaf.0);
            writeln!(out, "{}", json!({ "va": virt, "pa": at, "entry": entry }))
        } else {
            writeln!(out, "{page}")
        };
        written.is_ok()
    });
    written?;
    let missing = audited.space.ways.missing.len();
    if missing > 0 {
        // Whoever reads the list has it without the tables' story.
        let _ = writeln!(
            std::io::stderr(),
            "warning: {}: {missing} page tables that are named are not in the image; pages below \
             them are not in this list",
            shown(&audited.arguments.image.display().to_string())
        );
    }
    Ok(Ended::Held)
}

/// The names of protections that are on, and of those that are off.
fn protections(machine: &Machine) -> (Vec<&'static str>, Vec<&'static str>) {
    let names = |on: bool| {
        let of = Protection::ALL.into_iter().filter(|protection| machine.has(*protection) == on);
        of.map(Protection::name).collect()
    };
    (names(true), names(false))
}
