//! The guest's program: it runs a batch of cases and writes to a port.
//!
//! The host enters it with RBX at the first case, RBP at the first result and R12 the number of
//! cases. It writes the tables of each case itself, because a KVM that keeps shadow tables sees only
//! the guest's own stores. An access at privilege level 3 ends with HLT, which raises #GP there, and
//! not with INT or SYSCALL: a paravirtual KVM emulates part of the guest's instructions and fails at
//! those. Every vector has a gate on a stack of its own, so that a fault of the agent itself is seen
//! as what it is and not as a triple fault.
//!
//! Encodings: Intel SDM volume 2, "Instruction Set Reference".

use super::assembler::Assembler;
use super::layout::{CODE, CONTROLS_SEEN, DONE_PORT, STACK_TOP, USER_CODE, offset, said, told};
use crate::oracles::recorded::CaseAccess;

/// The program and the addresses in it that the host must know.
pub(super) struct Agent {
    /// Bytes at [`CODE`].
    pub(super) code: Vec<u8>,
    /// Bytes at [`USER_CODE`].
    pub(super) user_code: Vec<u8>,
    /// Where a batch begins.
    pub(super) start: u64,
    /// Where an access at privilege level 0 goes on when it is done.
    pub(super) end: u64,
    /// Where a case ends at either privilege level: what it wrote is undone there.
    pub(super) after: u64,
    /// HLT, where an access at privilege level 3 goes on when it is done.
    pub(super) user_end: u64,
    /// The first of 32 exception handlers, [`HANDLER_BYTES`] apart.
    pub(super) handlers: u64,
}

/// Bytes from one exception handler to the next.
pub(super) const HANDLER_BYTES: u64 = 16;

/// Bytes from one access to the next, in both copies.
const ACCESS_BYTES: u64 = 16;

impl Agent {
    pub(super) fn assemble() -> Self {
        let mut user = Assembler::at(USER_CODE);
        accesses(&mut user);
        user.label("end");
        user.op(&[0xf4]); // hlt
        let (user_code, user_labels) = user.finish();

        // The accesses come first, at the same offsets as in the copy for privilege level 3.
        let mut agent = Assembler::at(CODE);
        accesses(&mut agent);
        handlers(&mut agent);
        agent.label("start");
        controls(&mut agent);
        agent.label("case");
        prepare(&mut agent);
        enter(&mut agent);
        agent.label("exception");
        agent.op32(&[0x48, 0x89, 0x85], offset(said::RAX)); //              mov [rbp+RAX], rax
        agent.op32(&[0x8f, 0x85], offset(said::VECTOR)); //                 pop qword [rbp+VECTOR]
        agent.op32(&[0x8f, 0x85], offset(said::ERROR_CODE)); //             pop qword [rbp+ERROR_CODE]
        agent.op32(&[0x8f, 0x85], offset(said::RIP)); //                    pop qword [rbp+RIP]
        agent.op32(&[0x8f, 0x85], offset(said::CS)); //                     pop qword [rbp+CS]
        agent.jump(&[0xe9], "after"); //                                    jmp after
        agent.label("end");
        agent.op32(&[0x48, 0x89, 0x85], offset(said::RAX)); //              mov [rbp+RAX], rax
        agent.op32(&[0x48, 0xc7, 0x85], offset(said::VECTOR)); //           mov qword [rbp+VECTOR],
        agent.op(&[0x20, 0, 0, 0]); //                                          NO_EXCEPTION
        agent.label("after");
        tell(&mut agent);
        agent.op32(&[0x48, 0x81, 0xc3], offset(told::WORDS)); //            add rbx, bytes of a case
        agent.op32(&[0x48, 0x81, 0xc5], offset(said::WORDS)); //            add rbp, bytes of a result
        agent.op(&[0x49, 0xff, 0xcc]); //                                   dec r12
        agent.jump(&[0x0f, 0x85], "case"); //                               jnz case
        let port = u8::try_from(DONE_PORT).expect("a port that fits an instruction");
        agent.op(&[0xe6, port]); //                                         out DONE_PORT, al
        agent.op(&[0x0f, 0x0b]); //                                         ud2
        let (code, labels) = agent.finish();

        Self {
            code,
            user_code,
            start: labels["start"],
            end: labels["end"],
            after: labels["after"],
            user_end: user_labels["end"],
            handlers: labels["handlers"],
        }
    }
}

/// Where the instructions of an access are, from the start of either copy.
pub(super) fn access_offset(access: CaseAccess) -> u64 {
    ACCESS_BYTES
        * match access {
            CaseAccess::Read => 0,
            CaseAccess::Write => 1,
            CaseAccess::Fetch => 2,
            CaseAccess::ReadModifyWrite => 3,
            CaseAccess::ReadThenWrite => 4,
        }
}

