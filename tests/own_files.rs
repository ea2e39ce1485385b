//! Who has a file of its own shares nothing: what another one's crash lets it see is interference.

mod worlds;

use ringfence::scenario::Scenario;

use worlds::trial;

/// The editor ends while its value lies in memory that this kernel hands out uncleared; the shell takes much
/// of it and looks.
fn world(shell_first: &str) -> Scenario {
    let yields = "    { do = \"yield\" },\n".repeat(20);
    let each = |action: &dyn Fn(u32) -> String| (1..=8).map(action).collect::<String>();
    let allocate = each(&|slot| format!("    {{ do = \"allocate\", slot = {slot} }},\n"));
    let load = each(&|slot| format!("    {{ do = \"load-through\", slot = {slot}, word = 0 }},\n"));
    let text = format!(
        r#"format = 1
name = "own-file"
schedule = "0x1"
boots-max = 1
weaknesses = ["no-zeroing"]

[machine]
processors = 1

[[component]]
name = "editor"
home = "application"
actions = [{{ do = "store", word = 0, value = "0x1" }}, {{ do = "wait" }}]

[[component]]
name = "shell"
home = "application"
actions = [
    {{ do = "open", device = "files", file = 3, access = 3, slot = 0 }},
{shell_first}{yields}{allocate}{load}]

[[component]]
name = "files"
home = "file-system"
driver = "file-system"

[[fault]]
kind = "crash"
who = "editor"
at = {{ point = "step", routine = "main", nth = 6 }}
parameters = {{ how = "divide-by-zero" }}
"#
    );
    Scenario::from_bytes(text.as_bytes()).expect("sound")
}

#[test]
fn a_file_that_nobody_else_asks_about_is_no_leave_to_see_what_another_left_behind() {
    let write = "    { do = \"write\", slot = 0, offset = 0, length = 8, value = \"0x1\" },\n";
    for shell_first in ["", write] {
        let scenario = world(shell_first);
        let mut trial = trial(&scenario);

        let outcome = trial.run(&scenario.plan).expect("a fault that can be made");

        let contained = "a-crash-is-contained".to_owned();
        assert!(outcome.guarantees.contains(&contained), "{outcome:?}");
        assert_eq!(outcome.deviated.len(), 1, "{outcome:?}");
    }
}
