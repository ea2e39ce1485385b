//! The table: a row for each code and subtype that the function reaches. Expected values are those of
//! the page of each bug check, written out, and not taken from the rows of the code under test.

use super::rows::BUG_CHECKS;
use super::*;

const RIP: u64 = 0xffff_f800_0006_1230;
const SYSTEM: u64 = 0xffff_fa80_0000_4018;
const USER: u64 = 0x50_0010;
const ENTRY: u64 = 0x8000_0000_0012_3001;

/// A read of a system address that maps nothing, in a driver, in a system service.
fn read() -> KernelException {
    KernelException {
        virt: SYSTEM,
        rip: RIP,
        code: FaultingCode::Driver,
        entry_address: 0xffff_f6fd_4000_0020,
        entry: ENTRY,
        path: Path::SystemService,
        record: 0xffff_f800_0018_0e00,
        context: 0xffff_f800_0018_0f80,
        ..KernelException::of(Cause::PageFault(0))
    }
}

/// The same with another error code.
fn with(error: u64) -> KernelException {
    KernelException { cause: Cause::PageFault(error), ..read() }
}

fn mapped(user: bool, writable: bool) -> PageState {
    PageState::Mapped { user, writable }
}

#[track_caller]
fn assert_stops(raised: KernelException, code: u64, parameters: [u64; 4]) {
    let [first, second, third, fourth] = parameters;
    let expected = Resolution::BugCheck([code, first, second, third, fourth]);
    assert_eq!(resolve(&raised), expected, "{raised:x?}");
    // In kernel mode these are never asked.
    let handled = KernelException { has_handler: true, ..raised };
    assert_eq!(resolve(&handled), expected, "with a handler: {raised:x?}");
}

#[test]
fn at_dispatch_level_any_access_that_goes_wrong_stops_the_machine() {
    for level in [2, 5, 15] {
        let at = |raised| KernelException { irql: level, ..raised };
        // 0xD1: address, level, 0 read, 1 write, 2 or 8 execute, code.
        assert_stops(at(read()), 0xd1, [SYSTEM, level, 0, RIP]);
        assert_stops(at(with(2)), 0xd1, [SYSTEM, level, 1, RIP]);
        assert_stops(at(with(0x10)), 0xd1, [SYSTEM, level, 8, RIP]);
        assert_stops(at(with(3)), 0xd1, [SYSTEM, level, 1, RIP]);
        // 0x0A: address, level, bit 0 write, bit 3 execute, code.
        let windows = |raised| KernelException { code: FaultingCode::Windows, ..at(raised) };
        assert_stops(windows(read()), 0x0a, [SYSTEM, level, 0, RIP]);
        assert_stops(windows(with(2)), 0x0a, [SYSTEM, level, 1, RIP]);
        assert_stops(windows(with(0x10)), 0x0a, [SYSTEM, level, 8, RIP]);
        // 0xC5: address, level, 0 or 1, code.
        let pool = |raised| KernelException { code: FaultingCode::Pool, ..at(raised) };
        assert_stops(pool(read()), 0xc5, [SYSTEM, level, 0, RIP]);
        assert_stops(pool(with(2)), 0xc5, [SYSTEM, level, 1, RIP]);
        // A user address: for any reason.
        let user = KernelException { virt: USER, ..at(read()) };
        assert_stops(user, 0xd1, [USER, level, 0, RIP]);
    }
}

