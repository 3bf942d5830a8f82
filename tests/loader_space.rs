//! The guest's address space against what mmap(2), mremap(2), brk(2) and the kernel's sources say.
//!
//! One process has one space, so every test works in an area of its own.

mod stop;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use emu::mem::{Fault, GuestAddr, MapRequest, PAGE_SIZE, Prot, Space, SpaceConfig, TASK_SIZE, copy_fixup};

#[path = "loader/child.rs"]
mod child;
use child::in_child;
use stop::Stop;

const RW: Prot = Prot::READ.union(Prot::WRITE);
const ANON: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
const P: u32 = PAGE_SIZE;

/// Continues faulting copies, as the emulator's own handler does; anything else dies.
extern "C" fn on_fault(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid context; a fault of anything but a copy ends the test run.
    unsafe {
        let context = &mut *context.cast::<libc::ucontext_t>();
        let rip = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
        match copy_fixup(*rip as u64) {
            Some(to) => *rip = to as i64,
            None => libc::abort(),
        }
    }
}

/// Low and high end of the translated code reported as changed, one call only: packed as start << 32 | end.
static CHANGED: AtomicU64 = AtomicU64::new(0);

fn start() -> &'static Space {
    static ONCE: Once = Once::new();
    let space = Space::init(&SpaceConfig::default()).expect("a window");
    ONCE.call_once(|| {
        // SAFETY: installs a handler that only moves the program counter.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut());
            libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut());
        }
        space.set_code_hook(|start, end| {
            CHANGED.store(u64::from(start) << 32 | u64::from(end), Ordering::SeqCst);
        });
    });
    space
}

fn map(addr: u32, len: u32, prot: Prot, flags: i32) -> Result<u32, i32> {
    start().mmap(&MapRequest {
        addr,
        len,
        prot,
        flags,
        fd: -1,
        offset: 0,
    })
}

fn fixed(addr: u32, len: u32, prot: Prot) -> u32 {
    map(addr, len, prot, ANON | libc::MAP_FIXED).expect("map at a fixed address")
}

/// A file of `pages` pages, each filled with its number plus one.
fn file(pages: u8) -> File {
    let path = std::env::temp_dir().join(format!("emu-space-{}-{pages}", std::process::id()));
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .expect("a file");
    for page in 0..pages {
        file.write_all(&[page + 1; P as usize]).expect("write");
    }
    std::fs::remove_file(&path).expect("remove");
    file
}

#[test]
fn window_is_reserved_with_a_guard() {
    let space = start();
    assert!(space.is_reserved());
    // In a child, so that no other test moves mappings meanwhile.
    in_child(|| {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
        let mut at = u64::from(space.lowest());
        for line in maps.lines() {
            let (range, rest) = line.split_once(' ').expect("fields");
            let (from, to) = range.split_once('-').expect("a range");
            let from = u64::from_str_radix(from, 16).expect("hex");
            let to = u64::from_str_radix(to, 16).expect("hex");
            if from >= 2 << 32 {
                break;
            }
            assert_eq!(from, at, "a hole before {line}");
            assert!(!rest[..4].contains('x'), "executable: {line}");
            at = to;
        }
        assert_eq!(at, 2 << 32, "the guard ends at 8 GiB");
    });
}

