//! The small part of the books: plain data that a checkpoint copies.

use crate::base::{Event, Principal, PrincipalSet, Ring, Roster, Structure, TraceHash};

use super::threads::{SECONDS, Second};

/// Processors whose mode is followed.
const PROCESSORS: usize = 8;

/// Devices that are told apart: numbers beyond share their places.
const DEVICES: usize = 16;

/// The place of what is known of the device that an event names.
#[allow(clippy::cast_possible_truncation, reason = "few devices")]
pub(super) const fn device_place(event: &Event) -> usize {
    event.value as usize % DEVICES
}

/// What a process asks for at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Asking {
    /// Whether it asks for anything.
    pub(super) is_open: bool,
    /// Where the answer is to go.
    pub(super) start: u64,
    /// How many bytes of it.
    pub(super) length: u64,
    /// Handles used since.
    pub(super) uses_from: usize,
    /// The rights that a handle which comes of it may have.
    pub(super) rights: u32,
    /// The rights that it takes of the handle it names.
    pub(super) taken: u64,
    /// What is said of a handle that comes of it.
    pub(super) marks: u8,
    /// What it changes of what is said of the handle it names, and to what.
    pub(super) changed: (u8, u8),
    /// The low half of the handle to the process that is to have it, where it is a duplicate.
    pub(super) target: u32,
    /// Whether a driver has had it.
    pub(super) is_handed_over: bool,
}

impl Asking {
    pub(super) const NOTHING: Self = Self {
        is_open: false,
        start: 0,
        length: 0,
        uses_from: 0,
        rights: 0,
        taken: 0,
        marks: 0,
        changed: (0, 0),
        target: 0,
        is_handed_over: false,
    };
}

#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) ordinal: u64,
    /// Bit n: processor n delivers an interrupt or exception; bit 31: the world is booting.
    flags: u32,
    user_mode: [bool; PROCESSORS],
    pub(super) last_load: LastLoad,
    pub(super) asking: [Asking; Principal::COUNT_MAX],
    /// When the last operation of a process returned.
    pub(super) returned: [u64; Principal::COUNT_MAX],
    /// Whom each principal may influence directly.
    pub(super) direct: [PrincipalSet; Principal::COUNT_MAX],
    /// Where each process's object is.
    pub(super) objects: [u64; Principal::COUNT_MAX],
    /// The address of each process's thread, or its first; 0 when that has ended before another.
    pub(super) threads: [u64; Principal::COUNT_MAX],
    /// The second threads of processes.
    pub(super) seconds: [Second; SECONDS],
    /// Which of them each processor runs, by its place and one more; 0: none.
    pub(super) running: [u8; PROCESSORS],
    pub(super) owned: [u32; Principal::COUNT_MAX],
    pub(super) alive: PrincipalSet,
    pub(super) ended: PrincipalSet,
    pub(super) critical: PrincipalSet,
    pub(super) restarted: PrincipalSet,
    pub(super) disabled: u64,
    /// The hosts of each device, by its number, that was given up.
    pub(super) given_up: [PrincipalSet; DEVICES],
    /// The hosts that each device, by its number, has lost.
    pub(super) lost: [PrincipalSet; DEVICES],
    /// From whose memory the disk was written.
    pub(super) disk_sources: PrincipalSet,
    /// Hosts of which it is kept on the disk that they failed.
    pub(super) recorded: PrincipalSet,
    /// Where the requests of this boot begin.
    pub(super) requests_from: usize,
    pub(super) corrupt_words: u32,
    pub(super) consumed: u64,
    /// How often damage changed, was read, or a fault struck.
    pub(super) noted: u32,
}

/// The last word that was read: half of a copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastLoad {
    pub(super) word: u32,
    pub(super) mask: u8,
    /// As what it was meant.
    pub(super) structure: Structure,
    pub(super) value: u64,
}

impl LastLoad {
    const NONE: Self = Self { word: 0, mask: 0, structure: Structure::Free, value: 0 };

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "a world has at most 2^29 words")]
    pub(super) const fn takes(&mut self, word: usize, event: &Event) {
        let Event { mask, structure, value, .. } = *event;
        *self = Self { word: word as u32, mask, structure, value };
    }
}

