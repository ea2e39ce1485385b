//! The host process of a user-mode driver: asks for a request, lets the driver work on it, answers.
//!
//! Like every process it reaches the system through the Windows API only, and sees no memory but its
//! own ("UMDF Driver Host Process"). These drivers can be hosted:
//!
//! * the *sensor* keeps a running sum of the words each requestor sent and answers every word plus
//!   the sum so far; a request that sends nothing is answered with the sum;
//! * the *parser* answers as the kernel-mode [`parser`] does, with the same routine on content in its
//!   own page;
//! * the *vulnerable* driver makes the mistakes of its kernel-mode twin;
//! * the *meter* answers as the kernel-mode [`meter`](super::meter) does, with the same routine;
//! * the *record* driver follows the pointers of its kernel-mode twin, [`record_driver`], with records in
//!   its own page;
//! * the *buffers* driver uses what its kernel-mode twin, [`buffer_driver`], has mapped, with the same routine on
//!   the host's copy;
//! * the *scanner* answers as the kernel-mode [`scanner`] does; the memory it unpacks into is the end of
//!   its page.
//!
//! The buffer page of a host, at [`address::USER_BUFFERS`]; only the parser's part must be prepared,
//! as [`parser`] lists it. The page behind it must not be mapped:
//!
//! | bytes | what |
//! |---|---|
//! | [`REQUEST`] | the request's [`header`] and up to 256 bytes of data, twice |
//! | [`REPLY`] | 256 bytes of answer |
//! | [`SUMS`] | 64 running sums, by requestor |
//! | [`SERVED`] | requests answered |
//! | [`USES`] | uses of the record driver's records |
//! | the last 48 bytes | the vulnerable driver's block |
//! | [`parser::WORDS_OFFSET`] to its end | the parser's part |

use crate::base::{Rule, Structure};
use crate::kernel::host::header;
use crate::kernel::layout::{address, element};
use crate::kernel::request::{
    METHOD, METHOD_BUFFERED, METHOD_IN_DIRECT, METHOD_OUT_DIRECT, function,
};
use crate::kernel::{service, status};
use crate::machine::{Flow, Processor, Reg, Routine, Trap, routine};
use crate::world::driver::Placement;

use super::buffer_driver;
use super::direct_buffer::BUFFER_WORDS;
use super::home::lacks;
use super::meter::METER;
use super::parser::{self, PARSE};
use super::record_driver::{self, FOLLOW_RECORD};
use super::scanner::{self, UNPACK_SECTION};
use super::vulnerable;
use super::vulnerable::classes::{
    CALL_CONFUSED, CALL_NULL, CALL_STALE, COPY_TO_GUARDED_STACK, COPY_TO_STACK, WRAPPED_LENGTH,
    WRITE_WHERE_TOLD,
};
use super::vulnerable::hosted::{HOSTED_COPY, HOSTED_OBJECT, HOSTED_STALE_BLOCK, HOSTED_WORK};
use super::vulnerable::pool::{COPY_TO_BLOCK, USE_OBJECT};
use super::vulnerable::resource::HOSTED_END_PROCESS;
use super::windows_api::API_CALL;

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[
    Rule::documented(
        "host-is-a-process",
        "A user-mode driver runs in a host process and reaches what every process reaches.",
        "UMDF Driver Host Process",
    ),
    Rule::chosen(
        "host-one-request",
        "A host takes a request, works on it and answers before it takes the next.",
        "this model: UMDF drivers may have several requests at once",
    ),
    Rule::chosen(
        "host-drivers-are-twins",
        "A hosted driver runs the routines of its kernel-mode twin on memory of its host.",
        "this model: so that only the home differs",
    ),
    Rule::chosen(
        "hosted-block-ends-its-page",
        "What a hosted driver writes past a block of its own meets no memory, and ends the host.",
        "this model: a process heap notices damage behind a block when it is freed, if not at once",
    ),
];

