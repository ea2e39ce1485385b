//! The same damage under three generations of the pool: what is noticed, when, and how it is told.
//!
//! Expected codes and parameters are from the debugger documentation of each bug check (0x19, 0xC1,
//! 0xC2, 0x13A, 0xD5, 0xD6); which look of which generation finds what is marked as inferred there.

mod cases;

use ringfence::base::{PhysAddr, PrincipalKind, Seed, Structure, VirtAddr};
use ringfence::campaign::trial::Registries;
use ringfence::campaign::{Series, SeriesOptions};
use ringfence::kernel::layout::{address, crash_block, device_object, driver_object};
use ringfence::kernel::loader::Dispatch;
use ringfence::kernel::pool::{EX_ALLOCATE_POOL, EX_FREE_POOL};
use ringfence::kernel::pools::PoolKind;
use ringfence::kernel::pools::state::{PAGED, PAGED_POOL};
use ringfence::kernel::status;
use ringfence::machine::{Flow, Processor, Routine, Trap};
use ringfence::outcome::{Class, Outcome};
use ringfence::routine;
use ringfence::scenario::{Bias, Scenario};
use ringfence::world::driver::{DriverDefinition, Drivers, Placement};
use ringfence::world::{Component, Configuration, Home, Rest, World};

use cases::{ANY, CALLER, CASES, Case, Expected, FOUND, HEAP, Numbers};

const TAG: u64 = 0x7453_6854;
const OTHER_TAG: u64 = 0x7453_6855;

/// One thing that the driver does.
#[derive(Clone, Copy)]
enum Op {
    /// Allocates bytes and keeps the address under a number.
    Allocate(u64, u64),
    /// The same from paged pool.
    AllocatePaged(u64, u64),
    /// Frees what is under a number, with a tag.
    Free(u64, u64),
    /// Frees this address.
    FreeAt(u64),
    /// Stores the low bytes of a value at an offset from what is under a number.
    Store(u64, i64, u64, u64),
    /// Stores the address under the last number, 8 bytes.
    StoreAddress(u64, i64, u64),
    /// Loads from what is under a number.
    Load(u64, i64),
    /// Raises or lowers the interrupt request level.
    Level(u64),
    /// Stores a value at this address, 8 bytes.
    StoreAt(u64, u64),
}

const DONE: u64 = 0x00;
const NUMBERS: u64 = 0x100;
const OPS: u64 = 0x200;

impl Op {
    fn words(self) -> [u64; 4] {
        let bits = i64::cast_unsigned;
        match self {
            Self::Allocate(number, bytes) => [1, number, bytes, 0],
            Self::AllocatePaged(number, bytes) => [1, number, bytes, PAGED],
            Self::Free(number, tag) => [2, number, tag, 0],
            Self::FreeAt(at) => [3, at, 0, 0],
            Self::Store(number, offset, bytes, value) => {
                [4 | bytes << 8, number, bits(offset), value]
            }
            Self::StoreAddress(number, offset, of) => [5, number, bits(offset), of],
            Self::Load(number, offset) => [6, number, bits(offset), 0],
            Self::Level(level) => [7, level, 0, 0],
            Self::StoreAt(at, value) => [8, at, value, 0],
        }
    }
}

const DATA: Structure = Structure::DriverData;

fn data_of(p: &mut Processor<'_>, device: u64) -> Result<u64, Trap> {
    let driver = p.load(device, device_object::DRIVER)?;
    p.load(driver, driver_object::DATA)
}

fn op(p: &mut Processor<'_>) -> Result<[u64; 4], Trap> {
    let (data, number) = (p.local(0)?, p.local(1)?);
    let mut words = [0; 4];
    for (index, word) in words.iter_mut().enumerate() {
        *word = p.load_at(data + OPS + number * 32 + index as u64 * 8, DATA)?;
    }
    Ok(words)
}

fn kept(p: &mut Processor<'_>, number: u64) -> Result<u64, Trap> {
    let data = p.local(0)?;
    p.load_at(data + NUMBERS + number * 8, DATA)
}

