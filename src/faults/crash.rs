//! A component crashes.
//!
//! A null pointer, bytes that are no instruction, a division by zero, a stack that is used up, or
//! a fast fail: the ends a program brings upon itself. At a load or store a null dereference is an
//! access near address 0; at a step it is a call through a null pointer.
//!
//! Source: Microsoft, "Bug Check 0x1E: KMODE_EXCEPTION_NOT_HANDLED" and "Bug Check 0x50:
//! PAGE_FAULT_IN_NONPAGED_AREA"; "__fastfail".
//!
//! Injection points: `step`, `load`, `store`.

use super::elements::{anywhere, fault};
use super::{Crash, Family, Kind, Model, Parameters};
use crate::injection::{PointKind, PointKinds, Recurrence, Verdict};
use crate::machine::{Reg, Trap};

/// The address of a field of a structure at null.
const NULL_FIELD: u64 = 0x10;

/// A component crashes.
pub(super) const KIND: Kind = Kind {
    name: "crash",
    family: Family::Defect,
    model: Model::Swifi,
    points: PointKinds::of(&[PointKind::Step, PointKind::Load, PointKind::Store]),
    fits: anywhere,
    recurrence: Recurrence::Once,
    parameters: &["how"],
    about: "a component crashes",
    source: "Microsoft, \"Bug Check 0x1E: KMODE_EXCEPTION_NOT_HANDLED\" and \"Bug Check 0x50: PAGE_FAULT_IN_NONPAGED_AREA\"",
    build: |parameters, _| {
        let how = parameters.how.unwrap_or(Crash::NullDereference);
        fault(&KIND, move |operation, scene| {
            let is_step = operation.kind == PointKind::Step;
            match how {
                Crash::NullDereference if is_step => Some(Verdict::Jump(0)),
                Crash::NullDereference => {
                    operation.virt = NULL_FIELD;
                    Some(Verdict::Proceed)
                }
                Crash::IllegalInstruction => Some(Verdict::Raise(Trap::INVALID_OPCODE)),
                Crash::DivideByZero => Some(Verdict::Raise(Trap::DIVIDE)),
                Crash::Abort => {
                    scene.set_register(Reg::Rcx as usize, Trap::FATAL_APP_EXIT);
                    Some(Verdict::Raise(Trap::FAST_FAIL))
                }
                Crash::StackOverflow if is_step => {
                    // Into the page below the stack's, which is never mapped; the next push or
                    // local finds out. Where the pointer is a page's border the stack is empty, and nothing
                    // has run that could use it up: a process's first step sets its own pointer.
                    let stack = scene.register(Reg::Rsp as usize);
                    if stack & 0xfff == 0 {
                        return None;
                    }
                    scene.set_register(Reg::Rsp as usize, (stack & !0xfff).wrapping_sub(256));
                    Some(Verdict::Proceed)
                }
                Crash::StackOverflow => None,
            }
        })
    },
    draw: |stream, at, _| {
        Parameters { how: stream.pick(ways(at.kind)).copied(), ..Parameters::default() }
    },
    every: |point, _| {
        ways(point).iter().map(|&how| Parameters { how: Some(how), ..Parameters::default() }).collect()
    },
    flips_target: false,
};

/// The ways to crash there: a stack is used up by a step only.
const fn ways(point: PointKind) -> &'static [Crash] {
    const WAYS: &[Crash] = &[
        Crash::NullDereference,
        Crash::IllegalInstruction,
        Crash::DivideByZero,
        Crash::Abort,
        Crash::StackOverflow,
    ];
    match point {
        PointKind::Step => WAYS,
        _ => WAYS.split_at(4).0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::elements::testing::*;

    #[test]
    fn each_way_to_crash_is_the_exception_it_is_named_after() {
        let crash = |how: &str| {
            let mut step = operation(PointKind::Step, 0x1000, 0);
            strike("crash", &format!("how = '{how}'"), &mut step, &mut FakeScene::new())
        };

        assert_eq!(crash("null-dereference"), Some(Verdict::Jump(0)));
        assert_eq!(crash("illegal-instruction"), Some(Verdict::Raise(6)));
        assert_eq!(crash("divide-by-zero"), Some(Verdict::Raise(0)));
        assert_eq!(crash("abort"), Some(Verdict::Raise(0x29)));
    }

    #[test]
    fn an_abort_tells_its_code_in_rcx() {
        let mut scene = FakeScene::new();
        let mut step = operation(PointKind::Step, 0x1000, 0);

        strike("crash", "how = 'abort'", &mut step, &mut scene);

        // FAST_FAIL_FATAL_APP_EXIT of winnt.h.
        assert_eq!(scene.registers[1], 7);
    }

    #[test]
    fn a_stack_overflow_leaves_the_stack_below_its_page() {
        let mut scene = FakeScene::new();
        scene.registers[4] = 0x5f_ffc0;
        let mut step = operation(PointKind::Step, 0x1000, 0);

        strike("crash", "how = 'stack-overflow'", &mut step, &mut scene);

        assert_eq!(scene.registers[4] >> 12, 0x5fe);
    }

    #[test]
    fn a_stack_that_is_empty_does_not_overflow() {
        let mut scene = FakeScene::new();
        scene.registers[4] = 0x60_0000;
        let mut step = operation(PointKind::Step, 0x1000, 0);

        assert_eq!(strike("crash", "how = 'stack-overflow'", &mut step, &mut scene), None);
        assert_eq!(scene.registers[4], 0x60_0000);
    }

    #[test]
    fn a_load_through_null_is_a_load_near_null() {
        let mut load = operation(PointKind::Load, 0x1000, 0);
        assert_eq!(strike("crash", "", &mut load, &mut FakeScene::new()), Some(Verdict::Proceed));
        assert_eq!(load.virt, 0x10);
    }

    #[test]
    fn a_stack_does_not_overflow_at_a_load() {
        let mut load = operation(PointKind::Load, 0x1000, 0);
        let parameters = "how = 'stack-overflow'";
        assert_eq!(strike("crash", parameters, &mut load, &mut FakeScene::new()), None);
    }
}
