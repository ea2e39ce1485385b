//! Somebody who is told what happens and answers nothing.

use super::Event;

/// Takes note of events. It has no way to answer: what watches a run cannot steer it.
pub trait Witness {
    /// One event, in the order in which they happened.
    fn event(&mut self, event: &Event);

    /// All that one turn of a world brought, in order.
    #[inline]
    fn turn(&mut self, events: &[Event]) {
        for event in events {
            self.event(event);
        }
    }
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

    #[inline(always)]
    fn turn(&mut self, events: &[Event]) {
        self.0.turn(events);
        self.1.turn(events);
    }
}

impl<W: Witness + ?Sized> Witness for &mut W {
    #[inline(always)]
    fn event(&mut self, event: &Event) {
        (**self).event(event);
    }

    #[inline(always)]
    fn turn(&mut self, events: &[Event]) {
        (**self).turn(events);
    }
}