/// The accesses. RDI is the address, RAX and RDX the marker, RSI where to go on.
fn accesses(code: &mut Assembler) {
    code.op(&[0x48, 0x8b, 0x07]); //                                        mov rax, [rdi]
    code.op(&[0xff, 0xe6]); //                                              jmp rsi
    code.align(16);
    code.op(&[0x48, 0x89, 0x17]); //                                        mov [rdi], rdx
    code.op(&[0xff, 0xe6]); //                                              jmp rsi
    code.align(16);
    // Data memory holds `mov eax, its own address` and `jmp rsi`.
    code.op(&[0xff, 0xe7]); //                                              jmp rdi
    code.align(16);
    code.op(&[0x48, 0x87, 0x07]); //                                        xchg [rdi], rax
    code.op(&[0xff, 0xe6]); //                                              jmp rsi
    code.align(16);
    code.op(&[0x48, 0x8b, 0x07]); //                                        mov rax, [rdi]
    code.op(&[0x48, 0x89, 0x17]); //                                        mov [rdi], rdx
    code.op(&[0xff, 0xe6]); //                                              jmp rsi
    code.align(16);
}

/// One handler for each exception, each leaving a vector and an error code on the stack.
fn handlers(code: &mut Assembler) {
    code.label("handlers");
    for vector in 0..32 {
        // Intel SDM volume 3A, "Protected-Mode Exceptions and Interrupts".
        if !matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30) {
            code.op(&[0x6a, 0]); //                                         push 0
        }
        code.op(&[0x6a, vector]); //                                        push vector
        code.jump(&[0xe9], "exception"); //                                 jmp exception
        code.align(16);
    }
}

/// Tells the host which controls the batch runs under.
fn controls(code: &mut Assembler) {
    let seen = u32::try_from(CONTROLS_SEEN).expect("below 4 GiB");
    code.op(&[0x0f, 0x20, 0xc0]); //                                        mov rax, cr0
    code.op32(&[0x48, 0x89, 0x04, 0x25], seen); //                          mov [CONTROLS_SEEN], rax
    code.op(&[0x0f, 0x20, 0xe0]); //                                        mov rax, cr4
    code.op32(&[0x48, 0x89, 0x04, 0x25], seen + 8); //                      mov [… + 8], rax
    code.op32(&[0xb9], 0xc000_0080); //                                     mov ecx, IA32_EFER
    code.op(&[0x0f, 0x32]); //                                              rdmsr
    code.op(&[0x48, 0xc1, 0xe2, 0x20]); //                                  shl rdx, 32
    code.op(&[0x48, 0x09, 0xd0]); //                                        or rax, rdx
    code.op32(&[0x48, 0x89, 0x04, 0x25], seen + 16); //                     mov [… + 16], rax
}

/// Writes the tables and forgets every translation.
fn prepare(code: &mut Assembler) {
    // From the top down: where two levels share a place the lower one stays, as in the cases.
    for level in (0..5).rev() {
        code.op32(&[0x48, 0x8b, 0xbb], offset(told::PLACES + level)); //    mov rdi, [rbx+PLACE]
        code.op32(&[0x48, 0x8b, 0x83], offset(told::ENTRIES + level)); //   mov rax, [rbx+ENTRY]
        code.op(&[0x48, 0x89, 0x07]); //                                    mov [rdi], rax
    }
    code.op32(&[0x83, 0xbb], offset(told::LOADS_PKRU)); //                  cmp dword [rbx+LOADS_PKRU],
    code.op(&[0]); //                                                           0
    code.jump(&[0x0f, 0x84], "no keys"); //                                 je no keys
    code.op32(&[0x8b, 0x83], offset(told::PKRU)); //                        mov eax, [rbx+PKRU]
    code.op(&[0x31, 0xc9]); //                                              xor ecx, ecx
    code.op(&[0x31, 0xd2]); //                                              xor edx, edx
    code.op(&[0x0f, 0x01, 0xef]); //                                        wrpkru
    code.label("no keys");
    code.op32(&[0x48, 0x8b, 0xbb], offset(told::VIRT)); //                  mov rdi, [rbx+VIRT]
    code.op(&[0x0f, 0x01, 0x3f]); //                                        invlpg [rdi]
    code.op(&[0x0f, 0x20, 0xd8]); //                                        mov rax, cr3
    code.op(&[0x0f, 0x22, 0xd8]); //                                        mov cr3, rax
    // An address that stays 0 was not written by the exception.
    code.op(&[0x31, 0xc0]); //                                              xor eax, eax
    code.op(&[0x0f, 0x22, 0xd0]); //                                        mov cr2, rax
}

