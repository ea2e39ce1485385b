//! A crashed application changes nobody else's observations.
//!
//! At the end of a run in which faults struck applications, every application that they may not
//! influence saw what it saw in the golden run: the same operations, statuses and bytes, and the same
//! end with the same status. Where the system stopped in one of both, with a critical process for example,
//! what it saw until then.
//!
//! Not checked here: faults that struck in kernel mode or in a device, which promise nothing; who
//! shares a changing resource with somebody else, since that one may run at other times now. A file that
//! nobody else asks about is none.
//!
//! Source: Microsoft Learn, "User mode and kernel mode": "if an application crashes, the crash is limited
//! to that one application".

use crate::authority::Ending;
use crate::base::PrincipalKind;

use super::{End, Evidence, Findings, Invariant, Kinds, RestKind};

pub(super) struct CrashContained;

/// Holds every application that faults which struck in user mode, among them in a process of this
/// kind, may not influence to what it saw in the golden run.
pub(super) fn hold_strangers(
    kind: PrincipalKind,
    evidence: &Evidence<'_>,
    end: &End<'_>,
    findings: &mut Findings,
) {
    let (authority, roster) = (evidence.authority, evidence.authority.roster());
    let Some(golden) = end.golden else { return };
    let is_user_mode = end.origins.iter().all(|origin| roster.kind(origin).is_process());
    let is_ours = end.origins.iter().any(|origin| roster.kind(origin) == kind);
    if !is_user_mode || !is_ours {
        return;
    }
    let is_cut = end.rest != RestKind::Quiescent;
    let allowed = authority.may_differ(end.origins, end.golden_influence);
    for (principal, entry) in roster.iter() {
        let is_exempt = allowed.contains(principal);
        if entry.kind != PrincipalKind::Application || is_exempt {
            continue;
        }
        let (seen, before) = (authority.observations().of(principal), golden.of(principal));
        let (Some(seen), Some(before)) = (seen, before) else { continue };
        if !seen.fits(before, is_cut, end.is_golden_cut) {
            findings.add(end.origins.iter().next(), Some(principal), 0, 0, || {
                match seen.first_difference(before) {
                    Some(number) => format!(
                        "{} saw {:x?} as its observation {number}, and without the fault {:x?}",
                        entry.name,
                        seen.first()[number],
                        before.first()[number],
                    ),
                    None if !seen.ends_alike(before, is_cut) => format!(
                        "{} ended {}, and without the fault {}",
                        entry.name,
                        ending_told(seen.ending()),
                        ending_told(before.ending()),
                    ),
                    None => format!(
                        "{} made {} observations, and without the fault {}",
                        entry.name,
                        seen.count(),
                        before.count(),
                    ),
                }
            });
        }
    }
}

/// How a process ended, in words.
fn ending_told((times, status): Ending) -> String {
    match times {
        0 => "never".to_owned(),
        1 => format!("with status {status:#x}"),
        _ => format!("{times} times, at last with status {status:#x}"),
    }
}

impl Invariant for CrashContained {
    fn name(&self) -> &'static str {
        "a-crash-is-contained"
    }

    fn sentence(&self) -> &'static str {
        "A fault in an application changes nobody else's observations beyond the influence relation."
    }

    fn source(&self) -> &'static str {
        "Microsoft Learn, \"User mode and kernel mode\""
    }

    fn kinds(&self) -> Kinds {
        Kinds::NONE
    }

    fn check(&self, _: &Evidence<'_>, _: &mut Findings) {}

    fn check_at_rest(&self, evidence: &Evidence<'_>, end: &End<'_>, findings: &mut Findings) {
        hold_strangers(PrincipalKind::Application, evidence, end, findings);
    }
}
