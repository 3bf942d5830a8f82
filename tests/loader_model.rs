//! Random mapping calls: after each few, the host's mappings, the page table and the counters must agree.

use emu::mem::{GuestAddr, MapRequest, PAGE_SIZE, Prot, Space, SpaceConfig, WINDOW, WindowPlace, space};

#[path = "loader/child.rs"]
mod child;
#[path = "loader/elf.rs"]
#[allow(
    dead_code,
    reason = "the mutations' module makes files, which are not needed here"
)]
mod elf;
#[path = "loader/random.rs"]
mod random;

use child::in_child;
use random::Random;

const P: u32 = PAGE_SIZE;
const AREA: u32 = 0x2000_0000;
/// Few pages, so that ranges meet often.
const PAGES: u64 = 64;

/// Start, end, and permissions of the host's mappings below 8 GiB.
fn host_mappings() -> Vec<(u64, u64, [u8; 3])> {
    let text = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let parse = |line: &str| {
        let (range, rest) = line.split_once(' ').expect("fields");
        let (from, to) = range.split_once('-').expect("a range");
        let hex = |s| u64::from_str_radix(s, 16).expect("hex");
        let flags = rest.as_bytes();
        (hex(from), hex(to), [flags[0], flags[1], flags[2]])
    };
    let base = space().base();
    text.lines()
        .map(parse)
        .filter(|m| m.0 >= base && m.0 < base + 2 * WINDOW)
        .map(|(from, to, flags)| (from - base, to - base, flags))
        .collect()
}

/// Every page: the host's permissions are the guest's, what is not mapped is reserved or not there.
fn check(space: &Space, watched: &[u32], step: u64) {
    let mut pages = 0;
    let mut at = u64::from(space.lowest());
    for (from, to, flags) in host_mappings() {
        if space.is_reserved() && from > 0 {
            assert_eq!(from, at, "step {step}: a hole in the reservation");
        }
        at = to;
        assert_ne!(flags[2], b'x', "step {step}: executable");
        if from >= WINDOW {
            continue;
        }
        // Long runs are the reservation: their ends and middle will do.
        let count = (to.min(WINDOW) - from) / u64::from(P);
        let few: Vec<u64> = if count > 4096 {
            vec![0, count / 2, count - 1]
        } else {
            (0..count).collect()
        };
        for page in few {
            let address = from + page * u64::from(P);
            let prot = space.prot(GuestAddr(address as u32));
            let is_watched = watched.contains(&((address / u64::from(P)) as u32));
            let want = match prot {
                None => {
                    assert!(
                        space.is_reserved(),
                        "step {step}: {address:#x} is mapped on the host"
                    );
                    b"--"
                }
                Some(prot) if prot.is_empty() => b"--",
                Some(prot) if prot.contains(Prot::WRITE) && !is_watched => b"rw",
                Some(_) => b"r-",
            };
            pages += u64::from(prot.is_some());
            assert_eq!(&flags[..2], want, "step {step}: {address:#x} is {prot:?}");
        }
    }
    assert_eq!(space.mapped_bytes(), pages * u64::from(P), "step {step}");
    let listed: u64 = space.maps().iter().map(|e| u64::from(e.end - e.start)).sum();
    assert_eq!(listed, space.mapped_bytes(), "step {step}");
}

fn random_calls(seed: u64, reserve: bool, place: WindowPlace) {
    let space = Space::init(&SpaceConfig {
        reserve,
        place,
        ..SpaceConfig::default()
    })
    .expect("a window");
    assert_eq!(space.is_reserved(), reserve);
    space.set_brk_start(AREA - 32 * P);
    let mut random = Random(seed);
    let mut watched: Vec<u32> = Vec::new();
    for step in 0..3_000 {
        let page = AREA / P + random.below(PAGES) as u32;
        let addr = page * P;
        let len = (1 + random.below(8) as u32) * P;
        let end = page + len / P;
        let prot = Prot::from_bits_truncate(random.below(8) as u8);
        let shared = if random.below(3) == 0 {
            libc::MAP_SHARED
        } else {
            libc::MAP_PRIVATE
        };
        // Changed ranges are no longer watched.
        let mut forget = |from: u32, to: u32| watched.retain(|&p| p < from || p >= to);
        match random.below(12) {
            0..=2 => {
                let flags = shared | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
                let request = MapRequest {
                    addr,
                    len,
                    prot,
                    flags,
                    fd: -1,
                    offset: 0,
                };
                assert_eq!(space.mmap(&request), Ok(addr));
                forget(page, end);
            }
            3 => {
                let flags = shared | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
                let free = (page..end).all(|p| space.prot(GuestAddr(p * P)).is_none());
                let got = space.mmap(&MapRequest {
                    addr,
                    len,
                    prot,
                    flags,
                    fd: -1,
                    offset: 0,
                });
                assert_eq!(got, if free { Ok(addr) } else { Err(libc::EEXIST) });
            }
            4 | 5 => {
                space.munmap(addr, len).expect("unmap");
                forget(page, end);
            }
            6 | 7 => {
                let mapped = space.is_mapped(GuestAddr(addr), len);
                let hole = (page..end)
                    .find(|&p| space.prot(GuestAddr(p * P)).is_none())
                    .unwrap_or(end);
                let same = (page..hole).all(|p| space.prot(GuestAddr(p * P)) == Some(prot));
                let got = space.mprotect(addr, len, prot);
                assert_eq!(got, if mapped { Ok(()) } else { Err(libc::ENOMEM) });
                if !same {
                    forget(page, hole);
                }
            }
            8 => {
                let to = AREA / P + random.below(PAGES) as u32;
                let new_len = (1 + random.below(8) as u32) * P;
                let flags = match random.below(3) {
                    0 => 0,
                    1 => libc::MREMAP_MAYMOVE,
                    _ => libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED,
                };
                // What it refuses depends on the host's mappings; whatever it does must be consistent.
                let got = space.mremap(addr, len, new_len, flags, to * P);
                // Some refusals come before watched pages are let go, others after.
                for range in [page..page + len.max(new_len) / P, to..to + new_len / P] {
                    forget(range.start, range.end);
                    range.for_each(|page| _ = space.unprotect_code(page));
                }
                if let Ok(at) = got
                    && !(AREA..AREA + 80 * P).contains(&at)
                {
                    space.munmap(at, new_len).expect("unmap what moved away");
                }
            }
            9 => {
                space.protect_code(page);
                let prot = space.prot(GuestAddr(addr));
                if prot.is_some_and(|prot| prot.contains(Prot::WRITE)) && !watched.contains(&page) {
                    watched.push(page);
                }
            }
            10 => {
                let may = space
                    .prot(GuestAddr(addr))
                    .is_some_and(|prot| prot.contains(Prot::WRITE));
                assert_eq!(space.unprotect_code(page), may);
                forget(page, page + 1);
            }
            _ => {
                let new = AREA - 32 * P + random.below(u64::from(24 * P)) as u32;
                assert_eq!(space.brk(new), new);
            }
        }
        if step % 10 == 0 {
            check(space, &watched, step);
        }
    }
    space
        .munmap(space.lowest(), 0xf000_0000)
        .expect("unmap everything");
    check(space, &[], u64::MAX);
}

