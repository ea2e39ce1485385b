//! The same world for longer.
//!
//! A run ends when nobody has anything left to do, and what nobody has read by then sleeps on. Whether
//! somebody would have read it is seen only in a run that goes on: so applications use what they have again,
//! until their lists of actions are full. What makes or gives back something is not done again, for a table
//! of handles would be full soon and a slot be empty.

use crate::kernel::layout::ACTIONS_MAX;
use crate::world::{Action, Home};

use super::Scenario;

impl Scenario {
    /// The same world, whose applications use what they have until their lists of actions are full.
    #[must_use]
    pub fn working_on(&self) -> Self {
        let mut longer = self.clone();
        let components = &mut longer.configuration.components;
        for one in components.iter_mut().filter(|one| one.home == Home::Application) {
            work_on(&mut one.actions);
        }
        longer
    }
}

fn work_on(actions: &mut Vec<Action>) {
    let is_end = |action: &Action| matches!(action, Action::Wait | Action::Exit { .. });
    let work = actions.iter().rposition(|action| !is_end(action)).map_or(0, |last| last + 1);
    // Who ends or waits for good before has nothing after it.
    if actions[..work].iter().any(|action| is_end(action) || never_ends_well(action)) {
        return;
    }
    let end = actions.split_off(work);
    let again: Vec<Action> =
        actions.iter().filter(|one| can_again(one, actions)).cloned().collect();
    let room = usize::try_from(ACTIONS_MAX).expect("few") - end.len();
    let more = room.saturating_sub(actions.len());
    actions.extend(again.iter().cycle().take(more).cloned());
    actions.extend(end);
}

const fn never_ends_well(action: &Action) -> bool {
    matches!(action, Action::Crash { .. } | Action::Spin)
}

/// Whether an action uses something that is its slot's from the first use to the end.
fn can_again(action: &Action, all: &[Action]) -> bool {
    let is_use = can_only_use(action)
        || matches!(action, Action::Store { .. } | Action::Load { .. } | Action::Yield);
    let slots = |action: &Action| -> Vec<u8> {
        action.clone().slots_mut().into_iter().map(|(_, slot)| *slot).collect()
    };
    let is_steady = |slot: u8| {
        let others = all.iter().filter(|one| !can_only_use(one) && slots(one).contains(&slot));
        others.count() <= 1
    };
    is_use && slots(action).into_iter().all(is_steady)
}

/// Whether it leaves every slot as it is.
const fn can_only_use(action: &Action) -> bool {
    matches!(
        action,
        Action::StoreThrough { .. }
            | Action::LoadThrough { .. }
            | Action::Read { .. }
            | Action::ReadTo { .. }
            | Action::Write { .. }
            | Action::Control { .. }
            | Action::Flush { .. }
            | Action::DeviceEvent { .. }
            | Action::SetEvent { .. }
            | Action::QueryEvent { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Vocabulary, library};

    fn after(mut actions: Vec<Action>) -> Vec<Action> {
        work_on(&mut actions);
        actions
    }

    #[test]
    fn what_an_application_has_it_uses_until_its_list_is_full() {
        let open = Action::Open { device: "files".into(), file: 0, access: 3, slot: 0 };
        let read = Action::Read { slot: 0, offset: 0, length: 8 };
        let (make, set) = (Action::CreateEvent { slot: 1 }, Action::SetEvent { slot: 1 });
        let close = Action::Close { slot: 1 };

        let list = after(vec![open.clone(), read.clone(), make, set.clone(), close, Action::Wait]);

        assert_eq!(list.len() as u64, ACTIONS_MAX);
        assert_eq!(list.last(), Some(&Action::Wait));
        let count = |one: &Action| list.iter().filter(|action| *action == one).count();
        assert_eq!((count(&open), count(&set), count(&Action::Wait)), (1, 1, 1));
        assert_eq!(count(&read), 1 + list.len() - 6);
    }

    #[test]
    fn who_does_not_come_back_does_nothing_more() {
        let load = Action::Load { word: 0 };
        for end in [
            Action::Spin,
            Action::Crash { how: crate::world::action::CrashKind::DivideByZero },
            Action::Wait,
        ] {
            let list = vec![load.clone(), end, load.clone()];
            assert_eq!(after(list.clone()), list);
        }
        assert_eq!(after(vec![Action::Wait]), [Action::Wait]);
    }

    #[test]
    fn every_scenario_that_is_built_in_stays_sound() {
        let words = Vocabulary::default();
        for file in library::ALL.iter().chain(library::INCIDENTS) {
            let scenario = Scenario::from_toml(file.name, file.text, &words).expect("it is sound");
            let text = scenario.working_on().to_toml();
            assert!(Scenario::from_toml(file.name, &text, &words).is_ok(), "{}", file.name);
        }
    }
}
