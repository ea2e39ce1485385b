//! What a range of memory is: the type a store means to write and the type the books say is there.

use core::fmt;

macro_rules! structures {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal,)*) => {
        /// The type of an in-memory structure. A store is granted only where the books hold the
        /// same type that the store means to write.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
        #[repr(u8)]
        pub enum Structure { $($(#[doc = $doc])* $name,)* }

        impl Structure {
            /// Every type, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in messages and stories.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

structures! {
    /// Nobody's: on the free-frame list, or in no list at all.
    Free = "free memory",
    /// Instructions.
    Code = "code",
    /// A paging structure of any level.
    PageTable = "page table",
    /// The interrupt descriptor table.
    InterruptTable = "interrupt descriptor table",
    /// The task-state segment with the stack pointers that gates load.
    TaskState = "task-state segment",
    /// The block each processor finds through its GS base.
    ProcessorBlock = "processor block",
    /// The queue of threads that are ready to run.
    ReadyQueue = "ready queue",
    /// A process object's body.
    Process = "process block",
    /// A thread object's body.
    Thread = "thread block",
    /// The entries of a handle table.
    HandleTable = "handle table",
    /// The header every kernel object starts with: counts and type.
    ObjectHeader = "object header",
    /// The body of an event, file or section object.
    ObjectBody = "object body",
    /// The header in front of a pool block.
    PoolHeader = "pool header",
    /// The heads of the pool's free lists, and the links inside free blocks.
    PoolFreeList = "pool free list",
    /// A pool block in a driver's or the kernel's use, with no finer type.
    PoolBlock = "pool block",
    /// The frame database: state and links of each physical page.
    FrameDatabase = "frame database",
    /// A driver object with its dispatch table.
    DriverObject = "driver object",
    /// A device object.
    DeviceObject = "device object",
    /// An I/O request packet with its stack locations.
    RequestPacket = "request packet",
    /// A system buffer that carries a request's data.
    SystemBuffer = "system buffer",
    /// A kernel stack.
    KernelStack = "kernel stack",
    /// The file cache: blocks of file data and their tags.
    FileCache = "file cache",
    /// The table of system services.
    ServiceTable = "system service table",
    /// Tables of the IOMMU.
    IommuTable = "IOMMU table",
    /// A kernel-mode component's global data.
    DriverData = "driver data",
    /// A buffer that a device may read or write.
    DmaBuffer = "DMA buffer",
    /// A process's private data.
    UserData = "private data",
    /// A user-mode stack.
    UserStack = "user stack",
    /// A section mapped into more than one process.
    SharedSection = "shared section",
    /// Kernel variables of the memory manager, object manager and I/O manager.
    KernelData = "kernel data",
    /// A memory descriptor list: the frames of a range of a process's memory.
    Mdl = "memory descriptor list",
    /// The block the kernel leaves for the dump: code and parameters of a bug check.
    CrashBlock = "crash block",
    /// A section of a driver's image that is set up once.
    DriverSection = "driver's section set up once",
}

impl Structure {
    /// Whether it is what user mode itself keeps in memory.
    #[must_use]
    pub const fn is_user(self) -> bool {
        matches!(self, Self::UserData | Self::UserStack | Self::SharedSection)
    }

    /// Whether hardware translates by it.
    #[must_use]
    pub const fn is_table(self) -> bool {
        matches!(self, Self::PageTable | Self::IommuTable)
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