#[test]
fn errors_of_mmap() {
    let space = start();
    assert_eq!(map(0, 0, RW, ANON), Err(libc::EINVAL));
    assert_eq!(map(0, u32::MAX, RW, ANON), Err(libc::ENOMEM));
    assert_eq!(map(0x1000_0001, P, RW, ANON | libc::MAP_FIXED), Err(libc::EINVAL));
    assert_eq!(map(0, P, RW, ANON | libc::MAP_FIXED), Err(libc::EPERM));
    assert_eq!(map(TASK_SIZE, P, RW, ANON | libc::MAP_FIXED), Err(libc::ENOMEM));
    assert_eq!(
        map(TASK_SIZE - P, 2 * P, RW, ANON | libc::MAP_FIXED),
        Err(libc::ENOMEM)
    );
    assert_eq!(
        map(0, P, RW, libc::MAP_ANONYMOUS),
        Err(libc::EINVAL),
        "neither shared nor private"
    );
    assert_eq!(map(0, P, RW, libc::MAP_PRIVATE), Err(libc::EBADF));
    let request = MapRequest {
        addr: 0,
        len: P,
        prot: RW,
        flags: libc::MAP_PRIVATE,
        fd: -1,
        offset: 0x234,
    };
    assert_eq!(space.mmap(&request), Err(libc::EINVAL));
    let at = fixed(0x1000_0000, 2 * P, RW);
    assert_eq!(
        map(at + P, P, RW, ANON | libc::MAP_FIXED_NOREPLACE),
        Err(libc::EEXIST)
    );
    assert_eq!(
        map(at + 2 * P, P, RW, ANON | libc::MAP_FIXED_NOREPLACE),
        Ok(at + 2 * P)
    );
    let read_only = File::open("/proc/self/exe").expect("open");
    let request = MapRequest {
        addr: 0,
        len: P,
        prot: RW,
        flags: libc::MAP_SHARED,
        fd: read_only.as_raw_fd(),
        offset: 0,
    };
    assert_eq!(space.mmap(&request), Err(libc::EACCES));
}

#[test]
fn errors_of_munmap_and_mprotect() {
    let space = start();
    assert_eq!(space.munmap(0x1100_0001, P), Err(libc::EINVAL));
    assert_eq!(space.munmap(0x1100_0000, 0), Err(libc::EINVAL));
    assert_eq!(space.munmap(TASK_SIZE, P), Err(libc::EINVAL));
    assert_eq!(space.munmap(P, u32::MAX), Err(libc::EINVAL));
    assert_eq!(space.munmap(0x1100_0000, P), Ok(()), "nothing there");
    assert_eq!(space.mprotect(0x1100_0001, P, RW), Err(libc::EINVAL));
    assert_eq!(space.mprotect(0x1100_0000, 0, RW), Ok(()));
    assert_eq!(space.mprotect(0x1100_0000, P, RW), Err(libc::ENOMEM));
    assert_eq!(space.mprotect(0x1100_0000, u32::MAX, RW), Err(libc::ENOMEM));
    // Pages before a hole change all the same.
    let at = fixed(0x1100_0000, 2 * P, RW);
    assert_eq!(space.mprotect(at, 3 * P, Prot::READ), Err(libc::ENOMEM));
    assert_eq!(space.prot(GuestAddr(at + P)), Some(Prot::READ));
    assert_eq!(space.write(GuestAddr(at + P), &1u32), Err(Fault));
    // A file open for reading only: the pages before it change, its own do not.
    let read_only = File::open("/proc/self/exe").expect("open");
    let request = MapRequest {
        addr: at + P,
        len: P,
        prot: Prot::READ,
        flags: libc::MAP_SHARED | libc::MAP_FIXED,
        fd: read_only.as_raw_fd(),
        offset: 0,
    };
    assert_eq!(space.mmap(&request), Ok(at + P));
    assert_eq!(space.mprotect(at, 2 * P, RW), Err(libc::EACCES));
    assert_eq!(space.prot(GuestAddr(at)), Some(RW));
    assert_eq!(space.prot(GuestAddr(at + P)), Some(Prot::READ));
    assert_eq!(space.write(GuestAddr(at), &1u32), Ok(()));
}

#[test]
fn placement_is_top_down_and_hints_are_kept_where_free() {
    let base = start().lowest();
    let a = map(0, P, RW, ANON).expect("map");
    let b = map(0, 3 * P, RW, ANON).expect("map");
    assert!(a < 0xf7ff_0000 && b < 0xf7ff_0000 && a > 0xf000_0000 && b > 0xf000_0000);
    assert_eq!(
        map(0x1200_0abc, P, RW, ANON),
        Ok(0x1200_0000),
        "a free hint, rounded down"
    );
    let elsewhere = map(0x1200_0000, P, RW, ANON).expect("map");
    assert_ne!(elsewhere, 0x1200_0000);
    assert!(elsewhere > 0xf000_0000);
    let low = map(1, P, RW, ANON).expect("map");
    assert!(low > base);
    let aligned = start()
        .mmap_aligned(
            &MapRequest {
                addr: 0,
                len: P,
                prot: RW,
                flags: ANON,
                fd: -1,
                offset: 0,
            },
            1 << 20,
        )
        .expect("map");
    assert_eq!(aligned % (1 << 20), 0);
}

