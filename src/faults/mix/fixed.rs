//! What a type of a published load fixes of the kind that it is here.
//!
//! A kind's parameters are drawn from all that it can be told. A published type may be one of these only: a load
//! that yields 0 is a load with a wrong value, and no other value will do.
//!
//! Source: the injectors' own code, named with each load.

use crate::faults::{Crash, Kind, Parameters};
use crate::injection::{PointKind, PointKinds};

/// What is fixed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fixed {
    /// The value is 0.
    Zero,
    /// The value is 32 bits, each as likely.
    Random,
    /// It is a store through a null pointer.
    NullStore,
    /// A routine uses more stack than there is.
    StackOverflow,
}

impl Fixed {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zero => "value 0",
            Self::Random => "value random, 32 bits",
            Self::NullStore => "a store through a null pointer",
            Self::StackOverflow => "stack overflow",
        }
    }

    /// The kind with this fixed.
    #[must_use]
    pub const fn of(self, kind: &Kind) -> Kind {
        match self {
            Self::Zero => Kind {
                draw: |_, _, _| Parameters { value: Some(0), ..Parameters::default() },
                ..*kind
            },
            Self::Random => Kind {
                draw: |stream, _, _| {
                    let value = stream.word() & 0xffff_ffff;
                    Parameters { value: Some(value), ..Parameters::default() }
                },
                ..*kind
            },
            Self::NullStore => Kind {
                points: PointKinds::of(&[PointKind::Store]),
                draw: |_, _, _| Parameters {
                    how: Some(Crash::NullDereference),
                    ..Parameters::default()
                },
                ..*kind
            },
            Self::StackOverflow => Kind {
                points: PointKinds::of(&[PointKind::Step]),
                draw: |_, _, _| Parameters {
                    how: Some(Crash::StackOverflow),
                    ..Parameters::default()
                },
                ..*kind
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::PUBLISHED;
    use super::*;
    use crate::base::{Principal, Seed};
    use crate::faults::elements::testing::directory;
    use crate::faults::{Mix, Registry};
    use crate::injection::PointRecord;

    /// What is drawn of a load, as one kind with its parameters each, at a point of each kind of it.
    fn drawn(load: &str) -> Vec<(Kind, Parameters)> {
        let (registry, directory) = (Registry::default(), directory());
        let mix = Mix::read(load, &registry).expect("a load");
        let mut all = Vec::new();
        for number in 0..2000 {
            let mut stream = Seed(7).stream("plan", number);
            let kind = mix.draw(&mut stream, &registry).expect("a kind");
            let record = PointRecord {
                kind: kind.points.iter().next().expect("a point"),
                principal: Principal::KERNEL,
                routine: 0,
                caller: 0,
                has_return_address: false,
                branches: false,
                is_missed: false,
                service: 0xff,
                level: 0,
                step: 0,
                number: 0,
                clock: 0,
                argument: 0,
            };
            all.push((kind, (kind.draw)(&mut stream, &record, &directory)));
        }
        all
    }

    #[test]
    fn of_edfi_s_loads_half_yield_0_and_half_any_32_bits() {
        // EDFI's NoLoadFault: a constant 0 takes the load's place; RndLoadFault: 32 bits of edfi_rand do.
        let values: Vec<u64> = drawn("edfi")
            .iter()
            .filter(|(kind, _)| kind.name == "wrong-value-loaded")
            .map(|(_, parameters)| parameters.value.expect("a value"))
            .collect();

        let zeros = values.iter().filter(|value| **value == 0).count();
        assert!(values.len() > 150 && zeros.abs_diff(values.len() - zeros) < 50, "{zeros}");
        assert!(values.iter().all(|value| value >> 32 == 0));
        let others: BTreeSet<&u64> = values.iter().filter(|value| **value != 0).collect();
        assert_eq!(others.len(), values.len() - zeros, "each another");
    }

    #[test]
    fn edfi_s_null_pointer_is_stored_through() {
        for (kind, parameters) in drawn("edfi").iter().filter(|(kind, _)| kind.name == "crash") {
            assert_eq!(kind.points, PointKinds::of(&[PointKind::Store]));
            assert_eq!(parameters.how, Some(Crash::NullDereference));
        }
    }

    #[test]
    fn a_kind_that_is_drawn_for_itself_has_nothing_fixed() {
        let values: BTreeSet<u64> =
            drawn("wrong-value-loaded").iter().filter_map(|(_, drawn)| drawn.value).collect();
        assert!(values.contains(&u64::MAX), "{values:x?}");
    }

    #[test]
    fn every_type_of_a_published_load_has_a_kind() {
        let registry = Registry::default();
        for row in PUBLISHED.iter().flat_map(|load| load.rows) {
            let kind = row.kind.and_then(|kind| registry.get(kind));
            assert!(kind.is_some(), "{}: {:?}", row.name, row.kind);
        }
    }
}
