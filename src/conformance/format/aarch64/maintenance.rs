//! TLBI and barriers. Arm ARM, "TLB maintenance instructions" and "Data Synchronization Barrier (DSB)".
//!
//! Outer-shareable forms count as inner-shareable ones do: all processors of a trace are in one domain.

use super::registers::{EL2, LOWER, Processor, STAGE2, UPPER};
use crate::base::VirtAddr;
use crate::conformance::format::WaysForgotten;
use crate::conformance::format::regime::{Effect, Forget, Unknown, Waits, Whom};

const NAMES: &str = "a TLBI operation such as vae1is, vale1is, vaae1is, aside1is, vmalle1is, rvae1is, \
                     vae2is, alle2is, ipas2e1is, vmalls12e1is or alle1is";

/// What the operand of an operation by address says.
struct Operand {
    range: (VirtAddr, u64),
    level: Option<u8>,
    asid: u32,
    /// It names the granule of the tables, or none: of an entry with another granule or level than it
    /// says nothing has to be forgotten.
    is_of_granule: bool,
}

/// Levels in the operand count from the root, those of a format from the leaves.
fn level_of(hint: u64) -> Option<u8> {
    u8::try_from(4 - hint).ok().filter(|_| hint <= 3)
}

/// Bits 43:0 are bits 55:12 of the address, 47:44 a hint of the level, 63:48 the ASID.
fn one_page(operand: u64) -> Operand {
    let page = (operand & ((1 << 44) - 1)) << 12;
    let address = ((page << 8).cast_signed() >> 8).cast_unsigned();
    let hint = operand >> 44 & 0b1111;
    // 01xx is a level of a 4 KiB granule, 10xx and 11xx of others; without a granule there is no hint.
    let granule = hint >> 2;
    let level = if granule == 0b01 { level_of(hint & 0b11) } else { None };
    let asid = u32::try_from(operand >> 48).unwrap_or(0);
    Operand { range: (VirtAddr(address), 1), level, asid, is_of_granule: granule <= 0b01 }
}

/// Bits 36:0 count granules, 38:37 hint at the level, 43:39 and 45:44 give the length, 47:46 the granule.
fn range_of(operand: u64) -> Operand {
    let base = operand & ((1 << 37) - 1);
    let address = ((base << (64 - 37)).cast_signed() >> (64 - 37) << 12).cast_unsigned();
    let (number, scale) = (operand >> 39 & 0b1_1111, operand >> 44 & 0b11);
    let bytes = (number + 1) << (5 * scale + 1) << 12;
    let hint = operand >> 37 & 0b11;
    let level = if hint == 0 { None } else { level_of(hint) };
    let asid = u32::try_from(operand >> 48).unwrap_or(0);
    // 01 is the granule of 4 KiB, and 00 is reserved.
    let is_of_granule = operand >> 46 & 0b11 == 0b01;
    Operand { range: (VirtAddr(address), bytes), level, asid, is_of_granule }
}

pub(super) fn tlbi(
    state: &Processor,
    instruction: &str,
    operands: &[u64],
    effects: &mut Vec<Effect>,
) -> Result<(), Unknown> {
    let without_nxs = instruction.strip_suffix("nxs").unwrap_or(instruction);
    let shared = without_nxs.strip_suffix("is").or_else(|| without_nxs.strip_suffix("os"));
    let whom = if shared.is_some() { Whom::All } else { Whom::Own };
    let operation = shared.unwrap_or(without_nxs);
    let el1 = LOWER.mask() | UPPER.mask();
    let stage1 = Forget::everything(whom, el1);
    // Combined translations are tagged with the VMID, and an IPA can't be told from their address.
    let combined = Forget {
        tag: Some(state.vmid()),
        combined_only: true,
        ..Forget::everything(whom, STAGE2.mask())
    };
    let stage2 = Forget { tag: Some(state.vmid()), ..Forget::everything(whom, STAGE2.mask()) };
    let whole: &[Forget] = match operation {
        "vmalle1" => &[stage1, combined],
        "vmalls12e1" => &[stage1, stage2],
        "alle1" => &[stage1, Forget { tag: None, ..stage2 }],
        "alle2" => &[Forget::everything(whom, EL2.mask())],
        _ => &[],
    };
    if !whole.is_empty() {
        if !operands.is_empty() {
            let what = format!("{instruction} has no operand");
            return Err(Unknown { operand: 1, what, expected: "nothing behind it" });
        }
        effects.extend(whole.iter().copied().map(Effect::Forget));
        return Ok(());
    }
    let is_range = operation.starts_with("rva") || operation.starts_with("ripa");
    let single = if is_range { operation.get(1..).unwrap_or("") } else { operation };
    let known =
        ["vae1", "vale1", "vaae1", "vaale1", "aside1", "vae2", "vale2", "ipas2e1", "ipas2le1"];
    if !known.contains(&single) {
        return Err(Unknown::name("TLBI operation", instruction, NAMES));
    }
    let [operand] = *operands else {
        let what = format!("{instruction} has one operand, {} are given", operands.len());
        return Err(Unknown { operand: 0, what, expected: "the value of the register, Xt" });
    };
    let Operand { range, level, asid, is_of_granule } =
        if is_range { range_of(operand) } else { one_page(operand) };
    // ASIDE1 reads the identifier alone.
    if !is_of_granule && single != "aside1" {
        return Ok(());
    }
    let range = Some(range);
    let ways = Some(WaysForgotten::OfAddress);
    let by_address = Forget { range, level, ways, ..stage1 };
    let forget = match single {
        "vae1" => Forget { tag: Some(asid), ..by_address },
        "vale1" => Forget { tag: Some(asid), ways: None, ..by_address },
        "vaae1" => by_address,
        "vaale1" => Forget { ways: None, ..by_address },
        "aside1" => Forget { tag: Some(asid), globals: false, ..stage1 },
        "vae2" => Forget { slots: EL2.mask(), ..by_address },
        "vale2" => Forget { slots: EL2.mask(), ways: None, ..by_address },
        "ipas2e1" => Forget { range, level, ways, entries_only: true, ..stage2 },
        _ => Forget { range, level, ways: None, entries_only: true, ..stage2 },
    };
    effects.push(Effect::Forget(forget));
    Ok(())
}

/// A DSB that waits for loads and stores completes invalidations; one for stores alone only makes
/// stores seen.
pub(super) fn barrier(name: &str, kind: &str) -> Result<Waits, Unknown> {
    const KINDS: &str = "sy, st, ld, ish, ishst, ishld, osh, oshst, oshld, nsh, nshst or nshld";
    let whom = match kind {
        "sy" | "st" | "ish" | "ishst" | "osh" | "oshst" | "ld" | "ishld" | "oshld" => Whom::All,
        "nsh" | "nshst" | "nshld" => Whom::Own,
        "" if name == "isb" => return Ok(Waits::default()),
        _ => {
            let what = format!("no barrier is of the kind {kind:?}");
            return Err(Unknown { operand: 1, what, expected: KINDS });
        }
    };
    let (is_load, is_store) = (kind.ends_with("ld"), kind.ends_with("st"));
    let when = |is_so: bool| is_so.then_some(whom);
    match name {
        "dsb" => Ok(Waits {
            orders: !is_load,
            shows: when(!is_load),
            completes: when(!is_load && !is_store),
        }),
        "dmb" => Ok(Waits { orders: !is_load, ..Waits::default() }),
        "isb" => Ok(Waits::default()),
        _ => Err(Unknown::name("barrier", name, "dsb, dmb or isb")),
    }
}
