use super::elements::testing::directory;
use super::*;
use crate::base::{Principal, Seed};
use crate::injection::PointKind;

#[test]
fn there_are_at_least_twenty_kinds_and_both_families() {
    let registry = Registry::default();
    let of = |family| registry.kinds().iter().filter(|kind| kind.family == family).count();

    assert!(of(Family::Defect) >= 20);
    assert!(of(Family::Stress) >= 4);
}

#[test]
fn each_kind_has_its_own_name_a_sentence_a_source_and_a_point() {
    let registry = Registry::default();
    for kind in registry.kinds() {
        let same = registry.kinds().iter().filter(|other| other.name == kind.name).count();
        assert_eq!(same, 1, "{}", kind.name);
        assert!(!kind.about.is_empty() && kind.source.len() > 10, "{}", kind.name);
        assert!(kind.points.iter().next().is_some(), "{}", kind.name);
    }
}

#[test]
fn whatever_is_drawn_is_a_fault_and_is_written_as_it_is_read() {
    let directory = directory();
    let registry = Registry::default();
    for (number, kind) in registry.kinds().iter().enumerate() {
        let mut stream = Seed(number as u64).stream("draw", 0);
        for point in kind.points.iter() {
            let at = PointRecord {
                kind: point,
                principal: Principal::KERNEL,
                routine: 0,
                caller: 0,
                has_return_address: true,
                branches: true,
                is_missed: false,
                service: 0xff,
                level: 2,
                step: 0,
                number: 0,
                clock: 0,
                argument: 0x1000,
            };
            for _ in 0..50 {
                let parameters = (kind.draw)(&mut stream, &at, &directory);
                let text = toml::to_string(&parameters).expect("plain data");
                assert_eq!(toml::from_str::<Parameters>(&text).as_ref(), Ok(&parameters));
                let built = registry.build(kind.name, &parameters, &directory);
                assert!(built.is_ok(), "{}: {:?}", kind.name, built.err());
            }
        }
    }
}

#[test]
fn a_store_is_in_the_wrong_context_only_where_another_context_is_other() {
    let directory = directory();
    let kind = *Registry::default().get("wild-write").expect("it is one of them");
    let drawn = |principal, kind_of_point, argument| {
        let mut stream = Seed(5).stream("draw", argument);
        let at = PointRecord {
            kind: kind_of_point,
            principal,
            routine: 0,
            caller: 0,
            has_return_address: true,
            branches: true,
            is_missed: false,
            service: 0xff,
            level: 2,
            step: 0,
            number: 0,
            clock: 0,
            argument,
        };
        let mut draws = (0..200).map(|_| (kind.draw)(&mut stream, &at, &directory));
        draws.any(|parameters| parameters.operator == Some(Operator::Context))
    };
    let shell = directory.roster().named("shell").expect("an application");

    assert!(drawn(Principal::KERNEL, PointKind::Store, 0x1000), "the kernel for a process");
    assert!(!drawn(Principal::KERNEL, PointKind::Store, 0xffff_f800_0000_0000), "the kernel's own");
    assert!(!drawn(Principal::KERNEL, PointKind::TableStore, 0x1000), "a table's frame");
    assert!(!drawn(shell, PointKind::Store, 0x1000), "an application");
}

#[test]
fn what_a_kind_does_not_take_is_refused() {
    let registry = Registry::default();
    let build = |name: &str, text: &str| {
        let parameters: Parameters = toml::from_str(text).expect("parameters");
        registry.build(name, &parameters, &directory()).err().unwrap_or_default()
    };

    assert_eq!(build("hang", "bit = 1"), "hang takes no parameter `bit`; it takes none");
    assert!(build("wild-wirte", "").contains("did you mean `wild-write`?"));
    assert!(build("bit-flip", "").contains("needs the parameter `target`"));
    assert!(build("bit-flip", "target = 'process:edtor/root'").contains("`editor`?"));
    assert!(build("wild-write", "operator = 'bit'\nbit = 64").contains("expected 0 to 63"));
}

#[test]
fn a_kind_of_ones_own_takes_its_place_among_the_others() {
    let mut registry = Registry::empty();
    let own = Kind { name: "my-fault", ..*Registry::default().get("leak").expect("a kind") };

    registry.add(own);
    registry.add(own);

    assert_eq!(registry.kinds().len(), 1);
    assert!(registry.get("my-fault").is_some_and(|kind| kind.points.contains(PointKind::Free)));
}

#[test]
fn every_fault_of_a_sweep_is_another_one_and_can_be_made() {
    let directory = directory();
    let registry = Registry::default();
    for kind in registry.kinds() {
        for point in kind.points.iter() {
            let all = (kind.every)(point, &directory);

            let texts = all.iter().map(|one| toml::to_string(one).expect("plain data"));
            let unlike: std::collections::BTreeSet<String> = texts.collect();
            assert_eq!(unlike.len(), all.len(), "{}", kind.name);
            assert!(!all.is_empty(), "{}", kind.name);
            for parameters in &all {
                let built = registry.build(kind.name, parameters, &directory);
                assert!(built.is_ok(), "{}: {:?}", kind.name, built.err());
            }
        }
    }
}

#[test]
fn what_is_drawn_from_a_small_range_is_among_what_a_sweep_tries() {
    // Distances, places in all of memory, made-up handles and lengths of an overrun are without end.
    let endless = ["wild-write", "wild-read", "forged-handle", "overrun"];
    let directory = directory();
    let registry = Registry::default();
    for kind in registry.kinds().iter().filter(|kind| !endless.contains(&kind.name)) {
        let mut stream = Seed(3).stream("draw", 0);
        for point in kind.points.iter() {
            let at = PointRecord {
                kind: point,
                principal: Principal::KERNEL,
                routine: 0,
                caller: 0,
                has_return_address: true,
                branches: true,
                is_missed: false,
                service: 0xff,
                level: 2,
                step: 0,
                number: 0,
                clock: 0,
                argument: 0x1000,
            };
            let all = (kind.every)(point, &directory);
            for _ in 0..200 {
                let drawn = (kind.draw)(&mut stream, &at, &directory);
                assert!(all.contains(&drawn), "{}: {drawn:?}", kind.name);
            }
        }
    }
}
