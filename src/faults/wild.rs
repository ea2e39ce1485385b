//! Where a wild pointer leads: the operators that wild writes and wild reads share.

use rand::distr::Distribution as _;

use super::elements::{bit, index};
use super::heavy_tail::HeavyTail;
use super::{Operator, Parameters};
use crate::base::{Stream, VirtAddr};
use crate::injection::{Operation, PointKind, PointRecord, Scene};
use crate::world::directory::{Directory, freed, mapped_pages, process_root, walk};

/// Where the access goes instead.
pub(super) enum Redirection {
    /// To this linear address.
    Linear(u64),
    /// To this physical address, which another address space or none leads to.
    Physical {
        /// The linear address there, when it has one.
        virt: Option<u64>,
        /// The physical address.
        phys: u64,
    },
}

pub(super) const PARAMETERS: &[&str] =
    &["operator", "offset", "bit", "index", "value", "target", "process"];

/// Registers that can hold a pointer: all but the stack pointer.
const REGISTERS: [usize; 15] = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Checks what each operator needs.
pub(super) fn check(parameters: &Parameters) -> Result<Operator, String> {
    let operator = parameters.operator_or_usual();
    parameters.bit_or(0)?;
    match operator {
        Operator::Target if parameters.target.is_none() => {
            Err("operator `target` needs the parameter `target`".to_owned())
        }
        Operator::Offset if parameters.offset == Some(0) => {
            Err("an offset of 0 is no miss; expected another".to_owned())
        }
        _ => Ok(operator),
    }
}

/// Where the access goes instead; `None` when the operator has nothing to lead to here.
pub(super) fn redirect(
    operator: Operator,
    parameters: &Parameters,
    directory: &Directory,
    operation: &Operation,
    scene: &dyn Scene,
) -> Option<Redirection> {
    let virt = operation.virt;
    let index = usize::from(parameters.index.unwrap_or(0));
    let to = match operator {
        Operator::Offset => virt.wrapping_add_signed(parameters.offset.unwrap_or(8)),
        Operator::Bit => virt ^ 1 << parameters.bit.unwrap_or(3),
        Operator::Stale => {
            let blocks = freed(scene);
            let block = blocks.get(index % blocks.len().max(1))?;
            block.wrapping_add(virt % 48 / 8 * 8)
        }
        Operator::Base => {
            let near = |&register: &usize| virt.wrapping_sub(scene.register(register)) < 4096;
            let base = REGISTERS
                .iter()
                .find(|register| near(register))
                .map_or(virt, |&r| scene.register(r));
            let others: Vec<u64> = REGISTERS
                .iter()
                .map(|&register| scene.register(register))
                .filter(|&value| {
                    value >> 12 != base >> 12 && scene.translate(VirtAddr(value)).is_some()
                })
                .collect();
            others.get(index % others.len().max(1))?.wrapping_add(virt.wrapping_sub(base))
        }
        // User-mode code can't be in another process's context: the processor is in its own.
        Operator::Context if scene.instruction_pointer() >> 63 == 0 => return None,
        Operator::Context => {
            let named =
                |name: &str| parameters.process.as_ref().is_none_or(|wanted| wanted == name);
            let phys = directory
                .roster()
                .iter()
                .filter(|(_, entry)| entry.kind.is_process() && named(&entry.name))
                .filter_map(|(principal, _)| process_root(scene, principal))
                .filter(|root| root >> 12 != scene.root() >> 12)
                .find_map(|root| walk(scene, root, virt))?;
            // The system half is the same in every process: nothing would be wrong there.
            return (virt >> 63 == 0).then_some(Redirection::Physical { virt: Some(virt), phys });
        }
        Operator::Uniform => {
            let pages = mapped_pages(scene);
            let draw = parameters.value.unwrap_or(0);
            let page =
                pages.get(usize::try_from(draw / 512 % (pages.len() as u64).max(1)).ok()?)?;
            page.wrapping_add(draw % 512 * 8)
        }
        Operator::Target => {
            let place = directory.locate(parameters.target.as_ref()?, scene)?;
            match place.virt {
                Some(virt) => virt,
                // What is mapped nowhere can't be reached by user-mode code.
                None if scene.instruction_pointer() >> 63 == 0 => return None,
                None => {
                    return Some(Redirection::Physical { virt: place.within, phys: place.phys });
                }
            }
        }
    };
    (to != virt).then_some(Redirection::Linear(to))
}

/// Every wild pointer that can be listed: misses by whole words at powers of two and by bytes at their
/// nearest, each bit, each stale block and base, the other context, each place. What is drawn from all
/// of memory can't.
pub(super) fn every(directory: &Directory) -> Vec<Parameters> {
    let by = |operator| Parameters { operator: Some(operator), ..Parameters::default() };
    let near = [1, 2, 4].into_iter().chain((3..=16).map(|doublings| 1i64 << doublings));
    let near = near.flat_map(|bytes| [bytes, -bytes]);
    let offsets = near.map(|bytes| Parameters { offset: Some(bytes), ..by(Operator::Offset) });
    let bits = (0..64).map(|bit| Parameters { bit: Some(bit), ..by(Operator::Bit) });
    let pointers = [Operator::Stale, Operator::Base]
        .into_iter()
        .flat_map(|operator| (0..4).map(move |index| (operator, index)))
        .map(|(operator, index)| Parameters { index: Some(index), ..by(operator) });
    let targets = directory
        .targets()
        .into_iter()
        .map(|target| Parameters { target: Some(target), ..by(Operator::Target) });
    offsets.chain(bits).chain(pointers).chain([by(Operator::Context)]).chain(targets).collect()
}

/// Whether an access may be in another process's context: only kernel mode's can, and only the user
/// half is another there.
pub(super) fn may_be_elsewhere(at: &PointRecord, directory: &Directory) -> bool {
    let is_kernel_mode = directory.roster().kind(at.principal).is_kernel_mode();
    is_kernel_mode && at.kind == PointKind::Store && at.argument >> 63 == 0
}

/// Draws an operator, near misses first, and what it needs. Few accesses may be in another context;
/// most of these are, where `elsewhere` says that this is one.
pub(super) fn draw(stream: &mut Stream, elsewhere: bool, directory: &Directory) -> Parameters {
    let context = if elsewhere { 20 } else { 0 };
    let operator = *stream.weighted(&[
        (8, Operator::Offset),
        (4, Operator::Bit),
        (2, Operator::Stale),
        (2, Operator::Base),
        (context, Operator::Context),
        (2, Operator::Uniform),
        (2, Operator::Target),
    ]);
    draw_for(operator, stream, directory)
}

/// Draws what an operator needs.
fn draw_for(operator: Operator, stream: &mut Stream, directory: &Directory) -> Parameters {
    let mut parameters = Parameters { operator: Some(operator), ..Parameters::default() };
    match operator {
        Operator::Offset => parameters.offset = Some(HeavyTail.sample(stream)),
        Operator::Bit => parameters.bit = Some(bit(stream)),
        Operator::Stale | Operator::Base => parameters.index = Some(index(stream, 4)),
        Operator::Context => {}
        Operator::Uniform => parameters.value = Some(stream.below(1 << 24)),
        Operator::Target => parameters.target = stream.pick(&directory.targets()).cloned(),
    }
    parameters
}
