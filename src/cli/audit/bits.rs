//! An entry field by field, as the controls of the machine have it.

use crate::machine::paging::x86_64::{ControlFlags, Controls, Entry, Level, Vendor};
use crate::report::table::{Column, table};

/// The fields of an entry at `level` (Intel SDM volume 3A, "4-Level Paging and 5-Level Paging");
/// what differs is marked.
pub(super) fn bits(before: u64, after: u64, level: Level, controls: &Controls) -> String {
    let columns = [
        Column::number("bits"),
        Column::text("field"),
        Column::number("before"),
        Column::number("after"),
        Column::text(""),
    ];
    let rows: Vec<[String; 5]> = fields(before, after, level, controls)
        .into_iter()
        .map(|(first, last, name)| {
            let mask = (u64::MAX >> (63 - (last - first))) << first;
            let shown = |entry: u64| match name {
                "address" => format!("{:#x}", entry & mask),
                _ => format!("{:b}", (entry & mask) >> first),
            };
            let range = if first == last { first.to_string() } else { format!("{last}:{first}") };
            let mark = if (before ^ after) & mask != 0 { "◄" } else { "" };
            [range, name.to_owned(), shown(before), shown(after), mark.to_owned()]
        })
        .collect();
    table(&columns, &rows)
}

/// First bit, last bit and name, from the lowest up. Where PS differs the entry is a page on one side
/// and names a table on the other: the names say of which a field is.
fn fields(
    before: u64,
    after: u64,
    level: Level,
    controls: &Controls,
) -> Vec<(u32, u32, &'static str)> {
    let sizes = [before, after].map(|entry| entry & Entry::PS != 0);
    let large = matches!(level, Level::Pd | Level::Pdpt) && sizes.contains(&true);
    let is_both = sizes == [true, true];
    let is_leaf = level == Level::Pt || large;
    let is_upper = level >= Level::Pml4;
    let dirty = if is_leaf { "D, dirty" } else { "ignored" };
    let seventh = match level {
        Level::Pt => "PAT",
        Level::Pd | Level::Pdpt => "PS, page size",
        _ => "reserved",
    };
    let eighth = match controls.vendor {
        _ if is_leaf => "G, global",
        Vendor::Amd if is_upper => "reserved",
        _ => "ignored",
    };
    let mut fields = vec![
        (0, 0, "P, present"),
        (1, 1, "R/W, writable"),
        (2, 2, "U/S, user"),
        (3, 3, "PWT"),
        (4, 4, "PCD"),
        (5, 5, "A, accessed"),
        (6, 6, dirty),
        (7, 7, seventh),
        (8, 8, eighth),
        (9, 11, "ignored"),
    ];
    let mut address = 12;
    if large {
        address = level.shift();
        let names = if is_both {
            ["PAT", "reserved"]
        } else {
            ["PAT of a page, or address of a table", "reserved in a page, or address of a table"]
        };
        fields.extend([(12, 12, names[0]), (13, address - 1, names[1])]);
    }
    let bits = u32::from(controls.physical_bits());
    fields.push((address, bits - 1, "address"));
    if bits < 52 {
        fields.push((bits, 51, "reserved"));
    }
    let key = if is_leaf { "protection key" } else { "ignored" };
    let last =
        if controls.flags.has(ControlFlags::NXE) { "XD, not executable" } else { "reserved" };
    fields.extend([(52, 58, "ignored"), (59, 62, key), (63, 63, last)]);
    fields
}
