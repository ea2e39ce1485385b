//! Options of `audit`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::audit::flip::Flip;
use crate::audit::image::Levels;
use crate::audit::protections::Protection;
use crate::base::PhysAddr;
use crate::cli::numbers::whole;
use crate::machine::paging::x86_64::Vendor;

const EXAMPLES: &str = "\
Examples:
  ringfence audit tables.bin.zst                     what the page tables allow
  ringfence audit core.elf --list                    every page as CSV: va,pa,flags
  ringfence audit core.elf --flip --witnesses w.csv  every single-bit flip, and what it opens
  ringfence audit ram.raw --cr3 0x4867000 --flip     a raw dump of physical memory
  ringfence audit core.elf --flip-one 0x6230098:12   one flip, before and after
  ringfence audit core.elf --flip --off smap         the same machine without SMAP

IMAGE is an image of page tables alone (PTIMG001), an ELF core with segments by physical
address (QEMU: dump-guest-memory), or a raw dump; each also compressed with zstd. It is
a file and no pipe, because tables are read back and forth. Of a segment that has more
bytes in memory than in the file, the rest is missing memory: dumps leave pages out so.

Memory: 4 KiB for each page table; of each page, up to 40 bytes where it does not go on from the
one before it, and 30 more if another maps its frame with other rights; with --flip 120 more for
each page a process writes; with --all 200 for each line. More than 262144 page tables or
67108864 pages (each counted once, however many addresses lead there) are refused.

Time: with --flip some microseconds a flip. Tables that lead to each other at several levels are walked
again for each of their flips, which for a few dozen of them can take hours; Ctrl-C ends it at any time.

Exit codes:
  0    the audit was made, whatever it found
  2    a mistake in the arguments or a file
  130  interrupted";

/// Options of `audit`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AuditArguments {
    /// The image.
    pub(crate) image: PathBuf,
    /// Prints each page as CSV instead of a report: va,pa,flags.
    #[arg(long, conflicts_with_all = ["flip", "flip_one"])]
    pub(crate) list: bool,
    /// Tries every single-bit flip of every entry and says what it gives a user process.
    #[arg(long)]
    pub(crate) flip: bool,
    /// Tries one flip and shows entry, translation and verdict before and after.
    #[arg(long, value_name = "PA:BIT", value_parser = flip, conflicts_with = "flip")]
    pub(crate) flip_one: Option<Flip>,
    /// CR3; a raw dump needs it, an ELF core may tell it.
    #[arg(long, value_name = "HEX", value_parser = hex)]
    pub(crate) cr3: Option<u64>,
    /// The physical address of a raw dump's first byte.
    #[arg(long, value_name = "HEX", value_parser = base, default_value = "0")]
    pub(crate) base: u64,
    /// Levels of paging, 4 or 5; as the file says, or else 4.
    #[arg(long, value_name = "N", value_parser = levels)]
    pub(crate) levels: Option<Levels>,
    /// MAXPHYADDR: bits of a physical address; those above are reserved.
    #[arg(long, value_name = "BITS", default_value_t = 40, value_parser = whole(36_u8, 52))]
    pub(crate) maxphyaddr: u8,
    /// Whose reading of the bits on which manuals differ.
    #[arg(long, value_enum, ignore_case = true, default_value = "intel")]
    pub(crate) vendor: VendorName,
    /// Protections that are on (repeat, or separate with commas); without this and without a file
    /// that says so: wp, smep, smap, nx.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = protection)]
    pub(crate) on: Vec<Protection>,
    /// Protections that are off: wp, smep, smap, nx, pke, pks, read-only-tables. Without nx bit 63 is
    /// taken out of all entries.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = protection)]
    pub(crate) off: Vec<Protection>,
    /// PKRU, for protection keys of user pages; every key but 0 denied when nothing is said.
    #[arg(long, value_name = "HEX", value_parser = hex32, default_value = "0x55555554")]
    pub(crate) pkru: u32,
    /// IA32_PKRS, likewise for kernel pages.
    #[arg(long, value_name = "HEX", value_parser = hex32, default_value = "0x55555554")]
    pub(crate) pkrs: u32,
    /// The processor whose registers an ELF core tells, from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) cpu: usize,
    /// Goes on although page tables are missing from the image; they count as empty.
    #[arg(long)]
    pub(crate) incomplete: bool,
    /// Examples of each finding, and witnesses of each class, that are printed.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) examples: usize,
    /// Prints all of them.
    #[arg(long)]
    pub(crate) all: bool,
    /// With --flip: writes each flip that gives something, with what it opens, into this CSV file.
    #[arg(long, value_name = "FILE", requires = "flip", conflicts_with_all = ["list", "flip_one"])]
    pub(crate) witnesses: Option<PathBuf>,
    /// Worker threads; as many as there are processors when left out. The result is the same.
    #[arg(long, value_name = "N", value_parser = whole(1_u16, 256))]
    pub(crate) jobs: Option<u16>,
    /// One JSON object a line instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
}

