//! Reading, writing, device control and flushing: from the caller's buffers to a request and back.
//!
//! Data goes through a system buffer: copied in before the driver sees the request and out, as many
//! bytes as the driver says it produced, when the request is complete and the caller's own thread
//! runs again ("Methods for Accessing Data Buffers", "Using Buffered I/O"). Of control codes with a direct
//! method only the first buffer goes that way; the second is locked, and described to the driver, for as
//! long as the request takes, and stays the caller's to change ("Buffer Descriptions for I/O Control
//! Codes", "Using Direct I/O"). Those with `METHOD_NEITHER` hand the caller's addresses to the driver as
//! they are ("Using Neither Buffered Nor Direct I/O"). The rights a control code takes are in the code itself ("Defining I/O Control
//! Codes").
//!
//! All four services fill a block of words on their own stack, see [`block`], and leave the rest to
//! [`IO_SYNCHRONOUS_REQUEST`]. A service's status comes back in rax, the bytes produced in rdx.

use crate::base::{Rule, Structure};
use crate::kernel::configured::configured;
use crate::machine::{Flow, Processor, Routine, Trap, routine};

use super::control_code::method_of;
use super::handle::{OB_REFERENCE_BY_HANDLE, access};
use super::layout::{driver_object, element, object_body, object_type, request_packet, switches};
use super::mdl::{
    IO_ALLOCATE_MDL, IO_FREE_MDL, MM_PROBE_AND_LOCK_PAGES, MM_UNLOCK_PAGES, READ_ACCESS,
    WRITE_ACCESS,
};
use super::object::OB_DEREFERENCE;
use super::previous_mode::previous_mode;
use super::request::{
    ACCESS_SHIFT, IO_BUILD_REQUEST, IO_CALL_DRIVER, IO_FREE_REQUEST, LENGTH_MAX, METHOD_BUFFERED,
    METHOD_IN_DIRECT, METHOD_NEITHER, METHOD_OUT_DIRECT,
};
use super::schedule::KI_WAIT;
use super::service::answer;
use super::status;
use super::user_buffer::{COPY_FROM_USER, COPY_TO_USER, PROBE_FOR_READ, PROBE_FOR_WRITE};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[
    Rule::documented(
        "buffered-copies-both-ways",
        "Buffered I/O copies in before the driver runs and out what it says it produced.",
        "Using Buffered I/O",
    ),
    Rule::documented(
        "system-buffer-as-it-was",
        "Beyond the input a system buffer holds what was in memory before (`stale-buffers`).",
        "Failure to Initialize Output Buffers",
    ),
    Rule::chosen(
        "system-buffer-zeroed",
        "Without `stale-buffers` a system buffer is zeroed as all memory of the pool.",
        "this model: ExAllocatePool2 zeroes, and a driver that tells too much discloses nothing",
    ),
    Rule::documented(
        "neither-passes-addresses",
        "METHOD_NEITHER hands the caller's addresses over unchecked.",
        "Using Neither Buffered Nor Direct I/O",
    ),
    Rule::documented(
        "control-code-has-rights",
        "The rights a control code takes are in the code.",
        "Defining I/O Control Codes",
    ),
];

/// The routines of this file.
pub const ROUTINES: &[&Routine] = &[
    &NT_READ_FILE,
    &NT_WRITE_FILE,
    &NT_DEVICE_IO_CONTROL_FILE,
    &NT_FLUSH_BUFFERS_FILE,
    &IO_SYNCHRONOUS_REQUEST,
];

/// Words of the block that describes a transfer, by their number.
pub mod block {
    /// The handle.
    pub const HANDLE: u64 = 0;
    /// The rights it must carry.
    pub const WANTED: u64 = 1;
    /// Offset of the dispatch routine in the driver object.
    pub const MAJOR: u64 = 2;
    /// Control code or file offset.
    pub const CODE: u64 = 3;
    /// Where the data in is.
    pub const IN: u64 = 4;
    /// Bytes in.
    pub const LENGTH_IN: u64 = 5;
    /// Where the data out goes.
    pub const OUT: u64 = 6;
    /// Bytes out at most.
    pub const LENGTH_OUT: u64 = 7;
}

