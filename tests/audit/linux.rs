//! A Linux machine's page tables, held against what the emulator it ran on said of them.

use std::io::Read;
use std::process::{Command, Output};

use ruzstd::decoding::StreamingDecoder;

use crate::review::snapshots;

const TABLES: &str = "tests/fixtures/linux-l4.tables.bin.zst";

fn audit(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(["audit", TABLES]).args(arguments).output().expect("the program starts")
}

fn text(output: Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_page_is_where_the_emulator_had_it() {
    let packed: &[u8] = include_bytes!("../fixtures/linux-l4.tlb.csv.zst");
    let mut expected = String::new();
    let mut decoder = StreamingDecoder::new(packed).expect("a zstd frame");
    decoder.read_to_string(&mut expected).expect("the fixture is whole");

    let found = text(audit(&["--list"]));

    let first = expected.lines().zip(found.lines()).find(|(theirs, ours)| theirs != ours);
    assert_eq!(first, None);
    assert_eq!(found.lines().count(), expected.lines().count());
    assert_eq!(found.lines().count(), 65_987 + 1);
}

#[test]
fn its_isolation_margin_is_reviewed() {
    let _bound = snapshots();

    insta::assert_snapshot!("isolation-margin-linux", text(audit(&["--flip"])));
}
