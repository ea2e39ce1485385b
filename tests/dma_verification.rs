//! Driver Verifier's DMA verification: a driver that makes each mistake, faults that come to one, and worlds in which
//! nothing is wrong.
//!
//! Expected codes and parameters are written out, from the page of bug check 0xE6.

mod worlds;

use ringfence::base::{PhysAddr, PrincipalKind, Seed, Structure, VirtAddr};
use ringfence::faults::PlannedFault;
use ringfence::injection::PointKind;
use ringfence::kernel::hal::{
    FROM_MEMORY, HAL_MAP_TRANSFER, HAL_START_TRANSFER, HAL_UNMAP_TRANSFER, TABLE_FRAMES,
};
use ringfence::kernel::layout::{address, crash_block, request_packet};
use ringfence::kernel::loader::Dispatch;
use ringfence::kernel::mdl::{
    IO_ALLOCATE_MDL, IO_FREE_MDL, MM_PROBE_AND_LOCK_PAGES, MM_UNLOCK_PAGES, WRITE_ACCESS,
};
use ringfence::kernel::pools::PoolKind;
use ringfence::kernel::pools::state::PAGED_POOL;
use ringfence::kernel::previous_mode::USER;
use ringfence::kernel::request::{IO_COMPLETE_REQUEST, function};
use ringfence::kernel::status;
use ringfence::machine::{Flow, Processor, Routine, Trap, routine};
use ringfence::outcome::{Availability, Outcome};
use ringfence::scenario::{Bias, Scenario, library};
use ringfence::world::{
    Action, Component, Configuration, DriverDefinition, Drivers, Home, Placement, Rest, World,
    components,
};

const OPTION: &str = "dma-checking";

/// Opens the page that it is told, transfers, writes to a word of the page, and closes it.
const TRANSFER: u32 = 1;
/// Opens the page twice.
const MAP_TWICE: u32 = 2;
/// Closes the page twice.
const UNMAP_TWICE: u32 = 3;
/// Opens the page, and closes it, at the level it is told.
const MAP_AT: u32 = 4;
const UNMAP_AT: u32 = 5;
/// Opens the user's page, not locked and locked.
const MAP_USERS: u32 = 6;
const MAP_LOCKED: u32 = 7;
/// Opens the page at the address it is told.
const MAP_THERE: u32 = 8;
/// Closes a page that is none.
const UNMAP_NOTHING: u32 = 9;
/// Opens the page at the address it is told, and never closes it.
const KEEP: u32 = 10;

/// The transfer device's page, of which nobody else makes use here.
const PAGE: u64 = address::DMA_BUFFERS;
const DEVICE: u64 = 0;

/// The words of the transfer, and the word that is written, behind the level.
fn told(p: &mut Processor<'_>) -> Result<[u64; 3], Trap> {
    let word = p.local(2)?;
    Ok([word & 0xff, word >> 8 & 0xfff, word >> 20])
}

/// Sets the level that the driver was told, if it is asked for this.
fn level(p: &mut Processor<'_>, when: u32) -> Result<(), Trap> {
    let packet = p.local(1)?;
    if function(p.load(packet, request_packet::CODE)?) == u64::from(when) {
        let [level, ..] = told(p)?;
        p.set_irql(level)?;
    }
    Ok(())
}

fn asked(p: &mut Processor<'_>) -> Result<u32, Trap> {
    let packet = p.local(1)?;
    let function = function(p.load(packet, request_packet::CODE)?);
    Ok(u32::try_from(function).unwrap_or(0))
}

