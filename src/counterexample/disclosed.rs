//! What reached somebody who may not read it, in words.

use crate::authority::Disclosure;
use crate::base::{Principal, PrincipalKind, PrincipalSet, Structure, counted};
use crate::campaign::Trial;

use super::happened::{Happened, place_of};
use super::mode_line::names_of;

/// A line for each: of words that are copied one after the other one for all of them, of many that are read one
/// by one the first.
pub(super) fn what_was_disclosed(trial: &Trial, disclosures: &[Disclosure]) -> Vec<Happened> {
    let roster = trial.roster();
    let whose = |owner: Option<Principal>, structure: Structure| match owner {
        None => structure.to_string(),
        Some(owner) => format!("{structure} of {}", roster.name(owner)),
    };
    let mut happened = Vec::new();
    for (number, one) in disclosures.iter().enumerate() {
        // Of many words that were read, one by one, the first.
        let is_same = |other: &Disclosure| {
            let key =
                |one: &Disclosure| (one.actor, one.receiver, one.owner, one.structure, one.is_left);
            key(other) == key(one)
        };
        if one.is_read() && disclosures[..number].iter().any(is_same) {
            continue;
        }
        // What is copied is told with the words behind it that are copied next.
        let follows = |before: &Disclosure, after: &Disclosure| {
            !after.is_read()
                && is_same(before)
                && is_same(after)
                && before.source + 8 == after.source
        };
        if number > 0 && follows(&disclosures[number - 1], one) {
            continue;
        }
        let behind = disclosures[number..].windows(2);
        let words = 1 + behind.take_while(|two| follows(&two[0], &two[1])).count() as u64;
        let (who, what) = (roster.name(one.actor), whose(one.owner, one.structure));
        let what = match roster.kind(one.actor) {
            _ if !one.is_read() => {
                let words = counted(words, "word");
                let receiver = roster.name(one.receiver);
                format!("{who} copied {words} of {what} to where {receiver} reads it")
            }
            _ if one.is_left => {
                let from = one.owner.map_or("nobody", |owner| roster.name(owner));
                format!(
                    "{who} has what {from} left in its {}, {}",
                    one.structure,
                    place_of(one.source)
                )
            }
            PrincipalKind::Device => format!("{who} has {what}{}", may_learn(trial, one.actor)),
            _ => format!("{who} has {what}"),
        };
        happened.push(Happened { ordinal: one.ordinal, always: false, head: "disclosed", what });
    }
    happened
}

/// Who may learn what is with a device.
fn may_learn(trial: &Trial, device: Principal) -> String {
    match trial.judge.authority.served_by(device) {
        PrincipalSet::NOBODY => String::new(),
        users => format!(", and whom it serves may learn it: {}", names_of(trial.roster(), users)),
    }
}
