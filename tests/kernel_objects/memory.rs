//! Private pages and views of sections.

use ringfence::base::Access;
use ringfence::kernel::layout::address;
use ringfence::kernel::{service, status};
use ringfence::world::{Action, Rest};

use crate::{A, B, OK, assert_all_returned, call, in_turn, run, run_in_turn, with};

#[test]
fn an_allocated_page_is_zeroed_and_its_address_used_again() {
    let applications = || {
        vec![vec![
            Action::Allocate { slot: 0 },
            Action::StoreThrough { slot: 0, word: 5, value: 9 },
            Action::Free { slot: 0 },
            Action::Allocate { slot: 1 },
            Action::LoadThrough { slot: 1, word: 5 },
            Action::Access { address: address::USER_HEAP + 40, access: Access::Read },
        ]]
    };
    let strong = run_in_turn(applications());
    assert_eq!(strong.statuses(A), [OK; 6]);
    assert_eq!([strong.log.seen[&A][4].1, strong.log.seen[&A][5].1], [0, 0]);

    let weak = run(&with("no-zeroing", in_turn(applications(), 0)));
    assert_eq!(weak.log.seen[&A][4].1, 9);
}

#[test]
fn only_what_was_allocated_is_freed() {
    let free = |virt| call(service::FREE, &[virt]);
    let run = run_in_turn(vec![vec![
        Action::Allocate { slot: 0 },
        free(address::USER_HEAP + 8),
        free(address::USER_HEAP + 4096),
        free(address::USER_DATA),
        free(address::USER_VIEWS),
        free(address::KERNEL_DATA),
        Action::Free { slot: 0 },
        Action::Free { slot: 0 },
    ]]);

    let bad = status::INVALID_PARAMETER;
    assert_eq!(run.statuses(A), [OK, bad, bad, bad, bad, bad, OK, bad]);
}

#[test]
fn a_freed_page_is_gone() {
    let run = run_in_turn(vec![vec![
        Action::Allocate { slot: 0 },
        Action::LoadThrough { slot: 0, word: 0 },
        Action::Free { slot: 0 },
        Action::LoadThrough { slot: 0, word: 0 },
    ]]);

    assert_eq!(run.statuses(A), [OK; 3]);
    assert_eq!(run.exit_status(A), Some(status::ACCESS_VIOLATION));
    assert_all_returned(&run);
}

#[test]
fn one_heap_is_not_another() {
    let run = run_in_turn(vec![vec![Action::Allocate { slot: 0 }; 60]; 7]);

    let all: Vec<u64> = (A..A + 7).flat_map(|process| run.statuses(process)).collect();
    assert_eq!(all.len(), 60 * 7, "one process after the other has all it wants");
    assert!(all.iter().all(|&status| status == OK));
    assert_all_returned(&run);
}

#[test]
fn no_memory_is_a_status() {
    let mut applications = vec![vec![Action::Allocate { slot: 0 }; 59]; 6];
    for actions in &mut applications {
        actions.push(Action::Yield);
    }
    let mut configuration = in_turn(applications, 1);
    configuration.machine.frames = 384;
    configuration.components[5].actions.push(Action::CreateProcess {
        process: "child-0".into(),
        first: 60,
        inherit: false,
        slot: 1,
    });
    // The last one runs its end before the others have given anything back.
    configuration.components[5].actions.remove(59);
    let run = run(&configuration);

    let last = run.statuses(A + 5);
    assert!(last.contains(&status::NO_MEMORY));
    assert_eq!(last.last(), Some(&status::NO_MEMORY), "no process without memory");
    assert_eq!(run.rest, Rest::Quiescent);
    assert_all_returned(&run);
}

#[test]
fn a_section_is_one_page_in_two_processes() {
    let run = run_in_turn(vec![
        vec![
            Action::OpenSection { section: 1, access: 3, slot: 0 },
            Action::MapView { slot: 0, view: 1 },
            Action::Close { slot: 0 },
            Action::StoreThrough { slot: 1, word: 2, value: 77 },
            Action::UnmapView { view: 1 },
            Action::UnmapView { view: 1 },
        ],
        vec![
            Action::OpenSection { section: 1, access: 1, slot: 0 },
            Action::MapView { slot: 0, view: 1 },
            Action::MapView { slot: 0, view: 2 },
            Action::LoadThrough { slot: 1, word: 2 },
            Action::StoreThrough { slot: 1, word: 2, value: 78 },
        ],
    ]);

    assert_eq!(run.statuses(A), [OK, OK, OK, OK, OK, status::INVALID_PARAMETER]);
    assert_eq!(run.statuses(B), [OK, OK, status::CONFLICTING_ADDRESSES, OK]);
    assert_eq!(run.log.seen[&B][3].1, 77);
    assert_eq!(run.exit_status(B), Some(status::ACCESS_VIOLATION), "its view is read-only");
    assert_all_returned(&run);
}