routine! {
    /// Device control. Arguments: device object, packet.
    static CARELESS_CONTROL = "CarelessControl", frame 6;
    // Locals: 0 bus address; 1 packet; 2 what it is told; 3 list; 4 how often; 5 the page.
    sort, call IO_ALLOCATE_MDL => |p| {
        let packet = p.argument(1);
        let buffer = p.load(packet, request_packet::BUFFER)?;
        let told = p.load_at(buffer, Structure::SystemBuffer)?;
        for (local, word) in [0, packet, told, 0, 0, PAGE].into_iter().enumerate() {
            p.set_local(local as u64, word)?;
        }
        match asked(p)? {
            MAP_USERS => p.set_local(5, address::USER_BUFFERS)?,
            MAP_LOCKED => {
                p.set_local(5, address::USER_BUFFERS)?;
                p.pass([address::USER_BUFFERS, 64]);
                return Ok(Flow::Call);
            }
            MAP_THERE | KEEP => p.set_local(5, told)?,
            UNMAP_NOTHING => return Ok(Flow::To(At::unmap_nothing as u8)),
            _ => {}
        }
        Ok(Flow::To(At::map as u8))
    },
    lock, call MM_PROBE_AND_LOCK_PAGES => |p| {
        let list = p.result();
        p.set_local(3, list)?;
        p.pass([list, USER, WRITE_ACCESS]);
        Ok(Flow::Call)
    },
    map, call HAL_MAP_TRANSFER => |p| {
        level(p, MAP_AT)?;
        let page = p.local(5)?;
        p.pass([DEVICE, page, 0]);
        Ok(Flow::Call)
    },
    mapped => |p| {
        let (bus, times) = (p.result(), p.local(4)?);
        p.set_irql(0)?;
        p.set_local(0, bus)?;
        p.set_local(4, times + 1)?;
        Ok(Flow::To(match (asked(p)?, times) {
            (MAP_TWICE, 0) => At::map as u8,
            (TRANSFER, _) => At::start as u8,
            (KEEP, _) => At::complete as u8,
            _ => At::unmap as u8,
        }))
    },
    // Of what is sent nothing comes back: the device's interrupt finds no deferred routine.
    start, call HAL_START_TRANSFER => |p| {
        let (bus, [_, words, _]) = (p.local(0)?, told(p)?);
        p.pass([DEVICE, bus, words, FROM_MEMORY]);
        Ok(Flow::Call)
    },
    write => |p| {
        let [_, _, word] = told(p)?;
        let page = p.local(5)?;
        p.store_at(page + word * 8, Structure::DmaBuffer, 0x1234)?;
        p.set_local(4, 0)?;
        Ok(Flow::To(At::unmap as u8))
    },
    unmap, call HAL_UNMAP_TRANSFER => |p| {
        level(p, UNMAP_AT)?;
        let bus = p.local(0)?;
        p.pass([DEVICE, bus]);
        Ok(Flow::Call)
    },
    unmapped => |p| {
        p.set_irql(0)?;
        let times = p.local(4)?;
        p.set_local(4, times + 1)?;
        Ok(Flow::To(match (asked(p)?, times) {
            (UNMAP_TWICE, 1) => At::unmap as u8,
            (MAP_LOCKED, _) => At::unlock as u8,
            _ => At::complete as u8,
        }))
    },
    unmap_nothing, call HAL_UNMAP_TRANSFER => |p| {
        let [_, _, frame] = told(p)?;
        p.pass([DEVICE, frame << 12]);
        Ok(Flow::Call)
    },
    nothing_unmapped => |_| Ok(Flow::To(At::complete as u8)),
    unlock, call MM_UNLOCK_PAGES => |p| {
        let list = p.local(3)?;
        p.pass([list]);
        Ok(Flow::Call)
    },
    free, call IO_FREE_MDL => |p| {
        let list = p.local(3)?;
        p.pass([list]);
        Ok(Flow::Call)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let packet = p.local(1)?;
        p.pass([packet, status::SUCCESS, 0]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(status::SUCCESS)),
}

const ROUTINES: &[&Routine] = &[&CARELESS_CONTROL];

fn drivers() -> Drivers {
    let mut drivers = components::drivers();
    drivers.kernel.push(DriverDefinition {
        name: "careless",
        kind: PrincipalKind::KernelDriver,
        routines: ROUTINES,
        pageable: &[],
        dispatch: Dispatch {
            read: None,
            write: None,
            control: Some(&CARELESS_CONTROL),
            flush: None,
            entry: None,
            deferred: None,
        },
        prepare: |_: &Placement| Vec::new(),
        owns: &[(PAGE, 512, Structure::DmaBuffer)],
        section: &[],
    });
    drivers
}

/// An application that asks the driver for these, one after the other.
fn world(option: Option<&str>, requests: &[(u32, u64)]) -> Configuration {
    let open = Action::Open { device: "careless".into(), file: 0, access: 3, slot: 0 };
    let ask = |&(function, value): &(u32, u64)| {
        let code = u64::from(0x22_0000 | function << 2);
        Action::Control { slot: 0, code, length: 8, value }
    };
    let actions = [open].into_iter().chain(requests.iter().map(ask)).collect();
    let mut configuration = Configuration {
        components: vec![
            Component { actions, ..Component::new("app", Home::Application) },
            Component {
                driver: Some("careless".into()),
                ..Component::new("careless", Home::KernelDriver)
            },
        ],
        steps_max: 20_000,
        ..Configuration::default()
    };
    configuration.machine.verifier = option.map(str::to_owned).into_iter().collect();
    configuration
}

/// How it ends: the code and its parameters, all 0 when nothing stopped; and the bus address of the driver's page.
fn end(configuration: &Configuration) -> (Rest, [u64; 5], u64) {
    let mut world = World::build_with(configuration, &drivers()).expect("a sound configuration");
    let rest = world.run(&mut (), u64::MAX);
    let locate = |virt| world.machine.locate(0, VirtAddr(virt)).expect("it is mapped");
    let word = |field: &ringfence::base::Field| {
        let phys = locate(address::KERNEL_DATA + field.offset);
        world.machine.memory.read(PhysAddr::truncated(phys))
    };
    let words: Vec<u64> = crash_block::FIELDS.iter().take(5).map(word).collect();
    (rest, words.try_into().expect("five words"), locate(PAGE))
}

const fn transfer(words: u64, word: u64) -> (u32, u64) {
    (TRANSFER, words << 8 | word << 20)
}

#[track_caller]
fn assert_found(requests: &[(u32, u64)], expected: [u64; 5]) {
    let (rest, found, _) = end(&world(Some(OPTION), requests));
    assert_eq!((rest, found), (Rest::BugCheck(0xe6), expected), "{found:x?}");
    assert_silent_without(requests);
}

#[track_caller]
fn assert_silent_without(requests: &[(u32, u64)]) {
    for other in [None, Some("automatic-checks"), Some("security")] {
        let (rest, found, _) = end(&world(other, requests));
        assert_eq!(rest, Rest::Quiescent, "{other:?}: {found:x?}");
    }
}

#[track_caller]
fn assert_fine(requests: &[(u32, u64)]) {
    let (rest, found, _) = end(&world(Some(OPTION), requests));
    assert_eq!(rest, Rest::Quiescent, "{found:x?}");
}

#[test]
fn what_is_written_behind_a_buffer_is_found_when_its_page_is_closed() {
    for words in [1, 8, 64, 510] {
        let bytes = words * 8;
        assert_found(&[transfer(words, words)], [0xe6, 0xf, 2, bytes, PAGE]);
        for word in [words + 1, 511] {
            let at = PAGE + word * 8;
            assert_found(&[transfer(words, word)], [0xe6, 0xf, 5, PAGE, at]);
        }
        for word in [0, words - 1] {
            assert_fine(&[transfer(words, word)]);
        }
    }
    assert_found(&[transfer(8, 3), transfer(4, 7)], [0xe6, 0xf, 5, PAGE, PAGE + 56]);
    assert_fine(&[transfer(8, 3), transfer(16, 15), transfer(4, 0)]);
}

#[test]
fn a_transfer_of_nothing_or_of_a_page_has_nothing_behind_it() {
    for words in [0, 512, 513, 4000] {
        assert_fine(&[transfer(words, 511)]);
    }
    assert_found(&[transfer(511, 511)], [0xe6, 0xf, 2, 4088, PAGE]);
}

#[test]
fn a_page_that_is_opened_twice_or_closed_twice_is_found() {
    assert_found(&[(MAP_TWICE, 0)], [0xe6, 0x1d, PAGE, PAGE + 4096, PAGE]);

    let (rest, [code, what, register, known, zero], bus) =
        end(&world(Some(OPTION), &[(UNMAP_TWICE, 0)]));
    assert_eq!((rest, [code, what, zero]), (Rest::BugCheck(0xe6), [0xe6, 0x16, 0]));
    // The entry of the device's table; the first device's is behind the root.
    assert_eq!(register, address::IOMMU_TABLES + 4096 + (bus >> 12) * 8);
    assert_eq!(known >> 12, address::IOMMU_TABLES >> 12);
    assert_silent_without(&[(UNMAP_TWICE, 0)]);
}

#[test]
fn what_has_no_map_register_is_not_mapped() {
    for (frame, has_register) in [(7, true), (TABLE_FRAMES, false), (1 << 40, false)] {
        let nothing = [(UNMAP_NOTHING, frame << 20)];
        let (rest, [_, what, register, ..], _) = end(&world(Some(OPTION), &nothing));

        assert_eq!((rest, what), (Rest::BugCheck(0xe6), 0x16));
        assert_eq!(register != 0, has_register, "{register:x}");
        assert_silent_without(&nothing);
    }
}

#[test]
fn of_pages_for_which_there_is_no_room_nothing_is_said() {
    let keep = |number: u64| (KEEP, address::POOL + number * 4096);
    let keeping = |pages| (0..pages).map(keep).collect::<Vec<_>>();

    assert_found(
        &[keep(0), keep(0)],
        [0xe6, 0x1d, address::POOL, address::POOL + 4096, address::POOL],
    );
    for wrong in [(MAP_TWICE, 0), (UNMAP_TWICE, 0), transfer(1, 1)] {
        assert_fine(&[keeping(4), vec![wrong]].concat());
        let (rest, ..) = end(&world(Some(OPTION), &[keeping(3), vec![wrong]].concat()));
        assert_eq!(rest, Rest::BugCheck(0xe6));
    }
}

#[test]
fn pages_are_opened_and_closed_at_dispatch_level_at_most() {
    for function in [MAP_AT, UNMAP_AT] {
        assert_found(&[(function, 3)], [0xe6, 0x13, 2, 2, 3]);
        assert_found(&[(function, 15)], [0xe6, 0x13, 2, 2, 15]);
        assert_fine(&[(function, 2)]);
        assert_fine(&[(function, 0)]);
    }
}

#[test]
fn pageable_memory_is_opened_to_a_device_only_while_it_is_locked() {
    let users = [0xe6, 0xe, address::USER_BUFFERS, 0, 0];
    assert_found(&[(MAP_USERS, 0)], users);
    assert_fine(&[(MAP_LOCKED, 0)]);
    let (_, found, _) = end(&world(Some(OPTION), &[(MAP_LOCKED, 0), (MAP_USERS, 0)]));
    assert_eq!(found, users, "it is unlocked again");

    let paged = PAGED_POOL + 0x800;
    let mut configuration = world(Some(OPTION), &[(MAP_THERE, paged)]);
    configuration.machine.pool = PoolKind::Legacy;
    assert_eq!(end(&configuration).1, [0xe6, 0xe, paged, 0, 0]);
    assert_fine(&[(MAP_THERE, address::POOL + 0x40)]);
}

/// Applications that send and receive, beside a file system that reads and writes the disk.
fn busy(option: Option<&str>) -> Scenario {
    let mut scenario = worlds::neighbours();
    scenario.configuration.machine.verifier = option.map(str::to_owned).into_iter().collect();
    scenario
}

const fn found(outcome: &Outcome) -> Option<[u64; 2]> {
    match outcome.availability {
        Availability::BugCheck { code: 0xe6, parameters: [what, which, ..] } => Some([what, which]),
        _ => None,
    }
}

/// A fault at the nth step that who runs in a routine that somebody calls.
fn within(kind: &str, who: &str, at: (&str, &str, u64), parameters: &str) -> PlannedFault {
    let (routine, caller, nth) = at;
    let mut fault = worlds::fault(kind, who, PointKind::Step, nth, parameters);
    (fault.at.routine, fault.at.caller) = (Some(routine.to_owned()), Some(caller.to_owned()));
    fault
}

/// What comes of a fault with the option, and of one without.
fn outcomes(with: PlannedFault, without: PlannedFault) -> [Outcome; 2] {
    [(Some(OPTION), with), (None, without)].map(|(option, fault)| {
        let mut trial = worlds::trial(&busy(option));
        worlds::struck(&mut trial, fault)
    })
}

#[test]
fn a_transfer_that_is_longer_than_it_was_told_is_found() {
    // Eight words are received, and four more when the bit of the number of words is wrong. The step that tells them
    // to the device is the third with a look at the caller before it, and else the second.
    let longer = |nth| {
        let at = ("HalStartTransfer", "TransferDpcForIsr", nth);
        within("corrupted-register", "hal", at, "index = 2\nbit = 2")
    };

    let [with, without] = outcomes(longer(3), longer(2));

    assert_eq!(found(&with), Some([0xf, 2]), "{with:?}");
    // Nobody reads what lies behind the buffer.
    assert_eq!(without.availability, Availability::Unaffected, "{without:?}");
}

#[test]
fn a_driver_that_leaves_out_a_call_or_makes_it_twice_is_found() {
    let at = ("TransferDpcForIsr", "KiTransferInterrupt", 2);
    for (kind, what) in [("dropped-step", 0x1d), ("repeated-step", 0x16)] {
        let fault = within(kind, "nic", at, "");

        let [with, without] = outcomes(fault.clone(), fault);

        assert_eq!(found(&with).map(|[what, _]| what), Some(what), "{kind}: {with:?}");
        assert!(!matches!(without.availability, Availability::BugCheck { .. }), "{without:?}");
    }
}

/// How a world without faults ends, and how many transfers its devices made.
fn ends(scenario: &Scenario, option: Option<&str>) -> (Rest, usize, Vec<(u8, u64)>) {
    let mut configuration = scenario.configuration.clone();
    configuration.machine.verifier.extend(option.map(str::to_owned));
    let scenario = Scenario { configuration, plan: Vec::new(), ..scenario.clone() };
    let trial = worlds::trial(&scenario);
    let processes =
        scenario.configuration.components.iter().filter(|one| one.home == Home::Application);
    let endings = processes.map(|one| worlds::ending(&trial, &one.name)).collect();
    let transfers = trial.golden.points.iter().filter(|point| point.kind == PointKind::Dma);
    (trial.golden.rest, transfers.count(), endings)
}

#[test]
fn worlds_in_which_nothing_is_wrong_end_as_they_do_without() {
    let mut transfers = 0;
    for seed in (0..20).map(Seed) {
        let world = Scenario::generate(seed, &Bias::default());

        let (with, without) = (ends(&world, Some(OPTION)), ends(&world, None));

        assert_eq!(with, without, "{seed:?}");
        transfers += with.1;
    }
    assert!(transfers > 50, "{transfers}");
}

#[test]
fn scenarios_that_end_well_end_so_with_the_option() {
    let mut transfers = 0;
    for file in library::ALL {
        let scenario = Scenario::from_bytes(file.text.as_bytes()).expect("sound");
        let without = ends(&scenario, None);
        if without.0 != Rest::Quiescent {
            continue;
        }

        let with = ends(&scenario, Some(OPTION));

        assert_eq!(with.0, Rest::Quiescent, "{}", file.name);
        transfers += with.1;
    }
    assert!(transfers > 10, "{transfers}");
}
