//! Over any memory, registers and access the machine's walk and the one by the book say the same,
//! and neither panics. What the cache then answers is what the walk answered.
//!
//! What the bytes mean is said in `ringfence::scenario::fuzz_input`; `ringfence explain` shows it.

use ringfence::machine::paging::x86_64::{lookup, walk};
use ringfence::machine::tlb::Tlb;
use ringfence::oracles::by_the_book::Answer;
use ringfence::oracles::compare;
use ringfence::scenario::fuzz_input::translation;

/// One case.
///
/// # Panics
///
/// When the two walkers disagree, or the cache gives another answer than the walk that filled it.
pub fn run(data: &[u8]) {
    let words = translation(data);
    let (controls, request) = (words.controls, words.request);

    let answer = match compare(&words, &controls, &request) {
        Ok(answer) => answer,
        Err(disagreement) => panic!("{disagreement}"),
    };

    let reach = lookup(&words, &controls, request.virt);
    let Answer::Translated(translated) = answer else { return };
    let reach = reach.expect("what permits an access is mapped");
    assert_eq!(reach.size.bytes(), translated.page_bytes);
    let walk = walk(&words, &controls, &request).expect("both walkers translated");
    let mut tlb = Tlb::default();
    tlb.fill(&controls, &request, &walk);
    assert_eq!(tlb.lookup(&controls, &request), Some(walk.address));
}

/// How the case ends: which part of the behaviour it reaches.
#[must_use]
pub fn outcome(data: &[u8]) -> String {
    let words = translation(data);
    let (controls, request) = (words.controls, words.request);
    match compare(&words, &controls, &request) {
        Ok(Answer::Translated(found)) => format!("translated, {} bytes", found.page_bytes),
        Ok(Answer::PageFault(code)) => format!("page fault {code:#x}"),
        Ok(Answer::GeneralProtection) => "general protection".to_owned(),
        Err(disagreement) => disagreement.to_string(),
    }
}
