//! The code arena: one memory file mapped twice, executable here and writable there, filled by bumping an offset.
//!
//! Both mappings stay where they are for the life of the process. Nothing is ever both writable and executable, and
//! no protection is flipped: a filter may forbid `mprotect(PROT_EXEC)` for good.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Sizes tried, largest first: only `RLIMIT_AS` or `RLIMIT_FSIZE` make the later ones necessary.
const SIZES: [usize; 4] = [128 << 20, 64 << 20, 32 << 20, 8 << 20];

/// Bytes for which memory is asked at once.
const POPULATED_AT_ONCE: usize = 64 << 10;

/// Blocks start at multiples of this.
pub const ALIGN: usize = 16;

/// Addresses of the two mappings, as one process hands them to the next over execve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Executable mapping.
    pub rx: u64,
    /// Writable mapping of the same pages.
    pub rw: u64,
    pub len: u64,
}

impl Place {
    /// A place for an arena where the kernel puts nothing by itself, whatever it randomises: address of the executable
    /// mapping, length. Above the guest's window and below programs, libraries and stacks.
    pub fn draw() -> (u64, u64) {
        const LOWEST: u64 = 0x1000_0000_0000;
        const SPAN: u64 = 0x3000_0000_0000;
        let mut bytes = [0u8; 8];
        // SAFETY: the buffer has that length. Without random bytes the place is a fixed one.
        unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        let offset = (u64::from_le_bytes(bytes) % SPAN) & !0xfff;
        (LOWEST + offset, SIZES[too_large()] as u64)
    }

    /// The place whose executable mapping is at `start`: the writable one is next to it, with a gap.
    pub fn at(start: u64, len: u64) -> Place {
        Place {
            rx: start,
            rw: start + 2 * len,
            len,
        }
    }
}

/// The code memory of a process. Offsets are from the start of either mapping.
#[derive(Debug)]
pub struct Arena {
    place: Place,
    used: usize,
    /// Up to where memory has been asked for in the writable mapping.
    populated: usize,
}

/// How many of [`SIZES`] would take more than a quarter of RLIMIT_AS, of which others need their part. The last is
/// always tried.
fn too_large() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is a valid destination; a failure leaves "no limit".
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) };
    let fits = |&len: &usize| 2 * len as u64 <= limit.rlim_cur / 4;
    SIZES.iter().position(fits).unwrap_or(SIZES.len() - 1)
}

/// A memory file of `len` bytes, sparse. The descriptor is closed once mapped, so that no guest sees it.
fn memory_file(len: usize) -> io::Result<OwnedFd> {
    const MFD_EXEC: u32 = 0x10;
    let mut last = io::Error::from_raw_os_error(libc::EINVAL);
    // Kernels before 6.3 don't know MFD_EXEC, and there every memory file is executable.
    for flags in [libc::MFD_CLOEXEC | MFD_EXEC, libc::MFD_CLOEXEC] {
        // SAFETY: the name is a literal with its terminating zero.
        let fd = unsafe { libc::memfd_create(c"code".as_ptr(), flags) };
        if fd < 0 {
            last = io::Error::last_os_error();
            continue;
        }
        // SAFETY: `fd` was just opened and has no other owner.
        let file = unsafe { OwnedFd::from_raw_fd(fd) };
        match set_size(&file, len) {
            Ok(()) => return Ok(file),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Gives a memory file its size. RLIMIT_FSIZE, which is the guest's, counts memory files as well: for the moment of the
/// call it is raised as far as this process may, and what is left of it is an error instead of SIGXFSZ.
pub(super) fn set_size(file: &OwnedFd, len: usize) -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is a valid destination.
    unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) };
    if limit.rlim_cur >= len as u64 {
        // SAFETY: ftruncate touches no memory of ours.
        return match unsafe { libc::ftruncate(file.as_raw_fd(), len as libc::off_t) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        };
    }
    let set = |cur: u64, max: u64| {
        let raised = libc::rlimit {
            rlim_cur: cur,
            rlim_max: max,
        };
        // SAFETY: `raised` is valid for the call.
        unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raised) == 0 }
    };
    let raised = set(len as u64, limit.rlim_max.max(len as u64)) || set(limit.rlim_max, limit.rlim_max);
    // SAFETY: signal sets are plain data; the mask and the wait are this thread's own, and SIGXFSZ comes to the thread
    // that makes the call.
    let done = unsafe {
        let (mut one, mut before): (libc::sigset_t, libc::sigset_t) =
            (std::mem::zeroed(), std::mem::zeroed());
        libc::sigemptyset(&mut one);
        libc::sigaddset(&mut one, libc::SIGXFSZ);
        libc::pthread_sigmask(libc::SIG_BLOCK, &one, &mut before);
        let failed = libc::ftruncate(file.as_raw_fd(), len as libc::off_t) != 0;
        let done = if failed {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        };
        if failed {
            let no_time: libc::timespec = std::mem::zeroed();
            libc::sigtimedwait(&one, std::ptr::null_mut(), &no_time);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        done
    };
    if raised {
        set(limit.rlim_cur, limit.rlim_max);
    }
    done
}

