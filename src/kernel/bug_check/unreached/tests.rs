//! What the documents list is reached, or said not to be.

use super::*;
use crate::kernel::bug_check;

#[test]
fn what_is_said_not_to_be_reached_has_no_row() {
    for row in bug_check::all() {
        let of_code = UNREACHED.iter().filter(|unreached| unreached.code == row.code);
        for unreached in of_code {
            // A row without a subtype beside others is what remains of the code.
            let is_alone = bug_check::all()
                .iter()
                .all(|other| other.code != row.code || other.subtype.is_none());
            assert!(row.subtype.is_some() || !is_alone, "{:#x} is reached or not", row.code);
            let Some((number, subtype)) = row.subtype else { continue };
            if unreached.parameter != 0 && unreached.parameter != number {
                continue;
            }
            assert!(
                !unreached.subtypes.is_empty() && !unreached.subtypes.contains(&subtype),
                "{:#x}, {subtype:#x} is reached",
                row.code
            );
            assert_eq!(unreached.name, row.name);
        }
    }
}

/// What each code's page lists of the parameter that says what, of codes that are partly modelled.
const DOCUMENTED: &[(u64, &[u64])] = &[
    (0x19, &[2, 3, 5, 6, 7, 8, 9, 0xa, 0xd, 0xe, 0xf, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25]),
    (0x4e, &[1, 2, 6, 7, 0x8d, 0x8f, 0x99, 0x9a]),
    (0x50, &[0, 2, 3, 4, 0xf]),
    (0x76, &[0, 1]),
    (0x7f, &[0, 1, 3, 4, 5, 6, 7, 8, 0xa, 0xb, 0xc, 0xd]),
    (0x93, &[0, 1]),
    (0xc1, &[0x20, 0x21, 0x22, 0x23, 0x24, 0x30, 0x31, 0x32]),
    (
        0xc2,
        &[
            0, 1, 2, 4, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0xd, 0x40, 0x41, 0x42, 0x43, 0x44, 0x46, 0x47,
            0x48, 0x50, 0x60, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x4_1286,
        ],
    ),
    (0xc9, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xc, 0xd, 0xe, 0xf, 0x10, 0x11, 0x12]),
    (
        0xe6,
        &[
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x10, 0x11, 0x13, 0x14,
            0x15, 0x16, 0x18, 0x19, 0x1b, 0x1d, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25,
            0x26,
        ],
    ),
    (0xef, &[0, 1]),
    (0x133, &[0, 1]),
    // 4 is reserved.
    (
        0x139,
        &[
            0, 1, 2, 3, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0xd, 0xe, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
            0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x25, 0x26, 0x27,
        ],
    ),
    (
        0x13a,
        &[
            3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15,
            0x16,
        ],
    ),
    (0x189, &[0, 1]),
    (0x18d, &[1, 2, 4, 8]),
];

/// Codes that the documents name where they speak of isolation.
const CODES: &[u64] = &[
    0x09,
    0x0a,
    0x18,
    0x19,
    0x1a,
    0x1e,
    0x24,
    0x3b,
    0x44,
    0x4e,
    0x50,
    0x76,
    0x7a,
    0x7e,
    0x7f,
    0x8e,
    0x93,
    0x9f,
    0xbe,
    0xc1,
    0xc2,
    0xc4,
    0xc5,
    0xc9,
    0xcb,
    0xcc,
    0xcd,
    0xce,
    0xd0,
    0xd1,
    0xd5,
    0xd6,
    0xe6,
    0xef,
    0xf4,
    0xfc,
    0x101,
    0x109,
    0x10d,
    0x10e,
    0x116,
    0x12b,
    0x133,
    0x139,
    0x13a,
    0x141,
    0x158,
    0x159,
    0x189,
    0x18b,
    0x18c,
    0x18d,
    0x1aa,
    0x1ed,
    0x1f2,
    0xc000_021a,
];

#[test]
fn what_is_documented_is_reached_or_said_not_to_be() {
    let rows = bug_check::all();
    for &code in CODES {
        let is_told = rows.iter().any(|row| row.code == code)
            || UNREACHED.iter().any(|unreached| unreached.code == code);
        assert!(is_told, "{code:#x}");
    }
    for &(code, subtypes) in DOCUMENTED {
        for &what in subtypes {
            let is_row = |row: &&bug_check::BugCheck| {
                row.code == code && row.subtype.is_some_and(|(_, value)| value == what)
            };
            let is_told = rows.iter().any(is_row)
                || UNREACHED.iter().any(|one| one.code == code && one.subtypes.contains(&what));
            assert!(is_told, "{code:#x}, {what:#x}");
        }
    }
}

#[test]
fn a_reference_to_a_handle_that_is_none_is_said_not_to_be_found() {
    // Parameter 4 of 0x93; its cases are told apart by parameter 2.
    let is_it = |one: &Unreached| (one.code, one.parameter, one.subtypes) == (0x93, 4, &[1]);
    assert!(UNREACHED.iter().any(is_it));
}

#[test]
fn nothing_is_said_twice() {
    for (number, one) in UNREACHED.iter().enumerate() {
        let others = UNREACHED[..number].iter().filter(|other| other.code == one.code);
        for other in others {
            assert!(one.subtypes.iter().all(|what| !other.subtypes.contains(what)), "{one:?}");
            assert!(!one.subtypes.is_empty() && !other.subtypes.is_empty(), "{one:?}");
        }
    }
    assert!(UNREACHED.is_sorted_by_key(|one| one.code));
}
