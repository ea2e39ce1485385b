//! The list of what is mapped does not depend on how memory is read, and ends where it is told to.

use ringfence::base::PhysAddr;
use ringfence::machine::paging::TableMemory;
use ringfence::machine::paging::x86_64::{Extent, Found, Next, TableUse, leaves, path};
use ringfence::scenario::fuzz_input::translation::Translation;

/// Has the tables on the way to the address at hand, whole.
struct AtHand<'a> {
    words: &'a Translation,
    tables: Vec<(PhysAddr, Box<[u64; 512]>)>,
}

impl<'a> AtHand<'a> {
    fn new(words: &'a Translation) -> Self {
        let way = path(words, &words.controls, words.request.virt);
        let tables = way.steps().iter().map(|step| {
            let first = PhysAddr::truncated(step.at.raw() & !0xfff);
            (first, Box::new(std::array::from_fn(|n| words.entry(first.plus(8 * n as u64)))))
        });
        Self { words, tables: tables.collect() }
    }
}

impl TableMemory for AtHand<'_> {
    fn entry(&self, at: PhysAddr) -> u64 {
        self.words.entry(at)
    }

    fn table(&self, at: PhysAddr) -> Option<&[u64; 512]> {
        let table = self.tables.iter().find(|(first, _)| *first == at);
        table.map(|(_, entries)| &**entries)
    }
}

/// What is found in the tables on the way to the address; of leaves, as many as these.
fn found(
    memory: &impl TableMemory,
    words: &Translation,
    leaves_max: usize,
) -> (Vec<Found>, Extent) {
    let (controls, virt) = (words.controls, words.request.virt);
    let (mut all, mut left) = (Vec::new(), leaves_max);
    let extent = leaves(memory, &controls, &TableUse::root(&controls), 5, &mut |found| {
        all.push(found);
        match found {
            Found::Table(table)
                if virt.0.wrapping_sub(table.first.0) < table.level.span() * 512 =>
            {
                Next::Into
            }
            Found::Table(_) => Next::Past,
            Found::Leaf { .. } => {
                left -= 1;
                if left == 0 { Next::Stop } else { Next::Past }
            }
        }
    });
    (all, extent)
}

pub(super) fn it_is_the_same_of_tables_at_hand(words: &Translation) {
    let at_hand = AtHand::new(words);
    let (all, extent) = found(words, words, usize::MAX);
    let of_tables = found(&at_hand, words, usize::MAX);
    assert_eq!((&all, extent), (&of_tables.0, of_tables.1));
    let is_leaf = |found: &Found| matches!(found, Found::Leaf { .. });
    let Some(first) = all.iter().position(is_leaf) else { return };
    let up_to_it = (all[..=first].to_vec(), Extent::Cut);
    assert_eq!(found(words, words, 1), up_to_it);
    assert_eq!(found(&at_hand, words, 1), up_to_it);
}
