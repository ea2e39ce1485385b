//! Which rights does an access need under these controls? Worked out once, not at each access.

use super::code::Code;
use super::value::{FETCHES, READS, VALID, WRITES};
use crate::base::{Access, Ring, VirtAddr};
use crate::machine::paging::x86_64::{ControlFlags, Controls, Entry, Request, refusal};

/// Kinds of access × ring × EFLAGS.AC.
const CASES: usize = 12;

/// A kind of explicit access, as an entry that was decided knows it: by the place of a bit. EFLAGS.AC
/// counts where the kernel reads or writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Case(u32);

impl Case {
    /// An access of this kind from this ring, with this EFLAGS.AC.
    #[inline(always)]
    #[must_use]
    pub const fn of(access: Access, ring: Ring, ac: bool) -> Self {
        let user = matches!(ring, Ring::User);
        let who = if user { 2 } else { ac as u32 };
        Self(match access {
            Access::Read => READS + who,
            Access::Write => WRITES + who,
            Access::Execute => FETCHES + user as u32,
        })
    }

    /// Whether a value that was decided permits it.
    #[inline(always)]
    pub(super) const fn is_among(self, value: u64) -> bool {
        value >> self.0 & 1 == 1
    }
}

/// What permits one kind of explicit access: which bits of an entry count, and how they must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Granted {
    counted: u64,
    expected: u64,
}

impl Granted {
    /// No entry permits it.
    const NEVER: Self = Self { counted: 0, expected: VALID };

    /// Every entry permits it, whatever its rights are.
    pub const ALWAYS: Self = Self { counted: VALID, expected: VALID };

    #[inline(always)]
    pub(super) const fn permits(self, value: u64) -> bool {
        value & self.counted == self.expected
    }

    /// By the set of all rights that do. What counts of them is whether one is there, or is not.
    fn by(permitting: u16, access: Access) -> Self {
        if permitting == 0 {
            return Self::NEVER;
        }
        let mut granted = Self::ALWAYS;
        if access == Access::Write {
            granted.counted |= Entry::D;
            granted.expected |= Entry::D;
        }
        for (with, denial) in [(0xaaaa, Entry::RW), (0xcccc, Entry::US), (0xf0f0, Entry::XD)] {
            if permitting & with == 0 {
                granted.counted |= denial;
                granted.expected |= denial;
            } else if permitting & !with == 0 {
                granted.counted |= denial;
            }
        }
        granted
    }
}

/// For each kind of explicit access the rights that permit it: bit n for those that an entry of a
/// cache keeps as n.
///
/// Nothing at all under protection keys and process-context identifiers, which need more than the
/// rights to decide; then [`Tlb::lookup`](super::Tlb::lookup) does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Grants {
    flags: ControlFlags,
    granted: [u16; CASES],
    /// The same the other way round: for each such n the cases that it permits.
    permitted: [u64; 16],
}

#[inline(always)]
const fn case(access: Access, ring: Ring, ac: bool) -> usize {
    let access = match access {
        Access::Read => 0,
        Access::Write => 1,
        Access::Execute => 2,
    };
    access * 4 + matches!(ring, Ring::User) as usize * 2 + ac as usize
}

impl Grants {
    /// What the rights permit under these controls.
    #[must_use]
    pub fn new(controls: &Controls) -> Self {
        let (mut granted, mut permitted) = ([0; CASES], [0; 16]);
        let undecided = ControlFlags::PKE | ControlFlags::PKS | ControlFlags::PCIDE;
        if controls.flags.without(undecided) != controls.flags {
            return Self { flags: controls.flags, granted, permitted };
        }
        for access in [Access::Read, Access::Write, Access::Execute] {
            for ring in [Ring::Kernel, Ring::User] {
                for ac in [false, true] {
                    let request = Request { ac, ..Request::new(VirtAddr(0), access, ring) };
                    granted[case(access, ring, ac)] = (0..16).fold(0, |set, bits| {
                        // Whether a page is a shadow stack's does not count: these are accesses to
                        // no shadow stack.
                        let code = Code::from_bits(bits);
                        let is_granted = refusal(controls, &request, code.rights(), 0).is_none();
                        let Case(place) = Case::of(access, ring, ac);
                        permitted[code.index()] |= u64::from(is_granted) << place;
                        set | u16::from(is_granted) << bits
                    });
                }
            }
        }
        Self { flags: controls.flags, granted, permitted }
    }

