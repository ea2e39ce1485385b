//! What is wrong in the kernel's code is there or is not: no write to a variable brings it about.

mod worlds;

use ringfence::injection::PointKind;
use ringfence::kernel::layout::switches::DEFECTS;
use ringfence::outcome::{Availability, Integrity};

use worlds::{built_in, fault, struck, trial};

#[test]
fn no_flip_of_the_kernels_switches_plants_a_weakness() {
    let mut trial = trial(&built_in("standard"));
    for bit in (0..64).filter(|bit| DEFECTS >> bit & 1 == 1) {
        // The word with the switches.
        let which = format!("target = \"kernel/variable:9\"\nbit = {bit}");
        let outcome = struck(&mut trial, fault("bit-flip", "kernel", PointKind::Step, 5, &which));

        assert_eq!(outcome.activation.strikes, 1, "bit {bit}");
        assert_eq!(outcome.guarantees, [""; 0], "bit {bit}: {outcome:?}");
        assert_eq!(outcome.deviated, [""; 0], "bit {bit}: {outcome:?}");
        assert_eq!(outcome.availability, Availability::Unaffected, "bit {bit}");
        assert_eq!(outcome.integrity, Integrity::Consumed, "bit {bit}: the word is read");
    }
}
