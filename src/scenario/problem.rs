//! What is wrong with a scenario, and where in its data.

use core::fmt::Display;

use crate::base::nearest;

/// One step on the way to a place in a scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// The field of this name in the text form.
    Field(String),
    /// The item of this number.
    Item(usize),
}

impl From<&str> for Step {
    fn from(name: &str) -> Self {
        Self::Field(name.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Item(index)
    }
}

/// Something that is wrong with a scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where.
    pub path: Vec<Step>,
    /// What is wrong.
    pub what: String,
    /// What was expected, where that can be said.
    pub expected: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Display for Problem {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (number, step) in self.path.iter().enumerate() {
            match step {
                Step::Field(name) if number == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        write!(f, ": {}", self.what)?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, " ({remedy})")?;
        }
        Ok(())
    }
}

/// Everything found so far.
#[derive(Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, path: Vec<Step>, what: impl Into<String>) -> &mut Problem {
        self.0.push(Problem { path, what: what.into(), expected: None, remedy: None });
        self.0.last_mut().expect("just added")
    }

    pub(super) fn range(&mut self, path: Vec<Step>, value: u64, least: u64, most: u64) {
        if !(least..=most).contains(&value) {
            let name = path.iter().rev().find_map(|step| match step {
                Step::Field(name) => Some(name.clone()),
                Step::Item(_) => None,
            });
            let what = format!("{} {value} is out of range", name.unwrap_or_default());
            self.add(path, what).expected = Some(format!("a whole number, {least} to {most}"));
        }
    }

    pub(super) fn known<'a>(
        &mut self,
        path: Vec<Step>,
        sort: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> bool {
        if known.clone().into_iter().any(|other| other == name) {
            return true;
        }
        let names: Vec<_> = known.clone().into_iter().collect();
        let problem = self.add(path, format!("unknown {sort} `{name}`"));
        problem.expected = Some(if names.is_empty() {
            format!("there is no {sort} here")
        } else {
            format!("one of {}", names.join(", "))
        });
        problem.remedy = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
        false
    }

    /// As [`known`](Self::known), where there are too many to name.
    pub(super) fn near(&mut self, path: Vec<Step>, sort: &str, name: &str, known: &[&str]) {
        if known.contains(&name) {
            return;
        }
        let problem = self.add(path, format!("unknown {sort} `{name}`"));
        problem.remedy = Some(match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                format!("this world has no such {sort}: was it renamed, or is its driver gone?")
            }
        });
    }
}
