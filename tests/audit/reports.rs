//! What is reported of an image.

use ringfence::audit::findings::{Finding, Findings, Kind, find, find_first};
use ringfence::audit::flip::KernelGain;
use ringfence::audit::image::Levels;
use ringfence::audit::listing;
use ringfence::audit::protections::{Machine, NotMade, Open, Protection, open};
use ringfence::audit::space::{Incomplete, Space};
use ringfence::base::PhysAddr;
use ringfence::machine::paging::x86_64::{ControlFlags, Controls, Extent, Rights, lookup};

use crate::images::{self, P, U, W, XD, image};

fn machine(image: ringfence::audit::image::Image) -> Machine {
    let flags = ControlFlags::WP | ControlFlags::SMEP | ControlFlags::SMAP | ControlFlags::NXE;
    let controls = Controls { flags, ..Controls::default() };
    Machine::new(image, controls, false)
}

/// The same, where tables may be missing.
fn incomplete(image: ringfence::audit::image::Image) -> Machine {
    Machine::new(image.clone(), machine(image).controls, true)
}

fn space(image: ringfence::audit::image::Image) -> Space {
    machine(image).space().expect("it is whole")
}

fn count(findings: &Findings, kind: Kind) -> u64 {
    findings.findings.iter().find(|finding| finding.kind == kind).expect("all are there").count
}

fn list(space: &Space) -> Vec<String> {
    let mut lines = Vec::new();
    let extent = listing::pages(space, |page| {
        lines.push(page.to_string());
        true
    });
    assert_eq!(extent, Extent::Complete);
    lines
}

#[test]
fn pages_are_listed_as_an_emulator_lists_them() {
    let lines = list(&space(images::large()));

    let below = |first: u64| {
        [
            format!("{:x},601000,-------U-", first),
            format!("{:x},900000,X------UW", first + 0x5000),
            format!("{:x},600000,--P----UW", first + 0x20_0000),
            format!("{:x},200000,X-P-----W", first + 0x40_0000),
            format!("{:x},800000,--P----U-", first + 0x60_0000),
        ]
    };
    let slots = [0x180_0000_0000, 0x9600_0000_0000, 0xffff_0180_0000_0000, 0xffff_9600_0000_0000];
    assert_eq!(lines, slots.map(below).concat());
}

#[test]
fn an_ordinary_address_space_has_these_findings() {
    // The kernel half is there twice: at slot 256 writable and at slot 511 read-only. The table at
    // 0x12000 is there twice too, and one of its pages is itself.
    let findings = find(&space(images::ordinary()));

    assert_eq!(findings.mappings(), 2 * 4 + 2 * 2 * (5 + 2));
    assert_eq!(count(&findings, Kind::UserInSystemHalf), 0);
    // 0x50000 and, through the table at 0x17000, 0x40000; each at slots 0 and 510 of the writable
    // half, where slot 510 takes W and X away.
    assert_eq!(count(&findings, Kind::WritableAndExecutable), 2);
    assert_eq!(count(&findings, Kind::TablesReadByUser), 0);
    assert_eq!(count(&findings, Kind::TablesWrittenByUser), 0);
    assert_eq!(count(&findings, Kind::TablesWrittenByKernel), 2);
    assert_eq!(count(&findings, Kind::KernelUnderUserRoot), 2 + 28);
    assert_eq!(count(&findings, Kind::ReservedBits), 0);
    assert!(count(&findings, Kind::DifferentRights) >= 3);
}

#[test]
fn the_first_examples_are_the_first_of_all() {
    let of_images = [images::ordinary(), images::large(), images::self_mapped()];
    let random = (0..40).map(images::random);
    let mut seen = [0; 9];
    for image in of_images.into_iter().chain(random) {
        let space = incomplete(image).space().expect("the root is there");
        let all = find(&space);
        for max in [0, 1, 2, 5] {
            let first = find_first(&space, max);

            assert_eq!(first.sizes, all.sizes);
            for ((some, all), seen) in first.findings.iter().zip(&all.findings).zip(&mut seen) {
                let shown = max.min(all.examples.len());
                assert_eq!((some.kind, some.count), (all.kind, all.count));
                assert_eq!(some.instances, all.examples.len() as u64);
                assert_eq!(some.examples, all.examples[..shown]);
                *seen += all.examples.len() - shown;
            }
        }
    }
    assert!(seen.iter().filter(|left_out| **left_out > 0).count() >= 8, "{seen:?}");
}

