//! A second walker, written from the sentences of the manual, slow and obvious.
//!
//! Intel SDM volume 3A, chapter "Paging": "4-Level Paging and 5-Level Paging", "Access Rights",
//! "Page-Fault Exceptions", "Accessed and Dirty Flags"; for what AMD has otherwise, AMD64
//! Architecture Programmer's Manual volume 2, "Long-Mode Page Translation".
//!
//! The walk has registers of its own and decodes them and the entries by itself; with the fast walker it
//! shares the types of addresses. Here, before the walk, they share the question: [`Controls`] and
//! [`Request`] are read field by field and flag by flag into registers as the manual has them. Of the
//! machine's code that uses the values of the flags and nothing that decides. A question that is already
//! wrong, because a processor keeps the wrong flags, is wrong for both, and comparing them doesn't show it.
//!
//! | module | answers |
//! |---|---|
//! | `registers` | what does the processor hold, what does it attempt? |
//! | `walk` | what becomes of it? |
//!
//! Not known from any observation, only from the manual's words: protection keys for
//! supervisor-mode pages, shadow stacks, implicit accesses.

mod registers;
mod walk;

pub use walk::{Answer, Translated};

use crate::base::{Access, PhysAddr, Ring};
use crate::machine::paging::x86_64::{ControlFlags, Controls, Request, Vendor};
use registers::{
    Attempt, CR0_WP, CR4_CET, CR4_LA57, CR4_PCIDE, CR4_PGE, CR4_PKE, CR4_PKS, CR4_SMAP, CR4_SMEP,
    EFER_NXE, Kind, RFLAGS_AC, Registers,
};

/// Translates by the book. `entry_at` reads the 8 bytes at a physical address.
#[must_use]
pub fn translate(
    entry_at: &dyn Fn(PhysAddr) -> u64,
    controls: &Controls,
    request: &Request,
) -> Answer {
    let (registers, attempt) = as_in_the_manual(controls, request);
    walk::walk(entry_at, &registers, &attempt)
}

