//! Simpler forms of one action, and of the slots that a list of them uses.

use crate::world::{Action, CrashKind};

use super::simpler::{data, down, simpler_accesses};

/// Forms of one action, the simplest first for each of its parameters.
pub(super) fn simpler_actions(action: &Action) -> Vec<Action> {
    let mut forms = Vec::new();
    // Each parameter in turn: the same action with a simpler value in its place.
    macro_rules! with {
        ($field:ident in $values:expr) => {
            for simpler in $values {
                let mut form = action.clone();
                with!(@set form, $field, simpler);
                forms.push(form);
            }
        };
        (@set $form:ident, $field:ident, $simpler:ident) => {
            if let Some(field) = fields::$field(&mut $form) {
                *field = $simpler;
            }
        };
    }
    match *action {
        Action::Store { word, value } | Action::StoreThrough { word, value, .. } => {
            with!(word in down(word, 0));
            with!(value in data(value));
        }
        Action::Load { word } | Action::LoadThrough { word, .. } => with!(word in down(word, 0)),
        Action::PortIn { port } => {
            forms.extend(down(port, 0).into_iter().map(|port| Action::PortIn { port }));
        }
        Action::PortOut { port, value } => {
            forms.extend(down(port, 0).into_iter().map(|port| Action::PortOut { port, value }));
            forms.extend(data(value).into_iter().map(|value| Action::PortOut { port, value }));
        }
        Action::Access { address, access } => {
            for &access in simpler_accesses(access) {
                forms.push(Action::Access { address, access });
            }
            for address in [0, address & !0xfff].into_iter().filter(|&form| form < address) {
                forms.push(Action::Access { address, access });
            }
        }
        Action::Open { file, access, .. } => {
            with!(file in down(file, 0));
            with!(access in down(access, 0));
        }
        Action::Read { offset, length, .. } | Action::ReadTo { offset, length, .. } => {
            with!(offset in down(offset, 0));
            with!(length in down(length, 0));
        }
        Action::Write { offset, length, value, .. } => {
            with!(offset in down(offset, 0));
            with!(length in down(length, 0));
            with!(value in data(value));
        }
        Action::Control { code, length, value, .. } => {
            with!(code in data(code));
            with!(length in down(length, 0));
            with!(value in data(value));
        }
        Action::OpenSection { section, access, .. } => {
            with!(section in down(section, 0));
            with!(access in down(access, 0));
        }
        Action::OpenProcess { access, .. }
        | Action::Duplicate { access, .. }
        | Action::DuplicateFrom { access, .. } => {
            with!(access in down(access, 0));
        }
        Action::CreateProcess { inherit, ref process, first, slot } if inherit => {
            let process = process.clone();
            forms.push(Action::CreateProcess { inherit: false, process, first, slot });
        }
        Action::Exit { status } => {
            forms.extend(
                data(status.into()).into_iter().filter_map(|status| {
                    Some(Action::Exit { status: u32::try_from(status).ok()? })
                }),
            );
        }
        Action::Repeat { first, times } if times != 1 => {
            forms.push(Action::Repeat { first, times: 1 });
        }
        Action::Crash { how } if how != CrashKind::NullDereference => {
            forms.push(Action::Crash { how: CrashKind::NullDereference });
        }
        Action::SystemCall { service, ref arguments } => {
            if let Some((_, shorter)) = arguments.split_last() {
                forms.push(Action::SystemCall { service, arguments: shorter.to_vec() });
            }
            for (number, &argument) in arguments.iter().enumerate() {
                for simpler in data(argument) {
                    let mut arguments = arguments.clone();
                    arguments[number] = simpler;
                    forms.push(Action::SystemCall { service, arguments });
                }
            }
        }
        _ => {}
    }
    forms
}

/// The fields that several actions have, by name.
mod fields {
    use crate::world::Action;

    macro_rules! field {
        ($name:ident: $type:ty, $($Variant:ident)|*) => {
            pub(super) fn $name(action: &mut Action) -> Option<&mut $type> {
                match action {
                    $(Action::$Variant { $name, .. })|* => Some($name),
                    _ => None,
                }
            }
        };
    }

    field!(word: u16, Store | StoreThrough | Load | LoadThrough | Take);
    field!(value: u64, Store | StoreThrough | Write | Control);
    field!(file: u8, Open);
    field!(access: u8, Open | OpenSection | OpenProcess | Duplicate | DuplicateFrom);
    field!(offset: u16, Read | ReadTo | Write);
    field!(length: u16, Read | ReadTo | Write | Control);
    field!(code: u64, Control);
    field!(section: u8, OpenSection);
}

/// The same actions with slots numbered in the order of their first use; `None` when they are.
pub(super) fn renumbered(actions: &[Action]) -> Option<Vec<Action>> {
    let mut order: Vec<u8> = Vec::new();
    let mut renumbered = actions.to_vec();
    for action in &mut renumbered {
        for (_, slot) in action.slots_mut() {
            let known = order.iter().position(|known| known == slot);
            let number = known.unwrap_or_else(|| {
                order.push(*slot);
                order.len() - 1
            });
            *slot = u8::try_from(number).unwrap_or(*slot);
        }
    }
    (renumbered != actions).then_some(renumbered)
}
