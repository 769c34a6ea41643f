use std::{fs, path::PathBuf};

use super::*;
use crate::Error;

fn key(number: usize) -> Key {
    Key::new(&[b"test", &number.to_le_bytes()])
}

/// A block that differs from that of every other number.
fn block(number: usize) -> Vec<f32> {
    (0..5 + number % 3).map(|i| (number * 10 + i) as f32).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn keys_tell_parts_apart() {
    assert_eq!(Key::new(&[b"ab", b"c"]), Key::new(&[b"ab", b"c"]));
    assert_ne!(Key::new(&[b"ab", b"c"]), Key::new(&[b"a", b"bc"]));
    assert_ne!(Key::new(&[b"ab"]), Key::new(&[b"ab", b""]));
}

#[test]
fn blocks_come_back_bit_for_bit() {
    let odd = [0x7fc0_1234, 0xffa0_0001, 0x8000_0000, 1, 0x7f80_0000, 0x3f80_0000];
    let values = odd.map(f32::from_bits);
    let folder = tempfile::tempdir().unwrap();
    // Without room in memory, every get reads the file.
    let on_disk = VectorCache::on_disk(0, folder.path()).unwrap();
    for cache in [VectorCache::new(1 << 20), on_disk] {
        assert!(cache.get(&key(0)).unwrap().is_none());
        cache.insert(key(0), &values).unwrap();
        assert_eq!(bits(&cache.get(&key(0)).unwrap().unwrap()), odd);
        assert!(cache.get(&key(1)).unwrap().is_none());
        assert_eq!(cache.warning(), None);
    }
}

#[test]
fn memory_is_bounded_and_keeps_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let max_bytes = 3 * (ENTRY_BYTES + 4 * 8);
    let on_disk = VectorCache::on_disk(max_bytes, folder.path()).unwrap();
    for cache in [VectorCache::new(max_bytes), on_disk] {
        for number in 0..10 {
            cache.insert(key(number), &[number as f32; 8]).unwrap();
            cache.insert(key(number), &[-1.0; 8]).unwrap();
            assert_eq!(cache.len(), 3.min(number + 1));
            assert_eq!(cache.bytes(), cache.len() * (ENTRY_BYTES + 4 * 8));
        }
        for number in 0..10 {
            let found = cache.get(&key(number)).unwrap();
            assert_eq!(found.is_some(), number < 3 || cache.file.is_some());
            assert!(found.is_none_or(|block| *block == [number as f32; 8]));
        }
        assert_eq!(cache.bytes(), max_bytes);
    }
}

#[test]
fn a_later_run_finds_the_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let nested = folder.path().join("a/b");
    for run in 0..3 {
        let cache = VectorCache::on_disk(1 << 20, &nested).unwrap();
        assert_eq!(cache.len(), 0, "nothing is read before it is asked for");
        for number in 0..run * 10 {
            assert_eq!(*cache.get(&key(number)).unwrap().unwrap(), *block(number));
        }
        assert_eq!(cache.len(), run * 10, "what was read stays in memory");
        (0..(run + 1) * 10).for_each(|number| cache.insert(key(number), &block(number)).unwrap());
    }
}

#[test]
fn a_second_cache_on_the_folder_works_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = VectorCache::on_disk(0, folder.path()).unwrap();
    let second = VectorCache::on_disk(1 << 20, folder.path()).unwrap();
    let warning = second.warning().unwrap();
    assert!(warning.contains("vectors.bin: another run uses it"), "{warning}");
    assert_eq!((first.warning(), second.warning()), (None, None));
    first.insert(key(0), &block(0)).unwrap();
    second.insert(key(1), &block(1)).unwrap();
    assert!(second.get(&key(0)).unwrap().is_none());
    assert_eq!(*second.get(&key(1)).unwrap().unwrap(), *block(1));
    assert!(first.get(&key(1)).unwrap().is_none());
    drop(first);
    let third = VectorCache::on_disk(0, folder.path()).unwrap();
    assert_eq!(*third.get(&key(0)).unwrap().unwrap(), *block(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path().join("vectors.bin")).unwrap();
    let cache = VectorCache::on_disk(1 << 20, folder.path()).unwrap();
    assert_eq!(cache.warning(), None);
    cache.insert(key(0), &block(0)).unwrap();
    let warning = cache.warning().unwrap();
    assert!(warning.contains("vectors.bin: cannot write: No space"), "{warning}");
    cache.insert(key(1), &block(1)).unwrap();
    assert_eq!(cache.warning(), None);
    assert_eq!(*cache.get(&key(1)).unwrap().unwrap(), *block(1));
}

