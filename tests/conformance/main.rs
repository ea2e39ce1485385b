//! The conformance suite on code of its own: silent on the correct one, and each planted bug is found
//! by the check that is there for it.

mod aarch64;
mod attributes;
mod bug;
mod damaged;
mod declared;
mod emptied;
mod entrances;
mod fatal;
mod guards;
mod huge;
mod lengths;
mod margins;
mod marks;
mod planted;
mod pointers;
mod ranges;
mod reentry;
mod round_trips;
mod shapes;
mod small;
mod standalone;
mod steps;
mod tables;
mod walkers;
mod widths;
