//! Names, titles and descriptors bit by bit, in the manual's abbreviations.

use core::fmt::Write as _;

use super::{AArch64, Half, Regime, descriptor as bit};
use crate::conformance::format::{Decoded, Format as _, Rule};
use crate::conformance::operation::size_name;

pub(super) fn name(format: &AArch64) -> &'static str {
    match (format.regime, format.half, format.levels()) {
        (Regime::El1, Half::Lower, 4) => "AArch64 stage 1, TTBR0_EL1, 4 levels",
        (Regime::El1, Half::Lower, _) => "AArch64 stage 1, TTBR0_EL1, 3 levels or fewer",
        (Regime::El1, Half::Upper, 4) => "AArch64 stage 1, TTBR1_EL1, 4 levels",
        (Regime::El1, Half::Upper, _) => "AArch64 stage 1, TTBR1_EL1, 3 levels or fewer",
        (Regime::El2, ..) => "AArch64 stage 1, TTBR0_EL2",
        (Regime::Stage2, ..) => "AArch64 stage 2",
    }
}

pub(super) fn edges(format: &AArch64) -> &'static [u64] {
    match (format.half, format.input_bits) {
        (Half::Lower, 48) => {
            &[0, 0x20_0000, 0x4000_0000, 0x80_0000_0000, 0x7fff_ffff_f000, 0xffff_ffff_f000]
        }
        (Half::Lower, 44) => &[0, 0x20_0000, 0x4000_0000, 0x80_0000_0000, 0xfff_ffff_f000],
        (Half::Lower, _) => &[0, 0x20_0000, 0x4000_0000, 0x7f_ffff_f000],
        (Half::Upper, _) => &[
            0xffff_0000_0000_0000,
            0xffff_8000_0000_0000,
            0xffff_ffff_8000_0000,
            0xffff_ffff_ffe0_0000,
            0xffff_ffff_ffff_f000,
        ],
    }
}

pub(super) fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::Translation => {
            "Arm ARM (DDI 0487), \"Translation table descriptor formats\" and \"Memory access control\""
        }
        Rule::Entries => {
            "Arm ARM (DDI 0487), \"VMSAv8-64 translation table format descriptors\" and \"MMU faults\""
        }
        Rule::Invalidation => "Arm ARM (DDI 0487), \"TLB maintenance\"",
        Rule::Order => {
            "Arm ARM (DDI 0487), \"Using break-before-make when updating translation table entries\""
        }
        Rule::Marks => {
            "Arm ARM (DDI 0487), \"Hardware management of the Access flag and dirty state\""
        }
        Rule::Sets => {
            "Arm ARM (DDI 0487), \"The Contiguous bit\" and \"Misprogramming of the Contiguous bit\""
        }
        Rule::Barriers => {
            "Arm ARM (DDI 0487), \"Ordering and completion of TLB maintenance instructions\" and \
             \"Ordering of memory accesses from translation table walks\""
        }
    }
}

pub(super) fn describe(format: &AArch64, level: u8, bits: u64) -> String {
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
    let named = |names: &[(u32, &'static str)]| -> Vec<&'static str> {
        names.iter().filter(|(number, _)| bits >> number & 1 == 1).map(|(_, name)| *name).collect()
    };
    let of_table: &[(u32, &str)] = match format.regime {
        Regime::El1 => &[(59, "PXNTable"), (60, "UXNTable"), (63, "NSTable")],
        Regime::El2 => &[(60, "XNTable"), (63, "NSTable")],
        Regime::Stage2 => &[],
    };
    let of_leaf: &[(u32, &str)] = match format.regime {
        Regime::El1 => &[
            (5, "NS"),
            (10, "AF"),
            (11, "nG"),
            (16, "nT"),
            (51, "DBM"),
            (52, "Contiguous"),
            (53, "PXN"),
            (54, "UXN"),
        ],
        Regime::El2 => {
            &[(5, "NS"), (10, "AF"), (16, "nT"), (51, "DBM"), (52, "Contiguous"), (54, "XN")]
        }
        Regime::Stage2 => &[(10, "AF"), (16, "nT"), (51, "DBM"), (52, "Contiguous")],
    };
    if bits & bit::VALID != 0 {
        word("valid");
    }
    if let Decoded::Table { .. } = decoded {
        let ap = bits >> 61 & 0b11;
        if ap != 0 {
            word(&format!("APTable={ap:02b}"));
        }
        named(of_table).into_iter().for_each(&mut word);
    } else {
        if format.regime == Regime::Stage2 {
            word(&format!("S2AP={:02b}", bits >> 6 & 0b11));
            word(&format!("XN={:02b}", bits >> bit::S2XN & 0b11));
            word(&format!("MemAttr={:04b}", bits >> 2 & 0b1111));
        } else {
            word(&format!("AP={:02b}", bits >> 6 & 0b11));
            word(&format!("AttrIndx={}", bits >> 2 & 0b111));
        }
        word(&format!("SH={:02b}", bits >> 8 & 0b11));
        // In a page's descriptor bit 16 is one of the address (Arm ARM, "VMSAv8-64 descriptor formats").
        let of_leaf = named(of_leaf).into_iter().filter(|&name| name != "nT" || level > 1);
        of_leaf.for_each(&mut word);
        let software = bits >> 55 & 0b1111;
        if software != 0 {
            word(&format!("software {software:#x}"));
        }
    }
    let address = bits & bit::ADDRESS;
    // A string takes everything.
    let _ = match decoded {
        Decoded::Invalid => write!(text, " · invalid, bits 47:12 {address:#x}"),
        Decoded::Malformed => {
            write!(text, " · {}, bits 47:12 {address:#x}", fault(format, level, bits))
        }
        Decoded::Inaccessible => write!(text, " · Access flag clear, bits 47:12 {address:#x}"),
        Decoded::Table { at, .. } => write!(text, " · table {:#x}", at.raw()),
        Decoded::Leaf { page, size, .. } => {
            let kind = if level == 1 { "page" } else { "block" };
            write!(text, " · {} {kind} {:#x}", size_name(size), page.raw())
        }
    };
    text
}

fn fault(format: &AArch64, level: u8, bits: u64) -> String {
    if (bits & bit::ADDRESS) >> format.output_bits != 0 {
        return format!("address beyond {} bits", format.output_bits);
    }
    let (number, kind) = (format.level_name(level), bits & 0b11);
    format!("reserved: bits 1:0 are {kind:02b} at level {number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_16_is_a_page_s_address_and_a_block_s_nt() {
        let page = describe(AArch64::LOWER, 1, 0x8001_0743);
        let block = describe(AArch64::LOWER, 2, 0x8021_0741);

        assert!(!page.contains("nT") && page.contains("4 KiB page 0x80010000"), "{page}");
        assert!(block.contains("AF nT") && block.contains("2 MiB block 0x80200000"), "{block}");
    }
}