/// Maps `file` twice, at `at` or where the kernel likes.
fn map_twice(file: &OwnedFd, len: usize, at: Option<Place>, fixed: i32) -> io::Result<Place> {
    let map = |addr: u64, prot: i32| -> io::Result<u64> {
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE | if addr != 0 { fixed } else { 0 };
        // SAFETY: either no address is asked for, or `fixed` says whether what is there may be replaced:
        // MAP_FIXED is passed only by `renew` and `adopt`, for this arena's own mappings.
        let p = unsafe { libc::mmap(addr as *mut libc::c_void, len, prot, flags, file.as_raw_fd(), 0) };
        if p == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(p as u64)
        }
    };
    let rx = map(at.map_or(0, |p| p.rx), libc::PROT_READ | libc::PROT_EXEC)?;
    let rw = map(at.map_or(0, |p| p.rw), libc::PROT_READ | libc::PROT_WRITE)?;
    for p in [rx, rw] {
        // SAFETY: the range was mapped just above; the advice changes no content.
        unsafe { libc::madvise(p as *mut libc::c_void, len, libc::MADV_NOHUGEPAGE) };
    }
    Ok(Place {
        rx,
        rw,
        len: len as u64,
    })
}

/// As [`map_twice`] of a new memory file, without a file: where RLIMIT_FSIZE allows none, or no descriptor is left.
fn map_anonymous_twice(len: usize, at: Option<Place>, fixed: i32) -> io::Result<Place> {
    let result = |p: *mut libc::c_void| {
        if p == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(p as u64)
        }
    };
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let flags = flags | if at.is_some() { fixed } else { 0 };
    let rx_at = at.map_or(0, |p| p.rx) as *mut libc::c_void;
    // SAFETY: as in `map_twice`.
    let rx = result(unsafe { libc::mmap(rx_at, len, libc::PROT_READ | libc::PROT_EXEC, flags, -1, 0) })?;
    let moved = match at {
        Some(_) => libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED,
        None => libc::MREMAP_MAYMOVE,
    };
    let rw_at = at.map_or(0, |p| p.rw) as *mut libc::c_void;
    if at.is_some() && fixed == libc::MAP_FIXED_NOREPLACE {
        let reserve = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed;
        // SAFETY: replaces nothing; mremap would.
        result(unsafe { libc::mmap(rw_at, len, libc::PROT_NONE, reserve, -1, 0) })?;
    }
    // SAFETY: an old length of 0 duplicates the shared mapping just made; a given place is this arena's own. The
    // second mapping loses the permission to execute before anything is written.
    let rw = unsafe {
        let rw = result(libc::mremap(rx as *mut libc::c_void, 0, len, moved, rw_at))?;
        if libc::mprotect(rw as *mut libc::c_void, len, libc::PROT_READ | libc::PROT_WRITE) != 0 {
            return Err(io::Error::last_os_error());
        }
        rw
    };
    Ok(Place {
        rx,
        rw,
        len: len as u64,
    })
}

