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

/// Its parameters with their names and what their values say, those that say nothing ("reserved") only when they
/// are not zero.
#[must_use]
pub fn parameters(code: u64, values: [u64; 4]) -> String {
    let row = described(code, values);
    let told = values.into_iter().enumerate().filter_map(|(number, value)| match row {
        Some(row) if row.parameters[number] == RESERVED && value == 0 => None,
        Some(row) if row.parameters[number] != RESERVED => Some(row.told(number, values)),
        _ => Some(format!("parameter {} {value:#x}", number + 1)),
    });
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_that_means_something_is_told_by_name() {
        for row in all() {
            let mut values = [0x10, 0x20, 0x30, 0x40];
            if let Some((number, value)) = row.subtype {
                values[usize::from(number) - 1] = value;
            }
            // Zero says something, too.
            for values in [
                values,
                values.map(
                    |value| if row.subtype.is_some_and(|(_, it)| it == value) { value } else { 0 },
                ),
            ] {
                let told = parameters(row.code, values);

                let row = described(row.code, values).expect("it has one");
                for label in row.parameters.iter().filter(|label| **label != RESERVED) {
                    let name = label.split_once(": ").map_or(*label, |(name, _)| name);
                    assert!(told.contains(&format!("{name} 0x")), "{name}: {told}");
                }
            }
        }
    }

    #[test]
    fn what_is_reserved_is_told_where_it_is_not_zero() {
        assert_eq!(parameters(0xfc, [8, 9, 0, 1]), "executed 0x8, entry 0x9, parameter 4 0x1");
        assert_eq!(parameters(0x44, [8, 0, 0, 0]), "packet 0x8");
    }

    #[test]
    fn what_no_row_describes_is_told_by_number() {
        assert_eq!(
            parameters(0x1234_5678, [1, 0, 0, 2]),
            "parameter 1 0x1, parameter 2 0x0, parameter 3 0x0, parameter 4 0x2"
        );
    }
}
