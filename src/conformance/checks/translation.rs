//! Software translation is the architecture's, for every address and any table bytes.
//!
//! A walk in software that goes on where the processor stops, or reads an address field by the mask
//! of another level, gives its caller a page that nobody mapped. Compared with the walk by the book.
//!
//! Not checked here: what an implementation does not tell (size, rights).

use crate::base::{PhysAddr, VirtAddr};
use crate::conformance::breach::{Breach, Check};
use crate::conformance::format::{Decoded, Format, Reached, Rule, index};
use crate::conformance::memory::Memory;
use crate::conformance::operation::size_name;
use crate::conformance::rights::Rights;
use crate::conformance::subject::Mapping;

/// Why the processor finds nothing, with the level at which the walk ends.
fn dead_end(
    format: &dyn Format,
    entry_at: &dyn Fn(PhysAddr) -> u64,
    root: PhysAddr,
    virt: VirtAddr,
) -> (String, String) {
    if format.first_of(1, VirtAddr(virt.0 & !0xfff), 0).0 != virt.0 & !0xfff {
        let outside = format.words().outside;
        return (format!("an address that is {outside}"), format!("it is {outside}"));
    }
    let mut table = root;
    for level in (1..=format.levels()).rev() {
        let at = table.plus(8 * index(format, level, virt));
        let bits = entry_at(at);
        let name = match format.decode(level, bits) {
            Decoded::Table { at, .. } => {
                table = at;
                continue;
            }
            Decoded::Leaf { .. } => break,
            Decoded::Invalid => format!("an entry that is {}", format.words().invalid),
            Decoded::Malformed => format.words().malformed.to_owned(),
            Decoded::Inaccessible => "an entry whose accessed flag is clear".to_owned(),
        };
        let level_name = format.level_name(level);
        if Memory::number(at.frame()).is_none() {
            let what = format!(
                "the entry of level {level_name} is at {:#x}, where there is no memory",
                at.raw()
            );
            return (format!("{name}, level {level_name}"), what);
        }
        let what = format!(
            "the entry of level {level_name} at {:#x} is {bits:#x}: {}",
            at.raw(),
            format.describe(level, bits)
        );
        return (format!("{name}, level {level_name}"), what);
    }
    ("nothing".to_owned(), String::new())
}

/// The first right that is told and not granted, else the first that is granted and not told.
fn wrong_rights(told: Rights, book: Rights) -> String {
    let rights = [(Rights::WRITE, "write"), (Rights::USER, "user"), (Rights::EXECUTE, "execute")];
    let more = rights.iter().find(|(right, _)| told.has(*right) && !book.has(*right));
    let less = rights.iter().find(|(right, _)| !told.has(*right) && book.has(*right));
    match (more, less) {
        (Some((_, name)), _) => format!("tells a right that is withheld, {name}"),
        (None, Some((_, name))) => format!("misses a right that is granted, {name}"),
        (None, None) => "other rights".to_owned(),
    }
}

pub(crate) fn judge(
    format: &dyn Format,
    entry_at: &dyn Fn(PhysAddr) -> u64,
    root: PhysAddr,
    virt: VirtAddr,
    told: Option<&Mapping>,
    // What the book says, and which rights the implementation tells about.
    book: Option<(Reached, Rights)>,
) -> Option<Breach> {
    let compared = book.map_or(Rights::ALL, |(_, compared)| compared);
    let (kind, what) = match (told, book.map(|(book, _)| book)) {
        (None, None) => return None,
        (Some(told), None) => {
            let (kind, why) = dead_end(format, entry_at, root, virt);
            let what = format!(
                "translates {virt} to {:#x}; the processor faults: {why}",
                told.address.raw()
            );
            (format!("translates through {kind}"), what)
        }
        (None, Some(book)) => (
            format!("misses a page of {}", size_name(book.size)),
            format!("translates {virt} to nothing; the processor reads {:#x}", book.address.raw()),
        ),
        (Some(told), Some(book)) if told.address != book.address => (
            format!("wrong address in a page of {}", size_name(book.size)),
            format!(
                "translates {virt} to {:#x}; the processor reads {:#x}",
                told.address.raw(),
                book.address.raw()
            ),
        ),
        (Some(told), Some(book)) => match (told.size, told.rights) {
            (Some(size), _) if size != book.size => (
                "wrong page size".to_owned(),
                format!(
                    "says {virt} is in a page of {}; it is {}",
                    size_name(size),
                    size_name(book.size)
                ),
            ),
            (_, Some(rights)) if rights.within(compared) != book.rights.within(compared) => (
                wrong_rights(rights.within(compared), book.rights.within(compared)),
                format!("says {virt} is {rights}; the processor grants {}", book.rights),
            ),
            _ => return None,
        },
    };
    let rule = format.rule(Rule::Translation);
    Some(Breach { check: Check::Translation, kind, what, virt: Some(virt), rule })
}
