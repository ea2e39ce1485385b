//! The crate `memflow`: `DirectTranslate`, without and with its cache, and many addresses at once.

use memflow::architecture::x86::{X86VirtualTranslate, x64};
use memflow::cglue::CTup3;
use memflow::connector::mmap::MappedPhysicalMemory;
use memflow::error::Error;
use memflow::mem::virt_translate::VirtualTranslate2;
use memflow::mem::{CachedVirtualTranslate, DirectTranslate, MemoryMap};
use memflow::types::cache::CountCacheValidator;
use memflow::types::{Address, PhysicalAddress, umem};

use crate::subject::{NOWHERE, Subject, Translate, TranslateMany, many, single};
use crate::tables::Tables;

pub(crate) fn all(tables: Tables) -> Vec<Box<dyn Subject>> {
    let builder = CachedVirtualTranslate::builder(DirectTranslate::new()).arch(x64::ARCH);
    // Without its standard library it counts instead of asking a clock; nothing ever expires here.
    let cached = builder.validator(CountCacheValidator::new(usize::MAX / 2)).build();
    vec![
        of("memflow DirectTranslate", tables, DirectTranslate::new()),
        of("memflow cache of 2,048", tables, cached.expect("an architecture is set")),
        many("memflow, 1,024 together", translator(tables, DirectTranslate::new())),
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
    translate: impl VirtualTranslate2 + 'static,
) -> Box<dyn Subject> {
    single(name, translator(tables, translate))
}

fn translator<T>(tables: Tables, translator: T) -> Translator<T> {
    let mut map = MemoryMap::new();
    map.push(Address::NULL, tables.bytes());
    let memory = Memory::with_info(map);
    let space = x64::new_translator(Address::from(Tables::ROOT));
    Translator { memory, space, translator }
}

impl<T: VirtualTranslate2> Translate for Translator<T> {
    #[inline(always)]
    fn translate(&mut self, virt: u64) -> u64 {
        let asked = Address::from(virt);
        let found = self.translator.virt_to_phys(&mut self.memory, &self.space, asked);
        found.map_or(NOWHERE, |at| at.address().to_umem())
    }
}

// As many as the caller has; what is not found stays nowhere. The second address is whose answer it is.
impl<T: VirtualTranslate2> TranslateMany for Translator<T> {
    fn translate(&mut self, virts: &[u64], found: &mut [u64]) {
        found.fill(NOWHERE);
        let asked = virts.iter().enumerate();
        let asked = asked.map(|(number, &virt)| {
            CTup3(Address::from(virt), Address::from(number as u64), 1 as umem)
        });
        let mut answer = |CTup3(at, number, _): CTup3<PhysicalAddress, Address, umem>| {
            if let Some(found) = found.get_mut(number.to_umem() as usize) {
                *found = at.address().to_umem();
            }
            true
        };
        let mut nothing = |_: (Error, CTup3<Address, Address, umem>)| true;
        let (memory, space) = (&mut self.memory, &self.space);
        let (answer, nothing) = (&mut (&mut answer).into(), &mut (&mut nothing).into());
        self.translator.virt_to_phys_iter(memory, space, asked, answer, nothing);
    }
}
