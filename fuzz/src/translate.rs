//! Over any memory, registers and access the machine's walk and the one by the book say the same,
//! and neither panics. So say walks that advance together, and one that starts where another was; so do
//! the entries that were read, the list of everything mapped, and what the
//! cache answers to every other access once the walk has filled it.
//!
//! What the bytes mean is said in `ringfence::scenario::fuzz_input::translation`; `ringfence explain`
//! shows it.

use std::cell::RefCell;

use ringfence::base::{Access, PhysAddr, Ring, VirtAddr};
use ringfence::machine::paging::x86_64::{
    ControlFlags, Controls, Exception, Extent, Found, Next, PageFaultCode, Reach, Request, Rights,
    TableUse, Walk, Walker, apply, leaves, lookup, path, walk,
};
use ringfence::machine::paging::{MarkMemory, TableMemory};
use ringfence::machine::tlb::{Granted, Grants, PagingStructureCache, Tlb};
use ringfence::oracles::by_the_book::{self, Answer, Translated};
use ringfence::oracles::compare;
use ringfence::scenario::fuzz_input::translation::{Translation, translation};

mod listing;
mod walkers;

const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::Execute];

/// One case.
///
/// # Panics
///
/// When the two walkers disagree, or the cache gives another answer than the book.
pub fn run(data: &[u8]) {
    let words = translation(data);
    let (controls, request) = (words.controls, words.request);

    let answer = match compare(&words, &controls, &request) {
        Ok(answer) => answer,
        Err(disagreement) => panic!("{disagreement}"),
    };

    walkers_say_the_same(&words, &answer);
    walkers_permit_what_the_book_permits(&words);
    walkers::the_edges_are_where_the_book_has_them(&words);
    walkers::what_is_known_costs_one_read(&words, &Walker::new(&controls, &request));
    walkers::control_bits_are_single(words.controls.pkru as u16);
    the_path_is_what_the_book_reads(&words);
    let mapped = mapped(&words, &controls, request.virt);
    let reach = lookup(&&words, &controls, request.virt);
    assert_eq!(reach.map(|reach| of(&reach, &controls)), mapped);
    if let Some(reach) = reach {
        walkers::rights_are_those_of_the_walk(&words);
        walkers::what_is_remembered_is_hashed(&controls, request.virt, &reach);
        listing::it_is_the_same_of_tables_at_hand(&words);
    }
    the_list_holds_what_is_mapped(&words, mapped);
    match walk(&words, &controls, &request) {
        Ok(walk) => {
            what_is_marked_is_written(&words, &walk, &answer);
            the_cache_answers_by_the_book(&words, &walk);
        }
        Err(Exception::PageFault { code, .. }) => {
            walkers::codes_are_told_apart(code);
            let is_mapped = code.has(PageFaultCode::P) && !code.has(PageFaultCode::RSVD);
            assert_eq!(is_mapped, mapped.is_some());
        }
        Err(Exception::GeneralProtection) => assert_eq!(mapped, None),
    }
}

/// A walker says an address where the access is permitted and nothing is to be marked.
fn walkers_say_the_same(words: &Translation, answer: &Answer) {
    let (controls, request) = (words.controls, words.request);
    let walker = Walker::new(&controls, &request);
    let alone = walker.address(words, request.virt);
    assert_eq!(alone, unmarked(answer));
    let mut together = [None; 3];
    let virts = [request.virt, request.virt.plus(4096), request.virt];
    walker.addresses(words, &virts, &mut together);
    assert_eq!(together, virts.map(|virt| walker.address(words, virt)));
    let mut upper_levels = PagingStructureCache::<1>::new();
    for _ in 0..2 {
        assert_eq!(upper_levels.address(&walker, words, request.virt), alone);
    }
    assert_eq!(walker.walk(words, request.virt), walk(words, &controls, &request));
    if let Some(found) = walker.reach(words, request.virt) {
        assert_eq!(Some(found), lookup(words, &controls, request.virt));
        let (mut kept, mut filled) = (Tlb::default(), Tlb::default());
        kept.keep(&controls, request.virt, &found);
        filled.fill(&controls, &request, &walk(words, &controls, &request).expect("permitted"));
        assert_eq!(kept, filled);
        let mut fetched = Tlb::default();
        assert_eq!(fetched.fetch(&walker, words, request.virt), alone);
        assert_eq!(fetched, kept);
    }
}