routine! {
    /// Does what its data page lists, then answers. Argument: device object.
    static POOL_USER_ENTRY = "PoolUserEntry", frame 2;
    // Locals: 0 data page; 1 number of the thing in hand.
    start => |p| {
        let device = p.argument(0);
        let data = data_of(p, device)?;
        p.set_local(0, data)?;
        p.set_local(1, 0)?;
        Ok(Flow::Next)
    },
    sort => |p| {
        let (data, number) = (p.local(0)?, p.local(1)?);
        p.store_at(data + DONE, DATA, number)?;
        let [what, first, offset, value] = op(p)?;
        match what & 0xff {
            0 => return Ok(p.give_back(status::SUCCESS)),
            1 => return Ok(Flow::To(At::allocate as u8)),
            2 | 3 => return Ok(Flow::To(At::free as u8)),
            4 => {
                let at = kept(p, first)?.wrapping_add(offset);
                p.store_bytes(at, Structure::PoolBlock, value, what >> 8)?;
            }
            5 => {
                let (at, value) = (kept(p, first)?.wrapping_add(offset), kept(p, value)?);
                p.store_at(at, Structure::PoolBlock, value)?;
            }
            6 => {
                let at = kept(p, first)?.wrapping_add(offset);
                p.load_at(at, Structure::PoolBlock)?;
            }
            8 => p.store_at(first, Structure::PoolBlock, offset)?,
            _ => {
                p.set_irql(first)?;
            }
        }
        Ok(Flow::To(At::next as u8))
    },
    next => |p| {
        let number = p.local(1)?;
        p.set_local(1, number + 1)?;
        Ok(Flow::To(At::sort as u8))
    },
    allocate, call EX_ALLOCATE_POOL, of PoolBlock => |p| {
        let [_, _, bytes, flags] = op(p)?;
        p.pass([bytes, TAG, flags]);
        Ok(Flow::Call)
    },
    keep => |p| {
        let block = p.result();
        let (data, [_, number, ..]) = (p.local(0)?, op(p)?);
        p.store_at(data + NUMBERS + number * 8, DATA, block)?;
        Ok(Flow::To(At::next as u8))
    },
    free, call EX_FREE_POOL => |p| {
        let [what, first, tag, _] = op(p)?;
        let block = if what == 3 { first } else { kept(p, first)? };
        p.pass([block, if what == 3 { TAG } else { tag }]);
        Ok(Flow::Call)
    },
    freed => |_| Ok(Flow::To(At::next as u8)),
}

static POOL_USER: &[&Routine] = &[&POOL_USER_ENTRY];

fn prepare(placement: &Placement) -> Vec<(u64, u64)> {
    let ops = &CASES[usize::try_from(placement.content).expect("few cases")].ops;
    let mut words = Vec::new();
    for (number, op) in ops.iter().enumerate() {
        for (index, word) in op.words().into_iter().enumerate() {
            words.push((OPS + number as u64 * 32 + index as u64 * 8, word));
        }
    }
    words
}

fn drivers() -> Drivers {
    let user = DriverDefinition {
        name: "pool-user",
        kind: PrincipalKind::KernelDriver,
        routines: POOL_USER,
        pageable: &[],
        dispatch: Dispatch { entry: Some(&POOL_USER_ENTRY), ..Dispatch::default() },
        prepare,
        owns: &[],
        section: &[],
    };
    Drivers { kernel: vec![user], hosted: Vec::new() }
}

fn world(pool: PoolKind, case: usize) -> World {
    world_with(pool, case, &[])
}

fn world_with(pool: PoolKind, case: usize, verifier: &[&str]) -> World {
    let user = Component {
        driver: Some("pool-user".into()),
        content: Some(case as u64),
        ..Component::new("user", Home::KernelDriver)
    };
    let mut configuration =
        Configuration { components: vec![user], boots_max: 1, ..Configuration::default() };
    configuration.machine.pool = pool;
    configuration.machine.verifier = verifier.iter().map(|&option| option.to_owned()).collect();
    configuration.machine.processors = 1;
    configuration.machine.clock_interval = 0;
    World::build_with(&configuration, &drivers()).expect("it can be built")
}

