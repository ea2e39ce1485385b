//! The crate `memflow`: `DirectTranslate`, without and with its cache.

use memflow::architecture::x86::{X86VirtualTranslate, x64};
use memflow::connector::mmap::MappedPhysicalMemory;
use memflow::mem::virt_translate::VirtualTranslate2;
use memflow::mem::{CachedVirtualTranslate, DirectTranslate, MemoryMap};
use memflow::types::Address;
use memflow::types::cache::CountCacheValidator;

use crate::subject::{NOWHERE, Subject, Translate, single};
use crate::tables::Tables;

pub(crate) fn all(tables: Tables) -> Vec<Box<dyn Subject>> {
    let builder = CachedVirtualTranslate::builder(DirectTranslate::new()).arch(x64::ARCH);
    // Without its standard library it counts instead of asking a clock; nothing ever expires here.
    let cached = builder.validator(CountCacheValidator::new(usize::MAX / 2)).build();
    vec![
        of("memflow DirectTranslate", tables, DirectTranslate::new()),
        of("memflow cache of 2,048", tables, cached.expect("an architecture is set")),
    ]
}

type Memory = MappedPhysicalMemory<&'static [u8], MemoryMap<&'static [u8]>>;

struct Translator<T> {
    memory: Memory,
    space: X86VirtualTranslate,
    translator: T,
}

fn of(
    name: &'static str,
    tables: Tables,
    translator: impl VirtualTranslate2 + 'static,
) -> Box<dyn Subject> {
    let mut map = MemoryMap::new();
    map.push(Address::NULL, tables.bytes());
    let memory = Memory::with_info(map);
    let space = x64::new_translator(Address::from(Tables::ROOT));
    single(name, Translator { memory, space, translator })
}

impl<T: VirtualTranslate2> Translate for Translator<T> {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        let asked = Address::from(virt);
        let found = self.translator.virt_to_phys(&mut self.memory, &self.space, asked);
        found.map_or(NOWHERE, |at| at.address().to_umem())
    }
}
