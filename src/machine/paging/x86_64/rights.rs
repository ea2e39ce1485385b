//! Does what is mapped permit what is asked?
//!
//! Intel SDM volume 3A, "Determination of Access Rights" and "Protection Keys". Shared by the walk
//! and by the cached translations, which must give the same answer.

use super::controls::{ControlFlags, Controls, Request};
use super::entry::Entry;
use crate::base::Access;

/// The rights of a translation or of the tables passed so far: what every entry on the way allows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct Rights(u8);

impl Rights {
    /// U/S is 1 in every entry: a user-mode address.
    pub const USER: Self = Self(1);
    /// R/W is 1 in every entry.
    pub const WRITABLE: Self = Self(2);
    /// XD is 0 in every entry.
    pub const EXECUTABLE: Self = Self(4);
    /// R/W is 0 and D is 1 in the leaf, and R/W is 1 in every other entry: a shadow-stack address.
    pub const SHADOW_STACK: Self = Self(8);
    /// What the root grants before any entry is read.
    pub const ROOT: Self = Self(7);

    /// The rights in the low four bits, in the order of the constants above.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 15)
    }

    /// As bits, in the order of the constants above.
    #[must_use]
    #[inline(always)]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether every right of `other` is among these.
    #[must_use]
    #[inline(always)]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What remains of these rights below an entry that names a table.
    #[must_use]
    #[inline(always)]
    pub const fn through_table(self, entry: Entry) -> Self {
        // R/W and U/S are neighbours in an entry, in the other order than here.
        let writable = if entry.has(Entry::RW) { Self::WRITABLE.0 } else { 0 };
        let user = if entry.has(Entry::US) { Self::USER.0 } else { 0 };
        let executable = if entry.has(Entry::XD) { 0 } else { Self::EXECUTABLE.0 };
        Self(self.0 & (writable | user | executable))
    }

    /// What the page of a leaf grants below tables with these rights.
    #[must_use]
    #[inline(always)]
    pub const fn through_leaf(self, entry: Entry) -> Self {
        let shadow_stack = self.has(Self::WRITABLE) && entry.0 & (Entry::RW | Entry::D) == Entry::D;
        let below = self.through_table(entry).0;
        Self(if shadow_stack { below | Self::SHADOW_STACK.0 } else { below })
    }
}

/// Why an access to a mapped page is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// A protection key forbids it, perhaps among other reasons; the error code says so.
    pub by_key: bool,
}

/// Returns why `request` is refused on a page with these rights and this key, `None` when it is
/// allowed.
#[must_use]
#[inline(always)]
pub const fn refusal(
    controls: &Controls,
    request: &Request,
    rights: Rights,
    key: u8,
) -> Option<Refusal> {
    let by_key = key_forbids(controls, request, rights, key);
    if by_key || !is_granted(controls, request, rights) { Some(Refusal { by_key }) } else { None }
}

#[inline(always)]
const fn is_granted(controls: &Controls, request: &Request, rights: Rights) -> bool {
    let flags = controls.flags;
    let user_address = rights.has(Rights::USER);
    let user_mode = request.is_user_mode();
    if request.is_shadow_stack(controls) {
        return rights.has(Rights::SHADOW_STACK) && user_address == user_mode;
    }
    if user_mode && !user_address {
        return false;
    }
    let supervisor_on_user = user_address && !user_mode;
    if let Access::Execute = request.access {
        return rights.has(Rights::EXECUTABLE)
            && !(supervisor_on_user && flags.has(ControlFlags::SMEP));
    }
    let ac_counts = request.ac && !request.implicit;
    let stopped_by_smap = supervisor_on_user && flags.has(ControlFlags::SMAP) && !ac_counts;
    if stopped_by_smap {
        return false;
    }
    match request.access {
        Access::Write => {
            rights.has(Rights::WRITABLE) || (!user_mode && !flags.has(ControlFlags::WP))
        }
        _ => true,
    }
}

