//! Which words belong to which region, which bytes are corrupt, and how to go back.
//!
//! Every change is written down in reverse, runs of equal words as one, so that going back costs
//! what was changed.

use crate::base::{Principal, TraceHash};

use super::Authority;
use super::handles::Handle;
use super::observation::Ending;
use super::region::Region;

/// One change, in reverse.
#[derive(Clone, Copy, Debug)]
pub(super) enum Undo {
    /// These words were in this region.
    Run { first: u32, len: u32, number: u16 },
    /// These bytes of this word were corrupt.
    Mark { word: u32, mask: u8, origin: u16 },
    /// This was the handle.
    Handle { process: Principal, value: u64, handle: Option<Handle> },
    /// This was the hash of what the principal had seen.
    Observed { principal: Principal, is_second: bool, hash: TraceHash },
    /// So the process had ended before.
    Ended { process: Principal, ending: Ending },
    /// These were the users of a resource.
    Users { index: u32, users: u64 },
}

impl Authority {
    /// The index of the word that holds an address; `None` outside memory.
    #[inline(always)]
    pub(super) fn word_of(&self, phys: u64) -> Option<usize> {
        let word = usize::try_from(phys / 8).ok()?;
        (word < self.words.len()).then_some(word)
    }

    /// The words a claim is about; `None` when part of them is outside memory.
    pub(super) fn range_of(&self, phys: u64, words: u64) -> Option<(usize, usize)> {
        let first = self.word_of(phys)?;
        let len = usize::try_from(words).ok()?;
        (len <= self.words.len() - first).then_some((first, len))
    }

    /// The runs of words with the same region in a range: first word, length, region's number.
    pub(super) fn runs(&self, first: usize, len: usize) -> Runs {
        Runs { at: first, end: first + len }
    }

    /// Puts words that are all in the same region into another one.
    pub(super) fn put(&mut self, first: usize, len: usize, old: u16, region: Region) {
        let new = self.regions.number(&self.roster, region);
        if new != old {
            self.set_run(first, len, old, new);
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "a world has at most 2^29 words")]
    fn set_run(&mut self, first: usize, len: usize, old: u16, new: u16) {
        self.undo.push(Undo::Run { first: first as u32, len: len as u32, number: old });
        self.words[first..first + len].fill(new);
        self.prints.changed(first, len);
        if let Some(owner) = self.regions.get(old).owner {
            let owned = &mut self.state.owned[usize::from(owner.0 & 63)];
            *owned = owned.wrapping_sub(len as u32);
        }
        if let Some(owner) = self.regions.get(new).owner {
            let owned = &mut self.state.owned[usize::from(owner.0 & 63)];
            *owned = owned.wrapping_add(len as u32);
        }
    }

    /// Says which bytes of a word are corrupt, and by which corruption.
    #[allow(clippy::cast_possible_truncation, reason = "a world has at most 2^29 words")]
    pub(super) fn set_corrupt(&mut self, word: usize, mask: u8, origin: u16) {
        let (old, old_origin) = (self.corrupt[word], self.origins[word]);
        if (old, old_origin) == (mask, origin) {
            return;
        }
        self.undo.push(Undo::Mark { word: word as u32, mask: old, origin: old_origin });
        self.corrupt[word] = mask;
        self.origins[word] = origin;
        self.state.noted = self.state.noted.wrapping_add(1);
        self.state.corrupt_words += u32::from(mask != 0);
        self.state.corrupt_words -= u32::from(old != 0);
    }

    /// Bytes of a word are no longer corrupt.
    pub(super) fn clear_corrupt(&mut self, word: usize, mask: u8) {
        let left = self.corrupt[word] & !mask;
        self.set_corrupt(word, left, self.origins[word]);
    }

    /// No byte of these words is corrupt any more.
    pub(super) fn clear_corrupt_run(&mut self, first: usize, len: usize) {
        if self.state.corrupt_words == 0 {
            return;
        }
        for word in first..first + len {
            if self.corrupt[word] != 0 {
                self.clear_corrupt(word, 0xff);
            }
        }
    }

    pub(super) fn set_handle(&mut self, process: Principal, value: u64, handle: Option<Handle>) {
        let old = match handle {
            Some(handle) => self.handles.insert((process, value), handle),
            None => self.handles.remove(&(process, value)),
        };
        self.undo.push(Undo::Handle { process, value, handle: old });
    }

    /// Undoes every change since there were `len` of them, newest first. The small state is the
    /// caller's to put back.
    pub(super) fn undo_to(&mut self, len: usize) {
        assert!(len <= self.undo.len(), "a checkpoint of a state that no longer exists");
        while self.undo.len() > len {
            match self.undo.pop().expect("longer than that") {
                Undo::Run { first, len, number } => {
                    let first = first as usize;
                    self.words[first..first + len as usize].fill(number);
                    self.prints.changed(first, len as usize);
                }
                Undo::Mark { word, mask, origin } => {
                    self.corrupt[word as usize] = mask;
                    self.origins[word as usize] = origin;
                }
                Undo::Handle { process, value, handle: Some(handle) } => {
                    self.handles.insert((process, value), handle);
                }
                Undo::Handle { process, value, handle: None } => {
                    self.handles.remove(&(process, value));
                }
                Undo::Observed { principal, is_second, hash } => {
                    self.observations.retract(principal, is_second, hash);
                }
                Undo::Ended { process, ending } => self.observations.set_ending(process, ending),
                Undo::Users { index, users } => {
                    if let Some(resource) = self.resources.get_mut(index as usize) {
                        resource.users.0 = users;
                    }
                }
            }
        }
    }

    /// Puts words, corrupt bytes and handles back to what they were at first, as new changes: a
    /// reboot, which can itself be undone.
    pub(super) fn rewind(&mut self) {
        for index in (0..self.undo.len()).rev() {
            match self.undo[index] {
                Undo::Run { first, len, number } => {
                    let (first, len) = (first as usize, len as usize);
                    // The newer changes inside this run are undone by now, so it is uniform.
                    let now = self.words[first];
                    if now != number {
                        self.set_run(first, len, now, number);
                    }
                }
                Undo::Mark { word, mask, origin } => {
                    self.set_corrupt(word as usize, mask, origin);
                }
                Undo::Handle { process, value, handle } => self.set_handle(process, value, handle),
                Undo::Observed { .. } | Undo::Ended { .. } | Undo::Users { .. } => {}
            }
        }
    }
}

/// A walk over runs; it borrows nothing, so that the books may change on the way.
pub(super) struct Runs {
    at: usize,
    end: usize,
}

impl Runs {
    /// The next run: first word, length, region's number.
    pub(super) fn next(&mut self, authority: &Authority) -> Option<(usize, usize, u16)> {
        if self.at >= self.end {
            return None;
        }
        let first = self.at;
        let number = authority.words[first];
        let rest = &authority.words[first..self.end];
        // A page is usually one run: all of it is compared with itself, one word further on.
        if rest[1..] == rest[..rest.len() - 1] {
            self.at = self.end;
            return Some((first, rest.len(), number));
        }
        let alike = rest.chunks_exact(32).take_while(|words| {
            words.iter().fold(0, |differing, &other| differing | (other ^ number)) == 0
        });
        let alike = 32 * alike.count();
        let len = rest[alike..]
            .iter()
            .position(|&other| other != number)
            .map_or(rest.len(), |more| alike + more);
        self.at = first + len;
        Some((first, len, number))
    }
}