#[test]
fn copies_stop_at_bad_addresses() {
    let space = start();
    let at = fixed(0x1300_0000, 2 * P, RW);
    space.munmap(at + P, P).expect("unmap");
    let last = GuestAddr(at + P - 4);
    assert_eq!(space.write(last, &0xdead_beefu32), Ok(()));
    assert_eq!(space.read::<u32>(last), Ok(0xdead_beef));
    assert_eq!(space.read::<u64>(last), Err(Fault));
    assert_eq!(space.read::<[u8; 12]>(last), Err(Fault));
    assert_eq!(space.read::<u16>(GuestAddr(at + P)), Err(Fault));
    assert_eq!(space.read::<u8>(GuestAddr(at + P)), Err(Fault));
    assert_eq!(space.write(GuestAddr(at + P), &1u8), Err(Fault));
    assert_eq!(space.write(last, &1u64), Err(Fault));
    assert_eq!(space.write(GuestAddr(at + P - 1), &1u16), Err(Fault));
    let mut bytes = [0u8; 16];
    assert_eq!(space.read_bytes(last, &mut bytes), Err(Fault));
    assert_eq!(space.read_prefix(last, &mut bytes), Ok(4));
    assert_eq!(space.write_bytes(GuestAddr(at), &[7; 5000]), Err(Fault));
    assert_eq!(
        space.read::<u8>(GuestAddr(at + P - 1)),
        Ok(7),
        "written up to the fault"
    );
    assert_eq!(space.cmpxchg_u32(GuestAddr(at), 0x0707_0707, 5), Ok(0x0707_0707));
    assert_eq!(space.cmpxchg_u32(GuestAddr(at), 0x0707_0707, 6), Ok(5));
    assert_eq!(space.cmpxchg_u32(GuestAddr(at + P), 0, 6), Err(Fault));
    for outside in [0, 4, TASK_SIZE, 0xffff_ffff, TASK_SIZE - 2] {
        assert_eq!(space.read::<u32>(GuestAddr(outside)), Err(Fault), "{outside:#x}");
    }
    assert_eq!(space.check(GuestAddr(1), u64::from(TASK_SIZE)), Err(Fault));
    assert_eq!(space.check(GuestAddr(1), u64::MAX), Err(Fault));
    assert!(space.check(GuestAddr(u32::MAX), 0).is_ok());
}

#[test]
fn strings_end_at_their_nul() {
    let space = start();
    let at = fixed(0x1400_0000, P, RW);
    space
        .write_bytes(GuestAddr(at + P - 6), b"hello\0")
        .expect("write");
    assert_eq!(space.read_cstr(GuestAddr(at + P - 6), 100), Ok(b"hello".to_vec()));
    assert_eq!(space.read_cstr(GuestAddr(at + P - 6), 3), Ok(b"hel".to_vec()));
    space.write(GuestAddr(at + P - 1), &b'x').expect("write");
    assert_eq!(space.read_cstr(GuestAddr(at + P - 6), 100), Err(Fault));
    space.write_bytes(GuestAddr(at), &[b'a'; 3000]).expect("write");
    assert_eq!(space.read_cstr(GuestAddr(at), 4096).map(|s| s.len()), Ok(3000));
}

#[test]
fn write_only_and_execute_only_pages_can_be_read() {
    let space = start();
    let at = fixed(0x1500_0000, P, Prot::WRITE);
    assert_eq!(space.read::<u32>(GuestAddr(at)), Ok(0));
    space.mprotect(at, P, Prot::EXEC).expect("protect");
    assert_eq!(space.read::<u32>(GuestAddr(at)), Ok(0));
    assert_eq!(space.write(GuestAddr(at), &0u32), Err(Fault));
    space.mprotect(at, P, Prot::empty()).expect("protect");
    assert_eq!(space.read::<u32>(GuestAddr(at)), Err(Fault));
    assert_eq!(space.prot(GuestAddr(at)), Some(Prot::empty()));
    assert_eq!(space.prot(GuestAddr(at + P)), None);
}