    /// Whether they are those of these controls.
    #[must_use]
    #[inline(always)]
    pub fn are_of(&self, controls: &Controls) -> bool {
        self.flags == controls.flags
    }

    /// What permits such an access.
    #[must_use]
    pub fn of(&self, access: Access, ring: Ring, ac: bool) -> Granted {
        Granted::by(self.granted[case(access, ring, ac)], access)
    }

    /// The cases that these rights permit; on a page that is not dirty, no write.
    #[inline(always)]
    pub(super) fn cases(&self, code: Code, is_dirty: bool) -> u64 {
        let permitted = self.permitted[code.index()];
        if is_dirty { permitted } else { permitted & !(7 << WRITES) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Stream;
    use crate::machine::paging::x86_64::walk;
    use crate::machine::tlb::Tlb;

    #[test]
    fn grants_are_of_the_flags_that_they_were_worked_out_for() {
        let with = |flags| Controls { flags, ..Controls::default() };
        let grants = Grants::new(&with(ControlFlags::WP));

        assert!(grants.are_of(&Controls { cr3: 0x1000, ..with(ControlFlags::WP) }));
        assert!(!grants.are_of(&with(ControlFlags::NONE)));
    }

    /// One user page of each of sixteen sets of rights, as far as entries can express them.
    fn tables() -> Vec<u64> {
        let mut words = vec![0; 8 * 512];
        for frame in [1, 2, 3] {
            words[frame * 512] = (frame as u64 + 1) << 12 | 0x67;
        }
        for slot in 0..16 {
            let xd = if slot & 4 == 0 { 0 } else { 1 << 63 };
            let dirty = if slot & 8 == 0 { 0 } else { 0x40 };
            words[4 * 512 + slot] = 5 << 12 | 0x21 | (slot as u64) << 1 & 6 | dirty | xd;
        }
        words
    }

    #[test]
    fn a_hit_is_what_a_lookup_finds_under_any_controls() {
        let memory = tables();
        let mut stream: Stream = crate::base::Seed(3).stream("grants", 0);
        let mut hits = 0;
        for _ in 0..20_000 {
            let flags =
                ControlFlags::from_bits(u16::try_from(stream.below(1 << 10)).expect("small"));
            let controls = Controls {
                cr3: 1 << 12,
                flags: flags.without(ControlFlags::LA57),
                ..Controls::default()
            };
            let access = [Access::Read, Access::Write, Access::Execute][stream.index(3)];
            let ring = [Ring::Kernel, Ring::User][stream.index(2)];
            let ac = stream.index(2) == 1;
            let virt = VirtAddr(stream.below(16) << 12 | 0x120);
            let request = Request { ac, ..Request::new(virt, access, ring) };
            let filler = Request::new(virt, Access::Read, Ring::Kernel);
            let mut tlb = Tlb::default();
            if let Ok(found) = walk(&memory, &controls, &filler) {
                tlb.fill(&controls, &filler, &found);
            }

            let granted = Grants::new(&controls).of(access, ring, ac);
            let hit = tlb.hit(virt, granted);
            let undecided_yet = tlb.hit_decided(virt, Case::of(access, ring, ac));
            let mut one = tlb;
            one.decide_at(virt, &Grants::new(&controls));
            tlb.decide(&Grants::new(&controls));
            let decided = tlb.hit_decided(virt, Case::of(access, ring, ac));

            let found = tlb.lookup(&controls, &request);
            let undecided = ControlFlags::PKE | ControlFlags::PKS | ControlFlags::PCIDE;
            let is_decided = flags.without(undecided) == flags;
            assert_eq!(hit, found.filter(|_| is_decided), "{flags:?} {access:?} {ring:?} {ac}");
            assert_eq!((undecided_yet, decided), (None, hit), "{flags:?} {access:?} {ring:?} {ac}");
            assert_eq!(one, tlb, "{flags:?}");
            hits += u32::from(hit.is_some());
        }
        assert!(hits > 500, "only {hits} hits");
    }
}
