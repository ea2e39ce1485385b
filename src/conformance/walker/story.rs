//! How tables and questions are told: each question with the walk by the book.

use std::collections::{BTreeMap, BTreeSet};

use super::tables::{Step, Tables, Word, address, root};
use crate::base::{PhysAddr, VirtAddr};
use crate::conformance::format::{Decoded, Format, index};
use crate::conformance::memory::Memory;
use crate::conformance::subject::Attempt;

/// Entries by their addresses.
type Entries = BTreeMap<PhysAddr, u64>;

/// How much of it there is.
pub(super) fn counted(tables: &Tables) -> String {
    let changes = tables.steps.iter().filter(|step| matches!(step, Step::Change(..))).count();
    let some = |count: usize, one: &str, many: &str| {
        format!("{count} {}", if count == 1 { one } else { many })
    };
    let entries = some(tables.words.len(), "entry", "entries");
    let addresses = some(tables.steps.len() - changes, "address", "addresses");
    if changes == 0 {
        return format!("{entries}, {addresses}");
    }
    format!("{entries}, {}, {addresses}", some(changes, "change", "changes"))
}

/// The tables and what is asked of them. An entry that no walk meets is told as one of the level it was drawn
/// for, since the code may have met it.
pub(super) fn lines(format: &dyn Format, tables: &Tables) -> Vec<String> {
    let mut entries: Entries = tables.words.iter().map(|word| (address(word), word.bits)).collect();
    let mut met = BTreeSet::new();
    let mut steps = Vec::new();
    for step in &tables.steps {
        match step {
            Step::Ask(Attempt { virt, .. }) => {
                steps.push(step.to_string());
                steps.extend(walk(format, &entries, *virt, &mut met));
            }
            Step::Change(word, what) => {
                entries.insert(address(word), word.bits);
                steps.push(format!("then the entry {}", entry(format, word)));
                steps.push(format!("  and invalidate {what:x?}"));
            }
        }
    }
    let mut lines = vec![format!("root {:#x}", root().raw())];
    let unmet = tables.words.iter().filter(|word| !met.contains(&address(word)));
    lines.extend(unmet.map(|word| format!("entry {}", entry(format, word))));
    lines.extend(steps);
    lines
}

fn entry(format: &dyn Format, &word: &Word) -> String {
    let (at, level) = (address(&word).raw(), format.level_name(word.level));
    let text = format.describe(word.level, word.bits);
    format!("{at:#x} is {:#018x}; as one of level {level}: {text}", word.bits)
}

/// Each entry that the processor reads, at the level at which it reads it.
fn walk(
    format: &dyn Format,
    entries: &Entries,
    virt: VirtAddr,
    met: &mut BTreeSet<PhysAddr>,
) -> Vec<String> {
    let mut lines = Vec::new();
    let page = VirtAddr(virt.0 & !0xfff);
    if format.first_of(1, page, 0) != page {
        let outside = format.words().outside;
        lines.push(format!("  it is {outside}: no processor walks it; its other bits lead to"));
    }
    let mut table = root();
    for level in (1..=format.levels()).rev() {
        let at = table.plus(8 * index(format, level, virt));
        let name = format.level_name(level);
        if Memory::number(at.frame()).is_none() {
            lines.push(format!("  level {name}  {:#x}  there is no memory", at.raw()));
            break;
        }
        met.insert(at);
        let bits = entries.get(&at).copied().unwrap_or(0);
        let text = format.describe(level, bits);
        lines.push(format!("  level {name}  {:#x}  {bits:#018x}  {text}", at.raw()));
        let Decoded::Table { at, .. } = format.decode(level, bits) else { break };
        table = at;
    }
    lines
}
