//! `ringfence translate` as its user meets it: rows in, answers or disagreements out.

#![cfg(feature = "cli")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Output, Stdio};

const FIXTURE: &str = include_str!("fixtures/translation-recorded.csv");
const HEADER: &str = "id,mode,va,acc,cpl,pkru,e5,e4,e3,e2,e1";
/// Reads `VA` as a user: PTE 0x1123007 at indices 1, 2, 3, 4.
const ROW: &str = "7,10,8080604008,0,3,0,0,602007,603007,604007,1123007";
const ANSWER: &str = "7,ok,,1123008,f,0";

fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .arg("translate")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// What becomes of these bytes on standard input.
fn translate(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = start(arguments);
    let mut stdin = child.stdin.take().expect("it was piped");
    let input = input.to_vec();
    // What is refused early is not read to its end.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("it ends too");
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[track_caller]
fn assert_answer(arguments: &[&str], input: &str, answer: &str) {
    let output = translate(arguments, input.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), format!("id,out,err,addr,aset,dset\n{answer}\n"));
    assert_eq!(stderr(&output), "");
}

#[track_caller]
fn assert_refused(arguments: &[&str], input: &[u8], told: &[&str]) -> Output {
    let output = translate(arguments, input);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    for wanted in told {
        assert!(stderr(&output).contains(wanted), "{wanted:?} is not in:\n{}", stderr(&output));
    }
    output
}

#[test]
fn what_other_implementations_did_is_answered_row_by_row() {
    let output = translate(&[], FIXTURE.as_bytes());

    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let answers = stdout(&output);
    let rows: Vec<Vec<&str>> =
        FIXTURE.lines().skip(1).map(|row| row.split(',').collect()).collect();
    assert_eq!(answers.lines().count(), rows.len() + 1);
    for (answer, row) in answers.lines().skip(1).zip(rows) {
        let expected = [row[0], row[12], row[13], row[14], row[15], row[16]].join(",");
        assert_eq!(answer, expected);
    }
}

#[test]
fn what_other_implementations_did_agrees_in_every_set() {
    let output = translate(&["--expect"], FIXTURE.as_bytes());

    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let text = stdout(&output);
    for set in ["S1", "S2", "S3", "S4", "S5", "S8", "R", "all"] {
        assert!(text.lines().any(|line| line.starts_with(set)), "{set}: {text}");
    }
    assert!(text.ends_with("620 of 620 cases agree, 0 disagree\n"), "{text}");
}

