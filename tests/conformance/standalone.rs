//! A finding comes with a test that needs no `ringfence`: it compiles, fails where the bug is, and passes
//! where it is not. Where nothing is spelled it comes with its calls and the raw tables.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ringfence::base::{PhysAddr, VirtAddr};
use ringfence::conformance::{
    self, Call, Capabilities, Capability, Check, Finding, Mapper, Mapping, Memory, Refusal, Rights,
};
use ringfence::machine::paging::PageSize;

use crate::small::{Bug, Error, Host, Small};

struct Hooks(Memory);

impl Host for Hooks {
    fn load(&self, at: u64) -> u64 {
        self.0.load(PhysAddr::truncated(at))
    }
    fn store(&self, at: u64, entry: u64) {
        self.0.store(PhysAddr::truncated(at), entry);
    }
    fn allocate(&self) -> Option<u64> {
        self.0.allocate().map(PhysAddr::raw)
    }
    fn free(&self, at: u64) {
        self.0.free(PhysAddr::truncated(at));
    }
    fn invalidate(&self, at: u64) {
        self.0.invalidate_page(VirtAddr(at));
    }
}

/// How the adapter spells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spells {
    All,
    Calls,
    Nothing,
}

struct Adapter(Small<Hooks>, Bug, Spells);

fn flags(rights: Rights) -> u64 {
    let bit = |right, bit: u64| if rights.has(right) { bit } else { 0 };
    bit(Rights::WRITE, 2) | bit(Rights::USER, 4) | (bit(Rights::EXECUTE, 1 << 63) ^ 1 << 63)
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::NoFrame => Refusal::OutOfFrames,
        Error::Mapped => Refusal::AlreadyMapped,
        Error::NotMapped => Refusal::NotMapped,
        Error::Other => Refusal::OtherSize,
    }
}

impl Mapper for Adapter {
    fn capabilities(&self) -> Capabilities {
        let all = [
            Capability::Protect,
            Capability::Query,
            Capability::CleanUp,
            Capability::FreesOnDrop,
            Capability::Invalidates,
            Capability::AllocationFailure,
            Capability::ForeignEntries,
            Capability::HiddenEntries,
        ];
        all.into_iter().fold(Capabilities::PLAIN, Capabilities::with)
    }

    fn root(&self) -> PhysAddr {
        PhysAddr::truncated(self.0.root())
    }

    fn map(
        &mut self,
        page: VirtAddr,
        to: PhysAddr,
        _: PageSize,
        rights: Rights,
    ) -> Result<(), Refusal> {
        self.0.map(page.0, to.raw(), flags(rights)).map_err(refusal)
    }

    fn unmap(&mut self, page: VirtAddr, _: PageSize) -> Result<Option<PhysAddr>, Refusal> {
        self.0.unmap(page.0).map(|at| Some(PhysAddr::truncated(at))).map_err(refusal)
    }

    fn protect(&mut self, page: VirtAddr, _: PageSize, rights: Rights) -> Result<(), Refusal> {
        self.0.protect(page.0, flags(rights)).map_err(refusal)
    }

    fn query(&mut self, virt: VirtAddr) -> Result<Option<Mapping>, Refusal> {
        let address = self.0.query(virt.0).map(PhysAddr::truncated);
        Ok(address.map(|address| Mapping { address, size: None, rights: None }))
    }

    fn clean_up(&mut self) -> Result<(), Refusal> {
        self.0.clean_up();
        Ok(())
    }

    fn spell_setup(&self) -> Option<String> {
        const SETUP: &str = "
use crate::small::{Bug, Host, Small};

struct Own;
impl Host for Own {
    fn load(&self, at: u64) -> u64 {
        word(at)
    }
    fn store(&self, at: u64, entry: u64) {
        set(at, entry);
    }
    fn allocate(&self) -> Option<u64> {
        allocate()
    }
    fn free(&self, at: u64) {
        free(at);
    }
    fn invalidate(&self, at: u64) {
        invalidate(at);
    }
}
";
        if self.2 != Spells::All {
            return None;
        }
        let bug = format!("Some(Bug::{:?}).filter(|_| !cfg!(mended))", self.1);
        Some(format!("{SETUP}let mut tables = Small::new(Own, {bug});"))
    }

    fn spell(&self, call: &Call) -> Option<String> {
        if self.2 == Spells::Nothing {
            return None;
        }
        Some(match *call {
            Call::Map { page, to, rights, .. } => {
                format!("tables.map({page}, {:#x}, {:#x})", to.raw(), flags(rights))
            }
            Call::Unmap { page, .. } => format!("tables.unmap({page})"),
            Call::Protect { page, rights, .. } => {
                format!("tables.protect({page}, {:#x})", flags(rights))
            }
            Call::Query { virt } => format!("tables.query({virt})"),
            Call::CleanUp => "Ok::<_, ()>(tables.clean_up())".to_owned(),
            _ => return None,
        })
    }
}

/// The first finding of this check and kind.
fn finding(bug: Bug, spells: Spells, check: Check, kind: &str) -> Finding {
    // Few cases at a time: what is easy to find is found in the first.
    let reports = (0..20).map(|part| {
        let suite = conformance::mapper(move |memory| {
            Adapter(Small::new(Hooks(memory), Some(bug)), bug, spells)
        });
        suite.seed(1 + 20 * part).cases(20).run()
    });
    let is_wanted = |finding: &Finding| finding.check() == check && finding.kind().contains(kind);
    let found = reports.flat_map(|report| report.findings().to_vec()).find(is_wanted);
    found.unwrap_or_else(|| panic!("{bug:?}: no {check} {kind}"))
}

