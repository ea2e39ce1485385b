//! What a fault and its damage had to do with the line between user mode and kernel mode.

use crate::base::{Domain, Principal, PrincipalKind, PrincipalSet, Roster, Structure};
use crate::campaign::Trial;
use crate::campaign::told_by::told_by;
use crate::outcome::{Availability, Outcome};

/// Whether who is of this kind is on one side.
type IsThere = fn(PrincipalKind) -> bool;

/// On which side the faults of the last run struck, and whether their damage crossed. Where nothing struck,
/// on which side it went wrong: `noticed` is whose code raised the last exception. `None` when nothing struck,
/// nothing was damaged and nothing was lost.
pub(super) fn mode_line(
    trial: &Trial,
    outcome: &Outcome,
    noticed: Option<Principal>,
) -> Option<String> {
    let roster = trial.roster();
    let books = &trial.judge.authority;
    let struck = trial.judge.struck();
    let suspects = trial.judge.suspects();
    let is_user_mode = PrincipalKind::is_process;
    let is_user_mode_plan =
        !suspects.memory && suspects.who.iter().all(|one| is_user_mode(roster.kind(one)));
    let is_mixed_plan = suspects.memory
        || !is_user_mode_plan && suspects.who.iter().any(|one| is_user_mode(roster.kind(one)));
    let names_where = |keeps: IsThere| {
        let them = suspects.who.iter().filter(|one| keeps(roster.kind(*one)));
        them.map(|one| roster.name(one)).collect::<Vec<_>>().join(", ")
    };
    let began = if suspects.memory && suspects.who.is_empty() {
        "struck below it, in memory itself, where no mode holds".to_owned()
    } else if struck.is_empty() {
        String::new()
    } else if is_user_mode_plan {
        format!("struck in user mode ({}), which must contain it", names_where(is_user_mode))
    } else if !suspects.memory
        && suspects.who.iter().all(|one| roster.kind(one) == PrincipalKind::Device)
    {
        format!("struck in a device ({}), which no mode binds", names_where(|_| true))
    } else {
        let sides: [(&str, IsThere); 3] = [
            ("kernel mode", |kind| !kind.is_process() && kind != PrincipalKind::Device),
            ("user mode", PrincipalKind::is_process),
            ("a device", |kind| kind == PrincipalKind::Device),
        ];
        let sides = sides.map(|(side, keeps)| (side, names_where(keeps)));
        let sides = sides.iter().filter(|(_, names)| !names.is_empty());
        let mut sides: Vec<_> = sides.map(|(side, names)| format!("{side} ({names})")).collect();
        sides.extend(suspects.memory.then(|| "memory itself".to_owned()));
        format!("struck in {}, which promises little", sides.join(" and "))
    };
    let (mut crossings, mut stayed) = (Vec::new(), Vec::new());
    // What its world does to itself, no fault did.
    let own = trial.judge.strike().map(|_| &trial.golden.own_doing);
    let corruptions = books.corruptions().iter();
    for corruption in corruptions.filter(|one| own.is_none_or(|own| !own.has_corruption(one))) {
        let owners = corruption.owners;
        // What memory did by itself came from neither side.
        if owners.is_empty() || corruption.is_memorys() {
            continue;
        }
        // Kernel mode that takes its own memory for a process's was told so by the process.
        // What it did to the process in whose context it ran, nobody there told it to.
        let told_by = told_by(books, roster, corruption);
        let told_by = told_by.filter(|who| corruption.owner != Some(*who));
        let is_user_memory = corruption.domain != Domain::PageTable
            && owners.iter().any(|one| is_user_mode(roster.kind(one)));
        // A process gets at another's memory by way of what kernel mode should have kept from it.
        let is_by_process = is_user_mode(roster.kind(corruption.culprit));
        let is_by_way_of_kernel_mode = is_mixed_plan
            && is_by_process
            && is_user_memory
            && !owners.contains(corruption.culprit);
        // What the kernel does for who was struck begins with who was struck; of several on both sides,
        // with who wrote.
        let from_user_mode = if struck.is_empty() || is_mixed_plan {
            (told_by.is_some() || is_by_process) && !is_by_way_of_kernel_mode
        } else {
            is_user_mode_plan
        };
        // Who has a section mapped writes it with leave.
        let is_sharing = |who: Principal| owners.contains(who);
        let by_one_of_them = match told_by {
            _ if !struck.is_empty() => struck.iter().any(is_sharing),
            Some(told_by) => is_sharing(told_by),
            None => is_sharing(corruption.culprit),
        };
        let is_shared = corruption.structure == Structure::SharedSection && by_one_of_them;
        if is_shared || from_user_mode == is_user_memory {
            let told = named(roster, owners, corruption.structure);
            if !is_shared && !stayed.contains(&(is_user_memory, told.clone())) {
                stayed.push((is_user_memory, told));
            }
            continue;
        }
        let to = if is_user_memory { "into user mode" } else { "into kernel mode" };
        let what = named(roster, owners, corruption.structure);
        let by_hand = told_by.filter(|&who| who != corruption.culprit);
        let by_hand = by_hand.filter(|_| struck.is_empty() || is_mixed_plan);
        let by_hand = by_hand.map_or(String::new(), |who| {
            let (hand, who) = (roster.name(corruption.culprit), roster.name(who));
            format!(", by the hand of {hand}, which wrote where {who} told it to")
        });
        let told = format!("{to}, to {what}{by_hand}");
        if !crossings.contains(&told) {
            crossings.push(told);
        }
    }
    let mut disclosures = books.disclosures().iter();
    let first = disclosures.find(|one| own.is_none_or(|own| !own.has_disclosure(one)));
    let given_out = first.map(|one| {
        let whose = one.owner.map_or(String::new(), |owner| format!(" of {}", roster.name(owner)));
        let to = roster.name(one.receiver);
        let what = match one.is_left {
            true => format!("content{whose}, left in its {}", one.structure),
            false => format!("content of {}{whose}", one.structure),
        };
        match one.is_read() {
            true => format!("{to} has {what}"),
            false => format!("{what} was copied to where {to} reads it"),
        }
    });
    let crossed = match crossings.as_slice() {
        [] if began.is_empty() && given_out.is_none() => {
            return went_wrong(roster, outcome, noticed, &stayed);
        }
        [] => given_out.unwrap_or_else(|| "no damage to memory crossed it".to_owned()),
        [first] => format!("damage crossed it {first}"),
        [first, others @ ..] => {
            let more = match others.len() {
                1 => "once more".to_owned(),
                more => format!("{more} times more"),
            };
            format!("damage crossed it {first}, and {more}")
        }
    };
    let gap = if began.is_empty() { "" } else { "; " };
    Some(format!("{began}{gap}{crossed}"))
}

