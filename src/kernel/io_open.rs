//! stub
use crate::machine::routine;
routine! { /// stub
pub static NT_OPEN_FILE = "NT_OPEN_FILE", frame 0; a => |p| Ok(p.give_back(super::status::INVALID_DEVICE_REQUEST)), }
