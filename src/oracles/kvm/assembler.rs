//! Machine code from bytes written down by hand, with its jumps resolved.

use std::collections::BTreeMap;

/// Code for one address. Each call of [`op`](Self::op) and its kin is one instruction.
pub(super) struct Assembler {
    base: u64,
    bytes: Vec<u8>,
    labels: BTreeMap<&'static str, usize>,
    /// Where a 32-bit displacement waits for a label.
    jumps: Vec<(usize, &'static str)>,
}

impl Assembler {
    pub(super) fn at(base: u64) -> Self {
        Self { base, bytes: Vec::new(), labels: BTreeMap::new(), jumps: Vec::new() }
    }

    /// An instruction as it is.
    pub(super) fn op(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// An instruction that ends in a 32-bit displacement or immediate value.
    pub(super) fn op32(&mut self, bytes: &[u8], value: u32) {
        self.op(bytes);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A jump to a label.
    pub(super) fn jump(&mut self, bytes: &[u8], label: &'static str) {
        self.op32(bytes, 0);
        self.jumps.push((self.bytes.len() - 4, label));
    }

    pub(super) fn label(&mut self, name: &'static str) {
        let earlier = self.labels.insert(name, self.bytes.len());
        assert_eq!(earlier, None, "{name} is one place");
    }

    /// Fills with INT3 up to a multiple of `bytes`.
    pub(super) fn align(&mut self, bytes: usize) {
        while !self.bytes.len().is_multiple_of(bytes) {
            self.bytes.push(0xcc);
        }
    }

    /// The code and the addresses of its labels.
    pub(super) fn finish(mut self) -> (Vec<u8>, BTreeMap<&'static str, u64>) {
        for (at, label) in self.jumps {
            let target = self.labels[label];
            // Counted from the end of the displacement, which ends each jump (Intel SDM volume 2,
            // "JMP").
            let distance = i32::try_from(target).expect("a page of code")
                - i32::try_from(at + 4).expect("a page of code");
            self.bytes[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        let base = self.base;
        let labels = self.labels.into_iter().map(|(name, at)| (name, base + at as u64));
        (self.bytes, labels.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_reach_labels_before_and_behind_them() {
        let mut code = Assembler::at(0x1000);
        code.label("first");
        code.op(&[0x90]);
        code.jump(&[0xe9], "last");
        code.jump(&[0x0f, 0x85], "first");
        code.align(16);
        code.label("last");
        code.op32(&[0xb9], 0x0403_0201);

        let (bytes, labels) = code.finish();

        assert_eq!(bytes[..12], [0x90, 0xe9, 10, 0, 0, 0, 0x0f, 0x85, 0xf4, 0xff, 0xff, 0xff]);
        assert_eq!(bytes[12..], [0xcc, 0xcc, 0xcc, 0xcc, 0xb9, 1, 2, 3, 4]);
        assert_eq!(labels, BTreeMap::from([("first", 0x1000), ("last", 0x1010)]));
    }
}
