//! Over any memory, registers and access the machine's walk and the one by the book say the same,
//! and neither panics. So say walks that advance together, and one that starts where another was; and
//! what the cache then answers is what the walk answered.
//!
//! What the bytes mean is said in `ringfence::scenario::fuzz_input`; `ringfence explain` shows it.

use ringfence::machine::paging::x86_64::{Walker, lookup, walk};
use ringfence::machine::tlb::{PagingStructureCache, Tlb};
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

    let walker = Walker::new(&controls, &request);
    let alone = walker.address(&words, request.virt);
    let mut together = [None; 3];
    let virts = [request.virt, request.virt.plus(4096), request.virt];
    walker.addresses(&words, &virts, &mut together);
    assert_eq!(together, virts.map(|virt| walker.address(&words, virt)));
    let mut upper_levels = PagingStructureCache::<1>::new();
    for _ in 0..2 {
        assert_eq!(upper_levels.address(&walker, &words, request.virt), alone);
    }

    let reach = lookup(&words, &controls, request.virt);
    let Answer::Translated(translated) = answer else { return };
    let reach = reach.expect("what permits an access is mapped");
    assert_eq!(reach.size.bytes(), translated.page_bytes);
    let walk = walk(&words, &controls, &request).expect("both walkers translated");
    let mut tlb = Tlb::default();
    tlb.fill(&controls, &request, &walk);
    assert_eq!(tlb.lookup(&controls, &request), Some(walk.address));
    if let Some(found) = walker.reach(&words, request.virt) {
        let mut kept = Tlb::default();
        kept.keep(&controls, request.virt, &found);
        assert_eq!(kept, tlb);
    }
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
