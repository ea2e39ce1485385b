//! The command that runs one experiment of a campaign again.

use core::fmt::Write as _;

use crate::scenario::{Scenario, library};

use super::workers::Campaign;

/// Experiments in each world when the command line says nothing.
pub const EXPERIMENTS: u32 = 200;

impl Campaign {
    /// The command that runs one experiment again and tells its story; `None` when the command cannot
    /// know the world, because it was made in a test.
    #[must_use]
    pub fn replay_line(&self, seed: u64, number: u32) -> Option<String> {
        let mut line = self.world_line(seed)?;
        let mut add = |what: core::fmt::Arguments<'_>| {
            line.write_fmt(what).expect("a string takes everything");
        };
        if self.experiments != EXPERIMENTS {
            add(format_args!(" --experiments {}", self.experiments));
        }
        if !self.kinds.is_empty() {
            add(format_args!(" --fault {}", self.kinds.join(",")));
        }
        if let Some(mix) = &self.registries.mix {
            add(format_args!(" --mix {mix}"));
        }
        if self.errors > 1 {
            add(format_args!(" --errors {}", self.errors));
        }
        add(format_args!(" --only {number}"));
        Some(line)
    }

    /// The command that runs the world of a seed by itself, without a fault, and tells its story;
    /// `None` as for [`replay_line`](Self::replay_line).
    #[must_use]
    pub fn golden_line(&self, seed: u64) -> Option<String> {
        self.world_line(seed).map(|line| format!("{line} --only golden"))
    }

    /// The command as far as it names a world.
    fn world_line(&self, seed: u64) -> Option<String> {
        let mut line = "ringfence campaign".to_owned();
        let mut add = |what: core::fmt::Arguments<'_>| {
            line.write_fmt(what).expect("a string takes everything");
        };
        match (&self.file, &self.scenario) {
            (Some(file), _) => add(format_args!(" {}", file_word(file))),
            (None, Some(scenario)) if is_built_in(scenario) => {
                add(format_args!(" {}", scenario.name));
            }
            (None, Some(_)) => return None,
            (None, None) => {}
        }
        add(format_args!(" --seeds {seed}"));
        Some(line)
    }
}

/// Whether it is, as a whole, what is built in under its name.
fn is_built_in(scenario: &Scenario) -> bool {
    let read = library::find(&scenario.name).map(|file| Scenario::from_bytes(file.text.as_bytes()));
    read.is_some_and(|read| read.as_ref() == Ok(scenario))
}

/// A file's name as a shell and a command take it: one that begins with `-` is no option.
#[must_use]
pub fn file_word(name: &str) -> String {
    if name.starts_with('-') { quoted(&format!("./{name}")) } else { quoted(name) }
}

/// A word as a shell takes it: quoted where it has to be.
#[must_use]
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/,:+=@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    if !word.contains(char::is_control) {
        return format!("'{}'", word.replace('\'', "'\\''"));
    }
    // A terminal gets no control character to read, and a shell (POSIX.1-2024, 2.2.4) gets the same word.
    let mut quoted = "$'".to_owned();
    for c in word.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            _ if c.is_control() => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    write!(quoted, "\\{byte:03o}").expect("a string takes everything");
                }
            }
            _ => quoted.push(c),
        }
    }
    quoted + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted("cases/a-1.toml"), "cases/a-1.toml");
        assert_eq!(quoted("my case.toml"), "'my case.toml'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
        // What bash makes of the second is the first.
        assert_eq!(quoted("e\u{1b}[3\n\\'\u{9b}1"), r"$'e\033[3\012\\\'\302\2331'");
    }

    #[test]
    fn a_file_whose_name_begins_like_an_option_is_named_with_its_folder() {
        assert_eq!(file_word("-w.toml"), "./-w.toml");
        assert_eq!(file_word("-my w.toml"), "'./-my w.toml'");
        assert_eq!(file_word("w.toml"), "w.toml");
    }

    #[test]
    fn a_line_says_only_what_differs_from_what_the_command_assumes() {
        let campaign = Campaign { experiments: EXPERIMENTS, ..Campaign::default() };
        let file = Some("my case.toml".to_owned());
        let of_file =
            Campaign { file, experiments: 5, errors: 4, ..Campaign::on_builtin("standard") };

        let line = |campaign: &Campaign, seed, number| campaign.replay_line(seed, number);
        assert_eq!(line(&campaign, 3, 7).as_deref(), Some("ringfence campaign --seeds 3 --only 7"));
        assert_eq!(
            line(&of_file, 0, 1).as_deref(),
            Some("ringfence campaign 'my case.toml' --seeds 0 --experiments 5 --errors 4 --only 1")
        );
    }

    #[test]
    fn a_world_that_only_has_the_name_of_one_built_in_has_no_line() {
        let campaign = Campaign::on_builtin("standard");
        let mut changed = campaign.clone();
        changed.scenario.as_mut().expect("it has one").configuration.schedule += 1;

        assert!(campaign.replay_line(0, 0).is_some());
        assert_eq!(changed.replay_line(0, 0), None);
    }
}
