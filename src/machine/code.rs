//! Code: routines made of named steps, each with an address and bytes in simulated memory.
//!
//! A step is a small Rust function on the processor. What decides which one runs is memory: the
//! processor fetches the 16 bytes at its instruction pointer through the MMU and decodes them, as it
//! does with any instruction. A changed byte is another step, another call target or no instruction
//! at all. The format of the 16 bytes is ours:
//!
//! | bits of the first word | meaning |
//! |---|---|
//! | 15..0 | number of the step in the linked program |
//! | 23..16 | where to continue when a memory access of this step raises an exception, in steps from here, two's complement; 0: nowhere |
//! | 31..24 | zero |
//! | 63..32 | [`SIGNATURE`]; anything else is an invalid opcode |
//!
//! The second word is the target of a direct call or jump, as in a `call rel32`, but absolute.

use crate::base::{Principal, Structure, VirtAddr};

use super::{arms::Arms, processor::Processor, trap::Trap};

/// Bytes of one step in memory.
pub const STEP_BYTES: u64 = 16;

/// The upper half of the first word of every valid step.
pub const SIGNATURE: u64 = 0x9066_0f1f;

/// What a step does.
pub type StepFn = fn(&mut Processor<'_>) -> Result<Flow, Trap>;

/// How a step ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// With the step behind it.
    Next,
    /// With the step of this number in the same routine.
    To(u8),
    /// By calling the routine its code word names, then with the step behind it.
    Call,
    /// By going on at the routine its code word names, without a way back (`jmp`).
    Jump,
    /// By calling whatever is at this address: a target from a dispatch table.
    CallAt(u64),
    /// By returning to the caller.
    Return,
    /// By entering the kernel (`syscall`).
    Syscall,
    /// By leaving it the same way (`sysret`).
    SysReturn,
    /// By returning from an interrupt or exception (`iretq`).
    InterruptReturn,
    /// By waiting for an interrupt (`hlt`), then with the step behind it.
    Halt,
    /// By running again.
    Stay,
}

/// One step of a routine.
pub struct Step {
    /// Its name within the routine.
    pub name: &'static str,
    /// What it does.
    pub run: StepFn,
    /// The routine it may call or jump to.
    pub call: Option<&'static Routine>,
    /// What the memory is that the called routine hands out; see [`called_for`](Processor::called_for).
    pub of: Option<Structure>,
    /// The step of the same routine that handles an exception its accesses raise.
    pub handler: Option<u8>,
    /// Where it may branch to.
    pub arms: Option<Arms>,
}

/// A named list of steps with a stack frame.
pub struct Routine {
    /// Its name; unique within a program.
    pub name: &'static str,
    /// 8-byte locals in its stack frame.
    pub frame: u8,
    /// Its steps. Execution starts at the first.
    pub steps: &'static [Step],
}