/// The question in the manual's terms. Both are taken apart whole, so that a field which is new has to be
/// given a place; that every flag has one is a test below.
fn as_in_the_manual(controls: &Controls, request: &Request) -> (Registers, Attempt) {
    let Controls { cr3, flags, maxphyaddr, vendor, pkru, pkrs } = *controls;
    let Request { virt, access, ring, ac, implicit, shadow_stack } = *request;
    // Not by `ControlFlags::has`: the fast walker decides by it.
    let placed = |flag: ControlFlags, number: u32| {
        if flags.bits() & flag.bits() == 0 { 0 } else { 1 << number }
    };
    let registers = Registers {
        cr0: placed(ControlFlags::WP, CR0_WP),
        cr3,
        cr4: placed(ControlFlags::PGE, CR4_PGE)
            | placed(ControlFlags::LA57, CR4_LA57)
            | placed(ControlFlags::PCIDE, CR4_PCIDE)
            | placed(ControlFlags::SMEP, CR4_SMEP)
            | placed(ControlFlags::SMAP, CR4_SMAP)
            | placed(ControlFlags::PKE, CR4_PKE)
            | placed(ControlFlags::CET, CR4_CET)
            | placed(ControlFlags::PKS, CR4_PKS),
        efer: placed(ControlFlags::NXE, EFER_NXE),
        rflags: u64::from(ac) << RFLAGS_AC,
        pkru,
        pkrs,
        cpl: match ring {
            Ring::Kernel => 0,
            Ring::User => 3,
        },
        maxphyaddr: u32::from(maxphyaddr).clamp(36, 52),
        is_amd: match vendor {
            Vendor::Intel => false,
            Vendor::Amd => true,
        },
    };
    let kind = match access {
        Access::Read => Kind::Read,
        Access::Write => Kind::Write,
        Access::Execute => Kind::Fetch,
    };
    (registers, Attempt { linear: virt, kind, implicit, shadow_stack })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::VirtAddr;

    const REQUEST: Request = Request::new(VirtAddr(0x1234_5678), Access::Read, Ring::Kernel);

    /// Each flag, and the values of CR0, CR4 and `IA32_EFER` in which it alone is set: Intel SDM volume 3A,
    /// "Control Registers" and "Extended Feature Enable Register".
    const FLAGS: [(ControlFlags, u64, u64, u64); 10] = [
        (ControlFlags::WP, 0x1_0000, 0, 0),
        (ControlFlags::SMEP, 0, 0x10_0000, 0),
        (ControlFlags::SMAP, 0, 0x20_0000, 0),
        (ControlFlags::NXE, 0, 0, 0x800),
        (ControlFlags::PKE, 0, 0x40_0000, 0),
        (ControlFlags::PKS, 0, 0x100_0000, 0),
        (ControlFlags::PGE, 0, 0x80, 0),
        (ControlFlags::PCIDE, 0, 0x2_0000, 0),
        (ControlFlags::LA57, 0, 0x1000, 0),
        (ControlFlags::CET, 0, 0x80_0000, 0),
    ];

    fn none() -> Controls {
        Controls { flags: ControlFlags::NONE, ..Controls::default() }
    }

    #[test]
    fn each_flag_alone_arrives_in_its_bit_of_its_register_and_changes_nothing_else() {
        let (blank, asked) = as_in_the_manual(&none(), &REQUEST);
        assert_eq!((blank.cr0, blank.cr4, blank.efer, blank.rflags), (0, 0, 0, 0));
        for (flags, cr0, cr4, efer) in FLAGS {
            let (registers, attempt) = as_in_the_manual(&Controls { flags, ..none() }, &REQUEST);

            assert_eq!(registers, Registers { cr0, cr4, efer, ..blank }, "{flags:?}");
            assert_eq!(attempt, asked);
        }
    }

    #[test]
    fn no_flag_is_without_a_bit_and_all_arrive_together() {
        let known = FLAGS.into_iter().fold(0, |all, (flag, ..)| all | flag.bits());
        assert_eq!(known, ControlFlags::ALL.bits(), "a flag that the table above doesn't know");

        let all = Controls { flags: ControlFlags::ALL, ..none() };
        let (registers, _) = as_in_the_manual(&all, &REQUEST);

        let in_all = (registers.cr0, registers.cr4, registers.efer);
        assert_eq!(in_all, (0x1_0000, 0x1f2_1080, 0x800));
    }

    #[test]
    fn each_other_field_arrives_in_its_place_and_changes_nothing_else() {
        let (blank, asked) = as_in_the_manual(&none(), &REQUEST);
        let address = REQUEST.virt;
        let expected =
            Attempt { linear: address, kind: Kind::Read, implicit: false, shadow_stack: false };
        assert_eq!((blank.cpl, blank.is_amd, asked), (0, false, expected));

        for (controls, registers) in [
            (Controls { cr3: 0xa5_1234, ..none() }, Registers { cr3: 0xa5_1234, ..blank }),
            (Controls { pkru: 0xa5, ..none() }, Registers { pkru: 0xa5, ..blank }),
            (Controls { pkrs: 0xa5, ..none() }, Registers { pkrs: 0xa5, ..blank }),
            (Controls { vendor: Vendor::Amd, ..none() }, Registers { is_amd: true, ..blank }),
        ] {
            assert_eq!(as_in_the_manual(&controls, &REQUEST), (registers, asked));
        }
        for (request, registers, attempt) in [
            (Request { ac: true, ..REQUEST }, Registers { rflags: 0x4_0000, ..blank }, asked),
            (Request { ring: Ring::User, ..REQUEST }, Registers { cpl: 3, ..blank }, asked),
            (Request { implicit: true, ..REQUEST }, blank, Attempt { implicit: true, ..asked }),
            (
                Request { shadow_stack: true, ..REQUEST },
                blank,
                Attempt { shadow_stack: true, ..asked },
            ),
            (
                Request { access: Access::Write, ..REQUEST },
                blank,
                Attempt { kind: Kind::Write, ..asked },
            ),
            (
                Request { access: Access::Execute, ..REQUEST },
                blank,
                Attempt { kind: Kind::Fetch, ..asked },
            ),
        ] {
            assert_eq!(as_in_the_manual(&none(), &request), (registers, attempt));
        }
    }

    #[test]
    fn maxphyaddr_stays_within_the_architecture() {
        for (given, meant) in [(0, 36), (36, 36), (37, 37), (46, 46), (52, 52), (255, 52)] {
            let controls = Controls { maxphyaddr: given, ..none() };

            assert_eq!(as_in_the_manual(&controls, &REQUEST).0.maxphyaddr, meant, "{given}");
        }
    }
}
