//! What a handle's value says: whose table it means, and which entry there.
//!
//! The low two bits are ignored, kernel handles are told by the high bits, and two values are in no table.

use super::layout::HANDLES_MAX;

/// The bits that tell a kernel handle.
pub const KERNEL_HANDLE: u64 = 0xffff_ffff_8000_0000;
/// The pseudo-handle that stands for whichever process uses it.
pub const CURRENT_PROCESS: u64 = u64::MAX;
/// The pseudo-handle that stands for whichever thread uses it, whosever table is meant.
pub const CURRENT_THREAD: u64 = u64::MAX - 1;

/// Whether a value is a pseudo-handle, which is in no table.
#[must_use]
pub const fn is_pseudo_handle(handle: u64) -> bool {
    handle == CURRENT_PROCESS || handle == CURRENT_THREAD
}

/// Whether a value names an entry of the kernel's table.
#[must_use]
pub const fn is_kernel_handle(handle: u64) -> bool {
    handle & KERNEL_HANDLE == KERNEL_HANDLE && !is_pseudo_handle(handle)
}

/// Where a handle's entry lies in the table at `table`, with the mark of kernel handles aside when
/// it is the kernel's table; `None` for a value that has none.
#[must_use]
pub const fn entry_in(table: u64, handle: u64, is_kernels: bool) -> Option<u64> {
    entry_of(table, if is_kernels { handle & !KERNEL_HANDLE } else { handle })
}

/// Where a handle's entry lies in the table at `table`; `None` for a value that has none.
#[must_use]
pub const fn entry_of(table: u64, handle: u64) -> Option<u64> {
    let index = handle >> 2;
    if table == 0 || index == 0 || index > HANDLES_MAX {
        return None;
    }
    Some(table.wrapping_add((index - 1) * 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_low_two_bits_of_a_handle_are_ignored() {
        for tag in 0..4 {
            assert_eq!(entry_of(0x1000, 8 + tag), Some(0x1010));
        }
    }

    #[test]
    fn a_kernel_handle_is_told_by_its_high_bits_and_the_pseudo_handle_is_none() {
        let handle = KERNEL_HANDLE | 8;

        assert!(is_kernel_handle(handle) && !is_kernel_handle(8));
        assert!(!is_kernel_handle(CURRENT_PROCESS));
        assert!(!is_kernel_handle(CURRENT_THREAD));
        assert_eq!(entry_in(0x1000, handle, true), Some(0x1010));
        assert_eq!(entry_in(0x1000, handle, false), None);
    }

    #[test]
    fn values_outside_the_table_have_no_entry() {
        assert_eq!(entry_of(0x1000, 3), None);
        assert_eq!(entry_of(0x1000, 4 * HANDLES_MAX), Some(0x1000 + (HANDLES_MAX - 1) * 16));
        assert_eq!(entry_of(0x1000, 4 * HANDLES_MAX + 4), None);
        assert_eq!(entry_of(0x1000, u64::MAX), None);
        assert_eq!(entry_of(0, 4), None);
    }
}
