//! Blocks of the pool's other generations, as their headers tell.

use crate::injection::Scene;
use crate::kernel::layout::{POOL_HEADER_BYTES, address};
use crate::kernel::pools::header::{self, LISTED_MIN};
use crate::kernel::pools::state::{Arena, KEY, LISTS, STATE, page};

use super::{PoolBlock, word};

/// What headers are encoded with, 0 when they are plain; `None` where the pool has four classes.
pub(super) fn key(scene: &dyn Scene) -> Option<u64> {
    word(scene, STATE + KEY.offset)
}

/// The head of a list of nonpaged pool.
pub(super) fn list_head(number: u64) -> u64 {
    Arena::NONPAGED.head(number)
}

/// The blocks of nonpaged pool, page by page, as far as their headers make sense.
pub(super) fn blocks(scene: &dyn Scene, key: u64) -> Vec<PoolBlock> {
    let mut blocks = Vec::new();
    for number in 0..address::POOL_PAGES {
        let start = address::POOL + number * 4096;
        let descriptor = word(scene, Arena::NONPAGED.descriptor(start)).unwrap_or(0);
        if descriptor & 0xff != page::SMALL {
            continue;
        }
        let mut at = start;
        while at < start + 4096 {
            let words = (word(scene, at), word(scene, at + 8));
            let (Some(first), Some(second)) = words else { break };
            let Ok(header) = header::open(key, at, (first, second)) else { break };
            if header.size == 0 || at + header.size > start + 4096 {
                break;
            }
            blocks.push(PoolBlock { header: at, bytes: header.size, in_use: header.is_in_use() });
            at += header.size;
        }
    }
    blocks
}

/// The first block of each list that has one, the bodies' addresses.
pub(super) fn free_blocks(scene: &dyn Scene, key: u64) -> Vec<u64> {
    (0..LISTS)
        .filter_map(|list| {
            let head = list_head(list);
            let entry = header::link(key, head, word(scene, head)?);
            let is_block = Arena::holding(entry).is_some() && entry % 4096 >= LISTED_MIN / 2;
            (is_block && entry >= POOL_HEADER_BYTES).then_some(entry)
        })
        .collect()
}
