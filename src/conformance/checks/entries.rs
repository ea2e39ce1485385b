//! Entries are well formed for their level, and live entries change only in the orders that the
//! architecture allows.
//!
//! A malformed entry faults where the code believes to have mapped something; two formats for the
//! same address in the translation caches are worse than either.
//!
//! Not checked here: what the entry translates (`request`, `isolation`).

use crate::base::PhysAddr;
use crate::conformance::breach::{Breach, Check};
use crate::conformance::format::{Decoded, Rule};
use crate::conformance::scene::Scene;
use crate::conformance::tables::TableUse;

pub(crate) fn judge(
    scene: &Scene,
    table: &TableUse,
    at: PhysAddr,
    old: u64,
    new: u64,
) -> Option<Breach> {
    let format = scene.format;
    let first = format.first_of(table.level, table.first, at.offset() / 8);
    let virt = Some(first);
    if format.decode(table.level, new) == Decoded::Malformed {
        let what = format!(
            "writes a malformed entry of level {} for {first}: {}",
            table.level,
            format.describe(table.level, new)
        );
        let kind = format!("malformed entry at level {}", table.level);
        let rule = format.rule(Rule::Entries);
        return Some(Breach { virt, ..scene.breach(Check::Entries, kind, what, rule) });
    }
    let wrong = format.wrong_order(table.level, old, new)?;
    let what = format!("changes the live entry of level {} for {first}: {wrong}", table.level);
    let rule = format.rule(Rule::Order);
    Some(Breach { virt, ..scene.breach(Check::Entries, wrong, what, rule) })
}
