//! Places in memory by what they are.
//!
//! ```text
//! target  = "kernel/" part | "process:" NAME "/" part | "driver:" NAME "/" part | "physical:" ADDRESS
//! part    = NAME [ ":" NUMBER ]            numbers decimal, or hexadecimal with 0x
//! ```
//!
//! For example `process:editor/page-table-entry:0x500`, `driver:nic/read-dispatch`,
//! `kernel/interrupt-gate:14`, `physical:0x3000`. A stored fault that names its target so survives
//! an unrelated change of layout, and says so when what it names is gone.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base::nearest;

/// Which of three sorts of place a part belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Area {
    /// One for the whole system.
    Kernel,
    /// One for each process.
    Process,
    /// One for each kernel-mode driver.
    Driver,
}

macro_rules! parts {
    ($($(#[doc = $doc:literal])* $name:ident = $area:ident $text:literal $(below $bound:literal)?,)*) => {
        /// What of an area is meant.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Part { $($(#[doc = $doc])* $name,)* }

        impl Part {
            /// Every part.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in a target.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The area it belongs to.
            #[must_use]
            pub const fn area(self) -> Area {
                match self { $(Self::$name => Area::$area,)* }
            }

            /// One past the largest number it takes; 0 when it takes none.
            #[must_use]
            pub const fn bound(self) -> u64 {
                match self { $(Self::$name => 0 $(+ $bound)?,)* }
            }
        }
    };
}

parts! {
    /// The head of the ready queue.
    ReadyQueue = Kernel "ready-queue",
    /// The head of the free-frame list.
    FreeFrameList = Kernel "free-frame-list",
    /// The reference count of a frame.
    FrameDatabase = Kernel "frame-database" below 2048,
    /// The header of the how-manieth pool block.
    PoolHeader = Kernel "pool-header" below 1024,
    /// The head of a free list of the pool, by size class.
    PoolFreeList = Kernel "pool-free-list" below 4,
    /// An entry of the table of system services.
    ServiceTable = Kernel "service-table" below 64,
    /// A gate of the interrupt descriptor table.
    InterruptGate = Kernel "interrupt-gate" below 64,
    /// A word of the file cache.
    FileCache = Kernel "file-cache" below 1024,
    /// The pointer to a device object.
    DeviceTable = Kernel "device-table" below 16,
    /// The root's entry that shows the page tables to the kernel.
    SelfMap = Kernel "self-map",
    /// A word of the kernel's variables.
    KernelVariable = Kernel "variable" below 512,
    /// A word of a processor's block, 512 words a processor.
    ProcessorBlock = Kernel "processor-block" below 2048,
    /// A word of the task-state segments.
    TaskState = Kernel "task-state" below 128,
    /// A word of the IOMMU's tables.
    IommuTable = Kernel "iommu-table" below 2560,
    /// A word of the DMA buffers.
    DmaBuffer = Kernel "dma-buffer" below 1024,
    /// A word of the kernel's code.
    KernelCode = Kernel "code" below 32768,
    /// A word of the how-manieth request packet found in the pool.
    RequestPacket = Kernel "request-packet" below 16,
    /// The page-map root in a process's block.
    Root = Process "root",
    /// The entry that maps a page, by page number.
    PageTableEntry = Process "page-table-entry" below 0x10_0000_0000_0000,
    /// An entry of the process's page map.
    PageMapEntry = Process "page-map-entry" below 512,
    /// An entry of the page map on which the process runs in user mode, where that is another.
    ShadowMapEntry = Process "shadow-map-entry" below 512,
    /// The object of a handle-table entry.
    HandleTable = Process "handle-table" below 15,
    /// The rights of a handle-table entry.
    HandleRights = Process "handle-rights" below 15,
    /// The pointer count of the process object.
    ObjectHeader = Process "object-header",
    /// A word of the process block, the object's header left out.
    ProcessBlock = Process "process-block" below 12,
    /// A word of the thread block, the object's header left out.
    ThreadBlock = Process "thread-block" below 10,
    /// A word of the kernel stack, counted from its top down.
    KernelStack = Process "kernel-stack" below 512,
    /// A private word.
    PrivateWord = Process "private-word" below 128,
    /// A word of the control block: the list of actions starts at 8.
    ControlBlock = Process "control-block" below 512,
    /// A word of the user stack, counted from its top down.
    UserStack = Process "user-stack" below 512,
    /// The dispatch routine for reads.
    ReadDispatch = Driver "read-dispatch",
    /// The dispatch routine for writes.
    WriteDispatch = Driver "write-dispatch",
    /// The dispatch routine for device control.
    ControlDispatch = Driver "control-dispatch",
    /// The dispatch routine for flushes.
    FlushDispatch = Driver "flush-dispatch",
    /// The routine deferred by its interrupt.
    DeferredRoutine = Driver "deferred-routine",
    /// A word of its device object.
    DeviceObject = Driver "device-object" below 8,
    /// A word of its data page.
    DriverData = Driver "data" below 512,
    /// A word of its code.
    DriverCode = Driver "code" below 4096,
}

/// A place in memory by what it is; resolved when a fault strikes, by reading memory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// A physical address.
    Physical(u64),
    /// A part of the system, a process or a driver.
    Named {
        /// Whose; empty for the kernel's own.
        owner: String,
        /// What of it.
        part: Part,
        /// Which, 0 when there is one only.
        number: u64,
    },
}

impl Target {
    /// A part of the kernel that is there once, or the first of them.
    #[must_use]
    pub fn kernel(part: Part, number: u64) -> Self {
        Self::Named { owner: String::new(), part, number }
    }

    /// A part of a process or driver.
    #[must_use]
    pub fn of(owner: &str, part: Part, number: u64) -> Self {
        Self::Named { owner: owner.to_owned(), part, number }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Physical(address) => write!(f, "physical:{address:#x}"),
            Self::Named { owner, part, number } => {
                match part.area() {
                    Area::Kernel => write!(f, "kernel/{}", part.name())?,
                    Area::Process => write!(f, "process:{owner}/{}", part.name())?,
                    Area::Driver => write!(f, "driver:{owner}/{}", part.name())?,
                }
                match (part, part.bound()) {
                    (_, 0) => Ok(()),
                    (Part::PageTableEntry | Part::PageMapEntry | Part::ShadowMapEntry, _) => {
                        write!(f, ":{number:#x}")
                    }
                    _ => write!(f, ":{number}"),
                }
            }
        }
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn part(area: Area, text: &str) -> Result<(Part, u64), String> {
    let (name, index) = match text.split_once(':') {
        Some((name, index)) => (name, Some(index)),
        None => (text, None),
    };
    let known = || Part::ALL.iter().copied().filter(|part| part.area() == area);
    let Some(part) = known().find(|part| part.name() == name) else {
        let names: Vec<_> = known().map(Part::name).collect();
        let hint = nearest(name, names.iter().copied())
            .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        return Err(format!("unknown part `{name}`; there are {}{hint}", names.join(", ")));
    };
    match (part.bound(), index) {
        (0, None) => Ok((part, 0)),
        (0, Some(_)) => Err(format!("`{name}` is there once and takes no number")),
        (bound, Some(index)) => match number(index) {
            Some(index) if index < bound => Ok((part, index)),
            _ => Err(format!("`{index}` is no number of a {name}; expected 0 to {}", bound - 1)),
        },
        (bound, None) => {
            Err(format!("which {name}? expected `{name}:N`, N from 0 to {}", bound - 1))
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(address) = text.strip_prefix("physical:") {
            return number(address).map(Self::Physical).ok_or_else(|| {
                format!("`{address}` is no physical address; expected one such as 0x3000")
            });
        }
        let expected = "expected `kernel/PART`, `process:NAME/PART`, `driver:NAME/PART` or \
                        `physical:ADDRESS`";
        let (area, rest) =
            text.split_once('/').ok_or_else(|| format!("`{text}` is no target; {expected}"))?;
        let (area, owner) = match area.split_once(':') {
            None if area == "kernel" => (Area::Kernel, ""),
            Some(("process", owner)) if !owner.is_empty() => (Area::Process, owner),
            Some(("driver", owner)) if !owner.is_empty() => (Area::Driver, owner),
            _ => return Err(format!("`{area}` is no area; {expected}")),
        };
        let (part, number) = part(area, rest)?;
        Ok(Self::Named { owner: owner.to_owned(), part, number })
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_written_as_it_is_read() {
        for &part in Part::ALL {
            let owner = if part.area() == Area::Kernel { "" } else { "a-1" };
            for number in [0, part.bound().saturating_sub(1)] {
                let target = Target::of(owner, part, number);
                assert_eq!(target.to_string().parse(), Ok(target));
            }
        }
        assert_eq!("physical:0x3000".parse(), Ok(Target::Physical(0x3000)));
    }

    #[test]
    fn what_is_wrong_is_told_with_the_nearest_name() {
        let wrong = |text: &str| text.parse::<Target>().expect_err("wrong");

        assert!(wrong("kernel/redy-queue").contains("did you mean `ready-queue`?"));
        assert!(wrong("kernel/interrupt-gate:64").contains("expected 0 to 63"));
        assert!(wrong("kernel/interrupt-gate").contains("which interrupt-gate?"));
        assert!(wrong("process:/root").contains("is no area"));
        assert!(wrong("driver:nic/root").contains("unknown part `root`"));
        assert!(wrong("").contains("is no target"));
    }
}
