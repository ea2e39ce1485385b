//! A stack of its own for the code under test, so that it can be ended without unwinding.
//!
//! An access is no place to unwind from: the compiler assumes that none does. So code that never
//! returns is left where it is, with its stack and everything on it. That is a leak and no more: nothing
//! on that stack is used again. A lock that it held stays held; code with locks that live as long as
//! the process is better [`isolated`](crate::conformance::Suite::isolated).
//!
//! Unsafe because a stack is given up without running the destructors on it.

#![allow(unsafe_code, reason = "a stack is given up in a signal handler")]

use core::cell::Cell;
use core::mem;

use corosensei::stack::DefaultStack;
use corosensei::trap::CoroutineTrapHandler;
use corosensei::{CoroutineResult, ScopedCoroutine};

use super::context::{Context, DF, TF};

/// As much as the standard library gives a thread.
const STACK_BYTES: usize = 2 * 1024 * 1024;

/// The page that an overflow reaches first. It is the first of the stack.
const GUARD_BYTES: u64 = 4096;

thread_local! {
    /// A stack that is not in use.
    static SPARE: Cell<Option<DefaultStack>> = const { Cell::new(None) };
    /// How to leave the call under way. `Copy`, so without a destructor.
    static WAY_OUT: Cell<Option<CoroutineTrapHandler<bool>>> = const { Cell::new(None) };
    /// The first byte of the stack under way.
    static LIMIT: Cell<u64> = const { Cell::new(0) };
}

/// Calls `call` on its own stack; `None` when [`leave`] ended it. A panic goes on here.
pub(super) fn on_own<T>(call: impl FnOnce() -> T) -> Option<T> {
    use corosensei::stack::Stack as _;
    let spare = SPARE.with(Cell::take);
    let mut stack = spare.unwrap_or_else(|| {
        DefaultStack::new(STACK_BYTES).expect("there is memory for a stack of 2 MiB")
    });
    LIMIT.set(stack.limit().get() as u64);
    let mut result = None;
    let is_over = {
        let slot = &mut result;
        let coroutine = ScopedCoroutine::<(), (), bool, _>::with_stack(&mut stack, move |_, ()| {
            *slot = Some(call());
            true
        });
        coroutine.scope(|mut coroutine| {
            let before = WAY_OUT.replace(Some(coroutine.trap_handler()));
            let _reset = Reset(before);
            matches!(coroutine.resume(()), CoroutineResult::Return(true))
        })
    };
    if is_over {
        SPARE.set(Some(stack));
    } else {
        mem::forget(stack);
    }
    result
}

struct Reset(Option<CoroutineTrapHandler<bool>>);

impl Drop for Reset {
    fn drop(&mut self) {
        WAY_OUT.set(self.0);
    }
}

/// In a signal handler: the call under way will have been left when the handler has returned. `false`
/// when what was interrupted runs on another stack.
pub(super) fn leave(context: &mut Context<'_>) -> bool {
    let Some(way_out) = WAY_OUT.get() else { return false };
    let pointer = context.get(libc::REG_RSP);
    if !usize::try_from(pointer).is_ok_and(|pointer| way_out.stack_ptr_in_bounds(pointer)) {
        return false;
    }
    // SAFETY: the stack pointer was checked, and the registers are set as told. What the code wrote
    // elsewhere may be half-written: the caller leaves alone whatever it held, and the books of the
    // memory are whole at each access, by the fences of its hooks.
    let registers = unsafe { way_out.setup_trap_handler(|| false) };
    context.set(libc::REG_RIP, registers.rip);
    context.set(libc::REG_RSP, registers.rsp);
    context.set(libc::REG_RBP, registers.rbp);
    context.set(libc::REG_RDI, registers.rdi);
    context.set(libc::REG_RSI, registers.rsi);
    let flags = context.flags();
    context.set_flags(flags & !(TF | DF));
    true
}

/// Whether a fault at this address is an overflow of the stack under way.
pub(super) fn is_overflow(address: u64) -> bool {
    WAY_OUT.get().is_some() && address.wrapping_sub(LIMIT.get()) < GUARD_BYTES
}