/// Rights of protection keys: as the case has them, no access at all, no writes.
const KEY_RIGHTS: [Option<u32>; 3] = [None, Some(0x5555_5555), Some(0xaaaa_aaaa)];

/// Every other kind of access to the same address, under other rights of its key, by the book.
fn walkers_permit_what_the_book_permits(words: &Translation) {
    let of = |access, ring, shadow_stack| Request { ring, shadow_stack, access, ..words.request };
    for rights in KEY_RIGHTS {
        let (pkru, pkrs) = (words.controls.pkru, words.controls.pkrs);
        let (pkru, pkrs) = (rights.unwrap_or(pkru), rights.unwrap_or(pkrs));
        let controls = Controls { pkru, pkrs, ..words.controls };
        for access in ACCESSES {
            for ring in [Ring::Kernel, Ring::User] {
                for shadow_stack in [false, true] {
                    let request = of(access, ring, shadow_stack && access != Access::Execute);
                    let answer = by_the_book::translate(&|at| words.entry(at), &controls, &request);
                    let walker = Walker::new(&controls, &request);
                    let address = walker.address(words, request.virt);
                    assert_eq!(address, unmarked(&answer), "{request:x?} {controls:x?}");
                    let found = walker.reach(words, request.virt);
                    assert_eq!(found.is_some(), address.is_some());
                    if found.is_some() {
                        assert_eq!(found, lookup(words, &controls, request.virt));
                    }
                }
            }
        }
    }
}

/// The address where an access is permitted and nothing is to be marked.
fn unmarked(answer: &Answer) -> Option<PhysAddr> {
    match answer {
        Answer::Translated(found) if found.accessed.is_empty() && found.dirtied.is_none() => {
            Some(found.address)
        }
        _ => None,
    }
}

/// What a page is to whoever looks at it: first byte, bytes, rights, global, protection key.
type Mapped = (PhysAddr, u64, Rights, bool, u32);

fn of(reach: &Reach, controls: &Controls) -> Mapped {
    let key = u32::from(reach.leaf.key());
    (reach.page, reach.size.bytes(), reach.rights, reach.is_global(controls), key)
}

/// What the address leads to by the book: nothing forbids a read by the kernel if no feature does.
fn mapped(words: &Translation, controls: &Controls, virt: VirtAddr) -> Option<Mapped> {
    let read_by = ControlFlags::NXE | ControlFlags::LA57 | ControlFlags::PGE;
    let flags = controls.flags.without(ControlFlags::ALL.without(read_by));
    let controls = Controls { flags, ..*controls };
    let request = Request::new(virt, Access::Read, Ring::Kernel);
    match by_the_book::translate(&|at| words.entry(at), &controls, &request) {
        Answer::Translated(found) => {
            let first = found.address.raw() & !(found.page_bytes - 1);
            let rights = rights(&found);
            let page = PhysAddr::truncated(first);
            Some((page, found.page_bytes, rights, found.global, found.key))
        }
        _ => None,
    }
}

fn rights(found: &Translated) -> Rights {
    let bits = [found.user, found.writable, found.executable, found.shadow_stack];
    let bits = bits.into_iter().enumerate().map(|(number, has)| u8::from(has) << number);
    Rights::from_bits(bits.sum())
}