impl Arena {
    /// Maps an arena, at `place` if given (and then of its length).
    ///
    /// # Errors
    /// The host's error when no memory file can be made or mapped in any of the sizes tried.
    pub fn new(place: Option<Place>) -> io::Result<Arena> {
        let wanted = place.map(|p| p.len as usize);
        let mut last = io::Error::from_raw_os_error(libc::ENOMEM);
        let skipped = match wanted {
            Some(_) => SIZES.len() - 1,
            None => too_large(),
        };
        for len in &SIZES[skipped..] {
            let len = wanted.unwrap_or(*len);
            let mapped =
                memory_file(len).and_then(|file| map_twice(&file, len, place, libc::MAP_FIXED_NOREPLACE));
            let mapped = mapped.or_else(|error| match error.raw_os_error() {
                Some(libc::EFBIG | libc::EMFILE | libc::ENFILE) => {
                    map_anonymous_twice(len, place, libc::MAP_FIXED_NOREPLACE)
                }
                _ => Err(error),
            });
            match mapped {
                Ok(place) if place.rx >> 32 != 0 && place.rw >> 32 != 0 => {
                    return Ok(Arena {
                        place,
                        used: 0,
                        populated: 0,
                    });
                }
                Ok(_) => last = io::Error::from_raw_os_error(libc::EEXIST),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Puts a new, empty memory file at the same addresses: a child after fork shares the old one with its parent.
    ///
    /// # Errors
    /// The host's error; the process cannot go on then.
    pub fn renew(&mut self) -> io::Result<()> {
        self.used = 0;
        let len = self.place.len as usize;
        match memory_file(len) {
            Ok(file) => self.adopt(&file),
            Err(error) => match error.raw_os_error() {
                Some(libc::EFBIG | libc::EMFILE | libc::ENFILE) => {
                    map_anonymous_twice(len, Some(self.place), libc::MAP_FIXED).map(|_| ())
                }
                _ => Err(error),
            },
        }
    }

    /// A memory file with a copy of what is in use, for a child of fork to [`adopt`](Arena::adopt).
    ///
    /// # Errors
    /// The host's error when it has no memory for it.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        let file = memory_file(self.place.len as usize)?;
        let mut done = 0;
        while done < self.used {
            let from = (self.place.rw as usize + done) as *const libc::c_void;
            // SAFETY: the bytes up to `used` lie in our writable mapping.
            let n = unsafe { libc::pwrite(file.as_raw_fd(), from, self.used - done, done as libc::off_t) };
            match usize::try_from(n) {
                Ok(n) if n > 0 => done += n,
                _ => return Err(io::Error::last_os_error()),
            }
        }
        Ok(file)
    }

    /// Maps `file`, a [`copy`](Arena::copy) of this arena, over both mappings.
    ///
    /// # Errors
    /// The host's error; the process cannot go on then.
    pub fn adopt(&mut self, file: &OwnedFd) -> io::Result<()> {
        let len = self.place.len as usize;
        self.populated = self.used.next_multiple_of(4096);
        map_twice(file, len, Some(self.place), libc::MAP_FIXED).map(|_| ())
    }

    pub fn place(&self) -> Place {
        self.place
    }

    /// Start of the executable mapping.
    pub fn base(&self) -> u64 {
        self.place.rx
    }

    /// Bytes handed out so far.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Room for `len` bytes at a multiple of [`ALIGN`], or `None` when the arena is full.
    pub fn alloc(&mut self, len: usize) -> Option<u32> {
        let start = self.used.next_multiple_of(ALIGN);
        let end = start.checked_add(len)?;
        if end as u64 > self.place.len {
            return None;
        }
        self.used = end;
        if end > self.populated {
            self.populate(end);
        }
        Some(start as u32)
    }

    /// Has the kernel provide memory up to `end` and somewhat beyond in one go: taking a fault for each page costs
    /// several times that. Where it refuses, pages come by faults.
    fn populate(&mut self, end: usize) {
        const MADV_POPULATE_WRITE: i32 = 23;
        let from = self.populated;
        self.populated = end
            .next_multiple_of(POPULATED_AT_ONCE)
            .min(self.place.len as usize);
        if self.populated - from > 2 * POPULATED_AT_ONCE {
            return;
        }
        let start = (self.place.rw as usize + from) as *mut libc::c_void;
        // SAFETY: the range lies in our writable mapping, whose contents do not change.
        unsafe { libc::madvise(start, self.populated - from, MADV_POPULATE_WRITE) };
    }

    /// Forgets everything after the first `keep` bytes and gives its pages back.
    pub fn reset(&mut self, keep: usize) {
        let from = keep.next_multiple_of(4096);
        let end = self.used.next_multiple_of(4096);
        if end > from {
            // SAFETY: the range lies in our writable mapping; nothing in it is executed or read any more. On
            // failure the pages merely stay.
            unsafe {
                libc::madvise(
                    (self.place.rw as usize + from) as *mut libc::c_void,
                    end - from,
                    libc::MADV_REMOVE,
                )
            };
        }
        self.used = keep;
        self.populated = self.populated.min(from);
    }

    fn writable(&self, offset: u32, len: usize) -> *mut u8 {
        assert!(u64::from(offset) + len as u64 <= self.place.len);
        (self.place.rw + u64::from(offset)) as *mut u8
    }

    /// Copies `bytes` to `offset`. For memory that is not executed yet.
    pub fn write(&mut self, offset: u32, bytes: &[u8]) {
        let to = self.writable(offset, bytes.len());
        // SAFETY: the bounds were checked; no reference to the arena's memory exists.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Replaces the 32 bits at `offset`, which lie within one aligned 8-byte word, by one store of that word: other
    /// threads may be executing it. The caller excludes other writers.
    pub fn store32(&mut self, offset: u32, value: u32) {
        let shift = 8 * (offset & 7);
        assert!(shift <= 32, "a patched field crosses an 8-byte word");
        let word = self.writable(offset & !7, 8).cast::<AtomicU64>();
        // SAFETY: in bounds, 8-aligned (the mapping is page-aligned), and only accessed atomically once executed.
        let word = unsafe { &*word };
        let old = word.load(Ordering::Relaxed);
        let new = old & !(0xffff_ffff << shift) | u64::from(value) << shift;
        word.store(new, Ordering::Release);
    }

    /// Replaces one byte while other threads may be executing it.
    pub fn store8(&mut self, offset: u32, value: u8) {
        // SAFETY: in bounds; a byte store is atomic.
        unsafe { &*self.writable(offset, 1).cast::<AtomicU8>() }.store(value, Ordering::Release);
    }

    /// The bytes at `offset` as they are now.
    pub fn read(&self, offset: u32, len: usize) -> Vec<u8> {
        let from = self.writable(offset, len);
        // SAFETY: in bounds; the copy is of plain bytes.
        unsafe { std::slice::from_raw_parts(from, len) }.to_vec()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for p in [self.place.rx, self.place.rw] {
            // SAFETY: the mappings are this arena's own, and it is going away.
            unsafe { libc::munmap(p as *mut libc::c_void, self.place.len as usize) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_appear_executable() {
        let mut arena = Arena::new(None).unwrap();
        let at = arena.alloc(6).unwrap();
        // mov eax, 42; ret
        arena.write(at, &[0xb8, 42, 0, 0, 0, 0xc3]);
        let entry = arena.base() + u64::from(at);
        // SAFETY: the bytes above are a complete function of this type.
        let f: extern "C" fn() -> i32 = unsafe { std::mem::transmute(entry as *const ()) };
        assert_eq!(f(), 42);
        arena.store32(at + 1, 43);
        assert_eq!(f(), 43);
    }

    #[test]
    fn fills_and_resets() {
        let mut arena = Arena::new(None).unwrap();
        let len = arena.place().len as usize;
        assert_eq!(arena.alloc(5), Some(0));
        assert_eq!(arena.alloc(1), Some(16));
        assert_eq!(arena.alloc(len - 31), None);
        assert_eq!(arena.alloc(len - 32), Some(32));
        assert_eq!(arena.alloc(1), None);
        arena.write(16, &[7]);
        arena.write(8192, &[7]);
        arena.reset(17);
        assert_eq!((arena.read(16, 1)[0], arena.read(8192, 1)[0]), (7, 0));
        assert_eq!(arena.alloc(1), Some(32));
    }

    #[test]
    fn a_second_arena_elsewhere_and_a_renewed_one_in_place() {
        let mut a = Arena::new(None).unwrap();
        let b = Arena::new(None).unwrap();
        assert_ne!(a.base(), b.base());
        let place = a.place();
        assert!(Arena::new(Some(place)).is_err(), "the place is taken");
        a.alloc(4).unwrap();
        a.write(0, &[1, 2, 3, 4]);
        a.renew().unwrap();
        assert_eq!(a.place(), place);
        assert_eq!((a.used(), a.read(0, 4)), (0, vec![0; 4]));
    }
}
