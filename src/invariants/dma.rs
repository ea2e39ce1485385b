//! Transfers stay within what devices were granted.
//!
//! A device moves bytes past the processors' translation. Each word it reads or writes must be in a
//! DMA buffer that was opened to it and not yet closed. Without an IOMMU nothing enforces that, and a
//! violation is an exposure; with one it is a bug.
//!
//! When a leave is taken back and the IOMMU is on, its table must have forgotten the frame too, whether
//! or not the device tries: the entry is read raw.
//!
//! Not checked here: transfers that the IOMMU refused, which changed nothing.
//!
//! Source: Microsoft Learn, "Using Bus-Master DMA", "Kernel DMA Protection"; Intel VT-d
//! specification, "DMA Remapping".

use crate::base::{Event, EventKind, PhysAddr};

use super::{Evidence, Findings, Invariant, Kinds};

pub(super) struct Dma;

/// Entry bit of the IOMMU's tables: something is there.
const PRESENT: u64 = 1;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// What the IOMMU's table holds for a device and a frame.
fn entry(evidence: &Evidence<'_>, device: u64, frame: u64) -> u64 {
    let word = |at: u64| evidence.machine.memory.read(PhysAddr::truncated(at));
    let context = word((evidence.machine.iommu.root & ADDRESS) + device * 8);
    if context & PRESENT == 0 { 0 } else { word((context & ADDRESS) + frame * 8) }
}

fn revoked(evidence: &Evidence<'_>, event: &Event, findings: &mut Findings) {
    let devices = (0u64..).zip(&evidence.machine.devices);
    for (number, device) in devices.filter(|(_, device)| device.principal == event.subject) {
        let at = PhysAddr::truncated(event.phys);
        let entry = entry(evidence, number, at.frame().0);
        if entry & PRESENT != 0 && !evidence.authority.may_read(device.principal, at) {
            findings.add(Some(event.actor), evidence.authority.owner_of(at), at.raw(), 0, || {
                format!(
                    "the IOMMU still lets {} reach frame {:#x}",
                    evidence.authority.roster().name(device.principal),
                    at.frame().0,
                )
            });
        }
    }
}

impl Invariant for Dma {
    fn name(&self) -> &'static str {
        "dma-stays-within-grants"
    }

    fn sentence(&self) -> &'static str {
        "A device reads and writes only memory that is open to it at that moment."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"Kernel DMA Protection\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::TRESPASS.with(Kinds::of(&[EventKind::DmaRevoke]))
    }

    fn check(&self, evidence: &Evidence<'_>, findings: &mut Findings) {
        let roster = evidence.authority.roster();
        for trespass in evidence.trespasses() {
            let event = &trespass.event;
            if matches!(event.kind, EventKind::DmaRead | EventKind::DmaWrite) {
                findings.add(Some(event.actor), trespass.owner, event.phys, 0, || {
                    let did = if event.kind == EventKind::DmaRead { "read" } else { "wrote" };
                    let (who, what) = (roster.name(event.actor), trespass.structure);
                    match trespass.owner {
                        Some(owner) => format!("{who} {did} {what} of {}", roster.name(owner)),
                        None => format!("{who} {did} {what}"),
                    }
                });
            }
        }
        if evidence.machine.iommu.enabled {
            let revokes = evidence.record.events().iter();
            for event in revokes.filter(|event| event.kind == EventKind::DmaRevoke) {
                revoked(evidence, event, findings);
            }
        }
    }
}
