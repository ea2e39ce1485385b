//! The components of the picture: what runs in user mode, and the drivers that run in kernel mode.
//!
//! | module | box |
//! |---|---|
//! | [`application`], [`stack_segment`] | applications |
//! | [`windows_api`] | Windows API |
//! | [`driver_host`], [`driver_manager`] | user-mode drivers |
//! | [`transfer_driver`], [`filter_driver`], [`reflector`], [`parser`], [`meter`], [`record_driver`], [`scanner`], [`vulnerable`], [`object_driver`], [`buffer_driver`], [`direct_buffer`], [`pageable_driver`], [`display_driver`] | other kernel-mode drivers |
//! | [`file_system`] | file-system drivers |
//! | [`control_codes`] | and what their functions are called |

pub mod application;
pub mod buffer_driver;
pub mod control_codes;
pub mod direct_buffer;
pub mod display_driver;
pub mod driver_host;
pub mod driver_manager;
pub mod file_system;
pub mod filter_driver;
mod home;
pub mod meter;
pub mod object_driver;
pub mod pageable_driver;
pub mod parser;
pub mod record_driver;
pub mod reflector;
pub mod reflector_timed;
pub mod rules;
pub mod scanner;
pub mod stack_segment;
pub mod transfer_driver;
pub mod vulnerable;
pub mod windows_api;

use crate::base::PrincipalKind;
use crate::kernel::host::extension;
use crate::kernel::layout::address;
use crate::kernel::loader::{FirstProcess, Loader};

use super::driver::{DriverDefinition, Drivers, HostDefinition};

