//! Somebody who is told what happens and answers nothing.

use super::Event;

/// Takes note of events. It has no way to answer: what watches a run cannot steer it.
pub trait Witness {
    /// One event, in the order in which they happened.
    fn event(&mut self, event: &Event);
}

/// Nobody is watching.
impl Witness for () {
    #[inline(always)]
    fn event(&mut self, _: &Event) {}
}

impl<A: Witness, B: Witness> Witness for (A, B) {
    #[inline(always)]
    fn event(&mut self, event: &Event) {
        self.0.event(event);
        self.1.event(event);
    }
}

impl<W: Witness + ?Sized> Witness for &mut W {
    #[inline(always)]
    fn event(&mut self, event: &Event) {
        (**self).event(event);
    }
}
