//! Whether an invalidation makes anything forgotten.

use super::*;

#[test]
fn an_invalidation_is_of_what_may_be_held_if_it_makes_something_forgotten() {
    let other = VirtAddr(0x40_6000);
    let told = |world: &World, virt| {
        let page = Invalidation::page(&world.controls, virt);
        let fault = Invalidation::page_fault(&world.controls, virt);
        [page, fault, Invalidation::All].map(|invalidation| world.may_hold.holds(invalidation))
    };
    let mut world = World::new(ControlFlags::NONE);
    assert_eq!(told(&world, PAGE), [false; 3], "nothing was withdrawn");

    // A page: INVLPG of another leaves it.
    world.store(PTE, 0);
    assert_eq!(told(&world, PAGE), [true; 3]);
    assert_eq!(told(&world, other), [false, false, true]);
    world.may_hold.invalidate(Invalidation::page(&world.controls, PAGE));
    assert_eq!(told(&world, PAGE), [false; 3]);

    // A table without pages: INVLPG of any address forgets the ways to tables, a fault those of its own.
    world.store(PDE, 0);
    assert_eq!(told(&world, other), [true; 3]);
    assert_eq!(told(&world, VirtAddr(0x8000_0000)), [true, false, true]);
}

#[test]
fn of_what_could_not_be_followed_anything_may_be_held() {
    let mut world = World::new(ControlFlags::NONE);
    for slot in 0..32 {
        world.words[0x1000 / 8 + slot] = 0x1000 | TABLE;
    }

    let may_hold = MayHold::new(&world.words, &world.controls);

    assert_eq!(may_hold.members(), []);
    assert!(may_hold.holds(Invalidation::page(&world.controls, PAGE)));
}
