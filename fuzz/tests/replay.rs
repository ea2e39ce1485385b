//! Every stored input still holds. Runs on stable: `cargo test --no-default-features`.

use std::collections::BTreeSet;
use std::path::Path;

/// Runs `body` on each file of the target's corpus, in the order of their names.
fn replay(target: &str, mut body: impl FnMut(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let listing = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{target}: {error}"));
    let mut files: Vec<_> = listing.map(|file| file.expect("a readable folder").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{target} has no corpus");
    for file in files {
        println!("{target}/{}", file.file_name().expect("a file").display());
        body(&std::fs::read(&file).expect("a readable file"));
    }
}

#[test]
fn the_corpus_of_translate_holds_and_reaches_every_kind_of_outcome() {
    let mut outcomes = BTreeSet::new();

    replay("translate", |data| {
        ringfence_fuzz::translate::run(data);
        outcomes.insert(ringfence_fuzz::translate::outcome(data));
    });

    for wanted in ["translated, 4096", "translated, 2097152", "translated, 1073741824"] {
        assert!(outcomes.iter().any(|outcome| outcome.starts_with(wanted)), "{wanted}");
    }
    assert!(outcomes.contains("general protection"));
    let codes = outcomes.iter().filter(|outcome| outcome.starts_with("page fault")).count();
    assert!(codes >= 10, "{outcomes:?}");
}

#[test]
fn the_corpus_of_world_holds_and_every_case_strikes() {
    let (mut kinds, mut classes) = (BTreeSet::new(), BTreeSet::new());

    replay("world", |data| {
        ringfence_fuzz::world::run(data);
        let (planned, outcome) = ringfence_fuzz::world::outcome(data);
        let outcome = outcome.expect("each fault of a stored case can be made");
        assert!(outcome.activation.strikes > 0, "{planned:?} never strikes");
        kinds.extend(planned);
        classes.insert(outcome.class().name());
    });

    assert!(kinds.len() >= 10, "{kinds:?}");
    assert!(classes.len() >= 4, "{classes:?}");
}

#[test]
fn a_case_of_world_that_is_named_after_a_fault_plans_it() {
    for (file, kind) in [
        ("bit-flip", "bit-flip"),
        ("crashes", "crash"),
        ("forged-handle", "forged-handle"),
        ("hang", "hang"),
        ("kernel-address", "kernel-address-as-argument"),
        ("overrun", "overrun"),
        ("repeated-step", "repeated-step"),
        ("replaced-step", "replaced-step"),
        ("return-address", "corrupted-return-address"),
        ("wrong-length", "wrong-length-as-argument"),
        ("wrong-result", "wrong-result"),
    ] {
        let path = format!("{}/corpus/world/{file}", env!("CARGO_MANIFEST_DIR"));
        let data = std::fs::read(&path).expect("a stored case");
        let (planned, _) = ringfence_fuzz::world::outcome(&data);
        assert!(planned.contains(&kind.to_owned()), "{file} plans {planned:?}");
    }
}

#[test]
fn nearly_every_input_of_world_strikes() {
    let mut state = 1_u64;
    let mut byte = || {
        // Knuth's linear congruential generator; its upper bits are the good ones.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    let struck = (0..40).filter(|_| {
        let data: Vec<u8> = (0..28).map(|_| byte()).collect();
        let (_, outcome) = ringfence_fuzz::world::outcome(&data);
        outcome.is_some_and(|outcome| outcome.activation.strikes > 0)
    });

    let struck = struck.count();
    assert!(struck >= 36, "{struck} of 40");
}

#[test]
fn the_corpus_of_scenario_text_holds_and_has_scenarios_that_run_and_every_sort_of_mistake() {
    let mut outcomes = BTreeSet::new();

    replay("scenario_text", |data| {
        ringfence_fuzz::scenario_text::run(data);
        outcomes.insert(ringfence_fuzz::scenario_text::outcome(data));
    });

    for wanted in [
        "runs and is struck",
        "runs, no plan",
        "not UTF-8",
        "format is missing",
        "format 2",
        "extra `=`",
    ] {
        assert!(outcomes.iter().any(|outcome| outcome.contains(wanted)), "{wanted}: {outcomes:?}");
    }
}

#[test]
fn the_corpus_of_translate_csv_holds_and_reaches_every_kind_of_outcome() {
    let mut outcomes = BTreeSet::new();

    replay("translate_csv", |data| outcomes.extend(ringfence_fuzz::translate_csv::outcome(data)));

    for wanted in ["ok", "gp 0", "pf 4", "pf 7", "no column", "can't be read", "unclosed", "fields"]
    {
        assert!(outcomes.iter().any(|outcome| outcome.contains(wanted)), "{wanted}: {outcomes:?}");
    }
}

#[test]
fn the_corpus_of_tlb_holds_and_something_is_still_held_and_answered() {
    let (mut held, mut hits) = (0, 0);

    replay("tlb", |data| {
        let outcome = ringfence_fuzz::tlb::outcome(data);
        held += outcome.0;
        hits += outcome.1;
    });

    assert!(held >= 5 && hits >= 3, "{held} translations held, {hits} answers of the cache");
}

#[test]
fn the_corpus_of_image_holds_and_reaches_every_form() {
    let mut outcomes = BTreeSet::new();

    replay("image", |data| {
        ringfence_fuzz::image::run(data);
        outcomes.insert(ringfence_fuzz::image::outcome(data));
    });

    for form in ["Tables", "Elf", "Raw"] {
        for compressed in [false, true] {
            let wanted = format!("{form}, compressed: {compressed}");
            assert!(outcomes.contains(&wanted), "{wanted}: {outcomes:?}");
        }
    }
    assert!(outcomes.len() >= 12, "{outcomes:?}");
}

#[test]
fn the_corpus_of_trace_holds_and_reaches_findings_and_mistakes_of_both_languages() {
    let mut outcomes = BTreeSet::new();

    replay("trace", |data| outcomes.extend(ringfence_fuzz::trace::outcome(data)));

    for wanted in [
        "made without break",
        "made before the break is complete",
        "stays reachable",
        "may still be walked",
        "a table has no lock",
        "no event has the name",
        "no record has the name",
        "ends here",
    ] {
        assert!(outcomes.iter().any(|outcome| outcome.contains(wanted)), "{wanted}: {outcomes:?}");
    }
}
