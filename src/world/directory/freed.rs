//! Memory that was freed, as whoever runs may still have a pointer to it.

use crate::base::VirtAddr;
use crate::injection::Scene;
use crate::kernel::layout::{address, pool_lists};
use crate::world::action::{SLOTS_MAX, place};

use super::{generations, pointer, word};

/// What whoever runs may use after it was freed: in kernel mode a block of the pool; in user mode, which has no
/// pool, a page of its own.
#[must_use]
pub fn freed(scene: &dyn Scene) -> Vec<u64> {
    if scene.instruction_pointer() >> 63 == 0 {
        freed_pages(scene)
    } else {
        free_pool_blocks(scene)
    }
}

/// The pages of the running process's heap that it freed and whose addresses it has kept, by slot. One that was
/// handed out again is nobody's mistake to use.
fn freed_pages(scene: &dyn Scene) -> Vec<u64> {
    let slots = address::USER_BUFFERS + place::SLOTS;
    let kept = (0..u64::from(SLOTS_MAX)).filter_map(|slot| word(scene, slots + slot * 8));
    let is_freed = |page: &u64| {
        (address::USER_HEAP..address::USER_VIEWS).contains(page)
            && scene.translate(VirtAddr(*page)).is_none()
    };
    kept.filter(is_freed).collect()
}

/// The first block of each of the pool's free lists, the bodies' addresses.
#[must_use]
pub fn free_pool_blocks(scene: &dyn Scene) -> Vec<u64> {
    if let Some(key) = generations::key(scene) {
        return generations::free_blocks(scene, key);
    }
    (0..4)
        .filter_map(|class| {
            pointer(scene, address::KERNEL_DATA + pool_lists::FREE_64.offset + class * 8)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::injection::fake::FakeScene;

    #[test]
    fn in_user_mode_it_is_a_page_whose_address_the_process_kept_and_in_kernel_mode_a_block() {
        let mut scene = FakeScene::new();
        let slot = |number: u64| address::USER_BUFFERS + place::SLOTS + number * 8;
        let page = |number: u64| address::USER_HEAP + number * 4096;
        scene.map(address::KERNEL_DATA, 1).map(address::USER_BUFFERS, 2).map(page(0), 3);
        scene
            .put(address::KERNEL_DATA + pool_lists::FREE_128.offset, 0x8010)
            .put(slot(0), 4)
            .put(slot(1), page(0))
            .put(slot(2), page(1))
            .put(slot(15), page(7));

        scene.rip = address::USER_CODE;
        assert_eq!(freed(&scene), [page(1), page(7)]);
        scene.rip = address::KERNEL_CODE;
        assert_eq!(freed(&scene), [0x8010]);
    }
}
