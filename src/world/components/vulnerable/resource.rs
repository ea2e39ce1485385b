//! The mistake with what belongs to somebody else: the driver does in the kernel's own name what its
//! caller may not do ("InitializeObjectAttributes macro", where `OBJ_FORCE_ACCESS_CHECK` is the remedy).

use crate::kernel::handle::access;
use crate::kernel::previous_mode::{ZW_CLOSE, ZW_OPEN_PROCESS, ZW_TERMINATE_PROCESS};
use crate::kernel::service;
use crate::kernel::status;
use crate::machine::{Flow, Reg, routine};

use super::super::windows_api::API_CALL;
use super::{END, keep, request};

/// With which status a process is ended.
const ENDED: u64 = status::ACCESS_DENIED;

routine! {
    /// Opens the process that the request names and ends it. With [`END_CHECKED`](super::END_CHECKED) the
    /// opening is checked as if the caller had asked.
    pub static END_PROCESS = "EndProcess", frame 6;
    // Locals: 0 request; 1 packed; 2 bytes; 3 page; 4 handle; 5 function.
    keep => |p| {
        let function = p.argument(4);
        p.set_local(5, function)?;
        keep(p)
    },
    open, call ZW_OPEN_PROCESS => |p| {
        let (buffer, packed) = (p.local(0)?, p.local(1)?);
        let number = p.load_at(buffer, request(packed))?;
        let check = if p.local(5)? == END { 0 } else { access::FORCE_CHECK };
        p.pass([number, access::TERMINATE | check]);
        Ok(Flow::Call)
    },
    end, call ZW_TERMINATE_PROCESS => |p| {
        let (outcome, handle) = (p.result(), p.get(Reg::Rdx));
        p.set_local(4, handle)?;
        if outcome != status::SUCCESS {
            return Ok(p.give_back(0));
        }
        p.pass([ENDED, handle]);
        Ok(Flow::Call)
    },
    close, call ZW_CLOSE => |p| {
        let handle = p.local(4)?;
        p.pass([handle]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(0)),
}

routine! {
    /// The same in a host, which has no name but its own to ask in.
    pub static HOSTED_END_PROCESS = "HostedEndProcess", frame 0;
    open, call API_CALL => |p| {
        let (buffer, packed) = (p.argument(0), p.argument(1));
        let number = p.load_at(buffer, request(packed))?;
        p.put(Reg::Rax, service::OPEN_PROCESS);
        p.pass([number, access::TERMINATE]);
        Ok(Flow::Call)
    },
    end, call API_CALL => |p| {
        let (outcome, handle) = (p.result(), p.get(Reg::Rdx));
        if outcome != status::SUCCESS {
            return Ok(p.give_back(0));
        }
        p.put(Reg::Rax, service::TERMINATE);
        p.pass([ENDED, handle]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(0)),
}