/// The code of a host with the sensor.
pub const SENSOR_ROUTINES: &[&Routine] = &[&SENSOR_HOST_MAIN, &SENSOR];
/// The code of a host with the scanner.
pub const SCANNER_ROUTINES: &[&Routine] = &[&SCANNER_HOST_MAIN, &HOSTED_SCANNER, &UNPACK_SECTION];
/// The code of a host with the parser.
pub const PARSER_ROUTINES: &[&Routine] = &[&PARSER_HOST_MAIN, &HOSTED_PARSER, &PARSE];

/// The code of a host with the record driver.
pub const RECORD_ROUTINES: &[&Routine] = &[&RECORD_HOST_MAIN, &HOSTED_RECORD, &FOLLOW_RECORD];

/// The code of a host with the meter.
pub const METER_ROUTINES: &[&Routine] = &[&METER_HOST_MAIN, &HOSTED_METER, &METER];

/// The code of a host with the driver for its callers' memory.
pub const BUFFER_ROUTINES: &[&Routine] = &[&BUFFER_HOST_MAIN, &HOSTED_BUFFER, &BUFFER_WORDS];

/// The code of a host with the vulnerable driver.
pub const VULNERABLE_ROUTINES: &[&Routine] = &[
    &VULNERABLE_HOST_MAIN,
    &HOSTED_VULNERABLE,
    &HOSTED_WORK,
    &WRITE_WHERE_TOLD,
    &COPY_TO_STACK,
    &COPY_TO_GUARDED_STACK,
    &HOSTED_COPY,
    &COPY_TO_BLOCK,
    &HOSTED_STALE_BLOCK,
    &HOSTED_OBJECT,
    &USE_OBJECT,
    &HOSTED_END_PROCESS,
    &WRAPPED_LENGTH,
    &CALL_CONFUSED,
    &CALL_STALE,
    &CALL_NULL,
];

const DATA: Structure = Structure::UserData;

/// Where requests arrive.
pub const REQUEST: u64 = 0x000;
/// Where answers are put together.
pub const REPLY: u64 = 0x220;
/// First of the running sums.
pub const SUMS: u64 = 0x400;
/// Requests answered.
pub const SERVED: u64 = 0x700;
/// Uses of the record driver's records.
pub const USES: u64 = 0x708;
/// First of the record driver's 64 records; the pointers to them are in the place of the sums.
const RECORDS: u64 = 0x800;
/// Bytes of a request with its header.
const REQUEST_BYTES: u64 = header::BYTES + 2 * 256;

const PAGE: u64 = address::USER_BUFFERS;
const REQUEST_DATA: u64 = PAGE + REQUEST + header::BYTES;

/// The first words of the buffer page of a host with the sensor.
#[must_use]
pub fn prepare_sensor(_: &Placement) -> Vec<(u64, u64)> {
    Vec::new()
}

/// The first words of the buffer page of a host with the parser.
#[must_use]
pub fn prepare_parser(placement: &Placement) -> Vec<(u64, u64)> {
    parser::prepare(placement)
}

/// The first words of the buffer page of a host with the vulnerable driver.
#[must_use]
pub fn prepare_vulnerable(placement: &Placement) -> Vec<(u64, u64)> {
    vulnerable::prepare(placement)
}

/// Makes the first frame by hand: the process starts here without a call.
fn enter(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    p.set_stack(address::USER_STACK_TOP - 64);
    p.put(Reg::Rbp, address::USER_STACK_TOP - 16);
    Ok(Flow::Next)
}

fn ask(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    p.put(Reg::Rax, service::HOST_WAIT);
    p.pass([0, 0, 0, 0, PAGE + REQUEST, REQUEST_BYTES]);
    Ok(Flow::Call)
}

/// What a driver that refuses requests leaves in rax: this, less the place of the status in [`REFUSALS`].
const REFUSED: u64 = u64::MAX;
/// The statuses of requests that are refused.
const REFUSALS: [u64; 2] = [status::INVALID_DEVICE_REQUEST, status::INVALID_PARAMETER];