#[test]
fn each_planted_disagreement_is_seen_and_explained() {
    let expected = |cells: &str| format!("{HEADER},set,out,err,addr,aset,dset\n{ROW},S1,{cells}\n");
    for (cells, column, told) in [
        ("pf,5,8080604008,0,0", "out", "expected pf, found ok"),
        ("ok,5,1123008,f,0", "err", "expected 5 (P U/S), found none"),
        ("ok,,1124008,f,0", "addr", "expected 1124008, found 1123008"),
        ("ok,,1123008,e,0", "aset", "expected e (PDE PDPTE PML4E), found f"),
        ("ok,,1123008,f,1", "dset", "expected 1 (PTE), found 0"),
    ] {
        let output = translate(&["--expect"], expected(cells).as_bytes());

        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.starts_with("standard input:2: case 7 of S1 disagrees\n"), "{text}");
        assert!(text.contains(&format!("  {column:<8} {told}")), "{text}");
        assert!(text.contains("PTE      at 604020: 0000000001123007  P R/W U/S key 0"), "{text}");
        assert!(text.contains("every check permits it"), "{text}");
        assert!(text.ends_with("0 of 1 cases agree, 1 disagree\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}

#[test]
fn a_fault_is_explained_by_check_level_and_rule() {
    let row = ROW.replace("603007", "603005").replace(",0,3,", ",1,3,");
    let text = format!("{HEADER},out,err,addr,aset,dset\n{row},ok,,1123008,f,1\n");

    let output = translate(&["--expect"], text.as_bytes());

    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("err      expected none, found 7 (P W/R U/S)"), "{text}");
    assert!(text.contains("PDPTE: R/W is 0, and it is a write"), "{text}");
    assert!(text.contains("\"Determination of Access Rights\""), "{text}");
}

#[test]
fn accessed_bits_after_a_fault_may_be_those_of_the_entries_passed_and_no_others() {
    let row = ROW.replace("1123007", "1123006");
    for (mask, agrees) in [("0", true), ("8", true), ("e", true), ("f", false), ("10", false)] {
        let text = format!("{HEADER},out,err,addr,aset,dset\n{row},pf,4,8080604008,{mask},0\n");

        let output = translate(&["--expect"], text.as_bytes());

        assert_eq!(output.status.code(), Some(i32::from(!agrees)), "{mask}: {}", stdout(&output));
    }
    let file = format!("{HEADER}\n{row}\n");
    assert_answer(&[], &file, "7,pf,4,8080604008,0,0");
    assert_answer(&["--accessed-on-fault", "passed"], &file, "7,pf,4,8080604008,e,0");
}

/// `passed` is the entries that named a table. QEMU marks a 1-GiB leaf too, and the leaf that the read of
/// a read-modify-write succeeded with; whoever compares with it is told so.
#[test]
fn what_else_than_passed_entries_qemu_marks_is_told_and_not_answered() {
    let passed = ["--accessed-on-fault", "passed"];
    let gigabyte = "7,10,8080604008,1,3,0,0,602007,40000085,0,0";
    assert_answer(&passed, &format!("{HEADER}\n{gigabyte}\n"), "7,pf,7,8080604008,8,0");
    let exchange = ROW.replace("1123007", "1123005").replace(",0,3,", ",3,3,");
    assert_answer(&passed, &format!("{HEADER}\n{exchange}\n"), "7,pf,7,8080604008,e,0");

    let help = translate(&["--help"], b"");

    let text = stdout(&help).split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in [
        "QEMU 7.2 and Unicorn set these too, and further ones that are not set here",
        "a PDPTE that is a 1-GiB page",
        "the leaf of a read-modify-write whose read succeeded",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is not in:\n{text}");
    }
}

#[test]
fn a_setting_that_would_agree_is_named() {
    let amd = ROW.replace("602007", "602107");
    let wide = ROW.replace("1123007", "20001123007");
    for (row, seen, setting) in [
        (&amd, "pf,d,8080604008,0,0", "agrees   with --vendor amd"),
        (&wide, "ok,,20001123008,f,0", "agrees   with --maxphyaddr 42 to 52"),
    ] {
        let text = format!("{HEADER},out,err,addr,aset,dset\n{row},{seen}\n");

        let output = translate(&["--expect"], text.as_bytes());

        assert!(stdout(&output).contains(setting), "{}", stdout(&output));
    }
    for name in ["amd", "AMD"] {
        let file = format!("{HEADER}\n{amd}\n");
        assert_answer(&["--vendor", name], &file, "7,pf,d,8080604008,0,0");
    }
}

#[test]
fn options_move_every_part_of_the_machine() {
    let file = format!("{HEADER}\n{ROW}\n");
    let absent = "7,pf,4,8080604008,0,0";
    assert_answer(&[], &file, ANSWER);
    assert_answer(&["--tables", "700000..710000"], &file, absent);
    assert_answer(&["--cr3", "12345000"], &file, ANSWER);
    assert_answer(&["--decode-bits", "20"], &file, "7,ok,,23008,f,0");
    let five = format!(
        "{HEADER}\n{}\n",
        ROW.replace("7,10,", "7,110,").replace(",0,602007", ",601007,602007")
    );
    assert_answer(&["--cr3-la57", "620000"], &five, "7,ok,,1123008,1f,0");
    // A page table that lies in data memory holds no present entry.
    let data = format!("{HEADER}\n{}\n", ROW.replace("604007", "1000007"));
    assert_answer(&[], &data, absent);
    let wide = format!("{HEADER}\n{}\n", ROW.replace("1123007", "1001123007"));
    assert_answer(&["--maxphyaddr", "36"], &wide, "7,pf,d,8080604008,0,0");
    assert_answer(&["--maxphyaddr", "37", "--decode-bits", "32"], &wide, ANSWER);
}

#[test]
fn a_root_that_maxphyaddr_has_no_room_for_is_refused() {
    let file = format!("{HEADER}\n{ROW}\n");
    let wide = ["--cr3", "1000600000", "--maxphyaddr", "36"];
    assert_refused(&wide, file.as_bytes(), &["--cr3 1000600000", "MAXPHYADDR (36)", "37 or more"]);
    assert_refused(
        &["--cr3-la57", "10000600000"],
        file.as_bytes(),
        &["--cr3-la57 10000600000", "MAXPHYADDR (40)", "41 or more"],
    );
    let of_rows = format!("mpa,{HEADER}\n40,{ROW}\n36,{ROW}\n");
    let output = assert_refused(
        &["--cr3", "1000600000"],
        of_rows.as_bytes(),
        &["CR3 is 1000600000", "standard input:3:", "an `mpa` from 37 on"],
    );
    assert_eq!(stdout(&output), format!("id,out,err,addr,aset,dset\n{ANSWER}\n"));
}

/// Lower tables are placed by bits 39:12 of the entry above: none is ever found further up.
#[test]
fn tables_above_what_places_them_are_refused_and_data_there_are_not() {
    let file = format!("{HEADER}\n{ROW}\n");
    for range in ["10000601000..10000610000", "601000..10000001000"] {
        let told = [&format!("--tables {range}"), "bits 39:12", "10000000000 (2^40)"];
        let output = assert_refused(&["--tables", range], file.as_bytes(), &told);
        assert!(output.stdout.is_empty());
    }
    assert_answer(&["--tables", "601000..10000000000"], &file, ANSWER);
    // Memory that doesn't decode bit 40 has them lower down as well.
    let decoded = ["--tables", "10000601000..10000610000", "--decode-bits", "40"];
    assert_answer(&decoded, &file, ANSWER);
    let data = ["--data", "10000000000..20000000000"];
    assert_answer(&data, &file, ANSWER);
}

/// A read sets accessed bits, and then the write faults at the PTE: that write found them set.
#[test]
fn the_entries_of_a_write_are_shown_as_the_read_before_it_left_them() {
    let row = ROW.replace("1123007", "1123005").replace(",0,3,", ",4,3,");
    let text = format!("{HEADER},out,err,addr,aset,dset\n{row},ok,,1123008,f,1\n");

    let told = stdout(&translate(&["--expect"], text.as_bytes()));

    assert!(told.contains("PTE      at 604020: 0000000001123025  P U/S A key 0"), "{told}");
    assert!(told.contains("PML4E    at 600008: 0000000000602027  P R/W U/S A"), "{told}");
}

#[test]
fn a_row_may_have_a_width_and_supervisor_keys_of_its_own() {
    let header = format!("mpa,pkrs,{HEADER}");
    let row =
        ROW.replace("1123007", "1001123003").replace(",0,3,", ",0,0,").replace("7,10,", "7,210,");
    for (cells, answer) in [
        ("36,0", "7,pf,9,8080604008,0,0"),
        ("37,0", "7,ok,,1001123008,f,0"),
        ("52,1", "7,pf,21,8080604008,0,0"),
        (",", "7,ok,,1001123008,f,0"),
    ] {
        assert_answer(&[], &format!("{header}\n{cells},{row}\n"), answer);
    }
    // As QEMU and Bochs have it: of a supervisor page user mode is refused before keys are looked at.
    let row = "1,210,8080604008,0,3,0,0,602007,603007,604007,1800000001123003,40";
    let header = format!("{HEADER},pkrs");
    assert_answer(&[], &format!("{header}\n{row}\n"), "1,pf,5,8080604008,0,0");
    let write = row.replace(",0,3,0,", ",1,3,0,");
    assert_answer(&[], &format!("{header}\n{write}\n"), "1,pf,7,8080604008,0,0");
    let supervisor = row.replace(",0,3,0,", ",0,0,0,");
    assert_answer(&[], &format!("{header}\n{supervisor}\n"), "1,pf,21,8080604008,0,0");
}

#[test]
fn columns_come_in_any_order_with_others_beside_them() {
    let names: Vec<&str> = HEADER.split(',').rev().collect();
    let cells: Vec<&str> = ROW.split(',').rev().collect();
    let text = format!("note,{},who\n\"a, \"\"b\"\"\nc\",{},\n", names.join(","), cells.join(","));

    assert_answer(&[], &text, ANSWER);
}

#[test]
fn a_mark_in_front_other_line_ends_blank_lines_and_quotes_change_nothing() {
    for text in [
        format!("\u{feff}{HEADER}\n{ROW}\n"),
        format!("{HEADER}\r\n{ROW}\r\n"),
        format!("\n\r\n{HEADER}\n\n\n{ROW}\n\n"),
        format!("\"{}\"\n\"{}\"\r\n", HEADER.replace(',', "\",\""), ROW.replace(',', "\",\"")),
    ] {
        assert_answer(&[], &text, ANSWER);
    }
    let output = translate(&[], HEADER.as_bytes());
    assert_eq!((output.status.code(), stdout(&output).lines().count()), (Some(0), 1));
}

#[test]
fn a_file_that_may_be_cut_in_its_last_cell_is_warned_of() {
    let expected = format!("{HEADER},out,err,addr,aset,dset\n{ROW},ok,,1123008,f,0");
    let (case, compared) = (format!("{HEADER}\n{ROW}"), &expected);
    let warning = "warning: standard input:2: the last line has no line end: is the file whole?\n";
    for (arguments, text) in [
        (&[][..], &case),
        (&["--json"], &case),
        (&["--expect"], compared),
        (&["--expect", "--json"], compared),
    ] {
        let open = translate(arguments, text.as_bytes());
        let closed = translate(arguments, format!("{text}\n").as_bytes());

        assert_eq!(stderr(&open), warning, "{arguments:?}");
        assert_eq!(stderr(&closed), "", "{arguments:?}");
        assert_eq!((open.status.code(), closed.status.code()), (Some(0), Some(0)));
        assert_eq!(stdout(&open), stdout(&closed));
    }
}

/// How it ends when its reader takes so many bytes and leaves; and what it says then.
fn left_after(bytes: usize, arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = start(arguments);
    let mut stdin = child.stdin.take().expect("it was piped");
    let mut answers = child.stdout.take().expect("it was piped");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let mut read = vec![0; bytes];
    answers.read_exact(&mut read).expect("it answers");
    drop(answers);
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("it ends too");
    (output.status.code(), stderr(&output))
}

#[test]
fn a_disagreement_is_one_whoever_reads_it() {
    let header = format!("{HEADER},out,err,addr,aset,dset\n");
    let agrees = format!("{ROW},ok,,1123008,f,0\n");
    let disagrees = format!("{ROW},pf,4,8080604008,0,0\n");
    let many = 20_000;

    for json in [&["--expect"][..], &["--expect", "--json"]] {
        let all = format!("{header}{}", disagrees.repeat(many));
        assert_eq!(left_after(1, json, &all), (Some(1), String::new()));
        // All of it fits in what is written at the end.
        let few = format!("{header}{agrees}{disagrees}");
        assert_eq!(left_after(0, json, &few), (Some(1), String::new()));
        let none = format!("{header}{agrees}");
        assert_eq!(left_after(0, json, &none), (Some(0), String::new()));
    }
    let cases = format!("{HEADER}\n{}", format!("{ROW}\n").repeat(many));
    assert_eq!(left_after(1, &[], &cases), (Some(0), String::new()));
}

#[test]
fn bytes_that_are_no_text_are_harmless_beside_the_case() {
    let mut text = format!("{HEADER},note\n{ROW},").into_bytes();
    text.extend_from_slice(b"\0\xff\xfe\n");

    let output = translate(&["-"], &text);

    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).ends_with(&format!("{ANSWER}\n")));
}

