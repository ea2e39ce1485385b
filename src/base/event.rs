//! What the machine and the kernel say about what just happened.

use super::{Principal, Structure};

/// The kind of an [`Event`], with the meaning of its fields where they differ from the usual.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// A step was fetched and decoded: `virt` is its address, `value` its number.
    Step,
    /// Memory was read: `value` is what was read, aligned to its 8-byte word, `mask` which bytes.
    Load,
    /// Memory was written: `value` is the new word, `old` the one before, `mask` which bytes. `subject` of what a
    /// fault altered in kernel mode is whose frame it hit on the running thread's stack, the kernel where it hit none.
    Store,
    /// A run of words was filled: `value` words starting at `phys`, each of which is `old` now; `mask` is 0
    /// when they were that before.
    StoreRun,
    /// A run of words was read by one operation, a fetch of what is no code: `value` words starting at `phys`.
    LoadRun,
    /// A device wrote memory past the processors' translation: as `Store`.
    DmaWrite,
    /// A device read memory past the processors' translation: as `Load`.
    DmaRead,
    /// The IOMMU refused a device's transfer to `phys`.
    DmaRefused,
    /// A processor walked the tables and wrote accessed or dirty bits to the entry at `phys`.
    TableMark,
    /// A processor dropped translations: `virt` the page (or all, with `value` 1; all including
    /// global ones, with `value` 2).
    Invalidate,
    /// A processor loaded another root: `value` is the new CR3, `old` the one before.
    RootSwitch,
    /// The privilege changed: `value` is the new ring (0 or 3), `old` by what: see
    /// [`Event::BY_SYSCALL`] and its siblings; `virt` the stack pointer afterwards.
    ModeSwitch,
    /// Something was pushed by a call, an interrupt or an exception at ring 0: `virt` is the stack
    /// pointer afterwards.
    KernelPush,
    /// An exception was raised: `value` is vector << 32 | error code, `virt` the faulting address,
    /// `old` the instruction pointer.
    Exception,
    /// An interrupt was delivered: `value` is its vector.
    Interrupt,
    /// The kernel stopped itself: `value` is the bug check code; parameters are in the crash block.
    BugCheck,
    /// The machine was reset without a dump: a triple fault.
    Reset,
    /// The machine starts again: `value` is the number of the boot, from 1.
    Boot,
    /// A process asks for something across the mode line: `value` is the service number, `old` the
    /// address of the buffer an answer goes to, `virt` its length in bytes, as the fifth and sixth argument
    /// say; `phys` the low halves of the second argument and, above it, of the third, where a service that
    /// hands out a handle is told the access (32 bits: "Access Mask Format").
    Request,
    /// What a principal can see of a finished operation: `value` the operation, `old` the status,
    /// `virt` a hash of the bytes it got.
    Observe,
    /// Claim by the kernel: `value` words at `phys` now belong to `subject` as `structure`.
    Grant,
    /// Claim by the kernel: `value` words at `phys` now belong to nobody.
    Release,
    /// Claim by the kernel: `subject` may, until taken back, also write the `value` words at `phys`.
    Lend,
    /// Claim by the kernel: what was lent to `subject` in the `value` words at `phys` is taken back.
    Reclaim,
    /// Claim by the kernel: `value` words at `phys` are also mapped for `subject` to read and,
    /// with `old` 1, to write.
    Share,
    /// Claim by the kernel: what was shared with `subject` is withdrawn.
    Unshare,
    /// Claim by the kernel: `subject` was given a handle `value` to object `virt` with rights `old`.
    HandleOpened,
    /// Claim by the kernel: `subject`'s handle `value` was closed.
    HandleClosed,
    /// Claim by the kernel: a use of `subject`'s handle `value` was allowed, with rights `old`, and led
    /// to object `virt`; `phys` 1 when it was in kernel mode's name, where rights are not compared.
    HandleUsed,
    /// Claim by the kernel: process `subject` exists at `virt`, its root at `phys`, its thread at `old`; `value` 1
    /// when critical.
    ProcessCreated,
    /// Claim by the kernel: process `subject` ended, with status `value`.
    ProcessEnded,
    /// Claim by the kernel: the driver host `subject` is running again.
    HostRestarted,
    /// Claim by the kernel: device `value` was given up after `old` failures.
    DeviceDisabled,
    /// Claim by the kernel: device `subject` may transfer to or from the `value` words at `phys`;
    /// with `old` 1 also write them.
    DmaGrant,
    /// Claim by the kernel: device `subject`'s leave for the `value` words at `phys` is taken back.
    DmaRevoke,
    /// A request packet at `phys` was handed to `subject`, for the device object at `value`: by the
    /// process in context, whose request it is, or to the driver host in context, which takes it.
    RequestHandover,
    /// A fault that was planned struck here: `value` is its number in the plan.
    Strike,
    /// Claim by the kernel: `subject`, who asked, is told whether the process of number `value` is
    /// there.
    ProcessSought,
    /// The kernel wrote event number `value` into the event log, about device `old` and its host `subject`;
    /// `virt` restarts are left, 0xff where nobody says how many.
    EventLogged,
    /// Claim by the kernel: that device `value` failed in its own host `subject`, which has ended, is kept on the
    /// disk.
    HostRecorded,
    /// A processor that remembered no translation of `virt` read the entry at `phys`, which is `value`, on its
    /// walk of the tables; or the IOMMU did, for a device's transfer to or from `virt`. Told only of entries
    /// that were changed since a fault struck.
    TableLoad,
    /// Claim by the kernel: who asks, the process in context, is told that device `value`, whose object is at
    /// `virt`, was given up.
    DeviceRefused,
    /// Claim by the kernel: the host `subject` of device `value` was lost, and with it its stack.
    StackRemoved,
    /// Claim by the kernel: the process in context is told that a host of device `value`, whose object is at
    /// `virt`, was lost.
    LossTold,
    /// The kernel sent the event that says of the host `subject` of device `value` that it was lost.
    HostProblemTold,
    /// The stack of device `value` above the host `subject` is torn down and restarted: by the kernel's count no
    /// old handle is open.
    StackRestarted,
    /// Claim by the kernel: process `subject` has another thread, at `virt`.
    ThreadCreated,
    /// Claim by the kernel: the thread at `virt` of process `subject`, which has another, ended.
    ThreadEnded,
    /// Claim by the kernel: this processor runs the thread at `virt` of process `subject` from now on. Told only
    /// where processes make threads.
    ThreadChosen,
}

