//! Worlds in which pages are given back that other processors have used.

/// Translations are tagged with their process, and a process moves to the other processor before it
/// gives a page back.
pub(super) const MIGRANT: &str = r#"
    [machine]
    pcid = true
    [[components]]
    name = "mover"
    home = "application"
    actions = [
        { do = "allocate", slot = 1 },
        { do = "store-through", slot = 1, word = 0, value = "0x61" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "load-through", slot = 1, word = 0 },
        { do = "free", slot = 1 },
        { do = "allocate", slot = 2 },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "free", slot = 2 },
        { do = "load", word = 1 },
    ]
    [[components]]
    name = "one"
    home = "application"
    actions = [
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
    ]
    [[components]]
    name = "other"
    home = "application"
    actions = [
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" },
    ]
"#;

/// Blocks of special pool come and go, each in a page that is mapped for it.
pub(super) const SPECIAL: &str = r#"
    [machine]
    processors = 2
    verifier = ["special-pool"]
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "open", device = "printer", access = 3, slot = 0 },
        { do = "write", slot = 0, offset = 0, length = 16, value = "0x1234" },
        { do = "read", slot = 0, offset = 0, length = 16 },
    ]
    [[components]]
    name = "other"
    home = "application"
    actions = [
        { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "yield" }, { do = "load", word = 0 },
    ]
    [[components]]
    name = "printer"
    home = "kernel-driver"
    driver = "transfer"
"#;

/// Buffers of an application's are locked and mapped for a driver, where translations are tagged: another
/// process runs on the other processor when they are unmapped.
pub(super) const LOCKED: &str = r#"
    [machine]
    processors = 2
    pcid = true
    [[components]]
    name = "app"
    home = "application"
    actions = [
        { do = "open", device = "reflector", access = 3, slot = 0 },
        { do = "control", slot = 0, code = "0x220001", length = 16, value = "0x1" },
        { do = "control", slot = 0, code = "0x220002", length = 16, value = "0x1" },
        { do = "exit", status = 0 },
    ]
    [[components]]
    name = "other"
    home = "application"
    actions = [
        { do = "load", word = 0 }, { do = "yield" }, { do = "yield" }, { do = "yield" },
        { do = "allocate", slot = 1 }, { do = "yield" }, { do = "free", slot = 1 },
    ]
    [[components]]
    name = "reflector"
    home = "kernel-driver"
    driver = "reflector"
    [[components]]
    name = "host"
    home = "driver-host"
    driver = "sensor"
    above = "reflector"
"#;
