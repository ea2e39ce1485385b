//! A content parser: content names one of twenty inputs, and the parser believes it.
//!
//! After the incident of 19 July 2024 ("External Technical Root Cause Analysis — Channel File 291"):
//! a content file named the 21st of 20 inputs, and the read past the array's end stopped the machine
//! with bug check 0x50, at every boot again, because the file was still on the disk. The inputs lie
//! at the very end of a mapped page, so that index 20 is the first word of a page that is not there.
//! The same routine runs in two places: in a kernel-mode driver loaded at boot, whose content is
//! sector 4 of the disk, and in a driver host, whose content is part of its own data.
//!
//! | request | answer |
//! |---|---|
//! | read, write, device control | up to one word: the word sent plus the result of parsing the content |
//!
//! The page of the parser's data, the driver's own data page or the host's buffer page. All words but
//! [`RESULT`] must be prepared:
//!
//! | word | at boot |
//! |---|---|
//! | [`CONTENT`] | address of the content: data page + [`CONTENT_OFFSET`] |
//! | [`INPUTS`] | address of the inputs: data page + [`INPUTS_OFFSET`] |
//! | [`RESULT`] | 0 |
//! | [`SECTOR`] | sector of the content, kernel mode only: 4 |
//! | [`LIMIT`] | inputs there are, for the parser that checks: 20; 0 for the one that doesn't |
//! | content | its first word is the index; in kernel mode read from the disk |
//! | inputs | 20 words, input i is [`input`]`(i)` |

use crate::base::{Field, Rule, Structure};
use crate::kernel::hal::{DISK_BUFFER, HAL_DISK_TRANSFER, TO_MEMORY};
use crate::kernel::layout::{device_object, driver_object, request_packet};
use crate::kernel::loader::Dispatch;
use crate::kernel::request::{IO_COMPLETE_REQUEST, is_buffered};
use crate::kernel::status;
use crate::machine::{Flow, Processor, Routine, Trap, routine};
use crate::world::driver::Placement;

use super::home;

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[
    Rule::documented(
        "parser-unbounded",
        "The parser reads the input that its content names, of twenty, and checks no bound.",
        "External Technical Root Cause Analysis - Channel File 291",
    ),
    Rule::documented(
        "parser-bounded",
        "The parser that was mended compares the index with the number of inputs, and reads nothing.",
        "External Technical Root Cause Analysis - Channel File 291 (bounds check of 25 July 2024)",
    ),
    Rule::inferred(
        "inputs-end-a-page",
        "Behind the twenty inputs nothing is mapped.",
        "Windows Security best practices for integrating and managing security tools (0x50 at the read)",
    ),
    Rule::chosen(
        "content-on-disk",
        "In kernel mode the content is a sector of the disk, read when the driver is loaded.",
        "this model: the content file is read at each boot",
    ),
];

/// The driver's code in kernel mode.
pub const ROUTINES: &[&Routine] = &[&PARSER_ENTRY, &PARSER_DISPATCH, &PARSE];

/// The driver's entry points in kernel mode.
pub const DISPATCH: Dispatch = Dispatch {
    read: Some(&PARSER_DISPATCH),
    write: Some(&PARSER_DISPATCH),
    control: Some(&PARSER_DISPATCH),
    flush: None,
    entry: Some(&PARSER_ENTRY),
    deferred: None,
};

/// Inputs there are.
pub const INPUT_COUNT: u64 = 20;
/// Bytes of content.
const CONTENT_BYTES: u64 = 512;
/// Where the content lies in the page.
pub const CONTENT_OFFSET: u64 = 0x800;
/// Where the inputs lie in the page: at its very end.
pub const INPUTS_OFFSET: u64 = 4096 - 8 * INPUT_COUNT;
/// Where the parser's words lie in the page: behind what a host uses it for otherwise.
pub const WORDS_OFFSET: u64 = 0x780;

const fn word(offset: u64, name: &'static str) -> Field {
    Field::new(Structure::DriverData, WORDS_OFFSET + offset, name)
}

/// The address of the content.
pub const CONTENT: Field = word(0x00, "parser's content");
/// The address of the inputs.
pub const INPUTS: Field = word(0x08, "parser's inputs");
/// What the last parse came to.
pub const RESULT: Field = word(0x10, "parser's result");
/// The disk's sector that holds the content.
pub const SECTOR: Field = word(0x18, "parser's content sector");

/// How many inputs there are, by which an index is checked; 0: none is.
pub const LIMIT: Field = word(0x20, "parser's limit");

/// The value of an input.
#[must_use]
pub const fn input(number: u64) -> u64 {
    0x1000_0001 * (number + 1)
}

