//! The turning points of a run and what the books found in it, in words.

use crate::authority::{Authority, Consumption, Corruption, Disclosure, Observations, Trespass};
use crate::base::{Event, EventKind, Principal, PrincipalKind, PrincipalSet, Structure, counted};
use crate::campaign::Trial;
use crate::campaign::damage::OwnDoing;
use crate::campaign::experiment::vector_name;
use crate::faults::PlannedFault;
use crate::injection::PointKind;
use crate::machine::Trap;

use super::adjacent::{Word, folded};
use super::altered::Alteration;
use super::beside::gave_way;
use super::bug_check;
use super::differs::Left;
use super::disclosed::what_was_disclosed;
use super::doing::about_to;
use super::mode_line::{called, named};
use super::recorder::{Turn, before_and_after, place};
use super::recovery::Recovery;

/// What happened once, at the event of this number.
pub(super) struct Happened {
    pub(super) ordinal: u64,
    pub(super) head: &'static str,
    pub(super) what: String,
    /// Whether it is told however much else there is.
    pub(super) always: bool,
}

/// What the books found, taken out before the second run.
pub(super) struct Found {
    trespasses: Vec<Trespass>,
    corruptions: Vec<Corruption>,
    consumptions: Vec<Consumption>,
    disclosures: Vec<Disclosure>,
}

impl Found {
    /// What these books found, without what is known to be disclosed in any case.
    pub(super) fn by(books: &Authority, known: Option<&OwnDoing>) -> Self {
        let is_known = |one: &Disclosure| known.is_some_and(|known| known.has_disclosure(one));
        let disclosures = books.disclosures().iter().filter(|one| !is_known(one));
        Self {
            trespasses: books.trespasses().to_vec(),
            corruptions: books.corruptions().to_vec(),
            consumptions: books.consumptions().to_vec(),
            disclosures: disclosures.copied().collect(),
        }
    }
}

impl Found {
    /// The events at which memory that is not that of who was about to act changed by nobody's access.
    fn poked(&self) -> Vec<u64> {
        let elsewhere = self.corruptions.iter();
        elsewhere.filter(|one| one.is_memorys()).map(|one| one.ordinal).collect()
    }
}