/// The drivers this crate brings.
#[must_use]
pub fn drivers() -> Drivers {
    let kind = PrincipalKind::KernelDriver;
    Drivers {
        kernel: vec![
            DriverDefinition {
                name: "transfer",
                kind,
                routines: transfer_driver::ROUTINES,
                pageable: &[],
                dispatch: transfer_driver::DISPATCH,
                prepare: transfer_driver::prepare,
                owns: transfer_driver::OWNS,
                section: &[],
            },
            DriverDefinition {
                name: "filter",
                kind,
                routines: filter_driver::ROUTINES,
                pageable: &[],
                dispatch: filter_driver::DISPATCH,
                prepare: filter_driver::prepare,
                owns: &[],
                section: &[],
            },
            DriverDefinition {
                name: "reflector",
                kind,
                routines: reflector::ROUTINES,
                pageable: &[],
                dispatch: reflector::DISPATCH,
                prepare: reflector::prepare,
                owns: &[],
                section: &[],
            },
            DriverDefinition {
                name: "parser",
                kind,
                routines: parser::ROUTINES,
                pageable: &[],
                dispatch: parser::DISPATCH,
                prepare: parser::prepare,
                owns: &[],
                section: &[],
            },
            DriverDefinition {
                name: "parser-bounded",
                kind,
                routines: parser::ROUTINES,
                pageable: &[],
                dispatch: parser::DISPATCH,
                prepare: parser::prepare_bounded,
                owns: &[],
                section: &[],
            },
            DriverDefinition {
                name: "meter",
                kind,
                routines: meter::ROUTINES,
                dispatch: meter::DISPATCH,
                prepare: meter::prepare,
                owns: &[],
                section: &[],
                pageable: &[],
            },
            DriverDefinition {
                name: "objects",
                kind,
                routines: object_driver::ROUTINES,
                pageable: &[],
                dispatch: object_driver::DISPATCH,
                prepare: object_driver::prepare,
                owns: &[],
                section: &[],
            },
            DriverDefinition {
                name: "buffers",
                kind,
                routines: buffer_driver::ROUTINES,
                pageable: &[],
                dispatch: buffer_driver::DISPATCH,
                prepare: buffer_driver::prepare,
                owns: &[],
                section: &[],
            },
            DriverDefinition {
                name: "display",
                kind,
                routines: display_driver::ROUTINES,
                pageable: &[],
                dispatch: display_driver::DISPATCH,
                prepare: display_driver::prepare,
                owns: &[],
                section: &[],
            },
            DriverDefinition {
                name: "display-without-recovery",
                kind,
                routines: display_driver::ROUTINES,
                pageable: &[],
                dispatch: display_driver::DISPATCH,
                prepare: display_driver::prepare_without_recovery,
                owns: &[],
                section: &[],
            },
            DriverDefinition {
                name: "pageable",
                kind,
                routines: pageable_driver::ROUTINES,
                pageable: pageable_driver::PAGEABLE,
                dispatch: pageable_driver::DISPATCH,
                prepare: pageable_driver::prepare,
                owns: &[],
                section: &[],
            },
            DriverDefinition {
                name: "record",
                kind,
                routines: record_driver::ROUTINES,
                pageable: &[],
                dispatch: record_driver::DISPATCH,
                prepare: record_driver::prepare,
                owns: &[],
                section: &[],
            },
            DriverDefinition {
                name: "transfer-in-place",
                kind,
                routines: transfer_driver::ROUTINES,
                pageable: &[],
                dispatch: transfer_driver::DISPATCH,
                prepare: transfer_driver::prepare_in_place,
                owns: transfer_driver::OWNS,
                section: &[],
            },
            DriverDefinition {
                name: "vulnerable",
                kind,
                routines: vulnerable::ROUTINES,
                pageable: &[],
                dispatch: vulnerable::DISPATCH,
                prepare: vulnerable::prepare,
                owns: &[],
                section: vulnerable::SECTION,
            },
            DriverDefinition {
                name: "vulnerable-kernel-only",
                kind,
                routines: vulnerable::ROUTINES,
                pageable: &[],
                dispatch: vulnerable::DISPATCH,
                prepare: vulnerable::prepare_kernel_only,
                owns: &[],
                section: vulnerable::SECTION,
            },
            DriverDefinition {
                name: "scanner",
                kind,
                routines: scanner::ROUTINES,
                pageable: &[],
                dispatch: scanner::DISPATCH,
                prepare: scanner::prepare,
                owns: &[],
                section: &[],
            },
            DriverDefinition {
                name: "file-system",
                kind: PrincipalKind::FileSystem,
                routines: file_system::ROUTINES,
                pageable: &[],
                dispatch: file_system::DISPATCH,
                prepare: file_system::prepare,
                owns: file_system::OWNS,
                section: &[],
            },
        ],
        hosted: vec![
            HostDefinition {
                name: "sensor",
                routines: driver_host::SENSOR_ROUTINES,
                prepare: driver_host::prepare_sensor,
            },
            HostDefinition {
                name: "parser",
                routines: driver_host::PARSER_ROUTINES,
                prepare: driver_host::prepare_parser,
            },
            HostDefinition {
                name: "parser-bounded",
                routines: driver_host::PARSER_ROUTINES,
                prepare: parser::prepare_bounded,
            },
            HostDefinition {
                name: "meter",
                routines: driver_host::METER_ROUTINES,
                prepare: meter::prepare,
            },
            HostDefinition {
                name: "buffers",
                routines: driver_host::BUFFER_ROUTINES,
                prepare: driver_host::prepare_sensor,
            },
            HostDefinition {
                name: "vulnerable",
                routines: driver_host::VULNERABLE_ROUTINES,
                prepare: driver_host::prepare_vulnerable,
            },
            HostDefinition {
                name: "record",
                routines: driver_host::RECORD_ROUTINES,
                prepare: driver_host::prepare_sensor,
            },
            HostDefinition {
                name: "scanner",
                routines: driver_host::SCANNER_ROUTINES,
                prepare: driver_host::prepare_sensor,
            },
        ],
    }
}

/// Tells the reflector that is driver number `number`, whose image is `image`, of the host behind it:
/// its own routines, and the pattern from which a lost host is made again.
pub(super) fn register_host(
    loader: &mut Loader<'_>,
    host: &FirstProcess<'_>,
    number: u64,
    image: &str,
) {
    let pattern = loader.make_pattern(host);
    register_pattern(loader, number, image, pattern);
}

/// As [`register_host`], with a pattern that was made before.
pub(super) fn register_pattern(loader: &mut Loader<'_>, number: u64, image: &str, pattern: u64) {
    let data = reflector_data(number);
    for (field, value) in [
        (extension::TAKE, loader.entry_in(image, &reflector::REFLECT_TAKE)),
        (extension::FINISH, loader.entry_in(image, &reflector::REFLECT_FINISH)),
        (extension::LOST, loader.entry_in(image, &reflector::REFLECT_LOST)),
        (extension::PATTERN, pattern),
    ] {
        loader.put(data, field, value);
    }
}

/// The data page of driver number `number`.
pub(super) const fn reflector_data(number: u64) -> u64 {
    address::DRIVER_CODE + number * address::DRIVER_STRIDE + address::DRIVER_DATA_OFFSET
}

/// The name of a host's image: one that no component's image has.
pub(super) fn host_image(host: &HostDefinition) -> String {
    format!("{} host", host.name)
}