#[test]
fn files_shared_and_private() {
    let space = start();
    let file = file(4);
    let request = MapRequest {
        addr: 0x1600_0000,
        len: 2 * P,
        prot: RW,
        flags: libc::MAP_SHARED | libc::MAP_FIXED,
        fd: file.as_raw_fd(),
        offset: u64::from(P),
    };
    let shared = space.mmap(&request).expect("map");
    let private = space
        .mmap(&MapRequest {
            addr: 0x1601_0000,
            flags: libc::MAP_PRIVATE | libc::MAP_FIXED,
            ..request
        })
        .expect("map");
    assert_eq!(space.read::<u8>(GuestAddr(shared)), Ok(2));
    space.write(GuestAddr(shared + P), &99u8).expect("write");
    assert_eq!(space.read::<u8>(GuestAddr(private + P)), Ok(99), "not copied yet");
    space.write(GuestAddr(private), &77u8).expect("write");
    assert_eq!(space.read::<u8>(GuestAddr(shared)), Ok(2));
    let maps = space.maps();
    let entry = maps.iter().find(|e| e.start == shared).expect("listed");
    assert!(entry.shared && entry.offset == u64::from(P) && entry.inode != 0);
    assert!(entry.path.ends_with(b"(deleted)"), "{entry:?}");
    assert_eq!(entry.end - entry.start, 2 * P);
    // Beyond the end of the file: SIGBUS, which is a fault to a copy.
    let beyond = space
        .mmap(&MapRequest {
            addr: 0x1602_0000,
            offset: u64::from(4 * P),
            ..request
        })
        .expect("map");
    assert_eq!(space.read::<u8>(GuestAddr(beyond)), Err(Fault));
}

#[test]
fn remap_shrinks_grows_and_moves() {
    let space = start();
    let at = fixed(0x1700_0000, 4 * P, RW);
    for page in 0..4 {
        space.write(GuestAddr(at + page * P), &(page + 1)).expect("write");
    }
    let may_move = libc::MREMAP_MAYMOVE;
    assert_eq!(space.mremap(at, 4 * P, 2 * P, 0, 0), Ok(at));
    assert_eq!(space.prot(GuestAddr(at + 2 * P)), None);
    assert_eq!(space.mremap(at, 2 * P, 8 * P, 0, 0), Ok(at), "in place");
    assert_eq!(space.read::<u32>(GuestAddr(at + P)), Ok(2));
    assert_eq!(
        space.read::<u32>(GuestAddr(at + 2 * P)),
        Ok(0),
        "new pages are zero"
    );
    let wall = fixed(at + 8 * P, P, RW);
    assert_eq!(space.mremap(at, 8 * P, 9 * P, 0, 0), Err(libc::ENOMEM));
    let moved = space.mremap(at, 8 * P, 9 * P, may_move, 0).expect("move");
    assert_ne!(moved, at);
    assert_eq!(space.prot(GuestAddr(at)), None);
    assert_eq!(space.read::<u32>(GuestAddr(at)), Err(Fault));
    assert_eq!(space.read::<u32>(GuestAddr(moved + P)), Ok(2));
    let to = 0x1710_0000;
    assert_eq!(
        space.mremap(moved, 9 * P, 9 * P, may_move | libc::MREMAP_FIXED, to),
        Ok(to)
    );
    assert_eq!(space.read::<u32>(GuestAddr(to + P)), Ok(2));
    assert_eq!(
        space.mremap(to, 2 * P, 2 * P, may_move | libc::MREMAP_FIXED, to + P),
        Err(libc::EINVAL)
    );
    assert_eq!(
        space.mremap(to, 2 * P, 2 * P, libc::MREMAP_FIXED, to + 64 * P),
        Err(libc::EINVAL)
    );
    assert_eq!(space.mremap(to + 1, P, 2 * P, 0, 0), Err(libc::EINVAL));
    assert_eq!(space.mremap(to, P, 0, 0, 0), Err(libc::EINVAL));
    assert_eq!(
        space.mremap(0x17f0_0000, P, 2 * P, may_move, 0),
        Err(libc::EFAULT)
    );
    assert_eq!(space.mremap(to, 20 * P, 21 * P, may_move, 0), Err(libc::EFAULT));
    // A moved mapping that stays: the old pages are there, and empty.
    let kept = space
        .mremap(to, 2 * P, 2 * P, may_move | libc::MREMAP_DONTUNMAP, 0)
        .expect("move");
    assert_eq!(space.read::<u32>(GuestAddr(kept + P)), Ok(2));
    assert_eq!(space.read::<u32>(GuestAddr(to + P)), Ok(0));
    // Old length 0 duplicates shared mappings only.
    assert_eq!(space.mremap(wall, 0, P, may_move, 0), Err(libc::EINVAL));
    let shared = map(
        0x1720_0000,
        P,
        RW,
        libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
    )
    .expect("map");
    let twin = space.mremap(shared, 0, P, may_move, 0).expect("duplicate");
    space.write(GuestAddr(shared), &1234u32).expect("write");
    assert_eq!(space.read::<u32>(GuestAddr(twin)), Ok(1234));
}

