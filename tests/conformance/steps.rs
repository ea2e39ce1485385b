//! Rights that change in more than one store: too few for an instant are no finding, too many are one.

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::format::{AArch64, Format, X86_64};
use ringfence::conformance::{
    self, Barrier, Capabilities, Capability, Mapper, Mapping, Memory, Refusal, Report, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::aarch64::{Setup, Tables as OfArm};
use crate::bug::Bug;
use crate::tables::Tables;

/// The order of the stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    /// Bits that are to go, then bits that are to come.
    AndThenOr,
    /// The other way round.
    OrThenAnd,
    /// Bits that are to come, and those that are to go stay.
    OrAlone,
    /// Entries above grant what the first page below them wanted, and more of it when the leaf has it.
    LeafThenParents,
}

/// Tables whose rights change in these steps.
struct Stepwise<T> {
    tables: T,
    memory: Memory,
    order: Order,
    is_arm: bool,
}

impl<T: Mapper> Stepwise<T> {
    /// Entries on the way to a page, from the root on.
    fn way(&self, page: VirtAddr) -> Vec<PhysAddr> {
        let (mut table, mut way) = (self.tables.root(), Vec::new());
        for shift in [39, 30, 21, 12] {
            let at = table.plus(8 * (page.0 >> shift & 511));
            let entry = self.memory.load(at);
            way.push(at);
            let is_table = if self.is_arm { entry & 3 == 3 } else { entry & 0x81 == 1 };
            if !is_table {
                break;
            }
            table = PhysAddr::truncated(entry & 0x0000_ffff_ffff_f000);
        }
        way
    }

    /// The bits that `rights` set, of those that say anything of them.
    fn bits(&self, rights: Rights) -> [u64; 2] {
        let [write, user, execute] =
            [Rights::WRITE, Rights::USER, Rights::EXECUTE].map(|right| rights.has(right));
        let when = |is_set: bool, bits: u64| if is_set { bits } else { 0 };
        if self.is_arm {
            let (uxn, pxn) = (!user || !execute, user || !execute);
            let bits = [when(user, 1 << 6), when(!write, 1 << 7), when(uxn, 1 << 54)];
            return [bits.iter().sum::<u64>() | when(pxn, 1 << 53), 3 << 6 | 3 << 53];
        }
        [when(write, 2) | when(user, 4) | when(!execute, 1 << 63), 6 | 1 << 63]
    }

    fn raise(&self, page: VirtAddr, rights: Rights) {
        if self.order == Order::LeafThenParents {
            let [bits, all] = self.bits(rights);
            let never = all & 1 << 63;
            let way = self.way(page);
            for at in way.iter().rev().skip(1) {
                self.memory.fetch_or(*at, bits & !never);
                self.memory.fetch_and(*at, !never | bits);
            }
        }
    }
}

impl<T: Mapper> Mapper for Stepwise<T> {
    fn capabilities(&self) -> Capabilities {
        let all = Capabilities::PLAIN.with(Capability::Protect).with(Capability::Invalidates);
        if self.is_arm { all.with(Capability::Barriers) } else { all }
    }

    fn root(&self) -> PhysAddr {
        self.tables.root()
    }

    fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        size: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.tables.map(page, to, size, rights)?;
        self.raise(page, rights);
        Ok(())
    }

    fn unmap(&mut self, page: VirtAddr, size: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.tables.unmap(page, size)
    }

    fn protect(&mut self, page: VirtAddr, size: PageSize, rights: Rights) -> Result<(), Refusal> {
        if self.order == Order::LeafThenParents {
            self.tables.protect(page, size, rights)?;
            self.raise(page, rights);
            return Ok(());
        }
        let way = self.way(page);
        let at = *way.get(3).ok_or(Refusal::NotMapped)?;
        if self.memory.load(at) & 1 == 0 {
            return Err(Refusal::NotMapped);
        }
        let [bits, all] = self.bits(rights);
        let clear = || self.memory.fetch_and(at, !all | bits);
        let set = || self.memory.fetch_or(at, bits);
        match self.order {
            Order::AndThenOr => (clear(), set()),
            Order::OrThenAnd => (set(), clear()),
            Order::OrAlone | Order::LeafThenParents => (set(), 0),
        };
        self.memory.barrier(Barrier::Stores);
        self.memory.invalidate_page(page);
        self.memory.barrier(Barrier::All);
        Ok(())
    }

    fn query(&mut self, virt: VirtAddr) -> Result<Option<Mapping>, Refusal> {
        self.tables.query(virt)
    }
}

const LOWER: Setup =
    Setup { first_level: 0, input_bits: 48, is_upper: false, hardware_flags: false };

fn run(format: &'static dyn Format, order: Order) -> Report {
    let is_arm = format.has_barriers();
    if is_arm {
        let make = move |memory: Memory| {
            let tables = OfArm::new(memory.clone(), LOWER, None);
            Stepwise { tables, memory, order, is_arm }
        };
        return conformance::mapper(make).format(format).cases(200).run();
    }
    let bug = (order == Order::LeafThenParents).then_some(Bug::LimitsByFirstPage);
    let make = move |memory: Memory| {
        let tables = Tables::new(memory.clone(), bug);
        Stepwise { tables, memory, order, is_arm }
    };
    conformance::mapper(make).format(format).cases(200).run()
}

fn kinds(report: &Report) -> Vec<&str> {
    report.findings().iter().map(conformance::Finding::kind).collect()
}

#[test]
fn rights_that_are_too_few_between_two_stores_are_no_finding() {
    for (format, order) in [
        (X86_64::FOUR_LEVELS as &dyn Format, Order::AndThenOr),
        (X86_64::FOUR_LEVELS, Order::LeafThenParents),
        (AArch64::LOWER, Order::OrThenAnd),
    ] {
        let report = run(format, order);

        assert!(report.findings().is_empty(), "{order:?}\n{report}");
    }
}

/// The same steps in the other order: on x86-64 bits grant, but for one, and on AArch64 they take away, but for one.
#[test]
fn rights_that_are_too_many_between_two_stores_are_one() {
    for (format, order) in
        [(X86_64::FOUR_LEVELS as &dyn Format, Order::OrThenAnd), (AArch64::LOWER, Order::AndThenOr)]
    {
        let report = run(format, order);

        assert!(kinds(&report).contains(&"for an instant a page gains rights"), "{report}");
    }
}

#[test]
fn rights_that_are_too_many_to_the_end_are_not_told_as_an_instant() {
    let report = run(X86_64::FOUR_LEVELS, Order::OrAlone);

    let kinds = kinds(&report);
    assert!(kinds.contains(&"protect: a page has other rights"), "{report}");
    assert!(!kinds.iter().any(|kind| kind.contains("an instant")), "{report}");
}
