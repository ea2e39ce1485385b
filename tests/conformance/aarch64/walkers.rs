//! Walkers of AArch64: one that walks by its own code, and the same with a bug.

use ringfence::base::{Access, PhysAddr, Ring};
use ringfence::conformance::format::AArch64;
use ringfence::conformance::{self, Attempt, Check, Mapping, Memory, Report, Walker};

struct Walk {
    memory: Memory,
    root: PhysAddr,
    /// Takes a block for one at level 0 too, as 52-bit addresses have it.
    takes_blocks_at_the_root: bool,
}

impl Walker for Walk {
    fn judges_rights(&self) -> bool {
        true
    }

    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let virt = attempt.virt.0;
        if virt >> 48 != 0 {
            return None;
        }
        let mut table = self.root.raw();
        let (mut writable, mut of_el0) = (true, true);
        let mut never = 0;
        for level in 0..4_u32 {
            let below = (1 << (39 - 9 * level)) - 1;
            let entry =
                self.memory.load(PhysAddr::truncated(table + 8 * (virt >> (39 - 9 * level) & 511)));
            let address = entry & 0xffff_ffff_f000;
            let first_block = if self.takes_blocks_at_the_root { 0 } else { 1 };
            match entry & 3 {
                3 if level < 3 => {
                    writable &= entry >> 62 & 1 == 0;
                    of_el0 &= entry >> 61 & 1 == 0;
                    never |= entry >> 59 & 1 | entry >> 60 << 1 & 2;
                    table = address;
                }
                kind if kind == 3 || kind == 1 && (first_block..3).contains(&level) => {
                    writable &= entry >> 7 & 1 == 0;
                    of_el0 &= entry >> 6 & 1 == 1;
                    never |= entry >> 53 & 3;
                    let (by_el1, by_el0) =
                        (never & 1 == 0 && !(writable && of_el0), never & 2 == 0);
                    let is_allowed = match (attempt.access, attempt.ring) {
                        (Access::Execute, Ring::Kernel) => by_el1,
                        (Access::Execute, Ring::User) => by_el0,
                        (access, ring) => {
                            (access == Access::Read || writable) && (ring == Ring::Kernel || of_el0)
                        }
                    };
                    let is_accessed = entry >> 10 & 1 == 1;
                    return (is_accessed && is_allowed).then_some(Mapping {
                        address: PhysAddr::truncated(address & !below | virt & below),
                        size: None,
                        rights: None,
                    });
                }
                _ => return None,
            }
        }
        None
    }
}

fn run(takes_blocks_at_the_root: bool) -> Report {
    conformance::walker(move |memory, root| Walk { memory, root, takes_blocks_at_the_root })
        .format(AArch64::LOWER)
        .run()
}

#[test]
fn a_correct_walker_raises_no_finding() {
    let report = run(false);

    assert!(report.findings().is_empty(), "\n{report}");
}

#[test]
fn a_block_that_is_taken_at_level_0_is_found() {
    let report = run(true);

    let told = report.to_string();
    let kind = "translates through a reserved encoding, level 0";
    assert!(report.has(Check::Translation) && told.contains(kind), "\n{told}");
}
