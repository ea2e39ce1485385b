//! stub
use crate::machine::routine;
routine! { /// stub
pub static NT_READ_FILE = "NT_READ_FILE", frame 0; a => |p| Ok(p.give_back(super::status::INVALID_DEVICE_REQUEST)), }
routine! { /// stub
pub static NT_WRITE_FILE = "NT_WRITE_FILE", frame 0; a => |p| Ok(p.give_back(super::status::INVALID_DEVICE_REQUEST)), }
routine! { /// stub
pub static NT_DEVICE_IO_CONTROL_FILE = "NT_DEVICE_IO_CONTROL_FILE", frame 0; a => |p| Ok(p.give_back(super::status::INVALID_DEVICE_REQUEST)), }
routine! { /// stub
pub static NT_FLUSH_BUFFERS_FILE = "NT_FLUSH_BUFFERS_FILE", frame 0; a => |p| Ok(p.give_back(super::status::INVALID_DEVICE_REQUEST)), }
