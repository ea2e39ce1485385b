//! The mistakes with pool blocks, in kernel mode.

use crate::base::Structure;
use crate::kernel::pool::{EX_ALLOCATE_POOL, EX_FREE_POOL, UNINITIALISED};
use crate::kernel::pools::state;
use crate::kernel::status;
use crate::kernel::user_buffer::{COPY_DATA_TO_USER, PROBE_FOR_WRITE_ALIGNED};
use crate::machine::{Flow, Processor, Trap, routine};

use super::super::home::{page, request};
use super::{MAGIC, OBJECT, SECURE, STALE_BLOCK, bounded, is_secure, keep};

/// Bytes of a pool block.
pub(super) const BLOCK_BYTES: u64 = 48;
/// Where a block has the routine to call: behind what a free block's links take.
const ROUTINE: u64 = 16;
/// The tag of its blocks: "Vuln".
const TAG: u64 = 0x6e6c_7556;

routine! {
    /// Copies the request into a block, however long it is: the same in kernel mode and in a host. Arguments:
    /// block, request, bytes.
    pub static COPY_TO_BLOCK = "CopyToBlock", frame 0;
    copy => |p| {
        let (block, buffer, bytes) = (p.argument(0), p.argument(1), p.argument(2));
        p.copy(block, page(p), buffer, request(p), bytes)?;
        Ok(p.give_back(0))
    },
}

/// Keeps what [`keep`] keeps, of the bytes as many as are copied.
fn keep_bounded(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let bytes = bounded(p.argument(3), p.argument(1), BLOCK_BYTES);
    keep(p)?;
    p.set_local(1, bytes)?;
    Ok(Flow::Next)
}

/// Has the request copied into the block that was asked for, with what [`keep`] keeps.
fn copy(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    let block = p.result();
    p.set_local(3, block)?;
    if block == 0 {
        return Ok(p.give_back(0));
    }
    let (buffer, bytes) = (p.local(0)?, p.local(1)?);
    p.pass([block, buffer, bytes]);
    Ok(Flow::Call)
}

