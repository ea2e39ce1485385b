//! An entry, bit by bit, in the manual's abbreviations.

use core::fmt::Write as _;

use super::X86_64;
use crate::conformance::format::{Decoded, Format as _};
use crate::conformance::operation::size_name;

const NAMES: &[(u32, &str)] =
    &[(0, "P"), (1, "R/W"), (2, "U/S"), (3, "PWT"), (4, "PCD"), (5, "A"), (6, "D"), (8, "G")];

pub(super) fn describe(format: &X86_64, level: u8, bits: u64) -> String {
    if bits == 0 {
        return "empty".to_owned();
    }
    let decoded = format.decode(level, bits);
    let mut text = String::new();
    let mut word = |name: &str| {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(name);
    };
    for (number, name) in NAMES {
        if bits >> number & 1 == 1 {
            word(name);
        }
    }
    if bits >> 7 & 1 == 1 {
        word(if level == 1 { "PAT" } else { "PS" });
    }
    if level > 1 && matches!(decoded, Decoded::Leaf { .. }) && bits >> 12 & 1 == 1 {
        word("PAT");
    }
    let ignored = bits & (0b111 << 9 | 0x7ff << 52);
    if ignored != 0 {
        word(&format!("ignored {ignored:#x}"));
    }
    if bits >> 63 == 1 {
        word("XD");
    }
    let address = bits & ((1 << 52) - 1) & !0xfff;
    let _ = match decoded {
        Decoded::Invalid => write!(text, " · not present, bits 51:12 {address:#x}"),
        Decoded::Malformed | Decoded::Inaccessible => {
            write!(text, " · reserved bit set, bits 51:12 {address:#x}")
        }
        Decoded::Table { at, .. } => write!(text, " · table {:#x}", at.raw()),
        Decoded::Leaf { page, size, .. } => {
            write!(text, " · {} page {:#x}", size_name(size), page.raw())
        }
    };
    text
}
