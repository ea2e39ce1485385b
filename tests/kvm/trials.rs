//! What is asked of the guest.

use std::time::Instant;

use ringfence::base::Seed;
use ringfence::machine::paging::x86_64::Vendor;
use ringfence::oracles::kvm::{Answer, Oracle};
use ringfence::oracles::recorded::{TranslationCase, Walker};

use crate::agreement::{Agreement, Judged};
use crate::generate::classes;
use crate::recorded::rows;
use crate::weaknesses;

const SEED: Seed = Seed(1);

/// Random cases beside those of the other classes: the main run, and the others.
const RANDOM_MANY: u64 = 40_000;
const RANDOM_FEW: u64 = 4_000;

/// Both walkers of the crate.
const WALKERS: [(&str, Judged); 2] = [
    ("walk", |machine, case| machine.answer_of(Walker::Machine, case)),
    ("book", |machine, case| machine.answer_of(Walker::Book, case)),
];

/// Every test.
pub(crate) const ALL: [(&str, fn()); 4] = [
    ("both_walkers_do_what_kvm_does", both_walkers_do_what_kvm_does),
    ("kvm_does_what_was_recorded", kvm_does_what_was_recorded),
    ("both_walkers_know_other_processors_too", both_walkers_know_other_processors_too),
    ("every_weakened_walker_is_seen", every_weakened_walker_is_seen),
];

/// Why nothing can be asked here, if so.
pub(crate) fn reason_to_skip() -> Option<String> {
    match Oracle::new(Vendor::Intel, 40) {
        Err(skipped) => Some(skipped.to_string()),
        Ok(oracle) => {
            println!("KVM: {}", oracle.kind());
            for left in oracle.left_out() {
                println!("  left out: {}: {}", left.feature, left.reason);
            }
            None
        }
    }
}

fn oracle(vendor: Vendor, maxphyaddr: u8) -> Oracle {
    Oracle::new(vendor, maxphyaddr).unwrap_or_else(|skipped| panic!("{skipped}"))
}

/// What the guest says. That it fails in the middle is no reason to skip: it passed its trial.
fn ask(oracle: &mut Oracle, cases: &[TranslationCase]) -> Vec<Answer> {
    oracle.answer(cases).unwrap_or_else(|skipped| panic!("{skipped}"))
}

/// Holds both walkers to one case in `step` of every class; how many cases were answered. A step
/// without a factor in common with a class's loops takes something of everything.
#[allow(clippy::disallowed_methods, reason = "the time is told to the reader and decides nothing")]
fn hold(oracle: &mut Oracle, random: u64, step: usize) -> usize {
    let machine = oracle.machine().clone();
    let processor = format!("{:?}, {} bits", machine.vendor, machine.maxphyaddr);
    let mut answered = 0;
    for class in classes(SEED, &machine, random) {
        let cases: Vec<TranslationCase> = class.cases.into_iter().step_by(step).collect();
        let started = Instant::now();
        let answers = ask(oracle, &cases);
        let seconds = started.elapsed().as_secs_f32();

        let agreement = Agreement::of(&machine, &cases, &answers, &WALKERS);

        println!("{processor}, {} ({seconds:.1} s): {agreement}", class.name);
        // A class in which nothing is permitted, or nothing refused, shows little.
        assert!(agreement.translated > 0, "{}: all is refused", class.name);
        assert!(agreement.translated < agreement.answered, "{}: all is permitted", class.name);
        assert_eq!(agreement.disagreed, 0, "{}: {SEED:?}", class.name);
        answered += agreement.answered;
    }
    answered
}

fn both_walkers_do_what_kvm_does() {
    let mut oracle = oracle(Vendor::Intel, 40);

    let answered = hold(&mut oracle, RANDOM_MANY, 1);

    println!("{answered} cases answered, all agree; {} entries into the guest", oracle.entries());
    assert!(answered > 50_000, "{answered} answers are not many");
}

fn kvm_does_what_was_recorded() {
    let mut oracle = oracle(Vendor::Intel, 40);
    let machine = oracle.machine().clone();
    let (cases, recorded): (Vec<_>, Vec<_>) = rows().into_iter().unzip();

    let answers = ask(&mut oracle, &cases);

    let agreement = Agreement::of(&machine, &cases, &answers, &WALKERS);
    println!("recorded: {agreement}");
    assert_eq!(agreement.disagreed, 0);
    assert!(agreement.answered > cases.len() / 4, "{} answers", agreement.answered);
    for ((case, recorded), answer) in cases.iter().zip(&recorded).zip(&answers) {
        if let Answer::Observed(seen) = answer {
            let outcome = (seen.out, seen.code, seen.address);
            assert_eq!(outcome, (recorded.out, recorded.code, recorded.address), "{case:x?}");
        }
    }
}

fn both_walkers_know_other_processors_too() {
    for (vendor, maxphyaddr) in
        [(Vendor::Amd, 40), (Vendor::Intel, 36), (Vendor::Amd, 46), (Vendor::Intel, 48)]
    {
        hold(&mut oracle(vendor, maxphyaddr), RANDOM_FEW, 7);
    }
}

fn every_weakened_walker_is_seen() {
    let mut oracle = oracle(Vendor::Intel, 40);
    let machine = oracle.machine().clone();
    let mut seen = [0; weaknesses::ALL.len()];
    for class in classes(SEED, &machine, RANDOM_FEW) {
        let answers = ask(&mut oracle, &class.cases);
        for (seen, weak) in seen.iter_mut().zip(weaknesses::ALL) {
            *seen += Agreement::of(&machine, &class.cases, &answers, &[weak]).disagreed;
        }
    }
    for ((name, _), seen) in weaknesses::ALL.iter().zip(seen) {
        println!("{seen:>6} cases show that {name}");
        assert!(seen > 0, "{name}, and nobody notices");
    }
}