/// Answers with what the driver left in rax: bytes of answer, or that it refuses the request.
fn answer(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let bytes = p.result();
    match usize::try_from(REFUSED - bytes).ok().and_then(|place| REFUSALS.get(place)) {
        Some(&refusal) => answer_with(p, refusal, 0),
        None => answer_with(p, status::SUCCESS, bytes),
    }
}

fn answer_with(p: &mut Processor<'_>, outcome: u64, bytes: u64) -> Result<Flow, Trap> {
    let served = p.load_at(PAGE + SERVED, DATA)?;
    p.store_at(PAGE + SERVED, DATA, served.wrapping_add(1))?;
    p.put(Reg::Rax, service::HOST_COMPLETE);
    p.pass([outcome, 0, PAGE + REPLY, bytes]);
    Ok(Flow::Call)
}

fn leave(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    p.put(Reg::Rax, service::TERMINATE);
    p.pass([status::DEVICE_REMOVED, 0]);
    Ok(Flow::Call)
}

/// Bytes of answer that a request takes, up to `most`.
fn wanted(p: &mut Processor<'_>, most: u64) -> Result<u64, Trap> {
    Ok(p.load_at(PAGE + REQUEST + header::LENGTH_OUT, DATA)?.min(most))
}

macro_rules! host_main {
    ($(#[$meta:meta])* $NAME:ident = $text:literal, $driver:path, without $lacks:path) => {
        routine! {
            $(#[$meta])*
            pub static $NAME = $text, frame 4;
            enter => enter,
            ask, call API_CALL => ask,
            work, call $driver => |p| {
                if p.result() != status::SUCCESS {
                    return Ok(Flow::To(At::leave as u8));
                }
                if $lacks(p.load_at(PAGE + REQUEST + header::CODE, DATA)?) {
                    p.put(Reg::Rax, REFUSED);
                    return Ok(Flow::To(At::answer as u8));
                }
                Ok(Flow::Call)
            },
            answer, call API_CALL => answer,
            again => |_| Ok(Flow::To(At::ask as u8)),
            leave, call API_CALL => leave,
            gone => |_| Ok(Flow::Stay),
        }
    };
}

host_main!(
    /// The loop of a host with the sensor. Never returns.
    SENSOR_HOST_MAIN = "sensor-host", SENSOR, without lacks
);
host_main!(
    /// The loop of a host with the parser. Never returns.
    PARSER_HOST_MAIN = "parser-host", HOSTED_PARSER, without lacks
);
host_main!(
    /// The loop of a host with the meter. Never returns.
    METER_HOST_MAIN = "meter-host", HOSTED_METER, without lacks
);
host_main!(
    /// The loop of a host with the vulnerable driver. Never returns.
    VULNERABLE_HOST_MAIN = "vulnerable-host", HOSTED_VULNERABLE, without vulnerable::hosted::lacks
);
host_main!(
    /// The loop of a host with the scanner. Never returns.
    SCANNER_HOST_MAIN = "scanner-host", HOSTED_SCANNER, without lacks
);
host_main!(
    /// The loop of a host with the driver for its callers' memory, which sorts by itself. Never returns.
    BUFFER_HOST_MAIN = "buffers-host", HOSTED_BUFFER, without nothing
);
host_main!(
    /// The loop of a host with the record driver. Never returns.
    RECORD_HOST_MAIN = "record-host", HOSTED_RECORD, without record_driver::lacks
);

/// No function is refused.
const fn nothing(_: u64) -> bool {
    false
}

/// Where the present request's requestor has its sum.
fn sum_address(p: &mut Processor<'_>) -> Result<u64, Trap> {
    let requestor = p.load_at(PAGE + REQUEST + header::REQUESTOR, DATA)? & 63;
    Ok(element(PAGE + SUMS, requestor))
}

routine! {
    /// The sensor: works on the present request. Result: bytes of answer.
    pub static SENSOR = "SensorProcess", frame 2;
    // Locals: 0 word in hand; 1 words sent.
    start => |p| {
        let length = p.load_at(PAGE + REQUEST + header::LENGTH_IN, DATA)?;
        p.set_local(0, 0)?;
        p.set_local(1, (length / 8).min(32))?;
        if length >= 8 {
            return Ok(Flow::Next);
        }
        let at = sum_address(p)?;
        let sum = p.load_at(at, DATA)?;
        p.store_at(PAGE + REPLY, DATA, sum)?;
        let bytes = wanted(p, 8)?;
        Ok(p.give_back(bytes))
    },
    add => |p| {
        let (number, words) = (p.local(0)?, p.local(1)?);
        if number >= words {
            return Ok(Flow::Next);
        }
        let at = sum_address(p)?;
        let word = p.load_at(REQUEST_DATA + (number & 31) * 8, DATA)?;
        let sum = p.load_at(at, DATA)?.wrapping_add(word);
        p.store_at(at, DATA, sum)?;
        p.store_at(PAGE + REPLY + (number & 31) * 8, DATA, word.wrapping_add(sum))?;
        p.set_local(0, number.wrapping_add(1))?;
        Ok(Flow::Stay)
    },
    done => |p| {
        let words = p.local(1)?;
        let bytes = wanted(p, words.wrapping_mul(8))?;
        Ok(p.give_back(bytes))
    },
}

routine! {
    /// The parser in a host: works on the present request. Result: bytes of answer.
    pub static HOSTED_PARSER = "HostedParserProcess", frame 0;
    parse, call PARSE => |p| {
        p.pass([PAGE]);
        Ok(Flow::Call)
    },
    put => |p| {
        let result = p.result();
        let sent = if p.load_at(PAGE + REQUEST + header::LENGTH_IN, DATA)? >= 8 {
            p.load_at(REQUEST_DATA, DATA)?
        } else {
            0
        };
        p.store_at(PAGE + REPLY, DATA, sent.wrapping_add(result))?;
        let bytes = wanted(p, 8)?;
        Ok(p.give_back(bytes))
    },
}

routine! {
    /// The vulnerable driver in a host: works on the present request. Result: bytes of answer.
    pub static HOSTED_VULNERABLE = "HostedVulnerableProcess", frame 0;
    work, call HOSTED_WORK => |p| {
        let code = p.load_at(PAGE + REQUEST + header::CODE, DATA)?;
        let bytes_in = p.load_at(PAGE + REQUEST + header::LENGTH_IN, DATA)?;
        let bytes_out = p.load_at(PAGE + REQUEST + header::LENGTH_OUT, DATA)?;
        p.pass([REQUEST_DATA, bytes_in, PAGE, function(code), bytes_out]);
        Ok(Flow::Call)
    },
    put => |p| {
        let bytes = p.result().min(256);
        p.copy(PAGE + REPLY, DATA, REQUEST_DATA, DATA, bytes)?;
        Ok(p.give_back(bytes))
    },
}

routine! {
    /// The meter in a host: works on the present request. Result: bytes of answer.
    pub static HOSTED_METER = "HostedMeterProcess", frame 0;
    work, call METER => |p| {
        let bytes_in = p.load_at(PAGE + REQUEST + header::LENGTH_IN, DATA)?;
        let bytes_out = p.load_at(PAGE + REQUEST + header::LENGTH_OUT, DATA)?;
        let requestor = p.load_at(PAGE + REQUEST + header::REQUESTOR, DATA)?;
        p.pass([REQUEST_DATA, bytes_in, PAGE, requestor, bytes_out]);
        Ok(Flow::Call)
    },
    put => |p| {
        let bytes = p.result().min(256);
        p.copy(PAGE + REPLY, DATA, REQUEST_DATA, DATA, bytes)?;
        Ok(p.give_back(bytes))
    },
}

routine! {
    /// The driver for its callers' memory in a host: works on the present request. Result: bytes of answer, or
    /// that it is refused, where its kernel-mode twin refuses it.
    pub static HOSTED_BUFFER = "HostedBufferProcess", frame 1;
    // Local: bytes of answer.
    sort, call BUFFER_WORDS => |p| {
        let code = p.load_at(PAGE + REQUEST + header::CODE, DATA)?;
        let bytes_in = p.load_at(PAGE + REQUEST + header::LENGTH_IN, DATA)?.min(256);
        let bytes = p.load_at(PAGE + REQUEST + header::LENGTH_OUT, DATA)?.min(256);
        let (at, answered) = match (function(code), code & METHOD) {
            (buffer_driver::FILL, METHOD_OUT_DIRECT)
            | (buffer_driver::CHECK, METHOD_IN_DIRECT)
                if bytes == 0 =>
            {
                return Ok(p.give_back(REFUSED - 1));
            }
            (buffer_driver::TELL, METHOD_BUFFERED) if bytes < 8 => {
                return Ok(p.give_back(REFUSED - 1));
            }
            (buffer_driver::FILL, METHOD_OUT_DIRECT) => (PAGE + REPLY, bytes & !7),
            (buffer_driver::CHECK, METHOD_IN_DIRECT) => {
                (REQUEST_DATA + bytes_in.next_multiple_of(8), 0)
            }
            (buffer_driver::TELL, METHOD_BUFFERED) => return Ok(Flow::To(At::tell as u8)),
            _ => return Ok(p.give_back(REFUSED)),
        };
        p.set_local(0, answered)?;
        p.pass([at, bytes, PAGE + SUMS, function(code)]);
        Ok(Flow::Call)
    },
    worked => |p| {
        let bytes = p.local(0)?;
        Ok(p.give_back(bytes))
    },
    tell => |p| {
        let sum = p.load_at(PAGE + SUMS, DATA)?;
        p.store_at(PAGE + REPLY, DATA, sum)?;
        let bytes = wanted(p, 8)?;
        Ok(p.give_back(bytes))
    },
}

routine! {
    /// The scanner in a host: works on the present request. Result: bytes of answer.
    pub static HOSTED_SCANNER = "HostedScannerProcess", frame 0;
    unpack, call UNPACK_SECTION => |p| {
        let length = p.load_at(PAGE + REQUEST + header::LENGTH_IN, DATA)?;
        let size = if length < 8 { 8 } else { (p.load_at(REQUEST_DATA, DATA)? & scanner::SIZE).max(8) };
        let section = (PAGE + 4096).wrapping_sub(size) & !15;
        let room = (PAGE + 4096).wrapping_sub(section);
        p.pass([section, REQUEST_DATA, length, room]);
        Ok(Flow::Call)
    },
    look => |p| {
        let sum = p.result();
        p.store_at(PAGE + REPLY, DATA, sum)?;
        let bytes = wanted(p, 8)?;
        Ok(p.give_back(bytes))
    },
}

routine! {
    /// The record driver in a host: works on the present request. Result: bytes of answer, none.
    pub static HOSTED_RECORD = "HostedRecordProcess", frame 1;
    // Locals: 0 where the pointer to the requestor's record is.
    sort => |p| {
        let pointer = sum_address(p)?;
        p.set_local(0, pointer)?;
        let code = p.load_at(PAGE + REQUEST + header::CODE, DATA)?;
        Ok(if function(code) == record_driver::REGISTER {
            Flow::Next
        } else {
            Flow::To(At::follow as u8)
        })
    },
    make => |p| {
        let pointer = p.local(0)?;
        let requestor = pointer.wrapping_sub(PAGE + SUMS) / 8;
        let record = (PAGE + RECORDS).wrapping_add(requestor.wrapping_mul(record_driver::RECORD_BYTES));
        p.store_at(record.wrapping_add(record_driver::COUNTER), DATA, PAGE + USES)?;
        p.store_at(pointer, DATA, record)?;
        Ok(p.give_back(0))
    },
    follow, call FOLLOW_RECORD => |p| {
        let pointer = p.local(0)?;
        p.pass([pointer]);
        Ok(Flow::Call)
    },
    followed => |p| Ok(p.give_back(0)),
}