#[test]
fn a_table_that_user_mode_reaches_is_found() {
    let mut image = images::ordinary();
    image.set(PhysAddr::truncated(0x13010), 0x10000 | 7);

    let findings = find(&space(image));

    assert_eq!(count(&findings, Kind::TablesReadByUser), 1);
    assert_eq!(count(&findings, Kind::TablesWrittenByUser), 1);
}

/// Pages that user mode may access in the system half, counted one by one.
fn user_pages_in_system_half(space: &Space) -> u64 {
    let mut count = 0;
    let extent = listing::pages(space, |page| {
        let reach = lookup(&space.image, &space.controls, page.virt).expect("it was listed");
        let is_one = page.virt.is_system() && reach.rights.has(Rights::USER);
        count += u64::from(is_one);
        true
    });
    assert_eq!(extent, Extent::Complete);
    count
}

#[test]
fn a_table_that_both_halves_name_is_judged_in_each() {
    let below: [(u64, &[(usize, u64)]); 3] =
        [(2, &[(0, 0x3007)]), (3, &[(0, 0x4007)]), (4, &[(0, 0x8007)])];
    let with = |levels, above: &[(u64, &'static [(usize, u64)])]| {
        find(&space(image(levels, 1, &[above, &below].concat())))
    };
    let four = with(Levels::Four, &[(1, &[(0, 0x2007), (256, 0x2007)])]);
    let five = with(Levels::Five, &[(1, &[(3, 0x5007), (511, 0x5007)]), (5, &[(9, 0x2007)])]);

    for (findings, first) in [(four, 0xffff_8000_0000_0000), (five, 0xffff_0480_0000_0000)] {
        let own = |finding: &&Finding| finding.kind == Kind::UserInSystemHalf;
        let found = findings.findings.iter().find(own).expect("all are there");

        assert_eq!(findings.mappings(), 2);
        assert_eq!(found.count, 1);
        assert_eq!(found.examples[0].virt.0, first);
    }
}

#[test]
fn of_tables_that_name_themselves_half_is_in_the_system_half() {
    let entries: Vec<(usize, u64)> = (0..512).map(|slot| (slot, 0x1000 | P | W | U)).collect();
    for (levels, bits) in [(Levels::Four, 36), (Levels::Five, 45)] {
        let findings = find(&space(image(levels, 1, &[(1, &entries)])));

        assert_eq!(findings.mappings(), 1 << bits);
        assert_eq!(count(&findings, Kind::UserInSystemHalf), 1 << (bits - 1));
    }
}

#[test]
fn the_system_half_is_counted_as_its_pages_are_listed() {
    let mut seen = 0;
    for seed in 0..60 {
        let given = incomplete(images::random(seed));
        let space = given.space().expect("the root is there");

        let expected = user_pages_in_system_half(&space);

        assert_eq!(count(&find(&space), Kind::UserInSystemHalf), expected, "seed {seed}");
        seen += expected;
    }
    assert!(seen > 0);
}

#[test]
fn what_user_mode_reaches_is_found_whatever_pkru_denies() {
    let mut image = images::ordinary();
    let key = 1 << 59;
    image.set(PhysAddr::truncated(0x13010), 0x10000 | P | W | U | XD | key);
    image.set(PhysAddr::truncated(0x14ff8), 0x12000 | P | W | U);
    image.set(PhysAddr::truncated(0x10ff8), 0x14000 | P | W | U);
    let mut given = machine(image).with(Protection::Pke, true);
    given.controls.pkru = 0x5555_5554;
    let space = given.space().expect("it is whole");

    let findings = find(&space);

    let denied = space.permits.of(Rights::ROOT, 1);
    assert_eq!(denied.user_text(), "--x");
    assert_eq!(count(&findings, Kind::TablesReadByUser), 1);
    assert_eq!(count(&findings, Kind::TablesWrittenByUser), 1);
    assert_eq!(count(&findings, Kind::UserInSystemHalf), user_pages_in_system_half(&space));
    assert!(count(&findings, Kind::UserInSystemHalf) > 0);
}

#[test]
fn of_a_frame_with_different_rights_every_address_is_counted() {
    let tables: [(u64, &[(usize, u64)]); 4] = [
        (1, &[(0, 0x2000 | P | W | U), (3, 0x2000 | P | W | U), (300, 0x2000 | P)]),
        (2, &[(0, 0x3000 | P | W | U)]),
        (3, &[(0, 0x4000 | P | W | U)]),
        (4, &[(0, 0x8000 | P | W | U)]),
    ];

    let findings = find(&space(image(Levels::Four, 1, &tables)));

    let own = |finding: &&Finding| finding.kind == Kind::DifferentRights;
    let found = findings.findings.iter().find(own).expect("all are there");
    assert_eq!((found.count, found.examples[0].addresses), (1, 3));
}

#[test]
fn without_nx_no_entry_keeps_xd_present_or_not() {
    let mut image = images::ordinary();
    let absent = PhysAddr::truncated(0x13100);
    image.set(absent, 0x4_4000 | W | U | XD);

    let space = machine(image).with(Protection::Nx, false).space().expect("it is whole");

    let index = space.image.index_of(absent.frame()).expect("it is held");
    assert_eq!(space.image.table(index)[32], 0x4_4000 | W | U);
    for index in 0..space.image.frames().len() {
        assert!(space.image.table(index).iter().all(|entry| entry & XD == 0));
    }
}

#[test]
fn a_table_that_is_missing_is_told_and_may_be_left_out() {
    let mut image = images::ordinary();
    image.set(PhysAddr::truncated(0x12008), 0x99000 | 7);

    let error = machine(image.clone()).space().expect_err("0x99000 is not there");
    let missing = incomplete(image).space().expect("the rest");

    let NotMade::Incomplete(Incomplete::Table(told)) = error else { panic!("{error}") };
    assert_eq!((told.at.raw(), told.frame.0), (0x12008, 0x99));
    assert_eq!(count(&find(&missing), Kind::MissingTables), 1);
}

#[test]
fn tables_that_are_read_only_are_not_written() {
    for image in [images::ordinary(), images::large()] {
        let given = machine(image);
        let writes = |machine: &Machine| {
            let space = machine.space().expect("whole");
            let Open { kernel: [_, _, table], .. } = open(&space);
            (count(&find(&space), Kind::TablesWrittenByKernel), table)
        };

        let before = writes(&given);
        let after = writes(&given.with(Protection::ReadOnlyTables, true));

        assert!(before.0 > 0 && before.1 > 0);
        assert_eq!(after, (0, 0));
    }
}

#[test]
fn splitting_a_large_page_changes_no_translation_but_the_right_to_write_tables() {
    let given = machine(images::large());
    let (before, after) = (
        given.space().expect("whole"),
        given.with(Protection::ReadOnlyTables, true).space().expect("whole"),
    );

    assert!(after.image.frames().len() > before.image.frames().len());
    let tables: Vec<u64> = after.image.frames().iter().map(|frame| frame.0).collect();
    let mut differing = 0;
    let _ = listing::pages(&after, |page| {
        let was = lookup(&before.image, &before.controls, page.virt).expect("it was mapped");
        let is = lookup(&after.image, &after.controls, page.virt).expect("it is mapped");
        let distance = page.virt.0 & (was.size.bytes() - 1);
        assert_eq!(is.page, was.page.plus(distance));
        if is.rights != was.rights {
            assert!(tables.contains(&is.page.frame().0), "{page}");
            differing += 1;
        }
        true
    });
    assert!(differing > 0);
}

#[test]
fn each_protection_closes_what_it_is_there_for() {
    let given = machine(images::ordinary());
    let open_with = |protection, on| {
        let space = given.with(protection, on).space().expect("whole");
        let open = open(&space);
        KernelGain::ALL.into_iter().zip(open.kernel).collect::<Vec<_>>()
    };
    let wider = |protection, kind: KernelGain| {
        let of = |on| {
            let all = open_with(protection, on);
            all.into_iter().find(|(own, _)| *own == kind).expect("all").1
        };
        of(false) > of(true)
    };

    assert!(wider(Protection::Smap, KernelGain::Data));
    assert!(wider(Protection::Nx, KernelGain::Execute));
    assert!(wider(Protection::Wp, KernelGain::TableWrite));
    assert!(wider(Protection::ReadOnlyTables, KernelGain::TableWrite));
}
