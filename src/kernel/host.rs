//! stub
use crate::machine::routine;
routine! { /// stub
pub static NT_HOST_WAIT = "NT_HOST_WAIT", frame 0; a => |p| Ok(p.give_back(super::status::INVALID_DEVICE_REQUEST)), }
routine! { /// stub
pub static NT_HOST_COMPLETE = "NT_HOST_COMPLETE", frame 0; a => |p| Ok(p.give_back(super::status::INVALID_DEVICE_REQUEST)), }
routine! { /// stub
pub static IO_PROCESS_ENDED = "IO_PROCESS_ENDED", frame 0; a => |p| Ok(p.give_back(super::status::INVALID_DEVICE_REQUEST)), }
