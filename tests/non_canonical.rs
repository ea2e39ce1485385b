//! A return to an address that is not canonical faults where it is made: RET in the code that returns, IRETQ
//! still in kernel mode (Intel SDM volume 2, "64-Bit Mode Exceptions" of RET and IRET).

mod worlds;

use ringfence::injection::PointKind;
use ringfence::kernel::layout::address;
use ringfence::outcome::Availability;

use worlds::{fault, named, neighbours, struck, trial};

/// What an overrun with one letter leaves.
const LETTERS: u64 = 0x4141_4141_4141_4141;

#[test]
fn a_driver_that_returns_nowhere_faults_in_its_own_code() {
    let mut trial = trial(&neighbours());
    let value = format!("value = '{LETTERS:#x}'");

    let outcome =
        struck(&mut trial, fault("corrupted-return-address", "nic", PointKind::Step, 3, &value));

    let Availability::BugCheck { parameters, .. } = outcome.availability else {
        panic!("{outcome:?}");
    };
    let of_the_driver = address::DRIVER_CODE..address::DRIVER_CODE + address::DRIVER_DATA_OFFSET;
    assert!(parameters.iter().any(|one| of_the_driver.contains(one)), "{parameters:x?}");
    assert!(!parameters.contains(&LETTERS), "{parameters:x?}");
}

#[test]
fn an_interrupt_that_returns_nowhere_stops_the_machine_and_not_the_process() {
    let mut trial = trial(&neighbours());
    let kernel = named(&trial, "kernel");
    let points = trial.golden.points.clone();
    let mut loads = 0;
    let mut of_this_step = Vec::new();
    let mut returns = Vec::new();
    for point in points.iter().filter(|point| point.principal == kernel) {
        of_this_step.retain(|&(clock, _)| clock == point.clock);
        if point.kind == PointKind::Load {
            loads += 1;
            of_this_step.push((point.clock, loads));
        }
        // IRETQ reads five words, the address first.
        let to_user = point.argument < 1 << 47;
        if point.kind == PointKind::ModeSwitch && to_user && of_this_step.len() >= 5 {
            returns.push(of_this_step[of_this_step.len() - 5].1);
        }
    }
    assert!(!returns.is_empty(), "somebody is interrupted in user mode");

    for nth in returns.into_iter().take(3) {
        let value = format!("value = '{LETTERS:#x}'");
        let wrong = fault("wrong-value-loaded", "kernel", PointKind::Load, nth, &value);
        let outcome = struck(&mut trial, wrong);

        let stops = matches!(outcome.availability, Availability::BugCheck { .. });
        assert!(stops, "load {nth}: {outcome:?}");
    }
}