#[test]
fn code_pages_are_watched() {
    let space = start();
    let at = fixed(0x1800_0000, 4 * P, RW | Prot::EXEC);
    let page = at >> 12;
    let changed = || {
        let seen = CHANGED.swap(0, Ordering::SeqCst);
        ((seen >> 32) as u32, seen as u32)
    };
    space.protect_code(page + 1);
    assert_eq!(
        space.prot(GuestAddr(at + P)),
        Some(RW | Prot::EXEC),
        "the guest's view"
    );
    assert_eq!(
        space.write(GuestAddr(at + P), &1u32),
        Err(Fault),
        "here nobody handles the fault"
    );
    assert!(space.unprotect_code(page + 1));
    assert_eq!(space.write(GuestAddr(at + P), &1u32), Ok(()));
    assert!(!space.unprotect_code(page + 4), "not mapped");
    space.mprotect(at, P, Prot::READ | Prot::EXEC).expect("protect");
    assert!(!space.unprotect_code(page), "the guest may not write it");

    CHANGED.store(0, Ordering::SeqCst);
    space.protect_code(page + 1);
    assert!(space.check_write(GuestAddr(at + P + 100), 4).is_ok());
    assert_eq!(changed(), (at + P, at + 2 * P));
    assert_eq!(space.write(GuestAddr(at + P), &1u32), Ok(()));

    space.protect_code(page + 1);
    space.mprotect(at + P, P, RW | Prot::EXEC).expect("protect");
    assert_eq!(changed(), (0, 0), "the same permissions are no change");
    space
        .mprotect(at + P, P, Prot::READ | Prot::EXEC)
        .expect("protect");
    assert_eq!(changed(), (at + P, at + 2 * P));
    space.protect_code(page + 1);
    space.munmap(at + 2 * P, P).expect("unmap");
    assert_eq!(changed(), (0, 0));
    space.munmap(at, 4 * P).expect("unmap");
    assert_eq!(changed(), (at, at + 4 * P));

    // A page that was only noted is watched once that is asked for.
    let at = fixed(0x1808_0000, P, RW | Prot::EXEC);
    space.note_code(at >> 12);
    assert_eq!(space.write(GuestAddr(at), &1u32), Ok(()));
    space.protect_code(at >> 12);
    assert_eq!(space.write(GuestAddr(at), &1u32), Err(Fault));
    space.munmap(at, P).expect("unmap");
    assert_eq!(changed(), (at, at + P));

    // A neighbour's code is no concern of a mapping that grows and has to move for it.
    let at = fixed(0x180c_0000, 2 * P, RW);
    let code = fixed(at + 2 * P, P, Prot::READ | Prot::EXEC);
    space.protect_code(code >> 12);
    let moved = space.mremap(at, 2 * P, 4 * P, libc::MREMAP_MAYMOVE, 0);
    assert!(moved.is_ok_and(|to| to != at));
    assert_eq!(changed(), (0, 0));
    space.munmap(code, P).expect("unmap");
    assert_eq!(changed(), (code, code + P));

    // A watched page in a mapping that moves.
    let at = fixed(0x1810_0000, 3 * P, RW | Prot::EXEC);
    space.protect_code((at >> 12) + 1);
    let to = space.mremap(
        at,
        3 * P,
        5 * P,
        libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED,
        0x1820_0000,
    );
    assert_eq!(to, Ok(0x1820_0000));
    assert_ne!(changed(), (0, 0));
    for page in 0..5 {
        assert_eq!(space.write(GuestAddr(0x1820_0000 + page * P), &page), Ok(()));
    }
    // Discarded contents.
    space.protect_code(0x18200);
    space
        .madvise(0x1820_0000, P, libc::MADV_DONTNEED)
        .expect("advise");
    assert_ne!(changed(), (0, 0));
}

