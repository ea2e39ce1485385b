//! What a fault alters as it strikes: the operation and the registers, before and after.
//!
//! Memory that it changes is told by the stores; what becomes of an argument, an address, a value, a length or
//! a result is in no event, and is written down here beside the machine.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::{FRAME_BYTES, bits_of};
use crate::campaign::experiment::vector_name;
use crate::injection::{Armed, Fault, Operation, PointKind, Scene, Verdict};
use crate::machine::Trap;
use crate::machine::registers::ARGUMENTS;

use super::beside::{Deed, Noting};
use super::recorder::KEPT;

/// The general registers, by number (Intel SDM volume 2A, "REX Prefixes").
const REGISTERS: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];

/// One strike.
#[derive(Clone, Debug)]
pub(super) struct Alteration {
    before: Operation,
    after: Operation,
    verdict: Verdict,
    /// The step that the processor was in or about to run.
    pub(super) rip: u64,
    /// What memory holds where it is read or written.
    held: Option<u64>,
    registers: [(u64, u64); 16],
    deeds: Vec<Deed>,
}

/// Strikes in order, the first [`KEPT`].
#[derive(Clone, Debug, Default)]
pub(super) struct Alterations(Arc<Mutex<Vec<Alteration>>>);

impl Alterations {
    /// Has this fault's strikes written down too.
    pub(super) fn of(&self, armed: Armed) -> Armed {
        let fault = Box::new(Observed { fault: armed.fault, strikes: self.clone() });
        Armed { fault, ..armed }
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Alteration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A fault that is watched.
struct Observed {
    fault: Box<dyn Fault>,
    strikes: Alterations,
}

impl Fault for Observed {
    fn name(&self) -> &'static str {
        self.fault.name()
    }

    fn strike(&mut self, operation: &mut Operation, scene: &mut dyn Scene) -> Option<Verdict> {
        let (before, rip) = (*operation, scene.instruction_pointer());
        let registers: [u64; 16] = core::array::from_fn(|number| scene.register(number));
        let is_access =
            matches!(before.kind, PointKind::Load | PointKind::Store | PointKind::TableStore);
        let held = is_access.then(|| scene.held(before.virt, before.mask)).flatten();
        let mut noting = Noting { scene, deeds: Vec::new() };
        let verdict = self.fault.strike(operation, &mut noting)?;
        let Noting { scene, deeds } = noting;
        let alteration = Alteration {
            before,
            after: *operation,
            verdict,
            rip,
            held,
            registers: core::array::from_fn(|number| (registers[number], scene.register(number))),
            deeds,
        };
        let mut strikes = self.strikes.0.lock().unwrap_or_else(PoisonError::into_inner);
        if strikes.len() < KEPT {
            strikes.push(alteration);
        }
        Some(verdict)
    }
}

/// What address and value of an operation are, where they may be altered: see [`Operation`].
const fn names(operation: &Operation) -> (&'static str, &'static str) {
    match operation.kind {
        PointKind::Load | PointKind::Invalidate => ("address", "value"),
        PointKind::Store | PointKind::TableStore => ("address", "value to store"),
        PointKind::ModeSwitch if operation.virt >> 63 == 1 => ("target", "service"),
        PointKind::ModeSwitch => ("target", "rax"),
        // A pool's tags are four characters, and no length.
        PointKind::Allocate if operation.virt < 0x100 => ("structure", "size"),
        PointKind::Allocate => ("tag", "size"),
        PointKind::Free if operation.value == FRAME_BYTES => ("frame", "size"),
        PointKind::Free => ("address", "tag"),
        PointKind::HandleLookup => ("handle", "rights asked for"),
        PointKind::Probe | PointKind::Copy => ("address", "length"),
        PointKind::Handover => ("packet", "device"),
        PointKind::Dma => ("bus address", "words"),
        PointKind::Call => ("target", "return address"),
        PointKind::Return => ("return address", "result"),
        PointKind::Level => ("level before", "level"),
        PointKind::Reference | PointKind::Dereference => ("object", "count"),
        PointKind::Complete => ("packet", "bytes told"),
        PointKind::Step | PointKind::Interrupt | PointKind::Lock | PointKind::Unlock => {
            ("address", "value")
        }
    }
}

/// A register as it is told where a call or a service takes its arguments from it.
fn register(kind: PointKind, number: usize) -> String {
    let name = REGISTERS[number];
    let place = ARGUMENTS.iter().position(|argument| *argument as usize == number);
    match (kind, place) {
        (PointKind::Call | PointKind::ModeSwitch, Some(place)) => {
            format!("argument {} ({name})", place + 1)
        }
        (PointKind::ModeSwitch, None) if number == 0 => format!("service ({name})"),
        _ => name.to_owned(),
    }
}

impl Alteration {
    /// Whether the clock was made to interrupt: another thread may run then.
    pub(super) fn preempts(&self) -> bool {
        self.deeds.contains(&Deed::Pended(Trap::CLOCK))
    }