/// Bugs, with a finding of each that a test can show.
const SHOWN: &[(Bug, Check, &str)] = &[
    (Bug::TranslatesHidden, Check::Translation, "translates through an entry that is not present"),
    (Bug::ForgetsToInvalidate, Check::Invalidation, "unmapped page stays reachable"),
    (Bug::FreesBeforeInvalidating, Check::Invalidation, "freed table may still be walked"),
    (Bug::Leaks, Check::Frames, "leaks on drop"),
    (Bug::KeepsWrite, Check::Request, "protect: a page has other rights"),
    (Bug::UnmapsNeighbour, Check::Isolation, "a page outside is lost"),
    (Bug::RefusesPat, Check::Request, "false refusal"),
    (Bug::UnmapsNothing, Check::Request, "unmap of nothing succeeds"),
    (Bug::WritesToPage, Check::Stores, "store outside of tables"),
    (Bug::PanicsWithoutFrame, Check::Totality, "map panics"),
    (Bug::ClearsNext, Check::Invalidation, "unmapped page stays reachable"),
    (Bug::PrunesWhenRefusing, Check::Invalidation, "freed table may still be walked"),
];

fn rustc(source: &Path, output: &Path, flags: &[&str]) -> Output {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let mut command = Command::new(rustc);
    command.args(["--edition=2024", "--test", "-Cdebuginfo=0"]);
    command.args(["-Adead_code", "-Dwarnings"]).args(flags);
    command.arg("-o").arg(output).arg(source).output().expect("a compiler, as this was compiled")
}

fn outcome(test: &Path) -> String {
    let output = Command::new(test).output().expect("it was compiled");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find(|line| line.starts_with("test result")).unwrap_or(&text).to_owned()
}

#[test]
fn a_printed_test_fails_where_the_bug_is_and_passes_where_it_is_mended() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/small.rs");
    let mut text = format!("#[path = {small:?}]\nmod small;\n");
    for (bug, check, kind) in SHOWN {
        let finding = finding(*bug, Spells::All, *check, kind);
        let test = finding.standalone().unwrap_or_else(|| panic!("{bug:?}: no test\n{finding}"));
        text.push_str(&format!("mod bug_{} {{\n{test}}}\n", *bug as u8));
    }
    let source = folder.join("standalone.rs");
    fs::write(&source, text).expect("a file can be written");

    let outcomes = [("standalone-buggy", &[][..]), ("standalone-mended", &["--cfg=mended"])].map(
        |(name, flags)| {
            let compiled = rustc(&source, &folder.join(name), flags);
            let errors = String::from_utf8_lossy(&compiled.stderr).into_owned();
            assert!(compiled.status.success(), "{errors}");
            outcome(&folder.join(name))
        },
    );

    let count = SHOWN.len();
    let [buggy, mended] = outcomes;
    assert!(buggy.contains(&format!("FAILED. 0 passed; {count} failed")), "{buggy}");
    assert!(mended.contains(&format!("ok. {count} passed; 0 failed")), "{mended}");
}

#[test]
fn a_printed_test_holds_no_more_than_it_needs() {
    let (bug, check) = (Bug::TranslatesHidden, Check::Translation);

    let finding = finding(bug, Spells::All, check, "translates through an entry");

    let printed = finding.standalone().unwrap_or_default();
    let expected = include_str!("standalone.expected");
    assert_eq!(printed, expected, "\n{printed}");
    let told = finding.to_string();
    assert!(told.contains("reproduce  without ringfence, by this test\n"), "{told}");
    assert!(!told.contains("tables     "), "{told}");
}

#[test]
fn without_a_spelled_setup_a_finding_has_its_calls_and_the_raw_tables() {
    let (bug, check) = (Bug::TranslatesHidden, Check::Translation);

    let finding = finding(bug, Spells::Calls, check, "translates through an entry");

    assert_eq!(finding.standalone(), None);
    let told = finding.to_string();
    assert!(told.contains("reproduce  by these calls\n  tables.map(0x"), "{told}");
    assert!(told.contains("not present, bits 51:12 0x"), "{told}");
}

#[test]
fn what_a_test_can_not_look_at_is_told_with_the_tables_at_that_instant() {
    let (bug, check) = (Bug::LinksBeforeClearing, Check::Isolation);

    let finding = finding(bug, Spells::All, check, "for an instant a page appears");

    assert_eq!(finding.standalone(), None);
    // Linked, and not cleared: what a frame holds that nobody has written is there.
    let tables = finding.tables();
    let is_spoilt = |line: &&String| line.contains("  0x0000000100065007  P R/W U/S");
    assert!(tables.iter().filter(is_spoilt).count() > 3, "{tables:?}");
    assert!(tables.iter().any(|line| line.contains("… and 6 more, evenly, up to")), "{tables:?}");
    assert!(tables.iter().all(|line| line.chars().count() <= 98), "{tables:?}");
}

#[test]
fn without_anything_spelled_a_finding_has_the_raw_tables() {
    let (bug, check) = (Bug::UnmapsNeighbour, Check::Isolation);

    let finding = finding(bug, Spells::Nothing, check, "a page outside is lost");

    let told = finding.to_string();
    assert!(!told.contains("reproduce"), "{told}");
    assert!(
        told.contains("tables     at this instant, words that are not 0\n  table 0x"),
        "{told}"
    );
}
