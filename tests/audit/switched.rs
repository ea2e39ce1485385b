//! The same machine with a protection switched, as the command tells of it.

use ringfence::audit::image::{Image, Levels};
use serde_json::Value;

use crate::command::{audit, file, stdout};
use crate::files::tables_alone;
use crate::images::{P, PS, U, W, XD, image};

/// What `--flip` says of an image, object by object.
fn told(name: &str, image: &Image, arguments: &[&str]) -> Vec<Value> {
    let file = file(name, &tables_alone(image));
    let file = file.to_str().expect("a plain path");
    let text = stdout(&audit(&[&[file, "--flip", "--json"], arguments].concat()));
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[track_caller]
fn margin<'a>(told: &'a [Value], state: &str) -> &'a Value {
    let mut margins = told.iter().filter_map(|object| object.get("margin"));
    margins.find(|margin| margin["state"] == state).unwrap_or_else(|| panic!("no row {state}"))
}

fn open(told: &[Value], state: &str) -> Option<u64> {
    margin(told, state)["kernel-writes-table"]["open"].as_u64()
}

/// Seven tables; the kernel maps each of them by a page of 4 KiB with `rights`, below a PML4E with
/// `above`, and two more frames.
fn direct_map(above: u64, rights: u64) -> Image {
    let mut pages: Vec<(usize, u64)> =
        (0x10..=0x16).map(|frame: usize| (frame, (frame as u64) << 12 | P | rights | XD)).collect();
    pages.extend([(0x40, 0x40000 | P | W | XD), (0x41, 0x41000 | P | W | XD)]);
    let tables: [(u64, &[(usize, u64)]); 7] = [
        (0x10, &[(0, 0x11000 | P | W | U), (256, 0x14000 | P | above)]),
        (0x11, &[(0, 0x12000 | P | W | U)]),
        (0x12, &[(2, 0x13000 | P | W | U)]),
        (0x13, &[(0, 0x40000 | P | W | U | XD)]),
        (0x14, &[(0, 0x15000 | P | W)]),
        (0x15, &[(0, 0x16000 | P | W)]),
        (0x16, &pages),
    ];
    image(Levels::Four, 0x10, &tables)
}

#[test]
fn whether_tables_are_read_only_is_read_from_the_image() {
    let protected = told("read-only.img", &direct_map(W, 0), &[]);
    let open_to_all = told("writable.img", &direct_map(W, W), &[]);

    for (told, own) in [(&protected, "on"), (&open_to_all, "off")] {
        let listed = told[0]["image"][own].as_array().expect("names");
        assert!(listed.iter().any(|name| name == "read-only-tables"), "{own}: {listed:?}");
        assert_eq!(open(told, "read-only-tables on"), Some(0));
        // Each of the seven by one page.
        assert_eq!(open(told, "read-only-tables off"), Some(7));
        assert_eq!(
            margin(told, &format!("read-only-tables {own}"))["kernel-faults"],
            margin(told, "as given")["kernel-faults"]
        );
    }
    let off = told("off.img", &direct_map(W, 0), &["--off", "read-only-tables"]);
    assert_eq!(open(&off, "as given"), Some(7));
}

#[test]
fn a_page_of_2_mib_is_split_so_that_only_tables_are_switched() {
    let tables: [(u64, &[(usize, u64)]); 3] = [
        (0x200, &[(256, 0x201000 | P | W)]),
        (0x201, &[(0, 0x202000 | P | W)]),
        (0x202, &[(1, 0x200000 | P | PS | XD)]),
    ];

    let told = told("large.img", &image(Levels::Four, 0x200, &tables), &[]);

    assert_eq!(open(&told, "as given"), Some(0));
    assert_eq!(open(&told, "read-only-tables off"), Some(3));
    assert_eq!(margin(&told, "read-only-tables off")["tables"], 4);
}

#[test]
fn tables_that_no_page_leads_to_are_not_told_as_read_only() {
    let tables: [(u64, &[(usize, u64)]); 4] = [
        (1, &[(0, 0x2000 | P | W | U)]),
        (2, &[(0, 0x3000 | P | W | U)]),
        (3, &[(0, 0x4000 | P | W | U)]),
        (4, &[(0, 0x8000 | P | W | U)]),
    ];

    let told = told("unmapped.img", &image(Levels::Four, 1, &tables), &[]);

    let off = told[0]["image"]["off"].as_array().expect("names");
    assert!(off.iter().any(|name| name == "read-only-tables"), "{off:?}");
}

/// The self-map reads the PDPT as a page directory too: its entry 5 is reserved in the one (bits 29:13
/// of a page of 1 GiB) and a page of 2 MiB with all tables in the other.
#[test]
fn an_entry_that_is_reserved_at_another_level_is_not_split() {
    let tables: [(u64, &[(usize, u64)]); 4] = [
        (0x200, &[(0, 0x201000 | P | W | U), (1, 0x200000 | P | W | XD)]),
        (0x201, &[(0, 0x202000 | P | W | U), (5, 0x200000 | P | W | PS)]),
        (0x202, &[(0, 0x203000 | P | W | U)]),
        (0x203, &[(0, 0x900000 | P | W | U | XD)]),
    ];

    let told = told("reserved-above.img", &image(Levels::Four, 0x200, &tables), &[]);

    assert!(open(&told, "read-only-tables on").is_some());
    assert_eq!(told.last().expect("objects")["summary"]["flips"], 4 * 512 * 64);
}

/// Read-only by the PML4E: no entry that maps a table makes it writable.
#[test]
fn of_a_machine_that_can_t_be_made_the_reason_is_told_and_everything_else() {
    let image = direct_map(0, W);
    let objects = told("above.img", &image, &[]);
    let path = file("above.img", &tables_alone(&image));
    let path = path.to_str().expect("a plain path");
    let text = stdout(&audit(&[path, "--flip"]));

    let reason = "page tables stay read-only by entries above their pages";
    let off = margin(&objects, "read-only-tables off");
    assert!(off["not-made"].as_str().is_some_and(|told| told.contains(reason)), "{off}");
    assert_eq!(open(&objects, "read-only-tables on"), Some(0));
    assert_eq!(objects.last().expect("objects")["summary"]["flips"], 7 * 512 * 64);
    assert!(text.contains("Isolation margin"), "{text}");
    assert!(text.contains(&format!("read-only-tables off can't be made: {reason}")), "{text}");
    let asked = audit(&[path, "--off", "read-only-tables"]);
    let told = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert_eq!(asked.status.code(), Some(2));
    assert!(told.contains(reason), "{told}");
}

/// What a process wrote into its own page before the flip are the entries of the table after it.
#[test]
fn a_table_filled_before_the_flip_is_one_of_the_process() {
    let tables: [(u64, &[(usize, u64)]); 4] =
        [(1, &[(0, 0x2067)]), (2, &[(0, 0x3067)]), (3, &[(2, 0x4067)]), (4, &[(0, 0x2_0067)])];
    let path = file("filled.img", &tables_alone(&image(Levels::Four, 1, &tables)));
    let path = path.to_str().expect("a plain path");

    let text = stdout(&audit(&[path, "--flip-one", "0x1000:12"]));

    for wanted in [
        "A user process gets: write access to a page-table frame",
        "0x400000 could write frame 0x20000, now a page table",
        "0x20000 is read as a PT table for 0x80000000",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}
