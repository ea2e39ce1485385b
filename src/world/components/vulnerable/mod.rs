//! A driver with one known defect behind each control code, in kernel mode and in a host.
//!
//! After the classes of the HackSys Extreme Vulnerable Driver, a driver for exercises: the list of
//! classes is taken from there and no code. Each is a mistake that real drivers made. Nothing here
//! knows whether anybody watches: what becomes of a mistake is decided by what it hits.
//!
//! | function | mistake | the request's words |
//! |---|---|---|
//! | [`WRITE`] | writes where it is told | where, what |
//! | [`ZERO`] | writes zero where it is told | where |
//! | [`INCREMENT`] | adds one where it is told | where |
//! | [`STACK`] | copies a request of any length into 32 bytes of stack | anything |
//! | [`STACK_GUARDED`] | the same with a cookie below the return address | anything |
//! | [`POOL`] | copies a request of any length into a block of 48 bytes | anything |
//! | [`MAKE`], [`DROP`], [`USE`], [`REFILL`] | uses an object after it was freed | `REFILL`: what the block holds |
//! | [`WRAP`] | adds to a length in 32 bits before it compares | length, then anything |
//! | [`CONFUSE`] | takes the caller's second word for the routine it keeps there itself | type, any |
//! | [`STALE`] | calls a routine out of a local that it has not set | [`MAGIC`], or not |
//! | [`NULL`] | uses an object that is there only sometimes | [`MAGIC`], or not |
//! | [`FETCH_TWICE`] | reads the caller's length to check it and again to use it (`METHOD_NEITHER`) | length, then anything |
//! | [`STALE_BLOCK`] | calls a routine out of a pool block that it has not set | [`MAGIC`], or not |
//! | [`CLEAN_BLOCK`] | none: the same with a block that comes zeroed | [`MAGIC`], or not |
//! | [`PAGED`] | copies a request of any length into a paged block of 48 bytes | anything |
//! | [`END`] | ends a process in the kernel's own name, whoever asks | which |
//! | [`END_CHECKED`] | none: the same as far as the caller may | which |
//! | [`DISCLOSE`] | probes for 48 bytes of answer and gives as many as were asked for, from a block of 48 (`METHOD_NEITHER`) | – |
//!
//! A function with [`SECURE`] added is the class mended, as that driver has each of them too: it probes where it
//! is told to write, copies as much as there is room for, forgets what it frees, subtracts instead of adding,
//! sets what it calls, looks before it calls, fetches once, answers with what it has.
//!
//! The driver's data page, or the buffer page of its host, from [`COOKIE`] on:
//!
//! | word | at boot |
//! |---|---|
//! | [`COOKIE`] | any value |
//! | [`OBJECT`] | 0 |
//!
//! In kernel mode it has a section that is set up once: [`LAST`], the last function that it has. Nobody writes to it
//! after that, and what its requests may ask for is decided by it.

pub mod classes;
pub mod hosted;
pub mod pool;
pub mod resource;

use crate::base::{Field, Ring, Rule, Structure};
use crate::kernel::layout::{KERNEL_ONLY, address, device_object, driver_object, request_packet};
use crate::kernel::loader::Dispatch;
use crate::kernel::request::{IO_COMPLETE_REQUEST, function, is_neither};
use crate::kernel::status;
use crate::machine::{Flow, Processor, Routine, Trap, routine};
use crate::world::driver::Placement;

use classes::{
    CALL_CONFUSED, CALL_NULL, CALL_STALE, COPY_TO_GUARDED_STACK, COPY_TO_STACK,
    LENGTH_FETCHED_TWICE, WRAPPED_LENGTH, WRITE_WHERE_TOLD,
};
use pool::{
    CALL_STALE_BLOCK, COPY_TO_BLOCK, COPY_TO_PAGED_POOL, COPY_TO_POOL, DROP_OBJECT, MAKE_OBJECT,
    READ_PAST_BLOCK, REFILL_BLOCK, USE_OBJECT,
};
use resource::END_PROCESS;

/// What is modelled here, by whose word.
pub(super) const RULES: &[Rule] = &[
    Rule::inferred(
        "mistakes-by-class",
        "Each function makes the mistake of one class of an exercise driver, or is it mended.",
        "HackSys Extreme Vulnerable Driver (its list of classes; no code is taken)",
    ),
    Rule::documented(
        "stack-cookie",
        "A cookie mixed with the stack pointer is compared before the return; else fast fail 2.",
        "/GS (Buffer Security Check); Bug Check 0x139: KERNEL_SECURITY_CHECK_FAILURE",
    ),
];

/// The driver's code in kernel mode.
pub const ROUTINES: &[&Routine] = &[
    &VULNERABLE_CONTROL,
    &VULNERABLE_WORK,
    &WRITE_WHERE_TOLD,
    &COPY_TO_STACK,
    &COPY_TO_GUARDED_STACK,
    &COPY_TO_POOL,
    &COPY_TO_BLOCK,
    &MAKE_OBJECT,
    &DROP_OBJECT,
    &USE_OBJECT,
    &REFILL_BLOCK,
    &WRAPPED_LENGTH,
    &CALL_CONFUSED,
    &CALL_STALE,
    &CALL_NULL,
    &LENGTH_FETCHED_TWICE,
    &READ_PAST_BLOCK,
    &CALL_STALE_BLOCK,
    &COPY_TO_PAGED_POOL,
    &END_PROCESS,
];

