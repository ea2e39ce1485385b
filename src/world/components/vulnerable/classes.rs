//! The mistakes that need no pool: the same code in both homes.

use crate::base::Structure;
use crate::kernel::layout::address;
use crate::machine::{Flow, Reg, Trap, routine};

use super::super::home::{page, request};
use super::{ARRAY_BYTES, COOKIE, INCREMENT, MAGIC, SECURE, ZERO, bounded, is_secure, stack};

/// Bytes that follow the data of a request whose length wraps.
const TRAILER_BYTES: u64 = 8;
/// The fast-fail code of a cookie that was overwritten (`FAST_FAIL_STACK_COOKIE_CHECK_FAILURE`).
const COOKIE_FAILURE: u64 = 2;

routine! {
    /// Writes a value, zero or the value there plus one to the address in the request.
    pub static WRITE_WHERE_TOLD = "WriteWhereTold", frame 0;
    write => |p| {
        let buffer = p.argument(0);
        let place = p.load_at(buffer, request(p))?;
        let function = p.argument(3);
        // As "ProbeForWrite" does: what is no user address is refused.
        if is_secure(function) && place > address::USER_LIMIT - 8 {
            return Ok(p.give_back(0));
        }
        let value = match function & !SECURE {
            ZERO => 0,
            INCREMENT => p.load_at(place, page(p))?.wrapping_add(1),
            _ => p.load_at(buffer.wrapping_add(8), request(p))?,
        };
        p.store_at(place, page(p), value)?;
        Ok(p.give_back(0))
    },
}

routine! {
    /// Copies the request into an array of 32 bytes, which is all there is below the return address.
    pub static COPY_TO_STACK = "CopyToStack", frame 4;
    copy => |p| {
        let buffer = p.argument(0);
        let bytes = bounded(p.argument(3), p.argument(1), ARRAY_BYTES);
        let array = p.local_address(0);
        p.copy(array, stack(p), buffer, request(p), bytes)?;
        Ok(p.give_back(0))
    },
}

routine! {
    /// The same with a cookie between the array and the return address.
    pub static COPY_TO_GUARDED_STACK = "CopyToGuardedStack", frame 5;
    guard => |p| {
        let data = p.argument(2);
        let key = p.load_at(data.wrapping_add(COOKIE.offset), page(p))?;
        let cookie = key ^ p.get(Reg::Rsp);
        p.set_local(4, cookie)?;
        Ok(Flow::Next)
    },
    copy => |p| {
        let buffer = p.argument(0);
        let bytes = bounded(p.argument(3), p.argument(1), ARRAY_BYTES);
        let array = p.local_address(0);
        p.copy(array, stack(p), buffer, request(p), bytes)?;
        Ok(Flow::Next)
    },
    check => |p| {
        let data = p.argument(2);
        let key = p.load_at(data.wrapping_add(COOKIE.offset), page(p))?;
        let cookie = p.local(4)?;
        if cookie ^ p.get(Reg::Rsp) != key {
            p.put(Reg::Rcx, COOKIE_FAILURE);
            return Err(Trap::plain(Trap::FAST_FAIL));
        }
        Ok(p.give_back(0))
    },
}

routine! {
    /// Compares the length with a trailer added, in 32 bits, and copies as many bytes as there are.
    pub static WRAPPED_LENGTH = "WrappedLength", frame 4;
    check => |p| {
        let buffer = p.argument(0);
        let claimed = p.load_at(buffer, request(p))?;
        let is_too_long = if is_secure(p.argument(3)) {
            claimed > ARRAY_BYTES - TRAILER_BYTES
        } else {
            claimed.wrapping_add(TRAILER_BYTES) & 0xffff_ffff > ARRAY_BYTES
        };
        if is_too_long {
            return Ok(p.give_back(0));
        }
        Ok(Flow::Next)
    },
    copy => |p| {
        let buffer = p.argument(0);
        let claimed = p.load_at(buffer, request(p))?;
        let bytes = claimed.min(p.argument(1));
        let array = p.local_address(0);
        p.copy(array, stack(p), buffer, request(p), bytes)?;
        Ok(p.give_back(0))
    },
}

routine! {
    /// Calls the second word of the request, when there is one.
    pub static CALL_CONFUSED = "CallConfused", frame 0;
    call => |p| {
        let buffer = p.argument(0);
        match p.load_at(buffer.wrapping_add(8), request(p))? {
            // Where it sets the routine itself, that is one that does nothing.
            _ if is_secure(p.argument(3)) => Ok(p.give_back(0)),
            0 => Ok(p.give_back(0)),
            target => Ok(Flow::CallAt(target)),
        }
    },
    done => |p| Ok(p.give_back(0)),
}

routine! {
    /// Calls a local that is set only for requests that all is well with.
    pub static CALL_STALE = "CallStale", frame 4;
    set => |p| {
        let buffer = p.argument(0);
        if is_secure(p.argument(3)) || p.load_at(buffer, request(p))? == MAGIC {
            p.set_local(1, 0)?;
        }
        Ok(Flow::Next)
    },
    call => |p| {
        match p.local(1)? {
            0 => Ok(p.give_back(0)),
            target => Ok(Flow::CallAt(target)),
        }
    },
    done => |p| Ok(p.give_back(0)),
}

routine! {
    /// Calls the routine of an object that is there only for requests that all is well with.
    pub static CALL_NULL = "CallNull", frame 0;
    call => |p| {
        let buffer = p.argument(0);
        if is_secure(p.argument(3)) || p.load_at(buffer, request(p))? == MAGIC {
            return Ok(p.give_back(0));
        }
        let object = 0;
        match p.load_at(object + 8, Structure::DriverData)? {
            0 => Ok(p.give_back(0)),
            target => Ok(Flow::CallAt(target)),
        }
    },
    done => |p| Ok(p.give_back(0)),
}

routine! {
    /// Reads the length in the caller's memory, compares it, and reads it again to copy.
    pub static LENGTH_FETCHED_TWICE = "LengthFetchedTwice", frame 4;
    check => |p| {
        let buffer = p.argument(0);
        p.allow_user_access(true)?;
        let length = p.load_at(buffer, Structure::SharedSection)?;
        p.allow_user_access(false)?;
        if length > ARRAY_BYTES {
            return Ok(p.give_back(0));
        }
        if is_secure(p.argument(3)) {
            p.allow_user_access(true)?;
            let array = p.local_address(0);
            p.copy(array, stack(p), buffer, Structure::SharedSection, length)?;
            p.allow_user_access(false)?;
            return Ok(p.give_back(0));
        }
        Ok(Flow::Next)
    },
    copy => |p| {
        let buffer = p.argument(0);
        p.allow_user_access(true)?;
        let length = p.load_at(buffer, Structure::SharedSection)?;
        let array = p.local_address(0);
        p.copy(array, stack(p), buffer, Structure::SharedSection, length)?;
        p.allow_user_access(false)?;
        Ok(p.give_back(0))
    },
}