/// Goes to the access with IRETQ, at either privilege level, which loads EFLAGS.AC too.
fn enter(code: &mut Assembler) {
    code.op32(&[0x48, 0xc7, 0xc4], u32::try_from(STACK_TOP).expect("below 2 GiB")); // mov rsp, STACK_TOP
    code.op32(&[0x48, 0x8b, 0x93], offset(told::MARKER)); //                mov rdx, [rbx+MARKER]
    code.op(&[0x48, 0x89, 0xd0]); //                                        mov rax, rdx
    code.op32(&[0x48, 0x8b, 0xb3], offset(told::END)); //                   mov rsi, [rbx+END]
    code.op32(&[0xff, 0xb3], offset(told::SS)); //                          push qword [rbx+SS]
    code.op32(&[0xff, 0xb3], offset(told::RSP)); //                         push qword [rbx+RSP]
    code.op32(&[0xff, 0xb3], offset(told::RFLAGS)); //                      push qword [rbx+RFLAGS]
    code.op32(&[0xff, 0xb3], offset(told::CS)); //                          push qword [rbx+CS]
    code.op32(&[0xff, 0xb3], offset(told::RIP)); //                         push qword [rbx+RIP]
    code.op(&[0x48, 0xcf]); //                                              iretq
}

/// Takes down CR2, the entries and the word of data memory, then undoes what the case wrote.
fn tell(code: &mut Assembler) {
    code.op(&[0x0f, 0x20, 0xd0]); //                                        mov rax, cr2
    code.op32(&[0x48, 0x89, 0x85], offset(said::CR2)); //                   mov [rbp+CR2], rax
    for level in 0..5 {
        code.op32(&[0x48, 0x8b, 0xbb], offset(told::PLACES + level)); //    mov rdi, [rbx+PLACE]
        code.op(&[0x48, 0x8b, 0x07]); //                                    mov rax, [rdi]
        code.op32(&[0x48, 0x89, 0x85], offset(said::ENTRIES + level)); //   mov [rbp+ENTRY], rax
    }
    for level in 0..5 {
        code.op32(&[0x48, 0x8b, 0xbb], offset(told::PLACES + level)); //    mov rdi, [rbx+PLACE]
        code.op32(&[0x48, 0xc7, 0x07], 0); //                               mov qword [rdi], 0
    }
    code.op32(&[0x48, 0x8b, 0xbb], offset(told::WORD_PLACE)); //            mov rdi, [rbx+WORD_PLACE]
    code.op(&[0x48, 0x8b, 0x07]); //                                        mov rax, [rdi]
    code.op32(&[0x48, 0x89, 0x85], offset(said::WORD)); //                  mov [rbp+WORD], rax
    code.op32(&[0x48, 0x8b, 0x83], offset(told::WORD)); //                  mov rax, [rbx+WORD]
    code.op(&[0x48, 0x89, 0x07]); //                                        mov [rdi], rax
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_copies_of_an_access_are_alike_and_go_on_where_they_are_told() {
        let agent = Agent::assemble();
        for (code, limit) in [(&agent.code, 0x1000), (&agent.user_code, 0x1000)] {
            assert!(code.len() <= limit, "{} bytes fit a page", code.len());
        }
        for access in CaseAccess::ALL {
            let at = usize::try_from(access_offset(access)).expect("a small offset");
            let length = usize::try_from(ACCESS_BYTES).expect("a small number");
            let own = &agent.code[at..at + length];

            assert_eq!(own, &agent.user_code[at..at + length], "{access:?}");
            let end: &[u8] =
                if access == CaseAccess::Fetch { &[0xff, 0xe7] } else { &[0xff, 0xe6] };
            let used = own.iter().rposition(|byte| *byte != 0xcc).expect("instructions") + 1;
            assert!(own[..used].ends_with(end), "{access:?}: {own:x?}");
        }
        let hlt = usize::try_from(agent.user_end - USER_CODE).expect("a small offset");
        assert_eq!(agent.user_code[hlt..], [0xf4]);
    }

    #[test]
    fn every_handler_leaves_an_error_code_and_its_vector() {
        let agent = Agent::assemble();
        for vector in 0..32u8 {
            let at = agent.handlers + HANDLER_BYTES * u64::from(vector) - CODE;
            let code = &agent.code[usize::try_from(at).expect("a small offset")..];

            let pushes: &[u8] = match vector {
                8 | 10 | 11 | 12 | 13 | 14 | 17 | 21 | 29 | 30 => &[0x6a, vector, 0xe9],
                _ => &[0x6a, 0, 0x6a, vector, 0xe9],
            };
            assert!(code.starts_with(pushes), "{vector}: {:x?}", &code[..16]);
        }
    }
}