#[test]
fn a_cell_that_cannot_be_read_is_told_with_line_column_and_what_was_expected() {
    let bad = |column: usize, cell: &str| {
        let mut cells: Vec<&str> = ROW.split(',').collect();
        cells[column] = cell;
        format!("{HEADER}\n{ROW}\n\n{}\n{ROW}\n", cells.join(","))
    };
    for (column, cell, place, told) in [
        (0, "x", ":4:1", "column `id`"),
        (0, "18446744073709551616", ":4:1", "a decimal number"),
        (1, "400", ":4:3", "bits 0 to 9"),
        (2, "0x8080604008", ":4:6", "leave out the `0x`"),
        (2, "10000000000000000", ":4:6", "a number of 64 bits"),
        (3, "5", ":4:17", "0 to 4"),
        (4, "1", ":4:19", "0 or 3"),
        (5, "100000000", ":4:21", "a number of 32 bits"),
        (7, "", ":4:25", "column `e4` is empty"),
        (8, "60 3007", ":4:32", "column `e3`"),
        (10, " 1123007", ":4:46", "leave out the blanks"),
        (10, "11\0", ":4:46", "column `e1`: 11\\0 can't be read"),
    ] {
        let output = assert_refused(&[], bad(column, cell).as_bytes(), &[place, told, "expected:"]);

        // What was answered before is there, and is said to be incomplete.
        assert!(stdout(&output).ends_with(&format!("{ANSWER}\n")));
        assert!(stderr(&output).contains("incomplete: answered 1 case before it"));
    }
    let mut invalid = format!("{HEADER}\n{ROW}").into_bytes();
    *invalid.last_mut().expect("a byte") = 0xff;
    assert_refused(&[], &invalid, &["standard input:2:46", "column `e1`"]);
}

