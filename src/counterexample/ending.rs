//! What became of data and service, in words.

use crate::base::counted;
use crate::outcome::{Availability, Outcome};

use super::bug_check;

/// A value of a plain enumeration, by its name in files, with spaces.
pub(super) fn kebab(value: &impl serde::Serialize) -> String {
    match toml::Value::try_from(value) {
        Ok(toml::Value::String(name)) => name.replace('-', " "),
        _ => String::new(),
    }
}

/// What became of service, in words, and of how many devices where it is more than one.
pub(super) fn service(outcome: &Outcome) -> String {
    let lost = match outcome.devices_lost {
        0 | 1 => String::new(),
        devices => format!("; {} lost their host", counted(devices, "device")),
    };
    availability(outcome.availability) + &lost
}

fn availability(availability: Availability) -> String {
    match availability {
        Availability::Unaffected => "unaffected".to_owned(),
        Availability::RequestFailed { status } => {
            format!("a request failed with status {status:#x}")
        }
        Availability::ProcessHung => "the process struck never finished".to_owned(),
        Availability::ProcessMissing => "a process was never made".to_owned(),
        Availability::ProcessLost { status } => {
            format!("a process was lost with status {status:#x}")
        }
        Availability::HostLost { restarted: true } => {
            "a user-mode driver's host was lost and started again".to_owned()
        }
        Availability::HostLost { restarted: false } => {
            "a user-mode driver's host was lost".to_owned()
        }
        Availability::DeviceDisabled => "a device was given up".to_owned(),
        Availability::Hang => "somebody else never finished".to_owned(),
        Availability::BugCheck { code, parameters } => format!(
            "bug check {code:#x} {}: {}",
            bug_check::name(code),
            bug_check::parameters(code, parameters)
        ),
        Availability::Reset => "the machine was reset without a dump".to_owned(),
        Availability::BootLoop { code: 0, .. } => {
            "boot loop: it stopped at every boot, first by a reset".to_owned()
        }
        Availability::BootLoop { code, parameters } => format!(
            "boot loop: it stopped at every boot, first by bug check {code:#x} {}: {}",
            bug_check::name(code),
            bug_check::parameters(code, parameters)
        ),
    }
}
