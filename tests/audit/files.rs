//! Images are read from every form of file alike, and a damaged file is told with the byte.

use std::io::Cursor;

use ringfence::audit::file::{FileError, Format, Options, Registers, read};
use ringfence::audit::image::{Image, Levels};
use ringfence::base::Seed;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::images;

/// Page tables alone.
pub(crate) fn tables_alone(image: &Image) -> Vec<u8> {
    let mut bytes = b"PTIMG001".to_vec();
    let count = image.frames().len() as u64;
    for word in [image.cr3, u64::from(image.levels.count()), count] {
        bytes.extend(word.to_le_bytes());
    }
    for (index, frame) in image.frames().iter().enumerate() {
        bytes.extend(frame.start().raw().to_le_bytes());
        bytes.extend(image.table(index).iter().flat_map(|entry| entry.to_le_bytes()));
    }
    bytes
}

/// Physical memory from `base` to the last table, with something else in every other frame.
fn raw(image: &Image, base: u64) -> Vec<u8> {
    let last = image.frames().last().expect("a table").start().raw();
    let mut bytes = vec![0xa5; usize::try_from(last + 4096 - base).expect("small")];
    for (index, frame) in image.frames().iter().enumerate() {
        let at = usize::try_from(frame.start().raw() - base).expect("small");
        let table = image.table(index).iter().flat_map(|entry| entry.to_le_bytes());
        bytes[at..at + 4096].copy_from_slice(&table.collect::<Vec<u8>>());
    }
    bytes
}

