//! How a call of the code under test ended when it did not return.

use core::cell::{Cell, RefCell};
use std::any::Any;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Why a call was ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// It used up its accesses.
    Endless,
    /// The fault ended it half-way.
    Abandoned,
    /// It panicked, with this message, there.
    Panicked(String, String),
}

/// What ended an instance that is no case yet, and in which of its functions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ended {
    pub(crate) stop: Stop,
    /// As [`totality`](super::checks::totality) has it.
    pub(crate) during: &'static str,
}

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Calls `call` and catches what ends it. Panics of the code under test are not printed: a search
/// makes hundreds of them.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, Stop> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IS_QUIET.get() {
                let place = info.location().map_or_else(String::new, ToString::to_string);
                PLACE.set(place);
            } else {
                usual(info);
            }
        }));
    });
    let was_quiet = IS_QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    IS_QUIET.set(was_quiet);
    result.map_err(|payload| stop_of(&*payload))
}

fn stop_of(payload: &(dyn Any + Send)) -> Stop {
    if let Some(stop) = payload.downcast_ref::<Stop>() {
        return stop.clone();
    }
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    Stop::Panicked(text.unwrap_or_else(|| "not a text".to_owned()), PLACE.take())
}
