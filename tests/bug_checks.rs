//! Each way in which the kernel can stop itself is provoked by a component of a world.
//!
//! Expected codes and parameters are written out, from the page of each bug check.

mod expectations;
mod prober;

use std::collections::BTreeMap;

use expectations::Expected;
use prober::{DATA, Do, FRAME_COUNT, HANDLE_COUNT, NEIGHBOUR, To, Where};
use ringfence::base::Frame;
use ringfence::kernel::bug_check::{BugCheck, RESERVED, all, described};
use ringfence::kernel::layout::address;
use ringfence::kernel::pools::PoolKind;
use ringfence::machine::Trap;
use ringfence::machine::second_level::SecondLevel;
use ringfence::machine::trap::second_level::READ;
use ringfence::world::{Configuration, Rest};

/// A parameter that is compared, or not.
type Parameter = Option<u64>;

const ANY: Parameter = None;

const fn is(value: u64) -> Parameter {
    Some(value)
}

/// What is done where, and what the machine stops with.
struct Case {
    about: &'static str,
    place: Where,
    script: Vec<Do>,
    /// Run by the deferred call, which the script above asks for.
    deferred: Vec<Do>,
    smap: bool,
    /// An address whose frame the second level of permissions closes to reads, which no switch does.
    closed: Option<u64>,
    pool: PoolKind,
    code: u64,
    parameters: [Parameter; 4],
}

fn case(about: &'static str, script: &[Do], code: u64, parameters: [Parameter; 4]) -> Case {
    let script = script.to_vec();
    Case {
        about,
        place: Where::Service,
        script,
        deferred: vec![],
        smap: false,
        closed: None,
        pool: PoolKind::Classes,
        code,
        parameters,
    }
}

fn in_special_pool(
    about: &'static str,
    script: &[Do],
    code: u64,
    parameters: [Parameter; 4],
) -> Case {
    Case { pool: PoolKind::Special, ..case(about, script, code, parameters) }
}

fn deferred(about: &'static str, script: &[Do], code: u64, parameters: [Parameter; 4]) -> Case {
    let start = case(about, &[Do::Interrupt], code, parameters);
    Case { deferred: script.to_vec(), ..start }
}

/// A system address without tables, one beyond a driver's data page, a page of the pool that nobody
/// has used yet, an address in the hole, a user address that is not mapped, one that is.
const NO_TABLE: u64 = 0xffff_9000_0000_0018;
const ABSENT: u64 = DATA + 4096;
const UNUSED: u64 = address::POOL + (address::POOL_PAGES - 1) * 4096;
const HOLE: u64 = 0x0000_8000_0000_0000;
const UNMAPPED: u64 = 0x10;
const MAPPED: u64 = address::USER_BUFFERS;

/// The tag that the prober allocates with.
const TAG: u64 = 0x7072_6f62;

