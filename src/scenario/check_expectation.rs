//! What a scenario expects of itself.

use super::problem::{Problems, Step};
use super::{Expectation, Scenario, Vocabulary};

/// Where a field stands.
fn at(fields: &[&str]) -> Vec<Step> {
    fields.iter().map(|&field| Step::from(field)).collect()
}

impl Scenario {
    /// Something is expected where it says so, for anything would fit nothing; and what is has a name, where the
    /// vocabulary knows names of such.
    pub(super) fn check_expectation(&self, vocabulary: &Vocabulary, problems: &mut Problems) {
        fn texts(names: &[String]) -> Vec<&str> {
            names.iter().map(String::as_str).collect()
        }
        let Some(expect) = &self.expect else { return };
        if *expect == Expectation::default() {
            let problem = problems.add(at(&["expect"]), "nothing is expected here");
            problem.expected = Some("at least one of class, guarantees, violated, …".to_owned());
            problem.remedy = Some(
                "if the end of the file is missing, take the whole file; \
                 if nothing should be compared, leave `expect` out"
                    .to_owned(),
            );
        }
        let (classes, guarantees) = (texts(&vocabulary.classes), texts(&vocabulary.guarantees));
        if let Some(class) = expect.class.as_deref()
            && !classes.is_empty()
        {
            problems.known(at(&["expect", "class"]), "class", class, classes);
        }
        for (axis, name, known) in [
            ("integrity", &expect.integrity, &vocabulary.integrities),
            ("availability", &expect.availability, &vocabulary.availabilities),
        ] {
            if let Some(name) = name.as_deref().filter(|_| !known.is_empty()) {
                problems.known(at(&["expect", axis]), axis, name, texts(known));
            }
        }
        for (number, violated) in expect.violated.iter().enumerate() {
            if !guarantees.is_empty() {
                let here = [at(&["expect", "violated"]), vec![Step::from(number)]].concat();
                problems.known(here, "guarantee", violated, guarantees.clone());
            }
        }
    }
}
