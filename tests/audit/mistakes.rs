//! What is asked wrongly is refused and no silence, and one flip is told in the manual's words.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use ringfence::audit::image::{Image, Levels};
use ringfence::base::PhysAddr;

use crate::command::{audit, file, image, stderr, stdout};
use crate::files::{raw, tables_alone};
use crate::images::{self, P, PS, U, W};

#[track_caller]
fn assert_refused(output: &Output, wanted: &[&str]) {
    let told = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(output.stdout.is_empty(), "{told}");
    for wanted in wanted {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}

#[test]
fn a_pipe_is_told_from_a_damaged_file() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.args(["audit", "/dev/stdin"]).stdin(Stdio::piped());
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    // It may have ended before it takes anything in.
    let _ = child.stdin.take().expect("a pipe").write_all(&tables_alone(&images::ordinary()));

    let piped = child.wait_with_output().expect("it ends");

    assert_refused(&piped, &["it is a pipe", "into a file"]);
    assert_refused(&audit(&["-"]), &["may be a pipe", "into a file"]);
}

#[test]
fn witnesses_are_asked_for_with_all_flips_only() {
    let image = image("no-witnesses.img");
    let place = file("no-witnesses.csv", b"");
    let place = place.to_str().expect("a plain path");

    for other in [&["--list"][..], &["--flip-one", "0x10000:1"]] {
        let output = audit(&[&[&image, "--witnesses", place], other].concat());

        assert_refused(&output, &["--witnesses", other[0]]);
    }
}

#[test]
fn an_image_is_never_written_over_by_its_own_witnesses_by_whatever_name() {
    let image = image("own-witnesses.img.partial");
    let before = std::fs::read(&image).expect("it is there");
    let linked = |name: &str, link: fn(&str, &Path) -> std::io::Result<()>| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_file(&path);
        link(&image, &path).expect("a link");
        path.to_str().expect("a plain path").to_owned()
    };
    let mut names = vec![
        image.clone(),
        // What it is called until it is complete.
        image.strip_suffix(".partial").expect("it ends so").to_owned(),
        linked("own-witnesses.hard", |image, path| std::fs::hard_link(image, path)),
    ];
    #[cfg(unix)]
    names.push(linked("own-witnesses.soft", |image, path| std::os::unix::fs::symlink(image, path)));

    for name in &names {
        let output = audit(&[&image, "--flip", "--witnesses", name]);

        assert_refused(&output, &["--witnesses would write over", "give --witnesses another file"]);
        assert_eq!(std::fs::read(&image).expect("it is there"), before, "{name}");
    }
}

#[test]
fn a_list_that_is_not_whole_is_told_as_that() {
    let mut tables = images::ordinary();
    tables.set(PhysAddr::truncated(0x12008), 0x99000 | 7);
    let gap = file("gap.img", &tables_alone(&tables));
    let gap = gap.to_str().expect("a plain path");

    let partial = audit(&[gap, "--list", "--incomplete"]);
    let whole = audit(&[&image("whole.img"), "--list", "--incomplete"]);

    assert!(stdout(&partial).starts_with("va,pa,flags\n"));
    assert!(stderr(&partial).starts_with("warning: "), "{}", stderr(&partial));
    assert!(stderr(&partial).contains("1 page tables that are named are not in the image"));
    assert_eq!((stdout(&whole).is_empty(), stderr(&whole).as_str()), (false, ""));
}

/// A header that leaves the number of program headers to its first section (`PN_XNUM`; System V ABI, "ELF
/// Header"), and twenty million of them, which packed take a few KiB.
#[test]
fn a_core_with_more_program_headers_than_are_read_is_refused() {
    let mut core = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    core.extend([4, 0, 62, 0, 1, 0, 0, 0]);
    for word in [0u64, 128, 64] {
        core.extend(word.to_le_bytes());
    }
    core.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 0xffff, 64, 0, 0] {
        core.extend(half.to_le_bytes());
    }
    let mut section = [0; 64];
    section[44..48].copy_from_slice(&20_000_000u32.to_le_bytes());
    core.extend(section);
    let core = file("headers.elf", &core);

    let refused = audit(&[core.to_str().expect("a plain path")]);

    assert_refused(&refused, &["it says it has 20000000 program headers; 262144 at most are read"]);
}