#[allow(clippy::too_many_lines, reason = "one table")]
fn cases(configuration: &Configuration) -> Vec<Case> {
    let plain = To::Plain;
    let entry = To::Plain(prober::entry_of(configuration, UNUSED));
    let then = |mut script: Vec<Do>, last: Do| {
        script.push(last);
        script
    };
    let highest_frame = prober::built(configuration).machine.memory.frame_count() - 1;
    let free_at = |at| Do::Free(plain(at), TAG);
    let block = To::Block;
    vec![
        // Accesses at a raised level.
        deferred(
            "a driver reads user memory that is not there in a deferred call",
            &[Do::Read(plain(UNMAPPED))],
            0xd1,
            [is(UNMAPPED), is(2), is(0), ANY],
        ),
        deferred(
            "a driver writes system memory that is not there in a deferred call",
            &[Do::Write(plain(ABSENT), 1)],
            0xd1,
            [is(ABSENT), is(2), is(1), ANY],
        ),
        deferred(
            "a driver calls into nowhere in a deferred call",
            &[Do::Execute(plain(NO_TABLE & !15))],
            0xd1,
            [is(NO_TABLE & !15), is(2), is(8), is(NO_TABLE & !15)],
        ),
        deferred(
            "a driver reads in the hole in a deferred call",
            &[Do::Read(plain(HOLE))],
            0xd1,
            [is(HOLE), is(2), is(0), ANY],
        ),
        // No access, so that the level is not asked.
        deferred(
            "a driver calls into the hole in a deferred call",
            &[Do::Execute(plain(HOLE))],
            0x1e,
            [is(0xffff_ffff_c000_0005), ANY, is(0), is(0xffff_ffff_ffff_ffff)],
        ),
        deferred(
            "a driver writes in the hole in a deferred call",
            &[Do::Write(plain(HOLE), 1)],
            0xd1,
            [is(HOLE), is(2), is(1), ANY],
        ),
        case(
            "a driver raises the level and reads user memory that is not there",
            &[Do::Level(2), Do::Read(plain(UNMAPPED))],
            0xd1,
            [is(UNMAPPED), is(2), is(0), ANY],
        ),
        deferred(
            "Windows completes what is no packet in a deferred call",
            &[Do::Complete(plain(NO_TABLE))],
            0x0a,
            [is(NO_TABLE + 0x40), is(2), is(0), ANY],
        ),
        deferred(
            "the pool frees what is no block in a deferred call",
            &[free_at(NO_TABLE)],
            0xc5,
            [is(NO_TABLE - 16), is(2), is(0), ANY],
        ),
        // System addresses.
        case(
            "a driver reads what no entry ever mapped",
            &[Do::Read(plain(ABSENT))],
            0x50,
            [is(ABSENT), is(0), ANY, is(2)],
        ),
        case(
            "a driver writes what its entry no longer maps",
            &[
                Do::Write(entry, 0x123 << 12),
                Do::Invalidate(plain(UNUSED)),
                Do::Write(plain(UNUSED), 1),
            ],
            0x50,
            [is(UNUSED), is(2), ANY, is(0)],
        ),
        case(
            "a driver reads where there is no table",
            &[Do::Read(plain(NO_TABLE))],
            0x50,
            [is(NO_TABLE), is(0), ANY, is(2)],
        ),
        case(
            "a driver reads in the hole",
            &[Do::Read(plain(HOLE))],
            0x50,
            [is(HOLE), is(0), ANY, is(4)],
        ),
        case(
            "a driver writes in the hole",
            &[Do::Write(plain(HOLE), 1)],
            0x50,
            [is(HOLE), is(2), ANY, is(4)],
        ),
        // It is the call that faults, and not what it would lead to (Intel SDM volume 2A, "CALL").
        case(
            "a driver calls into the hole",
            &[Do::Execute(plain(HOLE))],
            0x3b,
            [is(0xc000_0005), ANY, ANY, is(0)],
        ),
        Case {
            smap: true,
            ..case(
                "a driver reads user memory although SMAP is on",
                &[Do::Read(plain(MAPPED))],
                0x50,
                [is(MAPPED), is(0), ANY, is(0xf)],
            )
        },
        Case {
            smap: true,
            ..case(
                "a driver writes user memory although SMAP is on",
                &[Do::Write(plain(MAPPED), 1)],
                0x50,
                [is(MAPPED), is(2), ANY, is(0xf)],
            )
        },
        case(
            "a driver writes its own code",
            &[Do::Write(plain(address::DRIVER_CODE), 1)],
            0xbe,
            [is(address::DRIVER_CODE), ANY, is(0), is(0)],
        ),
        case(
            "a driver runs its own data",
            &[Do::Execute(To::Data(0))],
            0xfc,
            [is(DATA), ANY, is(0), is(0)],
        ),
        case(
            "a driver runs user code although SMEP is on",
            &[Do::Execute(plain(address::USER_CODE))],
            0xfc,
            [is(address::USER_CODE), ANY, is(0), is(0)],
        ),
        Case {
            smap: true,
            ..case(
                "a driver runs user code although SMEP and SMAP are on",
                &[Do::Execute(plain(address::USER_CODE))],
                0xfc,
                [is(address::USER_CODE), ANY, is(0), is(0)],
            )
        },
        case(
            "a driver sets reserved bits in an entry and reads through it",
            &then(
                vec![Do::Write(entry, 1 << 51 | 1), Do::Invalidate(plain(UNUSED))],
                Do::Read(plain(UNUSED)),
            ),
            0x1a,
            [is(0x41792), is(prober::entry_of(configuration, UNUSED)), is(1 << 51 | 1), is(0)],
        ),
        // Frame 0 is the kernel's: by its own entry no process's page.
        case(
            "a driver has the caller's page name another frame, and the process ends",
            &[Do::Write(plain(prober::entry_of(configuration, MAPPED)), 0x67)],
            0x1a,
            [is(0x403), is(prober::entry_of(configuration, MAPPED)), is(0x67), is(0)],
        ),
        // Special pool: a block of 48 bytes ends with its page.
        in_special_pool(
            "a driver reads a block of special pool that it freed",
            &[Do::Allocate, Do::Free(block(0), TAG), Do::Read(block(0))],
            0xd5,
            [ANY, is(0), ANY, is(0)],
        ),
        in_special_pool(
            "a driver writes beyond its block of special pool",
            &[Do::Allocate, Do::Write(block(48), 1)],
            0xd6,
            [ANY, is(1), ANY, is(0)],
        ),
        in_special_pool(
            "Windows reads a block of special pool that a driver freed",
            &[Do::Allocate, Do::Free(block(0), TAG), Do::Dereference(block(0))],
            0xcc,
            [ANY, is(0), ANY, is(0)],
        ),
        in_special_pool(
            "Windows reads beyond a driver's block of special pool",
            &[Do::Allocate, Do::Dereference(block(48))],
            0xcd,
            [ANY, is(0), ANY, is(0)],
        ),
        // What nobody handles.
        case(
            "a service reads user memory that is not there",
            &[Do::Read(plain(UNMAPPED))],
            0x3b,
            [is(0xc000_0005), ANY, ANY, is(0)],
        ),
        // The call is made, and what is not there is found out where it leads (Intel SDM volume 2A, "CALL").
        case(
            "a service calls what is not there",
            &[Do::Execute(plain(UNMAPPED))],
            0x3b,
            [is(0xc000_0005), is(UNMAPPED), ANY, is(0)],
        ),
        case(
            "a service divides by zero",
            &[Do::Raise(Trap::DIVIDE, 0)],
            0x3b,
            [is(0xc000_0094), ANY, ANY, is(0)],
        ),
        case(
            "a service runs into what is no instruction",
            &[Do::Raise(Trap::INVALID_OPCODE, 0)],
            0x3b,
            [is(0xc000_001d), ANY, ANY, is(0)],
        ),
        Case {
            place: Where::SystemThread,
            ..case(
                "a system thread reads user memory that is not there",
                &[Do::Read(plain(UNMAPPED))],
                0x7e,
                [is(0xffff_ffff_c000_0005), ANY, ANY, ANY],
            )
        },
        Case {
            place: Where::SystemThread,
            ..case(
                "a system thread divides by zero",
                &[Do::Raise(Trap::DIVIDE, 0)],
                0x7e,
                [is(0xffff_ffff_c000_0094), ANY, ANY, ANY],
            )
        },
        deferred(
            "a deferred call divides by zero",
            &[Do::Raise(Trap::DIVIDE, 0)],
            0x1e,
            [is(0xffff_ffff_c000_0094), ANY, is(0), is(0)],
        ),
        // As debuggers print a general protection of kernel mode: a read of ffffffffffffffff.
        deferred(
            "a deferred call runs into a general protection",
            &[Do::Raise(Trap::GENERAL_PROTECTION, 0)],
            0x1e,
            [is(0xffff_ffff_c000_0005), ANY, is(0), is(0xffff_ffff_ffff_ffff)],
        ),
        Case {
            place: Where::Guarded,
            ..case(
                "a handler is not asked for a system address",
                &[Do::Read(plain(NO_TABLE))],
                0x50,
                [is(NO_TABLE), is(0), ANY, is(2)],
            )
        },
        Case {
            closed: Some(NEIGHBOUR),
            ..case(
                "a driver reads a frame that the second level of permissions closes to reads",
                &[Do::Read(plain(NEIGHBOUR + 8))],
                0x18d,
                [is(2), is(NEIGHBOUR + 8), ANY, ANY],
            )
        },
        case(
            "a driver fails fast over a list",
            &[Do::Raise(Trap::FAST_FAIL, 3)],
            0x139,
            [is(3), ANY, ANY, is(0)],
        ),
        Case {
            place: Where::Guarded,
            ..case(
                "a driver fails fast over a cookie, and no handler is asked",
                &[Do::Raise(Trap::FAST_FAIL, 2)],
                0x139,
                [is(2), ANY, ANY, is(0)],
            )
        },
        case("a driver uses its stack up", &[Do::Overflow], 0x7f, [is(8), is(0), is(0), is(0)]),
        // What the kernel finds damaged.
        case(
            "a driver drops a reference that nobody has",
            &[Do::Write(To::Data(0x10), 3), Do::Dereference(To::Data(0))],
            0x18,
            [is(3), is(DATA), is(0), is(0)],
        ),
        case(
            "an object's count of handles is damaged and the handle is closed",
            &[Do::Write(To::Object(HANDLE_COUNT), 0)],
            0x18,
            [is(3), ANY, is(0), is(0)],
        ),
        case(
            "a driver drops a reference to what is no object",
            &[Do::Write(To::Data(0x10), 77), Do::Dereference(To::Data(0))],
            0x189,
            [is(DATA), is(77), is(0), is(0)],
        ),
        case(
            "a packet is completed twice",
            &[Do::Complete(To::Packet(0))],
            0x44,
            [ANY, is(0), is(0), is(0)],
        ),
        case(
            "a free frame is marked as in use and the list is used",
            &[Do::Write(To::FreeFrameEntry(FRAME_COUNT), 1)],
            0x4e,
            [is(2), ANY, is(highest_frame), is(1)],
        ),
        case(
            "a driver releases a free frame",
            &[Do::FreeFrame(To::FreeFrame)],
            0x4e,
            [is(7), ANY, is(0), is(0)],
        ),
        case(
            "a driver frees a block with another tag",
            &[Do::Allocate, Do::Free(block(0), 1)],
            0xc2,
            [is(0xa), ANY, is(TAG), is(1)],
        ),
        case(
            "a driver frees a block twice",
            &[Do::Allocate, Do::Free(block(0), TAG), Do::Free(block(0), TAG)],
            0xc2,
            [is(7), is(0), is(64 << 16 | 64), ANY],
        ),
        case(
            "a driver writes a wrong size before its block and frees it",
            &[
                Do::Allocate,
                Do::Write(block(0u64.wrapping_sub(16)), 33 | 1 << 32),
                Do::Free(block(0), TAG),
            ],
            0x19,
            [is(0x20), ANY, ANY, is(0)],
        ),
        case(
            "a driver writes past its block and frees it",
            &[
                Do::Allocate,
                Do::Allocate,
                Do::Write(block(0u64.wrapping_sub(16)), 64 | 33 << 16 | 1 << 32),
                Do::Free(block(0u64.wrapping_sub(64)), TAG),
            ],
            0x19,
            [is(5), ANY, is(0), ANY],
        ),
    ]
}

