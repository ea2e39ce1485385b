use super::*;
use crate::injection::fake::FakeScene;
use crate::kernel::layout::{PROCESS_BYTES, THREAD_BYTES};
use crate::world::configuration::{Component, Home};

fn component(name: &str, home: Home) -> Component {
    Component::new(name, home)
}

fn directory() -> Directory {
    Directory::of(&Configuration {
        components: vec![
            component("editor", Home::Application),
            component("nic", Home::KernelDriver),
        ],
        ..Configuration::default()
    })
}

const OBJECT: u64 = address::POOL + 16;

/// Kernel variables in frame 1, drivers' objects in 2, pool in 3, `editor`'s page map in 4 to 7,
/// leading to frame 8 for its buffers.
fn scene() -> FakeScene {
    let mut scene = FakeScene::new();
    scene.map(address::KERNEL_DATA, 1).map(address::IO_OBJECTS, 2).map(address::POOL, 3);
    scene
        .put(address::KERNEL_DATA + kernel_data::PROCESSES.offset + 16, OBJECT)
        .put(address::KERNEL_DATA + kernel_data::DEVICES.offset, address::IO_OBJECTS + 0x40)
        .put(address::IO_OBJECTS + 0x40, address::IO_OBJECTS)
        .put(address::POOL, 128 | 1 << 32)
        .put(address::POOL + 128, 64)
        .put(OBJECT + process::ROOT.offset, 4 << 12);
    let virt = address::USER_BUFFERS;
    for (table, level, next) in [(4, 3, 5), (5, 2, 6), (6, 1, 7), (7, 0, 8)] {
        let slot = virt >> (12 + 9 * level) & 511;
        scene.memory[usize::try_from(table * 512 + slot).expect("small")] = next << 12 | 7;
    }
    scene
}

fn phys(target: &str) -> Option<u64> {
    let target: Target = target.parse().expect("a target");
    directory().locate(&target, &scene()).map(|place| place.phys)
}

#[test]
fn a_process_is_found_through_the_process_table_and_its_own_page_map() {
    assert_eq!(phys("process:editor/root"), Some(0x3000 + 16 + process::ROOT.offset));
    assert_eq!(phys("process:editor/private-word:2"), Some(0x8000 + place::PRIVATE + 16));
    assert_eq!(
        phys("process:editor/page-table-entry:0x501"),
        Some(0x7000 + (address::USER_BUFFERS >> 12 & 511) * 8)
    );
    assert_eq!(phys("process:editor/page-map-entry:1"), Some(0x4008));
}

#[test]
fn the_words_of_a_block_are_those_behind_its_header() {
    let mut scene = scene();
    scene.put(OBJECT + process::THREAD.offset, address::POOL + 256);
    let phys = |target: &str| {
        let target: Target = target.parse().expect("a target");
        directory().locate(&target, &scene).map(|place| place.phys)
    };

    assert_eq!(phys("process:editor/object-header"), Some(0x3000 + 16));
    assert_eq!(phys("process:editor/process-block:0"), Some(0x3000 + 16 + process::ROOT.offset));
    assert_eq!(phys("process:editor/thread-block:0"), Some(0x3000 + 256 + thread::STACK.offset));
    // The first after the last is another object's.
    let words = |bytes: u64| (bytes - OBJECT_BODY) / 8;
    assert_eq!(Part::ProcessBlock.bound(), words(PROCESS_BYTES));
    assert_eq!(Part::ThreadBlock.bound(), words(THREAD_BYTES));
}

#[test]
fn the_page_map_of_user_mode_is_found_through_the_frame_of_the_full_one() {
    let mut configuration = Configuration {
        components: vec![component("editor", Home::Application)],
        ..Configuration::default()
    };
    let target: Target = "process:editor/shadow-map-entry:0x1f0".parse().expect("a target");
    let told = Directory::of(&configuration).check(&target).expect_err("there is none");
    configuration.machine.kva_shadow = true;
    let directory = Directory::of(&configuration);
    let link = address::FRAME_DATABASE + 4 * 16 + frame_entry::NEXT.offset;
    let mut scene = scene();
    scene.map(address::FRAME_DATABASE, 9);

    assert!(told.contains("`kva-shadow`"), "{told}");
    assert_eq!(directory.check(&target), Ok(()));
    assert!(directory.targets().contains(&target));
    assert_eq!(directory.locate(&target, &scene), None, "a full map without another");
    scene.put(link, SHADOWED | 10);
    let phys = directory.locate(&target, &scene).map(|place| place.phys);
    assert_eq!(phys, Some(0xa000 + 0x1f0 * 8));
    scene.put(link, SHADOWED | 1 << 40);
    assert_eq!(directory.locate(&target, &scene), None, "beyond memory");
    scene.put(OBJECT + process::ROOT.offset, 1 << 51);
    assert_eq!(directory.locate(&target, &scene), None, "a root that is nowhere");
}

#[test]
fn a_driver_is_found_through_the_device_table() {
    assert_eq!(phys("driver:nic/write-dispatch"), Some(0x2008));
    assert_eq!(phys("driver:nic/device-object:1"), Some(0x2048));
}

#[test]
fn the_pool_is_walked_by_its_headers() {
    assert_eq!(phys("kernel/pool-header:1"), Some(0x3080));
    assert_eq!(phys("kernel/pool-header:2"), None);
    assert!(!pool_blocks(&scene())[1].in_use);
}

#[test]
fn what_memory_does_not_lead_to_is_nowhere() {
    assert_eq!(phys("process:editor/thread-block:0"), None);
    assert_eq!(phys("process:editor/handle-table:0"), None);
    assert_eq!(phys("process:nobody/root"), None);
    assert_eq!(phys("physical:0xfffffffff000"), None);
}

#[test]
fn whatever_was_written_over_a_pointer_the_look_behind_it_ends() {
    let objects = [address::IO_OBJECTS + 0x40, address::KERNEL_DATA + kernel_data::DEVICES.offset];
    let process = address::KERNEL_DATA + kernel_data::PROCESSES.offset + 16;
    for at in objects.into_iter().chain([process, OBJECT + process::ROOT.offset]) {
        for value in [u64::MAX, u64::MAX - 7, 1 << 63, 1] {
            let mut scene = scene();
            scene.put(at, value);
            for target in directory().targets() {
                let _place = directory().locate(&target, &scene);
            }
            let _handles = handles(&scene);
        }
    }
}

#[test]
fn a_name_that_is_not_there_is_told_with_the_nearest() {
    let check = |text: &str| directory().check(&text.parse().expect("a target"));

    assert_eq!(check("process:editor/root"), Ok(()));
    let message = check("process:edtior/root").expect_err("unknown");
    assert!(message.contains("did you mean `editor`?"), "{message}");
    assert!(check("driver:editor/data:0").is_err(), "an application is no driver");
}

#[test]
fn every_target_drawn_from_is_one_that_can_be_there() {
    for target in directory().targets() {
        assert_eq!(directory().check(&target), Ok(()), "{target}");
        assert_eq!(target.to_string().parse(), Ok(target));
    }
}

#[test]
fn mapped_pages_are_those_the_current_root_maps() {
    let mut scene = scene();
    scene.root = 0x4000;

    assert_eq!(mapped_pages(&scene), [address::USER_BUFFERS]);
    assert_eq!(walk(&scene, 0x4000, address::USER_BUFFERS + 24), Some(0x8018));
    assert_eq!(walk(&scene, 0x4000, address::USER_DATA), None);
}
