//! The fields of kernel structures, byte by byte.
//!
//! A field is asked just before turns of the run in which somebody loads it: each of its bytes, all bits
//! of it, and of the word its lowest bit and the highest that is set. Entries of page and IOMMU tables,
//! which walks read past the kernel's loads, are asked at moments spread over the run. A byte that was live
//! once, in whatever world, is not asked again, nor in a further world one that was asked often in vain.

use std::collections::BTreeMap;

use crate::base::{PhysAddr, Structure};

use super::survey::Survey;
use super::{Bits, Flip, Found, LiveBytes, Share, Stage, What};

/// A field, by structure and name.
pub(super) type Name = (Structure, &'static str);

/// Bytes of a field: layouts are of words.
pub const FIELD_BYTES: u32 = 8;

/// A byte that was flipped so often in vain is not asked in another world: some fifty worlds.
const ENOUGH: u16 = 300;

/// What was found of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FieldShare {
    /// Its flips.
    pub flips: Share,
    /// Its bytes of which a flip was read, as a bit set; bit 0: the lowest.
    pub read: u8,
    /// Its bytes of which a flip made a difference.
    pub live: u8,
    /// How often each byte was flipped.
    tried: [u16; FIELD_BYTES as usize],
}

impl FieldShare {
    /// Whether no flip of it made a difference.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        self.live == 0
    }

    /// The bytes of which no flip made a difference, as a bit set.
    #[must_use]
    pub const fn dead(&self) -> u8 {
        !self.live
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.flips.merge(other.flips);
        self.read |= other.read;
        self.live |= other.live;
        for (mine, theirs) in self.tried.iter_mut().zip(other.tried) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// The bytes that are live, or were flipped so often that they are not asked in another world.
    fn settled(&self) -> u8 {
        let often = self.tried.iter().enumerate().filter(|&(_, &tried)| tried >= ENOUGH);
        often.fold(self.live, |set, (number, _)| set | 1 << number)
    }

    pub(super) fn add(&mut self, byte: u8, found: Found) {
        self.flips.add(found);
        self.read |= if found.read { byte } else { 0 };
        self.live |= if found.live { byte } else { 0 };
        let touched =
            self.tried.iter_mut().enumerate().filter(|(number, _)| byte >> number & 1 == 1);
        touched.for_each(|(_, tried)| *tried = tried.saturating_add(1));
    }
}

/// Which bytes have one of these bits, as a bit set.
pub(super) fn bytes_of(bits: u64) -> u8 {
    let bytes = bits.to_le_bytes().into_iter().enumerate();
    bytes.fold(0, |set, (number, byte)| set | u8::from(byte != 0) << number)
}

/// The flips of the `round`th load of each field, of bytes that are not known to be live: `found` in this
/// world, or `known` from others.
pub(super) fn round(
    survey: &Survey,
    round: usize,
    found: &LiveBytes,
    known: &LiveBytes,
) -> Vec<Stage> {
    let mut stages: BTreeMap<usize, Vec<Flip>> = BTreeMap::new();
    for (&name, loads) in &survey.loads {
        let Some(&(turn, word, value)) = loads.get(round) else { continue };
        let flips = wanted(name, word, value, live(name, found) | settled(name, known));
        if !flips.is_empty() {
            stages.entry(turn).or_default().extend(flips);
        }
    }
    stages.into_iter().map(|(turn, flips)| Stage { turn, flips }).collect()
}

/// How many flips there are at most from this round on.
pub(super) fn bound(survey: &Survey, from: usize, found: &LiveBytes, known: &LiveBytes) -> u64 {
    let all = survey.loads.iter().map(|(&name, loads)| {
        let live = live(name, found) | settled(name, known);
        let rest = loads.iter().skip(from);
        rest.map(|&(_, word, value)| wanted(name, word, value, live).len() as u64).sum::<u64>()
    });
    all.sum()
}

fn live(name: Name, map: &LiveBytes) -> u8 {
    map.fields.get(&name).map_or(0, |field| field.live)
}

fn settled(name: Name, map: &LiveBytes) -> u8 {
    map.fields.get(&name).map_or(0, FieldShare::settled)
}

fn wanted((structure, name): Name, word: PhysAddr, value: u64, live: u8) -> Vec<Flip> {
    let whole = (0..u64::from(FIELD_BYTES)).map(|byte| 0xff << (byte * 8));
    let highest = value.checked_ilog2().map_or(1, |bit| 1 << bit);
    let single = [1, highest].into_iter().take(if highest == 1 { 1 } else { 2 });
    let missing = whole.chain(single).filter(|&bits| bytes_of(bits) & live == 0);
    missing
        .map(|bits| Flip { word, bits: Bits(bits), structure, what: What::Field(name) })
        .collect()
}