const BOOTING: u32 = 1 << 31;

impl State {
    pub(super) fn new(roster: &Roster) -> Self {
        let critical = roster.iter().filter(|(_, entry)| entry.critical);
        let critical =
            critical.fold(PrincipalSet::NOBODY, |set, (principal, _)| set.with(principal));
        Self {
            ordinal: 0,
            flags: BOOTING,
            user_mode: [false; PROCESSORS],
            last_load: LastLoad::NONE,
            asking: [Asking::default(); Principal::COUNT_MAX],
            returned: [0; Principal::COUNT_MAX],
            direct: [PrincipalSet::NOBODY; Principal::COUNT_MAX],
            objects: [0; Principal::COUNT_MAX],
            threads: [0; Principal::COUNT_MAX],
            seconds: [Second::NONE; SECONDS],
            running: [0; PROCESSORS],
            owned: [0; Principal::COUNT_MAX],
            alive: PrincipalSet::NOBODY,
            ended: PrincipalSet::NOBODY,
            critical,
            restarted: PrincipalSet::NOBODY,
            disabled: 0,
            given_up: [PrincipalSet::NOBODY; DEVICES],
            lost: [PrincipalSet::NOBODY; DEVICES],
            disk_sources: PrincipalSet::NOBODY,
            recorded: PrincipalSet::NOBODY,
            requests_from: 0,
            corrupt_words: 0,
            consumed: 0,
            noted: 0,
        }
    }

    /// Whether anything but plain running goes on.
    #[inline(always)]
    pub(super) const fn is_ordinary(&self) -> bool {
        self.flags == 0
    }

    pub(super) const fn is_booting(&self) -> bool {
        self.flags & BOOTING != 0
    }

    pub(super) fn boots(&mut self) {
        self.flags = BOOTING;
        self.user_mode = [false; PROCESSORS];
        self.asking = [Asking::default(); Principal::COUNT_MAX];
        self.seconds = [Second::NONE; SECONDS];
        self.running = [0; PROCESSORS];
    }

    /// Takes in what decides about events to come, but for what is asked and was returned.
    pub(super) fn absorb(&self, hash: &mut TraceHash) {
        let modes =
            (0..).zip(self.user_mode).fold(0, |bits, (n, user)| bits | u64::from(user) << n);
        hash.absorb(u64::from(self.flags), modes);
        let LastLoad { word, mask, structure, value } = self.last_load;
        let half = u64::from(word) << 16 | (structure as u64) << 8 | u64::from(mask);
        hash.absorb(half, value);
        for (direct, object) in self.direct.iter().zip(self.objects) {
            hash.absorb(direct.0, object);
        }
        hash.absorb(self.alive.0, self.ended.0);
        hash.absorb(self.critical.0, self.restarted.0);
        hash.absorb(self.disabled, self.requests_from as u64);
        for hosts in self.given_up.into_iter().chain(self.lost) {
            hash.absorb(hosts.0, 0);
        }
        self.absorb_threads(hash);
    }

    /// A processor begins to deliver: until it has, it reads the kernel's tables and pushes on the
    /// kernel's stack by itself, whoever runs.
    pub(super) const fn delivers(&mut self, processor: u8) {
        self.flags |= 1 << (processor & 7);
    }

    /// Whether this access is part of a delivery.
    pub(super) const fn is_delivering(&self, processor: u8) -> bool {
        processor < 8 && self.flags >> processor & 1 == 1
    }

    /// A processor runs a step: whatever it delivered, it has.
    pub(super) const fn runs(&mut self, processor: u8) {
        self.flags &= !(1 << (processor & 7)) & !BOOTING;
    }

    pub(super) fn switches(&mut self, processor: u8, ring: u64) {
        self.flags &= !(1 << (processor & 7));
        self.user_mode[usize::from(processor & 7)] = ring == 3;
    }

    /// The privilege of a processor; `None` for a device.
    pub(super) fn ring(&self, processor: u8) -> Option<Ring> {
        let user_mode = self.user_mode.get(usize::from(processor))?;
        Some(if *user_mode { Ring::User } else { Ring::Kernel })
    }
}
