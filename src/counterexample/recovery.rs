//! What is done about a host that was lost, and who is told, in words.

use crate::base::{Event, EventKind, Principal, Roster};
use crate::kernel::event_log;

/// Who was told what of a device, since it lost its host.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    told: Vec<(EventKind, Principal, u64)>,
}

impl Recovery {
    /// The word its line begins with, and what this event says; nothing of one that is not told.
    pub(super) fn told(
        &mut self,
        event: &Event,
        roster: &Roster,
    ) -> Option<(&'static str, String)> {
        let device = event.value;
        let host = roster.name(event.subject);
        Some(match event.kind {
            EventKind::HostRestarted => ("again", format!("{host} is started again")),
            EventKind::DeviceDisabled => {
                ("given up", format!("device {device} after {} failures", event.old))
            }
            EventKind::StackRemoved => {
                self.told.retain(|(_, _, other)| *other != device);
                return None;
            }
            EventKind::HostProblemTold => (
                "sent",
                format!("the event that device {device} lost its host, to whoever asked for it"),
            ),
            // Once each: every request through an old handle is answered so.
            EventKind::LossTold | EventKind::DeviceRefused => {
                let one = (event.kind, event.context, device);
                if self.told.contains(&one) {
                    return None;
                }
                self.told.push(one);
                let what = match event.kind {
                    EventKind::LossTold => "lost its host",
                    _ => "is given up",
                };
                ("told", format!("{}: device {device} {what}", roster.name(event.context)))
            }
            EventKind::StackRestarted => (
                "restarted",
                format!("device {device}: by its count no handle to the old stack is open"),
            ),
            EventKind::HostRecorded => {
                ("kept", format!("on the disk: device {device} failed in a host of its own"))
            }
            EventKind::EventLogged => ("logged", logged(event, host)),
            _ => return None,
        })
    }
}

/// What the event log says.
fn logged(event: &Event, host: &str) -> String {
    let what = match event.value {
        event_log::HOST_FAILED => format!("the host {host} was at fault"),
        event_log::RESTARTED => format!("device {} went offline and was restarted", event.old),
        event_log::NOT_RESTARTED => {
            format!("device {} went offline and was not restarted", event.old)
        }
        _ => "is unknown".to_owned(),
    };
    let left = match event.virt {
        event_log::UNTOLD => String::new(),
        1 => "; 1 restart is left".to_owned(),
        left => format!("; {left} restarts are left"),
    };
    format!("event {}: {what}{left}", event.value)
}

#[cfg(test)]
mod tests {
    use crate::campaign::Registries;
    use crate::counterexample::Story;
    use crate::scenario::Scenario;

    /// The lines of a story that begin with this word: of two applications that do this, the second waiting
    /// first, above a sensor that crashes or is not struck.
    fn lines(client: &str, other: &str, fault: &str, head: &str) -> Vec<String> {
        let text = format!(
            "format = 1\nname = \"lost-host\"\n\
             [[component]]\nname = \"client\"\nhome = \"application\"\nactions = [{client}]\n\
             [[component]]\nname = \"other\"\nhome = \"application\"\nactions = [{other}]\n\
             [[component]]\nname = \"reflector\"\nhome = \"kernel-driver\"\ndriver = \"reflector\"\n\
             [[component]]\nname = \"sensor\"\nhome = \"driver-host\"\ndriver = \"sensor\"\n\
             above = \"reflector\"\n{fault}\n"
        );
        let scenario = Scenario::from_bytes(text.as_bytes()).expect("a sound scenario");
        let story = Story::of(&scenario, &Registries::default()).expect("it runs");
        let of_head = story.parts().iter().filter(|(one, _)| *one == head);
        of_head.map(|(_, what)| what.clone()).collect()
    }

    const CRASH: &str = "[[fault]]\nkind = \"crash\"\nwho = \"sensor\"\n\
                         at = { point = \"step\", nth = 2 }";
    const OPEN: &str = r#"{ do = "open", device = "reflector", access = 3, slot = 0 }"#;
    const ASK: &str = r#"{ do = "device-event", slot = 0 }"#;
    const CONTROL: &str =
        r#"{ do = "control", slot = 0, code = "0x220000", length = 8, value = "0x2" }"#;
    const CLOSE: &str = r#"{ do = "close", slot = 0 }"#;
    const YIELD: &str = r#"{ do = "yield" }"#;

    fn waiting(before: &[&str], after: &[&str]) -> String {
        [before, &[YIELD; 50], after].concat().join(", ")
    }

    #[test]
    fn told_is_who_was_told_and_nobody_else() {
        let nobody = lines(YIELD, YIELD, CRASH, "told");
        assert!(nobody.is_empty(), "{nobody:?}");
        assert_eq!(lines(YIELD, YIELD, CRASH, "sent").len(), 1);

        let (asks, refused) =
            (waiting(&[OPEN, ASK], &[ASK, CLOSE]), waiting(&[OPEN], &[CONTROL, CONTROL, CLOSE]));
        let told = lines(&asks, &refused, CRASH, "told");
        let told: Vec<&str> =
            told.iter().filter_map(|what| Some(what.split_once(": ")?.1)).collect();
        assert_eq!(told.len(), 2, "once each: {told:?}");
        for who in ["client: device 0 lost its host", "other: device 0 lost its host"] {
            assert!(told.contains(&who), "{told:?}");
        }
    }

    #[test]
    fn a_stack_is_restarted_by_the_kernels_count_of_handles() {
        let holds = waiting(&[OPEN], &[CLOSE]);
        let restarted = lines(&holds, YIELD, CRASH, "restarted");
        assert_eq!(restarted.len(), 1, "{restarted:?}");
        assert!(restarted[0].ends_with("by its count no handle to the old stack is open"));
    }
}
