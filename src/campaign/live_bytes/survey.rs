//! The undisturbed run: where bytes of the kernel are at the chosen moments, and who loads which field
//! when.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Event, EventKind, PhysAddr, Structure, Witness};

use super::words::Places;
use super::{Bits, Flip, Hashes, Interrupted, LiveBytesOptions, Stage, Trial, Undisturbed, What};

/// Loads before which a field is flipped: so many of all there are, evenly spread.
const LOADS: usize = 6;

/// What is flipped of a field, each by itself.
const BITS: [Bits; 3] = [Bits::These(u64::MAX), Bits::These(1), Bits::HighestSet];

/// A field, by structure and name.
type Name = (Structure, &'static str);

/// What one undisturbed run told.
pub(super) struct Survey {
    pub(super) golden: Undisturbed,
    /// In order of their turns, each turn once.
    pub(super) stages: Vec<Stage>,
    /// The clock at each moment.
    pub(super) moments: Vec<u64>,
    /// All fields that were there at a moment, or were loaded.
    pub(super) fields: BTreeSet<Name>,
}

/// The words that one turn loads.
#[derive(Default)]
struct Loads(Vec<PhysAddr>);

impl Witness for Loads {
    fn event(&mut self, event: &Event) {
        if event.kind == EventKind::Load {
            self.0.push(PhysAddr::truncated(event.phys));
        }
    }
}

impl Survey {
    /// Runs the trial's world from its beginning to its rest.
    pub(super) fn of(mut trial: Trial, options: &LiveBytesOptions) -> Result<Self, Interrupted> {
        let clock = trial.golden.clock;
        let count = u64::from(options.moments.max(1));
        let moments: Vec<u64> =
            (0..count).map(|moment| clock * (2 * moment + 1) / (2 * count)).collect();
        let mut pending = moments.iter().copied().peekable();
        let mut stages: BTreeMap<usize, Vec<Flip>> = BTreeMap::new();
        let mut loaded: BTreeMap<Name, Vec<(usize, PhysAddr)>> = BTreeMap::new();
        let mut fields = BTreeSet::new();
        let (mut turns, mut hashes, mut loads) = (Vec::new(), Hashes::default(), Loads::default());
        trial.rewind();
        loop {
            trial.interrupt().check()?;
            let places = Places::of(&trial.world);
            if pending.next_if(|&at| trial.world.machine.clock >= at).is_some() {
                let (flips, named) =
                    places.sample(&trial.judge.authority, &trial.world, options.every.max(1));
                fields.extend(named);
                stages.entry(turns.len()).or_default().extend(flips);
            }
            let rest = trial.world.step(&mut (&mut trial.judge, (&mut hashes, &mut loads)));
            for word in loads.0.drain(..) {
                let (authority, world) = (&trial.judge.authority, &trial.world);
                if let Some(field) = places.field_of(authority, world, word) {
                    loaded.entry(field).or_default().push((turns.len(), word));
                }
            }
            turns.push(hashes);
            if rest.is_some() {
                break;
            }
        }
        for ((structure, name), loads) in loaded {
            fields.insert((structure, name));
            let chosen = loads.len().min(LOADS);
            for number in 0..chosen {
                let (turn, word) = loads[number * loads.len() / chosen];
                let flip = |bits| Flip { word, bits, structure, what: What::Field(name) };
                stages.entry(turn).or_default().extend(BITS.map(flip));
            }
        }
        let world = &trial.world;
        Ok(Self {
            golden: Undisturbed {
                turns,
                state: world.machine.state_hash(),
                memory: world.machine.memory.words().to_vec(),
            },
            stages: stages.into_iter().map(|(turn, flips)| Stage { turn, flips }).collect(),
            moments,
            fields,
        })
    }
}
