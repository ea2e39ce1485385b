//! Actions: what an application does, one after the other. Plain data, encoded into the process's
//! own memory and read from there.

use serde::{Deserialize, Serialize};

use crate::base::Access;
use crate::kernel::layout::address;
use crate::kernel::service;

use super::configuration::hex;

/// Where in a process's buffer page things are.
pub mod place {
    /// First of 16 handle slots.
    pub const SLOTS: u64 = 0x000;
    /// 256 bytes that requests send.
    pub const OUTGOING: u64 = 0x100;
    /// 256 bytes that requests return.
    pub const INCOMING: u64 = 0x200;
    /// 128 private words.
    pub const PRIVATE: u64 = 0x400;
}

/// Handle slots of a process.
pub const SLOTS_MAX: u8 = 16;
/// Private words of a process.
pub const PRIVATE_WORDS: u16 = 128;
/// Bytes of one request at most.
pub const LENGTH_MAX: u16 = 256;

/// How an application crashes by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrashKind {
    /// Reads through a null pointer.
    NullDereference,
    /// Runs bytes that are no instruction.
    IllegalInstruction,
    /// Divides by zero.
    DivideByZero,
    /// Calls itself until the stack is used up.
    StackOverflow,
    /// Fails fast.
    Abort,
    /// Executes a privileged instruction.
    PrivilegedInstruction,
}

