//! Driver Verifier's code integrity checks: drivers that ask for memory which can be executed.
//!
//! Where memory integrity protects the kernel no memory can be written and executed, so a driver that asks for pool
//! of an executable type gets into trouble there; this option finds it anywhere ("Code integrity checking"; "Bug
//! Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION", 0x2000). Looked at in what takes the place of the pool's
//! allocation routine, of whichever generation, see [`verified`](super::verified).
//!
//! In this model no driver names a type that can be executed or can't: whether nonpaged pool can be executed is a
//! setting of the machine (`no-execute-pool`), as if all drivers were built with `POOL_NX_OPTIN` or none were ("No-Execute
//! (NX) Nonpaged Pool"). So where it is off each driver's request for nonpaged pool is one for pool that can be
//! executed. The kernel's own requests are none of a driver's. What is asked for as paged is not looked at: it is
//! never executable where there is a paged pool, and the pool of four sizes has none.
//!
//! Not modelled: page protections that a driver asks for (0x2001), and mappings of locked pages that can be executed
//! (0x2002): no routine of the model takes either. Nor what is wrong in an image (0x2003 to 0x2005): that code can be
//! written (`read-only-code`) is a setting of the machine's page tables too, but those checks read the headers of the
//! image's sections and name them, and an image has no headers in this model's memory.

use crate::base::Rule;
use crate::machine::{Processor, Trap};

use super::bug_check::bug_checks;
use super::configured::configured;
use super::layout::address::{is_code_of_an_image, is_code_of_windows};
use super::layout::switches;
use super::pools::state::PAGED;
use super::verifier::caller;

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "verifier-executable-pool",
        "A driver that asks for pool which can be executed is found.",
        "Code integrity checking; Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION",
    ),
    Rule::chosen(
        "executable-pool-by-the-machine",
        "Without `no-execute-pool` a driver's request for nonpaged pool is one for executable pool.",
        "this model; No-Execute (NX) Nonpaged Pool (a driver names the type, or is built with a switch)",
    ),
];

bug_checks! {
    EXECUTABLE_POOL: DRIVER_VERIFIER_DETECTED_VIOLATION, parameter 1 = 0x2000,
    when "a driver asks for pool that can be executed (code integrity checks)",
    parameters "what: executable pool", "address in the driver's code", "pool type", "tag",
    source "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION" documented;
}

/// The type of nonpaged pool that can be executed (`NonPagedPool`, `NonPagedPoolExecute`).
const EXECUTABLE: u64 = 0;

/// What is wrong with asking for a block: a driver asks for one that can be executed.
pub(super) fn of_allocation(p: &mut Processor<'_>) -> Result<Option<[u64; 5]>, Trap> {
    let (tag, flags) = (p.argument(1), p.argument(2));
    if flags & PAGED != 0 || configured(p)? & switches::POOL_EXECUTABLE == 0 {
        return Ok(None);
    }
    let at = caller(p)?;
    let is_drivers = is_code_of_an_image(at) && !is_code_of_windows(at);
    Ok(is_drivers.then(|| EXECUTABLE_POOL.with([0x2000, at, EXECUTABLE, tag])))
}
