//! Bad input is told with its place, and any bytes end without a panic.

use ringfence::conformance::trace::{Checker, Language};

#[track_caller]
fn assert_mistake(language: Language, before: &str, line: &str, marked: &str, what: &str) {
    let mut checker = Checker::new(language);
    for line in before.lines() {
        let _ = checker.line(line).unwrap_or_else(|mistake| panic!("{line}: {mistake:?}"));
    }
    let mistake = checker.line(line).map(<[_]>::to_vec).expect_err(line);
    assert!(mistake.what.contains(what), "{line}: {mistake:?}");
    assert_eq!(line.get(mistake.at.clone()), Some(marked), "{line}: {mistake:?}");
    assert!(!mistake.expected.is_empty(), "{mistake:?}");
}

#[test]
fn a_mistake_is_told_where_it_is() {
    let aarch64 = "trace 1 aarch64";
    for (before, line, marked, what) in [
        ("", "store 0 0x1000 0", "store", "of which architecture"),
        ("", "trace 2 aarch64", "2", "version 2"),
        ("", "trace 1 z80", "z80", "no architecture"),
        ("", "trace 1", "", "ends here"),
        (aarch64, "trace 1 aarch64", "trace", "begins once"),
        (aarch64, "stoer 0 0x1000 0", "stoer", "no event"),
        (aarch64, "store 0 0x1000", "", "ends here"),
        (aarch64, "store 0 0x1004 0", "0x1004", "no multiple of 8"),
        (aarch64, "store 0 0xfeed_beef 0", "0xfeed_beef", "no number"),
        (aarch64, "store 0 0x1000 0x10000000000000000", "0x10000000000000000", "64 bits"),
        (aarch64, "store 256 0x1000 0", "256", "no processor"),
        (aarch64, "store 0 0x1000 0 acquire", "acquire", "no such order"),
        (aarch64, "store 0 0x1000 0 release 7", "7", "no part of this event"),
        (aarch64, "set 0 cr3 0x1000", "cr3", "no register"),
        (aarch64, "set 0 tcr_el1 0x4000", "0x4000", "not a granule of 4 KiB"),
        (aarch64, "set 0 vtcr_el2 0x50018", "0x50018", "SL0"),
        (aarch64, "barrier 0 dsb everywhere", "everywhere", "no barrier"),
        (aarch64, "barrier 0 mfence", "mfence", "no barrier"),
        (aarch64, "invalidate 0 vae1is", "vae1is", "one operand"),
        (aarch64, "invalidate 0 vmalle1is 7", "7", "no operand"),
        (aarch64, "invalidate 0 invlpg 0", "invlpg", "no TLBI operation"),
        (aarch64, "init 0 0xfffffffffffff000", "init", "more than is remembered"),
        (aarch64, "free 0 0x1000 0", "0", "no byte"),
        (aarch64, "allocate 0 0x1000 0", "0", "no byte"),
        (aarch64, "init 0x1000 0", "0", "no byte"),
        ("trace 1 x86-64", "invalidate 0 invpcid 1 0x1000 0", "0x1000", "no process-context"),
        ("trace 1 x86-64", "invalidate 0 invpcid 1", "invpcid", "other operands"),
        ("trace 1 x86-64", "set 0 ttbr0_el1 0", "ttbr0_el1", "no register"),
    ] {
        assert_mistake(Language::Own, before, line, marked, what);
    }
    let record = "(mem-write (id 1) (tid 0) (mem-order plain) (address 0x1000)";
    for (line, marked, what) in [
        (record, "", "ends within a record"),
        ("store 0 0x1000 0", "store", "no record"),
        ("(mem-wirte (id 1) (tid 0))", "mem-wirte", "no record has the name"),
        ("(lock (id 1) (tid 999) (address 0))", "999", "no thread"),
        ("(lock (id 1) (tid 0) (address zz))", "zz", "no such number"),
        ("(lock (id 1) (tid 0) (adress 0))", "0", "adress stands where"),
        ("(lock (id 1) (tid 0) (address 0) (more 1))", "1", "no field more"),
        ("(lock (id 1) (tid 0) (address 0)) (", "(", "follows the record"),
        ("(hint (id 1) (tid 0) (kind guess) (location 0) (value 0))", "guess", "no hint"),
    ] {
        assert_mistake(Language::Casemate, "", line, marked, what);
    }
}

#[test]
fn blank_lines_and_comments_are_no_events() {
    let mut checker = Checker::new(Language::Own);

    for line in
        ["", "   ", "# a trace", "trace 1 aarch64 # of a kernel", "\tinit\t0x1000  4096 # x"]
    {
        assert_eq!(checker.line(line).map(<[_]>::len), Ok(0), "{line}");
    }
}

#[test]
fn more_frames_than_are_remembered_is_a_mistake_and_not_a_crash() {
    let mut checker = Checker::new(Language::Own);
    let _ = checker.line("trace 1 x86-64").expect("a line");
    let mut lines = (0u64..).map(|number| format!("store 0 {:#x} 1", number << 12));

    let refused = lines.by_ref().take(300_000).find_map(|line| checker.line(&line).err());

    let mistake = refused.expect("a bound");
    assert!(mistake.what.contains("more than 262144 frames"), "{mistake:?}");
}