/// Whether the second buffer is locked memory of the caller's.
const fn is_direct(method: u64) -> bool {
    matches!(method, METHOD_IN_DIRECT | METHOD_OUT_DIRECT)
}

/// What [`KI_WAIT`] calls a request packet.
const WAIT_PACKET: u64 = 1;

/// Puts the block into the first eight locals and its address into the first argument.
fn describe(p: &mut Processor<'_>, words: [u64; 8]) -> Result<Flow, Trap> {
    for (number, word) in words.into_iter().enumerate() {
        p.set_local(number as u64, word)?;
    }
    let at = p.local_address(0);
    p.pass([at]);
    Ok(Flow::Call)
}

routine! {
    /// Service: reads. Arguments: handle, offset; buffer in r8, length in r9.
    pub static NT_READ_FILE = "NtReadFile", frame 8;
    describe, call IO_SYNCHRONOUS_REQUEST => |p| {
        let (handle, offset, out, length) = (p.argument(0), p.argument(1), p.argument(4), p.argument(5));
        describe(p, [handle, access::READ, driver_object::READ.offset, offset, 0, 0, out, length])
    },
    done => |_| Ok(Flow::Return),
}

routine! {
    /// Service: writes. Arguments: handle, offset; buffer in rdx, length in r10.
    pub static NT_WRITE_FILE = "NtWriteFile", frame 8;
    describe, call IO_SYNCHRONOUS_REQUEST => |p| {
        let (handle, offset, from, length) = (p.argument(0), p.argument(1), p.argument(2), p.argument(3));
        describe(p, [handle, access::WRITE, driver_object::WRITE.offset, offset, from, length, 0, 0])
    },
    done => |_| Ok(Flow::Return),
}

routine! {
    /// Service: device control. Arguments: handle, control code; input in rdx and r10, output in r8
    /// and r9.
    pub static NT_DEVICE_IO_CONTROL_FILE = "NtDeviceIoControlFile", frame 8;
    describe, call IO_SYNCHRONOUS_REQUEST => |p| {
        let (handle, code, from, length_in) = (p.argument(0), p.argument(1), p.argument(2), p.argument(3));
        let (out, length_out) = (p.argument(4), p.argument(5));
        let takes_rights = p.defects() & switches::NO_CONTROL_RIGHTS == 0;
        let rights = if takes_rights { access::READ | access::WRITE } else { 0 };
        let wanted = code >> ACCESS_SHIFT & rights;
        let major = driver_object::CONTROL.offset;
        describe(p, [handle, wanted, major, code, from, length_in, out, length_out])
    },
    done => |_| Ok(Flow::Return),
}

routine! {
    /// Service: writes what is cached of a file. Argument: handle.
    pub static NT_FLUSH_BUFFERS_FILE = "NtFlushBuffersFile", frame 8;
    describe, call IO_SYNCHRONOUS_REQUEST => |p| {
        let handle = p.argument(0);
        describe(p, [handle, access::WRITE, driver_object::FLUSH.offset, 0, 0, 0, 0, 0])
    },
    done => |_| Ok(Flow::Return),
}

/// A word of the caller's block.
fn word(p: &mut Processor<'_>, number: u64) -> Result<u64, Trap> {
    let block = p.local(0)?;
    p.load_at(element(block, number), Structure::KernelStack)
}