impl EventKind {
    /// Its name in traces and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Load => "load",
            Self::Store => "store",
            Self::StoreRun => "store-run",
            Self::LoadRun => "load-run",
            Self::DmaWrite => "dma-write",
            Self::DmaRead => "dma-read",
            Self::DmaRefused => "dma-refused",
            Self::TableMark => "table-mark",
            Self::Invalidate => "invalidate",
            Self::RootSwitch => "root-switch",
            Self::ModeSwitch => "mode-switch",
            Self::KernelPush => "kernel-push",
            Self::Exception => "exception",
            Self::Interrupt => "interrupt",
            Self::BugCheck => "bug-check",
            Self::Reset => "reset",
            Self::Boot => "boot",
            Self::Request => "request",
            Self::Observe => "observe",
            Self::Grant => "grant",
            Self::Release => "release",
            Self::Lend => "lend",
            Self::Reclaim => "reclaim",
            Self::Share => "share",
            Self::Unshare => "unshare",
            Self::HandleOpened => "handle-opened",
            Self::HandleClosed => "handle-closed",
            Self::HandleUsed => "handle-used",
            Self::ProcessCreated => "process-created",
            Self::ProcessEnded => "process-ended",
            Self::HostRestarted => "host-restarted",
            Self::DeviceDisabled => "device-disabled",
            Self::DeviceRefused => "device-refused",
            Self::DmaGrant => "dma-grant",
            Self::DmaRevoke => "dma-revoke",
            Self::RequestHandover => "request-handover",
            Self::Strike => "strike",
            Self::ProcessSought => "process-sought",
            Self::EventLogged => "event-logged",
            Self::HostRecorded => "host-recorded",
            Self::TableLoad => "table-load",
            Self::StackRemoved => "stack-removed",
            Self::LossTold => "loss-told",
            Self::HostProblemTold => "host-problem-told",
            Self::StackRestarted => "stack-restarted",
            Self::ThreadCreated => "thread-created",
            Self::ThreadEnded => "thread-ended",
            Self::ThreadChosen => "thread-chosen",
        }
    }
}