    /// In words, on this processor; nothing where only memory changed, or nothing that is told.
    pub(super) fn told(&self, processor: u8) -> String {
        let Self { before, after, verdict, .. } = *self;
        let kind = before.kind;
        let (virt, value) = names(&before);
        let became = |name: &str, before: u64, after: u64| {
            (before != after).then(|| format!("{name} {before:#x} became {after:#x}"))
        };
        let mut told: Vec<String> = Vec::new();
        told.extend(became(virt, before.virt, after.virt));
        // A load has no value before it is made.
        if kind != PointKind::Load {
            told.extend(became(value, before.value, after.value));
        }
        if before.mask != after.mask
            && let Some(held) = self.held
        {
            let (meant, kept) = (before.value & bits_of(before.mask), bits_of(after.mask));
            let part = match after.mask.count_ones() {
                1 => "byte was".to_owned(),
                bytes => format!("{bytes} bytes were"),
            };
            let stored = held & !kept | meant & kept;
            let other = (0..8u32).filter(|byte| (stored ^ meant) >> (8 * byte) & 0xff != 0);
            let other: Vec<String> = other.map(|byte| byte.to_string()).collect();
            let bytes = if other.len() == 1 { "byte" } else { "bytes" };
            told.push(format!(
                "of {meant:#x} over {held:#x} only the first {part} stored: {stored:#x} is there, \
                 which differs in {bytes} {}",
                other.join(", ")
            ));
        }
        if kind != PointKind::Dma {
            let all = self.registers.iter().enumerate();
            told.extend(all.filter_map(|(number, &(before, after))| {
                became(&register(kind, number), before, after)
            }));
        }
        told.extend(self.deeds.iter().map(|deed| deed.told(processor)));
        told.extend(match verdict {
            Verdict::Proceed => None,
            Verdict::Skip if kind == PointKind::Load => {
                let held = self.held.map_or_else(String::new, |held| format!(" for {held:#x}"));
                Some(format!("{:#x} was read{held}", after.value))
            }
            Verdict::Skip if matches!(kind, PointKind::Store | PointKind::TableStore) => {
                Some(format!("{:#x} was not stored", after.value))
            }
            Verdict::Skip if kind == PointKind::Allocate => Some("it failed".to_owned()),
            Verdict::Skip => Some("it was left out".to_owned()),
            // Whether it comes to that is seen later, if ever.
            Verdict::Repeat if kind == PointKind::Interrupt => {
                Some("it was made pending once more".to_owned())
            }
            Verdict::Repeat => Some("it was to be done twice".to_owned()),
            Verdict::Raise(vector) => Some(format!("{} instead", vector_name(u64::from(vector)))),
            // What it was about to run is another thing now.
            Verdict::Jump(at) if kind == PointKind::Step && at == before.virt => {
                Some("it was fetched once more".to_owned())
            }
            Verdict::Jump(at) => Some(format!("it went on at {at:#x} instead")),
            Verdict::Hang => Some("it stayed there".to_owned()),
            Verdict::OtherArm => Some("it went on with the other arm of its branch".to_owned()),
        });
        match told.as_slice() {
            [] => String::new(),
            told => format!("; {}", told.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::VirtAddr;
    use crate::injection::fake::{FakeScene, operation};
    use crate::injection::{Recurrence, Trigger};

    struct Alters(fn(&mut Operation, &mut dyn Scene) -> Option<Verdict>);

    impl Fault for Alters {
        fn name(&self) -> &'static str {
            "alters"
        }

        fn strike(&mut self, operation: &mut Operation, scene: &mut dyn Scene) -> Option<Verdict> {
            (self.0)(operation, scene)
        }
    }

    fn told(
        mut operation: Operation,
        alters: fn(&mut Operation, &mut dyn Scene) -> Option<Verdict>,
    ) -> Vec<String> {
        let strikes = Alterations::default();
        let trigger = Trigger {
            kind: operation.kind,
            principal: operation.principal,
            routine: None,
            caller: None,
            nth: 1,
        };
        let mut armed = strikes.of(Armed::new(Box::new(Alters(alters)), trigger, Recurrence::Once));
        let mut scene = FakeScene::new();
        scene.map(0x1000, 1).put(0x1000, 7);
        scene.registers[6] = 9;
        armed.fault.strike(&mut operation, &mut scene);
        strikes.all().iter().map(|strike| strike.told(1)).collect()
    }

    #[test]
    fn arguments_values_and_results_are_told_before_and_after() {
        assert_eq!(
            told(operation(PointKind::Call, 0x4000, 0), |_, scene| {
                scene.set_register(6, 0x77);
                Some(Verdict::Proceed)
            }),
            ["; argument 2 (rsi) 0x9 became 0x77"]
        );
        assert_eq!(
            told(operation(PointKind::Return, 0x4000, 0), |operation, _| {
                operation.value = 0xc000_000d;
                Some(Verdict::Proceed)
            }),
            ["; result 0x0 became 0xc000000d"]
        );
        assert_eq!(
            told(operation(PointKind::Store, 0x1000, 5), |operation, _| {
                (operation.virt, operation.value) = (0x1008, 6);
                Some(Verdict::Proceed)
            }),
            ["; address 0x1000 became 0x1008, value to store 0x5 became 0x6"]
        );
    }

    #[test]
    fn what_is_left_out_or_read_for_what_memory_holds_is_told() {
        assert_eq!(
            told(operation(PointKind::Load, 0x1000, 0), |operation, _| {
                operation.value = 3;
                Some(Verdict::Skip)
            }),
            ["; 0x3 was read for 0x7"]
        );
        assert_eq!(
            told(operation(PointKind::Store, 0x1000, 5), |_, _| Some(Verdict::Skip)),
            ["; 0x5 was not stored"]
        );
        assert_eq!(
            told(operation(PointKind::Store, 0x1000, 0x9_0000_0009), |operation, _| {
                operation.mask = 0x0f;
                Some(Verdict::Proceed)
            }),
            ["; of 0x900000009 over 0x7 only the first 4 bytes were stored: 0x9 is there, \
             which differs in byte 4"]
        );
        assert_eq!(
            told(operation(PointKind::Step, 0x4000, 0), |_, _| Some(Verdict::Raise(0))),
            ["; divide error instead"]
        );
    }

    #[test]
    fn what_is_altered_is_called_what_it_is_there() {
        let alters: fn(&mut Operation, &mut dyn Scene) -> Option<Verdict> = |operation, _| {
            (operation.virt, operation.value) = (operation.virt + 1, operation.value + 1);
            Some(Verdict::Proceed)
        };
        let pool = 0xffff_fa80_0000_0370;
        let tag = u64::from(u32::from_le_bytes(*b"ObjT"));

        // As the allocators of the kernel and the processor pass their points.
        for (kind, virt, value, names) in [
            (PointKind::Free, 0x49, 4096, ["frame 0x49", "size 0x1000"]),
            (PointKind::Free, pool, tag, ["address 0xfffffa8000000370", "tag 0x546a624f"]),
            (PointKind::Allocate, 5, 4096, ["structure 0x5", "size 0x1000"]),
            (PointKind::Allocate, tag, 4096, ["tag 0x546a624f", "size 0x1000"]),
            (PointKind::ModeSwitch, 0x40_0010, 2, ["target 0x400010", "rax 0x2"]),
            (PointKind::ModeSwitch, pool, 2, ["target 0xfffffa8000000370", "service 0x2"]),
        ] {
            let told = told(operation(kind, virt, value), alters).remove(0);
            for name in names {
                assert!(told.contains(&format!(" {name} became ")), "{kind:?}: {told}");
            }
        }
    }

    #[test]
    fn what_shall_come_twice_is_not_told_as_done() {
        let twice = |kind| told(operation(kind, 0x4000, 0), |_, _| Some(Verdict::Repeat));

        assert_eq!(twice(PointKind::Step), ["; it was to be done twice"]);
        assert_eq!(twice(PointKind::Interrupt), ["; it was made pending once more"]);
    }

    #[test]
    fn what_is_asked_of_the_machine_is_told() {
        type Alters = fn(&mut Operation, &mut dyn Scene) -> Option<Verdict>;
        let asked: [(Alters, &str); 4] = [
            (
                |_, scene| {
                    scene.pend(0x20);
                    Some(Verdict::Proceed)
                },
                "; vector 0x20, the clock's, was made pending on processor 1",
            ),
            (
                |_, scene| {
                    scene.pend(0x23);
                    Some(Verdict::Proceed)
                },
                "; vector 0x23, another processor's, was made pending on processor 1",
            ),
            (
                |operation, scene| {
                    scene.evict(VirtAddr(operation.virt));
                    Some(Verdict::Proceed)
                },
                "; processor 1 forgot what translation it had of page 0x1000",
            ),
            (
                |operation, scene| {
                    scene.prefetch(VirtAddr(operation.virt)).then_some(Verdict::Proceed)
                },
                "; processor 1 loaded the translation of page 0x1000",
            ),
        ];
        for (alters, words) in asked {
            assert_eq!(told(operation(PointKind::Step, 0x1008, 0), alters), [words]);
        }
    }

    #[test]
    fn what_does_not_strike_is_not_told() {
        assert!(told(operation(PointKind::Load, 0x1000, 0), |_, _| None).is_empty());
        assert_eq!(told(operation(PointKind::Step, 0, 0), |_, _| Some(Verdict::Proceed)), [""]);
    }
}