/// A core with a segment for each table and a note as QEMU writes it.
fn core(image: &Image, cr4: u64) -> Vec<u8> {
    let mut note = Vec::new();
    for word in [5u32, 440, 0] {
        note.extend(word.to_le_bytes());
    }
    note.extend(b"QEMU\0\0\0\0");
    let mut state = vec![0; 440];
    let registers = [(0, 0x8001_0033u64), (3, image.cr3), (4, cr4)];
    for (number, value) in registers {
        let at = 8 + 18 * 8 + 10 * 24 + 8 * number;
        state[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    note.extend(state);
    let count = image.frames().len() + 1;
    let (headers, start) = (64u64, 64 + 56 * count as u64);
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend(4u16.to_le_bytes());
    bytes.extend(62u16.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    for word in [0, headers, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0u32.to_le_bytes());
    let count = u16::try_from(count).expect("few");
    for half in [64u16, 56, count, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    let mut header = |kind: u32, offset: u64, physical: u64, size: u64| {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(0u32.to_le_bytes());
        for word in [offset, 0, physical, size, size, 0] {
            bytes.extend(word.to_le_bytes());
        }
    };
    let after_note = start + note.len() as u64;
    header(4, start, 0, note.len() as u64);
    // From the last frame to the first: the order of segments means nothing.
    for (place, frame) in (0u64..).zip(image.frames().iter().rev()) {
        header(1, after_note + 4096 * place, frame.start().raw(), 4096);
    }
    bytes.extend(note);
    for index in (0..image.frames().len()).rev() {
        bytes.extend(image.table(index).iter().flat_map(|entry| entry.to_le_bytes()));
    }
    bytes
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

fn asked(cr3: Option<u64>) -> Options {
    Options { cr3, ..Options::default() }
}

#[track_caller]
fn assert_same(found: &Image, expected: &Image) {
    assert_eq!(found.cr3, expected.cr3);
    assert_eq!(found.levels, expected.levels);
    assert_eq!(found.frames(), expected.frames());
    for index in 0..expected.frames().len() {
        assert_eq!(found.table(index), expected.table(index));
    }
}

#[test]
fn the_same_tables_are_read_from_every_form_of_file() {
    let image = images::ordinary();
    let base = 0x8000;
    let raw_options = Options { base, ..asked(Some(image.cr3)) };
    let forms = [
        (tables_alone(&image), asked(None), Format::Tables),
        (core(&image, 0), asked(None), Format::Elf),
        (raw(&image, base), raw_options, Format::Raw),
    ];
    for (bytes, options, format) in forms {
        let pair = [packed(&bytes[..0x3000]), packed(&bytes[0x3000..])].concat();
        for (bytes, is_compressed) in [(packed(&bytes), true), (pair, true), (bytes.clone(), false)]
        {
            let loaded = read(Cursor::new(bytes), &options).expect("an image");

            assert_same(&loaded.image, &image);
            assert_eq!((loaded.format, loaded.is_compressed), (format, is_compressed));
            assert_eq!(loaded.unreached, 0);
        }
    }
}

#[test]
fn a_core_tells_levels_and_protections() {
    let image = images::large();
    let cr4 = 1 << 12 | 1 << 20;

    let loaded = read(Cursor::new(core(&image, cr4)), &asked(None)).expect("an image");

    assert_same(&loaded.image, &image);
    let registers = Registers { cr0: 0x8001_0033, cr3: image.cr3, cr4 };
    assert_eq!(loaded.registers, Some(registers));
}

#[test]
fn frames_that_no_walk_reads_are_counted_and_left_out() {
    let image = images::ordinary();
    let mut more = image.clone();
    more.insert(ringfence::base::Frame(0x99), Box::new([7; 512]));

    let loaded = read(Cursor::new(tables_alone(&more)), &asked(None)).expect("an image");

    assert_same(&loaded.image, &image);
    assert_eq!(loaded.unreached, 1);
}

#[track_caller]
fn refused(bytes: Vec<u8>, options: Options) -> FileError {
    let error = read(Cursor::new(bytes), &options).expect_err("it is damaged");
    assert!(!error.remedy.is_empty());
    error
}

#[test]
fn damage_is_told_with_its_byte() {
    let good = tables_alone(&images::ordinary());
    let with = |at: usize, bytes: &[u8]| {
        let mut damaged = good.clone();
        damaged[at..at + bytes.len()].copy_from_slice(bytes);
        damaged
    };
    let again = good[32..40].to_vec();
    let cases: [(Vec<u8>, u64, &str); 12] = [
        (Vec::new(), 0, "empty"),
        (good[..20].to_vec(), 16, "ends within the levels"),
        (good[..good.len() - 1].to_vec(), 28_768, "ends within frame 7 of 8"),
        ([good.clone(), vec![0]].concat(), good.len() as u64, "more after the last"),
        (with(16, &[6]), 16, "6 levels"),
        (with(24, &[255; 8]), 24, "18446744073709551615 frames"),
        (with(32 + 4104, &again), 32 + 4104, "here again; it was at byte 32"),
        (with(32, &[1]), 32, "expected a multiple of 0x1000"),
        (with(38, &[255]), 32, "expected a multiple of 0x1000"),
        (b"\x1f\x8b\x08\0\0\0\0\0".to_vec(), 0, "gzip"),
        (b"what is this?".to_vec(), 0, "neither"),
        (b"\x7fELF\x02\x01".to_vec(), 0, "ELF header"),
    ];
    for (bytes, offset, what) in cases {
        let error = refused(bytes, asked(None));

        assert_eq!(error.offset, Some(offset), "{error}");
        assert!(error.what.contains(what), "{error}");
    }
    let outside = refused(with(8, &[0, 0, 9]), asked(None));
    assert!(outside.what.contains("0x90000") && outside.what.contains("not in the image"));
}

#[test]
fn wrongly_compressed_files_are_refused() {
    let good = tables_alone(&images::ordinary());
    let once = packed(&good);
    let cut = once[..once.len() - 30].to_vec();

    assert!(refused(packed(&once), asked(None)).what.contains("compressed twice"));
    assert!(refused(cut, asked(None)).what.contains("can't be read"));
    let unpacked = refused(packed(&good[..5000]), asked(None));
    assert!(unpacked.is_unpacked && unpacked.offset == Some(4144), "{unpacked}");
    assert!(refused(once[..3].to_vec(), asked(None)).what.contains("neither"));
    assert!(refused([once, vec![1, 2, 3]].concat(), asked(None)).what.contains("zstd"));
}

#[test]
fn a_damaged_core_is_refused() {
    let image = images::ordinary();
    let good = core(&image, 0);

    let cut = refused(good[..good.len() - 1].to_vec(), asked(None));
    assert!(cut.what.contains("ends at") && cut.what.contains("within segment"), "{cut}");
    let big_endian = [&good[..5], &[2], &good[6..]].concat();
    assert_eq!(refused(big_endian, asked(None)).offset, Some(5));
    let small = [&good[..4], &[1], &good[5..]].concat();
    assert!(refused(small, asked(None)).what.contains("64-bit"));
    let program = [&good[..16], &[3], &good[17..]].concat();
    assert!(refused(program, asked(Some(image.cr3))).what.contains("no core: ELF type 3"));
    let other_machine = [&good[..18], &[183], &good[19..]].concat();
    assert!(refused(other_machine, asked(None)).what.contains("another machine's: 183"));
    let mut overlapping = good.clone();
    let physical = 64 + 56 * 2 + 24;
    overlapping.copy_within(physical - 56..physical - 48, physical);
    assert!(refused(overlapping, asked(None)).what.contains("two segments"));
    let mut unnamed = good.clone();
    let name = good.windows(4).position(|bytes| bytes == b"QEMU").expect("a note");
    unnamed[name] = b'X';
    assert!(refused(unnamed.clone(), asked(None)).remedy.contains("--cr3"));
    assert!(read(Cursor::new(unnamed), &asked(Some(image.cr3))).is_ok());
    let third = Options { processor: 2, ..asked(None) };
    assert!(refused(good, third).what.contains("1 processors"));
}

#[test]
fn options_that_contradict_the_file_are_refused() {
    let five = Options { levels: Some(Levels::Five), ..asked(None) };

    assert!(refused(tables_alone(&images::ordinary()), five).what.contains("--levels says 5"));
}

#[test]
fn no_bytes_make_it_panic() {
    let image = images::ordinary();
    let forms = [tables_alone(&image), core(&image, 0), packed(&tables_alone(&image))];
    let mut draw = Seed(3).stream("damage", 0);
    let mut held = 0;
    for _ in 0..1500 {
        let mut bytes = forms[draw.index(forms.len())].clone();
        for _ in 0..=draw.below(3) {
            // Headers are small, and damage there is what matters.
            let reach = if draw.below(2) == 0 { bytes.len() } else { bytes.len().min(700) };
            let at = draw.index(reach);
            bytes[at] ^= 1 << draw.below(8);
        }
        if draw.below(4) == 0 {
            bytes.truncate(draw.index(bytes.len()));
        }
        let cr3 = (draw.below(2) == 0).then_some(0x10000);
        match read(Cursor::new(bytes), &asked(cr3)) {
            Ok(_) => held += 1,
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert!(held > 0, "not every damage is seen in the tables");
}