routine! {
    /// Sends a request and waits for its end. Argument: the address of a [`block`]. Results: the
    /// status in rax, the bytes produced in rdx.
    pub static IO_SYNCHRONOUS_REQUEST = "IopSynchronousServiceTail", frame 7;
    // Locals: 0 the block; 1 file object; 2 packet; 3 status; 4 bytes produced; 5 method; 6 the list of
    // locked pages.
    start, call OB_REFERENCE_BY_HANDLE => |p| {
        let block = p.argument(0);
        p.set_local(0, block)?;
        for local in 1..7 {
            p.set_local(local, 0)?;
        }
        if word(p, block::LENGTH_IN)? > LENGTH_MAX || word(p, block::LENGTH_OUT)? > LENGTH_MAX {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        let (handle, wanted) = (word(p, block::HANDLE)?, word(p, block::WANTED)?);
        let mode = previous_mode(p)?;
        p.pass([handle, wanted, object_type::FILE, mode, 0]);
        Ok(Flow::Call)
    },
    referenced => |p| {
        let object = p.result();
        if object == 0 {
            let refusal = p.get(crate::machine::Reg::Rdx);
            return Ok(answer(p, refusal, 0));
        }
        p.set_local(1, object)?;
        Ok(Flow::Next)
    },
    build, call IO_BUILD_REQUEST => |p| {
        let object = p.local(1)?;
        let device = p.load(object, object_body::FIRST)?;
        let file = p.load(object, object_body::SECOND)?;
        let (major, code) = (word(p, block::MAJOR)?, word(p, block::CODE)?);
        let (mut length_in, mut length_out) = (word(p, block::LENGTH_IN)?, word(p, block::LENGTH_OUT)?);
        let method = method_of(major, code);
        p.set_local(5, method)?;
        match method {
            METHOD_BUFFERED => {}
            // No system buffer.
            METHOD_NEITHER => (length_in, length_out) = (0, 0),
            // None for the second buffer.
            _ => length_out = 0,
        }
        p.pass([device, major, length_in, length_out, code, file]);
        Ok(Flow::Call)
    },
    built => |p| {
        let packet = p.result();
        if packet == 0 {
            p.set_local(3, status::INSUFFICIENT_RESOURCES)?;
            return Ok(Flow::To(At::dereference as u8));
        }
        p.set_local(2, packet)?;
        let method = p.local(5)?;
        if is_direct(method) {
            let length_out = word(p, block::LENGTH_OUT)?;
            p.store(packet, request_packet::LENGTH_OUT, length_out)?;
            return Ok(Flow::To(At::probe_in as u8));
        }
        let out = word(p, block::OUT)?;
        p.store(packet, request_packet::USER_BUFFER, out)?;
        if method != METHOD_NEITHER {
            return Ok(Flow::To(At::probe_in as u8));
        }
        let (from, length_in) = (word(p, block::IN)?, word(p, block::LENGTH_IN)?);
        let length_out = word(p, block::LENGTH_OUT)?;
        p.store(packet, request_packet::BUFFER, from)?;
        p.store(packet, request_packet::LENGTH_IN, length_in)?;
        p.store(packet, request_packet::LENGTH_OUT, length_out)?;
        Ok(Flow::To(At::send as u8))
    },
    probe_in, call PROBE_FOR_READ => |p| {
        let (from, length) = (word(p, block::IN)?, word(p, block::LENGTH_IN)?);
        p.pass([from, length]);
        Ok(Flow::Call)
    },
    probe_out, call PROBE_FOR_WRITE => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            p.set_local(3, outcome)?;
            return Ok(Flow::To(At::free as u8));
        }
        if is_direct(p.local(5)?) {
            // Locking its pages is its probe.
            return Ok(Flow::Next);
        }
        let (out, length) = (word(p, block::OUT)?, word(p, block::LENGTH_OUT)?);
        p.pass([out, length]);
        Ok(Flow::Call)
    },
    copy_in, call COPY_FROM_USER => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            p.set_local(3, outcome)?;
            return Ok(Flow::To(At::free as u8));
        }
        let (from, length) = (word(p, block::IN)?, word(p, block::LENGTH_IN)?);
        if length == 0 {
            return Ok(Flow::To(At::describe as u8));
        }
        let packet = p.local(2)?;
        let buffer = p.load(packet, request_packet::BUFFER)?;
        p.pass([from, buffer, length]);
        Ok(Flow::Call)
    },
    copied_in => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            p.set_local(3, outcome)?;
            return Ok(Flow::To(At::free as u8));
        }
        Ok(Flow::Next)
    },
    describe, call IO_ALLOCATE_MDL => |p| {
        let length = word(p, block::LENGTH_OUT)?;
        if !is_direct(p.local(5)?) || length == 0 {
            return Ok(Flow::To(At::send as u8));
        }
        let out = word(p, block::OUT)?;
        p.pass([out, length]);
        Ok(Flow::Call)
    },
    lock, call MM_PROBE_AND_LOCK_PAGES => |p| {
        let list = p.result();
        if list == 0 {
            p.set_local(3, status::INSUFFICIENT_RESOURCES)?;
            return Ok(Flow::To(At::free as u8));
        }
        p.set_local(6, list)?;
        let access = if p.local(5)? == METHOD_IN_DIRECT { READ_ACCESS } else { WRITE_ACCESS };
        let mode = previous_mode(p)?;
        p.pass([list, mode, access]);
        Ok(Flow::Call)
    },
    locked => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            p.set_local(3, outcome)?;
            return Ok(Flow::To(At::drop_list as u8));
        }
        let (packet, list) = (p.local(2)?, p.local(6)?);
        p.store(packet, request_packet::USER_BUFFER, list)?;
        Ok(Flow::Next)
    },
    send, call IO_CALL_DRIVER => |p| {
        let packet = p.local(2)?;
        let device = p.load(packet, request_packet::DEVICE)?;
        p.pass([device, packet]);
        Ok(Flow::Call)
    },
    wait, call KI_WAIT => |p| {
        if p.result() != status::PENDING {
            return Ok(Flow::To(At::finish as u8));
        }
        let packet = p.local(2)?;
        p.pass([packet.wrapping_add(request_packet::DONE.offset), WAIT_PACKET]);
        Ok(Flow::Call)
    },
    finish => |p| {
        let packet = p.local(2)?;
        let outcome = status::of(p.load(packet, request_packet::STATUS)?);
        let information = p.load(packet, request_packet::INFORMATION)?;
        p.set_local(3, outcome)?;
        p.set_local(4, information)?;
        let object = p.local(1)?;
        let moved = p.load(object, object_body::THIRD)?;
        p.store(object, object_body::THIRD, moved.wrapping_add(information))?;
        if p.local(6)? != 0 {
            return Ok(Flow::To(At::unlock as u8));
        }
        if outcome != status::SUCCESS || p.local(5)? != METHOD_BUFFERED {
            return Ok(Flow::To(At::free as u8));
        }
        Ok(Flow::To(At::copy_out as u8))
    },
    unlock, call MM_UNLOCK_PAGES => |p| {
        let list = p.local(6)?;
        p.pass([list]);
        Ok(Flow::Call)
    },
    drop_list, call IO_FREE_MDL => |p| {
        let list = p.local(6)?;
        p.pass([list]);
        Ok(Flow::Call)
    },
    dropped => |_| Ok(Flow::To(At::free as u8)),
    copy_out, call COPY_TO_USER => |p| {
        let length = word(p, block::LENGTH_OUT)?;
        let is_stale = configured(p)? & switches::STALE_OUTPUT != 0;
        let bytes = if is_stale { length } else { p.local(4)?.min(length) };
        if bytes == 0 {
            return Ok(Flow::To(At::free as u8));
        }
        let packet = p.local(2)?;
        // Probed when the request was made; what the packet says now is where it goes ("Using Buffered
        // I/O", Windows drivers documentation).
        let out = p.load(packet, request_packet::USER_BUFFER)?;
        let buffer = p.load(packet, request_packet::BUFFER)?;
        p.pass([out, buffer, bytes]);
        Ok(Flow::Call)
    },
    copied_out => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            p.set_local(3, outcome)?;
        }
        Ok(Flow::Next)
    },
    free, call IO_FREE_REQUEST => |p| {
        let packet = p.local(2)?;
        p.pass([packet]);
        Ok(Flow::Call)
    },
    dereference, call OB_DEREFERENCE => |p| {
        let object = p.local(1)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    done => |p| {
        let (outcome, information) = (p.local(3)?, p.local(4)?);
        Ok(answer(p, outcome, information))
    },
}