#[test]
fn system_addresses_stop_the_machine_by_the_state_of_their_page() {
    let in_state = |raised, page| KernelException { page, ..raised };
    // 0x50: address; 0 read, 2 write, 0x10 execute; code; 0 freed, 2 no table.
    assert_stops(in_state(read(), PageState::Absent), 0x50, [SYSTEM, 0, RIP, 0]);
    assert_stops(in_state(with(2), PageState::Absent), 0x50, [SYSTEM, 2, RIP, 0]);
    assert_stops(in_state(with(0x10), PageState::Absent), 0x50, [SYSTEM, 0x10, RIP, 0]);
    assert_stops(in_state(read(), PageState::NoTable), 0x50, [SYSTEM, 0, RIP, 2]);
    assert_stops(in_state(with(2), PageState::NoTable), 0x50, [SYSTEM, 2, RIP, 2]);
    assert_stops(in_state(with(0x10), PageState::NoTable), 0x50, [SYSTEM, 0x10, RIP, 2]);
    // An entry that was never used counts as none.
    let unused = KernelException { entry: 0, ..in_state(read(), PageState::Absent) };
    assert_stops(unused, 0x50, [SYSTEM, 0, RIP, 2]);
    // Special pool: address, 0 or 1, code.
    assert_stops(in_state(read(), PageState::Special(Place::Freed)), 0xd5, [SYSTEM, 0, RIP, 0]);
    assert_stops(in_state(with(2), PageState::Special(Place::Freed)), 0xd5, [SYSTEM, 1, RIP, 0]);
    assert_stops(
        in_state(with(2), PageState::Special(Place::BeyondEnd)),
        0xd6,
        [SYSTEM, 1, RIP, 0],
    );
    let windows = KernelException { code: FaultingCode::Windows, ..with(2) };
    assert_stops(in_state(windows, PageState::Special(Place::Freed)), 0xcc, [SYSTEM, 1, RIP, 0]);
    assert_stops(
        in_state(windows, PageState::Special(Place::BeyondEnd)),
        0xcd,
        [SYSTEM, 1, RIP, 0],
    );
    // 0xBE: address, entry. 0xFC: address, entry.
    assert_stops(in_state(with(3), mapped(false, false)), 0xbe, [SYSTEM, ENTRY, 0, 0]);
    assert_stops(in_state(with(0x11), mapped(false, true)), 0xfc, [SYSTEM, ENTRY, 0, 0]);
    // 0x1A, 0x41792: where the entry is, the entry.
    let corrupt = in_state(with(9), mapped(false, true));
    assert_stops(corrupt, 0x1a, [0x41792, 0xffff_f6fd_4000_0020, ENTRY, 0]);
}

#[test]
fn a_system_page_that_is_there_and_refused_was_not_freed() {
    let in_state = |error, page| KernelException { page, ..with(error) };
    // 0x50, 0xF: a touch that isn't allowed. With the user bit SMAP refuses reads and writes.
    assert_stops(in_state(1, mapped(true, true)), 0x50, [SYSTEM, 0, RIP, 0xf]);
    assert_stops(in_state(1, mapped(true, false)), 0x50, [SYSTEM, 0, RIP, 0xf]);
    assert_stops(in_state(3, mapped(true, true)), 0x50, [SYSTEM, 2, RIP, 0xf]);
    // Whatever else refuses a read of what is there, nobody freed it.
    assert_stops(in_state(1, mapped(false, true)), 0x50, [SYSTEM, 0, RIP, 0xf]);
    // A write to what is read-only is that first.
    assert_stops(in_state(3, mapped(true, false)), 0xbe, [SYSTEM, ENTRY, 0, 0]);
    assert_stops(in_state(3, mapped(false, true)), 0xbe, [SYSTEM, ENTRY, 0, 0]);
    // What was refused out of a cached translation is gone by now.
    assert_stops(in_state(1, PageState::Absent), 0x50, [SYSTEM, 0, RIP, 0]);
}

#[test]
fn what_a_key_refuses_is_told_with_an_entry_that_may_be_written() {
    // Windows has no keys for system pages: 0xBE is this model's choice, and has a row of its own that says so.
    let row = |error, page| refused_though_there(page, error);

    assert_eq!(row(0x23, mapped(false, true)), Some(&REFUSED_BY_KEY));
    assert_eq!(REFUSED_BY_KEY.basis, crate::base::Basis::Chosen);
    assert_stops(
        KernelException { page: mapped(false, true), ..with(0x23) },
        0xbe,
        [SYSTEM, ENTRY, 0, 0],
    );
    // Read-only is read-only, whatever the key.
    assert_eq!(row(0x23, mapped(false, false)), Some(&READ_ONLY));
    assert_eq!(row(3, mapped(false, false)), Some(&READ_ONLY));
    assert_eq!(READ_ONLY.basis, crate::base::Basis::Documented);
}