#[test]
fn advice_sees_the_guests_holes() {
    let space = start();
    let at = fixed(0x1900_0000, 3 * P, RW);
    space.munmap(at + P, P).expect("unmap");
    space.write(GuestAddr(at + 2 * P), &5u32).expect("write");
    assert_eq!(space.madvise(at, 3 * P, libc::MADV_DONTNEED), Err(libc::ENOMEM));
    assert_eq!(
        space.read::<u32>(GuestAddr(at + 2 * P)),
        Ok(0),
        "done after the hole as well"
    );
    assert_eq!(space.madvise(at, P, 12345), Err(libc::EINVAL));
    assert_eq!(space.madvise(at + 1, P, libc::MADV_NORMAL), Err(libc::EINVAL));
    assert_eq!(space.madvise(at, 0, libc::MADV_NORMAL), Ok(()));
    assert!(space.is_mapped(GuestAddr(at + 8), 8));
    assert!(!space.is_mapped(GuestAddr(at), 2 * P));
}

#[test]
fn segments_attach_and_detach() {
    let space = start();
    // SAFETY: plain calls with values.
    let id = unsafe { libc::shmget(libc::IPC_PRIVATE, 3 * P as usize, 0o600) };
    assert!(id >= 0);
    let a = space.map_shm(id, 0, 0).expect("attach");
    assert_eq!(a % 0x4000, 0, "SHMLBA");
    let b = space
        .map_shm(id, 0x1a00_1234, libc::SHM_RND | libc::SHM_RDONLY)
        .expect("attach");
    assert_eq!(b, 0x1a00_0000);
    assert_eq!(space.map_shm(id, 0x1a00_0000, 0), Err(libc::EINVAL), "taken");
    assert_eq!(space.map_shm(id, 0x1a10_0001, 0), Err(libc::EINVAL));
    // SAFETY: removes the segment once detached.
    unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
    space.write(GuestAddr(a + 2 * P), &42u32).expect("write");
    assert_eq!(space.read::<u32>(GuestAddr(b + 2 * P)), Ok(42));
    assert_eq!(space.write(GuestAddr(b), &42u32), Err(Fault));
    assert_eq!(space.unmap_shm(b + P), Err(libc::EINVAL));
    assert_eq!(space.unmap_shm(b), Ok(()));
    assert_eq!(space.unmap_shm(b), Err(libc::EINVAL));
    assert_eq!(space.read::<u32>(GuestAddr(b)), Err(Fault));
    assert_eq!(space.unmap_shm(a), Ok(()));
}

#[test]
fn forked_children_have_a_working_copy() {
    let space = start();
    let at = fixed(0x1b00_0000, P, RW);
    space.write(GuestAddr(at), &1u32).expect("write");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Another thread holds the lock most of the time.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let at = fixed(0x1b10_0000, 16 * P, RW);
                space.munmap(at, 16 * P).expect("unmap");
            }
        });
        let _stop = Stop(&stop);
        for _ in 0..200 {
            in_child(|| {
                assert_eq!(map(0x1b20_0000, P, RW, ANON | libc::MAP_FIXED), Ok(0x1b20_0000));
                assert_eq!(space.write(GuestAddr(at), &2u32), Ok(()));
            });
        }
    });
    assert_eq!(space.read::<u32>(GuestAddr(at)), Ok(1));
}

#[test]
fn threads_map_at_once() {
    let space = start();
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            scope.spawn(move || {
                for round in 0..500u32 {
                    let len = (1 + round % 7) * P;
                    let at = map(0, len, RW, ANON).expect("map");
                    let mark = thread << 16 | round;
                    space.write(GuestAddr(at + len - 4), &mark).expect("write");
                    assert_eq!(space.read::<u32>(GuestAddr(at + len - 4)), Ok(mark));
                    space.mprotect(at, len, Prot::READ).expect("protect");
                    assert_eq!(space.write(GuestAddr(at), &mark), Err(Fault));
                    space.munmap(at, len).expect("unmap");
                }
            });
        }
    });
}
