//! A second walker, written from the sentences of the manual, slow and obvious.
//!
//! Intel SDM volume 3A, chapter "Paging": "4-Level Paging and 5-Level Paging", "Access Rights",
//! "Page-Fault Exceptions", "Accessed and Dirty Flags"; for what AMD has otherwise, AMD64
//! Architecture Programmer's Manual volume 2, "Long-Mode Page Translation". It decodes entries by
//! itself and shares nothing with the fast walker but addresses and the data that say what is asked.
//!
//! Not known from any observation, only from the manual's words: protection keys for
//! supervisor-mode pages, shadow stacks, implicit accesses.

use crate::base::{Access, PhysAddr, Ring, VirtAddr};
use crate::machine::paging::x86_64::{Controls, Request, Vendor};

/// What the manual says becomes of an access.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// There is a translation and it permits the access.
    Translated(Translated),
    /// #PF with this error code; CR2 is the linear address.
    PageFault(u32),
    /// #GP: the address is not canonical.
    GeneralProtection,
}

/// A translation that permits the access.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Translated {
    /// The physical address of the byte.
    pub address: PhysAddr,
    /// Bytes of the page.
    pub page_bytes: u64,
    /// Entries whose accessed flag was 0 and becomes 1, from the root down.
    pub accessed: Vec<PhysAddr>,
    /// The leaf, if its dirty flag was 0 and becomes 1.
    pub dirtied: Option<PhysAddr>,
    /// A user-mode address.
    pub user: bool,
    /// R/W is 1 in every entry.
    pub writable: bool,
    /// XD is 0 in every entry.
    pub executable: bool,
    /// A shadow-stack address.
    pub shadow_stack: bool,
    /// Global.
    pub global: bool,
    /// The protection key.
    pub key: u32,
    /// The leaf's dirty flag after the access.
    pub dirty: bool,
}

fn bit(value: u64, number: u32) -> bool {
    value >> number & 1 == 1
}

/// Bits `high` to `low` of `value`, moved down.
fn bits(value: u64, high: u32, low: u32) -> u64 {
    (value >> low) & ((1 << (high - low + 1)) - 1)
}

/// A control bit, by its place among the bits of [`Controls::flags`].
#[derive(Clone, Copy)]
enum Switch {
    WriteProtect = 0,
    Smep = 1,
    Smap = 2,
    ExecuteDisable = 3,
    UserKeys = 4,
    SupervisorKeys = 5,
    GlobalPages = 6,
    FiveLevels = 8,
    ShadowStacks = 9,
}

/// Whether it is on. Read from the bits: what the flags say of themselves is the fast walker's way.
const fn is_on(controls: &Controls, switch: Switch) -> bool {
    controls.flags.bits() >> switch as u16 & 1 == 1
}

/// Translates by the book. `entry_at` reads the 8 bytes at a physical address.
#[must_use]
pub fn translate(
    entry_at: &dyn Fn(PhysAddr) -> u64,
    controls: &Controls,
    request: &Request,
) -> Answer {
    let five_levels = is_on(controls, Switch::FiveLevels);
    if !is_canonical(request.virt, if five_levels { 57 } else { 48 }) {
        return Answer::GeneralProtection;
    }
    let maxphyaddr = u32::from(controls.maxphyaddr).clamp(36, 52);
    let mut table = bits(controls.cr3, maxphyaddr - 1, 12) << 12;
    let mut used: Vec<(PhysAddr, u64)> = Vec::new();
    let mut level = if five_levels { 5 } else { 4 };
    let page_bits = loop {
        let low = 12 + 9 * (level - 1);
        let at = PhysAddr::truncated(table + 8 * bits(request.virt.0, low + 8, low));
        let entry = entry_at(at);
        used.push((at, entry));
        if !bit(entry, 0) {
            return Answer::PageFault(error_code(controls, request, false, false, false));
        }
        if sets_reserved_bit(entry, level, maxphyaddr, controls) {
            return Answer::PageFault(error_code(controls, request, true, true, false));
        }
        let maps_a_page = match level {
            1 => true,
            2 | 3 => bit(entry, 7),
            _ => false,
        };
        if maps_a_page {
            break low;
        }
        table = bits(entry, maxphyaddr - 1, 12) << 12;
        level -= 1;
    };
    judge(controls, request, &used, page_bits)
}

/// "In 64-bit mode, an address is considered to be in canonical form if address bits 63 through to
/// the most-significant implemented bit by the microarchitecture are set to either all ones or all
/// zeros."
fn is_canonical(virt: VirtAddr, implemented: u32) -> bool {
    let upper = bits(virt.0, 63, implemented - 1);
    let all_ones = bits(u64::MAX, 63, implemented - 1);
    upper == 0 || upper == all_ones
}

/// "If the P flag of a paging-structure entry is 1, the following bits are reserved."
fn sets_reserved_bit(entry: u64, level: u32, maxphyaddr: u32, controls: &Controls) -> bool {
    if maxphyaddr <= 51 && bits(entry, 51, maxphyaddr) != 0 {
        return true;
    }
    if !is_on(controls, Switch::ExecuteDisable) && bit(entry, 63) {
        return true;
    }
    match level {
        5 | 4 => bit(entry, 7) || (controls.vendor == Vendor::Amd && bit(entry, 8)),
        3 => bit(entry, 7) && bits(entry, 29, 13) != 0,
        2 => bit(entry, 7) && bits(entry, 20, 13) != 0,
        _ => false,
    }
}

fn is_user_mode_access(request: &Request) -> bool {
    match request.ring {
        Ring::Kernel => false,
        Ring::User => !request.implicit,
    }
}

