//! Registers and code of what a signal interrupted.
//!
//! Unsafe because the kernel hands them over by pointer; everything here but the constructor is safe.

#![allow(unsafe_code, reason = "the kernel hands over the registers by pointer")]

use core::marker::PhantomData;

/// The longest instruction (Intel SDM volume 2A, "Instruction Format").
const CODE_BYTES: usize = 15;

/// General registers in the order of their numbers (Intel SDM volume 2A, "REX Prefixes"), as indices of
/// the kernel's.
const GENERAL: [i32; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// RFLAGS.ZF: a compare-and-exchange has stored (Intel SDM volume 2A, "CMPXCHG").
#[cfg(feature = "store-trap")]
pub(super) const ZF: u64 = 1 << 6;
/// RFLAGS.TF: a trap after the next instruction.
pub(super) const TF: u64 = 1 << 8;
/// RFLAGS.DF: strings run downwards.
pub(super) const DF: u64 = 1 << 10;

/// What was interrupted; changes take effect when the handler returns.
pub(super) struct Context<'a>(*mut libc::ucontext_t, PhantomData<&'a mut libc::ucontext_t>);

impl Context<'_> {
    /// # Safety
    ///
    /// `raw` is what the kernel gave to a handler that has not returned, and nobody else uses it.
    pub(super) const unsafe fn new(raw: *mut libc::ucontext_t) -> Self {
        Self(raw, PhantomData)
    }

    fn register(&mut self, index: i32) -> &mut i64 {
        let index = usize::try_from(index).unwrap_or(0);
        // SAFETY: the pointer is valid as `new` demands; the index is one of the kernel's.
        unsafe { &mut (*self.0).uc_mcontext.gregs[index] }
    }

    pub(super) fn get(&mut self, index: i32) -> u64 {
        self.register(index).cast_unsigned()
    }

    pub(super) fn set(&mut self, index: i32, value: u64) {
        *self.register(index) = value.cast_signed();
    }

    /// A general register by its number.
    pub(super) fn general(&mut self, number: usize) -> Option<u64> {
        GENERAL.get(number).map(|&index| self.get(index))
    }

    pub(super) fn set_general(&mut self, number: usize, value: u64) {
        if let Some(&index) = GENERAL.get(number) {
            self.set(index, value);
        }
    }

    pub(super) fn flags(&mut self) -> u64 {
        self.get(libc::REG_EFL)
    }

    pub(super) fn set_flags(&mut self, flags: u64) {
        self.set(libc::REG_EFL, flags);
    }

    pub(super) fn instruction_pointer(&mut self) -> u64 {
        self.get(libc::REG_RIP)
    }

    /// Goes on behind an instruction of this length.
    pub(super) fn skip(&mut self, bytes: usize) {
        let next = self.instruction_pointer().wrapping_add(bytes as u64);
        self.set(libc::REG_RIP, next);
    }

    /// Whether the page fault was a write (Intel SDM volume 3A, "Page-Fault Exceptions": W/R).
    #[cfg(feature = "store-trap")]
    pub(super) fn is_write(&mut self) -> bool {
        self.get(libc::REG_ERR) & 2 != 0
    }

    /// The two halves of a 128-bit vector register.
    #[cfg(feature = "store-trap")]
    pub(super) fn vector(&mut self, number: usize) -> Option<[u64; 2]> {
        // SAFETY: the pointer is valid as `new` demands; the kernel saves these registers beside it.
        let state = unsafe { (*self.0).uc_mcontext.fpregs.as_ref()? };
        let [a, b, c, d] = state._xmm.get(number)?.element;
        Some([u64::from(a) | u64::from(b) << 32, u64::from(c) | u64::from(d) << 32])
    }

    /// The bytes of the instruction, as many as can be read for certain; more of them with
    /// `crosses_page`, when it is known that it goes on in the next page.
    pub(super) fn code(&mut self, crosses_page: bool) -> ([u8; CODE_BYTES], usize) {
        let at = self.instruction_pointer();
        let to_the_end = usize::try_from(4096 - (at & 0xfff)).unwrap_or(0);
        let length = if crosses_page { CODE_BYTES } else { CODE_BYTES.min(to_the_end) };
        let mut bytes = [0; CODE_BYTES];
        for (distance, byte) in bytes.iter_mut().take(length).enumerate() {
            // SAFETY: the processor has just fetched from there: the page of the first byte can be read,
            // and that of the last if the instruction reaches it.
            *byte = unsafe { (at as *const u8).wrapping_add(distance).read_volatile() };
        }
        (bytes, length)
    }
}

/// The two words of an operand in the interrupted code's memory.
#[cfg(feature = "privileged-shim")]
pub(super) fn descriptor(address: u64) -> [u64; 2] {
    // SAFETY: the code was about to read its operand there. If it can't be read, this faults as the
    // instruction would have.
    unsafe { (address as *const [u64; 2]).read_unaligned() }
}
