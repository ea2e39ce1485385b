//! Numbers out of bytes that never run out: past the end there are zeros.

/// What is left of an input.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// The whole input.
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let len = N.min(self.0.len());
        let (head, rest) = self.0.split_at(len);
        taken[..len].copy_from_slice(head);
        self.0 = rest;
        taken
    }

    /// The next byte.
    pub(crate) fn u8(&mut self) -> u8 {
        let [byte] = self.take();
        byte
    }

    /// The next two bytes, little endian.
    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    /// The next four bytes, little endian.
    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    /// The next eight bytes, little endian.
    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}
