//! Cases as `proptest` strategies, for tests that mix them with properties of their own.
//!
//! They are drawn as the suite draws its own, from bytes instead of a stream, so that fewer and smaller bytes
//! give fewer and plainer calls. [`replay`](crate::conformance::replay) panics with the whole finding at each step of
//! `proptest`'s shrinking: what a failing property prints is long, and its last report is that of the smallest case.

use proptest::prelude::*;

use super::case::{Case, generate};
use super::draw::Draw;
use super::format::Format;
use super::memory::{Hosting, Memory};
use super::options::Options;
use super::subject::{Capabilities, Mapper};
use super::suite::Suite;

/// Bytes of the longest case, and as many again: half of all draws are long enough for any.
const BYTES_MAX: usize = 1200;

/// Cases for an implementation with these capabilities, in tables of which it keeps nothing for itself; run them
/// with [`replay`](super::replay). For a suite with options: [`Suite::strategy`].
pub fn cases(
    format: &'static dyn Format,
    capabilities: Capabilities,
) -> impl Strategy<Value = Case> {
    drawn(format, capabilities, Vec::new(), Hosting::default())
}

fn drawn(
    format: &'static dyn Format,
    capabilities: Capabilities,
    reserved: Vec<u64>,
    hosting: Hosting,
) -> impl Strategy<Value = Case> {
    proptest::collection::vec(any::<u8>(), 0..BYTES_MAX).prop_map(move |bytes| {
        let bits = hosting.physical_bits();
        generate(&mut Draw::Bytes(&bytes), format, capabilities, &reserved, bits)
    })
}

impl<M: Mapper, F: Fn(Memory) -> M> Suite<F> {
    /// Cases as this suite draws them: in its format, for what the implementation declares, and nothing in
    /// entries of the root that are [reserved](Self::reserving). Run them with [`replay`](Self::replay) of a suite
    /// with the same options. Bits that are the code's [own](Mapper::own_bits) are left alone there.
    ///
    /// # Panics
    ///
    /// When no instance can be made, which is asked what it declares.
    pub fn strategy(&self) -> impl Strategy<Value = Case> + use<M, F> {
        let declared = match self.search().declaration() {
            Ok(declared) => declared,
            Err(ended) => panic!("no instance can be made: {ended:?}"),
        };
        let Options { format, reserved, hosting, .. } = &self.options;
        drawn(*format, declared.capabilities, reserved.clone(), *hosting)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

    use super::*;
    use crate::base::{PhysAddr, Seed, VirtAddr};
    use crate::conformance::format::{X86_64, index};
    use crate::conformance::operation::Call;
    use crate::conformance::subject::Refusal;
    use crate::machine::paging::PageSize;

    /// It declares everything, and nothing is ever asked of it.
    struct Declares(PhysAddr);

    impl Mapper for Declares {
        fn capabilities(&self) -> Capabilities {
            Capabilities::all()
        }

        fn root(&self) -> PhysAddr {
            self.0
        }

        fn map(
            &mut self,
            _: VirtAddr,
            _: PhysAddr,
            _: PageSize,
            _: super::super::Rights,
        ) -> Result<(), Refusal> {
            Err(Refusal::Declined("never asked"))
        }
    }

    fn suite() -> Suite<impl Fn(Memory) -> Declares> {
        super::super::mapper(|memory| Declares(memory.allocate().unwrap_or_default()))
    }

    fn sampled(strategy: &impl Strategy<Value = Case>, cases: usize) -> Vec<Case> {
        let mut runner = TestRunner::deterministic();
        let sample = |_| strategy.new_tree(&mut runner).map(|tree| tree.current());
        (0..cases).map(sample).collect::<Result<_, _>>().expect("nothing is rejected")
    }

    /// Of each case: how many calls, which kinds of them, and which fault at which occasion.
    fn forms(cases: &[Case]) -> [BTreeSet<String>; 3] {
        let lengths = cases.iter().map(|case| case.calls.len().to_string());
        let kinds = cases.iter().flat_map(|case| &case.calls).map(|call| match call {
            Call::Map { size, .. } | Call::Unmap { size, .. } | Call::Protect { size, .. } => {
                format!("{} {size:?}", call.name())
            }
            _ => call.name().to_owned(),
        });
        let faults = cases.iter().filter_map(|case| case.fault);
        let faults = faults.map(|fault| format!("{} {}", fault.kind.name(), fault.nth));
        [lengths.collect(), kinds.collect(), faults.collect()]
    }

    #[test]
    fn strategies_draw_whatever_the_streams_draw() {
        let of_streams: Vec<Case> = (0..1500)
            .map(|seed| {
                let stream = Seed(seed).stream("conformance", 0);
                let draw = &mut Draw::Stream(Box::new(stream));
                generate(draw, X86_64::FOUR_LEVELS, Capabilities::all(), &[], 64)
            })
            .collect();

        let of_strategy = sampled(&suite().strategy(), 4000);

        for (streams, strategy) in forms(&of_streams).iter().zip(&forms(&of_strategy)) {
            let missed: Vec<&String> = streams.difference(strategy).collect();
            assert!(missed.is_empty(), "{missed:?}");
        }
    }

    #[test]
    fn nothing_is_drawn_below_entries_that_are_reserved() {
        let reserved = [255, 256];
        let format = X86_64::FOUR_LEVELS;
        let lies_there = |case: &Case| {
            let regions = case.calls.iter().map(Call::region);
            let mut pages = regions.filter(|region| region.pages > 0);
            pages.any(|region| reserved.contains(&index(format, 4, region.first.start())))
        };
        let free = sampled(&suite().strategy(), 300);

        let cases = sampled(&suite().reserving(&reserved).strategy(), 300);

        assert!(free.iter().any(lies_there));
        assert!(!cases.iter().any(lies_there));
    }

    #[test]
    fn a_case_that_fails_shrinks_to_the_fewest_calls() {
        // To its end: shrinking usually gives up after some steps.
        let config =
            Config { failure_persistence: None, max_shrink_iters: u32::MAX, ..Config::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config, rng);

        let failed = runner.run(&suite().strategy(), |case| {
            prop_assert!(case.calls.len() < 3);
            Ok(())
        });

        let Err(TestError::Fail(_, case)) = failed else { panic!("most cases have more calls") };
        assert_eq!(case.calls.len(), 3, "{case:?}");
    }
}
