//! What was found is kept: each violation as a file that replays, minimised as far as there is time.
//!
//! Ctrl-C ends the search for smaller cases and loses none: those that are left are written as they
//! were found, which takes no run, with what is known of them as what is expected.

use std::io::Write;

use crate::campaign::Registries;
use crate::counterexample::case::{TRIALS_MAX, expecting};
use crate::counterexample::{minimised, test_text};
use crate::minimise::Extent;
use crate::scenario::Scenario;

use super::save::Folder;
use super::{Failure, progress};

/// A violation as it was found.
pub(super) struct Found {
    /// The world with the plan that was run in it.
    pub(super) scenario: Scenario,
    /// The guarantees that it violated.
    pub(super) violated: Vec<String>,
}

/// Writes each case with the line that replays it, then how many of `total` violations those are,
/// where it is not all of them. `told` is for people: what can't be written to it is left out.
///
/// # Errors
///
/// When a file can't be written.
pub(super) fn save(
    cases: Vec<Found>,
    total: u64,
    registries: &Registries,
    folder: &Folder,
    told: &mut impl Write,
) -> Result<(), Failure> {
    let stop = &registries.interrupt;
    let (count, mut saved, mut least) = (cases.len(), 0_usize, 0_usize);
    let bar = progress::bar();
    bar.set_length(count as u64);
    for found in cases {
        let stopping = if stop.is_raised() { ", stopping" } else { "" };
        bar.set_message(format!("minimising {}{stopping}", found.scenario.name));
        let name = found.scenario.name.clone();
        let smaller = if stop.is_raised() {
            None
        } else {
            minimised(&found.scenario, registries, TRIALS_MAX)
        };
        // Asked after the search, which ends without a result when it is interrupted early.
        let is_stopped = stop.is_raised();
        let (scenario, note) = match smaller {
            Some(smaller) if smaller.extent == Extent::OneMinimal => {
                least += 1;
                (smaller.scenario, "")
            }
            Some(smaller) => (smaller.scenario, "  (not the least: more may be left out)"),
            None if is_stopped => (
                expecting(found.scenario, &found.violated),
                "  (as it was found: minimising was interrupted)",
            ),
            None => {
                let what =
                    format!("not saved: {name} does not violate it as a scenario of its own");
                bar.suspend(|| {
                    let _ = writeln!(told, "{what}");
                });
                bar.inc(1);
                continue;
            }
        };
        let place = folder.write(&format!("{name}.toml"), &scenario)?;
        saved += 1;
        let line = test_text::replay_line(&place.display().to_string());
        bar.suspend(|| {
            let _ = writeln!(told, "saved: {line}{note}");
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    if stop.is_raised() && count > 0 {
        let _ = writeln!(
            told,
            "interrupted: {saved} of {count} cases are saved, {least} of them minimised to the end"
        );
    }
    if total > count as u64 {
        let _ =
            writeln!(told, "{saved} of {total} violations are saved: the first {count} are kept");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::campaign::Interrupt;
    use crate::counterexample::Story;
    use crate::invariants::{End, Evidence, Findings, Invariant, Kinds, Registry};

    /// Never broken; raises a flag when so many runs came to rest.
    struct RaisesAfter {
        rests: AtomicU64,
        interrupt: Interrupt,
    }

    impl Invariant for RaisesAfter {
        fn name(&self) -> &'static str {
            "raises-after"
        }

        fn sentence(&self) -> &'static str {
            "nobody breaks it"
        }

        fn source(&self) -> &'static str {
            "this test"
        }

        fn kinds(&self) -> Kinds {
            Kinds::NONE
        }

        fn check(&self, _: &Evidence<'_>, _: &mut Findings) {}

        fn check_at_rest(&self, _: &Evidence<'_>, _: &End<'_>, _: &mut Findings) {
            if self.rests.fetch_sub(1, Ordering::Relaxed) == 1 {
                self.interrupt.raise();
            }
        }
    }

    /// Two cases of a world that violates guarantees by itself.
    fn cases() -> Vec<Found> {
        let text = include_str!("../../scenarios/self-map-user-bit.toml");
        let world = Scenario::from_bytes(text.as_bytes()).expect("it is read");
        let outcome = Story::of(&world, &Registries::default()).expect("it is run").outcome;
        let of = |number: u32| {
            let name = format!("case-{number}");
            let scenario = super::super::campaign::by_itself(&world, name);
            let scenario = Scenario { plan: world.plan.clone(), ..scenario };
            Found { scenario, violated: outcome.guarantees.clone() }
        };
        vec![of(0), of(1)]
    }

    /// What is told, and the cases as they can be read again.
    fn saved(name: &str, interrupt: Interrupt, rests: u64) -> (String, Vec<Scenario>) {
        let path = std::env::temp_dir().join(format!("ringfence-{name}-{}", std::process::id()));
        let folder =
            Folder::prepare(&path, None).unwrap_or_else(|_| panic!("{path:?} takes no file"));
        let raises = RaisesAfter { rests: AtomicU64::new(rests), interrupt: interrupt.clone() };
        let invariants = Arc::new(Registry::all().with(raises));
        let registries = Registries { interrupt, invariants, ..Registries::default() };
        let mut told = Vec::new();
        let done = save(cases(), 5, &registries, &folder, &mut told);
        assert!(done.is_ok());
        let mut files: Vec<_> =
            std::fs::read_dir(&path).expect("a folder").flatten().map(|one| one.path()).collect();
        files.sort();
        let read = |file| Scenario::from_bytes(&std::fs::read(file).expect("a file"));
        let cases = files.iter().map(|file| read(file).expect("a scenario")).collect();
        std::fs::remove_dir_all(&path).expect("it was made here");
        (String::from_utf8(told).expect("text"), cases)
    }

    fn assert_each_is_reproduced(cases: &[Scenario]) {
        assert_eq!(cases.len(), 2);
        for case in cases {
            let story = Story::of(case, &Registries::default()).expect("it is run");
            let violated = &case.expect.as_ref().expect("something is expected").violated;
            assert!(!violated.is_empty(), "{}", case.to_toml());
            assert_eq!(story.missed, Vec::<String>::new(), "{}", case.to_toml());
        }
    }

    #[test]
    fn what_was_found_before_ctrl_c_is_saved_as_it_was_found_and_replays() {
        let interrupt = Interrupt::default();
        interrupt.raise();

        let (told, cases) = saved("stopped-before", interrupt, u64::MAX);

        assert_each_is_reproduced(&cases);
        assert_eq!(told.matches("(as it was found: minimising was interrupted)").count(), 2);
        let sum = "interrupted: 2 of 2 cases are saved, 0 of them minimised to the end\n";
        assert!(told.contains(sum), "{told}");
        assert!(told.contains("2 of 5 violations are saved"), "{told}");
    }

    #[test]
    fn ctrl_c_in_the_first_run_of_the_minimiser_or_in_a_later_one_leaves_cases_that_replay() {
        // The golden run of the start, its first run, and a candidate's.
        for rests in [1, 2, 4] {
            let (told, cases) = saved(&format!("stopped-{rests}"), Interrupt::default(), rests);

            assert_each_is_reproduced(&cases);
            assert!(told.contains("interrupted: 2 of 2 cases are saved, 0 of them"), "{told}");
        }
    }
}
