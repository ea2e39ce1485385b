//! What can be asked of `ringfence translate`.

use core::ops::Range;

use clap::{Args, ValueEnum};

use crate::cli::numbers::whole;
use crate::machine::paging::x86_64 as paging;
use crate::oracles::recorded::{self, RecordedMachine};

/// Options of `translate`.
#[derive(Args, Debug)]
#[command(after_help = COLUMNS)]
pub(crate) struct TranslateArguments {
    /// A CSV file of cases; standard input when left out or `-`.
    pub(crate) file: Option<String>,
    /// Compares with the columns out, err, addr, aset and dset, and explains what disagrees.
    #[arg(long)]
    pub(crate) expect: bool,
    /// One JSON object a line instead of CSV or text.
    #[arg(long)]
    pub(crate) json: bool,
    /// MAXPHYADDR of rows without a column `mpa`.
    #[arg(long, value_name = "BITS", default_value_t = 40, value_parser = whole(36_u8, 52))]
    pub(crate) maxphyaddr: u8,
    /// Whose reading of bit 8 of PML4 and PML5 entries: ignored (intel) or reserved (amd).
    #[arg(long, value_enum, ignore_case = true, default_value_t = VendorName::Intel)]
    pub(crate) vendor: VendorName,
    /// Which accessed bits a fault leaves set: none (Bochs, KVM), or those of the entries above the
    /// leaf that were passed, each of which named a table. QEMU 7.2 and Unicorn set these too, and
    /// further ones that are not set here: of a PDPTE that is a 1-GiB page, and of the leaf of a
    /// read-modify-write whose read succeeded. The manuals leave it open.
    #[arg(long, value_enum, default_value_t = AccessedName::Unset)]
    pub(crate) accessed_on_fault: AccessedName,
    /// CR3 with 4 levels.
    #[arg(long, value_name = "HEX", default_value = "600000", value_parser = address)]
    pub(crate) cr3: u64,
    /// CR3 with 5 levels (mode bit 8).
    #[arg(long, value_name = "HEX", default_value = "610000", value_parser = address)]
    pub(crate) cr3_la57: u64,
    /// Where lower tables may lie: FIRST..END in hexadecimal, END excluded, and 10000000000 (2^40) at
    /// most unless --decode-bits is 40 or fewer.
    #[arg(long, value_name = "RANGE", default_value = "601000..610000", value_parser = frames)]
    pub(crate) tables: Range<u64>,
    /// Where data lie (repeat, or separate with commas).
    #[arg(long, value_name = "RANGE", default_value = "1000000..1800000,41000000..41800000",
        value_delimiter = ',', value_parser = frames)]
    pub(crate) data: Vec<Range<u64>>,
    /// How many low bits of a physical address memory decodes. Each address is reduced modulo 2^BITS
    /// before anything is looked up: where entries lie, whether it is in --tables or --data, and what
    /// `addr` says. MAXPHYADDR and reserved bits are judged before that.
    #[arg(long, value_name = "BITS", default_value_t = 52, value_parser = whole(12_u8, 52))]
    pub(crate) decode_bits: u8,
}

const COLUMNS: &str = "\
Columns, in any order, others beside them; hexadecimal without prefix except id, acc, cpl, mpa:
  id             a number, handed through
  mode           bit 0 CR0.WP, 1 CR4.SMEP, 2 CR4.SMAP, 3 EFLAGS.AC, 4 EFER.NXE, 5 CR4.PKE,
                 6 CR4.PGE, 7 CR4.PCIDE, 8 CR4.LA57, 9 CR4.PKS
  va             the linear address
  acc            0 read, 1 write, 2 fetch, 3 read-modify-write, 4 read and then write
  cpl            0 or 3
  pkru           PKRU
  e5 e4 e3 e2 e1 PML5E, PML4E, PDPTE, PDE, PTE before the access
  mpa            optional: MAXPHYADDR of the row
  pkrs           optional: IA32_PKRS

The top entry lies at its place in the table CR3 names; a lower one where the entry above it names
a frame of --tables in bits 39:12, present or not. Data at P are P << 8 | 90e6ff00000000b8 in each
8 bytes, everything else is 0.

The answer is CSV id,out,err,addr,aset,dset: ok, pf or gp; the error code; the physical address or
CR2; whose accessed and dirty bits went from 0 to 1 (bit 0 is e1).

With --expect one difference is no disagreement: after a fault any of the entries that named a table may
have its accessed bit set.

Examples:
  ringfence translate cases.csv                     what becomes of each case
  generate-cases | ringfence translate              the same of what is piped in
  ringfence translate seen.csv --expect             what disagrees, and by which rule
  ringfence translate seen.csv --expect --vendor amd --accessed-on-fault passed

Exit codes:
  0    every case was answered, or as many as their reader took; with --expect, every one agrees
  1    with --expect, a case disagrees
  2    a mistake in the arguments or a file
  130  interrupted";

/// Processor vendors.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VendorName {
    /// Intel.
    Intel,
    /// AMD.
    Amd,
}

/// What a fault leaves set.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessedName {
    /// No accessed bit.
    Unset,
    /// Those of the entries above the leaf that were passed.
    Passed,
}

impl TranslateArguments {
    /// The machine they describe.
    pub(super) fn machine(&self) -> RecordedMachine {
        RecordedMachine {
            cr3: self.cr3,
            cr3_la57: self.cr3_la57,
            tables: self.tables.clone(),
            data: self.data.clone(),
            maxphyaddr: self.maxphyaddr,
            vendor: match self.vendor {
                VendorName::Intel => paging::Vendor::Intel,
                VendorName::Amd => paging::Vendor::Amd,
            },
            decode_bits: self.decode_bits,
            accessed_on_fault: match self.accessed_on_fault {
                AccessedName::Unset => recorded::AccessedOnFault::Unset,
                AccessedName::Passed => recorded::AccessedOnFault::Passed,
            },
        }
    }
}

/// Reads a physical address, hexadecimal.
fn address(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    match u64::from_str_radix(digits, 16) {
        Ok(address) if address >> 52 == 0 => Ok(address),
        _ => Err("expected a physical address in hexadecimal, below 2^52".to_owned()),
    }
}

/// Reads `FIRST..END`, frames from and to.
fn frames(text: &str) -> Result<Range<u64>, String> {
    // What is behind a comma may have a space in front.
    let (first, end) = text.trim().split_once("..").ok_or("expected FIRST..END in hexadecimal")?;
    let (first, end) = (address(first)?, address(end)?);
    if first % 4096 != 0 || end % 4096 != 0 {
        return Err("expected multiples of 1000 (hexadecimal)".to_owned());
    }
    if first >= end {
        return Err(format!("nothing from {first:x} to before {end:x}; expected FIRST..END"));
    }
    Ok(first..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: TranslateArguments,
    }

    #[test]
    fn without_options_it_is_the_machine_of_the_fixture() {
        use clap::Parser as _;

        let line = Line::try_parse_from(["translate"]).expect("no option is required");

        assert_eq!(line.arguments.machine(), RecordedMachine::default());
    }

    #[test]
    fn ranges_are_whole_frames() {
        assert_eq!(frames("601000..610000"), Ok(0x60_1000..0x61_0000));
        assert_eq!(frames("0x0..0x1000"), Ok(0..0x1000));
        assert_eq!(frames(" 601000..610000"), Ok(0x60_1000..0x61_0000), "behind a comma");
        for wrong in ["601000", "610000..601000", "601001..610000", "x..y", "0..10000000000000000"]
        {
            assert!(frames(wrong).is_err(), "{wrong}");
        }
    }
}
