//! The registers of one processor.

use crate::base::{Access, Principal, Ring, Rule};

/// What is modelled here, by whose word.
pub(crate) const RULES: &[Rule] = &[Rule::chosen(
    "fifteen-registers",
    "Code is a list of steps and not an instruction set; registers, flags and stack are a processor's.",
    "this model: steps stand for instructions",
)];

/// General registers by their number in instruction encodings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the architecture's own names")]
pub enum Reg {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

/// Where routines take their arguments (System V order, which the model uses for user and kernel).
pub const ARGUMENTS: [Reg; 6] = [Reg::Rdi, Reg::Rsi, Reg::Rdx, Reg::R10, Reg::R8, Reg::R9];

/// RFLAGS: interrupts are delivered.
pub const INTERRUPT_FLAG: u64 = 1 << 9;
/// Of the interrupts that wait: a non-maskable one, which comes in with interrupts off too.
pub const NON_MASKABLE_PENDING: u32 = 1 << 31;
/// RFLAGS: the I/O privilege level, the lowest privilege that may use ports (Intel SDM volume 1, "I/O
/// Privilege Level"). No I/O permission bitmap opens single ports here.
pub const IO_PRIVILEGE: u64 = 3 << 12;
/// RFLAGS: alignment check; overrides SMAP for explicit supervisor accesses.
pub const ALIGNMENT_CHECK: u64 = 1 << 18;
/// RFLAGS: always one.
pub const FLAGS_FIXED: u64 = 2;

/// Code selector of ring 0.
pub const KERNEL_CODE: u64 = 0x10;
/// Stack selector of ring 0.
pub const KERNEL_STACK: u64 = 0x18;
/// Code selector of ring 3.
pub const USER_CODE: u64 = 0x33;
/// Stack selector of ring 3.
pub const USER_STACK: u64 = 0x2b;

/// Everything a processor holds outside caches and paging controls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registers {
    /// General registers, by [`Reg`].
    pub general: [u64; 16],
    /// The instruction pointer.
    pub rip: u64,
    /// The flags.
    pub flags: u64,
    /// The current privilege level.
    pub ring: Ring,
    /// The linear address of the last page fault.
    pub cr2: u64,
    /// The address that the last general protection or virtualization exception told. No register of
    /// hardware: a kernel has it from the instruction, or from the exception's information page.
    pub refused: u64,
    /// Which access of data the last general protection was raised by, if one was. No register either.
    pub refused_access: Option<Access>,
    /// The task priority: the interrupt request level.
    pub cr8: u64,
    /// The base of GS.
    pub gs_base: u64,
    /// What `swapgs` exchanges it with.
    pub kernel_gs_base: u64,
    /// Where `syscall` enters the kernel.
    pub syscall_target: u64,
    /// The linear address of the interrupt descriptor table.
    pub idt_base: u64,
    /// The linear address of the task-state segment.
    pub tss_base: u64,
    /// Waiting for an interrupt.
    pub halted: bool,
    /// Interrupts that arrived and wait: bit `n` is vector 0x20 + n, but for [`NON_MASKABLE_PENDING`].
    pub pending: u32,
    /// A non-maskable interrupt is being handled: others wait until `iretq`.
    pub non_maskable_blocked: bool,
    /// The address of the data breakpoint, 0 for none.
    pub breakpoint: u64,
    /// The shadow stack pointer of ring 0, 0 until a call or return has used one.
    pub shadow_pointer: u64,
    /// The process whose address space is loaded, as the machine was told when the root was loaded.
    /// An observer's note; nothing is decided by it.
    pub context: Principal,
    /// Whose step ran last. An observer's note as well.
    pub actor: Principal,
}

impl Default for Registers {
    fn default() -> Self {
        Self {
            general: [0; 16],
            rip: 0,
            flags: FLAGS_FIXED,
            ring: Ring::Kernel,
            cr2: 0,
            refused: 0,
            refused_access: None,
            cr8: 0,
            gs_base: 0,
            kernel_gs_base: 0,
            syscall_target: 0,
            idt_base: 0,
            tss_base: 0,
            halted: false,
            pending: 0,
            non_maskable_blocked: false,
            breakpoint: 0,
            shadow_pointer: 0,
            context: Principal::KERNEL,
            actor: Principal::KERNEL,
        }
    }
}

impl Registers {
    /// A general register.
    #[inline(always)]
    #[must_use]
    pub const fn get(&self, reg: Reg) -> u64 {
        self.general[reg as usize]
    }

    /// Changes a general register.
    #[inline(always)]
    pub const fn put(&mut self, reg: Reg, value: u64) {
        self.general[reg as usize] = value;
    }

    /// All of it as words, for the fingerprint of a state.
    pub fn words(&self) -> impl Iterator<Item = u64> {
        let ring = u64::from(self.ring == Ring::User);
        let rest = [
            self.rip,
            self.flags,
            ring,
            self.cr2,
            self.refused,
            self.cr8,
            self.gs_base,
            self.kernel_gs_base,
            self.syscall_target,
            self.idt_base,
            self.tss_base,
            u64::from(self.halted)
                | u64::from(self.non_maskable_blocked) << 1
                | u64::from(self.refused_access.is_some()) << 2
                | u64::from(self.refused_access == Some(Access::Write)) << 3
                | u64::from(self.pending) << 32,
        ];
        // Where there is none it is no word of the state.
        let breakpoint = (self.breakpoint != 0).then_some(self.breakpoint);
        let shadow_pointer = (self.shadow_pointer != 0).then_some(self.shadow_pointer | 1);
        self.general.into_iter().chain(rest).chain(breakpoint).chain(shadow_pointer)
    }
}
