//! What the driver for its callers' memory does with the second buffer of a direct request, at both of its homes.
//!
//! In kernel mode it is the caller's memory, locked, in a mapping of the system's ("Using Direct I/O"); in a host
//! it is the host's copy ("Managing Buffer Access Methods in UMDF Drivers"). The work is [`BUFFER_WORDS`] in both.

use crate::base::Structure;
use crate::kernel::layout::request_packet;
use crate::kernel::mdl::MM_MAP_LOCKED_PAGES;
use crate::kernel::request::function;
use crate::kernel::status;
use crate::machine::{Flow, routine};

use super::buffer_driver::{FILL, REPORTED, SUM};
use super::home::page;

routine! {
    /// Uses the caller's locked memory through the system's mapping. Arguments: driver data, packet.
    /// Result: the status.
    pub static BUFFER_DIRECT = "BufferDirect", frame 2;
    // Locals: 0 driver data; 1 packet.
    map, call MM_MAP_LOCKED_PAGES => |p| {
        let (data, packet) = (p.argument(0), p.argument(1));
        p.set_local(0, data)?;
        p.set_local(1, packet)?;
        let list = p.load(packet, request_packet::USER_BUFFER)?;
        if list == 0 {
            return Ok(p.give_back(status::INVALID_PARAMETER));
        }
        p.pass([list]);
        Ok(Flow::Call)
    },
    work, call BUFFER_WORDS => |p| {
        let (mapped, data, packet) = (p.result(), p.local(0)?, p.local(1)?);
        if mapped == 0 {
            return Ok(p.give_back(status::INSUFFICIENT_RESOURCES));
        }
        let bytes = p.load(packet, request_packet::LENGTH_OUT)?;
        let code = p.load(packet, request_packet::CODE)?;
        p.pass([mapped, bytes, data.wrapping_add(SUM.offset), function(code)]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(status::SUCCESS)),
}

routine! {
    /// Uses the second buffer of a direct request, at either home. Arguments: where it is, its bytes, where
    /// the sum is, the function.
    pub static BUFFER_WORDS = "BufferWords", frame 5;
    // Locals: 0 to 3 the arguments; 4 bytes done.
    keep => |p| {
        for number in 0..4 {
            let value = p.argument(number);
            p.set_local(number as u64, value)?;
        }
        p.set_local(4, 0)?;
        let sum = p.argument(2);
        p.store_at(sum, page(p), 0)?;
        Ok(Flow::Next)
    },
    word => |p| {
        let (start, bytes) = (p.local(0)?, p.local(1)?);
        let (at, done) = (p.local(2)?, p.local(4)?);
        if done.wrapping_add(8) > bytes {
            return Ok(Flow::Return);
        }
        p.set_local(4, done.wrapping_add(8))?;
        let here = start.wrapping_add(done);
        if p.local(3)? == FILL {
            p.store_at(here, Structure::UserData, REPORTED[0].wrapping_add(done))?;
        } else {
            let value = p.load_at(here, Structure::UserData)?;
            let sum = p.load_at(at, page(p))?;
            p.store_at(at, page(p), sum.wrapping_add(value))?;
        }
        Ok(Flow::Stay)
    },
}
