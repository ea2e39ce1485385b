//! The instruction that a signal interrupted.

#[cfg(feature = "store-trap")]
use iced_x86::{Code, Mnemonic, OpKind};
use iced_x86::{Decoder, DecoderOptions, Instruction, Register};

use super::context::Context;

/// Decodes one instruction now: the decoder makes its tables at first use, and a handler must not.
pub(super) fn warm() {
    let _ = Decoder::new(64, &[0x90], DecoderOptions::NONE).decode();
}

/// The instruction at which the context is; `None` when the bytes are none.
pub(super) fn at(context: &mut Context<'_>) -> Option<Instruction> {
    let address = context.instruction_pointer();
    for crosses_page in [false, true] {
        let (bytes, length) = context.code(crosses_page);
        let code = bytes.get(..length)?;
        let instruction = Decoder::with_ip(64, code, address, DecoderOptions::NONE).decode();
        if !instruction.is_invalid() {
            return Some(instruction);
        }
        if length == bytes.len() {
            return None;
        }
    }
    None
}

/// The number and the bits of a general register.
pub(super) fn general(register: Register) -> Option<(usize, u32)> {
    let family = |first: Register, bits| {
        let number = (register as usize).checked_sub(first as usize)?;
        (number < 16).then_some((number, bits))
    };
    family(Register::RAX, 64).or_else(|| family(Register::EAX, 32))
}

/// The address of a memory operand; `None` when a segment other than a flat one, or a vector, has a say.
pub(super) fn address(
    instruction: &Instruction,
    operand: u32,
    context: &mut Context<'_>,
) -> Option<u64> {
    instruction.virtual_address(operand, 0, |register, _, _| match register {
        Register::CS | Register::DS | Register::ES | Register::SS => Some(0),
        other => {
            let (number, bits) = general(other)?;
            let value = context.general(number)?;
            Some(if bits == 32 { value & 0xffff_ffff } else { value })
        }
    })
}

/// When an instruction that stores reads what it stores over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg(feature = "store-trap")]
pub(super) enum Reads {
    /// Not at all.
    Never,
    /// Before it, and others may store in between.
    Before,
    /// In the same instant.
    AtOnce,
}

#[cfg(feature = "store-trap")]
pub(super) fn reads(instruction: Option<&Instruction>) -> Reads {
    use Mnemonic as M;
    let Some(instruction) = instruction else { return Reads::Never };
    // XCHG with memory is locked with or without the prefix (Intel SDM volume 2, "XCHG").
    if instruction.has_lock_prefix() || instruction.mnemonic() == M::Xchg {
        return Reads::AtOnce;
    }
    match instruction.mnemonic() {
        M::Or
        | M::And
        | M::Xor
        | M::Add
        | M::Sub
        | M::Adc
        | M::Sbb
        | M::Inc
        | M::Dec
        | M::Not
        | M::Neg
        | M::Bts
        | M::Btr
        | M::Btc
        | M::Shl
        | M::Shr
        | M::Sar
        | M::Rol
        | M::Ror
        | M::Rcl
        | M::Rcr
        | M::Shld
        | M::Shrd
        | M::Xadd
        | M::Cmpxchg
        | M::Cmpxchg8b
        | M::Cmpxchg16b => Reads::Before,
        _ => Reads::Never,
    }
}

/// Whether an instruction that faults for a store may store nothing there after all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg(feature = "store-trap")]
pub(super) enum Refrains {
    /// It stores.
    Never,
    /// Where it finds something else it writes that back: a compare-and-exchange, which says so by ZF.
    UnlessEqual,
    /// Where its mask says so. A page fault may be raised for what is masked out all the same (Intel SDM volume 2B,
    /// "MASKMOVDQU": "exceptions associated with addressing memory and page faults may still be signaled").
    WhereMasked,
}