/// On which side it went wrong where nothing struck and no damage crossed: where the damage stayed, or whose
/// code it was.
fn went_wrong(
    roster: &Roster,
    outcome: &Outcome,
    noticed: Option<Principal>,
    stayed: &[(bool, String)],
) -> Option<String> {
    let side = |is_user_mode: bool| if is_user_mode { "in user mode" } else { "in kernel mode" };
    if let [(is_user_mode, first), others @ ..] = stayed {
        let more =
            if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        return Some(format!("damage stayed {}: to {first}{more}", side(*is_user_mode)));
    }
    if outcome.availability == Availability::Unaffected {
        return None;
    }
    let Some(who) = noticed else { return Some("no damage to memory crossed it".to_owned()) };
    let side = side(roster.kind(who).is_process());
    Some(format!("it went wrong {side} ({}); no damage to memory crossed it", roster.name(who)))
}

/// Somebody's memory in a sentence.
pub(super) fn named(roster: &Roster, owners: PrincipalSet, structure: Structure) -> String {
    format!("{} of {}", called(owners, structure), names_of(roster, owners))
}

/// What memory of these owners is called: on a kernel stack, of whose code has a frame there, the frame.
pub(super) fn called(owners: PrincipalSet, structure: Structure) -> &'static str {
    match structure {
        Structure::KernelStack if !owners.contains(Principal::KERNEL) => "stack frame",
        structure => structure.name(),
    }
}

/// Names in a sentence: each of few, the first of many.
pub(super) fn names_of(roster: &Roster, principals: PrincipalSet) -> String {
    let names: Vec<&str> = principals.iter().map(|one| roster.name(one)).collect();
    match names.as_slice() {
        [] => "nobody".to_owned(),
        [one] => (*one).to_owned(),
        [first, second] => format!("{first} and {second}"),
        [first, others @ ..] => format!("{first} and {} others", others.len()),
    }
}
