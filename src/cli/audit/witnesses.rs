//! What each flip opens, as lines and as a CSV file that is there whole or not at all.

use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::audit::flip::{Class, Gain, KernelGain, TableIs, Verdict};
use crate::audit::permits::Accesses;
use crate::audit::protections::level_name;
use crate::audit::space::Space;
use crate::machine::paging::TableMemory as _;

use crate::cli::Failure;
use crate::cli::save::is_same_file;

/// What a gain opens, in words.
pub(super) fn opens(verdict: &Verdict, gain: &Gain) -> String {
    let frame = gain.frame.start().raw();
    match verdict.table {
        Some(TableIs::Made) => {
            return format!("{} writes frame {frame:#x}, now a page table", gain.virt);
        }
        Some(TableIs::Filled) => {
            return format!("{} could write frame {frame:#x}, now a page table", gain.virt);
        }
        Some(TableIs::There) | None => {}
    }
    if gain.gained.is_empty() {
        return format!("{} is walked through frame {frame:#x}, not in the image", gain.virt);
    }
    format!("{} {} at frame {frame:#x}", gain.virt, gain.gained.user_text())
}

/// A flip, what its entry is and what it opens, in one line.
pub(super) fn line(space: &Space, verdict: &Verdict) -> String {
    let entry = space.image.entry(verdict.flip.at);
    let level = level_name(verdict.level);
    let head = format!("{} {level} entry {entry:#x}:", verdict.flip);
    match &verdict.gain {
        Some(gain) => format!("{head} {}", opens(verdict, gain)),
        None => head,
    }
}

/// What kernel mode is given, in words.
pub(super) fn kernel_text(kind: KernelGain, gain: &Gain) -> String {
    let accesses = match kind {
        KernelGain::Execute => Accesses::KERNEL_EXECUTE,
        KernelGain::Data => Accesses::KERNEL_READ.with(Accesses::KERNEL_WRITE),
        KernelGain::TableWrite => Accesses::KERNEL_WRITE,
    };
    format!(
        "{} {} at frame {:#x}",
        gain.virt,
        gain.gained.among(accesses).kernel_text(),
        gain.frame.start().raw()
    )
}

/// A file of witnesses in the making: it takes its name when it is complete.
pub(super) struct WitnessFile {
    place: PathBuf,
    beside: PathBuf,
    file: Option<BufWriter<fs::File>>,
    written: io::Result<()>,
}

impl WitnessFile {
    /// Starts it, before any work is done for it. Neither it nor what it is called until then may be the
    /// image that is read.
    pub(super) fn create(place: &Path, image: &Path) -> Result<Self, Failure> {
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let beside = place.with_file_name(name);
        let failed = |error| unwritable(place, &error);
        // A device or a pipe is nobody's to replace by a file.
        if fs::metadata(place).is_ok_and(|found| !found.is_file()) {
            return Err(failed(io::Error::other("it is there and no file")));
        }
        for written in [place, &beside] {
            if is_same_file(written, image) {
                return Err(Failure::mistake(
                    format!(
                        "--witnesses would write over {}, the image that is read",
                        image.display()
                    ),
                    "give --witnesses another file",
                ));
            }
        }
        let mut file = BufWriter::new(fs::File::create(&beside).map_err(failed)?);
        let head = "entry,bit,level,value,class,va,frame,gained,table,\
                    kernel_executes_user,kernel_data_user,kernel_writes_table,replay";
        let written = writeln!(file, "{head}");
        Ok(Self { place: place.to_owned(), beside, file: Some(file), written })
    }

    /// Adds a verdict and its replay line; `false` when that can't be done.
    pub(super) fn add(&mut self, space: &Space, verdict: &Verdict, replay: &str) -> bool {
        let Some(file) = &mut self.file else { return false };
        if self.written.is_ok() {
            self.written = add(file, space, verdict, replay);
        }
        self.written.is_ok()
    }

    /// Gives it its name.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let (place, beside) = (self.place.clone(), self.beside.clone());
        let written = core::mem::replace(&mut self.written, Ok(()));
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let done = written
            .and_then(|()| file.flush())
            .and_then(|()| file.get_ref().sync_all())
            .and_then(|()| fs::rename(&beside, &place));
        done.map_err(|error| {
            let _ = fs::remove_file(&beside);
            unwritable(&place, &error)
        })
    }
}

impl Drop for WitnessFile {
    /// What was not finished is not left behind.
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

fn add(
    file: &mut impl io::Write,
    space: &Space,
    verdict: &Verdict,
    replay: &str,
) -> io::Result<()> {
    let entry = space.image.entry(verdict.flip.at);
    let (at, bit, level) = (verdict.flip.at.raw(), verdict.flip.bit, level_name(verdict.level));
    write!(file, "{at:#x},{bit},{level},{entry:#x},{}", verdict.class.name())?;
    match &verdict.gain {
        Some(gain) => {
            let gained = gain.gained.among(Accesses::USER).user_text();
            write!(file, ",{},{:#x},{gained}", gain.virt, gain.frame.start().raw())?;
        }
        None => write!(file, ",,,")?,
    }
    let table = match verdict.table {
        Some(TableIs::There) => "there",
        Some(TableIs::Made) => "made",
        Some(TableIs::Filled) => "filled",
        None => "",
    };
    write!(file, ",{table}")?;
    for gain in &verdict.kernel {
        match gain {
            Some(gain) => write!(file, ",{}", gain.virt)?,
            None => write!(file, ",")?,
        }
    }
    // An image's name may have anything in it.
    writeln!(file, ",\"{}\"", replay.replace('"', "\"\""))
}

fn unwritable(place: &Path, error: &io::Error) -> Failure {
    Failure::mistake(
        format!("can't write {}: {error}", place.display()),
        "give --witnesses a file that can be written, where there is room",
    )
}

/// The first verdicts of each class and of each kind of kernel gain.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) classes: [Vec<Verdict>; 6],
    pub(super) kernel: [Vec<Verdict>; 3],
}

impl Kept {
    pub(super) fn add(&mut self, verdict: &Verdict, kept_max: usize) {
        for (kept, class) in self.classes.iter_mut().zip(Class::ALL) {
            if verdict.class == class && kept.len() < kept_max {
                kept.push(verdict.clone());
            }
        }
        for (kept, gain) in self.kernel.iter_mut().zip(&verdict.kernel) {
            if gain.is_some() && kept.len() < kept_max {
                kept.push(verdict.clone());
            }
        }
    }
}
