//! Where a step may branch to, as its own text says.
//!
//! A step is a Rust function and hides its branches; its text shows them, as the bytes of a conditional jump
//! show an injector that looks through a program for them. A step branches when its text names two steps of
//! its routine, or one of them beside another end: the step behind, a call, a return. One that always goes
//! on with the same named step only jumps, and what a function of its own decides is not seen.

use super::code::Flow;

/// The first two steps of its routine that a branching step names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arms {
    first: u8,
    second: Option<u8>,
}

/// Whether `word` is in the text at `at`; returns what is behind it, spaces passed over.
const fn behind(text: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    let mut i = 0;
    while i < word.len() {
        if at + i >= text.len() || text[at + i] != word[i] {
            return None;
        }
        i += 1;
    }
    Some(past_spaces(text, at + i))
}

const fn past_spaces(text: &[u8], mut at: usize) -> usize {
    while at < text.len() && text[at].is_ascii_whitespace() {
        at += 1;
    }
    at
}

const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What is behind `name ::` at `at`, where a name begins there.
const fn behind_path(text: &[u8], at: usize, name: &[u8]) -> Option<usize> {
    if at > 0 && is_of_name(text[at - 1]) {
        return None;
    }
    match behind(text, at, name) {
        Some(colons) => behind(text, colons, b"::"),
        None => None,
    }
}

/// Whether the name at `at` is `word` and no longer.
const fn is_name(text: &[u8], at: usize, word: &[u8]) -> bool {
    match behind(text, at, word) {
        Some(_) => at + word.len() >= text.len() || !is_of_name(text[at + word.len()]),
        None => false,
    }
}

/// The number of the step named at `at`.
const fn step_named(text: &[u8], at: usize, labels: &[&str]) -> Option<u8> {
    let mut number = 0;
    while number < labels.len() && number < 255 {
        if is_name(text, at, labels[number].as_bytes()) {
            #[allow(clippy::cast_possible_truncation, reason = "below 255")]
            return Some(number as u8);
        }
        number += 1;
    }
    None
}

impl Arms {
    /// Those of a step with this text, in a routine of steps with these names.
    #[must_use]
    pub const fn of(text: &str, labels: &[&str]) -> Option<Self> {
        let text = text.as_bytes();
        let (mut first, mut second): (Option<u8>, Option<u8>) = (None, None);
        let mut ends_otherwise = false;
        let mut at = 0;
        while at < text.len() {
            if let Some(label) = behind_path(text, at, b"At") {
                match (step_named(text, label, labels), first) {
                    (Some(step), None) => first = Some(step),
                    (Some(step), Some(before)) if step != before && second.is_none() => {
                        second = Some(step);
                    }
                    _ => {}
                }
            } else if let Some(flow) = behind_path(text, at, b"Flow") {
                ends_otherwise |= !is_name(text, flow, b"To");
            } else if is_of_name(text[at]) && (at == 0 || !is_of_name(text[at - 1])) {
                ends_otherwise |= is_name(text, at, b"give_back") || is_name(text, at, b"answer");
            }
            at += 1;
        }
        match first {
            Some(first) if second.is_some() || ends_otherwise => Some(Self { first, second }),
            _ => None,
        }
    }

    /// How a step at place `index` goes on where it should go on so. Its other arm is a step that it names, or
    /// else what it would do without: the call that it makes, with whatever the argument registers hold, or
    /// the step behind.
    #[must_use]
    pub(super) fn other_than(self, flow: Flow, index: u8, calls: bool) -> Flow {
        let taken = match flow {
            Flow::To(to) => Some(to),
            Flow::Next => Some(index.wrapping_add(1)),
            _ => None,
        };
        let named = [Some(self.first), self.second];
        let other = named.into_iter().flatten().find(|step| Some(*step) != taken);
        other.map_or(if calls { Flow::Call } else { Flow::Next }, Flow::To)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: &[&str] = &["look", "look_again", "done"];

    fn arms(text: &str) -> Option<(u8, Option<u8>)> {
        Arms::of(text, LABELS).map(|arms| (arms.first, arms.second))
    }

    #[test]
    fn a_step_branches_that_names_a_step_beside_another_end() {
        let guard =
            "|p| { if p.result() == 0 { return Ok(Flow::To(At::done as u8)); } Ok(Flow::Call) }";
        assert_eq!(arms(guard), Some((2, None)));
        assert_eq!(
            arms(
                "|p| Ok(if p.defects() == 0 { Flow :: To(At :: done as u8) } else { Flow :: Next })"
            ),
            Some((2, None))
        );
        assert_eq!(
            arms("|p| { if a { return Ok(Flow::To(At::look_again as u8)); } Ok(p.give_back(0)) }"),
            Some((1, None))
        );
    }

    #[test]
    fn a_step_branches_that_names_two_and_one_that_names_the_same_twice_does_not() {
        let text = "|p| Ok(Flow::To(match p.result() { 0 => At::look, 1 => At::done, _ => At::look_again } as u8))";
        assert_eq!(arms(text), Some((0, Some(2))));
        assert_eq!(
            arms(
                "|_| { if a { Ok(Flow::To(At::look as u8)) } else { Ok(Flow::To(At::look as u8)) } }"
            ),
            None
        );
    }

    #[test]
    fn a_step_that_only_jumps_or_names_none_does_not_branch() {
        assert_eq!(arms("|_| Ok(Flow::To(At::look as u8))"), None);
        assert_eq!(arms("|p| if a { Ok(Flow::Stay) } else { Ok(Flow::Next) }"), None);
        assert_eq!(arms("count"), None);
        // Names that only begin or end so.
        assert_eq!(arms("|p| { MyAt::done; At::donee; Ok(Flow::Next) }"), None);
    }

    #[test]
    fn the_other_arm_is_never_the_one_that_is_taken() {
        let one = Arms { first: 2, second: None };
        let two = Arms { first: 2, second: Some(5) };

        for flow in [Flow::Next, Flow::Call, Flow::Return, Flow::Stay] {
            assert_eq!(one.other_than(flow, 0, true), Flow::To(2), "{flow:?}");
        }
        assert_eq!(one.other_than(Flow::To(2), 0, false), Flow::Next);
        assert_eq!(
            one.other_than(Flow::To(2), 1, true),
            Flow::Call,
            "the step behind calls nobody"
        );
        assert_eq!(two.other_than(Flow::To(2), 0, true), Flow::To(5));
        assert_eq!(two.other_than(Flow::To(5), 0, true), Flow::To(2));
        assert_eq!(two.other_than(Flow::Next, 1, true), Flow::To(5), "2 is the step behind");
    }
}