fn is_shadow_stack_access(controls: &Controls, request: &Request) -> bool {
    match request.access {
        Access::Execute => false,
        Access::Read | Access::Write => {
            request.shadow_stack && is_on(controls, Switch::ShadowStacks)
        }
    }
}

/// "Page-Fault Exceptions", flag by flag.
fn error_code(
    controls: &Controls,
    request: &Request,
    present: bool,
    reserved: bool,
    protection_key: bool,
) -> u32 {
    let fetch_is_told = request.access == Access::Execute
        && (is_on(controls, Switch::Smep) || is_on(controls, Switch::ExecuteDisable));
    let mut code = 0;
    code += if present { 1 } else { 0 };
    code += if request.access == Access::Write { 2 } else { 0 };
    code += if is_user_mode_access(request) { 4 } else { 0 };
    code += if reserved { 8 } else { 0 };
    code += if fetch_is_told { 16 } else { 0 };
    code += if protection_key { 32 } else { 0 };
    code += if is_shadow_stack_access(controls, request) { 64 } else { 0 };
    code
}

/// There is a translation: determines access rights, and flags to set.
fn judge(
    controls: &Controls,
    request: &Request,
    used: &[(PhysAddr, u64)],
    page_bits: u32,
) -> Answer {
    let [tables @ .., (leaf_at, leaf)] = used else {
        unreachable!("a translation uses at least one entry");
    };
    let user_address = used.iter().all(|(_, entry)| bit(*entry, 2));
    let writable = used.iter().all(|(_, entry)| bit(*entry, 1));
    let execute_disabled =
        is_on(controls, Switch::ExecuteDisable) && used.iter().any(|(_, entry)| bit(*entry, 63));
    let shadow_stack_address =
        !bit(*leaf, 1) && bit(*leaf, 6) && tables.iter().all(|(_, entry)| bit(*entry, 1));
    let key = u32::try_from(bits(*leaf, 62, 59)).expect("four bits");

    let read_permitted_by_key = key_permits(controls, request, user_address, key, false);
    let write_permitted_by_key = key_permits(controls, request, user_address, key, true);
    let by_key = match request.access {
        Access::Read => read_permitted_by_key,
        Access::Write => read_permitted_by_key && write_permitted_by_key,
        Access::Execute => true,
    };
    let smap_permits = !is_on(controls, Switch::Smap) || (request.ac && !request.implicit);
    let write_protect = is_on(controls, Switch::WriteProtect);
    let user_mode = is_user_mode_access(request);
    let permitted = if is_shadow_stack_access(controls, request) {
        if user_mode {
            shadow_stack_address && user_address
        } else {
            shadow_stack_address && !user_address
        }
    } else {
        match (user_mode, user_address, request.access) {
            (false, false, Access::Read) => true,
            (false, true, Access::Read) => smap_permits,
            (false, false, Access::Write) => !write_protect || writable,
            (false, true, Access::Write) => smap_permits && (!write_protect || writable),
            (false, false, Access::Execute) => !execute_disabled,
            (false, true, Access::Execute) => !is_on(controls, Switch::Smep) && !execute_disabled,
            (true, false, _) => false,
            (true, true, Access::Read) => true,
            (true, true, Access::Write) => writable,
            (true, true, Access::Execute) => !execute_disabled,
        }
    };
    if !permitted || !by_key {
        return Answer::PageFault(error_code(controls, request, true, false, !by_key));
    }

    let is_write = request.access == Access::Write;
    let unmarked = used.iter().filter(|(_, entry)| !bit(*entry, 5));
    // Reserved bits are 0, so bits 51:12 hold no more than MAXPHYADDR bits.
    let page = bits(*leaf, 51, page_bits) << page_bits;
    Answer::Translated(Translated {
        address: PhysAddr::truncated(page | bits(request.virt.0, page_bits - 1, 0)),
        page_bytes: 1 << page_bits,
        accessed: unmarked.map(|(at, _)| *at).collect(),
        dirtied: (is_write && !bit(*leaf, 6)).then_some(*leaf_at),
        user: user_address,
        writable,
        executable: used.iter().all(|(_, entry)| !bit(*entry, 63)),
        shadow_stack: shadow_stack_address,
        global: is_on(controls, Switch::GlobalPages) && bit(*leaf, 8),
        key,
        dirty: is_write || bit(*leaf, 6),
    })
}

/// "Protection Keys". For a user-mode address PKRU: AD*i* disables any data access; WD*i* disables
/// user-mode writes, and supervisor-mode writes if CR0.WP = 1. For a supervisor-mode address
/// `IA32_PKRS`: AD*i* disables any data access; WD*i* disables writes if CR0.WP = 1.
///
/// The words don't say whether `IA32_PKRS` is consulted about a user-mode access, which is refused
/// anyway, so whether its error code has PK. Read here as in QEMU and Bochs: it is not.
fn key_permits(
    controls: &Controls,
    request: &Request,
    user_address: bool,
    key: u32,
    write: bool,
) -> bool {
    let write_protect = is_on(controls, Switch::WriteProtect);
    let (register, write_disable_applies) = if user_address {
        if !is_on(controls, Switch::UserKeys) {
            return true;
        }
        (controls.pkru, write_protect || is_user_mode_access(request))
    } else {
        if !is_on(controls, Switch::SupervisorKeys) || is_user_mode_access(request) {
            return true;
        }
        (controls.pkrs, write_protect)
    };
    let access_disable = bit(u64::from(register), 2 * key);
    let write_disable = bit(u64::from(register), 2 * key + 1);
    if write { !(write_disable && write_disable_applies) } else { !access_disable }
}