#[test]
fn a_line_cut_short_or_too_long_is_told() {
    let (cut, _) = ROW.rsplit_once(',').expect("cells");
    let text = format!("{HEADER}\n{ROW}\n{cut}");
    assert_refused(
        &[],
        text.as_bytes(),
        &[":3:", "10 fields", "11 as in the header line", "cut off"],
    );
    let text = format!("{HEADER}\n{ROW},1\n");
    assert_refused(&[], text.as_bytes(), &[":2:54", "12 fields", "11 as in the header line"]);
    let text = format!("{HEADER},note\n{ROW},\"never closed\n{ROW}\n");
    assert_refused(&[], text.as_bytes(), &[":2:54", "none closes it"]);
    let text = format!("{HEADER},note\n{ROW},\"a\"b\n");
    assert_refused(&[], text.as_bytes(), &[":2:57", "follows a closing quote"]);
    let long = format!("{HEADER}\n{}", "1".repeat(3 << 20));
    assert_refused(&[], long.as_bytes(), &[":2:1", "over 65536 bytes"]);
    let open = format!("{HEADER}\n\"{}", "1,\n".repeat(1 << 20));
    assert_refused(&[], open.as_bytes(), &[":2:1", "over 65536 bytes", "quote"]);
}

/// Else the whole file is its header, and no case of it is answered with success.
#[test]
fn lines_that_cr_alone_ends_are_refused_and_not_taken_as_one_header() {
    let told =
        |place| [place, "(CR) stands inside of a line", "end in LF or CRLF", "tr '\\r' '\\n'"];
    for arguments in [&[][..], &["--json"]] {
        let text = format!("{HEADER},x\r{ROW},1\r");
        let output = assert_refused(arguments, text.as_bytes(), &told(":1:41"));
        assert!(output.stdout.is_empty());
        // The header line ends as it should.
        let text = format!("{HEADER},x\n{ROW},1\r{ROW},1\r");
        assert_refused(arguments, text.as_bytes(), &told(":2:55"));
    }
    let text = format!("{HEADER},no\rte\n{ROW},1\n");
    assert_refused(&[], text.as_bytes(), &told(":1:42"));
    let text = format!("{HEADER},\"no\rte\"\r\n{ROW},\"a\rb\"\r\n");
    assert_answer(&[], &text, ANSWER);
}

