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
pub(crate) fn raw(image: &Image, base: u64) -> Vec<u8> {
    let last = image.frames().last().expect("a table").start().raw();
    let mut bytes = vec![0xa5; usize::try_from(last + 4096 - base).expect("small")];
    for (index, frame) in image.frames().iter().enumerate() {
        let at = usize::try_from(frame.start().raw() - base).expect("small");
        let table = image.table(index).iter().flat_map(|entry| entry.to_le_bytes());
        bytes[at..at + 4096].copy_from_slice(&table.collect::<Vec<u8>>());
    }
    bytes
}

/// CR4.PAE, without which no four levels are.
const PAE: u64 = 1 << 5;

/// A core with a segment for each table and a note as QEMU writes it.
fn core(image: &Image, cr4: u64) -> Vec<u8> {
    // From the last frame to the first: the order of segments means nothing.
    let frames = image.frames().iter().rev();
    let segments: Vec<(u64, u64)> = frames.map(|frame| (frame.start().raw(), 4096)).collect();
    core_of(image, cr4, &segments)
}

/// A core with these segments: physical address and bytes.
fn core_of(image: &Image, cr4: u64, segments: &[(u64, u64)]) -> Vec<u8> {
    let memory = raw(image, 0);
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
    let count = segments.len() + 1;
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
    header(4, start, 0, note.len() as u64);
    let mut offset = start + note.len() as u64;
    for &(physical, size) in segments {
        header(1, offset, physical, size);
        offset += size;
    }
    bytes.extend(note);
    for &(physical, size) in segments {
        let at = usize::try_from(physical).expect("small");
        bytes.extend(&memory[at..at + usize::try_from(size).expect("small")]);
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
        (core(&image, PAE), asked(None), Format::Elf),
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
    let cr4 = PAE | 1 << 12 | 1 << 20;

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
    let end = cut.len();
    let cut = refused(cut, asked(None));
    assert_eq!(cut.what, format!("it can't be read: its zstd data is cut off at byte {end}"));
    assert!(cut.remedy.contains("copy it again"));
    let mut damaged = once.clone();
    let near_the_end = damaged.len() - 40..damaged.len() - 12;
    damaged[near_the_end].fill(0xff);
    let damaged = refused(damaged, asked(None));
    assert!(damaged.what.contains("its zstd data is damaged"), "{damaged}");
    assert!(!damaged.what.contains("Error"), "{damaged}");
    let unpacked = refused(packed(&good[..5000]), asked(None));
    assert!(unpacked.is_unpacked && unpacked.offset == Some(4144), "{unpacked}");
    assert!(refused(once[..3].to_vec(), asked(None)).what.contains("neither"));
    assert!(refused([once, vec![1, 2, 3]].concat(), asked(None)).what.contains("zstd"));
}

#[test]
fn a_damaged_core_is_refused() {
    let image = images::ordinary();
    let good = core(&image, PAE);

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
    let twice = refused(overlapping, asked(None));
    assert!(twice.what.contains("twice, and with different entries"), "{twice}");
    let mut unnamed = good.clone();
    let name = good.windows(4).position(|bytes| bytes == b"QEMU").expect("a note");
    unnamed[name] = b'X';
    assert!(refused(unnamed.clone(), asked(None)).remedy.contains("--cr3"));
    assert!(read(Cursor::new(unnamed), &asked(Some(image.cr3))).is_ok());
    let third = Options { processor: 2, ..asked(None) };
    let told = refused(good.clone(), third);
    assert!(told.what.contains("one processor, number 0"), "{told}");
    assert_eq!(told.remedy, "leave --cpu out");
    let third = Options { processor: 2, ..asked(Some(image.cr3)) };
    let mut unnamed = good.clone();
    unnamed[name] = b'X';
    assert!(refused(unnamed, third).what.contains("no processor (it has no note named QEMU)"));
    let mut odd = good;
    odd[54] = 32;
    let odd = refused(odd, asked(None));
    assert!(odd.what.contains("have 32 bytes each, not 56"), "{odd}");
}

#[test]
fn a_table_that_lies_in_two_segments_is_put_together() {
    let image = images::ordinary();
    let split = [(0x1_2800, 0x5800), (0x1_0000, 0x2800)];
    let with_a_hole = [(0x1_0000, 0x2800), (0x1_2900, 0x5700)];
    let read = |segments: &[(u64, u64)]| {
        read(Cursor::new(core_of(&image, PAE, segments)), &asked(None)).expect("an image").image
    };

    assert_same(&read(&split), &image);
    assert_eq!(read(&with_a_hole).index_of(ringfence::base::Frame(0x12)), None);
}

#[test]
fn what_a_dump_has_twice_is_the_same_or_refused() {
    let image = images::ordinary();
    // As a dump of Linux has its kernel's image beside all of memory.
    let whole = [(0x1_0000, 0x8000), (0x1_2000, 0x3000), (0x1_4000, 0x4000)];
    let in_part = [(0x1_0000, 0x8000), (0x1_2800, 0x800)];
    let same = core_of(&image, PAE, &whole);
    let root = usize::try_from(image.cr3 & !0xfff).expect("small");
    let again = core_of(&image, PAE, &[(0x1_0000, 0x8000), (root as u64, 0x1000)]);
    let mut changed = again.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    let process = core_of(&image, PAE, &[(0, 0x1_0000), (0, 0x1_8000)]);

    assert_same(&read(Cursor::new(same), &asked(None)).expect("an image").image, &image);
    assert_same(&read(Cursor::new(again), &asked(None)).expect("an image").image, &image);
    let told = refused(changed, asked(None));
    assert!(told.what.contains(&format!("{root:#x} twice, and with different")), "{told}");
    let told = refused(core_of(&image, PAE, &in_part), asked(None));
    assert!(told.remedy.contains("whole frames"), "{told}");
    assert!(refused(process, asked(None)).remedy.contains("not of a process"));
}

/// A frame that holds nothing to be unpacked (RFC 8878, "Skippable Frames").
fn skippable(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("short").to_le_bytes();
    [&[0x5a, 0x2a, 0x4d, 0x18], &length[..], bytes].concat()
}

#[test]
fn frames_that_are_to_be_skipped_are_skipped() {
    let image = images::ordinary();
    let once = packed(&tables_alone(&image));
    let skipped = skippable(&[7; 5000]);
    let all = [&skipped[..], &skipped, &once, &skipped].concat();
    let cut = all[..all.len() - 1].to_vec();

    let loaded = read(Cursor::new(all), &asked(None)).expect("an image");
    assert!(loaded.is_compressed);
    assert_same(&loaded.image, &image);
    assert!(refused(cut, asked(None)).what.contains("is cut off at byte"));
    assert_eq!(refused(skipped, asked(None)).what, "it is empty");
}

#[test]
fn packed_data_is_held_to_its_checksum_behind_the_last_table_too() {
    let image = images::ordinary();
    // Behind the tables lies memory that no walk reads, and only there the data end.
    let memory = [raw(&image, 0), vec![0x3c; 1 << 20]].concat();
    let good = packed(&memory);
    let dump = asked(Some(image.cr3));
    let mut wrong = good.clone();
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    let cut = good[..last].to_vec();
    let core = packed(&core(&image, PAE));
    let mut damaged = core.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;

    assert_same(&read(Cursor::new(good), &dump).expect("an image").image, &image);
    assert!(refused(wrong, dump).what.contains("the checksum before byte"));
    assert!(refused(cut, dump).what.contains("is cut off at byte"));
    assert!(refused(damaged, asked(None)).what.contains("the checksum before byte"));
    let cut = core[..core.len() - 9].to_vec();
    assert!(refused(cut, asked(None)).what.contains("zstd data is cut off"));
}

#[test]
fn a_machine_that_translates_by_no_such_tables_is_refused() {
    let image = images::ordinary();
    let paging_off = {
        let mut core = core(&image, PAE);
        let note = core.windows(4).position(|bytes| bytes == b"QEMU").expect("a note");
        let cr0 = note + 8 + 8 + 18 * 8 + 10 * 24;
        core[cr0 + 3] = 0;
        core
    };
    let empty = images::image(Levels::Four, 1, &[(1, &[(0, 0x2006)])]);

    assert!(refused(paging_off.clone(), asked(None)).what.contains("CR0.PG is 0"));
    assert!(refused(core(&image, 0), asked(None)).what.contains("CR4.PAE is 0"));
    assert!(read(Cursor::new(paging_off), &asked(Some(image.cr3))).is_ok());
    assert!(refused(tables_alone(&empty), asked(None)).what.contains("no entry that is present"));
    let zeros = refused(vec![0; 0x4000], asked(Some(0x1000)));
    assert!(zeros.what.contains("no entry that is present") && zeros.remedy.contains("--base"));
}

#[test]
fn a_root_that_no_address_can_name_is_refused() {
    let good = images::ordinary();
    let with = |cr3: u64| {
        let mut image = good.clone();
        image.cr3 = cr3;
        tables_alone(&image)
    };
    let masking = 3 << 61;

    let high = refused(with(good.cr3 | 1 << 42), asked(None));
    let higher = refused(with(good.cr3 | 1 << 63), asked(None));
    let masked = read(Cursor::new(with(good.cr3 | masking)), &asked(None));

    assert!(high.what.contains("at or above MAXPHYADDR (40)"), "{high}");
    assert!(high.remedy.contains("--maxphyaddr 43"), "{}", high.remedy);
    assert!(higher.what.contains("MAXPHYADDR") && higher.remedy.contains("52 bits"), "{higher}");
    assert!(masked.is_ok());
}

#[test]
fn a_raw_dump_that_ends_too_soon_says_where() {
    let image = images::ordinary();
    let options = Options { base: 0x8000, ..asked(Some(image.cr3)) };
    let mut bytes = raw(&image, 0x8000);
    let whole = read(Cursor::new(bytes.clone()), &options).expect("an image");
    bytes.truncate(bytes.len() - 100);

    let cut = read(Cursor::new(bytes.clone()), &options).expect("an image");
    let packed = read(Cursor::new(packed(&bytes)), &options).expect("an image");
    let without_root = refused(bytes[..0x8100].to_vec(), options);

    assert_eq!(whole.end, None);
    assert_eq!(cut.end, Some(0x1_8000 - 100));
    assert_eq!(packed.end, cut.end);
    assert!(without_root.what.contains("ends after 0x8100 bytes"), "{without_root}");
}

#[test]
fn options_for_another_form_of_file_are_refused() {
    let image = images::ordinary();
    let elsewhere = Options { base: 0x1000, ..asked(None) };
    let second = Options { processor: 1, ..asked(Some(image.cr3)) };

    assert!(refused(tables_alone(&image), elsewhere).what.contains("--base is for a raw dump"));
    assert!(refused(core(&image, PAE), elsewhere).what.contains("--base is for a raw dump"));
    assert!(refused(tables_alone(&image), second).what.contains("--cpu is for an ELF core"));
    assert!(refused(raw(&image, 0), second).what.contains("--cpu is for an ELF core"));
}

#[test]
fn options_that_contradict_the_file_are_refused() {
    let five = Options { levels: Some(Levels::Five), ..asked(None) };

    assert!(refused(tables_alone(&images::ordinary()), five).what.contains("--levels says 5"));
}

#[test]
fn no_bytes_make_it_panic() {
    let image = images::ordinary();
    let forms = [tables_alone(&image), core(&image, PAE), packed(&tables_alone(&image))];
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
