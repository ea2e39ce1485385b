//! The mistake with what belongs to somebody else: the driver does in the kernel's own name what its
//! caller may not do ("InitializeObjectAttributes macro", where `OBJ_FORCE_ACCESS_CHECK` is the remedy).

use crate::kernel::handle::access;
use crate::kernel::previous_mode::{ZW_CLOSE, ZW_OPEN_PROCESS, ZW_TERMINATE_PROCESS};
use crate::kernel::service;
use crate::kernel::status;
use crate::machine::{Flow, Reg, routine};

use super::super::home::request;
use super::super::windows_api::API_CALL;
use super::{END, keep};

/// With which status a process is ended.
const ENDED: u64 = status::ACCESS_DENIED;

routine! {
    /// Opens the process that the request names and ends it. With [`END_CHECKED`](super::END_CHECKED) the
    /// opening is checked as if the caller had asked.
    pub static END_PROCESS = "EndProcess", frame 5;
    // Locals: 0 request; 1 bytes; 2 page; 3 handle; 4 function.
    keep => |p| {
        let function = p.argument(3);
        p.set_local(4, function)?;
        keep(p)
    },
    open, call ZW_OPEN_PROCESS => |p| {
        let buffer = p.local(0)?;
        let number = p.load_at(buffer, request(p))?;
        let check = if p.local(4)? == END { 0 } else { access::FORCE_CHECK };
        p.pass([number, access::TERMINATE | check]);
        Ok(Flow::Call)
    },
    end, call ZW_TERMINATE_PROCESS => |p| {
        let (outcome, handle) = (p.result(), p.get(Reg::Rdx));
        p.set_local(3, handle)?;
        if outcome != status::SUCCESS {
            return Ok(p.give_back(0));
        }
        p.pass([ENDED, handle]);
        Ok(Flow::Call)
    },
    close, call ZW_CLOSE => |p| {
        let handle = p.local(3)?;
        p.pass([handle]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(0)),
}

routine! {
    /// The same in a host, which has no name but its own to ask in.
    pub static HOSTED_END_PROCESS = "HostedEndProcess", frame 0;
    open, call API_CALL => |p| {
        let buffer = p.argument(0);
        let number = p.load_at(buffer, request(p))?;
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
