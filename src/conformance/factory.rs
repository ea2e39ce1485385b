//! How instances of the code under test are made, whatever their type.
//!
//! A suite takes any type; what it does is compiled once, here, and not again for each type in the crate of
//! whoever tests it.

use super::memory::Memory;
use super::subject::{Mapper, Walker};
use crate::base::PhysAddr;

/// Makes instances of code that maps pages.
pub(crate) trait Factory<'a> {
    fn make(&'a self, memory: Memory) -> Box<dyn Mapper + 'a>;
}

impl<'a, M: Mapper + 'a, F: Fn(Memory) -> M> Factory<'a> for F {
    fn make(&'a self, memory: Memory) -> Box<dyn Mapper + 'a> {
        Box::new(self(memory))
    }
}

/// Makes instances of code that only translates.
pub(crate) trait WalkerFactory<'a> {
    fn make(&'a self, memory: Memory, root: PhysAddr) -> Box<dyn Walker + 'a>;
}

impl<'a, W: Walker + 'a, F: Fn(Memory, PhysAddr) -> W> WalkerFactory<'a> for F {
    fn make(&'a self, memory: Memory, root: PhysAddr) -> Box<dyn Walker + 'a> {
        Box::new(self(memory, root))
    }
}