/// The turning points of the run in words.
pub(super) fn what_turned(
    trial: &Trial,
    plan: &[PlannedFault],
    found: &Found,
    turns: &[Turn],
    alterations: &[Alteration],
    left: &Left,
) -> Vec<Happened> {
    let poked = found.poked();
    let roster = trial.roster();
    let world = &trial.world;
    let first = turns.iter().find(|turn| turn.event.kind == EventKind::Strike);
    let since = if plan.is_empty() { 0 } else { first.map_or(u64::MAX, |turn| turn.ordinal) };
    let name = |principal: Principal| roster.name(principal);
    let in_code = |actor: Principal, rip: u64| match place(world, actor, rip) {
        code if code.is_empty() => String::new(),
        code => format!(" in {code}"),
    };
    // In its own address space the kernel has no code of user mode.
    let raised_in = |event: &Event| match event.context {
        Principal::KERNEL if event.old >> 63 == 0 => String::new(),
        _ => in_code(event.actor, event.old),
    };
    let led_by = |turn: &Turn| match place(world, turn.asker, turn.rip) {
        code if code.is_empty() => String::new(),
        code => format!(" after {code}"),
    };
    let strikes = turns.iter().filter(|turn| turn.event.kind == EventKind::Strike);
    let second = strikes.map(|turn| turn.ordinal).nth(1).unwrap_or(u64::MAX);
    let before = &trial.golden.observations;
    let mut is_first_boot = true;
    let mut recovery = Recovery::default();
    let mut happened = Vec::new();
    for turn in turns.iter().filter(|turn| turn.ordinal >= since) {
        let event = &turn.event;
        let alteration = match event.kind {
            EventKind::Strike => alterations.get(turn.strikes_before),
            _ => None,
        };
        let altered = alteration.map_or_else(String::new, |one| one.told(event.processor));
        // What a struck step loads and stores without the fault as well is nothing done instead.
        if event.struck && turn.ordinal < second && trial.judge.is_made_anyway(since, event) {
            continue;
        }
        let (head, what) = match event.kind {
            EventKind::Strike => {
                let point = usize::try_from(event.old).ok().and_then(|n| PointKind::ALL.get(n));
                let point = point.map_or("go on".to_owned(), |point| about_to(*point, event.virt));
                // A step that is about to run is where it strikes; anything else happens in one.
                let is_at = |kind: PointKind| event.old == kind as u64;
                let place = |turn: &Turn| match (turn.delivered, alteration) {
                    _ if is_at(PointKind::Step) => {
                        format!(" {}", place(world, event.subject, event.virt))
                    }
                    // Before an interrupt, and while something is delivered, the last step is over.
                    (None, Some(one)) if is_at(PointKind::Interrupt) => {
                        in_code(event.context, one.rip)
                    }
                    (Some(vector), Some(one)) => {
                        let code = in_code(event.context, one.rip);
                        format!(" while vector {vector:#x} is delivered{code}")
                    }
                    _ => in_code(event.subject, turn.rip),
                };
                let again = match turn.again {
                    0 => String::new(),
                    1 => format!(", and once more at step {}", turn.until),
                    times => format!(", and {times} times more until step {}", turn.until),
                };
                let device = roster.kind(event.actor) == PrincipalKind::Device;
                let place = if device { String::new() } else { place(turn) };
                let way = alteration.filter(|one| one.preempts());
                let way = way.map_or_else(String::new, |_| gave_way(roster, turn));
                // Who strikes may be another: a thread of the caller's, behind what the kernel fetches.
                let what = format!(
                    "{} was about to {point}{place}{altered}{way}{again}",
                    name(event.subject)
                );
                ("struck", what)
            }
            EventKind::Store | EventKind::DmaWrite if event.struck => {
                let (new, old) = (event.value, event.old);
                // As it is called where it is damaged: whose frame it is, is the subject.
                let meant = called(PrincipalSet::of(event.subject), event.structure);
                let what = match (event.virt, event.structure) {
                    (virt, _) if new == old && virt != 0 => {
                        format!(
                            "{} changed nothing at {virt:#x}, meant as {meant}: {old:#x} stays",
                            name(event.actor)
                        )
                    }
                    // Behind everybody's back, whoever was about to act then.
                    _ if poked.contains(&turn.ordinal) => {
                        format!("{new:#x} is over {old:#x} in {}, by itself", place_of(event.phys))
                    }
                    // A change of memory of one's own, or a store where no address leads.
                    (0, Structure::Free) => format!(
                        "{new:#x} is over {old:#x} in {}, by the doing of {}",
                        place_of(event.phys),
                        name(event.actor)
                    ),
                    (0, _) => format!(
                        "{} wrote {new:#x} over {old:#x} in {}, meant as {meant}",
                        name(event.actor),
                        place_of(event.phys)
                    ),
                    (virt, Structure::Free) => format!(
                        "{} wrote {new:#x} over {old:#x} at {virt:#x}, in {}",
                        name(event.actor),
                        place_of(event.phys)
                    ),
                    (virt, _) => format!(
                        "{} wrote {new:#x} over {old:#x} at {virt:#x}, meant as {meant}",
                        name(event.actor)
                    ),
                };
                ("instead", what)
            }
            EventKind::DmaRead if event.struck => (
                "instead",
                format!(
                    "{} read {:#x} in {}",
                    name(event.actor),
                    event.value,
                    place_of(event.phys)
                ),
            ),
            EventKind::Load if event.struck => (
                "instead",
                format!("{} read {:#x} at {:#x}", name(event.actor), event.value, event.virt),
            ),
            EventKind::Exception => (
                "noticed",
                format!(
                    "{}: {}{}",
                    exception(event),
                    name(event.actor),
                    match raised_in(event) {
                        // Nothing could be fetched: what led there is all there is to tell.
                        code if code.is_empty() && event.old == event.virt => led_by(turn),
                        code => code,
                    }
                ),
            ),
            EventKind::DmaRefused => {
                ("refused", format!("the IOMMU keeps {} from {:#x}", name(event.actor), event.phys))
            }
            EventKind::BugCheck => (
                "stopped",
                format!("bug check {:#x} {}", event.value, bug_check::name(event.value)),
            ),
            EventKind::Reset => ("stopped", "reset without a dump".to_owned()),
            EventKind::Boot if event.value > 1 => {
                is_first_boot = false;
                let what = format!(
                    "boot {}: memory is as the loader leaves it, the disk as it was left",
                    event.value
                );
                ("boots", what)
            }
            EventKind::ProcessEnded if !plan.is_empty() => {
                let (process, status) = (event.subject, event.value);
                // What is left is known of the first boot.
                let is_known = match is_first_boot {
                    true => left.ended_so(process, status, before),
                    false => ended_with(before, process, status),
                };
                if is_known {
                    continue;
                }
                let after = match is_first_boot {
                    true => left.ended_after(process, status, before),
                    false => String::new(),
                };
                ("ended", format!("{} with status {status:#x}{after}", name(process)))
            }
            EventKind::ProcessEnded => {
                ("ended", format!("{} with status {:#x}", name(event.subject), event.value))
            }
            _ => match recovery.told(event, roster) {
                Some(told) => told,
                None => continue,
            },
        };
        // A device knows no linear address.
        let is_of_a_device = match event.kind {
            EventKind::DmaRefused => true,
            EventKind::DmaRead | EventKind::DmaWrite => event.struck,
            _ => false,
        };
        let told = || format!("{:?}", (event.actor, event.structure, event.virt));
        let word = is_of_a_device.then(|| Word { phys: event.phys, told: told() });
        happened.push((Happened { ordinal: turn.ordinal, head, what, always: false }, word));
    }
    folded(happened)
}

