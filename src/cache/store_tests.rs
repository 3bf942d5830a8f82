//! Tests of the store: what is found, what is not, and what a hostile writer can do to it.

use super::*;

const KEY: Key = Key {
    location: 0x1_0000_8000,
    settings: 77,
    head: 0x4770,
};

fn code(byte: u8) -> Code {
    Code {
        bytes: vec![byte; 40],
        exits: vec![Exit {
            patch: 4,
            stub: 20,
            id_imm: 24,
            target: 0x9001,
        }],
        guest_insns: 3,
        hot_bytes: 16,
        pool: 40,
        ..Code::default()
    }
}

fn add_seals(file: &OwnedFd, seals: i32) -> i32 {
    // SAFETY: fcntl on an open descriptor.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) }
}

fn truncate(file: &OwnedFd, size: usize) -> i32 {
    // SAFETY: ftruncate touches no memory of ours.
    unsafe { libc::ftruncate(file.as_raw_fd(), size as libc::off_t) }
}

fn secret() -> Secret {
    Secret::from_bytes(&[7; 16])
}

fn map(file: &OwnedFd) -> Store {
    Store::map(file, secret()).unwrap()
}

fn put(store: &Store, key: Key, byte: u8) {
    let guest = [byte, 2, 3, 4, 5, 6];
    let made = (&code(byte), &[0x8000..0x8010, 0x9000..0x9004][..]);
    store.put(key, made, &[9, 9, 9], &[0x8000..0x8004, 0x800e..0x8010], &guest);
}

#[test]
fn what_one_mapping_puts_in_another_finds() {
    let file = Store::create().unwrap();
    let (one, other) = (map(&file), map(&file));
    assert!(other.get(KEY, |_, _| true).is_none());
    put(&one, KEY, 1);
    let mut asked = Vec::new();
    let kept = other.get(KEY, |range, bytes| {
        asked.push((range, bytes.to_vec()));
        true
    });
    let kept = kept.expect("it was put in");
    assert_eq!(
        asked,
        [(0x8000..0x8004, vec![1, 2, 3, 4]), (0x800e..0x8010, vec![5, 6])]
    );
    assert_eq!(kept.ranges, [0x8000..0x8010, 0x9000..0x9004]);
    let Code {
        bytes,
        exits,
        rows,
        packed_rows,
        guest_insns,
        hot_bytes,
        pool,
        ..
    } = kept.code;
    assert_eq!((bytes, packed_rows, rows.len()), (vec![1; 40], vec![9; 3], 0));
    assert_eq!((guest_insns, hot_bytes, pool), (3, 16, 40));
    assert_eq!(
        (exits[0].patch, exits[0].stub, exits[0].id_imm, exits[0].target),
        (4, 20, 24, 0x9001)
    );
    for other_key in [
        Key {
            location: KEY.location + 2,
            ..KEY
        },
        Key { settings: 78, ..KEY },
        Key { head: 0, ..KEY },
    ] {
        assert!(other.get(other_key, |_, _| true).is_none());
    }
}

#[test]
fn of_several_at_one_address_the_one_that_is_in_memory() {
    let file = Store::create().unwrap();
    let store = map(&file);
    for byte in 1..=3 {
        put(&store, KEY, byte);
    }
    let kept = store.get(KEY, |range, bytes| range.start != 0x8000 || bytes[0] == 2);
    assert_eq!(kept.unwrap().code.bytes, [2; 40]);
    assert!(store.get(KEY, |_, bytes| bytes[0] == 7).is_none());
}

#[test]
fn full_is_no_error() {
    let file = Store::create().unwrap();
    let store = map(&file);
    // More than REACH of one key.
    for byte in 0..=2 * REACH as u8 {
        put(&store, KEY, byte);
    }
    store
        .head()
        .used
        .store((SIZE - ENTRIES) as u64 - 64, Ordering::Relaxed);
    let last = Key {
        location: 0x2_0000_0000,
        ..KEY
    };
    put(&store, last, 1);
    assert!(store.get(last, |_, _| true).is_none());
}