impl core::fmt::Display for EventKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

/// One thing that happened. Every event is folded into the trace hash.
///
/// Laid out so that its small fields are the first word of [`words`](Self::words) as they lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// Whose code, or which device, did it.
    pub actor: Principal,
    /// The process in whose address space it happened.
    pub context: Principal,
    /// Whom a claim is about; the actor otherwise.
    pub subject: Principal,
    /// The type the actor meant, or the claim names.
    pub structure: Structure,
    /// Which bytes of an 8-byte word, bit 0 the lowest.
    pub mask: u8,
    /// Which processor, or 0xff for a device.
    pub processor: u8,
    /// Whether a fault altered this very operation.
    pub struck: bool,
    /// Physical address, 8-byte aligned for loads and stores.
    pub phys: u64,
    /// Linear address.
    pub virt: u64,
    /// See [`EventKind`].
    pub value: u64,
    /// See [`EventKind`].
    pub old: u64,
}

impl Event {
    /// [`EventKind::ModeSwitch`] by the `syscall` instruction.
    pub const BY_SYSCALL: u64 = 0;
    /// [`EventKind::ModeSwitch`] through an interrupt or trap gate.
    pub const BY_GATE: u64 = 1;
    /// [`EventKind::ModeSwitch`] by `sysret`.
    pub const BY_SYSRET: u64 = 2;
    /// [`EventKind::ModeSwitch`] by `iretq`.
    pub const BY_IRET: u64 = 3;

    /// The processor of what no processor does.
    pub const NO_PROCESSOR: u8 = 0xff;

    /// Whether memory changed by a fault's doing, and by no store of anybody: [`Event::actor`] is who was
    /// about to act then.
    #[must_use]
    pub const fn is_by_nobody(&self) -> bool {
        matches!(self.kind, EventKind::Store) && self.struck && self.processor == Self::NO_PROCESSOR
    }

    /// Whether memory itself changed, whoever was about to act: what user mode does where it may not leads
    /// from a linear address, this from none.
    #[must_use]
    pub const fn is_by_memory(&self) -> bool {
        self.is_by_nobody() && self.virt == 0
    }

    /// The event as words for the trace hash.
    #[inline(always)]
    #[must_use]
    pub const fn words(&self) -> [u64; 5] {
        let head = (self.kind as u64)
            | (self.actor.0 as u64) << 8
            | (self.context.0 as u64) << 16
            | (self.subject.0 as u64) << 24
            | (self.structure as u64) << 32
            | (self.mask as u64) << 40
            | (self.processor as u64) << 48
            | (self.struck as u64) << 56;
        [head, self.phys, self.virt, self.value, self.old]
    }
}

/// The bits of the bytes in a mask.
#[inline(always)]
pub(crate) const fn bits_of(mask: u8) -> u64 {
    if mask == u8::MAX {
        return u64::MAX;
    }
    let mut bits = 0;
    let mut byte = 0;
    while byte < 8 {
        if mask >> byte & 1 == 1 {
            bits |= 0xff << (8 * byte);
        }
        byte += 1;
    }
    bits
}