#[test]
fn a_base_that_is_no_frame_is_refused() {
    let image = image("base.img");

    assert_refused(&audit(&[&image, "--base", "123"]), &["--base", "a multiple of 0x1000"]);
}

#[test]
fn a_table_beyond_the_end_of_a_dump_is_told_with_the_end() {
    let bytes = raw(&images::ordinary(), 0);
    let cut = file("cut.raw", &bytes[..bytes.len() - 100]);
    let cut = cut.to_str().expect("a plain path");

    let refused = audit(&[cut, "--cr3", "0x10000"]);
    let told = stdout(&audit(&[cut, "--cr3", "0x10000", "--incomplete"]));

    assert_refused(&refused, &["names a PT table at 0x17000", "the file ends at 0x17f9c"]);
    assert!(told.contains("the file ends at 0x17f9c"), "{told}");
}

/// What is told of a flip.
fn told(name: &str, image: &Image, arguments: &[&str]) -> String {
    let file = file(name, &tables_alone(image));
    stdout(&audit(&[&[file.to_str().expect("a plain path")], arguments].concat()))
}

#[track_caller]
fn assert_field(told: &str, bits: &str, name: &str) {
    let mut rows = told.lines().map(str::trim_start);
    let row = rows.find(|row| row.split_whitespace().next() == Some(bits));
    let row = row.unwrap_or_else(|| panic!("no bits {bits}: {told}"));
    let row = row.trim_start_matches(bits).trim_start();
    assert!(row.starts_with(&format!("{name} ")), "{bits}: {row}");
}

#[test]
fn the_fields_of_an_entry_are_those_of_its_size() {
    let sizes = images::image(
        Levels::Four,
        1,
        &[
            (1, &[(0, 0x2000 | P | W | U)]),
            (2, &[(0, 0x4000_0000 | P | U | PS), (1, 0x3000 | P | U)]),
            (3, &[(0, 0x20_0000 | P | U | PS)]),
        ],
    );
    let flip = |flip: &str| told("sizes.img", &sizes, &["--flip-one", flip]);

    let one_gib = flip("0x2000:12");
    let two_mib = flip("0x3000:13");
    let table = flip("0x2008:13");
    let becomes_a_page = flip("0x2008:7");

    for (bits, name) in [("12", "PAT"), ("29:13", "reserved"), ("39:30", "address")] {
        assert_field(&one_gib, bits, name);
    }
    assert!(one_gib.contains("maps 1 GiB at 0x40000000"), "{one_gib}");
    for (bits, name) in [("12", "PAT"), ("20:13", "reserved"), ("39:21", "address")] {
        assert_field(&two_mib, bits, name);
    }
    assert_field(&table, "39:12", "address");
    assert_field(&table, "51:40", "reserved");
    assert_field(&becomes_a_page, "12", "PAT of a page, or address of a table");
    assert!(becomes_a_page.contains("reserved bits 0x2000 set"), "{becomes_a_page}");
}

#[test]
fn the_fields_of_an_entry_are_those_of_the_machine() {
    let image = images::ordinary();
    let flip = |flip, options: &[&str]| {
        told("machine.img", &image, &[&["--flip-one", flip], options].concat())
    };

    assert_field(&flip("0x10000:8", &[]), "8", "ignored");
    for name in ["amd", "AMD"] {
        assert_field(&flip("0x10000:8", &["--vendor", name]), "8", "reserved");
    }
    assert_field(&flip("0x13000:63", &[]), "63", "XD, not executable");
    assert_field(&flip("0x13000:63", &["--off", "nx"]), "63", "reserved");
    assert_field(&flip("0x13000:1", &["--maxphyaddr", "52"]), "51:12", "address");
}

#[test]
fn of_a_table_outside_the_image_no_entry_is_told() {
    let text = told("outside.img", &images::ordinary(), &["--flip-one", "0x12010:20"]);

    let outside = text.lines().find(|line| line.contains("whatever that frame holds"));
    let words: Vec<&str> = outside.expect("a walk").split_whitespace().take(3).collect();
    assert_eq!(words, ["PT", "0x113000", "?"]);
}