/// What another guest may have written instead: nothing of it is used, whichever byte it is.
#[test]
fn damage_is_not_found() {
    let file = Store::create().unwrap();
    let store = map(&file);
    put(&store, KEY, 1);
    let used = store.head().used.load(Ordering::Relaxed) as usize;
    let entry = size_of::<Entry>() + 2 * 16 + 2 * 8 + 16 + 6 + 3 + 40;
    assert_eq!(used, entry.next_multiple_of(ALIGN));
    for at in ENTRIES..ENTRIES + entry {
        // SAFETY: within the mapping.
        let byte = unsafe { &*store.base.add(at).cast::<std::sync::atomic::AtomicU8>() };
        for flip in [1, 0x80, 0xff] {
            byte.fetch_xor(flip, Ordering::Relaxed);
            assert!(
                store.get(KEY, |_, _| panic!("not looked at")).is_none(),
                "byte {at}"
            );
            byte.fetch_xor(flip, Ordering::Relaxed);
        }
    }
    assert!(store.get(KEY, |_, _| true).is_some());
}

#[test]
fn what_was_made_under_another_secret_is_not_found() {
    let file = Store::create().unwrap();
    let forger = Store::map(&file, Secret::random().unwrap()).unwrap();
    let store = map(&file);
    put(&forger, KEY, 1);
    assert!(forger.get(KEY, |_, _| true).is_some());
    assert!(store.get(KEY, |_, _| true).is_none());
    put(&store, KEY, 2);
    assert_eq!(store.get(KEY, |_, _| true).unwrap().code.bytes, [2; 40]);
}

/// An index that leads anywhere, and a count of bytes that would wrap.
#[test]
fn nonsense_in_head_and_index_is_harmless() {
    let file = Store::create().unwrap();
    let store = map(&file);
    put(&store, KEY, 1);
    let (first, tag) = KEY.hash();
    let good = store.slot(first).load(Ordering::Relaxed);
    for offset in [
        0,
        1,
        (ENTRIES / ALIGN) as u32 + 1,
        (SIZE / ALIGN) as u32,
        u32::MAX,
    ] {
        let word = u64::from(tag) << 32 | u64::from(offset);
        store.slot(first).store(word, Ordering::Relaxed);
        assert!(store.get(KEY, |_, _| true).is_none(), "{offset:#x}");
    }
    store.slot(first).store(good, Ordering::Relaxed);
    for used in [
        u64::MAX,
        u64::MAX - ENTRIES as u64,
        1 << 63,
        (SIZE - ENTRIES) as u64 - 8,
    ] {
        store.head().used.store(used, Ordering::Relaxed);
        put(&store, Key { settings: 3, ..KEY }, 1);
        assert!(store.get(Key { settings: 3, ..KEY }, |_, _| true).is_none());
    }
    assert!(store.get(KEY, |_, _| true).is_some());
}

/// Files that a guest may have put in its place.
#[test]
fn only_a_sealed_memory_file_is_mapped() {
    let memory = |seals: i32, size: usize| {
        // SAFETY: a literal name; the descriptor is new.
        let file = unsafe {
            let fd = libc::memfd_create(
                c"translations".as_ptr(),
                libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING,
            );
            OwnedFd::from_raw_fd(fd)
        };
        set_size(&file, size).unwrap();
        assert_eq!(add_seals(&file, seals), 0);
        Store::map(&file, secret()).is_ok()
    };
    assert!(memory(SEALS, SIZE));
    assert!(!memory(SEALS & !libc::F_SEAL_SHRINK, SIZE));
    assert!(!memory(SEALS & !libc::F_SEAL_GROW, SIZE));
    assert!(!memory(SEALS | libc::F_SEAL_WRITE, SIZE));
    assert!(!memory(SEALS, SIZE - 4096) && !memory(0, SIZE));
    let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    assert!(Store::map(&null, secret()).is_err());
    let path = std::env::temp_dir().join(format!("store-{}", std::process::id()));
    let plain = std::fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    plain.set_len(SIZE as u64).unwrap();
    assert!(Store::map(&plain.into(), secret()).is_err());
}

/// The file keeps its size, so that no mapping of it ends in SIGBUS.
#[test]
fn it_cannot_be_truncated() {
    let file = Store::create().unwrap();
    for size in [0, SIZE / 2, 2 * SIZE] {
        assert_eq!(truncate(&file, size), -1);
    }
    put(&map(&file), KEY, 1);
    assert!(map(&file).get(KEY, |_, _| true).is_some());
}