#[cfg(feature = "store-trap")]
pub(super) fn refrains(instruction: Option<&Instruction>) -> Refrains {
    use Mnemonic as M;
    let Some(instruction) = instruction else { return Refrains::Never };
    match instruction.mnemonic() {
        M::Cmpxchg | M::Cmpxchg8b | M::Cmpxchg16b => Refrains::UnlessEqual,
        M::Maskmovq
        | M::Maskmovdqu
        | M::Vmaskmovdqu
        | M::Vmaskmovps
        | M::Vmaskmovpd
        | M::Vpmaskmovd
        | M::Vpmaskmovq => Refrains::WhereMasked,
        _ if instruction.op_mask() != Register::None => Refrains::WhereMasked,
        _ => Refrains::Never,
    }
}

/// A store that is simple enough to be made for the code, in its stead.
#[cfg(feature = "store-trap")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Simple {
    /// These bytes, in words, to one address.
    Store { at: u64, bytes: u32, words: [u64; 2] },
    /// The same bytes again and again.
    Fill { at: u64, word: u64, bytes: u64, step: u64 },
    /// A load to a general register.
    Load { at: u64, bytes: u32, register: usize },
}

/// The instruction as a simple one, if it is.
#[cfg(feature = "store-trap")]
pub(super) fn simple(instruction: &Instruction, context: &mut Context<'_>) -> Option<Simple> {
    match instruction.code() {
        Code::Mov_rm64_r64 | Code::Mov_rm32_r32 => {
            let (number, bits) = general(instruction.op1_register())?;
            let at = memory_operand(instruction, 0, context)?;
            let word = context.general(number)?;
            Some(Simple::Store { at, bytes: bits / 8, words: [word, 0] })
        }
        Code::Mov_rm64_imm32 | Code::Mov_rm32_imm32 => {
            let bytes = if instruction.code() == Code::Mov_rm64_imm32 { 8 } else { 4 };
            let at = memory_operand(instruction, 0, context)?;
            Some(Simple::Store { at, bytes, words: [instruction.immediate(1), 0] })
        }
        Code::Movups_xmmm128_xmm
        | Code::Movaps_xmmm128_xmm
        | Code::Movdqu_xmmm128_xmm
        | Code::Movdqa_xmmm128_xmm => {
            let at = memory_operand(instruction, 0, context)?;
            let number = instruction.op1_register() as usize - Register::XMM0 as usize;
            Some(Simple::Store { at, bytes: 16, words: context.vector(number)? })
        }
        Code::Mov_r64_rm64 | Code::Mov_r32_rm32 => {
            let (register, bits) = general(instruction.op0_register())?;
            let at = memory_operand(instruction, 1, context)?;
            Some(Simple::Load { at, bytes: bits / 8, register })
        }
        code => fill(instruction, code, context),
    }
}

#[cfg(feature = "store-trap")]
fn fill(instruction: &Instruction, code: Code, context: &mut Context<'_>) -> Option<Simple> {
    let (step, pattern): (u64, u64) = match code {
        Code::Stosb_m8_AL => (1, 0x0101_0101_0101_0101),
        Code::Stosw_m16_AX => (2, 0x0001_0001_0001_0001),
        Code::Stosd_m32_EAX => (4, 0x0000_0001_0000_0001),
        Code::Stosq_m64_RAX => (8, 1),
        _ => return None,
    };
    let is_upwards = context.flags() & super::context::DF == 0;
    let is_far = instruction.op0_kind() == OpKind::MemoryESRDI;
    if !instruction.has_rep_prefix() || !is_upwards || !is_far {
        return None;
    }
    let value = context.get(libc::REG_RAX);
    let part = if step == 8 { value } else { value & ((1 << (8 * step)) - 1) };
    let bytes = context.get(libc::REG_RCX).checked_mul(step)?;
    let at = context.get(libc::REG_RDI);
    Some(Simple::Fill { at, word: part.wrapping_mul(pattern), bytes, step })
}

#[cfg(feature = "store-trap")]
fn memory_operand(
    instruction: &Instruction,
    operand: u32,
    context: &mut Context<'_>,
) -> Option<u64> {
    (instruction.op_kind(operand) == OpKind::Memory)
        .then(|| address(instruction, operand, context))
        .flatten()
}
