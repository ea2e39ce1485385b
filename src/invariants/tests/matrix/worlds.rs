//! Worlds in which one weakness shows.

/// A process that the system cannot do without ends; another one has work to do.
pub(super) const STOPPED: &str = r#"
    steps-max = 4000
    [[components]]
    name = "service"
    home = "application"
    critical = true
    actions = [{ do = "load", word = 1 }, { do = "crash", how = "null-dereference" }]
    [[components]]
    name = "worker"
    home = "application"
    actions = [
        { do = "load", word = 1 }, { do = "load", word = 1 }, { do = "load", word = 1 },
        { do = "load", word = 1 }, { do = "load", word = 1 }, { do = "load", word = 1 },
        { do = "load", word = 1 }, { do = "load", word = 1 }, { do = "load", word = 1 },
        { do = "load", word = 1 }, { do = "load", word = 1 }, { do = "load", word = 1 },
        { do = "load", word = 1 }, { do = "load", word = 1 }, { do = "load", word = 1 },
    ]
"#;

/// A driver host that crashes at every request, until its device is given up, and somebody who has
/// nothing to do with it and looks at new memory afterwards.
pub(super) const CLIENT: &str = r#"
    [machine]
    processors = 1
    [[components]]
    name = "client"
    home = "application"
    actions = [
        { do = "open", device = "reflector", access = 3, slot = 0 },
        { do = "control", slot = 0, code = "0x220000", length = 8, value = "0x2" },
        { do = "close", slot = 0 },
        { do = "open", device = "reflector", access = 3, slot = 0 },
        { do = "control", slot = 0, code = "0x220000", length = 8, value = "0x2" },
        { do = "close", slot = 0 },
        { do = "open", device = "reflector", access = 3, slot = 0 },
        { do = "control", slot = 0, code = "0x220000", length = 8, value = "0x2" },
        { do = "close", slot = 0 },
        { do = "open", device = "reflector", access = 3, slot = 0 },
        { do = "control", slot = 0, code = "0x220000", length = 8, value = "0x2" },
        { do = "close", slot = 0 },
        { do = "open", device = "reflector", access = 3, slot = 0 },
        { do = "control", slot = 0, code = "0x220000", length = 8, value = "0x2" },
        { do = "close", slot = 0 },
        { do = "open", device = "reflector", access = 3, slot = 0 },
        { do = "control", slot = 0, code = "0x220000", length = 8, value = "0x2" },
        { do = "wait" },
    ]
    [[components]]
    name = "bystander"
    home = "application"
    actions = [
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "allocate", slot = 1 },
        { do = "allocate", slot = 2 },
        { do = "allocate", slot = 3 },
        { do = "allocate", slot = 4 },
        { do = "allocate", slot = 5 },
        { do = "allocate", slot = 6 },
        { do = "allocate", slot = 7 },
        { do = "allocate", slot = 8 },
        { do = "load-through", slot = 5, word = 503 },
        { do = "load-through", slot = 5, word = 501 },
        { do = "load-through", slot = 6, word = 0 },
        { do = "load-through", slot = 6, word = 1 },
        { do = "load-through", slot = 6, word = 2 },
        { do = "load-through", slot = 7, word = 0 },
    ]
    [[components]]
    name = "reflector"
    home = "kernel-driver"
    driver = "reflector"
    [[components]]
    name = "parser"
    home = "driver-host"
    driver = "parser"
    above = "reflector"
    content = 20
"#;

/// One processor, and a process that never waits while another one's request is completed.
pub(super) const BUSY: &str = r#"
    steps-max = 6000
    [machine]
    processors = 1
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "open", device = "nic", access = 3, slot = 0 },
        { do = "control", slot = 0, code = "0x0", length = 64, value = "0x1000" },
    ]
    [[components]]
    name = "busy"
    home = "application"
    actions = [{ do = "spin" }]
    [[components]]
    name = "nic"
    home = "kernel-driver"
    driver = "transfer"
"#;

