//! Worlds in which a service is asked for what it should refuse.

/// One sets an "event" that is its own process.
pub(super) const TYPES: &str = r#"
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "open-process", process = "app", access = 2, slot = 1 },
        { do = "set-event", slot = 1 },
        { do = "exit", status = 0 },
    ]
"#;

/// A driver keeps a kernel handle to an event, and its caller sets that event.
pub(super) const KERNELS: &str = r#"
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "open", device = "objects", access = 3, slot = 1 },
        { do = "control", slot = 1, code = "0x220010", length = 8, value = "0x0" },
        { do = "system-call", service = 8, arguments = ["0xffffffff80000004"] },
        { do = "load", word = 0 },
    ]
    [[components]]
    name = "objects"
    home = "kernel-driver"
    driver = "objects"
"#;

/// A parent gives its child an event by a handle to the child with another right than that to do so.
pub(super) const GIVEN: &str = r#"
    [[components]]
    name = "parent"
    home = "application"
    actions = [
        { do = "create-event", slot = 1 },
        { do = "create-process", process = "child", first = 5, inherit = false, slot = 2 },
        { do = "open-process", process = "child", access = 16, slot = 3 },
        { do = "duplicate", slot = 1, process = 3, access = 0 },
        { do = "wait" },
        { do = "wait" },
    ]
    [[components]]
    name = "child"
    home = "application"
    spawned = true
"#;

/// A parent takes the handle that its child inherited, by a handle to the child without the right to do so.
pub(super) const TAKEN: &str = r#"
    [[components]]
    name = "parent"
    home = "application"
    actions = [
        { do = "create-event", slot = 1 },
        { do = "set-handle", slot = 1, inherit = true },
        { do = "create-process", process = "child", first = 7, inherit = true, slot = 2 },
        { do = "open-process", process = "child", access = 16, slot = 3 },
        { do = "open-process", process = "parent", access = 8, slot = 4 },
        { do = "duplicate-from", source = 3, slot = 1, process = 4, access = 0 },
        { do = "exit", status = 0 },
        { do = "wait" },
    ]
    [[components]]
    name = "child"
    home = "application"
    spawned = true
"#;

/// A parent ends its child by a handle with another right than that to do so.
pub(super) const ENDED: &str = r#"
    [[components]]
    name = "parent"
    home = "application"
    actions = [
        { do = "create-process", process = "child", first = 3, inherit = false, slot = 1 },
        { do = "open-process", process = "child", access = 8, slot = 2 },
        { do = "terminate", slot = 2, status = 1 },
        { do = "wait" },
    ]
    [[components]]
    name = "child"
    home = "application"
    spawned = true
"#;

/// One has opened a device to read, and uses a control code that takes the right to write.
pub(super) const CONTROLLED: &str = r#"
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "open", device = "nic", access = 1, slot = 1 },
        { do = "control", slot = 1, code = "0x228000", length = 16, value = "0x1000" },
        { do = "load", word = 0 },
    ]
    [[components]]
    name = "nic"
    home = "kernel-driver"
    driver = "transfer"
"#;

/// One has a driver write to locked memory: a page of the file cache.
pub(super) const SYSTEMS: &str = r#"
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "open", device = "buffers", access = 3, slot = 1 },
        { do = "system-call", service = 17, arguments = ["0x4", "0x220012", "0x0", "0x0", "0xfffff80000130800", "0x10"] },
        { do = "load", word = 0 },
    ]
    [[components]]
    name = "buffers"
    home = "kernel-driver"
    driver = "buffers"
"#;

/// The same with a view that it may only read.
pub(super) const VIEWED: &str = r#"
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "open", device = "buffers", access = 3, slot = 1 },
        { do = "open-section", section = 0, access = 1, slot = 2 },
        { do = "map-view", slot = 2, view = 3 },
        { do = "system-call", service = 17, arguments = ["0x4", "0x220012", "0x0", "0x0", "0x5c0000", "0x10"] },
        { do = "load-through", slot = 3, word = 1 },
    ]
    [[components]]
    name = "buffers"
    home = "kernel-driver"
    driver = "buffers"
"#;

/// One of a process's threads gives a page back that is locked for the request of the other, before the host
/// answers that.
pub(super) const LENT: &str = r#"
    [machine]
    processors = 1
    clock-interval = 0
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "open", device = "reflector", access = 3, slot = 1 },
        { do = "allocate", slot = 2 },
        { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "create-thread", first = 8, slot = 3 },
        { do = "system-call", service = 17, arguments = ["0x4", "0x220012", "0x0", "0x0", "0x580000", "0x40"] },
        { do = "exit", status = 0 },
        { do = "free", slot = 2 },
        { do = "exit-thread", status = 0 },
    ]
    [[components]]
    name = "reflector"
    home = "kernel-driver"
    driver = "reflector"
    [[components]]
    name = "host"
    home = "driver-host"
    driver = "buffers"
    above = "reflector"
"#;

/// One asks for an event's state with room for half of it.
pub(super) const SHORT: &str = r#"
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "create-event", slot = 1 },
        { do = "system-call", service = 9, arguments = ["0x4", "0x0", "0x0", "0x0", "0x501400", "0x8"] },
        { do = "load", word = 0 },
    ]
"#;

/// One asks for memory in the system half.
pub(super) const ABOVE: &str = r#"
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "allocate-at", address = "0xfffff800001fe000", slot = 1 },
        { do = "load", word = 0 },
    ]
"#;

/// One closes a handle that it has protected.
pub(super) const KEPT: &str = r#"
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "create-event", slot = 1 },
        { do = "set-handle", slot = 1, protect = true },
        { do = "close", slot = 1 },
        { do = "wait" },
    ]
"#;

/// A parent marks one of two handles for its children.
pub(super) const MARKED: &str = r#"
    [[components]]
    name = "parent"
    home = "application"
    actions = [
        { do = "open-section", section = 0, access = 1, slot = 1 },
        { do = "open-section", section = 1, access = 1, slot = 2 },
        { do = "set-handle", slot = 2, inherit = true },
        { do = "create-process", process = "child", first = 5, inherit = true, slot = 3 },
        { do = "wait" },
        { do = "wait" },
    ]
    [[components]]
    name = "child"
    home = "application"
    spawned = true
"#;

/// One reads from a device that a host answers for.
pub(super) const ASKED: &str = r#"
    [machine]
    processors = 1
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "open", device = "reflect", access = 3, slot = 1 },
        { do = "read", slot = 1, offset = 0, length = 16 },
        { do = "wait" },
    ]
    [[components]]
    name = "reflect"
    home = "kernel-driver"
    driver = "reflector"
    [[components]]
    name = "sensor"
    home = "driver-host"
    driver = "sensor"
    above = "reflect"
"#;