fn the_path_is_what_the_book_reads(words: &Translation) {
    let (controls, request) = (words.controls, words.request);
    let read = RefCell::new(Vec::new());
    let _ = by_the_book::translate(
        &|at| {
            let entry = words.entry(at);
            read.borrow_mut().push((at, entry));
            entry
        },
        &controls,
        &request,
    );
    let path = path(words, &controls, request.virt);
    let steps: Vec<_> = path.steps().iter().map(|step| (step.at, step.entry.0)).collect();
    assert_eq!(steps, read.into_inner());
    let levels = if controls.flags.has(ControlFlags::LA57) { 5 } else { 4 };
    assert_eq!(path.top() as usize, levels);
}

/// Says at once where eight entries are absent.
struct Skipping<'a>(&'a Translation);

impl TableMemory for Skipping<'_> {
    fn entry(&self, at: PhysAddr) -> u64 {
        self.0.entry(at)
    }

    fn are_eight_absent(&self, at: PhysAddr) -> bool {
        assert_eq!(at.raw() % 64, 0);
        (0..8).all(|number| self.0.entry(at.plus(8 * number)) & 1 == 0)
    }
}

/// The tables on the way to the address are listed, all others passed over.
fn the_list_holds_what_is_mapped(words: &Translation, mapped: Option<Mapped>) {
    let (controls, virt) = (words.controls, words.request.virt);
    let (mut before, mut entered, mut leaf) = (None, 1, None);
    let mut list = |tables_max: usize| {
        entered = 1;
        let (root, skipping) = (TableUse::root(&controls), Skipping(words));
        leaves(&&skipping, &controls, &root, tables_max, &mut |found| match found {
            Found::Table(table) => {
                let bytes = table.level.span() * 512;
                if virt.0.wrapping_sub(table.first.0) < bytes {
                    entered += 1;
                    Next::Into
                } else {
                    Next::Past
                }
            }
            Found::Leaf { first, reach } => {
                if virt.0.wrapping_sub(first.0) < reach.size.bytes() {
                    assert!(first.0 & (reach.size.bytes() - 1) == 0);
                    leaf = Some(of(&reach, &controls));
                }
                // A few are enough: the address is anything.
                if before.is_none() {
                    let by_the_book = self::mapped(words, &controls, first);
                    assert_eq!(by_the_book, Some(of(&reach, &controls)), "{first}");
                }
                assert!(before.is_none_or(|before: VirtAddr| before.0 < first.0));
                before = Some(first);
                Next::Past
            }
        })
    };
    let extent = list(5);
    assert_eq!(extent, Extent::Complete);
    assert_eq!(leaf, mapped);
    let tables = entered;
    let again =
        leaves(
            words,
            &controls,
            &TableUse::root(&controls),
            tables - 1,
            &mut |found| match found {
                Found::Table(table)
                    if virt.0.wrapping_sub(table.first.0) < table.level.span() * 512 =>
                {
                    Next::Into
                }
                _ => Next::Past,
            },
        );
    assert_eq!(again, Extent::Cut, "{tables} tables were read, so one fewer is too few");
}

struct Written(Vec<(PhysAddr, u64)>);

impl MarkMemory for Written {
    fn set_bits(&mut self, at: PhysAddr, bits: u64) {
        self.0.push((at, bits));
    }
}

fn what_is_marked_is_written(words: &Translation, walk: &Walk, answer: &Answer) {
    let Answer::Translated(found) = answer else { panic!("both walkers translated") };
    let mut written = Written(Vec::new());
    apply(&mut written, &walk.marks);
    // An entry that names its own table may be used twice, once for each level.
    let with =
        |bit: u64| written.0.iter().filter(move |(_, bits)| bits & bit != 0).map(|(at, _)| *at);
    assert!(with(0x20).eq(found.accessed.iter().copied()));
    assert!(with(0x40).eq(found.dirtied));
    for (at, bits) in &written.0 {
        assert_eq!(words.entry(*at) & bits, 0, "what is set already is not written");
        assert_eq!(bits & !0x60, 0);
    }
    assert_eq!(walk.marks.is_empty(), written.0.is_empty());
}