/// One writes through system buffers what the other, who asks for two words of statistics, is not
/// to see.
pub(super) const PRINTER: &str = r#"
    [[components]]
    name = "writer"
    home = "application"
    actions = [
        { do = "open", device = "files", file = 0, access = 3, slot = 0 },
        { do = "write", slot = 0, offset = 0, length = 64, value = "0x9000" },
    ]
    [[components]]
    name = "reader"
    home = "application"
    actions = [
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "open", device = "nic", file = 0, access = 3, slot = 1 },
        { do = "read", slot = 1, offset = 0, length = 64 },
    ]
    [[components]]
    name = "files"
    home = "file-system"
    driver = "file-system"
    [[components]]
    name = "nic"
    home = "kernel-driver"
    driver = "transfer"
"#;

/// Two who share nothing. The one gets no further; the other looks at new memory.
pub(super) const NEIGHBOURS: &str = r#"
    [[components]]
    name = "editor"
    home = "application"
    actions = [
        { do = "store", word = 0, value = "0x11" },
        { do = "store", word = 8, value = "0x12" },
        { do = "crash", how = "abort" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
    ]
    [[components]]
    name = "shell"
    home = "application"
    actions = [
        { do = "store", word = 0, value = "0x21" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "allocate", slot = 1 },
        { do = "allocate", slot = 2 },
        { do = "allocate", slot = 3 },
        { do = "allocate", slot = 4 },
        { do = "allocate", slot = 5 },
        { do = "allocate", slot = 6 },
        { do = "allocate", slot = 7 },
        { do = "allocate", slot = 8 },
        { do = "load-through", slot = 1, word = 0 },
        { do = "load-through", slot = 2, word = 0 },
        { do = "load-through", slot = 3, word = 0 },
        { do = "load-through", slot = 4, word = 0 },
        { do = "load-through", slot = 5, word = 0 },
        { do = "load-through", slot = 6, word = 0 },
        { do = "load-through", slot = 7, word = 0 },
        { do = "load-through", slot = 8, word = 0 },
        { do = "load", word = 0 },
    ]
"#;

/// One who uses a page after giving it back, and one who gets it.
pub(super) const REUSED: &str = r#"
    [[components]]
    name = "former"
    home = "application"
    actions = [
        { do = "allocate", slot = 1 },
        { do = "store-through", slot = 1, word = 0, value = "0x31" },
        { do = "free", slot = 1 },
        { do = "load", word = 1 }, { do = "load", word = 1 }, { do = "load", word = 1 },
        { do = "load", word = 1 }, { do = "load", word = 1 }, { do = "load", word = 1 },
        { do = "load", word = 1 }, { do = "load", word = 1 }, { do = "load", word = 1 },
        { do = "load", word = 1 }, { do = "load", word = 1 }, { do = "load", word = 1 },
        { do = "load-through", slot = 1, word = 0 },
        { do = "store-through", slot = 1, word = 0, value = "0x32" },
    ]
    [[components]]
    name = "heir"
    home = "application"
    actions = [
        { do = "allocate", slot = 1 },
        { do = "allocate", slot = 2 },
        { do = "allocate", slot = 3 },
        { do = "allocate", slot = 4 },
        { do = "allocate", slot = 5 },
    ]
"#;

/// A process and its child.
pub(super) const APART: &str = r#"
    [[components]]
    name = "parent"
    home = "application"
    actions = [
        { do = "create-process", process = "child", first = 2, inherit = false, slot = 5 },
        { do = "exit", status = 0 },
        { do = "load", word = 1 },
    ]
    [[components]]
    name = "child"
    home = "application"
    spawned = true
"#;

/// A process gives its child a handle by inheritance and by duplication; both stay, and so does
/// somebody else.
pub(super) const WAITING: &str = r#"
    [[components]]
    name = "parent"
    home = "application"
    actions = [
        { do = "create-event", slot = 1 },
        { do = "set-handle", slot = 1, inherit = true },
        { do = "create-process", process = "child", first = 6, inherit = true, slot = 5 },
        { do = "create-event", slot = 2 },
        { do = "duplicate", slot = 2, process = 5, access = 0 },
        { do = "wait" },
        { do = "set-event", slot = 1 },
        { do = "wait" },
    ]
    [[components]]
    name = "other"
    home = "application"
    actions = [{ do = "wait" }]
    [[components]]
    name = "child"
    home = "application"
    spawned = true
"#;

/// Two who take turns on one processor.
pub(super) const TURNS: &str = r#"
    [machine]
    processors = 1
    [[components]]
    name = "one"
    home = "application"
    actions = [
        { do = "store", word = 0, value = "0x41" },
        { do = "yield" },
        { do = "load", word = 0 },
        { do = "store", word = 0, value = "0x42" },
        { do = "yield" },
        { do = "load", word = 0 },
    ]
    [[components]]
    name = "other"
    home = "application"
    actions = [
        { do = "store", word = 0, value = "0x51" },
        { do = "yield" },
        { do = "load", word = 0 },
        { do = "store", word = 0, value = "0x52" },
        { do = "yield" },
        { do = "load", word = 0 },
    ]
"#;

/// One who starts a device's transfer with instructions of its own, to memory that is nobody's.
pub(super) const PORTS: &str = r#"
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "port-out", port = 0, value = "0x1f0000" },
        { do = "port-out", port = 1, value = "0x1" },
        { do = "port-out", port = 3, value = "0x2" },
        { do = "port-in", port = 4 },
    ]
