//! What a shared host and the driver manager ask of the kernel: to wait, to answer, to decide.

use crate::base::{EventKind, Principal, Structure};
use crate::machine::{Flow, routine};

use super::host::{
    WAIT_DRIVER_DATA, capture_answer, extension, header, is_too_long, pass_data, pass_head,
    pass_second, passed, take_answer,
};
use super::host_create::{PS_CREATE_HOST, load_system_root};
use super::host_pool::{
    DEVICES_MAX, disable_all, extension_of, find, is_manager, is_told, late, shared, verdict,
};
use super::layout::{address, device_object, element, kernel_data, process, processor_block};
use super::object::current_process;
use super::schedule::KI_WAIT;
use super::service::answer;
use super::status;
use super::user_buffer::{
    COPY_DATA_FROM_USER, COPY_DATA_TO_USER, COPY_FROM_USER, COPY_STACK_TO_USER, COPY_TO_USER,
    PROBE_FOR_READ, PROBE_FOR_WRITE,
};

routine! {
    /// Service: a driver host waits for its next request, of any of its devices; the manager waits for
    /// something to decide. As [`NT_HOST_WAIT`](super::host::NT_HOST_WAIT); to the manager rdx says the device's number and,
    /// from bit 8 on, how it failed.
    pub static NT_SHARED_HOST_WAIT = "NtWaitForFrameworkRequest", frame 11;
    // Locals: 0 device in hand; 1 its extension; 2 buffer; 3 its length; 4 packet; 5 bytes of data;
    // 6 to 9 the header; 10 the first device.
    start, call PROBE_FOR_WRITE => |p| {
        let (buffer, length) = (p.argument(4), p.argument(5));
        let caller = current_process(p)?;
        let device = p.load(caller, process::HOSTED_DEVICE)?;
        if device == 0 {
            return Ok(answer(p, status::INVALID_DEVICE_REQUEST, 0));
        }
        let extension = extension_of(p, device)?;
        for (local, value) in [device, extension, buffer, length].into_iter().enumerate() {
            p.set_local(local as u64, value)?;
        }
        p.set_local(10, device)?;
        if is_manager(p, extension)? {
            return Ok(Flow::To(At::manager as u8));
        }
        if length < header::BYTES {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        p.pass([buffer, length]);
        Ok(Flow::Call)
    },
    probed => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            return Ok(answer(p, outcome, 0));
        }
        Ok(Flow::Next)
    },
    take => |p| {
        let (device, extension) = (p.local(0)?, p.local(1)?);
        let target = p.load(extension, extension::TAKE)?;
        let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
        p.pass([device, current]);
        Ok(Flow::CallAt(target))
    },
    taken => |p| {
        let packet = p.result();
        if packet != 0 {
            p.set_local(4, packet)?;
            return Ok(Flow::To(At::head as u8));
        }
        let extension = p.local(1)?;
        let next = p.load(extension, shared::NEXT)?;
        if next == 0 {
            return Ok(Flow::Next);
        }
        let extension = extension_of(p, next)?;
        p.set_local(0, next)?;
        p.set_local(1, extension)?;
        Ok(Flow::To(At::take as u8))
    },
    // None of them has anything.
    wait, call KI_WAIT => |p| {
        let first = p.local(10)?;
        let extension = extension_of(p, first)?;
        p.store(extension, extension::SIGNAL, 0)?;
        p.set_local(0, first)?;
        p.set_local(1, extension)?;
        p.pass([extension.wrapping_add(extension::SIGNAL.offset), WAIT_DRIVER_DATA]);
        Ok(Flow::Call)
    },
    again => |_| Ok(Flow::To(At::take as u8)),
    head, call COPY_STACK_TO_USER => pass_head,
    data, call COPY_TO_USER => |p| pass_data(p, At::second as u8),
    second, call COPY_DATA_TO_USER => pass_second,
    done => passed,

    manager, call KI_WAIT => |p| {
        let (home, extension) = (p.local(0)?, p.local(1)?);
        let current = p.load(p.gs(), processor_block::CURRENT_THREAD)?;
        p.store(extension, shared::MANAGER_THREAD, current)?;
        let is_new = |notice| notice != 0 && notice & shared::TOLD == 0;
        if let Some(device) = find(p, home, shared::NEXT_OF_ALL, shared::NOTICE, is_new)? {
            let extension = extension_of(p, device)?;
            let notice = p.load(extension, shared::NOTICE)?;
            p.store(extension, shared::NOTICE, notice | shared::TOLD)?;
            let number = p.load(device, device_object::NUMBER)? & 0xff;
            return Ok(answer(p, status::SUCCESS, number | notice << 8));
        }
        p.store(extension, shared::MANAGER_SIGNAL, 0)?;
        p.pass([extension.wrapping_add(shared::MANAGER_SIGNAL.offset), WAIT_DRIVER_DATA]);
        Ok(Flow::Call)
    },
    manager_woken => |_| Ok(Flow::To(At::manager as u8)),
}