/// One thing an application does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Stores into a private word.
    Store {
        /// Which, 0 to 127.
        word: u16,
        /// What.
        #[serde(with = "hex")]
        value: u64,
    },
    /// Loads a private word and shows it.
    Load {
        /// Which, 0 to 127.
        word: u16,
    },
    /// Accesses any address directly, as a program with a bad pointer does.
    Access {
        /// Where.
        #[serde(with = "hex")]
        address: u64,
        /// How.
        access: Access,
    },
    /// Allocates a page; its address goes into a slot.
    Allocate {
        /// The slot.
        slot: u8,
    },
    /// Allocates the page at an address; where it is goes into a slot. To ask for the page at 0, ask for
    /// address 1: 0 means any.
    AllocateAt {
        /// The address.
        #[serde(with = "hex")]
        address: u64,
        /// The slot.
        slot: u8,
    },
    /// Frees the page whose address is in a slot.
    Free {
        /// The slot.
        slot: u8,
    },
    /// Stores a word in the page whose address is in a slot.
    StoreThrough {
        /// The slot.
        slot: u8,
        /// Which word of the page, 0 to 511.
        word: u16,
        /// What.
        #[serde(with = "hex")]
        value: u64,
    },
    /// Loads a word of the page whose address is in a slot and shows it.
    LoadThrough {
        /// The slot.
        slot: u8,
        /// Which word of the page, 0 to 511.
        word: u16,
    },
    /// Opens a device, or a file on it.
    Open {
        /// The device's name: the driver on top of its stack.
        device: String,
        /// The file's number.
        #[serde(default)]
        file: u8,
        /// Wanted rights: 1 read, 2 write.
        access: u8,
        /// Where the handle goes.
        slot: u8,
    },
    /// Reads.
    Read {
        /// The handle's slot.
        slot: u8,
        /// From which offset.
        offset: u16,
        /// How many bytes.
        length: u16,
    },
    /// Writes.
    Write {
        /// The handle's slot.
        slot: u8,
        /// At which offset.
        offset: u16,
        /// How many bytes.
        length: u16,
        /// Of which pattern.
        #[serde(with = "hex")]
        value: u64,
    },
    /// Device control: sends a pattern and reads as many bytes back.
    Control {
        /// The handle's slot.
        slot: u8,
        /// Which operation.
        #[serde(with = "hex")]
        code: u64,
        /// How many bytes.
        length: u16,
        /// Of which pattern.
        #[serde(with = "hex")]
        value: u64,
    },
    /// Writes back what is cached.
    Flush {
        /// The handle's slot.
        slot: u8,
    },
    /// Reads a device's register with an instruction of its own (`in`).
    PortIn {
        /// The port.
        port: u16,
    },
    /// Writes a device's register with an instruction of its own (`out`).
    PortOut {
        /// The port.
        port: u16,
        /// What.
        #[serde(with = "hex")]
        value: u64,
    },
    /// Creates an event.
    CreateEvent {
        /// Where the handle goes.
        slot: u8,
    },
    /// Sets an event.
    SetEvent {
        /// The handle's slot.
        slot: u8,
    },
    /// Shows an event's state.
    QueryEvent {
        /// The handle's slot.
        slot: u8,
    },
    /// Opens a section.
    OpenSection {
        /// Its number.
        section: u8,
        /// Wanted rights: 1 read, 2 write.
        access: u8,
        /// Where the handle goes.
        slot: u8,
    },
    /// Maps a section.
    MapView {
        /// The handle's slot.
        slot: u8,
        /// Where the address goes.
        view: u8,
    },
    /// Unmaps a section.
    UnmapView {
        /// The slot with the address.
        view: u8,
    },
    /// Opens a process.
    OpenProcess {
        /// Its name.
        process: String,
        /// Wanted rights, see the handle module.
        access: u8,
        /// Where the handle goes.
        slot: u8,
    },
    /// Duplicates a handle into a process.
    Duplicate {
        /// The handle's slot.
        slot: u8,
        /// The slot of the handle to the process that gets it.
        process: u8,
        /// Wanted rights; 0: the same.
        access: u8,
    },
    /// Creates a process that runs this list from some action on.
    CreateProcess {
        /// The component it becomes; it must be marked as spawned.
        process: String,
        /// Its first action in this list.
        first: u8,
        /// Whether it gets the handles that can be inherited.
        inherit: bool,
        /// Where the handle goes.
        slot: u8,
    },
    /// Closes a handle.
    Close {
        /// The handle's slot.
        slot: u8,
    },
    /// Lets others run.
    Yield,
    /// Waits for good, as a service does that has nothing to do.
    Wait,
    /// Ends with a status.
    Exit {
        /// The status.
        status: u32,
    },
    /// Crashes.
    Crash {
        /// How.
        how: CrashKind,
    },
    /// Runs for ever.
    Spin,
    /// Asks for a system service with any arguments.
    SystemCall {
        /// The service's number.
        service: u8,
        /// Arguments as they are.
        #[serde(with = "hex_list")]
        arguments: Vec<u64>,
    },
}

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
            Self::CreateProcess { ref process, first, inherit, slot: at } => {
                let number = names.process(process)?;
                let arguments = [number, u64::from(inherit), u64::from(first), 0, 0, 0];
                call(service::CREATE_PROCESS, 0, slot(at), arguments, 0)
            }
            Self::Close { slot: at } => {
                call(service::CLOSE, first, n, [slot(at), 0, 0, 0, 0, 0], 0)
            }
            Self::Yield => call(service::YIELD, 0, n, [0; 6], 0),
            Self::Wait => call(service::WAIT, 0, n, [0; 6], 0),
            Self::Exit { status } => {
                call(service::TERMINATE, 0, n, [u64::from(status), 0, 0, 0, 0, 0], 0)
            }
            Self::Crash { how } => [kind::CRASH, how as u64, 0, 0, 0, 0, 0, 0],
            Self::PortIn { port } => [kind::PORT_IN, u64::from(port), 0, 0, 0, 0, 0, 0],
            Self::PortOut { port, value } => {
                [kind::PORT_OUT, u64::from(port), value, 0, 0, 0, 0, 0]
            }
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

/// A list of numbers as hexadecimal strings.
mod hex_list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Hex(#[serde(with = "super::hex")] u64);

    pub(super) fn serialize<S: Serializer>(
        values: &[u64],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|&value| Hex(value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u64>, D::Error> {
        Ok(Vec::<Hex>::deserialize(deserializer)?.into_iter().map(|Hex(value)| value).collect())
    }
}
