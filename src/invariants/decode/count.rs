//! Counts that memory holds, which may be none.

/// Counts beyond this are none: the word was overwritten, or counted down below 0.
const COUNT_MAX: u64 = u32::MAX as u64;

/// A number that the kernel counts with, in words.
pub(in crate::invariants) fn number(count: u64) -> String {
    if count <= COUNT_MAX { count.to_string() } else { format!("{count:#x}") }
}

/// What the kernel counts, in words.
pub(in crate::invariants) fn counted(count: u64, what: &str) -> String {
    match count {
        0..=COUNT_MAX => crate::base::counted(count, what),
        // A word with all of its high half set is a small number below 0.
        _ if count > !COUNT_MAX => format!("{} {what}s", count.cast_signed()),
        _ => format!("{count:#x}, no count, for {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn a_count_is_told_as_a_number_and_what_is_none_as_the_word_it_is() {
        assert_eq!(counted(0, "pointer"), "0 pointers");
        assert_eq!(counted(1, "pointer"), "1 pointer");
        assert_eq!(counted(u64::MAX, "handle"), "-1 handles");
        let link = 0xffff_fa80_0000_0a90;
        assert_eq!(counted(link, "pointer"), "0xfffffa8000000a90, no count, for pointers");
    }
}