fn word(world: &World, virt: u64) -> u64 {
    let at = world.machine.locate(0, VirtAddr(virt)).expect("the kernel is mapped");
    world.machine.memory.read(PhysAddr::truncated(at))
}

/// What a run came to: the thing in hand and the bug check with its parameters; and the addresses.
fn outcome(pool: PoolKind, case: usize) -> (Option<(u64, u64, [u64; 4])>, Numbers) {
    end(world(pool, case), case)
}

fn end(mut world: World, case: usize) -> (Option<(u64, u64, [u64; 4])>, Numbers) {
    let rest = world.run(&mut (), u64::MAX);
    let data = address::DRIVER_CODE + address::DRIVER_DATA_OFFSET;
    let numbers = core::array::from_fn(|number| word(&world, data + NUMBERS + number as u64 * 8));
    let parameters = [
        crash_block::PARAMETER_1,
        crash_block::PARAMETER_2,
        crash_block::PARAMETER_3,
        crash_block::PARAMETER_4,
    ]
    .map(|field| word(&world, address::KERNEL_DATA + field.offset));
    let done = word(&world, data + DONE);
    let stop = match rest {
        Rest::BugCheck(code) => Some((done, code, parameters)),
        Rest::Quiescent => {
            assert_eq!(done, CASES[case].ops.len() as u64, "{}: all is done", CASES[case].name);
            None
        }
        other => panic!("{}: {other:?}", CASES[case].name),
    };
    (stop, numbers)
}

