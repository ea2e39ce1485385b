//! A crashed user-mode driver changes nobody's observations but its clients'.
//!
//! As for applications, with one difference: who had a request at the host may see it fail. Who had
//! none sees what it saw in the golden run.
//!
//! Not checked here: faults that struck in kernel mode or in a device, which promise nothing; who
//! shares a changing resource with anybody, since that one may run at other times now.
//!
//! Source: Microsoft Learn, "User mode and kernel mode"; "Advantages of UMDF": "if a user-mode driver
//! crashes, the system is not affected".

use crate::base::PrincipalKind;

use super::crash_contained::hold_strangers;
use super::{End, Evidence, Findings, Invariant, Kinds};

pub(super) struct DriverHostContained;

impl Invariant for DriverHostContained {
    fn name(&self) -> &'static str {
        "a-driver-host-crash-is-contained"
    }

    fn sentence(&self) -> &'static str {
        "A fault in a user-mode driver changes the observations of nobody but its clients, beyond the influence relation."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"User mode and kernel mode\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::NONE
    }

    fn check(&self, _: &Evidence<'_>, _: &mut Findings) {}

    fn check_at_rest(&self, evidence: &Evidence<'_>, end: &End<'_>, findings: &mut Findings) {
        hold_strangers(PrincipalKind::DriverHost, evidence, end, findings);
    }
}
