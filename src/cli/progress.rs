//! A progress bar on a terminal, nothing elsewhere.

use std::fmt::Write;
use std::io::IsTerminal as _;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// A bar on standard error, as wide as the terminal, with what is said of it and the time left.
pub(super) fn bar() -> ProgressBar {
    let is_seen = std::io::stderr().is_terminal();
    let target = if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(1), target);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent:>3}%  {msg}  {left}") {
        bar.set_style(with_time_left(style));
    }
    bar
}

/// A style in which `{left}` is the time left, and nothing as long as nothing tells it.
pub(super) fn with_time_left(style: ProgressStyle) -> ProgressStyle {
    style.with_key("left", |state: &ProgressState, out: &mut dyn Write| {
        if state.pos() > 0 && state.fraction() < 1.0 {
            // The bar is worth more than a moment's text that did not fit.
            let _ = write!(out, "{:#} left", HumanDuration(state.eta()));
        }
    })
}