"#;

/// One who reads the data of a kernel-mode driver.
pub(super) const OPEN: &str = r#"
    [[components]]
    name = "app"
    home = "application"
    actions = [{ do = "access", address = "0xfffff80000068000", access = "read" }]
    [[components]]
    name = "nic"
    home = "kernel-driver"
    driver = "transfer"
"#;

/// One who gives a page back that it has used, where user mode runs on shadow roots with identifiers of
/// their own.
pub(super) const SHADOWED: &str = r#"
    [machine]
    processors = 1
    kva-shadow = true
    pcid = true
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "allocate", slot = 0 },
        { do = "store-through", slot = 0, word = 3, value = "0x9" },
        { do = "free", slot = 0 },
        { do = "yield" },
    ]
"#;

/// One who reads a variable of the kernel's.
pub(super) const PRYING: &str = r#"
    [[components]]
    name = "app"
    home = "application"
    actions = [{ do = "access", address = "0xfffff80000100028", access = "read" }]
"#;

/// One who is ended while the host of a device has its request.
pub(super) const LATE: &str = r#"
    steps-max = 16000
    [machine]
    processors = 1
    host-time-out = 500
    [[components]]
    name = "desktop"
    home = "application"
    actions = [
        { do = "create-process", process = "reader", first = 14, inherit = false, slot = 1 },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "terminate", slot = 1, status = 1 },
        { do = "exit", status = 0 },
        { do = "open", device = "meter", access = 3, slot = 0 },
        { do = "open", device = "meter", access = 3, slot = 0 },
        { do = "control", slot = 0, code = "0x220000", length = 256, value = "0x1" },
    ]
    [[components]]
    name = "reader"
    home = "application"
    spawned = true
    [[components]]
    name = "meter"
    home = "kernel-driver"
    driver = "reflector"
    [[components]]
    name = "meter-host"
    home = "driver-host"
    driver = "meter"
    above = "meter"
"#;

/// As [`LATE`], at another moment: the host is at work and answers.
pub(super) const ANSWERED: &str = r#"
    steps-max = 16000
    schedule = "0x4"
    [machine]
    host-time-out = 3000
    [[components]]
    name = "desktop"
    home = "application"
    actions = [
        { do = "create-process", process = "reader", first = 6, inherit = false, slot = 1 },
        { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "terminate", slot = 1, status = 1 },
        { do = "exit", status = 0 },
        { do = "open", device = "meter", access = 3, slot = 0 },
        { do = "control", slot = 0, code = "0x220000", length = 256, value = "0x1" },
    ]
    [[components]]
    name = "reader"
    home = "application"
    spawned = true
    [[components]]
    name = "meter"
    home = "kernel-driver"
    driver = "reflector"
    [[components]]
    name = "meter-host"
    home = "driver-host"
    driver = "meter"
    above = "meter"
"#;

/// A process makes a handle to itself of the pseudo-handle, with the right to be ended alone.
pub(super) const ONESELF: &str = r#"
    [[components]]
    name = "self-made"
    home = "application"
    actions = [
        { do = "system-call", service = 11, arguments = ["0xffffffffffffffff", "0xffffffffffffffff", "0x10"] },
        { do = "load", word = 1 },
    ]
"#;
