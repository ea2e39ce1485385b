//! User buffers: probed, copied under a handler, given back.

use ringfence::base::EventKind;
use ringfence::kernel::layout::address;
use ringfence::kernel::{service, status};
use ringfence::world::{Action, Rest};

use crate::{A, B, OK, call, in_turn, run, run_in_turn, with};

fn query_into(buffer: u64, length: u64) -> Vec<Vec<Action>> {
    let query = call(service::QUERY_EVENT, &[4, 0, 0, 0, buffer, length]);
    vec![vec![Action::CreateEvent { slot: 0 }, query]]
}

#[test]
fn a_buffer_in_the_system_half_is_refused() {
    let wanted = address::KERNEL_DATA + 0x700;
    let strong = run_in_turn(query_into(wanted, 16));
    assert_eq!(strong.statuses(A), [OK, status::ACCESS_VIOLATION]);
    assert!(strong.claims(EventKind::Lend).is_empty());

    let weak = run(&with("no-probe", in_turn(query_into(wanted, 16), 0)));
    let lent = weak.claims(EventKind::Lend);
    assert_eq!(lent[0].virt, wanted, "the kernel believes that it writes a user buffer");
}

#[test]
fn a_buffer_that_is_not_there_is_a_status_and_is_given_back() {
    let run = run_in_turn(query_into(0x10_0000, 16));
    assert_eq!(run.statuses(A), [OK, status::ACCESS_VIOLATION]);

    let run = run_in_turn(query_into(address::USER_CODE, 16));
    assert_eq!(run.statuses(A), [OK, status::ACCESS_VIOLATION], "code is read-only");
    assert_eq!(run.claims(EventKind::Lend).len(), run.claims(EventKind::Reclaim).len());

    let run = run_in_turn(query_into(address::USER_BUFFERS, 8));
    assert_eq!(run.statuses(A), [OK, status::INVALID_PARAMETER], "too short");
}

#[test]
fn the_kernel_reaches_user_buffers_under_access_prevention() {
    let mut configuration = in_turn(query_into(address::USER_BUFFERS + 0x200, 16), 1);
    configuration.machine.smap = true;
    configuration.components[0].actions.push(Action::CreateProcess {
        process: "child-0".into(),
        first: 3,
        inherit: false,
        slot: 1,
    });
    let run = run(&configuration);

    assert_eq!(run.rest, Rest::Quiescent);
    assert_eq!(run.statuses(A), [OK; 3]);
    assert_eq!(run.exit_status(B), Some(0));
}