#[track_caller]
fn assert_stops(case: &Case, configuration: &Configuration) -> (u64, [u64; 4]) {
    let mut configuration = configuration.clone();
    (configuration.machine.smap, configuration.machine.pool) = (case.smap, case.pool);
    let mut world = prober::built(&configuration);
    prober::script(&mut world, case.place, &case.script);
    prober::script(&mut world, Where::Deferred, &case.deferred);

    if let Some(closed) = case.closed {
        let frame = Frame(prober::physical(&world, closed) >> 12);
        let count = usize::try_from(world.machine.memory.frame_count()).expect("a small machine");
        world.machine.second_level = SecondLevel::new(count);
        world.machine.second_level.refuse(frame, READ);
    }

    let ended = prober::run(&mut world);

    let [code, parameters @ ..] = ended.crash;
    assert_eq!(ended.rest, Rest::BugCheck(case.code), "{}: {parameters:x?}", case.about);
    assert_eq!(code, case.code, "{}", case.about);
    for (number, (found, wanted)) in parameters.into_iter().zip(case.parameters).enumerate() {
        assert!(
            wanted.is_none_or(|wanted| wanted == found),
            "{}: parameter {} is {found:#x}, expected {wanted:x?}",
            case.about,
            number + 1
        );
    }
    (code, parameters)
}