#[test]
fn host_and_table_agree_with_a_reservation() {
    for seed in 0..3 {
        in_child(|| random_calls(seed, true, WindowPlace::default()));
    }
}

#[test]
fn host_and_table_agree_without_one() {
    for seed in 10..13 {
        in_child(|| random_calls(seed, false, WindowPlace::default()));
    }
}

#[test]
fn host_and_table_agree_in_a_window_elsewhere() {
    in_child(|| random_calls(20, true, WindowPlace::Anywhere));
}

/// The window is at 0 only where all that the program needs can be mapped there.
#[test]
fn the_window_lies_where_the_program_fits() {
    for (lowest, identity) in [(u32::MAX, true), (1 << 20, true), (0, false)] {
        in_child(|| {
            let config = SpaceConfig {
                place: WindowPlace::Identity { lowest },
                ..SpaceConfig::default()
            };
            let space = Space::init(&config).expect("a window");
            assert_eq!(space.base() == 0, identity, "{lowest:#x}");
            assert!(identity || space.lowest() == P);
        });
    }
}

/// The guest's limits count its own pages, and replaced ones once.
#[test]
fn limits_are_the_guests() {
    in_child(|| {
        let config = SpaceConfig {
            address_space: 64 << 12,
            data: 32 << 12,
            ..SpaceConfig::default()
        };
        let space = Space::init(&config).expect("a window");
        let map = |addr: u32, pages: u32, prot: Prot, flags: i32| {
            let flags = flags | libc::MAP_ANONYMOUS;
            space.mmap(&MapRequest {
                addr,
                len: pages * P,
                prot,
                flags,
                fd: -1,
                offset: 0,
            })
        };
        let (rw, ro) = (Prot::READ | Prot::WRITE, Prot::READ);
        let (private, fixed) = (libc::MAP_PRIVATE, libc::MAP_PRIVATE | libc::MAP_FIXED);
        assert_eq!(map(AREA, 33, rw, fixed), Err(libc::ENOMEM), "RLIMIT_DATA");
        assert_eq!(map(AREA, 32, rw, fixed), Ok(AREA));
        assert_eq!(map(AREA, 32, rw, fixed), Ok(AREA), "over itself");
        assert_eq!(map(0, 33, ro, private), Err(libc::ENOMEM), "RLIMIT_AS");
        let other = map(0, 32, ro, private).expect("the rest");
        assert_eq!(map(0, 1, ro, private), Err(libc::ENOMEM));
        assert_eq!(
            space.mprotect(other, P, rw),
            Err(libc::ENOMEM),
            "would become data"
        );
        assert_eq!(
            space.mremap(AREA, 32 * P, 33 * P, libc::MREMAP_MAYMOVE, 0),
            Err(libc::ENOMEM)
        );
        space.mprotect(AREA, P, ro).expect("less data");
        assert_eq!(space.mprotect(other, P, rw), Ok(()));
        space.munmap(other, 32 * P).expect("unmap");
        assert!(
            map(0, 32, rw, libc::MAP_SHARED).is_ok(),
            "shared memory is no data"
        );
        space.munmap(AREA, 32 * P).expect("unmap");
        space.set_brk_start(AREA);
        assert_eq!(space.brk(AREA + 33 * P), AREA);
        assert_eq!(space.brk(AREA + 20 * P), AREA + 20 * P);
    });
}