/// Declares a [`Routine`].
///
/// ```
/// use ringfence::machine::{Flow, routine};
///
/// routine! {
///     /// Adds one to its argument.
///     pub static INCREMENT = "increment", frame 1;
///     start => |p| {
///         let argument = p.argument(0);
///         p.set_local(0, argument + 1)?;
///         Ok(Flow::To(At::finish as u8))
///     },
///     finish => |p| {
///         let sum = p.local(0)?;
///         Ok(p.give_back(sum))
///     },
/// }
/// assert_eq!(INCREMENT.steps.len(), 2);
/// ```
///
/// A step that calls, or jumps, names its target: `name, call TARGET => |p| …`; one whose accesses may raise
/// an exception that the routine wants to handle names the step that does: `name, on_fault other
/// => |p| …`. Inside the bodies `At::name as u8` is the number of a step.
///
/// A call of a routine that hands memory out says of which structure that memory is: `name, call TARGET, of
/// SystemBuffer => |p| …`. It is part of the program's text and never in memory, like the types of a compiled
/// program.
#[macro_export]
macro_rules! routine {
    (
        $(#[$meta:meta])*
        $vis:vis static $NAME:ident = $text:literal, frame $frame:literal;
        $($label:ident $(, call $call:path)? $(, of $of:ident)? $(, on_fault $handler:ident)? => $body:expr),+ $(,)?
    ) => {
        $(#[$meta])*
        $vis static $NAME: $crate::machine::Routine = {
            #[allow(non_camel_case_types, dead_code, reason = "labels of steps, not types")]
            enum At { $($label),+ }
            const LABELS: &[&str] = &[$(stringify!($label)),+];
            $crate::machine::Routine {
                name: $text,
                frame: $frame,
                steps: &[$($crate::machine::Step {
                    name: stringify!($label),
                    run: {
                        const RUN: $crate::machine::StepFn = $body;
                        RUN
                    },
                    call: $crate::routine_option!($(&$call)?),
                    of: $crate::routine_option!($($crate::base::Structure::$of)?),
                    handler: $crate::routine_option!($(At::$handler as u8)?),
                    arms: $crate::machine::Arms::of(stringify!($body), LABELS),
                }),+],
            }
        };
    };
}

/// `Some` of what is there, `None` of nothing; a part of [`routine!`].
#[doc(hidden)]
#[macro_export]
macro_rules! routine_option {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

/// The routines of one component and where they lie.
pub struct Image {
    /// The component's name.
    pub name: String,
    /// Whose code it is; `None` for user-mode code, which acts for the process it runs in.
    pub owner: Option<Principal>,
    /// The address of the first step, a multiple of 16.
    pub base: VirtAddr,
    /// The routines, laid out one behind the other.
    pub routines: Vec<&'static Routine>,
}

/// A step after linking.
#[derive(Clone, Copy)]
pub struct LinkedStep {
    /// What it does.
    pub run: StepFn,
    /// Its routine's number.
    pub routine: u16,
    /// Its place in the routine.
    pub index: u8,
    /// Whose code it is; `None` for user-mode code.
    pub owner: Option<Principal>,
    /// What the memory is that a call of it is for.
    pub of: Option<Structure>,
    /// Where it may branch to.
    pub arms: Option<Arms>,
}

/// A routine after linking.
pub struct LinkedRoutine {
    /// The routine as written.
    pub routine: &'static Routine,
    /// Its number of the first step.
    pub first_step: u16,
    /// The address of its first step.
    pub entry: VirtAddr,
    /// Whose code it is; `None` for user-mode code.
    pub owner: Option<Principal>,
    /// The image's name.
    pub image: String,
}

/// All code of a world after linking: what the numbers in code words mean. Never changes.
pub struct Program {
    steps: Vec<LinkedStep>,
    routines: Vec<LinkedRoutine>,
    extents: Vec<Extent>,
    substitutes: Vec<Substitute>,
    defects: u64,
}

/// Where the steps of an image are.
struct Extent {
    base: u64,
    /// The number of the first.
    first: u64,
    steps: u64,
}

/// A routine and what takes its place wherever it is called.
pub type Substitute = (&'static Routine, &'static Routine);

/// What takes a routine's place: itself, unless something else does.
#[must_use]
pub fn substituted(substitutes: &[Substitute], routine: &'static Routine) -> &'static Routine {
    let found = substitutes.iter().find(|(of, _)| core::ptr::eq(*of, routine));
    found.map_or(routine, |&(_, by)| by)
}

/// A routine's number for "none that is known".
pub const NO_ROUTINE: u16 = u16::MAX;

impl Program {
    /// Gives every step a number and an address.
    ///
    /// # Panics
    ///
    /// When a call names a routine that is in none of the images, or there are more than 65535
    /// steps.
    #[must_use]
    pub fn link(images: &[Image]) -> Self {
        Self::link_with(images, &[])
    }

    /// As [`link`](Self::link), with some routines in the place of others.
    ///
    /// # Panics
    ///
    /// As [`link`](Self::link).
    #[must_use]
    pub fn link_with(images: &[Image], substitutes: &[Substitute]) -> Self {
        let mut program = Self {
            steps: Vec::new(),
            routines: Vec::new(),
            extents: Vec::new(),
            substitutes: substitutes.to_vec(),
            defects: 0,
        };
        for image in images {
            let mut at = image.base;
            let first = program.steps.len() as u64;
            for &routine in &image.routines {
                let number =
                    u16::try_from(program.routines.len()).expect("fewer than 65536 routines");
                let first_step =
                    u16::try_from(program.steps.len()).expect("fewer than 65536 steps");
                program.routines.push(LinkedRoutine {
                    routine,
                    first_step,
                    entry: at,
                    owner: image.owner,
                    image: image.name.clone(),
                });
                for (index, step) in routine.steps.iter().enumerate() {
                    program.steps.push(LinkedStep {
                        run: step.run,
                        routine: number,
                        index: u8::try_from(index).expect("a routine has at most 255 steps"),
                        owner: image.owner,
                        of: step.of,
                        arms: step.arms,
                    });
                }
                at = at.plus(STEP_BYTES * routine.steps.len() as u64);
            }
            let steps = program.steps.len() as u64 - first;
            program.extents.push(Extent { base: image.base.0, first, steps });
        }
        program
    }

    /// With defects, of which its steps know the bits.
    #[must_use]
    pub fn with_defects(self, defects: u64) -> Self {
        Self { defects, ..self }
    }

    /// What is wrong in it.
    #[inline]
    #[must_use]
    pub const fn defects(&self) -> u64 {
        self.defects
    }

    /// Whose code an image is; `None` for user-mode code, and for what was not linked.
    #[must_use]
    pub fn owner(&self, image: &str) -> Option<Principal> {
        self.routines.iter().find(|linked| linked.image == image).and_then(|linked| linked.owner)
    }

    /// The 16-byte steps of an image as words to be put at its base, in order.
    ///
    /// # Panics
    ///
    /// When the image was not linked, or a call of it leads nowhere.
    #[must_use]
    pub fn code_words(&self, image: &str) -> Vec<u64> {
        let mut words = Vec::new();
        for linked in self.routines.iter().filter(|linked| linked.image == image) {
            for (index, step) in linked.routine.steps.iter().enumerate() {
                let number = u64::from(linked.first_step) + index as u64;
                let landing = step.handler.map_or(0, |handler| i64::from(handler) - index as i64);
                words.push(number | (landing as u64 & 0xff) << 16 | SIGNATURE << 32);
                words.push(step.call.map_or(0, |callee| {
                    self.entry_near(callee, image).unwrap_or_else(|| {
                        panic!(
                            "{} calls {}, which is in no image",
                            linked.routine.name, callee.name
                        )
                    })
                }));
            }
        }
        words
    }

    /// The address of a routine or of what takes its place, preferring the copy in `image`, then one of the
    /// same owner.
    #[must_use]
    pub fn entry_near(&self, routine: &'static Routine, image: &str) -> Option<u64> {
        let routine = substituted(&self.substitutes, routine);
        let mut copies =
            self.routines.iter().filter(|linked| core::ptr::eq(linked.routine, routine));
        let first = copies.clone().find(|linked| linked.image == image);
        // A driver has its pageable code in an image of its own.
        let owner = || {
            let own = self.routines.iter().find(|linked| linked.image == image);
            let owner = own.and_then(|own| own.owner)?;
            copies.clone().find(|linked| linked.owner == Some(owner))
        };
        first.or_else(owner).or_else(|| copies.next()).map(|linked| linked.entry.0)
    }

    /// The address of a routine's first step; `None` when it was not linked.
    #[must_use]
    pub fn entry(&self, routine: &'static Routine) -> Option<VirtAddr> {
        self.entry_near(routine, "").map(VirtAddr)
    }

    /// The address of a routine's first step, of the copy in `image` when there is one; `None` when it
    /// was not linked.
    #[must_use]
    pub fn entry_in(&self, routine: &'static Routine, image: &str) -> Option<VirtAddr> {
        self.entry_near(routine, image).map(VirtAddr)
    }

    /// The step a code word names; `None` when there is none: an invalid opcode.
    #[inline(always)]
    #[must_use]
    pub fn decode(&self, word: u64) -> Option<&LinkedStep> {
        if word >> 24 != SIGNATURE << 8 {
            return None;
        }
        self.steps.get((word & 0xffff) as usize)
    }

    /// The step at an address, as it was linked there, whatever the bytes there are now.
    #[must_use]
    pub fn linked_at(&self, at: VirtAddr) -> Option<&LinkedStep> {
        let place = |extent: &Extent| at.0.wrapping_sub(extent.base) / STEP_BYTES;
        let extent = self.extents.iter().find(|extent| place(extent) < extent.steps)?;
        self.steps.get(usize::try_from(extent.first + place(extent)).ok()?)
    }

    /// All routines, by number.
    #[must_use]
    pub fn routines(&self) -> &[LinkedRoutine] {
        &self.routines
    }

    /// The number of the routine whose code lies at this address.
    #[must_use]
    pub fn routine_at(&self, at: VirtAddr) -> Option<u16> {
        self.routines
            .iter()
            .position(|linked| {
                at.0.checked_sub(linked.entry.0)
                    .is_some_and(|bytes| bytes / STEP_BYTES < linked.routine.steps.len() as u64)
            })
            .and_then(|index| u16::try_from(index).ok())
    }

    /// The number of the routine with this name; of several copies the first. `image!routine`, as
    /// debuggers write it, is the copy in that image.
    #[must_use]
    pub fn routine_named(&self, name: &str) -> Option<u16> {
        let (image, name) = match name.split_once('!') {
            Some((image, name)) => (Some(image), name),
            None => (None, name),
        };
        let is_meant = |linked: &LinkedRoutine| {
            linked.routine.name == name && image.is_none_or(|image| linked.image == image)
        };
        u16::try_from(self.routines.iter().position(is_meant)?).ok()
    }

    /// The name by which [`routine_named`](Self::routine_named) finds just this routine: with its image
    /// where an earlier one has a copy too. `None` when there is no such number.
    #[must_use]
    pub fn unambiguous_name(&self, number: u16) -> Option<String> {
        let LinkedRoutine { routine, image, .. } = self.routines.get(usize::from(number))?;
        let is_first = self.routine_named(routine.name) == Some(number);
        Some(if is_first { routine.name.to_owned() } else { format!("{image}!{}", routine.name) })
    }
}
