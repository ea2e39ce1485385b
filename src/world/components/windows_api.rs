//! The Windows API: the one way from user mode into the kernel.
use crate::machine::{Flow, Routine, routine};
/// The routines of the image.
pub const ROUTINES: &[&Routine] = &[&API_CALL];
routine! {
    /// Asks for the system service in rax.
    pub static API_CALL = "NtApiCall", frame 0;
    ask => |_| Ok(Flow::Syscall),
    back => |_| Ok(Flow::Return),
}
