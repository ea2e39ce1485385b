//! The header in front of a block, plain or encoded.
//!
//! 16 bytes. The first word has, from its lowest byte: size of the block before, a byte that is zero
//! or a check, size of the block, type, and four bytes of tag; sizes are in units of 16 bytes and
//! count the header ("Windows kernel segment heap", bsodtutorials: previous size, index, size, type,
//! tag; that the whole is 16 bytes is not documented). So an overrun of one byte changes the previous
//! size, of four the type, of more the tag. The second word is nobody's in the plain form; in the
//! encoded form it says the sizes once more, so that what is written right in front of a block shows.
//!
//! Encoding follows what is public of the segment heap: a header is combined with a key and its own
//! address. Which bits check which is this model's own.

/// Bytes of a header.
pub const BYTES: u64 = 16;
/// The unit of sizes.
pub const UNIT: u64 = 16;
/// The smallest block that can be on a list.
pub const LISTED_MIN: u64 = 32;
/// The largest block, with its header: larger ones are whole pages.
pub const BLOCK_MAX: u64 = 4096 - UNIT;

/// Types: free.
pub const FREE: u64 = 0;
/// Types: in use, nonpaged; plus 1: paged.
pub const IN_USE: u64 = 2;

/// What a header says. Sizes in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Size of the block before, 0 for the first of a page.
    pub before: u64,
    /// Size of the block.
    pub size: u64,
    /// Its type.
    pub kind: u64,
    /// Its tag.
    pub tag: u64,
}

impl Header {
    /// Whether the type is one of a block in use.
    #[must_use]
    pub const fn is_in_use(&self) -> bool {
        matches!(self.kind, 2 | 3)
    }

    const fn plain(&self) -> u64 {
        (self.before / UNIT) & 0xff
            | ((self.size / UNIT) & 0xff) << 16
            | (self.kind & 0xff) << 24
            | self.tag << 32
    }

    const fn of_plain(word: u64) -> Self {
        Self {
            before: (word & 0xff) * UNIT,
            size: (word >> 16 & 0xff) * UNIT,
            kind: word >> 24 & 0xff,
            tag: word >> 32,
        }
    }
}

/// Which words of an encoded header don't decode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Undecodable {
    /// The first.
    pub first: bool,
    /// The second, which lies right in front of the block.
    pub second: bool,
}

/// The check byte of a first word whose check byte is zero.
const fn check(plain: u64) -> u64 {
    let folded = plain ^ plain >> 32;
    let folded = folded ^ folded >> 16;
    (folded ^ folded >> 8 ^ 0x5a) & 0xff
}

/// What an encoded first word is combined with.
const fn mask(key: u64, at: u64) -> u64 {
    key ^ (at >> 4).rotate_left(23)
}

/// What an encoded second word is combined with.
const fn second_mask(key: u64, at: u64) -> u64 {
    key.rotate_left(32) ^ at
}

/// The second word that goes with a first word.
const fn second(plain: u64) -> u64 {
    plain.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The words of a header at an address. With key 0 it is plain and the second word is left alone:
/// `None`.
#[must_use]
pub const fn seal(key: u64, at: u64, header: &Header) -> (u64, Option<u64>) {
    let plain = header.plain();
    if key == 0 {
        return (plain, None);
    }
    let checked = plain | check(plain) << 8;
    (checked ^ mask(key, at), Some(second(checked) ^ second_mask(key, at)))
}

/// What the words of a header at an address say.
///
/// # Errors
///
/// Which words don't decode. A plain one always does.
pub const fn open(key: u64, at: u64, words: (u64, u64)) -> Result<Header, Undecodable> {
    if key == 0 {
        return Ok(Header::of_plain(words.0));
    }
    let first = words.0 ^ mask(key, at);
    let plain = first & !0xff00;
    let says = words.1 ^ second_mask(key, at);
    let first_is_good = first >> 8 & 0xff == check(plain);
    let second_is_good = says == second(first);
    // The second word depends on the first: where both differ, the first one's own check decides
    // whether the second alone was written.
    match (first_is_good, second_is_good) {
        (_, true) => Ok(Header::of_plain(plain)),
        (true, false) => Err(Undecodable { first: false, second: true }),
        // Which first word would go with the second? If there is one it is the first that changed.
        (false, false) => {
            let other = says.wrapping_mul(INVERSE);
            let intact = other >> 8 & 0xff == check(other & !0xff00);
            Err(Undecodable { first: true, second: !intact })
        }
    }
}

/// The inverse of the multiplier of [`second`] modulo 2^64.
const INVERSE: u64 = {
    let odd = 0x9e37_79b9_7f4a_7c15_u64;
    let mut inverse = odd;
    let mut round = 0;
    while round < 6 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
};

/// A link of a free list as it stands in memory at an address, or the other way round.
#[must_use]
pub const fn link(key: u64, at: u64, value: u64) -> u64 {
    if key == 0 { value } else { value ^ mask(key, at).rotate_left(11) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { before: 64, size: 4080, kind: 2, tag: 0x2070_7249 };
    const AT: u64 = 0xffff_fa80_0000_1040;

    #[test]
    fn a_plain_header_is_laid_out_as_documented() {
        let (first, second) = seal(0, AT, &HEADER);

        assert_eq!((first, second), (0x2070_7249_02ff_0004, None));
        assert_eq!(open(0, AT, (first, 7)), Ok(HEADER));
    }

    #[test]
    fn an_encoded_header_decodes_at_its_address_and_with_its_key_only() {
        let (first, second) = seal(0x1234_5678_9abc_def1, AT, &HEADER);
        let words = (first, second.expect("it has two"));

        assert_eq!(open(0x1234_5678_9abc_def1, AT, words), Ok(HEADER));
        assert!(open(0x1234_5678_9abc_def3, AT, words).is_err());
        assert!(open(0x1234_5678_9abc_def1, AT + 64, words).is_err());
    }

    #[test]
    fn each_flipped_bit_is_told_and_in_which_word() {
        let (first, second) = seal(0xdead_beef_0bad_cafe, AT, &HEADER);
        let second = second.expect("it has two");

        for bit in 0..64 {
            let one = open(0xdead_beef_0bad_cafe, AT, (first ^ 1 << bit, second));
            let other = open(0xdead_beef_0bad_cafe, AT, (first, second ^ 1 << bit));

            assert!(one.is_err_and(|words| words.first), "{bit}");
            assert_eq!(other, Err(Undecodable { first: false, second: true }), "{bit}");
        }
    }

    #[test]
    fn a_link_is_its_own_inverse() {
        let there = link(0xdead_beef_0bad_cafe, AT, 0xffff_fa80_0000_2000);

        assert_eq!(link(0xdead_beef_0bad_cafe, AT, there), 0xffff_fa80_0000_2000);
    }
}
