//! What an interrupt came upon goes on with a register that isn't its own.
//!
//! Code that an interrupt runs uses registers that nobody kept for whoever was interrupted: floating-point
//! registers in kernel code are the classic ones. There are none here, so it is one of the general registers
//! that wait on the stack for the interrupted user mode: the same thing to the thread that gets it back.
//!
//! Source: The injector of the sego project, fault-model.c (FLOAT: floating-point registers used in kernel
//! code); Microsoft, "KeSaveExtendedProcessorState".
//!
//! Injection point: `step`.

use super::elements::{change, fault, one_value};
use super::{Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Scene, Verdict};
use crate::kernel::exception::resolve::DISPATCH_LEVEL;
use crate::kernel::interrupt::{SAVED, SAVED_BYTES, saved_at};
use crate::machine::Reg;
use crate::machine::registers::USER_CODE;

/// Frames that are followed from the running routine to the one that the gate led to: more calls than an
/// interrupt's code nests.
const FRAMES_MAX: u32 = 32;
/// What it then holds: 0, 1 and infinity as floating-point code leaves them.
const VALUES: [u64; 3] = [0, 0x3ff0_0000_0000_0000, 0x7ff0_0000_0000_0000];
/// Bytes from what the gate pushed last, the error code, to the code segment of what was interrupted.
const CODE_SEGMENT: u64 = 16;

/// What an interrupt came upon goes on with a register that isn't its own.
pub(super) const KIND: Kind = Kind {
    name: "clobbered-registers",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Step]),
    fits: |record, _| u64::from(record.level) >= DISPATCH_LEVEL,
    recurrence: Recurrence::Once,
    parameters: &["index", "value"],
    about: "what an interrupt came upon goes on with a register that isn't its own",
    source: "The injector of the sego project, fault-model.c (FLOAT); Microsoft, \"KeSaveExtendedProcessorState\"",
    build: |parameters, _| {
        let number = parameters.index_below(16)?.unwrap_or(Reg::Rbx as usize);
        let Some(register) = SAVED.into_iter().find(|register| *register as usize == number) else {
            return Err(format!("register {number} is the stack pointer, which the gate keeps"));
        };
        let value = parameters.value.unwrap_or(VALUES[1]);
        fault(&KIND, move |_, scene| {
            let saved = saved_registers_at(scene)?;
            change(scene, saved.wrapping_add(saved_at(register)), |_| value)?;
            Some(Verdict::Proceed)
        })
    },
    draw: |stream, _, _| {
        let register = stream.pick(&SAVED).map(|register| *register as u16);
        Parameters { index: register, ..one_value(stream, &VALUES) }
    },
    every: |_, _| {
        let with = |value| move |register| Parameters {
            index: Some(register as u16),
            value: Some(value),
            ..Parameters::default()
        };
        VALUES.into_iter().flat_map(|value| SAVED.into_iter().map(with(value))).collect()
    },
    flips_target: false,
};

/// Where the registers wait of the user mode that the running code interrupted; `None` where it interrupted none.
fn saved_registers_at(scene: &dyn Scene) -> Option<u64> {
    let word = |at: u64| (at >> 63 == 1).then(|| scene.held(at, 0xff)).flatten();
    let mut frame = scene.register(Reg::Rbp as usize);
    let mut saved = scene.register(Reg::Rsp as usize);
    for _ in 0..FRAMES_MAX {
        if frame == 0 {
            let segment = word(saved.wrapping_add(SAVED_BYTES + CODE_SEGMENT))?;
            return (segment == USER_CODE).then_some(saved);
        }
        // Behind the caller's frame pointer and the return address.
        saved = frame.wrapping_add(16);
        frame = word(frame)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;
    use super::{SAVED_BYTES, USER_CODE};

    const STACK: u64 = 0xffff_f800_0000_1000;

    /// An interrupt's code two calls deep, with the registers of what it interrupted at `STACK + 0x100`.
    fn interrupted(segment: u64) -> FakeScene {
        let mut scene = FakeScene::new();
        scene.map(STACK, 1);
        scene.put(STACK + 0x20, STACK + 0xf0).put(STACK + 0xf0, 0);
        scene.put(STACK + 0x100 + SAVED_BYTES + 16, segment);
        (scene.registers[5], scene.registers[4]) = (STACK + 0x20, STACK);
        scene
    }

    fn clobber(scene: &mut FakeScene, parameters: &str) -> Option<Verdict> {
        let mut step = operation(PointKind::Step, STACK, 0);
        strike("clobbered-registers", parameters, &mut step, scene)
    }

    #[test]
    fn user_mode_gets_back_what_the_interrupt_s_code_left_in_a_register() {
        let mut scene = interrupted(USER_CODE);

        assert_eq!(clobber(&mut scene, "index = 3\nvalue = '0x77'"), Some(Verdict::Proceed));

        // rbx is pushed fourth of fifteen.
        assert_eq!(scene.stores, [STACK + 0x100 + 8 * 11]);
        assert_eq!(scene.get(STACK + 0x100 + 8 * 11), 0x77);
        let again = clobber(&mut scene, "index = 3\nvalue = '0x77'");
        assert_eq!(again, None, "it is that already");
    }

    #[test]
    fn the_routine_that_the_gate_led_to_has_them_at_its_stack_pointer() {
        let mut scene = interrupted(USER_CODE);
        (scene.registers[5], scene.registers[4]) = (0, STACK + 0x100);

        assert_eq!(clobber(&mut scene, "index = 3"), Some(Verdict::Proceed));
        assert_eq!(scene.stores, [STACK + 0x100 + 8 * 11]);
    }

    #[test]
    fn where_no_user_mode_was_interrupted_nobody_s_registers_wait() {
        assert_eq!(clobber(&mut interrupted(0x10), "index = 3"), None);
        let mut called = interrupted(USER_CODE);
        called.put(STACK + 0xf0, 0x5f_f000);
        assert_eq!(clobber(&mut called, "index = 3"), None, "a service's frames end in user mode's");
    }

    #[test]
    fn the_stack_pointer_is_kept_by_the_gate() {
        let parameters = Parameters { index: Some(4), ..Parameters::default() };
        let refused = Registry::default().build("clobbered-registers", &parameters, &directory());
        assert!(refused.err().is_some_and(|why| why.contains("which the gate keeps")));
    }

    #[test]
    fn another_point_is_none_of_its_business() {
        let mut other = operation(PointKind::Store, STACK, 8);
        assert_eq!(strike("clobbered-registers", "", &mut other, &mut interrupted(USER_CODE)), None);
    }
}
