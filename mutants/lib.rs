//! The translation core by itself: what `src/machine/paging` and `src/machine/tlb` import, the second
//! opinions their tests ask, what a fuzzer's bytes mean, and the bodies of two fuzz targets.

extern crate self as ringfence;

pub mod base;
#[cfg(test)]
mod fuzz;
pub mod machine {
    //! Of the machine only what translates.

    pub mod memory;
    pub mod paging;
    mod table_memory;
    pub mod tlb;
}
pub mod oracles {
    //! Of the oracles only the walk by the book.

    pub mod by_the_book;
    mod comparison;

    pub use comparison::{Disagreement, compare};
}
pub mod scenario {
    //! Of scenarios only what a fuzzer's bytes mean.

    pub mod fuzz_input {
        //! Of a fuzzer's bytes only those about translation.

        mod bytes;
        pub mod tlb;
        pub mod translation;
        mod words;

        use bytes::Bytes;
    }
}
