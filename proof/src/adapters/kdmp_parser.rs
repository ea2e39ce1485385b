//! Adapter for the crate `kdmp-parser`: `virt::Reader::translate` on a full dump.
//!
//! The dump is a header that the adapter makes and all of memory behind it, so that changes are read at once. A
//! page in transition, which Windows has taken from a process and not yet reused, is read like one that is
//! present, as a comment in the source says: the bit that marks it is the crate's own.

use std::io::{Read, Result, Seek, SeekFrom};

use kdmp_parser::gxa::{Gpa, Gva, Gxa};
use kdmp_parser::parse::KernelDumpParser;
use kdmp_parser::structs::PageKind;
use kdmp_parser::virt;
use ringfence::base::PhysAddr;
use ringfence::conformance::format::X86_64;
use ringfence::conformance::{Attempt, Mapping, Memory, Report, Rights, Walker};
use ringfence::machine::paging::PageSize;

use crate::Plan;

/// Bytes of the header: memory comes behind it.
const HEADER: u64 = 0x2000;
/// Bit 11 of an entry that is not present.
const TRANSITION: u64 = 1 << 11;

/// A full dump with one run of pages.
struct Dump {
    memory: Memory,
    header: Vec<u8>,
    at: u64,
}

impl Dump {
    fn new(memory: Memory) -> Self {
        let mut header = vec![0; HEADER as usize];
        let mut put = |at: usize, field: &[u8]| header[at..][..field.len()].copy_from_slice(field);
        let pages = memory.bytes() >> 12;
        put(0, b"PAGEDU64");
        // Number of runs, pages in all; first page of the run, its pages; type of the dump.
        put(0x88, &1u64.to_le_bytes());
        put(0x90, &pages.to_le_bytes());
        put(0x98, &(memory.base().raw() >> 12).to_le_bytes());
        put(0xa0, &pages.to_le_bytes());
        put(0xf98, &1u32.to_le_bytes());
        Self { memory, header, at: 0 }
    }
}

impl Read for Dump {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        let count = match self.header.get(self.at as usize..) {
            Some(mut rest) if !rest.is_empty() => rest.read(bytes)?,
            _ => {
                self.memory.read(self.memory.base().plus(self.at - HEADER), bytes);
                bytes.len()
            }
        };
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Dump {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(distance) => self.at.wrapping_add_signed(distance),
            SeekFrom::End(distance) => (HEADER + self.memory.bytes()).wrapping_add_signed(distance),
        };
        Ok(self.at)
    }
}

struct Adapter {
    parser: KernelDumpParser,
    root: PhysAddr,
}

/// `virt::Reader::translate`.
pub(crate) fn run(plan: &Plan) -> Report {
    plan.walker(X86_64::FOUR_LEVELS, |memory, root| {
        let parser = KernelDumpParser::with_reader(Dump::new(memory)).expect("a full dump");
        Adapter { parser, root }
    })
}

/// A dump of the memory of a test, made when the entries are there.
const SETUP: &str = "
use std::io::Cursor;

use kdmp_parser::gxa::{Gpa, Gva, Gxa};
use kdmp_parser::parse::KernelDumpParser;
use kdmp_parser::virt::Reader;

let pages = MEMORY.0.len() as u64 / 512;
let mut bytes = vec![0; 0x2000];
let mut put = |at: usize, field: u64| bytes[at..at + 8].copy_from_slice(&field.to_le_bytes());
put(0, u64::from_le_bytes(*b\"PAGEDU64\"));
// Number of runs, pages in all; first page of the run, its pages; a full dump.
for (at, field) in [(0x88, 1), (0x90, pages), (0x98, BASE >> 12), (0xa0, pages), (0xf98, 1)] {
    put(at, field);
}
(0..512 * pages).for_each(|index| bytes.extend(word(BASE + 8 * index).to_le_bytes()));
let dump = KernelDumpParser::with_reader(Cursor::new(bytes)).unwrap();
let tables = Reader::with_dtb(&dump, Gpa::new(ROOT));
";

impl Walker for Adapter {
    fn spell_setup(&self) -> Option<String> {
        Some(SETUP.to_owned())
    }

    fn spell(&self, attempt: &Attempt) -> Option<String> {
        let virt = attempt.virt;
        Some(format!("tables.translate(Gva::new({virt})).ok().map(|found| found.gpa().u64())"))
    }

    fn own_bits(&self) -> u64 {
        TRANSITION
    }

    fn translate(&mut self, attempt: &Attempt) -> Option<Mapping> {
        let reader = virt::Reader::with_dtb(&self.parser, Gpa::new(self.root.raw()));
        let found = reader.translate(Gva::new(attempt.virt.0)).ok()?;
        let size = match found.page_kind {
            PageKind::Normal => PageSize::Kib4,
            PageKind::Large => PageSize::Mib2,
            PageKind::Huge => PageSize::Gib1,
        };
        let given = [
            (found.writable, Rights::WRITE),
            (found.user_accessible, Rights::USER),
            (found.executable, Rights::EXECUTE),
        ];
        let given = given.into_iter().filter(|(is_given, _)| *is_given);
        let rights = given.fold(Rights::READ, |all, (_, right)| all.and(right));
        let address = PhysAddr::truncated(found.gpa().u64());
        Some(Mapping { address, size: Some(size), rights: Some(rights) })
    }
}
