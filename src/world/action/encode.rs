//! Actions as words, as they lie in a process's memory.

use crate::base::Access;
use crate::kernel::handle_duplicate::option;
use crate::kernel::layout::address;
use crate::kernel::{handle_information, service};

use super::super::components::application::{EVER, WORKER_ENTRY};
use super::super::components::stack_segment::entry;
use super::{Action, place};

/// Kinds of encoded action, in the low byte of the first word.
pub mod kind {
    /// A system service.
    pub const SERVICE: u64 = 1;
    /// Store at an address.
    pub const STORE: u64 = 2;
    /// Load from an address and show it.
    pub const LOAD: u64 = 3;
    /// Execute at an address.
    pub const EXECUTE: u64 = 4;
    /// Crash.
    pub const CRASH: u64 = 5;
    /// Run for ever.
    pub const SPIN: u64 = 6;
    /// Read a device's register.
    pub const PORT_IN: u64 = 7;
    /// Write a device's register.
    pub const PORT_OUT: u64 = 8;
    /// Keep a word of a page in a slot.
    pub const TAKE: u64 = 9;
    /// Go back.
    pub const REPEAT: u64 = 10;
    /// Go on elsewhere after a call that failed.
    pub const ON_FAILURE: u64 = 11;
}

/// No slot.
const NO_SLOT: u64 = 0xff;

/// An action as it lies in a process's memory: `kind | service << 8 | slot arguments << 16 |
/// result slot << 24`, six arguments, the pattern to fill the outgoing buffer with.
pub type Encoded = [u64; 8];

/// What names in actions mean in a world.
pub trait Names {
    /// The number of a device in the device table.
    fn device(&self, name: &str) -> Option<u64>;
    /// The principal number of a process.
    fn process(&self, name: &str) -> Option<u64>;
}

/// A call of a service: arguments that are slots are marked in `slots`.
fn call(number: u64, slots: u64, result: u64, arguments: [u64; 6], pattern: u64) -> Encoded {
    let [a, b, c, d, e, f] = arguments;
    [kind::SERVICE | number << 8 | slots << 16 | result << 24, a, b, c, d, e, f, pattern]
}

