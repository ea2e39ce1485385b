//! Whose bytes were corrupted, and what became of them.

use crate::outcome::{Outcome, Victim};

use super::ending::kebab;

/// The victims of an outcome, as its integrity line tells them. What the axis says is the worst that
/// became of any of them: where others came off better, each is told with the worst of its own.
pub(super) fn victims(outcome: &Outcome) -> String {
    let fate = |victim: &Victim| match victim {
        victim if outcome.read.contains(victim) => "read",
        victim if outcome.unread.contains(victim) => "unread",
        _ => "overwritten",
    };
    let of = |wanted: &str| -> Vec<String> {
        outcome.victims.iter().filter(|victim| fate(victim) == wanted).map(kebab).collect()
    };
    let fates = ["read", "unread", "overwritten"].map(|fate| (fate, of(fate).join(", ")));
    let told: Vec<_> = fates.iter().filter(|(_, whose)| !whose.is_empty()).collect();
    match told.as_slice() {
        [] => String::new(),
        [(_, whose)] => format!(" ({whose})"),
        several => {
            let several = several.iter().map(|(fate, whose)| format!("{fate}: {whose}"));
            format!(" ({})", several.collect::<Vec<_>>().join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_off_better_is_told_apart() {
        let (own, tables) = (Victim::OwnDomain, Victim::PageTables);
        let both = Outcome { victims: vec![own, tables], ..Outcome::default() };
        let told = |read: &[Victim], unread: &[Victim]| {
            victims(&Outcome { read: read.to_vec(), unread: unread.to_vec(), ..both.clone() })
        };
        assert_eq!(told(&[own, tables], &[]), " (own domain, page tables)");
        assert_eq!(told(&[], &[]), " (own domain, page tables)");
        assert_eq!(told(&[own], &[]), " (read: own domain; overwritten: page tables)");
        assert_eq!(told(&[own], &[own, tables]), " (read: own domain; unread: page tables)");
        assert_eq!(told(&[], &[tables]), " (unread: page tables; overwritten: own domain)");
        assert_eq!(victims(&Outcome::default()), "");
    }
}
