//! Events: the smallest object two processes can share.
//!
//! A notification event stays signalled once set ("Event Objects", "NtSetEvent", "NtQueryEvent").
//! Nobody waits on an event in this model; its state is looked at.

use crate::base::Rule;
use crate::machine::{Flow, Reg, routine};

use super::handle::{OB_CREATE_HANDLE, OB_CREATE_KERNEL_HANDLE, OB_REFERENCE_BY_HANDLE, access};
use super::layout::{SMALL_OBJECT_BYTES, object_body, object_type, process, switches};
use super::object::{OB_CREATE_OBJECT, OB_DEREFERENCE, current_process};
use super::previous_mode::{self, previous_mode};
use super::service::answer;
use super::user_buffer::{COPY_STACK_TO_USER, PROBE_FOR_WRITE};
use super::verified::verified_routine;
use super::{ddi_compliance, status};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::documented(
    "event-stays-signalled",
    "A notification event stays signalled once it is set.",
    "Event Objects",
)];

/// Bytes that a query returns: the state, and how often the event was set.
pub const QUERY_BYTES: u64 = 16;

routine! {
    /// Service: creates an event that is not signalled. Argument: attributes, of which only
    /// [`access::INHERIT`] counts and, in kernel mode's name, [`access::KERNEL_HANDLE`]
    /// (`OBJ_INHERIT`, `OBJ_KERNEL_HANDLE`: "Object Handles"). The handle comes back in rdx.
    pub static NT_CREATE_EVENT = "NtCreateEvent", frame 3;
    create, call OB_CREATE_OBJECT => |p| {
        let asked = p.argument(0);
        let mut attributes = asked & access::INHERIT;
        if asked & access::KERNEL_HANDLE != 0 && previous_mode(p)? == previous_mode::KERNEL {
            attributes |= access::KERNEL_HANDLE;
        }
        p.set_local(0, attributes)?;
        let caller = current_process(p)?;
        let creator = p.load(caller, process::PRINCIPAL)?;
        p.pass([object_type::EVENT, SMALL_OBJECT_BYTES, creator]);
        Ok(Flow::Call)
    },
    open, call OB_CREATE_HANDLE => |p| {
        let object = p.result();
        if object == 0 {
            return Ok(answer(p, status::INSUFFICIENT_RESOURCES, 0));
        }
        p.set_local(1, object)?;
        let attributes = p.local(0)?;
        if attributes & access::KERNEL_HANDLE != 0 {
            return Ok(Flow::To(At::open_kernel as u8));
        }
        let caller = current_process(p)?;
        p.pass([caller, object, access::EVENT | attributes]);
        Ok(Flow::Call)
    },
    opened => |_| Ok(Flow::To(At::release as u8)),
    open_kernel, call OB_CREATE_KERNEL_HANDLE => |p| {
        let object = p.local(1)?;
        p.pass([object, access::EVENT]);
        Ok(Flow::Call)
    },
    release, call OB_DEREFERENCE => |p| {
        let handle = p.result();
        p.set_local(2, handle)?;
        let object = p.local(1)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    done => |p| {
        let handle = p.local(2)?;
        let status = if handle == 0 { status::INSUFFICIENT_RESOURCES } else { status::SUCCESS };
        Ok(answer(p, status, handle))
    },
}

verified_routine! {
    /// Sets an event, for drivers. Argument: the object, which is believed to be an event.
    KE_SET_EVENT, KE_SET_EVENT_VERIFIED = "KeSetEvent", frame 0, by ddi_compliance::of_set_event;
    set => |p| {
        let object = p.argument(0);
        p.store(object, object_body::FIRST, 1)?;
        let times = p.load(object, object_body::THIRD)?;
        p.store(object, object_body::THIRD, times.wrapping_add(1))?;
        Ok(Flow::Return)
    },
}

routine! {
    /// Service: sets an event. Argument: a handle with [`access::WRITE`].
    pub static NT_SET_EVENT = "NtSetEvent", frame 0;
    look, call OB_REFERENCE_BY_HANDLE => |p| {
        let handle = p.argument(0);
        let mode = previous_mode(p)?;
        p.pass([handle, access::WRITE, object_type::EVENT, mode, 0]);
        Ok(Flow::Call)
    },
    set, call OB_DEREFERENCE => |p| {
        let (object, status) = (p.result(), p.get(Reg::Rdx));
        if object == 0 {
            return Ok(answer(p, status, 0));
        }
        p.store(object, object_body::FIRST, 1)?;
        let times = p.load(object, object_body::THIRD)?;
        p.store(object, object_body::THIRD, times.wrapping_add(1))?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    done => |p| Ok(answer(p, status::SUCCESS, 0)),
}

routine! {
    /// Service: tells an event's state and how often it was set. Arguments: a handle with
    /// [`access::READ`]; buffer in r8, its length in r9, [`QUERY_BYTES`] at least.
    pub static NT_QUERY_EVENT = "NtQueryEvent", frame 4;
    probe, call PROBE_FOR_WRITE => |p| {
        let (handle, buffer, length) = (p.argument(0), p.argument(4), p.argument(5));
        let is_compared = p.defects() & switches::LENGTH_IGNORED == 0;
        if is_compared && length < QUERY_BYTES {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        p.set_local(0, handle)?;
        p.set_local(1, buffer)?;
        if previous_mode(p)? == previous_mode::KERNEL {
            // Kernel mode is believed ("ProbeForWrite").
            p.put(Reg::Rax, status::SUCCESS);
            return Ok(Flow::Next);
        }
        p.pass([buffer, length]);
        Ok(Flow::Call)
    },
    look, call OB_REFERENCE_BY_HANDLE => |p| {
        let status = p.result();
        if status != status::SUCCESS {
            return Ok(answer(p, status, 0));
        }
        let handle = p.local(0)?;
        let mode = previous_mode(p)?;
        p.pass([handle, access::READ, object_type::EVENT, mode, 0]);
        Ok(Flow::Call)
    },
    query, call OB_DEREFERENCE => |p| {
        let (object, status) = (p.result(), p.get(Reg::Rdx));
        if object == 0 {
            return Ok(answer(p, status, 0));
        }
        let state = p.load(object, object_body::FIRST)?;
        let times = p.load(object, object_body::THIRD)?;
        p.set_local(2, state)?;
        p.set_local(3, times)?;
        p.pass([object]);
        Ok(Flow::Call)
    },
    give, call COPY_STACK_TO_USER => |p| {
        let buffer = p.local(1)?;
        p.pass([buffer, p.local_address(2), QUERY_BYTES]);
        Ok(Flow::Call)
    },
    done => |p| {
        let status = p.result();
        Ok(answer(p, status, 0))
    },
}