#[test]
fn before_1507_accesses_to_invalid_memory_are_told_otherwise() {
    // "Bug Check 0x50": before Windows 10 1507 0 read, 1 write; an earlier edition has 8 for execution.
    for (error, told) in [(0, 0), (2, 1), (0x10, 8)] {
        let early = KernelException { has_early_codes: true, ..with(error) };
        assert_stops(early, 0x50, [SYSTEM, told, RIP, 0]);
        let without = KernelException { page: PageState::NoTable, ..early };
        assert_stops(without, 0x50, [SYSTEM, told, RIP, 2]);
    }
    let early = KernelException { has_early_codes: true, virt: USER, ..with(3) };
    let closed = KernelException { page: mapped(true, true), ..early };
    assert_stops(closed, 0x50, [USER, 1, RIP, 0xf]);
    // Other codes are as ever.
    let raised = KernelException { irql: 2, ..early };
    assert_stops(raised, 0xd1, [USER, 2, 1, RIP]);
}

#[test]
fn a_trimmed_page_comes_back_below_dispatch_level_and_is_fatal_from_there_on() {
    for error in [0, 2, 0x10] {
        for code in [FaultingCode::Driver, FaultingCode::Windows, FaultingCode::Pool] {
            let at = |irql| KernelException {
                page: PageState::Trimmed,
                irql,
                code,
                has_handler: true,
                ..with(error)
            };
            for low in [0, 1] {
                assert_eq!(resolve(&at(low)), Resolution::PagedIn, "{error:#x} {code:?}");
            }
            // As for any other page: whoever touches it too high, and no handler is asked.
            let elsewhere = KernelException { page: PageState::Absent, ..at(2) };
            assert_eq!(resolve(&at(2)), resolve(&elsewhere), "{error:#x} {code:?}");
        }
    }
    // User memory is not the kernel's to bring in, nor is a page that is there.
    let user = KernelException { virt: USER, page: PageState::Trimmed, ..with(0) };
    assert_ne!(resolve(&user), Resolution::PagedIn);
    let there = KernelException { page: PageState::Trimmed, ..with(3) };
    assert_ne!(resolve(&there), Resolution::PagedIn);
}

#[test]
fn what_the_second_level_refuses_stops_the_machine() {
    // 0x18D: 1 execution, 2 reading, 4 writing; the address; exception record; context record. In either half,
    // at any level: no page says that the level matters.
    let KernelException { record, context, .. } = read();
    for (virt, irql) in [(SYSTEM, 0), (USER, 0), (SYSTEM, 2), (USER, 15)] {
        for (refused, told) in [(1, 2), (2, 4), (4, 1)] {
            let cause = Cause::SecondLevel(refused);
            let raised = KernelException { cause, virt, irql, ..read() };
            assert_stops(raised, 0x18d, [told, virt, record, context]);
        }
    }
}

#[test]
fn a_user_page_is_closed_by_smap_or_smep_or_is_an_exception() {
    let user = |error, page| KernelException { virt: USER, page, ..with(error) };
    // What the page allows, SMAP alone can have refused.
    assert_stops(user(1, mapped(true, true)), 0x50, [USER, 0, RIP, 0xf]);
    assert_stops(user(3, mapped(true, true)), 0x50, [USER, 2, RIP, 0xf]);
    assert_stops(user(1, mapped(true, false)), 0x50, [USER, 0, RIP, 0xf]);
    // Execution of a user page: SMEP.
    assert_stops(user(0x11, mapped(true, true)), 0xfc, [USER, ENTRY, 0, 0]);
    for (error, page) in [
        (0, PageState::Absent),
        (2, PageState::NoTable),
        (0x10, PageState::Absent),
        (3, mapped(true, false)),
        // A reserved bit: the walk ends there, whatever the page allows.
        (9, mapped(true, true)),
        (0xb, mapped(true, true)),
    ] {
        let handled = KernelException { has_handler: true, ..user(error, page) };
        assert_eq!(resolve(&handled), Resolution::Handler, "{error:#x} {page:?}");
    }
}