/// The driver's entry points in kernel mode.
pub const DISPATCH: Dispatch = Dispatch {
    read: None,
    write: None,
    control: Some(&VULNERABLE_CONTROL),
    flush: None,
    entry: None,
    deferred: None,
};

/// Function: writes where it is told.
pub const WRITE: u64 = 1;
/// Function: writes zero where it is told.
pub const ZERO: u64 = 2;
/// Function: adds one where it is told.
pub const INCREMENT: u64 = 3;
/// Function: overruns its stack.
pub const STACK: u64 = 4;
/// Function: overruns its stack below a cookie.
pub const STACK_GUARDED: u64 = 5;
/// Function: overruns a pool block.
pub const POOL: u64 = 6;
/// Function: makes the object.
pub const MAKE: u64 = 7;
/// Function: frees the object and keeps its address.
pub const DROP: u64 = 8;
/// Function: uses the object.
pub const USE: u64 = 9;
/// Function: fills a block of the object's size.
pub const REFILL: u64 = 10;
/// Function: a length that wraps.
pub const WRAP: u64 = 11;
/// Function: takes one type for another.
pub const CONFUSE: u64 = 12;
/// Function: uses a local that was not set.
pub const STALE: u64 = 13;
/// Function: uses an object that isn't there.
pub const NULL: u64 = 14;
/// Function: fetches a length twice.
pub const FETCH_TWICE: u64 = 15;
/// Function: answers with more than it has.
pub const DISCLOSE: u64 = 16;

/// Function: uses a pool block that was not set.
pub const STALE_BLOCK: u64 = 17;
/// Function: the same with a block that comes zeroed.
pub const CLEAN_BLOCK: u64 = 18;
/// Function: overruns a paged pool block.
pub const PAGED: u64 = 19;

/// Function: ends a process, whoever asks.
pub const END: u64 = 20;
/// Function: ends a process if the caller may.
pub const END_CHECKED: u64 = 21;

/// Added to a function: the same without the mistake.
pub const SECURE: u64 = 0x20;

/// The first word of a request that all is well with.
pub const MAGIC: u64 = 0xbad0_b0b0;
/// Bytes of the array on the stack.
const ARRAY_BYTES: u64 = 32;

const fn word(offset: u64, name: &'static str) -> Field {
    Field::new(Structure::DriverData, offset, name)
}

/// What stack cookies are made of.
pub const COOKIE: Field = word(0x780, "vulnerable driver's cookie");
/// The object of [`MAKE`].
pub const OBJECT: Field = word(0x788, "vulnerable driver's object");

/// The last function that it has.
pub const LAST: Field =
    Field::new(Structure::DriverSection, 0, "vulnerable driver's last function");
/// The driver's section that is set up once.
pub const SECTION: &[(u64, u64)] = &[(LAST.offset, END_CHECKED)];

/// The first words of the page, for both homes.
#[must_use]
pub fn prepare(_: &Placement) -> Vec<(u64, u64)> {
    vec![(COOKIE.offset, 0x2b99_2ddf_a232_0001)]
}

/// As [`prepare`], for a driver that makes its device with a descriptor by which no process may open it
/// (`IoCreateDeviceSecure` with `SDDL_DEVOBJ_KERNEL_ONLY`): the one word is the device object's.
#[must_use]
pub fn prepare_kernel_only(placement: &Placement) -> Vec<(u64, u64)> {
    let descriptor = placement.device + device_object::SECURITY.offset;
    let mut words = prepare(placement);
    words.push((descriptor.wrapping_sub(placement.data), KERNEL_ONLY));
    words
}

/// Whether a function is one of those without the mistake.
const fn is_secure(function: u64) -> bool {
    function & SECURE != 0
}

/// As many bytes as there is room for where the mistake is mended, else as many as were asked for.
fn bounded(function: u64, bytes: u64, room: u64) -> u64 {
    if is_secure(function) { bytes.min(room) } else { bytes }
}

/// Which structure the stack of the running code is.
fn stack(p: &Processor<'_>) -> Structure {
    if p.ring() == Ring::Kernel { Structure::KernelStack } else { Structure::UserStack }
}

/// Keeps the first three arguments in the first three locals.
fn keep(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    for number in 0..3 {
        let value = p.argument(number);
        p.set_local(number as u64, value)?;
    }
    Ok(Flow::Next)
}

