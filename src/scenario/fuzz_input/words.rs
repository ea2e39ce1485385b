//! Registers, accesses, answers and invalidations in words, for whoever reads a fuzzer's bytes.

use crate::base::{Access, Ring};
use crate::machine::paging::x86_64::{
    ControlFlags, Controls, Exception, Request, Rights, Vendor, Walk,
};
use crate::machine::tlb::{Invalidation, RootLoad};

const FLAGS: [(ControlFlags, &str); 10] = [
    (ControlFlags::WP, "WP"),
    (ControlFlags::SMEP, "SMEP"),
    (ControlFlags::SMAP, "SMAP"),
    (ControlFlags::NXE, "NXE"),
    (ControlFlags::PKE, "PKE"),
    (ControlFlags::PKS, "PKS"),
    (ControlFlags::PGE, "PGE"),
    (ControlFlags::PCIDE, "PCIDE"),
    (ControlFlags::LA57, "LA57"),
    (ControlFlags::CET, "CET"),
];

/// Control bits: which are on, and which are off.
pub(super) fn flags(flags: ControlFlags) -> String {
    let names = |on: bool| {
        let chosen = FLAGS.iter().filter(|(flag, _)| flags.has(*flag) == on);
        let names: Vec<&str> = chosen.map(|(_, name)| *name).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(" ") }
    };
    format!("on: {}; off: {}", names(true), names(false))
}

/// Control registers on one line.
pub(super) fn controls(controls: &Controls) -> String {
    let vendor = if controls.vendor == Vendor::Amd { "AMD" } else { "Intel" };
    format!(
        "CR3 {:#x}, MAXPHYADDR {}, {vendor}, PKRU {:#x}, PKRS {:#x}; {}",
        controls.cr3,
        controls.physical_bits(),
        controls.pkru,
        controls.pkrs,
        flags(controls.flags),
    )
}

/// One access.
pub(super) fn request(request: &Request) -> String {
    let how = match request.access {
        Access::Read => "read",
        Access::Write => "write",
        Access::Execute => "fetch",
    };
    let who = match request.ring {
        Ring::Kernel => "kernel mode",
        Ring::User => "user mode",
    };
    let also = [
        (request.ac, ", AC set"),
        (request.implicit, ", of the processor's own accord"),
        (request.shadow_stack, ", of a shadow stack"),
    ];
    let also: String = also.iter().filter(|(is, _)| *is).map(|(_, text)| *text).collect();
    format!("{how} at {} in {who}{also}", request.virt)
}

fn rights(rights: Rights) -> String {
    let who = if rights.has(Rights::USER) { "user" } else { "kernel" };
    let write = if rights.has(Rights::WRITABLE) { "w" } else { "-" };
    let run = if rights.has(Rights::EXECUTABLE) { "x" } else { "-" };
    format!("{who} r{write}{run}")
}

/// What becomes of an access.
pub(super) fn answer(answer: &Result<Walk, Exception>) -> String {
    match answer {
        Ok(walk) => format!(
            "physical {:#x}, in a page of {:#x} bytes, {}{}; {} entries read, {} to be marked",
            walk.address.raw(),
            walk.size.bytes(),
            rights(walk.rights),
            if walk.global { ", global" } else { "" },
            walk.path.steps().len(),
            walk.marks.items().len(),
        ),
        Err(Exception::PageFault { virt, code }) => {
            format!("page fault at {virt}, error code {:#x}", code.0)
        }
        Err(Exception::GeneralProtection) => "general protection: not canonical".to_owned(),
    }
}

/// What must be forgotten.
pub(super) fn invalidation(invalidation: Invalidation) -> String {
    match invalidation {
        Invalidation::Page { virt, pcid } => format!("{virt} of PCID {pcid}, global ones too"),
        Invalidation::PageOfPcid { virt, pcid } => format!("{virt} of PCID {pcid}"),
        Invalidation::PageFault { virt, pcid } => {
            format!("{virt} of PCID {pcid}, after a page fault")
        }
        Invalidation::Pcid { pcid } => format!("everything of PCID {pcid} that is not global"),
        Invalidation::AllExceptGlobal => "everything that is not global".to_owned(),
        Invalidation::All => "everything".to_owned(),
    }
}

/// Whether a root load keeps what is remembered.
pub(super) const fn root_load(load: RootLoad) -> &'static str {
    match load {
        RootLoad::Flush => "what is remembered of it is dropped",
        RootLoad::Keep => "what is remembered of it is kept",
    }
}