#[test]
fn what_nobody_handles_depends_on_the_way_there() {
    let KernelException { record, context, .. } = read();
    // As debuggers of 64-bit systems print the first parameter: of 0x1E and 0x7E a signed number of 32 bits
    // in 64 (ffffffffc0000005), of 0x3B not (00000000c0000005).
    let extended = |status: u64| 0xffff_ffff_0000_0000 | status;
    let access = KernelException { virt: USER, ..with(0) };
    let null = KernelException { virt: 0x10, ..with(0) };
    let divide = KernelException { cause: Cause::Other(0xc000_0094), virt: 0, ..read() };
    let opcode = KernelException { cause: Cause::Other(0xc000_001d), virt: 0, ..read() };
    for (raised, status, referenced) in [
        (access, 0xc000_0005, USER),
        (null, 0xc000_0005, 0x10),
        (divide, 0xc000_0094, 0),
        (opcode, 0xc000_001d, 0),
    ] {
        let on = |path| resolve(&KernelException { path, ..raised });
        // 0x3B: exception, code, context record, 0.
        let service = [0x3b, status, RIP, context, 0];
        assert_eq!(on(Path::SystemService), Resolution::BugCheck(service));
        // 0x7E: exception, code, exception record, context record.
        let thread = [0x7e, extended(status), RIP, record, context];
        assert_eq!(on(Path::SystemThread), Resolution::BugCheck(thread));
        // 0x1E: exception, code, information 0, information 1: the address.
        let other = [0x1e, extended(status), RIP, 0, referenced];
        assert_eq!(on(Path::Other), Resolution::BugCheck(other));
        let handled = KernelException { has_handler: true, path: Path::Other, ..raised };
        assert_eq!(resolve(&handled), Resolution::Handler);
    }
}

#[test]
fn an_unhandled_access_violation_says_what_the_access_was() {
    // "EXCEPTION_RECORD": the first parameter is 0 for a read, 1 for a write, 8 for an execution.
    for (error, told) in [(0, 0), (2, 1), (0x10, 8)] {
        let raised = KernelException { virt: USER, path: Path::Other, ..with(error) };
        let expected = [0x1e, 0xffff_ffff_c000_0005, RIP, told, USER];
        assert_eq!(resolve(&raised), Resolution::BugCheck(expected));
    }
}

#[test]
fn a_general_protection_is_told_as_a_read_of_the_last_address() {
    // As debuggers print it: "KMODE_EXCEPTION_NOT_HANDLED (1e)" with ffffffffc0000005, where, 0 and
    // ffffffffffffffff, raised by nt!KiGeneralProtectionFault (dokany issue 85, WinDivert issue 129).
    let raised =
        KernelException { cause: Cause::Other(0xc000_0005), virt: 0, path: Path::Other, ..read() };

    let expected = [0x1e, 0xffff_ffff_c000_0005, RIP, 0, 0xffff_ffff_ffff_ffff];
    assert_eq!(resolve(&raised), Resolution::BugCheck(expected));
    // "SYSTEM_SERVICE_EXCEPTION (3b)" with c0000005, where a register that was read through was f7fff8a004060710.
    let service = KernelException { path: Path::SystemService, ..raised };
    let expected = [0x3b, 0xc000_0005, RIP, raised.context, 0];
    assert_eq!(resolve(&service), Resolution::BugCheck(expected));
    // At any level: the first of these came at level 2 too, and is no 0xA.
    for irql in [0, 2, 15] {
        let at = KernelException { irql, ..raised };
        assert_eq!(resolve(&at), resolve(&raised));
        let handled = KernelException { has_handler: true, ..at };
        assert_eq!(resolve(&handled), Resolution::Handler);
    }
    // 0x7E has the same two words in its exception record.
    assert_eq!(record_of(&raised), [0xc000_0005, RIP, 0, 0xffff_ffff_ffff_ffff]);
}