/// The last exception before each stop is told, however many were handled before: mostly it is what stops
/// the machine.
pub(super) fn keep_what_stops(happened: &mut [Happened]) {
    let mut last = None;
    for place in 0..happened.len() {
        match happened[place].head {
            "noticed" => last = Some(place),
            "boots" => last = None,
            "stopped" => {
                if let Some(last) = last.take() {
                    happened[last].always = true;
                }
            }
            _ => {}
        }
    }
}

/// An exception, where it was raised, and its error code if it has one: only of a page fault and of what
/// the second level refuses is the address known that could not be accessed (Intel SDM volume 3A,
/// "Exception and Interrupt Reference").
fn exception(event: &Event) -> String {
    let (vector, code) = (event.value >> 32, event.value & 0xffff_ffff);
    let name = vector_name(vector);
    match u8::try_from(vector) {
        Ok(Trap::PAGE_FAULT | Trap::VIRTUALIZATION) => {
            format!("{name} at {:#x}, error code {code:#x}", event.virt)
        }
        Ok(
            Trap::DOUBLE_FAULT
            | Trap::NOT_PRESENT
            | Trap::GENERAL_PROTECTION
            | Trap::CONTROL_PROTECTION,
        ) => format!("{name} in the step at {:#x}, error code {code:#x}", event.old),
        _ => format!("{name} in the step at {:#x}", event.old),
    }
}

/// Whether a process ended in the golden run too, and with this status.
fn ended_with(golden: &Observations, process: Principal, status: u64) -> bool {
    let (ended, before) = golden.ending(process);
    ended > 0 && before == status
}