fn assert_outcome(pool: PoolKind, of: fn(&Case) -> Expected) {
    let mut wrong = Vec::new();
    for (number, case) in CASES.iter().enumerate() {
        let (mut found, numbers) = outcome(pool, number);
        let expected = of(case).map(|(at, code, parameters)| (at, code, parameters(&numbers)));
        if let (Some((_, _, found)), Some((_, _, expected))) = (&mut found, &expected) {
            for (found, expected) in found.iter_mut().zip(expected) {
                if *expected == ANY {
                    *found = ANY;
                }
            }
        }
        if found != expected {
            wrong.push(format!("{}: {found:x?}, expected {expected:x?}; {numbers:x?}", case.name));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_legacy_pool_notices_damage_at_the_next_operation() {
    assert_outcome(PoolKind::Legacy, |case| case.legacy);
}

#[test]
fn the_segment_heap_notices_what_does_not_decode() {
    assert_outcome(PoolKind::Segment, |case| case.segment);
}

#[test]
fn special_pool_notices_an_overrun_at_once_and_an_underrun_at_the_free() {
    assert_outcome(PoolKind::Special, |case| case.special);
}

/// The case whose name begins so.
fn case(name: &str) -> usize {
    CASES.iter().position(|case| case.name.starts_with(name)).expect("there is such a case")
}

/// What is done, by its name, the code that it comes to under Driver Verifier, and its parameters.
type Verified = (&'static str, u64, fn(&Numbers) -> [u64; 4]);

#[test]
fn driver_verifier_says_what_was_wrong_with_a_request_before_the_pool_does() {
    let verified: [Verified; 8] = [
        ("no bytes", 0xc4, |_| [0, 0, 0, 0]),
        ("paged pool asked for at dispatch level", 0xc4, |_| [1, 2, 1, 32]),
        ("nonpaged pool asked for above dispatch level", 0xc4, |_| [2, 3, 0, 100]),
        ("a user address", 0xc4, |_| [0x10, address::USER_DATA, 0, 0]),
        ("an address that was never in any pool", 0xc4, |_| {
            [0x10, address::KERNEL_DATA + 16, 0, 0]
        }),
        ("paged pool given back at dispatch level", 0xc4, |n| [0x11, 2, 1, n[0]]),
        ("nonpaged pool given back above dispatch level", 0xc4, |n| [0x12, 3, 0, n[0]]),
        // The tag is the pool's business.
        ("the wrong tag", CALLER, |n| [0xa, n[0], TAG, OTHER_TAG]),
    ];
    for (name, code, parameters) in verified {
        for pool in [PoolKind::Legacy, PoolKind::Segment] {
            let number = case(name);

            let (found, numbers) = end(world_with(pool, number, &["automatic-checks"]), number);
            let other = end(world_with(pool, number, &["io"]), number);

            let expected = parameters(&numbers);
            let found = found.map(|(_, code, parameters)| (code, parameters));
            assert_eq!(found, Some((code, expected)), "{name}");
            assert_eq!(other.0.map(|(_, code, _)| code), Some(CALLER), "{name}: without it");
        }
    }
}

#[test]
fn blocks_lie_side_by_side_except_in_special_pool() {
    for (pool, apart) in
        [(PoolKind::Legacy, 128), (PoolKind::Segment, 128), (PoolKind::Special, 2 * 4096)]
    {
        let (_, numbers) = outcome(pool, case("an underrun of eight bytes"));

        assert_eq!(numbers[1] - numbers[0], apart, "{pool:?}");
        assert_eq!(numbers[0] % 16, 0, "{pool:?}");
    }
}

#[test]
fn a_block_may_lie_in_the_last_page_of_a_large_allocation() {
    let shares = case("an overrun of a large allocation");

    let (_, legacy) = outcome(PoolKind::Legacy, shares);
    let (_, segment) = outcome(PoolKind::Segment, shares);

    assert_eq!(legacy[1] - legacy[0], 5008 + 16);
    assert_ne!(segment[1] & !0xfff, segment[0] + 4096);
}

#[test]
fn paged_pool_is_elsewhere() {
    let (_, numbers) = outcome(PoolKind::Legacy, case("paged pool asked"));

    assert_eq!(numbers[0] & !0xfff, PAGED_POOL);
}

/// Experiments with these kinds of fault in a generated world with this pool.
fn cases_of(pool: PoolKind, seed: u64, kinds: &[&str]) -> Vec<Outcome> {
    let mut scenario = Scenario::generate(Seed(seed), &Bias::default());
    scenario.configuration.machine.pool = pool;
    let options = SeriesOptions {
        experiments: 8,
        seed: Seed(seed),
        kinds: kinds.iter().map(|&kind| kind.to_owned()).collect(),
        errors: 1,
        only: None,
    };
    let series = Series::new(&scenario, &options, &Registries::default()).expect("a sound world");
    assert_eq!(series.trial().golden.violations, [], "{pool:?}, seed {seed}");
    let mut outcomes = Vec::new();
    series.run(|_, case| outcomes.push(case.outcome.clone())).expect("faults that can be made");
    outcomes
}

const GENERATIONS: [PoolKind; 3] = [PoolKind::Legacy, PoolKind::Segment, PoolKind::Special];

#[test]
fn disorder_raises_no_alarm_in_any_generation() {
    for pool in GENERATIONS {
        for seed in 0..4 {
            for outcome in cases_of(pool, seed, &["evicted-translations", "preemption"]) {
                assert!(outcome.guarantees.is_empty(), "{pool:?}, seed {seed}: {outcome:?}");
                assert!(outcome.exposures.is_empty(), "{pool:?}, seed {seed}: {outcome:?}");
                // In another order, allocations leave memory in another order.
                let class = outcome.class();
                assert!(
                    matches!(class, Class::NoEffect | Class::Latent | Class::NotActivated),
                    "{pool:?}, seed {seed}: {outcome:?}"
                );
            }
        }
    }
}

#[test]
fn faults_of_the_pool_strike_in_every_generation() {
    let kinds = ["double-free", "premature-free", "use-after-free", "under-allocation"];
    for (pool, code) in GENERATIONS.into_iter().zip([CALLER, HEAP, FOUND]) {
        let outcomes: Vec<Outcome> =
            (0..24).flat_map(|seed| cases_of(pool, seed, &kinds)).collect();

        let struck = outcomes.iter().filter(|outcome| outcome.activation.strikes > 0).count();
        assert!(struck > 0, "{pool:?}");
        assert!(
            outcomes
                .iter()
                .any(|outcome| format!("{:?}", outcome.availability)
                    .contains(&format!("code: {code}"))),
            "{pool:?}: {:?}",
            outcomes.iter().map(|outcome| &outcome.availability).collect::<Vec<_>>()
        );
    }
}
