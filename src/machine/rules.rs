//! Every modelled rule of the machine, part by part.

use crate::base::Rule;

use super::{
    controls, debug, device, disk, double_fault, interrupt, invalidate, iommu, paging, privileged,
    registers, second_level, shadow_stack, stall, tlb, transfer,
};

/// The rules of each part, under the part's name.
pub const RULES: &[(&str, &[Rule])] = &[
    ("controls", controls::RULES),
    ("debug", debug::RULES),
    ("device", device::RULES),
    ("disk", disk::RULES),
    ("double-fault", double_fault::RULES),
    ("interrupt", interrupt::RULES),
    ("invalidate", invalidate::RULES),
    ("iommu", iommu::RULES),
    ("paging", paging::x86_64::RULES),
    ("privileged", privileged::RULES),
    ("registers", registers::RULES),
    ("second-level", second_level::RULES),
    ("shadow-stack", shadow_stack::RULES),
    ("stall", stall::RULES),
    ("tlb", tlb::RULES),
    ("transfer", transfer::RULES),
];