/// Whether PKRU (user-mode addresses) or `IA32_PKRS` (supervisor-mode addresses) forbids the access.
/// WD binds supervisor-mode writes only with CR0.WP; `IA32_PKRS` is about supervisor-mode addresses,
/// for which WD always needs CR0.WP.
///
/// `IA32_PKRS` is asked about supervisor-mode accesses only, so that what user mode is refused on a
/// supervisor-mode address is never told with PK. The manual words each flag of the error code by
/// itself and leaves that case open ("Page-Fault Exceptions"), and no observation of a processor is
/// published; QEMU's `mmu_translate` refuses the access before it looks at keys, and Bochs's
/// `cpu/paging.cc` looks at them where `CR4.PKS && !user`.
#[inline(always)]
const fn key_forbids(controls: &Controls, request: &Request, rights: Rights, key: u8) -> bool {
    let flags = controls.flags;
    let user_address = rights.has(Rights::USER);
    let (enabled, register) = if user_address {
        (flags.has(ControlFlags::PKE), controls.pkru)
    } else {
        (flags.has(ControlFlags::PKS) && !request.is_user_mode(), controls.pkrs)
    };
    if !enabled {
        return false;
    }
    let pair = register >> (2 * (key & 15));
    let access_disabled = pair & 1 != 0;
    let write_disabled = pair & 2 != 0;
    match request.access {
        Access::Execute => false,
        Access::Read => access_disabled,
        Access::Write => {
            let binds = flags.has(ControlFlags::WP) || (user_address && request.is_user_mode());
            access_disabled || (write_disabled && binds)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PhysAddr, Ring, VirtAddr};
    use crate::oracles::by_the_book::{self, Answer};

    const PRESENT: u64 = Entry::P;

    fn table(bits: u64) -> u8 {
        Rights::ROOT.through_table(Entry(PRESENT | bits)).bits()
    }

    #[test]
    fn each_right_is_a_bit_of_its_own() {
        let rights = [
            Rights::USER,
            Rights::WRITABLE,
            Rights::EXECUTABLE,
            Rights::SHADOW_STACK,
            Rights::ROOT,
            Rights::default(),
        ];

        assert_eq!(rights.map(Rights::bits), [1, 2, 4, 8, 7, 0]);
        assert_eq!(Rights::from_bits(0xff).bits(), 0xf);
        assert!(Rights::ROOT.has(Rights::USER) && !Rights::USER.has(Rights::ROOT));
        assert!(Rights::USER.has(Rights::USER) && Rights::USER.has(Rights::default()));
        assert!(!Rights::USER.has(Rights::WRITABLE));
    }

    #[test]
    fn a_table_leaves_what_its_entry_allows_of_what_was_there() {
        assert_eq!(table(0), 4);
        assert_eq!(table(Entry::US), 5);
        assert_eq!(table(Entry::RW), 6);
        assert_eq!(table(Entry::XD), 0);
        assert_eq!(table(Entry::US | Entry::RW | Entry::XD), 3);
        let all = Entry(PRESENT | Entry::US | Entry::RW);
        for bits in 0..8 {
            assert_eq!(Rights::from_bits(bits).through_table(all).bits(), bits);
        }
        assert_eq!(Rights::from_bits(15).through_table(all).bits(), 7, "of a leaf alone");
    }

    #[test]
    fn a_shadow_stack_is_dirty_and_not_writable_below_writable_tables() {
        for (above, leaf, wanted) in [
            (Rights::ROOT, Entry::D, 4 | 8),
            (Rights::ROOT, 0, 4),
            (Rights::ROOT, Entry::D | Entry::RW, 6),
            (Rights::ROOT, Entry::D | Entry::US | Entry::XD, 1 | 8),
            (Rights::USER, Entry::D | Entry::US, 1),
        ] {
            let rights = above.through_leaf(Entry(PRESENT | leaf));

            assert_eq!(rights.bits(), wanted, "{above:?} {leaf:#x}");
        }
    }

    /// The four tables above a leaf permit everything.
    fn by_the_book(leaf: u64, controls: &Controls, request: &Request) -> Answer {
        let above = 0x1000 | Entry::P | Entry::RW | Entry::US;
        let entry = |at: PhysAddr| match at.offset() / 8 {
            0 => leaf,
            _ => above,
        };
        by_the_book::translate(&entry, controls, request)
    }

    #[test]
    fn every_set_of_rights_is_judged_by_the_book_under_every_control_that_counts() {
        // Index 1 at each level but the last.
        let virt = VirtAddr(1 << 39 | 1 << 30 | 1 << 21);
        let key = 3;
        let mut granted = 0u32;
        let mut refused = 0u32;
        let six = [
            ControlFlags::WP,
            ControlFlags::SMEP,
            ControlFlags::SMAP,
            ControlFlags::PKE,
            ControlFlags::PKS,
            ControlFlags::CET,
        ];
        for choice in 0..1 << 6 {
            let chosen =
                six.into_iter().enumerate().filter(|(number, _)| choice >> number & 1 == 1);
            let flags = chosen.fold(ControlFlags::NXE, |all, (_, flag)| all | flag);
            for pair in 0..4 {
                let controls = Controls {
                    cr3: 0x1000,
                    flags,
                    pkru: pair << 6,
                    pkrs: (pair ^ 1) << 6,
                    ..Controls::default()
                };
                for rights in (0..16).map(Rights::from_bits) {
                    let is_stack = rights.has(Rights::SHADOW_STACK);
                    if is_stack && rights.has(Rights::WRITABLE) {
                        continue;
                    }
                    let of = |right, bit| if rights.has(right) { bit } else { 0 };
                    let leaf = 0x9000
                        | Entry::P
                        | of(Rights::USER, Entry::US)
                        | of(Rights::WRITABLE, Entry::RW)
                        | (of(Rights::EXECUTABLE, Entry::XD) ^ Entry::XD)
                        | of(Rights::SHADOW_STACK, Entry::D)
                        | u64::from(key) << 59;
                    for number in 0..48 {
                        let bit = |bit: usize| number >> bit & 1 == 1;
                        let request = Request {
                            virt,
                            access: [Access::Read, Access::Write, Access::Execute][number >> 4],
                            ring: if bit(0) { Ring::User } else { Ring::Kernel },
                            ac: bit(1),
                            implicit: bit(2),
                            shadow_stack: bit(3),
                        };

                        let refusal = refusal(&controls, &request, rights, key);

                        let wanted = match by_the_book(leaf, &controls, &request) {
                            Answer::Translated(_) => None,
                            Answer::PageFault(code) => Some(Refusal { by_key: code & 0x20 != 0 }),
                            Answer::GeneralProtection => unreachable!("the address is canonical"),
                        };
                        assert_eq!(refusal, wanted, "{controls:?} {request:?} {rights:?}");
                        granted += u32::from(refusal.is_none());
                        refused += u32::from(refusal.is_some());
                    }
                }
            }
        }
        assert!(granted > 20_000 && refused > 20_000, "{granted} {refused}");
    }

    #[test]
    fn each_key_has_its_own_pair_of_bits() {
        let flags = ControlFlags::PKE | ControlFlags::WP;
        let request = Request::new(VirtAddr(0), Access::Write, Ring::User);
        for key in 0..16 {
            for other in 0..16 {
                let controls = Controls { flags, pkru: 2 << (2 * other), ..Controls::default() };

                let refusal = refusal(&controls, &request, Rights::ROOT, key);

                let wanted = (key == other).then_some(Refusal { by_key: true });
                assert_eq!(refusal, wanted, "{key} {other}");
            }
        }
        let controls = Controls { flags, pkru: 2 << 6, ..Controls::default() };
        assert!(refusal(&controls, &request, Rights::ROOT, 0x13).is_some(), "four bits count");
    }
}
