//! Actions: what an application does, one after the other. Plain data, encoded into the process's
//! own memory and read from there.

use serde::{Deserialize, Serialize};

use crate::base::Access;

use super::configuration::hex;

mod control_code_name;
mod encode;
mod service_name;
mod slots;

pub use encode::{Encoded, Names, kind};

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
    /// Stores in a private word where the system has a word of a process's object, as every program could ask
    /// ("NtQuerySystemInformation", which told the addresses of objects that handles lead to).
    StoreProcessAddress {
        /// Which private word, 0 to 127.
        word: u16,
        /// The process, which is there at boot.
        process: String,
        /// Which word of its object, 0 to 15.
        field: u16,
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
    /// Reads to any address, as a program with a bad pointer does.
    ReadTo {
        /// The handle's slot.
        slot: u8,
        /// From which offset.
        offset: u16,
        /// How many bytes.
        length: u16,
        /// Where the buffer is.
        #[serde(with = "hex")]
        buffer: u64,
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
        #[serde(with = "control_code_name")]
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
    /// Looks whether an event came that says of the host of a device that it was lost; the first time with a
    /// handle, asks for such events.
    DeviceEvent {
        /// The slot of the handle to the device.
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
    /// Duplicates a handle of another process into a process.
    DuplicateFrom {
        /// The slot of the handle to the process that has it.
        source: u8,
        /// The slot with the handle's value there.
        slot: u8,
        /// The slot of the handle to the process that gets it.
        process: u8,
        /// Wanted rights; 0: the same.
        access: u8,
        /// Whether the source is closed.
        #[serde(default)]
        close: bool,
    },
    /// Changes a handle's flags.
    SetHandle {
        /// The handle's slot.
        slot: u8,
        /// Whether children inherit it.
        #[serde(default)]
        inherit: bool,
        /// Whether it is protected from closing.
        #[serde(default)]
        protect: bool,
    },
    /// Asks for an exception at every use of a handle that is none.
    StrictHandles,
    /// Keeps a word of the page whose address is in a slot as a handle: what another process that
    /// maps the page says.
    Take {
        /// The slot with the address.
        view: u8,
        /// Which word of the page, 0 to 511.
        word: u16,
        /// The slot it goes to.
        slot: u8,
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
    /// Makes another thread of the process, which runs this list from some action on to its end.
    CreateThread {
        /// Its first action in this list.
        first: u8,
        /// Where the handle goes.
        slot: u8,
    },
    /// Ends the thread that does this.
    ExitThread {
        /// The status.
        status: u32,
    },
    /// Ends a thread.
    TerminateThread {
        /// The slot of the handle to it.
        slot: u8,
        /// The status.
        status: u32,
    },
    /// Goes back to an action, so many times in all.
    Repeat {
        /// The action of this list that is next.
        first: u8,
        /// How often it goes back; 0: for ever.
        times: u16,
    },
    /// Goes on at another action if the last system call failed, as a program does that looks at the status.
    OnFailure {
        /// The action of this list that is next then.
        first: u8,
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
    /// Ends a process.
    Terminate {
        /// The slot of the handle to it.
        slot: u8,
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
    /// Loads the stack segment (`mov ss`) from the first private word.
    LoadStackSegment {
        /// Whether a system call comes right behind it.
        call: bool,
    },
    /// Asks for a system service with any arguments.
    SystemCall {
        /// The service's number; in a file its name as well.
        #[serde(with = "service_name")]
        service: u8,
        /// Arguments as they are.
        #[serde(with = "hex_list")]
        arguments: Vec<u64>,
    },
}

/// A list of numbers as hexadecimal strings.
mod hex_list {
    use serde::{Deserialize as _, Deserializer, Serialize, Serializer};

    use super::control_code_name::Code;

    #[derive(Serialize)]
    struct Hex(#[serde(serialize_with = "super::hex::serialize")] u64);

    pub(super) fn serialize<S: Serializer>(
        values: &[u64],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|&value| Hex(value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u64>, D::Error> {
        Ok(Vec::<Code>::deserialize(deserializer)?.into_iter().map(|Code(value)| value).collect())
    }
}
