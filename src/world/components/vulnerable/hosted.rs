//! The driver in a host: what the kernel's pool would do is done with a block at the end of the host's page.

use crate::kernel::request::function;
use crate::machine::{Flow, routine};

use super::super::home::{page, request};
use super::classes::{
    CALL_CONFUSED, CALL_NULL, CALL_STALE, COPY_TO_GUARDED_STACK, COPY_TO_STACK, WRAPPED_LENGTH,
    WRITE_WHERE_TOLD,
};
use super::pool::{BLOCK_BYTES, COPY_TO_BLOCK, USE_OBJECT};
use super::resource::HOSTED_END_PROCESS;
use super::{
    CLEAN_BLOCK, CONFUSE, DROP, END, END_CHECKED, INCREMENT, MAGIC, MAKE, NULL, OBJECT, PAGED,
    POOL, REFILL, SECURE, STACK, STACK_GUARDED, STALE, STALE_BLOCK, USE, WRAP, WRITE, ZERO,
    bounded, is_secure,
};

/// Where a block has the routine to call.
const ROUTINE: u64 = 16;
/// Where a host has its block: at the end of its page, as the hosted scanner has its section. What a process heap
/// has behind a block is nobody's to write; here that is a page that is not mapped.
const HOSTED_BLOCK: u64 = 4096 - BLOCK_BYTES;

/// Whether the driver in a host lacks the function of this control code.
pub(in crate::world::components) const fn lacks(code: u64) -> bool {
    !matches!(
        function(code) & !SECURE,
        WRITE
            | ZERO
            | INCREMENT
            | STACK
            | STACK_GUARDED
            | POOL
            | PAGED
            | MAKE
            | DROP
            | REFILL
            | USE
            | STALE_BLOCK
            | CLEAN_BLOCK
            | END
            | END_CHECKED
            | WRAP
            | CONFUSE
            | STALE
            | NULL
    )
}

routine! {
    /// The same in a host. What the kernel's pool would do is done with a block of the host's own page.
    pub static HOSTED_WORK = "HostedVulnerableWork", frame 0;
    sort => |p| Ok(match p.argument(3) & !SECURE {
        WRITE | ZERO | INCREMENT => Flow::To(At::write as u8),
        STACK => Flow::To(At::stack as u8),
        STACK_GUARDED => Flow::To(At::guarded as u8),
        POOL | PAGED => Flow::To(At::copy as u8),
        MAKE | DROP | REFILL => Flow::To(At::object as u8),
        USE => Flow::To(At::used as u8),
        STALE_BLOCK | CLEAN_BLOCK => Flow::To(At::block as u8),
        END | END_CHECKED => Flow::To(At::end as u8),
        WRAP => Flow::To(At::wrap as u8),
        CONFUSE => Flow::To(At::confuse as u8),
        STALE => Flow::To(At::stale as u8),
        NULL => Flow::To(At::null as u8),
        _ => p.give_back(0),
    }),
    write, call WRITE_WHERE_TOLD => |_| Ok(Flow::Call),
    wrote => |_| Ok(Flow::Return),
    stack, call COPY_TO_STACK => |_| Ok(Flow::Call),
    stacked => |_| Ok(Flow::Return),
    guarded, call COPY_TO_GUARDED_STACK => |_| Ok(Flow::Call),
    guarded_too => |_| Ok(Flow::Return),
    copy, call HOSTED_COPY => |_| Ok(Flow::Call),
    copied => |_| Ok(Flow::Return),
    wrap, call WRAPPED_LENGTH => |_| Ok(Flow::Call),
    wrapped => |_| Ok(Flow::Return),
    confuse, call CALL_CONFUSED => |_| Ok(Flow::Call),
    confused => |_| Ok(Flow::Return),
    stale, call CALL_STALE => |_| Ok(Flow::Call),
    called => |_| Ok(Flow::Return),
    null, call CALL_NULL => |_| Ok(Flow::Call),
    nothing => |_| Ok(Flow::Return),
    block, call HOSTED_STALE_BLOCK => |_| Ok(Flow::Call),
    blocked => |_| Ok(Flow::Return),
    end, call HOSTED_END_PROCESS => |_| Ok(Flow::Call),
    ended => |_| Ok(Flow::Return),
    object, call HOSTED_OBJECT => |_| Ok(Flow::Call),
    kept => |_| Ok(Flow::Return),
    used, call USE_OBJECT => |_| Ok(Flow::Call),
    called_too => |_| Ok(Flow::Return),
}

routine! {
    /// In a host: the object is the host's own block, of which its heap has one. Freed, the block is had
    /// again by whoever asks next, and the object's address stays where it was.
    pub static HOSTED_OBJECT = "HostedObject", frame 0;
    work => |p| {
        let (buffer, data) = (p.argument(0), p.argument(2));
        let (block, object) = (data.wrapping_add(HOSTED_BLOCK), data.wrapping_add(OBJECT.offset));
        match p.argument(3) & !SECURE {
            MAKE => {
                p.store_at(block, page(p), 0)?;
                p.store_at(object, page(p), block)?;
            }
            REFILL => {
                let bytes = p.argument(1).min(BLOCK_BYTES);
                p.copy(block, page(p), buffer, request(p), bytes)?;
            }
            _ if is_secure(p.argument(3)) => p.store_at(object, page(p), 0)?,
            _ => {}
        }
        Ok(p.give_back(0))
    },
}

routine! {
    /// In a host: calls the routine of the host's own block, which holds what the request before left.
    pub static HOSTED_STALE_BLOCK = "HostedStaleBlock", frame 0;
    set => |p| {
        let (buffer, data) = (p.argument(0), p.argument(2));
        let place = data.wrapping_add(HOSTED_BLOCK + ROUTINE);
        let is_clean = p.argument(3) == CLEAN_BLOCK || is_secure(p.argument(3));
        let is_set = is_clean || p.load_at(buffer, request(p))? == MAGIC;
        if is_set {
            p.store_at(place, page(p), 0)?;
        }
        match p.load_at(place, page(p))? {
            0 => Ok(p.give_back(0)),
            target => Ok(Flow::CallAt(target)),
        }
    },
    done => |p| Ok(p.give_back(0)),
}

routine! {
    /// In a host: copies the request to the host's own block.
    pub static HOSTED_COPY = "HostedCopy", frame 0;
    copy, call COPY_TO_BLOCK => |p| {
        let (buffer, data) = (p.argument(0), p.argument(2));
        let bytes = bounded(p.argument(3), p.argument(1), BLOCK_BYTES);
        p.pass([data.wrapping_add(HOSTED_BLOCK), buffer, bytes]);
        Ok(Flow::Call)
    },
    copied => |p| Ok(p.give_back(0)),
}
