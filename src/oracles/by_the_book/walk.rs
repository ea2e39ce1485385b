//! The walk itself: tables, entries, access rights, error codes.
//!
//! Of the crate it names addresses and the registers beside it, nothing else: `tests/tidy` sees to that.

use super::registers::{
    Attempt, CR0_WP, CR4_CET, CR4_LA57, CR4_PGE, CR4_PKE, CR4_PKS, CR4_SMAP, CR4_SMEP, EFER_NXE,
    Kind, RFLAGS_AC, Registers, bit,
};
use crate::base::{PhysAddr, VirtAddr};

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

/// Bits `high` to `low` of `value`, moved down.
fn bits(value: u64, high: u32, low: u32) -> u64 {
    (value >> low) & ((1 << (high - low + 1)) - 1)
}

/// Translates. `entry_at` reads the 8 bytes at a physical address.
pub(super) fn walk(
    entry_at: &dyn Fn(PhysAddr) -> u64,
    registers: &Registers,
    attempt: &Attempt,
) -> Answer {
    let five_levels = bit(registers.cr4, CR4_LA57);
    if !is_canonical(attempt.linear, if five_levels { 57 } else { 48 }) {
        return Answer::GeneralProtection;
    }
    let maxphyaddr = registers.maxphyaddr;
    let mut table = bits(registers.cr3, maxphyaddr - 1, 12) << 12;
    let mut used: Vec<(PhysAddr, u64)> = Vec::new();
    let mut level = if five_levels { 5 } else { 4 };
    let page_bits = loop {
        let low = 12 + 9 * (level - 1);
        let at = PhysAddr::truncated(table + 8 * bits(attempt.linear.0, low + 8, low));
        let entry = entry_at(at);
        used.push((at, entry));
        if !bit(entry, 0) {
            return Answer::PageFault(error_code(registers, attempt, false, false, false));
        }
        if sets_reserved_bit(entry, level, registers) {
            return Answer::PageFault(error_code(registers, attempt, true, true, false));
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
    judge(registers, attempt, &used, page_bits)
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
fn sets_reserved_bit(entry: u64, level: u32, registers: &Registers) -> bool {
    let maxphyaddr = registers.maxphyaddr;
    if maxphyaddr <= 51 && bits(entry, 51, maxphyaddr) != 0 {
        return true;
    }
    if !bit(registers.efer, EFER_NXE) && bit(entry, 63) {
        return true;
    }
    match level {
        5 | 4 => bit(entry, 7) || (registers.is_amd && bit(entry, 8)),
        3 => bit(entry, 7) && bits(entry, 29, 13) != 0,
        2 => bit(entry, 7) && bits(entry, 20, 13) != 0,
        _ => false,
    }
}

/// "Accesses made while CPL < 3 are supervisor-mode accesses"; implicit accesses are "regardless of CPL".
fn is_user_mode_access(registers: &Registers, attempt: &Attempt) -> bool {
    registers.cpl == 3 && !attempt.implicit
}

fn is_shadow_stack_access(registers: &Registers, attempt: &Attempt) -> bool {
    match attempt.kind {
        Kind::Fetch => false,
        Kind::Read | Kind::Write => attempt.shadow_stack && bit(registers.cr4, CR4_CET),
    }
}

/// "Page-Fault Exceptions", flag by flag.
fn error_code(
    registers: &Registers,
    attempt: &Attempt,
    present: bool,
    reserved: bool,
    protection_key: bool,
) -> u32 {
    let fetch_is_told = attempt.kind == Kind::Fetch
        && (bit(registers.cr4, CR4_SMEP) || bit(registers.efer, EFER_NXE));
    let mut code = 0;
    code += if present { 1 } else { 0 };
    code += if attempt.kind == Kind::Write { 2 } else { 0 };
    code += if is_user_mode_access(registers, attempt) { 4 } else { 0 };
    code += if reserved { 8 } else { 0 };
    code += if fetch_is_told { 16 } else { 0 };
    code += if protection_key { 32 } else { 0 };
    code += if is_shadow_stack_access(registers, attempt) { 64 } else { 0 };
    code
}

/// There is a translation: determines access rights, and flags to set.
fn judge(
    registers: &Registers,
    attempt: &Attempt,
    used: &[(PhysAddr, u64)],
    page_bits: u32,
) -> Answer {
    let [tables @ .., (leaf_at, leaf)] = used else {
        unreachable!("a translation uses at least one entry");
    };
    let user_address = used.iter().all(|(_, entry)| bit(*entry, 2));
    let writable = used.iter().all(|(_, entry)| bit(*entry, 1));
    let execute_disabled =
        bit(registers.efer, EFER_NXE) && used.iter().any(|(_, entry)| bit(*entry, 63));
    let shadow_stack_address =
        !bit(*leaf, 1) && bit(*leaf, 6) && tables.iter().all(|(_, entry)| bit(*entry, 1));
    let key = u32::try_from(bits(*leaf, 62, 59)).expect("four bits");

    let read_permitted_by_key = key_permits(registers, attempt, user_address, key, false);
    let write_permitted_by_key = key_permits(registers, attempt, user_address, key, true);
    let by_key = match attempt.kind {
        Kind::Read => read_permitted_by_key,
        Kind::Write => read_permitted_by_key && write_permitted_by_key,
        Kind::Fetch => true,
    };
    let smap_permits =
        !bit(registers.cr4, CR4_SMAP) || (bit(registers.rflags, RFLAGS_AC) && !attempt.implicit);
    let write_protect = bit(registers.cr0, CR0_WP);
    let user_mode = is_user_mode_access(registers, attempt);
    let permitted = if is_shadow_stack_access(registers, attempt) {
        if user_mode {
            shadow_stack_address && user_address
        } else {
            shadow_stack_address && !user_address
        }
    } else {
        match (user_mode, user_address, attempt.kind) {
            (false, false, Kind::Read) => true,
            (false, true, Kind::Read) => smap_permits,
            (false, false, Kind::Write) => !write_protect || writable,
            (false, true, Kind::Write) => smap_permits && (!write_protect || writable),
            (false, false, Kind::Fetch) => !execute_disabled,
            (false, true, Kind::Fetch) => !bit(registers.cr4, CR4_SMEP) && !execute_disabled,
            (true, false, _) => false,
            (true, true, Kind::Read) => true,
            (true, true, Kind::Write) => writable,
            (true, true, Kind::Fetch) => !execute_disabled,
        }
    };
    if !permitted || !by_key {
        return Answer::PageFault(error_code(registers, attempt, true, false, !by_key));
    }

    let is_write = attempt.kind == Kind::Write;
    let unmarked = used.iter().filter(|(_, entry)| !bit(*entry, 5));
    // Reserved bits are 0, so bits 51:12 hold no more than MAXPHYADDR bits.
    let page = bits(*leaf, 51, page_bits) << page_bits;
    Answer::Translated(Translated {
        address: PhysAddr::truncated(page | bits(attempt.linear.0, page_bits - 1, 0)),
        page_bytes: 1 << page_bits,
        accessed: unmarked.map(|(at, _)| *at).collect(),
        dirtied: (is_write && !bit(*leaf, 6)).then_some(*leaf_at),
        user: user_address,
        writable,
        executable: used.iter().all(|(_, entry)| !bit(*entry, 63)),
        shadow_stack: shadow_stack_address,
        global: bit(registers.cr4, CR4_PGE) && bit(*leaf, 8),
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
    registers: &Registers,
    attempt: &Attempt,
    user_address: bool,
    key: u32,
    write: bool,
) -> bool {
    let write_protect = bit(registers.cr0, CR0_WP);
    let (keys, write_disable_applies) = if user_address {
        if !bit(registers.cr4, CR4_PKE) {
            return true;
        }
        (registers.pkru, write_protect || is_user_mode_access(registers, attempt))
    } else {
        if !bit(registers.cr4, CR4_PKS) || is_user_mode_access(registers, attempt) {
            return true;
        }
        (registers.pkrs, write_protect)
    };
    let access_disable = bit(u64::from(keys), 2 * key);
    let write_disable = bit(u64::from(keys), 2 * key + 1);
    if write { !(write_disable && write_disable_applies) } else { !access_disable }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLANK: Registers = Registers {
        cr0: 0,
        cr3: 0x1000,
        cr4: 0,
        efer: 0,
        rflags: 0,
        pkru: 0,
        pkrs: 0,
        cpl: 0,
        maxphyaddr: 40,
        is_amd: false,
    };

    /// Every attempt at an address that leads to entry 2 of its last table and to entry 0 of the others.
    fn attempts() -> impl Iterator<Item = Attempt> {
        (0..12).map(|number| Attempt {
            linear: VirtAddr(0x2000),
            kind: [Kind::Read, Kind::Write, Kind::Fetch][number % 3],
            implicit: number / 3 % 2 == 1,
            shadow_stack: number / 6 == 1,
        })
    }

    /// Below tables that permit everything, all of them the same one, the leaf that is given.
    fn of_leaf(leaf: u64, registers: &Registers, attempt: &Attempt) -> Answer {
        let entry_at = |at: PhysAddr| if at.raw() & 0xff8 == 0x10 { leaf } else { 0x1007 };
        walk(&entry_at, registers, attempt)
    }

    /// What becomes of every attempt under every right, and at an address that needs five levels.
    fn answers(registers: &Registers) -> Vec<Answer> {
        let mut answers = Vec::new();
        for attempt in attempts() {
            // Present, accessed and global; R/W, U/S, D, key 1 and XD, each or not.
            for rights in 0..1 << 5 {
                let on = |number, bits: u64| if bit(rights, number) { bits } else { 0 };
                let leaf = 0x7121 | on(0, 1 << 1) | on(1, 1 << 2) | on(2, 1 << 6);
                let leaf = leaf | on(3, 1 << 59) | on(4, 1 << 63);
                answers.push(of_leaf(leaf, registers, &attempt));
            }
            let far = Attempt { linear: VirtAddr(1 << 50), ..attempt };
            answers.push(of_leaf(0, registers, &far));
        }
        answers
    }

    /// The bits of a register on which an answer depends, with the others all clear or all set.
    fn bits_read(register: fn(&mut Registers) -> &mut u64) -> Vec<u32> {
        let set = Registers { cr0: u64::MAX, cr4: u64::MAX, efer: u64::MAX, ..BLANK };
        let mut read = [false; 64];
        for state in [BLANK, set, Registers { pkru: 0x4, pkrs: 0x8, ..set }] {
            for cpl in [0, 3] {
                let mut state = Registers { cpl, ..state };
                let before = answers(&state);
                for (number, read) in read.iter_mut().enumerate() {
                    *register(&mut state) ^= 1 << number;
                    *read |= answers(&state) != before;
                    *register(&mut state) ^= 1 << number;
                }
            }
        }
        (0..64).filter(|number| read[*number as usize]).collect()
    }

    #[test]
    fn answers_depend_on_the_bits_that_the_manual_names_and_on_no_others() {
        assert_eq!(bits_read(|registers| &mut registers.cr0), [16]);
        // Not on 17, CR4.PCIDE: identifiers matter to caches only.
        assert_eq!(bits_read(|registers| &mut registers.cr4), [7, 12, 20, 21, 22, 23, 24]);
        assert_eq!(bits_read(|registers| &mut registers.efer), [11]);
        assert_eq!(bits_read(|registers| &mut registers.rflags), [18]);
    }

    #[test]
    fn the_root_is_cr3_from_bit_12_to_maxphyaddr() {
        let attempt = attempts().next().expect("a first one");
        for (maxphyaddr, root) in
            [(36, 0xf_ffff_f000), (40, 0xff_ffff_f000), (52, 0xf_ffff_ffff_f000)]
        {
            let registers = Registers { cr3: u64::MAX, maxphyaddr, ..BLANK };
            let entry_at = |at: PhysAddr| {
                assert_eq!(at.raw(), root);
                0
            };

            assert_eq!(walk(&entry_at, &registers, &attempt), Answer::PageFault(0));
        }
    }

    #[test]
    fn only_privilege_level_3_is_user_mode() {
        let attempt = attempts().next().expect("a first one");
        for cpl in 0..=3 {
            let answer = of_leaf(0x7001, &Registers { cpl, ..BLANK }, &attempt);

            assert_eq!(answer == Answer::PageFault(0b101), cpl == 3, "{cpl}");
        }
    }
}