/// A code with the parameter that tells its rows apart, those of its values that are provoked elsewhere (none
/// for a code that says one thing), and where.
type Elsewhere = (u64, u8, &'static [u64], &'static str);

/// Rows whose test is elsewhere: in the tests at a path, or as the expectation of an incident
/// (`tests/incidents.rs`).
const ELSEWHERE: &[Elsewhere] = &[
    (0x09, 0, &[], "tests/verified.rs"),
    (0x0a, 4, &[1], "tests/verified.rs"),
    (0x19, 1, &[3, 5, 6, 8, 9, 0xd, 0x20, 0x21, 0x22], "tests/pools"),
    (0x4e, 1, &[7], "tests/kernel_objects/locked.rs"),
    (0x76, 1, &[0, 1], "tests/kernel_objects/locked.rs"),
    (0x93, 2, &[0, 1], "tests/kernel_objects/tables.rs"),
    (0xc1, 4, &[0x20, 0x21, 0x23, 0x24, 0x30, 0x31, 0x32], "tests/pools"),
    (0xc2, 1, &[0, 1, 7, 8, 9, 0xa, 0x40, 0x42], "tests/pools"),
    (0xc4, 1, &[0, 1, 2, 0x10, 0x11, 0x12], "tests/pools"),
    (
        0xc4,
        1,
        &[0x30, 0x31, 0x32, 0x42, 0x70, 0x78, 0x7c, 0xe0, 0xe1, 0xe2, 0xf7],
        "tests/verified.rs",
    ),
    (0xc4, 1, &[0x3c, 0xe3, 0xf5, 0xf6], "tests/kernel_objects/verifier.rs"),
    (0xc4, 1, &[0x3f], "tests/fault_kinds.rs"),
    (0xbe, 0, &[], "tests/protections.rs"),
    (0xc4, 1, &[0x1000, 0x1001, 0x1003, 0x1004, 0x1007], "tests/verified.rs"),
    (
        0xc4,
        1,
        &[
            0x1010, 0x1011, 0x2_001f, 0x2_000a, 0x2_000f, 0x2_0011, 0x2_0015, 0x2_0016, 0x2_001b,
            0x2_001d, 0x4_0009, 0x4_000a,
        ],
        "tests/verified.rs",
    ),
    (0xc4, 1, &[0x2000], "tests/code_integrity.rs"),
    (0xc9, 1, &[4], "tests/kernel_objects/verifier.rs"),
    (0xc9, 1, &[5, 6, 0xe, 0x10], "tests/verified.rs"),
    (0xcb, 0, &[], "tests/kernel_objects/locked.rs"),
    (0xe6, 1, &[0xe, 0xf, 0x13, 0x16, 0x1d], "tests/dma_verification.rs"),
    (0xef, 2, &[0], "tests/kernel_objects/ends.rs"),
    (0x101, 0, &[], "tests/watchdogs.rs"),
    (0x109, 4, &[0, 1, 2, 0x1c], "tests/protections.rs"),
    (0x116, 0, &[], "scenarios/incidents/I12-display-hang.toml"),
    (0x133, 1, &[0, 1], "tests/watchdogs.rs"),
    (0x139, 1, &[2], "scenarios/incidents/I04-stack-overrun-cookie.toml"),
    (0x139, 1, &[7], "tests/fault_kinds.rs"),
    (0x139, 1, &[0x39], "tests/protections.rs"),
    (0x13a, 1, &[3, 4, 5, 6, 7, 8, 0xb, 0xd], "tests/pools"),
    (0x18d, 1, &[1, 4], "tests/protections.rs"),
    (0x1ed, 0, &[], "tests/verified.rs"),
];

