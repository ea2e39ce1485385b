//! Words side by side of which the same is to tell are told once.
//!
//! A device transfers word by word, and each word is an event of its own.

use super::happened::Happened;
use crate::base::counted;

/// A word of memory, and what is told of it beside its place and what it holds.
pub(super) struct Word {
    pub(super) phys: u64,
    pub(super) told: String,
}

/// What happened, where a line about a word stands for those behind it that happened to next.
pub(super) fn folded(lines: Vec<(Happened, Option<Word>)>) -> Vec<Happened> {
    let mut folded: Vec<Happened> = Vec::new();
    // The place of the line that stands for others, the last of these words, the event's number, how many.
    let mut open: Vec<(usize, Word, u64, u64)> = Vec::new();
    for (line, word) in lines {
        let Some(word) = word else {
            folded.push(line);
            continue;
        };
        let stands = open.iter_mut().find(|(place, last, ordinal, _)| {
            folded[*place].head == line.head
                && last.told == word.told
                && last.phys + 8 == word.phys
                && ordinal + 1 == line.ordinal
        });
        match stands {
            Some((_, last, ordinal, more)) => {
                (*last, *ordinal) = (word, line.ordinal);
                *more += 1;
            }
            None => {
                open.push((folded.len(), word, line.ordinal, 0));
                folded.push(line);
            }
        }
    }
    for (place, _, _, more) in open {
        if more > 0 {
            folded[place].what += &format!("; and {} after it", counted(more, "more word"));
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stands_for_the_words_behind_it_and_for_no_others() {
        let line = |ordinal, what: &str, phys| {
            let told = "read".to_owned();
            let what = what.to_owned();
            let happened = Happened { ordinal, head: "instead", what, always: false };
            (happened, Some(Word { phys, told }))
        };

        let told = folded(vec![
            line(1, "a", 0x1000),
            line(2, "b", 0x1008),
            line(3, "c", 0x1010),
            line(4, "elsewhere", 0x2000),
            line(6, "later", 0x2008),
        ]);

        let what: Vec<&str> = told.iter().map(|one| &*one.what).collect();
        assert_eq!(what, ["a; and 2 more words after it", "elsewhere", "later"]);
    }
}