#[test]
fn a_header_that_lacks_columns_or_has_one_twice_is_told() {
    let without = HEADER.replace(",e3", "");
    assert_refused(&[], without.as_bytes(), &[":1:1", "no column `e3`", "expected: id,mode,va"]);
    let near = HEADER.replace("pkru", "PKRU");
    assert_refused(&[], near.as_bytes(), &[":1:20", "is column `PKRU` meant to be `pkru`?"]);
    let twice = format!("{HEADER},va\n");
    assert_refused(&[], twice.as_bytes(), &[":1:40", "two columns `va`"]);
    assert_refused(&["--expect"], HEADER.as_bytes(), &["`out`, `err`, `addr`, `aset`, `dset`"]);
    assert_refused(&[], b"", &["standard input is empty", "id,mode,va"]);
    assert_refused(&[], b"\n\r\n", &["standard input is empty"]);
    let output = assert_refused(&[], b"\xff\xfei\0d\0", &["UTF-16"]);
    assert!(output.stdout.is_empty());
    assert_refused(&[], b"\x28\xb5\x2f\xfd", &["zstd-compressed"]);
    assert_refused(
        &[],
        b"id,mo\0de\n",
        &["byte 0x00 is no text", "standard input:1:6", "in UTF-8"],
    );
    assert_refused(&[], b"id,mo\xffde\n", &["byte 0xff is not UTF-8"]);
}

