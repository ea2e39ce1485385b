//! The books by hand: one event after the other.

mod accesses;
mod claims;
mod disclosures;
mod handles;
mod threads;
mod whole;
mod worlds;

use super::*;
use crate::base::{Access, Domain, PhysAddr, PrincipalKind, PrincipalSet, Structure};

const KERNEL: Principal = Principal::KERNEL;
const DRIVER: Principal = Principal(2);
const HOST: Principal = Principal(3);
const ALICE: Principal = Principal(4);
const BOB: Principal = Principal(5);
const DEVICE: Principal = Principal(6);
const CAROL: Principal = Principal(7);

const PAGE: u64 = 0x1000;
const OTHER: u64 = 0x2000;

pub(super) fn roster() -> Roster {
    let mut roster = Roster::default();
    for (name, kind) in [
        ("kernel", PrincipalKind::Kernel),
        ("hal", PrincipalKind::Hal),
        ("nic", PrincipalKind::KernelDriver),
        ("host", PrincipalKind::DriverHost),
        ("alice", PrincipalKind::Application),
        ("bob", PrincipalKind::Application),
        ("device", PrincipalKind::Device),
        ("carol", PrincipalKind::Application),
    ] {
        roster.add(name, kind, false);
    }
    roster
}

fn blank(kind: EventKind, actor: Principal) -> Event {
    Event {
        kind,
        actor,
        context: ALICE,
        subject: actor,
        structure: Structure::Free,
        mask: 0xff,
        processor: 0,
        struck: false,
        phys: 0,
        virt: 0,
        value: 0,
        old: 0,
    }
}

fn store(actor: Principal, structure: Structure, phys: u64, value: u64) -> Event {
    Event { structure, phys, value, ..blank(EventKind::Store, actor) }
}

fn load(actor: Principal, phys: u64, value: u64) -> Event {
    Event { phys, value, structure: Structure::UserData, ..blank(EventKind::Load, actor) }
}

fn claim(
    kind: EventKind,
    subject: Principal,
    structure: Structure,
    phys: u64,
    words: u64,
) -> Event {
    Event { subject, structure, phys, value: words, ..blank(kind, KERNEL) }
}

fn grant(subject: Principal, structure: Structure, phys: u64, words: u64) -> Event {
    claim(EventKind::Grant, subject, structure, phys, words)
}

/// What the loader says at every boot, the boot itself first.
fn announced() -> [Event; 11] {
    [
        blank(EventKind::Boot, KERNEL),
        grant(ALICE, Structure::UserData, PAGE, 512),
        grant(BOB, Structure::UserData, OTHER, 512),
        grant(KERNEL, Structure::KernelData, 0, 64),
        grant(KERNEL, Structure::PageTable, 0x400, 64),
        grant(KERNEL, Structure::KernelStack, 0x800, 64),
        grant(KERNEL, Structure::SharedSection, 0x3000, 64),
        grant(KERNEL, Structure::DmaBuffer, 0x3400, 64),
        grant(KERNEL, Structure::SystemBuffer, 0x3800, 16),
        Event { virt: 0x9000, ..claim(EventKind::ProcessCreated, ALICE, Structure::Process, 0, 0) },
        Event {
            virt: 0x9100,
            context: KERNEL,
            ..claim(EventKind::ProcessCreated, BOB, Structure::Process, 0, 0)
        },
    ]
}

fn books() -> Authority {
    let mut books = Authority::new(4 * 512, roster());
    for event in announced() {
        books.event(&event);
    }
    assert!(books.false_claims().is_empty(), "{:?}", books.false_claims());
    books.event(&Event { phys: 0, ..blank(EventKind::Step, KERNEL) });
    books
}

fn after(events: &[Event]) -> Authority {
    let mut books = books();
    for event in events {
        books.event(event);
    }
    books
}

fn falsehoods(books: &Authority) -> Vec<Falsehood> {
    books.false_claims().iter().map(|claim| claim.falsehood).collect()
}