routine! {
    /// Service: a driver host answers the request it has, as [`NT_HOST_COMPLETE`](super::host::NT_HOST_COMPLETE); the manager decides:
    /// device number, and the [`verdict`] in rdx.
    pub static NT_SHARED_HOST_COMPLETE = "NtCompleteFrameworkRequest", frame 6;
    // Locals of a host: 0 device; 1 extension; 2 status; 3 data; 4 its length.
    // Locals of the manager: 0 device in hand; 1 verdict; 2 the first device of the others, 0 when
    // there are none; 3 the first device of all.
    start, call PROBE_FOR_READ => |p| {
        let (outcome, data, length) = (p.argument(0), p.argument(2), p.argument(3));
        let caller = current_process(p)?;
        let first = p.load(caller, process::HOSTED_DEVICE)?;
        if first == 0 {
            return Ok(answer(p, status::INVALID_DEVICE_REQUEST, 0));
        }
        let extension = extension_of(p, first)?;
        if is_manager(p, extension)? {
            p.set_local(0, outcome)?;
            p.set_local(1, data)?;
            p.set_local(3, first)?;
            return Ok(Flow::To(At::decide as u8));
        }
        let is_there = |packet| packet != 0;
        let Some(device) = find(p, first, shared::NEXT, extension::TAKEN, is_there)? else {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        };
        let extension = extension_of(p, device)?;
        let packet = p.load(extension, extension::TAKEN)?;
        if is_too_long(p, packet, length)? {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        for (local, value) in [device, extension, outcome, data, length].into_iter().enumerate() {
            p.set_local(local as u64, value)?;
        }
        p.pass([data, length]);
        Ok(Flow::Call)
    },
    copy, call COPY_FROM_USER => |p| {
        take_answer(p, At::capture as u8, At::finish as u8)
    },
    copied => |p| {
        let outcome = p.result();
        if outcome != status::SUCCESS {
            return Ok(answer(p, outcome, 0));
        }
        Ok(Flow::Next)
    },
    finish => |p| {
        let (device, extension) = (p.local(0)?, p.local(1)?);
        let (outcome, length) = (p.local(2)?, p.local(4)?);
        let target = p.load(extension, extension::FINISH)?;
        p.pass([device, outcome, length]);
        Ok(Flow::CallAt(target))
    },
    done => |p| Ok(answer(p, status::SUCCESS, 0)),
    capture, call COPY_DATA_FROM_USER => capture_answer,
    captured => |_| Ok(Flow::To(At::copied as u8)),

    decide => |p| {
        let (number, decided) = (p.local(0)?, p.local(1)?);
        if number >= DEVICES_MAX {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        let device = p.load(element(address::KERNEL_DATA, number), kernel_data::DEVICES)?;
        let first = p.local(3)?;
        // Only a device of the framework, of whose failure the manager was told.
        if !is_told(p, first, device)? {
            return Ok(answer(p, status::INVALID_PARAMETER, 0));
        }
        let extension = extension_of(p, device)?;
        p.store(extension, shared::NOTICE, 0)?;
        p.set_local(0, device)?;
        p.set_local(2, 0)?;
        let is_shared = p.load(extension, shared::IS_SHARED)? != 0;
        let has_own = p.load(extension, shared::OWN_HOST)? != 0;
        Ok(Flow::To(match decided {
            verdict::OWN_HOST if is_shared && has_own => At::part as u8,
            verdict::DISABLE => At::give_up as u8,
            _ => At::restart as u8,
        }))
    },
    // The device leaves the others.
    part => |p| {
        let device = p.local(0)?;
        let extension = extension_of(p, device)?;
        let first = p.load(extension, shared::FIRST)?;
        let behind = p.load(extension, shared::NEXT)?;
        let others = if first == device { behind } else { first };
        p.set_local(2, others)?;
        let mut other = others;
        for _ in 0..DEVICES_MAX {
            if other == 0 {
                break;
            }
            let its = extension_of(p, other)?;
            p.store(its, shared::FIRST, others)?;
            let next = p.load(its, shared::NEXT)?;
            if next == device {
                p.store(its, shared::NEXT, behind)?;
                other = behind;
            } else {
                other = next;
            }
        }
        let (own, pattern) =
            (p.load(extension, shared::OWN_HOST)?, p.load(extension, shared::OWN_PATTERN)?);
        for (field, value) in [
            (shared::NEXT, 0),
            (shared::FIRST, device),
            (shared::IS_SHARED, 0),
            (extension::HOST, own),
            (extension::PATTERN, pattern),
        ] {
            p.store(extension, field, value)?;
        }
        Ok(Flow::Next)
    },
    restart, call PS_CREATE_HOST => |p| {
        let device = p.local(0)?;
        let extension = extension_of(p, device)?;
        let first = p.load(extension, shared::FIRST)?;
        let host = p.load(extension, extension::HOST)?;
        let pattern = p.load(extension, extension::PATTERN)?;
        load_system_root(p)?;
        p.pass([host, first, pattern]);
        Ok(Flow::Call)
    },
    restarted => |p| {
        let made = p.result();
        let caller = current_process(p)?;
        let root = p.load(caller, process::ROOT)?;
        p.load_root(root)?;
        let device = p.local(0)?;
        let extension = extension_of(p, device)?;
        if made == 0 {
            let first = p.load(extension, shared::FIRST)?;
            disable_all(p, first)?;
        } else {
            let host = Principal((p.load(extension, extension::HOST)? & 63) as u8);
            let failures = p.load(extension, extension::RESTARTS)?;
            p.announce(EventKind::HostRestarted, host, Structure::Process, [0, 0, failures, 0]);
        }
        let others = p.local(2)?;
        if others == 0 {
            return Ok(Flow::To(At::late as u8));
        }
        p.set_local(0, others)?;
        p.set_local(2, 0)?;
        Ok(Flow::To(At::restart as u8))
    },
    // With a host that is shared all of its devices: nobody makes it again.
    give_up => |p| {
        let device = p.local(0)?;
        let extension = extension_of(p, device)?;
        let first = p.load(extension, shared::FIRST)?;
        disable_all(p, first)?;
        Ok(Flow::Next)
    },
    // Requests that were to be completed after the restart are completed now.
    late => |p| {
        let all = p.local(3)?;
        match late(p, all)? {
            Some(flow) => Ok(flow),
            None => Ok(answer(p, status::SUCCESS, 0)),
        }
    },
    again => |_| Ok(Flow::To(At::late as u8)),
}