/// What the books found, in words.
pub(super) fn what_was_found(trial: &Trial, found: &Found, turns: &[Turn]) -> Vec<Happened> {
    let roster = trial.roster();
    let whose = |owner: Option<Principal>, structure: Structure| match owner {
        None => structure.to_string(),
        Some(owner) => format!("{structure} of {}", roster.name(owner)),
    };
    let whose_all = |owners: PrincipalSet, structure: Structure| match owners {
        PrincipalSet::NOBODY => structure.to_string(),
        owners => named(roster, owners, structure),
    };
    let mut lines = Vec::new();
    for one in &found.trespasses {
        let verb = match one.event.kind {
            EventKind::Store | EventKind::StoreRun | EventKind::DmaWrite => continue,
            EventKind::Step => "ran",
            _ => "read",
        };
        let word = matches!(one.event.kind, EventKind::DmaRead).then(|| Word {
            phys: one.event.phys,
            told: format!("{:?}", (one.event.actor, one.owner, one.structure)),
        });
        let line = Happened {
            ordinal: one.ordinal,
            always: false,
            head: "trespass",
            what: format!(
                "{} {verb} {} {} without leave",
                roster.name(one.event.actor),
                whose(one.owner, one.structure),
                // A device knows no linear address.
                match one.event.kind {
                    EventKind::DmaRead => format!("in {}", place_of(one.event.phys)),
                    _ => format!("at {:#x}", one.event.virt),
                }
            ),
        };
        lines.push((line, word));
    }
    let mut happened = folded(core::mem::take(&mut lines));
    let poked = found.poked();
    let told = || found.trespasses.iter().map(|one| (one.ordinal, one.event));
    for one in &found.corruptions {
        let by = match (one.struck, roster.name(one.culprit)) {
            _ if poked.contains(&one.ordinal) => {
                "changed by the fault, by nobody's access".to_owned()
            }
            (true, who) => format!("written by {who} by the fault's doing"),
            (false, who) => format!("written by {who} without leave"),
        };
        let word = (one.words == 1).then(|| Word {
            phys: one.phys,
            told: format!("{:?}", (one.culprit, one.owners, one.structure, one.struck)),
        });
        let line = Happened {
            ordinal: one.ordinal,
            always: false,
            head: "corrupt",
            what: format!(
                "{} in {}: {} {by}{}",
                whose_all(one.owners, one.structure),
                place_of(one.phys),
                counted(one.words, "word"),
                before_and_after(told(), turns, one.ordinal),
            ),
        };
        lines.push((line, word));
    }
    happened.extend(folded(lines));
    let mut told: Vec<(Principal, usize)> = Vec::new();
    for one in &found.consumptions {
        if told.contains(&(one.reader, one.corruption)) {
            continue;
        }
        told.push((one.reader, one.corruption));
        let for_whom = match one.context {
            context if context == one.reader => String::new(),
            context => format!(", working for {},", roster.name(context)),
        };
        let from_whom = match found.corruptions.as_slice() {
            [_] | [] => "it".to_owned(),
            all => {
                let place = place_of(one.phys);
                match all.get(one.corruption) {
                    Some(it) if poked.contains(&it.ordinal) => format!("what changed in {place}"),
                    Some(it) => format!("what {} wrote in {place}", roster.name(it.culprit)),
                    None => format!("what somebody wrote in {place}"),
                }
            }
        };
        // By the name that it has where it was damaged.
        let damaged = found.corruptions.get(one.corruption);
        let what =
            damaged.map_or(one.structure.name(), |damaged| called(damaged.owners, one.structure));
        happened.push(Happened {
            ordinal: one.ordinal,
            always: false,
            head: "read",
            what: format!("{}{for_whom} reads {from_whom}: {what}", roster.name(one.reader)),
        });
    }
    happened.extend(what_was_disclosed(trial, &found.disclosures));
    happened
}

/// A physical address as people look for it.
pub(super) fn place_of(phys: u64) -> String {
    format!("frame {:#x}, byte {:#x}", phys / 4096, phys % 4096)
}