#[test]
fn threads_share_a_cache() {
    let folder = tempfile::tempdir().unwrap();
    let max_bytes = 60 * (ENTRY_BYTES + 4 * 8);
    let cache = VectorCache::on_disk(max_bytes, folder.path()).unwrap();
    let work = |thread: usize| {
        for step in 0..100 {
            let number = (step * 37 + thread * 25) % 100;
            cache.insert(key(number), &block(number)).unwrap();
            assert_eq!(*cache.get(&key(number)).unwrap().unwrap(), *block(number));
            assert!(cache.bytes() <= max_bytes);
        }
    };
    std::thread::scope(|scope| {
        (0..4).for_each(|thread| drop(scope.spawn(move || work(thread))));
    });
    drop(cache);
    let cache = VectorCache::on_disk(0, folder.path()).unwrap();
    for number in 0..100 {
        assert_eq!(*cache.get(&key(number)).unwrap().unwrap(), *block(number));
    }
}

/// A folder whose file holds the blocks 0 to 2, the file, and where they end.
fn three_blocks() -> (tempfile::TempDir, PathBuf, Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors.bin");
    let cache = VectorCache::on_disk(0, folder.path()).unwrap();
    let insert = |number| {
        cache.insert(key(number), &block(number)).unwrap();
        fs::metadata(&path).unwrap().len() as usize
    };
    let ends = (0..3).map(insert).collect();
    (folder, path, ends)
}

/// Which of the blocks 0 to 2 are there; those have to be right.
fn found(cache: &VectorCache) -> [bool; 3] {
    [0, 1, 2].map(|number| {
        let found = cache.get(&key(number)).unwrap();
        assert!(found.as_ref().is_none_or(|values| **values == *block(number)));
        found.is_some()
    })
}

#[test]
fn a_file_cut_off_anywhere_loses_one_block() {
    let (folder, path, ends) = three_blocks();
    let whole = fs::read(&path).unwrap();
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        let cache = VectorCache::on_disk(0, folder.path()).unwrap();
        let left = [0, 1, 2].map(|number| ends[number] <= len);
        assert_eq!(found(&cache), left, "cut at {len}");
        let n_left = left.iter().filter(|left| **left).count();
        let kept = [[0, 12][usize::from(len >= 12)], ends[0], ends[1]][n_left];
        assert_eq!(fs::metadata(&path).unwrap().len() as usize, kept, "cut at {len}");
        (0..3).for_each(|number| cache.insert(key(number), &block(number)).unwrap());
        assert_eq!((found(&cache), cache.warning()), ([true; 3], None));
        assert_eq!(fs::read(&path).unwrap(), whole, "cut at {len}");
    }
}

#[test]
fn a_flipped_byte_makes_its_block_absent() {
    let (folder, path, ends) = three_blocks();
    let whole = fs::read(&path).unwrap();
    for at in 12..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        let hit = ends.iter().filter(|end| **end <= at).count();
        let start = if hit == 0 { 12 } else { ends[hit - 1] };
        let cache = VectorCache::on_disk(0, folder.path()).unwrap();
        let left = found(&cache);
        // After a wrong number of values the next records are not found.
        let in_number = (start + 32..start + 36).contains(&at);
        let is_left = |number| number < hit || (number > hit && !in_number);
        assert_eq!(left, [0, 1, 2].map(is_left), "byte {at}");
        (0..3).for_each(|number| cache.insert(key(number), &block(number)).unwrap());
        assert_eq!(found(&cache), [true; 3], "byte {at}");
        drop(cache);
        let cache = VectorCache::on_disk(0, folder.path()).unwrap();
        assert_eq!(found(&cache), [true; 3], "byte {at}, next run");
    }
}

#[test]
fn damage_to_an_open_file_makes_blocks_absent() {
    let (folder, path, ends) = three_blocks();
    let cache = VectorCache::on_disk(0, folder.path()).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(ends[1] as u64 + 50).unwrap();
    assert_eq!(found(&cache), [true, true, false]);
    cache.insert(key(2), &block(2)).unwrap();
    assert_eq!(found(&cache), [true; 3]);
}

#[test]
fn a_tail_of_zeros_is_removed() {
    let (folder, path, ends) = three_blocks();
    let mut padded = fs::read(&path).unwrap();
    padded.resize(ends[2] + 1000, 0);
    fs::write(&path, padded).unwrap();
    assert_eq!(found(&VectorCache::on_disk(0, folder.path()).unwrap()), [true; 3]);
    assert_eq!(fs::metadata(&path).unwrap().len() as usize, ends[2]);
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let (folder, path, _) = three_blocks();
    let mut other_version = fs::read(&path).unwrap();
    other_version[8] += 1;
    let files: [(&[u8], &str); 3] =
        [(&other_version, "version"), (b"abc", "not a file"), (b"some other file", "not a file")];
    for (content, problem) in files {
        fs::write(&path, content).unwrap();
        let error = VectorCache::on_disk(0, folder.path()).err().unwrap();
        assert!(matches!(error, Error::Config { .. }));
        let text = error.to_string();
        let parts = ["vectors.bin: ", problem, "delete"];
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    let error = VectorCache::on_disk(0, &path).err().unwrap();
    assert!(matches!(error, Error::Write { .. }), "a file where a folder should be");
}