/// The rows that are provoked here, each as often as there are conditions for it.
fn provoked() -> BTreeMap<(u64, Option<(u8, u64)>), usize> {
    let configuration = prober::configuration();
    let mut provoked = BTreeMap::new();
    for case in cases(&configuration) {
        let (code, parameters) = assert_stops(&case, &configuration);
        let row = described(code, parameters).expect("a row");
        assert!(row.is_of(parameters), "{}: {code:#x} {parameters:x?}", case.about);
        for (label, value) in row.parameters.iter().zip(parameters) {
            assert!(*label != RESERVED || value == 0, "{}: {code:#x} {parameters:x?}", case.about);
        }
        *provoked.entry((row.code, row.subtype)).or_default() += 1;
    }
    provoked
}

/// How often a row's test is elsewhere.
fn elsewhere(row: &BugCheck) -> usize {
    let is_of = |&&(code, which, values, _): &&Elsewhere| match row.subtype {
        Some((number, value)) => code == row.code && which == number && values.contains(&value),
        None => code == row.code && which == 0,
    };
    ELSEWHERE.iter().filter(is_of).count()
}

#[test]
fn each_row_is_provoked_by_a_component() {
    let provoked = provoked();

    for row in all() {
        let key = (row.code, row.subtype);
        let conditions = all().iter().filter(|other| (other.code, other.subtype) == key).count();
        let cases = provoked.get(&key).copied().unwrap_or(0);
        assert!(
            cases + elsewhere(row) >= conditions,
            "{:#x} {:?}: {}: {cases} cases for {conditions} conditions",
            row.code,
            row.subtype,
            row.when
        );
    }
}

