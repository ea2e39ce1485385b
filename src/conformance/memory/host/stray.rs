//! What is said of an access that nobody answers, which ends the process.
//!
//! Any bytes of tables may lead a raw pointer out of the window, and the signal that follows is no more than
//! a name. One line on standard error says what the code under test did; the parent of an isolated run tells
//! it in its finding. It names a physical address and none of this process: those are others in each run, and
//! a finding is the same.

use super::super::Memory;
use super::context::Context;
use super::instruction;
use super::signals::{Raised, say};
use crate::base::PhysAddr;

/// Hexadecimal digits of a word.
const DIGITS: usize = 16;

/// A number as text, without an allocation: a handler must make none.
struct Hexadecimal([u8; DIGITS]);

impl Hexadecimal {
    fn of(value: u64) -> Self {
        let mut digits = [b'0'; DIGITS];
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            let nibble = u8::try_from(value >> (4 * place) & 0xf).unwrap_or(0);
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        }
        Self(digits)
    }

    fn text(&self) -> &str {
        let text = core::str::from_utf8(&self.0).unwrap_or("");
        let short = text.trim_start_matches('0');
        if short.is_empty() { "0" } else { short }
    }
}

/// The address that the interrupted instruction wants of memory, when the processor does not tell: a general
/// protection fault has none.
fn wanted(context: &mut Context<'_>) -> Option<u64> {
    let instruction = instruction::at(context)?;
    (0..instruction.op_count()).find_map(|operand| {
        let is_memory = instruction.op_kind(operand) == iced_x86::OpKind::Memory;
        is_memory.then(|| instruction::address(&instruction, operand, context)).flatten()
    })
}

/// The physical address that it stands for, if there is one that a processor has.
#[cfg(feature = "store-trap")]
fn physical(memory: &Memory, address: u64) -> Option<PhysAddr> {
    memory.behind(address).and_then(PhysAddr::new)
}

/// Nothing is mapped at an offset that is known here.
#[cfg(not(feature = "store-trap"))]
const fn physical(_: &Memory, _: u64) -> Option<PhysAddr> {
    None
}

/// Says the first bytes of the instruction that was interrupted.
#[cfg(feature = "store-trap")]
pub(super) fn say_code(context: &mut Context<'_>) {
    let (bytes, _) = context.code(false);
    let first = bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    say("ringfence: the instruction begins with the bytes 0x");
    say(Hexadecimal::of(first).text());
    say("\n");
}

/// Says what ends the process, if nobody else takes the signal.
pub(super) fn say_why(memory: &Memory, raised: &Raised, context: &mut Context<'_>) {
    if raised.signal != libc::SIGSEGV || raised.code <= 0 {
        return;
    }
    let address = if raised.is_fault() { Some(raised.address) } else { wanted(context) };
    match address.and_then(|address| physical(memory, address)) {
        Some(physical) => {
            say("ringfence: the code under test follows a pointer to physical address 0x");
            say(Hexadecimal::of(physical.raw()).text());
            say(", outside of the window of 1 TiB in which accesses are seen\n");
        }
        _ => say(
            "ringfence: the code under test follows a pointer that is to no physical address, or executes \
             what is not emulated\n",
        ),
    }
}