/// Every kind of access, and other protection keys than those under which the cache was filled.
fn the_cache_answers_by_the_book(words: &Translation, walk: &Walk) {
    let (filled_under, filled_for) = (words.controls, words.request);
    let mut tlb = Tlb::default();
    tlb.fill(&filled_under, &filled_for, walk);
    // What is remembered is what the tables say once the walk has set its bits in them.
    let mut written = Written(Vec::new());
    apply(&mut written, &walk.marks);
    let marked = |at| {
        let bits =
            written.0.iter().filter(|(of, _)| *of == at).fold(0, |all, (_, bits)| all | bits);
        words.entry(at) | bits
    };
    for swapped in [false, true] {
        let Controls { pkru, pkrs, .. } = filled_under;
        let (pkru, pkrs) = if swapped { (pkrs, pkru) } else { (pkru, pkrs) };
        let controls = Controls { pkru, pkrs, ..filled_under };
        let grants = Grants::new(&controls);
        assert!(grants.are_of(&controls));
        for number in 0..48 {
            let bit = |bit: usize| number >> bit & 1 == 1;
            let request = Request {
                virt: filled_for.virt,
                access: ACCESSES[number >> 4],
                ring: if bit(0) { Ring::User } else { Ring::Kernel },
                ac: bit(1),
                implicit: bit(2),
                shadow_stack: bit(3),
            };
            let writes = request.access == Access::Write;
            let book = by_the_book::translate(&marked, &controls, &request);
            let wanted = match book {
                Answer::Translated(found) if !writes || walk.leaf_is_dirty => Some(found.address),
                _ => None,
            };
            assert_eq!(tlb.lookup(&controls, &request), wanted, "{request:x?}");
            if !bit(2) && !bit(3) {
                let undecided = ControlFlags::PKE | ControlFlags::PKS | ControlFlags::PCIDE;
                let is_decided = controls.flags.without(undecided) == controls.flags;
                let granted = grants.of(request.access, request.ring, request.ac);
                let hit = tlb.hit(request.virt, granted);
                assert_eq!(hit, wanted.filter(|_| is_decided), "{request:x?}");
            }
        }
    }
    the_cache_knows_one_page_of_one_space(&tlb, words, walk);
}

fn the_cache_knows_one_page_of_one_space(tlb: &Tlb, words: &Translation, walk: &Walk) {
    let (controls, request) = (words.controls, words.request);
    for bit in 12..64 {
        let virt = VirtAddr(request.virt.0 ^ 1 << bit);
        assert_eq!(tlb.lookup(&controls, &Request { virt, ..request }), None);
        assert_eq!(tlb.hit(virt, Granted::ALWAYS), None);
    }
    let mut both = *tlb;
    let neighbour = Request { virt: VirtAddr(request.virt.0 ^ 1 << 12), ..request };
    both.fill(&controls, &neighbour, walk);
    assert!(both.lookup(&controls, &request).is_some(), "neighbours have places of their own");
    assert!(both.lookup(&controls, &neighbour).is_some());
    let other = Controls { cr3: controls.cr3 ^ 1, ..controls };
    let is_shared = walk.global || !controls.flags.has(ControlFlags::PCIDE);
    assert_eq!(tlb.lookup(&other, &request), Some(walk.address).filter(|_| is_shared));
    let undecided = Controls { flags: controls.flags.with(ControlFlags::PCIDE), ..controls };
    let is_own = undecided.flags == controls.flags;
    assert_eq!(Grants::new(&controls).are_of(&undecided), is_own);
}

/// How the case ends: which part of the behaviour it reaches.
#[must_use]
pub fn outcome(data: &[u8]) -> String {
    let words = translation(data);
    let (controls, request) = (words.controls, words.request);
    match compare(&words, &controls, &request) {
        Ok(Answer::Translated(found)) => format!("translated, {} bytes", found.page_bytes),
        Ok(Answer::PageFault(code)) => format!("page fault {code:#x}"),
        Ok(Answer::GeneralProtection) => "general protection".to_owned(),
        Err(disagreement) => disagreement.to_string(),
    }
}
