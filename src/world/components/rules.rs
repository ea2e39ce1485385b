//! Every modelled rule of the components, file by file.

use crate::base::Rule;

use super::{
    application, buffer_driver, display_driver, driver_host, driver_manager, file_system,
    filter_driver, meter, object_driver, pageable_driver, parser, record_driver, reflector,
    scanner, stack_segment, transfer_driver, vulnerable, windows_api,
};

/// The rules of each file, under the file's name.
pub const RULES: &[(&str, &[Rule])] = &[
    ("application", application::RULES),
    ("buffer-driver", buffer_driver::RULES),
    ("display-driver", display_driver::RULES),
    ("driver-host", driver_host::RULES),
    ("driver-manager", driver_manager::RULES),
    ("file-system", file_system::RULES),
    ("filter-driver", filter_driver::RULES),
    ("meter", meter::RULES),
    ("object-driver", object_driver::RULES),
    ("pageable-driver", pageable_driver::RULES),
    ("parser", parser::RULES),
    ("record-driver", record_driver::RULES),
    ("reflector", reflector::RULES),
    ("scanner", scanner::RULES),
    ("stack-segment", stack_segment::RULES),
    ("transfer-driver", transfer_driver::RULES),
    ("vulnerable", vulnerable::RULES),
    ("windows-api", windows_api::RULES),
];
