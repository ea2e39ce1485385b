//! Somebody who translates.

use std::hint::black_box;

/// What a translation yields where there is none.
pub(crate) const NOWHERE: u64 = u64::MAX;

/// Somebody who translates addresses of the tables it was made for.
pub(crate) trait Subject {
    fn name(&self) -> &str;

    /// Whether it really translates; a floor may not.
    fn is_checked(&self) -> bool;

    /// Where each address leads.
    fn answers(&mut self, virts: &[u64]) -> Vec<u64>;

    /// Translates one after the other, none waiting for another.
    fn independent(&mut self, virts: &[u64]);

    /// Translates one after the other, each after the one before: `None` for somebody who takes many
    /// at once.
    fn dependent(&mut self, virts: &[u64]) -> Option<()>;
}

/// One address at a time. Mark it `#[inline(always)]`: it is called in two loops, each of which is to
/// be compiled together with it.
pub(crate) trait Translate {
    /// Where `virt` leads.
    fn translate(&mut self, virt: u64) -> u64;
}

/// A subject that takes one address at a time.
struct Single<T> {
    name: &'static str,
    is_checked: bool,
    /// The answers of the last loop, taken together: of one address, its answer.
    last: u64,
    translator: T,
}

/// A subject that translates.
pub(crate) fn single(name: &'static str, translator: impl Translate + 'static) -> Box<dyn Subject> {
    Box::new(Single { name, is_checked: true, last: 0, translator })
}

/// One that may do less.
pub(crate) fn floor(
    name: &'static str,
    is_checked: bool,
    translator: impl Translate + 'static,
) -> Box<dyn Subject> {
    Box::new(Single { name, is_checked, last: 0, translator })
}

impl<T: Translate> Subject for Single<T> {
    fn name(&self) -> &str {
        self.name
    }

    fn is_checked(&self) -> bool {
        self.is_checked
    }

    fn answers(&mut self, virts: &[u64]) -> Vec<u64> {
        let mut found = Vec::new();
        for virt in virts {
            self.independent(std::slice::from_ref(virt));
            found.push(self.last);
        }
        found
    }

    #[inline(never)]
    fn independent(&mut self, virts: &[u64]) {
        let mut sum = 0;
        for &virt in virts {
            sum ^= self.translator.translate(virt);
        }
        self.last = black_box(sum);
    }

    #[inline(never)]
    fn dependent(&mut self, virts: &[u64]) -> Option<()> {
        // The compiler does not know that it is zero, so each address waits for the last answer.
        let zero = black_box(0);
        let mut last = 0;
        for &virt in virts {
            last = self.translator.translate(virt ^ (last & zero));
        }
        black_box(last);
        Some(())
    }
}

/// Many addresses at once.
pub(crate) trait TranslateMany {
    /// Where each of `virts` leads, into its place in `found`; both are equally long.
    fn translate(&mut self, virts: &[u64], found: &mut [u64]);
}

/// A subject that takes many addresses at once.
struct Many<T> {
    name: &'static str,
    translator: T,
}

/// A subject that translates many at once.
pub(crate) fn many(
    name: &'static str,
    translator: impl TranslateMany + 'static,
) -> Box<dyn Subject> {
    Box::new(Many { name, translator })
}

impl<T: TranslateMany> Subject for Many<T> {
    fn name(&self) -> &str {
        self.name
    }

    fn is_checked(&self) -> bool {
        true
    }

    fn answers(&mut self, virts: &[u64]) -> Vec<u64> {
        let mut found = vec![0; virts.len()];
        self.translator.translate(virts, &mut found);
        found
    }

    fn independent(&mut self, virts: &[u64]) {
        let mut found = [0; 1024];
        for virts in virts.chunks(1024) {
            self.translator.translate(virts, &mut found[..virts.len()]);
            black_box(&found);
        }
    }

    fn dependent(&mut self, _: &[u64]) -> Option<()> {
        None
    }
}