#[test]
fn a_reference_to_the_hole_is_invalid_memory_and_in_older_kernels_an_exception() {
    const HOLE: u64 = 0x0000_8000_0000_0000;
    for (write, told) in [(0, 0), (2, 2)] {
        let raised = KernelException { cause: Cause::NonCanonical(write), virt: HOLE, ..read() };
        // 0x50: address; 0 read, 2 write; code; 4: not canonical. No handler is asked.
        assert_stops(raised, 0x50, [HOLE, told, RIP, 4]);
        let high = KernelException { irql: 2, ..raised };
        assert_stops(high, 0xd1, [HOLE, 2, told >> 1, RIP]);
        // Older kernels: as any general protection, at any level.
        for irql in [0, 2] {
            let early = KernelException { has_early_codes: true, irql, ..raised };
            let expected = [0x3b, 0xc000_0005, RIP, early.context, 0];
            assert_eq!(resolve(&early), Resolution::BugCheck(expected));
            let handled = KernelException { has_handler: true, ..early };
            assert_eq!(resolve(&handled), Resolution::Handler);
            assert_eq!(record_of(&early), [0xc000_0005, RIP, 0, u64::MAX]);
        }
    }
}

#[test]
fn traps_are_exceptions_at_any_level_but_accesses_are_not() {
    let raised = KernelException { irql: 2, path: Path::Other, ..read() };
    let divide = KernelException { cause: Cause::Other(0xc000_0094), virt: 0, ..raised };

    assert_eq!(resolve(&divide), Resolution::BugCheck([0x1e, 0xffff_ffff_c000_0094, RIP, 0, 0]));
    let handled = KernelException { has_handler: true, ..divide };
    assert_eq!(resolve(&handled), Resolution::Handler);
}

#[test]
fn fast_fails_and_double_faults_ask_nobody() {
    for reason in [0, 2, 3, 0xa, 0xe] {
        let raised = KernelException { cause: Cause::FastFail(reason), ..read() };
        // 0x139: for what, trap frame, exception record, reserved.
        let told = [reason, raised.context, raised.record, 0];
        assert_stops(raised, 0x139, told);
        assert_stops(KernelException { irql: 2, ..raised }, 0x139, told);
    }
    assert_stops(KernelException { cause: Cause::DoubleFault, ..read() }, 0x7f, [8, 0, 0, 0]);
}

#[test]
fn each_row_is_reached_by_the_table_above() {
    // All that the function can be told, coarsely; each row must come up.
    let mut reached = std::collections::BTreeSet::new();
    let causes = (0..0x20)
        .map(Cause::PageFault)
        .chain([1, 2, 4].map(Cause::SecondLevel))
        .chain([0, 2].map(Cause::NonCanonical))
        .chain([2, 3, 7, 0x39].map(Cause::FastFail))
        .chain([Cause::Other(5), Cause::DoubleFault]);
    let pages = [
        PageState::NoTable,
        PageState::Absent,
        PageState::Special(Place::Freed),
        PageState::Special(Place::BeyondEnd),
        mapped(true, true),
        mapped(false, true),
    ];
    for cause in causes {
        for virt in [0x10, USER, 0x8000_0000_0000, SYSTEM] {
            for irql in [0, 2] {
                for code in [FaultingCode::Driver, FaultingCode::Windows, FaultingCode::Pool] {
                    for page in pages {
                        for path in [Path::SystemService, Path::SystemThread, Path::Other] {
                            let raised =
                                KernelException { virt, irql, code, page, path, cause, ..read() };
                            if let Resolution::BugCheck([code, rest @ ..]) = resolve(&raised) {
                                let row = crate::kernel::bug_check::described(code, rest);
                                let row = row.expect("it has a row");
                                assert!(row.is_of(rest), "{raised:x?}");
                                reached.insert((row.code, row.subtype));
                            }
                        }
                    }
                }
            }
        }
    }

    for row in BUG_CHECKS.iter().chain(fast_fail::BUG_CHECKS) {
        assert!(reached.contains(&(row.code, row.subtype)), "{row:?} is not reached");
    }
}

#[test]
fn the_halves_and_the_hole_begin_where_the_architecture_says() {
    for (virt, class) in [
        (0, AddressClass::NullPage),
        (0xffff, AddressClass::NullPage),
        (0x1_0000, AddressClass::User),
        (0x0000_7fff_ffff_ffff, AddressClass::User),
        (0x0000_8000_0000_0000, AddressClass::NonCanonical),
        (0xffff_7fff_ffff_ffff, AddressClass::NonCanonical),
        (0xffff_8000_0000_0000, AddressClass::System),
        (u64::MAX, AddressClass::System),
    ] {
        assert_eq!(class_of(virt), class, "{virt:#x}");
    }
}
