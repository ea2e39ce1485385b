//! Where the fields of a descriptor are. Arm ARM, "VMSAv8-64 translation table format descriptors".

use crate::conformance::permissions::Permissions;

pub(super) const VALID: u64 = 1;
/// 1: a table, or at level 3 a page. 0: a block, or at level 3 reserved.
pub(super) const TABLE_OR_PAGE: u64 = 1 << 1;
/// AP[1]: accesses from EL0.
pub(super) const AP_EL0: u64 = 1 << 6;
/// AP[2]: no writes.
pub(super) const AP_READ_ONLY: u64 = 1 << 7;
pub(super) const S2AP_READ: u64 = 1 << 6;
pub(super) const S2AP_WRITE: u64 = 1 << 7;
pub(super) const INNER_SHAREABLE: u64 = 0b11 << 8;
/// Access flag.
pub(super) const AF: u64 = 1 << 10;
/// Not global.
pub(super) const NG: u64 = 1 << 11;
/// Dirty bit modifier.
pub(super) const DBM: u64 = 1 << 51;
pub(super) const CONTIGUOUS: u64 = 1 << 52;
pub(super) const PXN: u64 = 1 << 53;
/// UXN of EL1&0, XN of EL2.
pub(super) const UXN: u64 = 1 << 54;
/// The lower of the two bits XN[1:0] of stage 2.
pub(super) const S2XN: u32 = 53;
pub(super) const PXNTABLE: u64 = 1 << 59;
/// UXNTable of EL1&0, XNTable of EL2.
pub(super) const UXNTABLE: u64 = 1 << 60;
/// APTable[0]: no accesses from EL0 below.
pub(super) const APTABLE_NO_EL0: u64 = 1 << 61;
/// APTable[1]: no writes below.
pub(super) const APTABLE_READ_ONLY: u64 = 1 << 62;
/// Bits 47:12, of which a block of level 2 or 1 uses fewer.
pub(super) const ADDRESS: u64 = ((1 << 48) - 1) & !0xfff;
/// The output address space, and what the memory type comes from.
pub(super) const NS: u64 = 1 << 5;
pub(super) const ATTR_INDEX: u64 = 0b111 << 2;
pub(super) const SHAREABILITY: u64 = 0b11 << 8;

/// Loads and stores from EL0.
pub(super) const USER_DATA: Permissions = Permissions::USER_READ.and(Permissions::USER_WRITE);