impl AuditArguments {
    /// How many examples to print of each kind.
    pub(super) fn examples_max(&self) -> usize {
        if self.all { usize::MAX } else { self.examples }
    }
}

/// Vendors by name.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VendorName {
    /// Bit 8 of upper entries is ignored.
    Intel,
    /// Bit 8 of upper entries is reserved.
    Amd,
}

impl From<VendorName> for Vendor {
    fn from(name: VendorName) -> Self {
        match name {
            VendorName::Intel => Self::Intel,
            VendorName::Amd => Self::Amd,
        }
    }
}

fn hex(text: &str) -> Result<u64, String> {
    let digits = text.trim().strip_prefix("0x").unwrap_or(text.trim());
    u64::from_str_radix(digits, 16)
        .map_err(|_| format!("{text:?} is not hexadecimal; expected an address such as 0x4867000"))
}

/// Frames of a dump lie at multiples of their size.
fn base(text: &str) -> Result<u64, String> {
    match hex(text)? {
        base if base % 4096 == 0 => Ok(base),
        _ => Err("expected the physical address of a frame, a multiple of 0x1000".to_owned()),
    }
}

fn hex32(text: &str) -> Result<u32, String> {
    let value = hex(text)?;
    u32::try_from(value).map_err(|_| format!("{text} has more than 32 bits"))
}

fn levels(text: &str) -> Result<Levels, String> {
    let levels = text.trim().parse().ok().and_then(Levels::new);
    levels.ok_or_else(|| format!("{text:?} levels of paging; expected 4 or 5"))
}

fn protection(text: &str) -> Result<Protection, String> {
    // What is behind a comma may have a space in front.
    let text = text.trim();
    let known = Protection::ALL.map(Protection::name);
    let found = Protection::ALL.into_iter().find(|protection| protection.name() == text);
    found.ok_or_else(|| match crate::base::nearest(text, known) {
        Some(near) => format!("there is no protection `{text}`; did you mean `{near}`?"),
        None => format!("there is no protection `{text}`; expected one of {}", known.join(", ")),
    })
}

/// `PA:BIT`, as in a replay line.
fn flip(text: &str) -> Result<Flip, String> {
    let expected = "expected PA:BIT as in 0x6230098:12";
    let (at, bit) = text.split_once(':').ok_or(expected)?;
    let at = PhysAddr::new(hex(at)?).filter(|at| at.raw() % 8 == 0);
    let at = at.ok_or_else(|| format!("an entry lies at a multiple of 8; {expected}"))?;
    let bit: u8 = bit.parse().map_err(|_| format!("{bit:?} is not a bit; {expected}"))?;
    if bit > 63 {
        return Err(format!("an entry has the bits 0 to 63; {expected}"));
    }
    Ok(Flip { at, bit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protection_behind_a_comma_may_have_a_space_in_front() {
        assert_eq!(protection(" smep"), Ok(Protection::Smep));
        assert!(protection("s mep").is_err());
    }

    #[test]
    fn a_flip_is_read_as_a_replay_line_has_it() {
        let read = flip("0x6230098:12").expect("a flip");

        assert_eq!(read.to_string(), "0x6230098:12");
        for wrong in ["0x6230098", "0x6230099:1", "0x6230098:64", "zz:1", "0x10000000000000:1"] {
            assert!(flip(wrong).is_err_and(|message| message.contains("expected")), "{wrong}");
        }
    }
}
