//! The undisturbed run: where bytes of the kernel are at the chosen moments, and who loads which field
//! when.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Event, EventKind, PhysAddr, VirtAddr, Witness};
use crate::kernel::layout::address;
use crate::kernel::layout::crash_block::{PARAMETER_1, PARAMETER_2, PARAMETER_3, PARAMETER_4};

use super::super::availability::crash_of;
use super::fields::Name;
use super::words::{IOMMU_ENTRY, Places, TABLE_ENTRY, iommu_entries, table_entries};
use super::{Flip, Hashes, Interrupted, LiveBytesOptions, Stage, Trial, Undisturbed};

/// Loads before which a field is flipped: so many of all there are, evenly spread from the first to the last.
pub(super) const LOADS: usize = 6;

/// What one undisturbed run told.
pub(super) struct Survey {
    pub(super) golden: Undisturbed,
    /// In order of their turns, each turn once.
    pub(super) stages: Vec<Stage>,
    /// The clock at each moment.
    pub(super) moments: Vec<u64>,
    /// Loads of each field, evenly spread over all there are: before which turn, of which word, and what is
    /// in it.
    pub(super) loads: BTreeMap<Name, Vec<(usize, PhysAddr, u64)>>,
    /// All fields that were there at a moment, or were loaded.
    pub(super) fields: BTreeSet<Name>,
}

/// The words that one turn loads, and what is in them; the addresses that devices reach in it.
#[derive(Default)]
struct Loads(Vec<(PhysAddr, u64)>, Vec<u64>);

impl Witness for Loads {
    fn event(&mut self, event: &Event) {
        match event.kind {
            EventKind::Load => self.0.push((PhysAddr::truncated(event.phys), event.value)),
            EventKind::DmaRead | EventKind::DmaWrite => self.1.push(event.phys),
            _ => {}
        }
    }
}

/// So many steps of a run, evenly spaced.
fn moments(clock: u64, count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |moment| clock * (2 * moment + 1) / (2 * count))
}

impl Survey {
    /// Runs the trial's world from its beginning to its rest.
    pub(super) fn of(mut trial: Trial, options: &LiveBytesOptions) -> Result<Self, Interrupted> {
        let clock = trial.golden.clock;
        let sampled: Vec<u64> = moments(clock, u64::from(options.moments.max(1))).collect();
        let mut pending = sampled.iter().copied().peekable();
        let mut walks = moments(clock, LOADS as u64).enumerate().peekable();
        let mut stages: BTreeMap<usize, Vec<Flip>> = BTreeMap::new();
        let mut loaded: BTreeMap<Name, Vec<(usize, PhysAddr, u64)>> = BTreeMap::new();
        let mut fields = BTreeSet::new();
        let (mut turns, mut hashes, mut loads) = (Vec::new(), Hashes::default(), Loads::default());
        trial.rewind();
        let rest = loop {
            trial.interrupt().check()?;
            let places = Places::of(&trial.world);
            let (authority, world) = (&trial.judge.authority, &trial.world);
            let now = world.machine.clock;
            if pending.next_if(|&at| now >= at).is_some() {
                let (flips, named) = places.sample(authority, world, options.every.max(1));
                fields.extend(named);
                stages.entry(turns.len()).or_default().extend(flips);
            }
            if let Some((number, _)) = walks.next_if(|&(_, at)| now >= at) {
                let entries = table_entries(authority, world);
                let (word, value) = entries[number * entries.len() / LOADS];
                loaded.entry(TABLE_ENTRY).or_default().push((turns.len(), word, value));
            }
            let rest = trial.world.step(&mut (&mut trial.judge, (&mut hashes, &mut loads)));
            for (word, value) in loads.0.drain(..) {
                let (authority, world) = (&trial.judge.authority, &trial.world);
                if let Some(field) = places.field_of(authority, world, word) {
                    loaded.entry(field).or_default().push((turns.len(), word, value));
                }
            }
            for reached in loads.1.drain(..) {
                let entries = iommu_entries(&trial.world, reached);
                let told = entries.map(|(word, value)| (turns.len(), word, value));
                loaded.entry(IOMMU_ENTRY).or_default().extend(told);
            }
            turns.push(hashes);
            if let Some(rest) = rest {
                break rest;
            }
        };
        let crash = crash_of(&trial.world, rest);
        if crash.is_some() {
            for field in [PARAMETER_1, PARAMETER_2, PARAMETER_3, PARAMETER_4] {
                let virt = VirtAddr(address::KERNEL_DATA + field.offset);
                let Some(at) = trial.world.machine.locate(0, virt) else { continue };
                let word = PhysAddr::truncated(at);
                let told = (turns.len() - 1, word, trial.world.machine.memory.read(word));
                loaded.entry((field.structure, field.name)).or_default().push(told);
            }
        }
        loaded.retain(|_, loads| !loads.is_empty());
        fields.extend(loaded.keys().copied());
        for loads in loaded.values_mut() {
            let chosen = loads.len().min(LOADS);
            let last = loads.len() - 1;
            let spread = |number| loads[number * last / chosen.saturating_sub(1).max(1)];
            *loads = (0..chosen).map(spread).collect();
        }
        let world = &trial.world;
        Ok(Self {
            golden: Undisturbed {
                turns,
                state: world.machine.state_hash(),
                memory: world.machine.memory.words().to_vec(),
                crash,
            },
            stages: stages.into_iter().map(|(turn, flips)| Stage { turn, flips }).collect(),
            moments: sampled,
            loads: loaded,
            fields,
        })
    }
}
