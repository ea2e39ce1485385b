//! Every access that can be asked for at one address.

use ringfence::base::{Access, Ring, VirtAddr};
use ringfence::machine::paging::x86_64::Request;

/// Each access from each ring, with and without AC; with `odd` also implicit and shadow-stack ones.
pub(crate) fn each_request(virt: VirtAddr, odd: bool, mut visit: impl FnMut(&Request)) {
    for access in [Access::Read, Access::Write, Access::Execute] {
        for ring in [Ring::Kernel, Ring::User] {
            for choice in 0..if odd { 8 } else { 2 } {
                let (ac, implicit) = (choice & 1 != 0, choice & 2 != 0);
                let shadow_stack = choice & 4 != 0;
                let request = Request::new(virt, access, ring);
                visit(&Request { ac, implicit, shadow_stack, ..request });
            }
        }
    }
}
