//! Who changes a word between two fetches of it is its owner, in user mode: what the kernel then does wrong is
//! a guarantee that it broke, and no fault of kernel mode's.

use ringfence::campaign::{Campaign, Origin, Report};
use ringfence::scenario::Scenario;

/// A client whose count a driver fetches: once in function 2, twice in function 3.
fn asking(function: &str) -> Scenario {
    let request = format!(
        r#"{{ do = "system-call", service = 17, arguments = ["0x4", "{function}", "0x501400", "0xd0", "0x0", "0x0"] }},"#
    );
    let text = format!(
        r#"format = 1
name = "count"
[machine]
processors = 1
clock-interval = 0
[[component]]
name = "client"
home = "application"
actions = [
    {{ do = "store", word = 0, value = "0x10" }},
    {{ do = "open", device = "buffers", access = 3, slot = 2 }},
    {request}
    {{ do = "create-event", slot = 3 }}, {{ do = "create-event", slot = 4 }},
    {request}
    {{ do = "query-event", slot = 3 }},
]
[[component]]
name = "buffers"
home = "kernel-driver"
driver = "buffers"
"#
    );
    Scenario::from_bytes(text.as_bytes()).expect("a scenario")
}

fn with_the_word_changed(function: &str) -> Report {
    let campaign = Campaign::on(asking(function)).with_faults(["double-fetch"]);
    campaign.experiments(40).run(|_| {}).expect("a sound world")
}

#[test]
fn a_driver_that_fetches_twice_breaks_a_guarantee_to_user_mode() {
    let report = with_the_word_changed("0x22000f");

    assert!(report.total.violations > 0);
    let broken = |name: &str| {
        report
            .violations
            .iter()
            .any(|one| one.case.outcome.guarantees.iter().any(|its| its == name))
    };
    assert!(broken("the-system-survives-user-mode-faults"));
    let origins: Vec<Origin> = report.total.struck.keys().copied().collect();
    assert_eq!(origins, [Origin::Application]);
    assert!(
        report
            .violations
            .iter()
            .all(|one| one.case.outcome.activation.by.as_deref() == Some("client"))
    );
}

#[test]
fn a_driver_that_fetches_once_keeps_them_all() {
    let report = with_the_word_changed("0x22000b");

    assert!(report.total.activated > 0);
    assert_eq!(report.total.violations, 0);
    assert_eq!(report.total.struck.keys().copied().collect::<Vec<_>>(), [Origin::Application]);
}
