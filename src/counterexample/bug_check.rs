//! What a bug check's code and parameters say.
//!
//! Names and meanings are those of the kernel's own rows, which follow the Windows debugger
//! documentation ("Bug Check Code Reference").

use crate::kernel::bug_check::{RESERVED, all, described};

/// The name of a bug check, as far as it has one here.
#[must_use]
pub fn name(code: u64) -> &'static str {
    all().into_iter().find(|row| row.code == code).map_or("(no name)", |row| row.name)
}

/// Its parameters with their names, those that say nothing (no name, or "reserved") only when they are not
/// zero.
#[must_use]
pub fn parameters(code: u64, values: [u64; 4]) -> String {
    let names = described(code, values).map_or([""; 4], |row| row.parameters);
    let told: Vec<String> = names
        .iter()
        .zip(values)
        .enumerate()
        .filter(|(_, (name, value))| !matches!(**name, "" | RESERVED) || *value != 0)
        .map(|(number, (name, value))| match *name {
            "" => format!("parameter {} {value:#x}", number + 1),
            name => format!("{name} {value:#x}"),
        })
        .collect();
    told.join(", ")
}
