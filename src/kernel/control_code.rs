//! Control codes: which function, how its buffers are handed over, and which rights it takes ("Defining I/O Control
//! Codes").

use super::layout::driver_object;

/// The low bits of a control code: how its buffers are handed over ("Defining I/O Control Codes").
pub const METHOD: u64 = 3;
/// Both buffers are one system buffer.
pub const METHOD_BUFFERED: u64 = 0;
/// The second buffer is locked memory of the user's, to be read.
pub const METHOD_IN_DIRECT: u64 = 1;
/// The second buffer is locked memory of the user's, to be written.
pub const METHOD_OUT_DIRECT: u64 = 2;
/// The buffers are the user's own, as they are.
pub const METHOD_NEITHER: u64 = 3;
/// Bits 14 and 15 of a control code: the rights it takes.
pub const ACCESS_SHIFT: u64 = 14;

/// A control code: function number, method, rights.
#[must_use]
pub const fn control_code(function: u64, method: u64, access: u64) -> u64 {
    0x22 << 16 | (access & 3) << ACCESS_SHIFT | (function & 0xfff) << 2 | method & METHOD
}

/// The function number of a control code.
#[must_use]
pub const fn function(code: u64) -> u64 {
    code >> 2 & 0xfff
}

/// How a request with this dispatch routine and code hands its buffers over. What is no device control
/// is buffered.
pub(super) const fn method_of(major: u64, code: u64) -> u64 {
    if major == driver_object::CONTROL.offset { code & METHOD } else { METHOD_BUFFERED }
}