#[test]
fn a_header_alone_is_answered_with_one_and_a_warning() {
    let output = translate(&[], format!("{HEADER}\n").as_bytes());

    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"id,out,err,addr,aset,dset\n");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("standard input has no case below its header line"), "{told}");
}

#[test]
fn a_comparison_that_ends_early_or_compares_nothing_is_no_agreement() {
    let header = format!("{HEADER},out,err,addr,aset,dset");
    assert_refused(&["--expect"], header.as_bytes(), &["no case", "nothing was compared"]);
    let wrong = format!("{header}\n{ROW},gp,0,,0,0\n{ROW},maybe,0,,0,0\n");
    let told = ["compared 1 case before it", "1 of them disagree", "`ok`, `pf` or `gp`", ":3:54"];
    assert_refused(&["--expect"], wrong.as_bytes(), &told);
}

#[test]
fn a_file_that_is_not_there_and_options_that_make_no_sense_are_refused() {
    assert_refused(&["./nowhere.csv"], b"", &["can't read ./nowhere.csv", "No such file"]);
    assert_refused(&[env!("CARGO_TARGET_TMPDIR")], b"", &["can't read"]);
    assert_refused(&["--maxphyaddr", "53"], b"", &["36 to 52"]);
    assert_refused(&["--tables", "610000..601000"], b"", &["expected FIRST..END"]);
    assert_refused(&["--cr3", "10000000000000"], b"", &["below 2^52"]);
    assert_refused(&["--vendor", "via"], b"", &["intel, amd"]);
}

#[test]
fn json_has_one_object_a_line_and_the_summary_last() {
    let file = format!("{HEADER},set,out,err,addr,aset,dset\n00{ROW},S1,pf,5,8080604008,0,0\n");
    let objects = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let output = translate(arguments, file.as_bytes());
        let lines = stdout(&output);
        lines.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
    };

    let answers = objects(&["--json"]);
    let compared = objects(&["--json", "--expect"]);

    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0]["id"], 7);
    assert_eq!(
        (answers[0]["out"].as_str(), answers[0]["addr"].as_str()),
        (Some("ok"), Some("1123008"))
    );
    assert!(answers[0]["err"].is_null());
    assert_eq!(compared.len(), 3);
    assert_eq!(compared[0]["differ"], serde_json::json!(["out", "err", "addr", "aset"]));
    assert_eq!(compared[0]["entries"][3]["entry"], "1123007");
    assert_eq!(compared[1]["set"], "S1");
    assert_eq!(compared[2]["summary"]["disagree"], 1);
}

#[test]
fn an_answer_does_not_wait_for_the_next_question() {
    let mut child = start(&[]);
    let mut stdin = child.stdin.take().expect("it was piped");
    let mut answers = BufReader::new(child.stdout.take().expect("it was piped")).lines();
    writeln!(stdin, "{HEADER}\n{ROW}").expect("it listens");

    let answered: Vec<String> = answers.by_ref().take(2).map(|line| line.expect("text")).collect();

    assert_eq!(answered[1], ANSWER);
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_input() {
    const ROWS: usize = 400_000;
    let mut child = start(&["--expect", "--json"]);
    let mut stdin = child.stdin.take().expect("it was piped");
    let rows = format!("{ROW},ok,,1123008,f,0\n").repeat(1000);
    writeln!(stdin, "{HEADER},out,err,addr,aset,dset").expect("it listens");
    let peak = |pid: u32| -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        peak.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    // What the program itself takes is there after the first quarter.
    let mut first = 0;
    for thousand in 0..ROWS / 1000 {
        if thousand == ROWS / 4000 {
            first = peak(child.id());
        }
        stdin.write_all(rows.as_bytes()).expect("it listens");
    }

    // The system counts pages by the batch: what it tells may be less than before.
    let grown = peak(child.id()).saturating_sub(first);

    let input = (ROWS / 4 * 3 * ROW.len()) >> 10;
    assert!(grown < 1 << 10, "{grown} KiB more for {input} KiB more of input");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(stdout(&output).contains("\"agree\":400000"), "{}", stdout(&output));
}