impl Action {
    /// The action as words; `None` when it names something that is not there.
    #[must_use]
    pub fn encode(&self, names: &dyn Names) -> Option<Encoded> {
        let outgoing = address::USER_BUFFERS + place::OUTGOING;
        let incoming = address::USER_BUFFERS + place::INCOMING;
        let private = |word: u16| address::USER_BUFFERS + place::PRIVATE + u64::from(word) * 8;
        let (n, first) = (NO_SLOT, 1);
        let slot = |slot: u8| u64::from(slot);
        Some(match *self {
            Self::Store { word, value } => [kind::STORE, private(word), value, 0, 0, 0, 0, 0],
            // What is stored is known when the process is: see `World::build_with`.
            Self::StoreProcessAddress { word, ref process, .. } => {
                names.process(process)?;
                [kind::STORE, private(word), 0, 0, 0, 0, 0, 0]
            }
            Self::Load { word } => [kind::LOAD, private(word), 0, 0, 0, 0, 0, 0],
            Self::Access { address, access } => {
                let kind = match access {
                    Access::Read => kind::LOAD,
                    Access::Write => kind::STORE,
                    Access::Execute => kind::EXECUTE,
                };
                [kind, address, 0x5eed, 0, 0, 0, 0, 0]
            }
            Self::Allocate { slot: at } => call(service::ALLOCATE, 0, slot(at), [0; 6], 0),
            Self::AllocateAt { address, slot: at } => {
                call(service::ALLOCATE, 0, slot(at), [address, 0, 0, 0, 0, 0], 0)
            }
            Self::Free { slot: at } => call(service::FREE, first, n, [slot(at), 0, 0, 0, 0, 0], 0),
            Self::StoreThrough { slot: at, word, value } => {
                [kind::STORE | first << 16, slot(at), value, u64::from(word) * 8, 0, 0, 0, 0]
            }
            Self::LoadThrough { slot: at, word } => {
                [kind::LOAD | first << 16, slot(at), 0, u64::from(word) * 8, 0, 0, 0, 0]
            }
            Self::Open { ref device, file, access, slot: at } => {
                let device = names.device(device)?;
                let arguments = [device, u64::from(file), u64::from(access), 0, 0, 0];
                call(service::OPEN_FILE, 0, slot(at), arguments, 0)
            }
            Self::Read { slot: at, offset, length } => {
                let arguments = [slot(at), u64::from(offset), 0, 0, incoming, u64::from(length)];
                call(service::READ_FILE, first, n, arguments, 0)
            }
            Self::ReadTo { slot: at, offset, length, buffer } => {
                let arguments = [slot(at), u64::from(offset), 0, 0, buffer, u64::from(length)];
                call(service::READ_FILE, first, n, arguments, 0)
            }
            Self::Write { slot: at, offset, length, value } => {
                let arguments = [slot(at), u64::from(offset), outgoing, u64::from(length), 0, 0];
                call(service::WRITE_FILE, first, n, arguments, value)
            }
            Self::Control { slot: at, code, length, value } => {
                let length = u64::from(length);
                let arguments = [slot(at), code, outgoing, length, incoming, length];
                call(service::DEVICE_CONTROL, first, n, arguments, value)
            }
            Self::Flush { slot: at } => {
                call(service::FLUSH, first, n, [slot(at), 0, 0, 0, 0, 0], 0)
            }
            Self::DeviceEvent { slot: at } => {
                call(service::DEVICE_EVENT, first, n, [slot(at), 0, 0, 0, 0, 0], 0)
            }
            Self::CreateEvent { slot: at } => call(service::CREATE_EVENT, 0, slot(at), [0; 6], 0),
            Self::SetEvent { slot: at } => {
                call(service::SET_EVENT, first, n, [slot(at), 0, 0, 0, 0, 0], 0)
            }
            Self::QueryEvent { slot: at } => {
                call(service::QUERY_EVENT, first, n, [slot(at), 0, 0, 0, incoming, 16], 0)
            }
            Self::OpenSection { section, access, slot: at } => {
                let arguments = [u64::from(section), u64::from(access), 0, 0, 0, 0];
                call(service::OPEN_SECTION, 0, slot(at), arguments, 0)
            }
            Self::MapView { slot: at, view } => {
                call(service::MAP_VIEW, first, slot(view), [slot(at), 0, 0, 0, 0, 0], 0)
            }
            Self::UnmapView { view } => {
                call(service::UNMAP_VIEW, first, n, [slot(view), 0, 0, 0, 0, 0], 0)
            }
            Self::OpenProcess { ref process, access, slot: at } => {
                let arguments = [names.process(process)?, u64::from(access), 0, 0, 0, 0];
                call(service::OPEN_PROCESS, 0, slot(at), arguments, 0)
            }
            Self::Duplicate { slot: at, process, access } => {
                let arguments = [slot(at), slot(process), u64::from(access), 0, 0, 0];
                call(service::DUPLICATE, 0b11, n, arguments, 0)
            }
            Self::DuplicateFrom { source, slot: at, process, access, close } => {
                let options = if close { option::CLOSE_SOURCE } else { 0 };
                let (access, source) = (u64::from(access), slot(source));
                let arguments = [slot(at), slot(process), access, source, options, 0];
                call(service::DUPLICATE, 0b1011, n, arguments, 0)
            }
            Self::SetHandle { slot: at, inherit, protect } => {
                let which = handle_information::INHERIT | handle_information::PROTECT_FROM_CLOSE;
                let values = u64::from(inherit) | u64::from(protect) << 1;
                call(service::SET_HANDLE, first, n, [slot(at), which, values, 0, 0, 0], 0)
            }
            Self::StrictHandles => {
                let policy = handle_information::STRICT_HANDLE_CHECK_POLICY;
                let flags = handle_information::RAISE_EXCEPTION;
                call(service::SET_POLICY, 0, n, [policy, flags, 0, 0, 0, 0], 0)
            }
            Self::Take { view, word, slot: at } => {
                [kind::TAKE | first << 16, slot(view), slot(at), u64::from(word) * 8, 0, 0, 0, 0]
            }
            Self::CreateProcess { ref process, first, inherit, slot: at } => {
                let number = names.process(process)?;
                let arguments = [number, u64::from(inherit), u64::from(first), 0, 0, 0];
                call(service::CREATE_PROCESS, 0, slot(at), arguments, 0)
            }
            Self::CreateThread { first, slot: at } => {
                let arguments = [WORKER_ENTRY, u64::from(first), 0, 0, 0, 0];
                call(service::CREATE_THREAD, 0, slot(at), arguments, 0)
            }
            Self::ExitThread { status } => {
                call(service::TERMINATE_THREAD, 0, n, [u64::from(status), 0, 0, 0, 0, 0], 0)
            }
            Self::TerminateThread { slot: at, status } => {
                let arguments = [u64::from(status), slot(at), 0, 0, 0, 0];
                call(service::TERMINATE_THREAD, 0b10, n, arguments, 0)
            }
            Self::Repeat { first, times } => {
                let times = if times == 0 { EVER } else { u64::from(times) };
                [kind::REPEAT, u64::from(first), times, 0, 0, 0, 0, 0]
            }
            Self::OnFailure { first } => [kind::ON_FAILURE, u64::from(first), 0, 0, 0, 0, 0, 0],
            Self::Close { slot: at } => {
                call(service::CLOSE, first, n, [slot(at), 0, 0, 0, 0, 0], 0)
            }
            Self::Yield => call(service::YIELD, 0, n, [0; 6], 0),
            Self::Wait => call(service::WAIT, 0, n, [0; 6], 0),
            Self::Exit { status } => {
                call(service::TERMINATE, 0, n, [u64::from(status), 0, 0, 0, 0, 0], 0)
            }
            Self::Terminate { slot: at, status } => {
                let arguments = [u64::from(status), slot(at), 0, 0, 0, 0];
                call(service::TERMINATE, 0b10, n, arguments, 0)
            }
            Self::Crash { how } => [kind::CRASH, how as u64, 0, 0, 0, 0, 0, 0],
            Self::PortIn { port } => [kind::PORT_IN, u64::from(port), 0, 0, 0, 0, 0, 0],
            Self::PortOut { port, value } => {
                [kind::PORT_OUT, u64::from(port), value, 0, 0, 0, 0, 0]
            }
            Self::LoadStackSegment { call } => [kind::EXECUTE, entry(call), 0, 0, 0, 0, 0, 0],
            Self::Spin => [kind::SPIN, 0, 0, 0, 0, 0, 0, 0],
            Self::SystemCall { service, ref arguments } => {
                let mut six = [0; 6];
                for (to, from) in six.iter_mut().zip(arguments) {
                    *to = *from;
                }
                call(u64::from(service), 0, n, six, 0)
            }
        })
    }
}
