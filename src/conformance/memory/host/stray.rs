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
use crate::conformance::guard::Place;
use crate::conformance::watch;

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

/// Decimal digits of a word.
const DECIMAL_DIGITS: usize = 20;

/// The same to the base of 10.
struct Decimal([u8; DECIMAL_DIGITS], usize);

impl Decimal {
    fn of(value: u64) -> Self {
        let (mut digits, mut rest, mut first) = ([b'0'; DECIMAL_DIGITS], value, DECIMAL_DIGITS);
        for (place, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            first = place;
            if rest == 0 {
                break;
            }
        }
        Self(digits, first)
    }

    fn text(&self) -> &str {
        let digits = self.0.get(self.1..).unwrap_or_default();
        core::str::from_utf8(digits).unwrap_or("")
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

/// Says which run is under way in this thread. In an isolated child its parent says it.
pub(super) fn say_place() {
    watch::peek(|test, place| {
        say("ringfence: ");
        say(test.unwrap_or("main"));
        say(": this process ends ");
        let seed = place.seed().map(Decimal::of);
        match (place, &seed) {
            (Place::Seed(_), Some(seed)) => {
                say("in the case with seed ");
                say(seed.text());
            }
            (Place::Start, _) => say("before its first case"),
            _ => say("in the case that it was given"),
        }
        say(". To be told a finding, run the suite with `.isolated(..)`");
        if let Some(seed) = &seed {
            say("; to see it alone: RINGFENCE_SEED=");
            say(seed.text());
            say(" RINGFENCE_CASES=1");
        }
        say("\n");
    });
}

/// Says what a thread did in which no code is hosted at this moment.
pub(super) fn say_whose(raised: &Raised, context: &mut Context<'_>) {
    const ELSEWHERE: &str = "in another thread than the one that the suite called, or outside of its calls: only there \
         it is";
    #[cfg(feature = "store-trap")]
    if raised.is_fault() && super::window::is_in_one(raised.address) {
        say("ringfence: a pointer of the code under test is followed ");
        say(ELSEWHERE);
        say(" observed\n");
    }
    #[cfg(feature = "privileged-shim")]
    if raised.is_refused()
        && instruction::at(context).is_some_and(|found| super::privileged::is_of_a_kernel(&found))
    {
        say("ringfence: an instruction of a kernel is executed ");
        say(ELSEWHERE);
        say(" emulated\n");
    }
    #[cfg(not(feature = "privileged-shim"))]
    let _ = context;
}

/// Says what ends the process, if nobody else takes the signal.
pub(super) fn say_why(memory: &Memory, raised: &Raised, context: &mut Context<'_>) {
    match raised.signal {
        libc::SIGTRAP => say("ringfence: the code under test executes a breakpoint (int3)\n"),
        libc::SIGILL => {
            say("ringfence: the code under test executes what is no instruction here\n")
        }
        _ => say_where(memory, raised, context),
    }
    say_place();
}

fn say_where(memory: &Memory, raised: &Raised, context: &mut Context<'_>) {
    if raised.code <= 0 {
        return; // somebody sent it
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