routine! {
    /// Device control. Arguments: device object, packet. Result: the status.
    pub static VULNERABLE_CONTROL = "VulnerableDeviceControl", frame 2;
    // Locals: 0 packet; 1 status.
    keep, call VULNERABLE_WORK => |p| {
        let (device, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, packet)?;
        p.set_local(1, status::SUCCESS)?;
        let driver = p.load(device, device_object::DRIVER)?;
        let data = p.load(driver, driver_object::DATA)?;
        let number = function(p.load(packet, request_packet::CODE)?);
        let last = p.load(address::section_of(data), LAST)?;
        let is_function = (WRITE..=last).contains(&(number & !SECURE));
        let is_direct = matches!(number & !SECURE, FETCH_TWICE | DISCLOSE);
        if is_neither(p, packet)? != is_direct || !is_function {
            p.set_local(1, status::INVALID_DEVICE_REQUEST)?;
            return Ok(Flow::To(At::refuse as u8));
        }
        let field = if is_direct { request_packet::USER_BUFFER } else { request_packet::BUFFER };
        let buffer = p.load(packet, field)?;
        let (bytes_in, bytes_out) =
            (p.load(packet, request_packet::LENGTH_IN)?, p.load(packet, request_packet::LENGTH_OUT)?);
        p.pass([buffer, bytes_in, data, number, bytes_out]);
        Ok(Flow::Call)
    },
    complete, call IO_COMPLETE_REQUEST => |p| {
        let bytes = p.result();
        let packet = p.local(0)?;
        p.pass([packet, status::SUCCESS, bytes]);
        Ok(Flow::Call)
    },
    done => |p| {
        let outcome = p.local(1)?;
        Ok(p.give_back(outcome))
    },
    refuse, call IO_COMPLETE_REQUEST => |p| {
        let (packet, outcome) = (p.local(0)?, p.local(1)?);
        p.pass([packet, outcome, 0]);
        Ok(Flow::Call)
    },
    refused => |_| Ok(Flow::To(At::done as u8)),
}

routine! {
    /// Leads to a class. Arguments, as of every class: the request's data, its bytes, the driver's page, the
    /// function, bytes of answer at most. Result: bytes of answer.
    pub static VULNERABLE_WORK = "VulnerableWork", frame 0;
    sort => |p| Ok(match p.argument(3) & !SECURE {
        WRITE | ZERO | INCREMENT => Flow::To(At::write as u8),
        STACK => Flow::To(At::stack as u8),
        STACK_GUARDED => Flow::To(At::guarded as u8),
        POOL => Flow::To(At::pool as u8),
        MAKE => Flow::To(At::make as u8),
        DROP => Flow::To(At::drop as u8),
        USE => Flow::To(At::used as u8),
        REFILL => Flow::To(At::refill as u8),
        WRAP => Flow::To(At::wrap as u8),
        CONFUSE => Flow::To(At::confuse as u8),
        STALE => Flow::To(At::stale as u8),
        NULL => Flow::To(At::null as u8),
        FETCH_TWICE => Flow::To(At::twice as u8),
        DISCLOSE => Flow::To(At::disclose as u8),
        STALE_BLOCK | CLEAN_BLOCK => Flow::To(At::block as u8),
        PAGED => Flow::To(At::paged as u8),
        END | END_CHECKED => Flow::To(At::end as u8),
        _ => p.give_back(0),
    }),
    write, call WRITE_WHERE_TOLD => |_| Ok(Flow::Call),
    wrote => |_| Ok(Flow::Return),
    stack, call COPY_TO_STACK => |_| Ok(Flow::Call),
    stacked => |_| Ok(Flow::Return),
    guarded, call COPY_TO_GUARDED_STACK => |_| Ok(Flow::Call),
    guarded_too => |_| Ok(Flow::Return),
    pool, call COPY_TO_POOL => |_| Ok(Flow::Call),
    pooled => |_| Ok(Flow::Return),
    make, call MAKE_OBJECT => |_| Ok(Flow::Call),
    made => |_| Ok(Flow::Return),
    drop, call DROP_OBJECT => |_| Ok(Flow::Call),
    dropped => |_| Ok(Flow::Return),
    used, call USE_OBJECT => |_| Ok(Flow::Call),
    used_it => |_| Ok(Flow::Return),
    refill, call REFILL_BLOCK => |_| Ok(Flow::Call),
    refilled => |_| Ok(Flow::Return),
    wrap, call WRAPPED_LENGTH => |_| Ok(Flow::Call),
    wrapped => |_| Ok(Flow::Return),
    confuse, call CALL_CONFUSED => |_| Ok(Flow::Call),
    confused => |_| Ok(Flow::Return),
    stale, call CALL_STALE => |_| Ok(Flow::Call),
    called => |_| Ok(Flow::Return),
    null, call CALL_NULL => |_| Ok(Flow::Call),
    nothing => |_| Ok(Flow::Return),
    twice, call LENGTH_FETCHED_TWICE => |_| Ok(Flow::Call),
    fetched => |_| Ok(Flow::Return),
    disclose, call READ_PAST_BLOCK => |_| Ok(Flow::Call),
    disclosed => |_| Ok(Flow::Return),
    block, call CALL_STALE_BLOCK => |_| Ok(Flow::Call),
    blocked => |_| Ok(Flow::Return),
    paged, call COPY_TO_PAGED_POOL => |_| Ok(Flow::Call),
    paged_too => |_| Ok(Flow::Return),
    end, call END_PROCESS => |_| Ok(Flow::Call),
    ended => |_| Ok(Flow::Return),
}