#[test]
fn what_is_said_to_be_provoked_elsewhere_is_expected_there() {
    let rows = all();
    let mut wrong = Vec::new();
    for &(code, which, values, place) in ELSEWHERE {
        let subtypes: Vec<Option<(u8, u64)>> = match values {
            [] => vec![None],
            values => values.iter().map(|&value| Some((which, value))).collect(),
        };
        for subtype in subtypes {
            let is_row = rows.iter().any(|row| (row.code, row.subtype) == (code, subtype));
            if !is_row {
                wrong.push(format!("{code:#x} {subtype:x?} is no row"));
            } else if !expectations::are_at(place, Expected { code, subtype }) {
                wrong.push(format!("{place} does not expect {code:#x} {subtype:x?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_pool_names_the_blocks_that_disagree() {
    // "Bug Check 0x19": for 5 one entry and the other one, for 0x20 the entry and the next one.
    let configuration = prober::configuration();
    let cases = cases(&configuration);
    let stopped = |kind| {
        let case = cases.iter().find(|case| case.code == 0x19 && case.parameters[0] == is(kind));
        assert_stops(case.expect("it is provoked"), &configuration).1
    };

    let [_, block, _, next] = stopped(5);
    assert_eq!(next, block + 64);

    let [_, block, next, _] = stopped(0x20);
    assert_eq!(next, block + 33, "by the size that was written");
}

#[test]
fn an_exception_that_a_system_thread_leaves_is_told_with_its_record_and_its_context() {
    // "Bug Check 0x7E": parameter 2 is where, 3 the address of the exception record, 4 that of the context record;
    // "EXCEPTION_RECORD": the code, where, and of an access violation 0 for a read and the address.
    let mut world = prober::built(&prober::configuration());
    prober::script(&mut world, Where::SystemThread, &[Do::Read(To::Plain(UNMAPPED))]);

    let ended = prober::run(&mut world);

    let [code, _, at, record, context] = ended.crash;
    assert_eq!((code, ended.rest), (0x7e, Rest::BugCheck(0x7e)));
    assert_ne!(record, context);
    let told = [0, 8, 16, 24].map(|offset| prober::word(&world, record + offset));
    assert_eq!(told, [0xc000_0005, at, 0, UNMAPPED]);
    // The processor pushed the instruction pointer above the error code.
    assert_eq!(prober::word(&world, context + 8), at);
}

#[test]
fn without_a_script_nothing_stops() {
    let configuration = prober::configuration();
    let mut world = prober::built(&configuration);

    let ended = prober::run(&mut world);

    assert_eq!(ended.rest, Rest::Quiescent);
    assert!(ended.seen.statuses.iter().all(|status| *status == 0), "{:x?}", ended.seen.statuses);
}

#[test]
fn a_caller_s_handler_catches_what_the_callee_raised() {
    let nowhere = Do::Execute(To::Plain(UNMAPPED));
    for raised in [Do::Read(To::Plain(UNMAPPED)), Do::Raise(Trap::DIVIDE, 0), nowhere] {
        let configuration = prober::configuration();
        let mut world = prober::built(&configuration);
        prober::script(&mut world, Where::Guarded, &[raised]);

        let ended = prober::run(&mut world);

        assert_eq!(ended.rest, Rest::Quiescent, "{raised:?}: {:x?}", ended.crash);
        let cancelled = ended.seen.statuses.iter().filter(|status| **status == 0xc000_0120);
        assert_eq!(cancelled.count(), 1, "{raised:?}");
    }
}

#[test]
fn what_is_allowed_succeeds_in_silence() {
    // Without SMAP a driver reaches the current process's memory, and a neighbour's always.
    for to in [MAPPED + 0x600, NEIGHBOUR + 0xf00] {
        let configuration = prober::configuration();
        let mut world = prober::built(&configuration);
        prober::script(&mut world, Where::Service, &[Do::Write(To::Plain(to), 0x77)]);

        let ended = prober::run(&mut world);

        assert_eq!(ended.rest, Rest::Quiescent, "{to:#x}: {:x?}", ended.crash);
    }
}
