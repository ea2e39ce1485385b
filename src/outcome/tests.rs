//! The precedence of classes, case by case.

use super::*;

fn struck() -> Outcome {
    Outcome { activation: Activation { strikes: 1, ..Activation::default() }, ..Outcome::default() }
}

#[test]
fn each_class_is_reached_by_an_outcome_and_by_no_weaker_one() {
    let others = vec![Victim::Kernel];
    let own = vec![Victim::OwnDomain];
    let bug_check = Availability::BugCheck { code: 0x50, parameters: [1, 2, 3, 4] };
    let cases = [
        (Class::NotActivated, Outcome::default()),
        (Class::NoEffect, struck()),
        (Class::Latent, Outcome { memory_differs: true, ..struck() }),
        (
            Class::Overwritten,
            Outcome { integrity: Integrity::Overwritten, victims: own.clone(), ..struck() },
        ),
        (
            Class::OwnDamage,
            Outcome { integrity: Integrity::Consumed, victims: own.clone(), ..struck() },
        ),
        (
            Class::OwnDamage,
            Outcome { integrity: Integrity::Dormant, victims: own.clone(), ..struck() },
        ),
        // Bytes are as they were, or are again; results are not.
        (Class::OwnDamage, Outcome { by_leave: vec!["a".into()], ..struck() }),
        (Class::OwnDamage, Outcome { stored_by_leave: true, ..struck() }),
        (Class::OtherOrder, Outcome { stored_by_leave: true, is_disorder: true, ..struck() }),
        (
            Class::OwnDamage,
            Outcome {
                by_leave: vec!["a".into()],
                is_disorder: true,
                integrity: Integrity::Consumed,
                victims: own.clone(),
                ..struck()
            },
        ),
        (
            Class::OwnDamage,
            Outcome {
                integrity: Integrity::Overwritten,
                victims: own.clone(),
                by_leave: vec!["a".into()],
                ..struck()
            },
        ),
        (
            Class::RequestFailed,
            Outcome {
                availability: Availability::RequestFailed { status: 5 },
                by_leave: vec!["a".into()],
                ..struck()
            },
        ),
        (
            Class::Deviated,
            Outcome { deviated: vec!["b".into()], by_leave: vec!["a".into()], ..struck() },
        ),
        (Class::ProcessHung, Outcome { availability: Availability::ProcessHung, ..struck() }),
        (
            Class::ProcessLost,
            Outcome { availability: Availability::ProcessLost { status: 5 }, ..struck() },
        ),
        (Class::ProcessLost, Outcome { availability: Availability::ProcessMissing, ..struck() }),
        (
            Class::HostLost,
            Outcome { availability: Availability::HostLost { restarted: true }, ..struck() },
        ),
        (Class::DeviceDisabled, Outcome { availability: Availability::DeviceDisabled, ..struck() }),
        (
            Class::Dormant,
            Outcome {
                integrity: Integrity::Dormant,
                victims: others.clone(),
                unread: others.clone(),
                availability: Availability::ProcessLost { status: 5 },
                ..struck()
            },
        ),
        (
            Class::Consumed,
            Outcome {
                integrity: Integrity::Consumed,
                victims: others.clone(),
                read: others.clone(),
                ..struck()
            },
        ),
        // Somebody read what is the fault's own; the others' nobody has read, or it is gone.
        (
            Class::Dormant,
            Outcome {
                integrity: Integrity::Consumed,
                victims: vec![Victim::OwnDomain, Victim::Kernel],
                read: own.clone(),
                unread: others.clone(),
                ..struck()
            },
        ),
        (
            Class::OwnDamage,
            Outcome {
                integrity: Integrity::Consumed,
                victims: vec![Victim::OwnDomain, Victim::Kernel],
                read: own.clone(),
                ..struck()
            },
        ),
        (
            Class::Disclosed,
            Outcome {
                disclosed: 1,
                integrity: Integrity::Consumed,
                victims: others.clone(),
                ..struck()
            },
        ),
        (Class::Deviated, Outcome { deviated: vec!["b".into()], disclosed: 1, ..struck() }),
        (
            Class::Durable,
            Outcome { integrity: Integrity::Durable, deviated: vec!["b".into()], ..struck() },
        ),
        (
            Class::Hang,
            Outcome { availability: Availability::Hang, integrity: Integrity::Durable, ..struck() },
        ),
        (
            Class::BugCheck,
            Outcome { availability: bug_check, integrity: Integrity::Durable, ..struck() },
        ),
        (Class::Reset, Outcome { availability: Availability::Reset, ..struck() }),
        (
            Class::BootLoop,
            Outcome {
                availability: Availability::BootLoop { code: 0x50, parameters: [0; 4] },
                ..Outcome::default()
            },
        ),
        (
            Class::GuaranteeViolated,
            Outcome { guarantees: vec!["x".into()], availability: bug_check, ..struck() },
        ),
        // The fault of a plan struck nothing: the world stops by itself.
        (
            Class::NotActivated,
            Outcome {
                availability: bug_check,
                activation: Activation {
                    missed: vec![Missed { number: 0, why: WhyMissed::NothingThere }],
                    ..Activation::default()
                },
                ..Outcome::default()
            },
        ),
    ];
    for (expected, outcome) in &cases {
        assert_eq!(outcome.class(), *expected, "{outcome:?}");
    }
    for class in Class::ALL {
        assert!(cases.iter().any(|(reached, _)| reached == class), "{class} is reached by no case");
    }
}

#[test]
fn outcomes_that_differ_have_other_digests() {
    let first = struck();
    let second = Outcome { disclosed: 1, ..struck() };
    assert_ne!(first.digest(), second.digest());
    assert_eq!(first.digest(), struck().digest());
}