routine! {
    /// Copies the request into a pool block and frees it.
    pub static COPY_TO_POOL = "CopyToPool", frame 4;
    // Locals: 0 request; 1 bytes; 2 page; 3 block.
    keep => keep_bounded,
    allocate, call EX_ALLOCATE_POOL, of DriverData => allocate,
    copy, call COPY_TO_BLOCK => copy,
    free, call EX_FREE_POOL => |p| {
        let block = p.local(3)?;
        p.pass([block, TAG]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(0)),
}

/// Asks for a block.
fn allocate(p: &mut Processor<'_>) -> Result<Flow, Trap> {
    p.pass([BLOCK_BYTES, TAG, 0]);
    Ok(Flow::Call)
}

routine! {
    /// Makes the object: a block whose first word is a routine to call, none at first.
    pub static MAKE_OBJECT = "MakeObject", frame 3;
    keep => keep,
    allocate, call EX_ALLOCATE_POOL, of DriverData => allocate,
    remember => |p| {
        let block = p.result();
        let data = p.local(2)?;
        p.store(data, OBJECT, block)?;
        Ok(p.give_back(0))
    },
}

routine! {
    /// Frees the object. Its address stays where it was, but for the mended function.
    pub static DROP_OBJECT = "DropObject", frame 4;
    // Locals: as [`keep`]; 3 function.
    keep => |p| {
        let function = p.argument(3);
        p.set_local(3, function)?;
        keep(p)
    },
    free, call EX_FREE_POOL => |p| {
        let data = p.local(2)?;
        let block = p.load(data, OBJECT)?;
        if block == 0 {
            return Ok(p.give_back(0));
        }
        p.pass([block, TAG]);
        Ok(Flow::Call)
    },
    done => |p| {
        if is_secure(p.local(3)?) {
            let data = p.local(2)?;
            p.store(data, OBJECT, 0)?;
        }
        Ok(p.give_back(0))
    },
}

routine! {
    /// Calls the object's routine: the same in kernel mode and in a host.
    pub static USE_OBJECT = "UseObject", frame 0;
    call => |p| {
        let data = p.argument(2);
        let block = p.load_at(data.wrapping_add(OBJECT.offset), page(p))?;
        if block == 0 {
            return Ok(p.give_back(0));
        }
        match p.load_at(block, page(p))? {
            0 => Ok(p.give_back(0)),
            target => Ok(Flow::CallAt(target)),
        }
    },
    done => |p| Ok(p.give_back(0)),
}

routine! {
    /// Fills a new block with the request, as far as it has room.
    pub static REFILL_BLOCK = "RefillBlock", frame 3;
    keep => keep,
    allocate, call EX_ALLOCATE_POOL, of DriverData => allocate,
    fill => |p| {
        let block = p.result();
        if block == 0 {
            return Ok(p.give_back(0));
        }
        let (buffer, bytes) = (p.local(0)?, p.local(1)?.min(BLOCK_BYTES));
        p.copy(block, Structure::DriverData, buffer, request(p), bytes)?;
        Ok(p.give_back(0))
    },
}

routine! {
    /// Answers with as many bytes as were asked for, out of a block of 48.
    pub static READ_PAST_BLOCK = "ReadPastBlock", frame 5;
    // Locals: 0 request; 1 bytes; 2 page; 3 block; 4 bytes of answer.
    keep => |p| {
        let bytes = bounded(p.argument(3), p.argument(4), BLOCK_BYTES);
        p.set_local(4, bytes)?;
        keep(p)
    },
    allocate, call EX_ALLOCATE_POOL, of DriverData => allocate,
    // As much as the block holds is probed, and more is copied.
    probe, call PROBE_FOR_WRITE_ALIGNED => |p| {
        let block = p.result();
        p.set_local(3, block)?;
        if block == 0 {
            return Ok(p.give_back(0));
        }
        let buffer = p.local(0)?;
        p.pass([buffer, BLOCK_BYTES, 1]);
        Ok(Flow::Call)
    },
    probed => |p| {
        if p.result() == status::SUCCESS {
            return Ok(Flow::Next);
        }
        p.set_local(4, 0)?;
        Ok(Flow::To(At::free as u8))
    },
    copy, call COPY_DATA_TO_USER => |p| {
        let (buffer, block, bytes) = (p.local(0)?, p.local(3)?, p.local(4)?);
        p.pass([buffer, block, bytes]);
        Ok(Flow::Call)
    },
    free, call EX_FREE_POOL => |p| {
        let block = p.local(3)?;
        p.pass([block, TAG]);
        Ok(Flow::Call)
    },
    done => |p| {
        let bytes = p.local(4)?;
        Ok(p.give_back(bytes))
    },
}

routine! {
    /// Calls the routine of a block, which is set only for requests that all is well with, and frees the
    /// block. [`STALE_BLOCK`] asks for memory as it is, as `ExAllocatePoolWithTag` gives it; what it holds is
    /// what was freed before.
    pub static CALL_STALE_BLOCK = "CallStaleBlock", frame 5;
    // Locals: 0 request; 1 bytes; 2 page; 3 block; 4 function.
    keep => |p| {
        let function = p.argument(3);
        p.set_local(4, function)?;
        keep(p)
    },
    allocate, call EX_ALLOCATE_POOL, of DriverData => |p| {
        let as_it_is = if p.local(4)? & !SECURE == STALE_BLOCK { UNINITIALISED } else { 0 };
        p.pass([BLOCK_BYTES, TAG, as_it_is]);
        Ok(Flow::Call)
    },
    set => |p| {
        let block = p.result();
        p.set_local(3, block)?;
        if block == 0 {
            return Ok(p.give_back(0));
        }
        let buffer = p.local(0)?;
        if p.load_at(buffer, request(p))? == MAGIC {
            p.store_at(block.wrapping_add(ROUTINE), Structure::DriverData, 0)?;
        } else if is_secure(p.local(4)?) {
            return Ok(Flow::To(At::free as u8));
        }
        Ok(Flow::Next)
    },
    call => |p| {
        let block = p.local(3)?;
        match p.load_at(block.wrapping_add(ROUTINE), Structure::DriverData)? {
            0 => Ok(Flow::Next),
            target => Ok(Flow::CallAt(target)),
        }
    },
    free, call EX_FREE_POOL => |p| {
        let block = p.local(3)?;
        p.pass([block, TAG]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(0)),
}

routine! {
    /// Copies the request into a block of paged pool and frees it.
    pub static COPY_TO_PAGED_POOL = "CopyToPagedPool", frame 4;
    // Locals: 0 request; 1 bytes; 2 page; 3 block.
    keep => keep_bounded,
    allocate, call EX_ALLOCATE_POOL, of DriverData => |p| {
        p.pass([BLOCK_BYTES, TAG, state::PAGED]);
        Ok(Flow::Call)
    },
    copy, call COPY_TO_BLOCK => copy,
    free, call EX_FREE_POOL => |p| {
        let block = p.local(3)?;
        p.pass([block, TAG]);
        Ok(Flow::Call)
    },
    done => |p| Ok(p.give_back(0)),
}