/// The words of the page, for both places.
#[must_use]
pub fn prepare(placement: &Placement) -> Vec<(u64, u64)> {
    let mut words = vec![
        (CONTENT.offset, placement.data + CONTENT_OFFSET),
        (INPUTS.offset, placement.data + INPUTS_OFFSET),
        (SECTOR.offset, 4),
        (CONTENT_OFFSET, placement.content),
    ];
    words.extend((0..INPUT_COUNT).map(|number| (INPUTS_OFFSET + number * 8, input(number))));
    words
}

/// As [`prepare`], for a parser that checks the index before it uses it.
#[must_use]
pub fn prepare_bounded(placement: &Placement) -> Vec<(u64, u64)> {
    let mut words = prepare(placement);
    words.push((LIMIT.offset, INPUT_COUNT));
    words
}

fn data_of(p: &mut Processor<'_>, device: u64) -> Result<u64, Trap> {
    let driver = p.load(device, device_object::DRIVER)?;
    p.load(driver, driver_object::DATA)
}

routine! {
    /// Parses the content. Argument: the page of the parser's data. Result: what it comes to.
    pub static PARSE = "ParseContent", frame 2;
    // Locals: 0 the page; 1 the index.
    read => |p| {
        let (page, structure) = (p.argument(0), home::page(p));
        p.set_local(0, page)?;
        let content = p.load_at(page.wrapping_add(CONTENT.offset), structure)?;
        let index = p.load_at(content, structure)?;
        p.set_local(1, index)?;
        Ok(Flow::Next)
    },
    // Without a limit no bound is checked, which is the point.
    fetch => |p| {
        let page = p.local(0)?;
        let structure = home::page(p);
        let index = p.local(1)?;
        let limit = p.load_at(page.wrapping_add(LIMIT.offset), structure)?;
        if limit != 0 && index >= limit {
            return Ok(p.give_back(0));
        }
        let inputs = p.load_at(page.wrapping_add(INPUTS.offset), structure)?;
        let value = p.load_at(inputs.wrapping_add(index.wrapping_mul(8)), structure)?;
        let result = value ^ index << 48;
        p.store_at(page.wrapping_add(RESULT.offset), structure, result)?;
        Ok(p.give_back(result))
    },
}

routine! {
    /// Run at boot: reads the content from the disk and parses it. Argument: device object.
    pub static PARSER_ENTRY = "ParserDriverEntry", frame 1;
    load, call HAL_DISK_TRANSFER => |p| {
        let device = p.argument(0);
        let data = data_of(p, device)?;
        p.set_local(0, data)?;
        let sector = p.load(data, SECTOR)?;
        p.pass([sector, TO_MEMORY]);
        Ok(Flow::Call)
    },
    take => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            return Ok(p.give_back(outcome));
        }
        let data = p.local(0)?;
        let content = p.load(data, CONTENT)?;
        p.copy(content, Structure::DriverData, DISK_BUFFER, Structure::DmaBuffer, CONTENT_BYTES)?;
        Ok(Flow::Next)
    },
    parse, call PARSE => |p| {
        let data = p.local(0)?;
        p.pass([data]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(status::SUCCESS)),
}

routine! {
    /// Answers a request. Arguments: device object, packet. Result: the status.
    pub static PARSER_DISPATCH = "ParserDispatch", frame 3;
    // Locals: 0 packet; 1 status; 2 bytes.
    keep, call PARSE => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, packet)?;
        p.set_local(1, status::SUCCESS)?;
        let code = p.load(packet, request_packet::CODE)?;
        if !is_buffered(p, packet)? || home::lacks(code) {
            p.set_local(1, status::INVALID_DEVICE_REQUEST)?;
            p.set_local(2, 0)?;
            return Ok(Flow::To(At::complete as u8));
        }
        let data = data_of(p, device)?;
        p.pass([data]);
        Ok(Flow::Call)
    },
    answer => |p| {
        let result = p.result();
        let packet = p.local(0)?;
        let bytes = p.load(packet, request_packet::LENGTH_OUT)?.min(8);
        p.set_local(2, bytes)?;
        if bytes == 0 {
            return Ok(Flow::Next);
        }
        let buffer = p.load(packet, request_packet::BUFFER)?;
        let sent = p.load_at(buffer, Structure::SystemBuffer)?;
        p.store_bytes(buffer, Structure::SystemBuffer, sent.wrapping_add(result), bytes)?;
        Ok(Flow::Next)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let (packet, outcome, bytes) = (p.local(0)?, p.local(1)?, p.local(2)?);
        p.pass([packet, outcome, bytes]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(1)?;
        Ok(p.give_back(outcome))
    },
}
