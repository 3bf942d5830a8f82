//! mmap, munmap, mprotect, madvise and shared memory segments, with the kernel's checks and errors.

use std::ops::Range;

use super::addr::{GuestAddr, PAGE_SHIFT, PAGE_SIZE, Prot, TASK_SIZE, aligned, pages};
use super::host;
use super::page::{MAPPED, SHARED, STACK};
use super::space::{Space, State};

/// Pages below the end of what can be mapped.
const END: u32 = TASK_SIZE >> PAGE_SHIFT;
/// SHMLBA of ARM, in pages.
const ATTACH_ALIGN: u32 = 4;

/// Flags that reach the host as they are. MAP_FIXED is always added: we choose every address.
const HOST_FLAGS: i32 = libc::MAP_SHARED_VALIDATE
    | libc::MAP_ANONYMOUS
    | libc::MAP_DENYWRITE
    | libc::MAP_EXECUTABLE
    | libc::MAP_LOCKED
    | libc::MAP_NORESERVE
    | libc::MAP_POPULATE
    | libc::MAP_NONBLOCK
    | libc::MAP_STACK
    | libc::MAP_SYNC;

/// An mmap call of the guest's.
#[derive(Clone, Copy, Debug)]
pub struct MapRequest {
    /// Address or hint.
    pub addr: u32,
    /// Bytes.
    pub len: u32,
    pub prot: Prot,
    /// Linux MAP_*: the values of ARM are those of x86-64, as far as ARM has them.
    pub flags: i32,
    /// A host descriptor; ignored for MAP_ANONYMOUS.
    pub fd: i32,
    /// Bytes into the file.
    pub offset: u64,
}

/// The pages of an address range: EINVAL if it is unaligned, empty or reaches beyond the task size.
fn checked_range(addr: u32, len: u32) -> Result<Range<u32>, i32> {
    let count = pages(u64::from(len)) as u32;
    let start = addr >> PAGE_SHIFT;
    if !aligned(addr) || len == 0 || start > END || count > END - start {
        return Err(libc::EINVAL);
    }
    Ok(start..start + count)
}

impl Space {
    /// mmap(2): the address, or the kernel's errno.
    pub fn mmap(&self, request: &MapRequest) -> Result<u32, i32> {
        self.map_as(request, 0, 1)
    }

    /// [`mmap`](Space::mmap) whose address is a multiple of `align` bytes (a power of two) where we choose it.
    pub fn mmap_aligned(&self, request: &MapRequest, align: u32) -> Result<u32, i32> {
        self.map_as(request, 0, (align >> PAGE_SHIFT).max(1))
    }

    /// Where a mapping of `len` bytes at a multiple of `align` (a power of two) would be placed now.
    pub fn find_range(&self, len: u32, align: u32) -> Option<u32> {
        let count = pages(u64::from(len)) as u32;
        let page = self.find_free(&self.lock(), count, (align >> PAGE_SHIFT).max(1))?;
        Some(page << PAGE_SHIFT)
    }

    /// Whether a mapping could be placed at `addr` without replacing anything.
    pub fn is_free_range(&self, addr: u32, len: u32) -> bool {
        match checked_range(addr, len) {
            Ok(range) => self.is_free(&self.lock(), range),
            Err(_) => false,
        }
    }

    /// Maps a stack at exactly `addr` if nothing is there: it does not count as data, and nothing is placed in the
    /// gap below it. EEXIST if the range is taken.
    pub fn map_stack(&self, addr: u32, len: u32, prot: Prot) -> Result<u32, i32> {
        let flags = libc::MAP_PRIVATE
            | libc::MAP_ANONYMOUS
            | libc::MAP_NORESERVE
            | libc::MAP_STACK
            | libc::MAP_FIXED_NOREPLACE;
        let at = self.map_as(
            &MapRequest {
                addr,
                len,
                prot,
                flags,
                fd: -1,
                offset: 0,
            },
            STACK,
            1,
        )?;
        // Huge pages would make every program's stack resident to 2 MiB. Refusal does no harm.
        // SAFETY: the range was mapped just now; this advice keeps contents.
        let _ = unsafe { host::advise(self.base() + u64::from(at), u64::from(len), libc::MADV_NOHUGEPAGE) };
        Ok(at)
    }

    /// Maps whole pages with `contents` at exactly `addr`, shown in maps as `name` (`[vdso]` and the like). EEXIST if
    /// the range is taken.
    pub fn map_named(&self, addr: u32, contents: &[u8], prot: Prot, name: &'static str) -> Result<u32, i32> {
        let len = u32::try_from(contents.len()).map_err(|_| libc::ENOMEM)?;
        let range = checked_range(addr, len)?;
        let bytes = (range.end - range.start) << PAGE_SHIFT;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        let prot_new = Prot::READ | Prot::WRITE;
        let at = self.mmap(&MapRequest {
            addr,
            len: bytes,
            prot: prot_new,
            flags,
            fd: -1,
            offset: 0,
        })?;
        self.write_bytes(GuestAddr(at), contents)
            .map_err(|_| libc::EFAULT)?;
        self.mprotect(at, bytes, prot)?;
        self.lock().named.push((range, name));
        Ok(at)
    }

    fn map_as(&self, request: &MapRequest, kind: u8, align: u32) -> Result<u32, i32> {
        let &MapRequest {
            addr,
            len,
            prot,
            flags,
            fd,
            offset,
        } = request;
        if len == 0 {
            return Err(libc::EINVAL);
        }
        let count = pages(u64::from(len)) as u32;
        if flags & libc::MAP_HUGETLB != 0 {
            // As a kernel without huge pages.
            return Err(libc::EINVAL);
        }
        if count > END {
            return Err(libc::ENOMEM);
        }
        // Only private memory without a file grows (do_mmap).
        let shared = flags & libc::MAP_SHARED != 0;
        if flags & libc::MAP_GROWSDOWN != 0 && (shared || flags & libc::MAP_ANONYMOUS == 0) {
            return Err(libc::EINVAL);
        }
        if !offset.is_multiple_of(u64::from(PAGE_SIZE)) || offset > i64::MAX as u64 {
            return Err(libc::EINVAL);
        }
        let prot = self.implied(prot);
        let byte = prot.bits() | kind | if shared { SHARED } else { 0 };
        let mut state = self.lock();
        let range = self.place(&state, addr, count, flags, align)?;
        self.check_limits(&state, range.clone(), byte)?;
        let fd = if flags & libc::MAP_ANONYMOUS != 0 { -1 } else { fd };
        // SAFETY: `place` yields a range of the guest's window; the guest decides what it loses there.
        let mapped = unsafe {
            host::map_fixed(
                self.at(range.start),
                u64::from(count) << PAGE_SHIFT,
                prot.host(),
                flags & HOST_FLAGS,
                fd,
                offset,
            )
        };
        if let Err(errno) = mapped {
            // A file system that refuses (MAP_SYNC) is asked when the range is empty.
            let code = self.note_lost(&mut state, range.clone())?;
            drop(state);
            if code {
                self.changed(range);
            }
            return Err(errno);
        }
        let before = self.note_mapped(&mut state, range.clone(), byte);
        drop(state);
        if before.code {
            self.changed(range.clone());
        }
        Ok(range.start << PAGE_SHIFT)
    }

    /// Where a mapping of `count` pages goes: the kernel's get_unmapped_area.
    fn place(&self, state: &State, addr: u32, count: u32, flags: i32, align: u32) -> Result<Range<u32>, i32> {
        if flags & (libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE) != 0 {
            let start = addr >> PAGE_SHIFT;
            if start > END || count > END - start {
                return Err(libc::ENOMEM);
            }
            if !aligned(addr) {
                return Err(libc::EINVAL);
            }
            if start < self.low {
                return Err(libc::EPERM);
            }
            let range = start..start + count;
            if flags & libc::MAP_FIXED_NOREPLACE != 0 && !state.extents.is_free(range.clone(), |_| 0) {
                return Err(libc::EEXIST);
            }
            return Ok(range);
        }
        let hint = addr >> PAGE_SHIFT;
        if hint != 0 {
            let start = hint.max(self.low).next_multiple_of(align);
            if start
                .checked_add(count)
                .is_some_and(|end| self.is_free(state, start..end))
            {
                return Ok(start..start + count);
            }
        }
        let start = self.find_free(state, count, align).ok_or(libc::ENOMEM)?;
        Ok(start..start + count)
    }

    /// Checks the guest's limits for a new mapping with table byte `byte`; what it replaces is credited.
    fn check_limits(&self, state: &State, range: Range<u32>, byte: u8) -> Result<(), i32> {
        let count = range.end - range.start;
        let data = if byte & Prot::WRITE.bits() != 0 && byte & (SHARED | STACK) == 0 {
            count
        } else {
            0
        };
        if self.may_expand(state, count, data).is_ok() {
            return Ok(());
        }
        let old = self.table.summary(range);
        self.may_expand(state, count - old.mapped, data.saturating_sub(old.data))
    }

    /// munmap(2). The range returns to the reservation.
    pub fn munmap(&self, addr: u32, len: u32) -> Result<(), i32> {
        let range = checked_range(addr, len)?;
        let mut state = self.lock();
        let before = self.unmap_locked(&mut state, range.clone())?;
        drop(state);
        if before {
            self.changed(range);
        }
        Ok(())
    }

    /// Unmaps what is mapped in a range; whether code was read from it.
    pub(super) fn unmap_locked(&self, state: &mut State, range: Range<u32>) -> Result<bool, i32> {
        // Where nothing is mapped there is nothing to give back.
        let Some(hull) = state.extents.hull(range.clone()) else {
            return Ok(false);
        };
        self.release(hull)?;
        let mut code = false;
        while let Some(mapped) = state.extents.first_within(range.clone()) {
            code |= self.note_unmapped(state, mapped).code;
        }
        Ok(code)
    }

    /// mprotect(2). As in the kernel, pages before a hole are changed before the error is returned.
    pub fn mprotect(&self, addr: u32, len: u32, prot: Prot) -> Result<(), i32> {
        if !aligned(addr) {
            return Err(libc::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let start = addr >> PAGE_SHIFT;
        let count = pages(u64::from(len)) as u32;
        let end = start.saturating_add(count);
        let prot = self.implied(prot);
        let mut state = self.lock();
        let stop = self.table.first_unmapped(start..end.min(END));
        if stop == start {
            return Err(libc::ENOMEM);
        }
        let changed = self.protect_locked(&mut state, start..stop, prot);
        drop(state);
        // After an error some pages may have changed.
        if changed != Ok(false) {
            self.changed(start..stop);
        }
        changed?;
        if stop == end { Ok(()) } else { Err(libc::ENOMEM) }
    }

    /// Changes the permissions of a mapped range; whether code was read from it and they changed.
    fn protect_locked(&self, state: &mut State, range: Range<u32>, prot: Prot) -> Result<bool, i32> {
        if self
            .table
            .all_equal(range.clone(), Prot::all().bits(), prot.bits())
        {
            return Ok(false);
        }
        let old = self.table.summary(range.clone());
        let kept = MAPPED | SHARED | STACK;
        if prot.contains(Prot::WRITE) {
            let private = self.table.count(range.clone(), MAPPED | SHARED | STACK, MAPPED);
            self.may_hold_data(state, private - old.data)?;
        }
        let (start, len) = (self.at(range.start), self.at(range.end) - self.at(range.start));
        // SAFETY: every page of the range is mapped and the guest's.
        if let Err(errno) = unsafe { host::protect(start, len, prot.host()) } {
            // The host changes what comes before the mapping that it refuses (a file not open for writing).
            if range.end - range.start > 1 {
                for page in range {
                    self.protect_locked(state, page..page + 1, prot)?;
                }
            }
            return Err(errno);
        }
        self.table.replace(range.clone(), kept, prot.bits());
        let new = self.table.summary(range);
        state.data = state.data - old.data + new.data;
        Ok(old.code)
    }

    /// madvise(2). Advice that concerns one page's hardware is refused; the rest is the host's business.
    pub fn madvise(&self, addr: u32, len: u32, advice: i32) -> Result<(), i32> {
        const MADV_HWPOISON: i32 = 100;
        const MADV_SOFT_OFFLINE: i32 = 101;
        if matches!(advice, MADV_HWPOISON | MADV_SOFT_OFFLINE) {
            return Err(libc::EPERM);
        }
        let start = addr >> PAGE_SHIFT;
        let count = pages(u64::from(len)) as u32;
        if !aligned(addr) || start.checked_add(count).is_none_or(|end| end > 1 << 20) {
            return Err(libc::EINVAL);
        }
        // The host judges the advice itself, on a range without memory.
        // SAFETY: an empty range.
        unsafe { host::advise(self.at(start), 0, advice)? };
        let end = start + count;
        let mut state = self.lock();
        let mut page = start;
        let mut holes = false;
        let mut code = false;
        // The kernel applies the advice to what is mapped and reports holes afterwards.
        while page < end {
            let first = self.table.first_mapped(page..end);
            holes |= first != page;
            if first == end {
                break;
            }
            let stop = self.table.first_unmapped(first..end);
            // SAFETY: every page of the range is mapped and the guest's.
            unsafe { host::advise(self.at(first), u64::from(stop - first) << PAGE_SHIFT, advice)? };
            code |= self.table.summary(first..stop).code;
            if matches!(advice, libc::MADV_DONTFORK | libc::MADV_DOFORK) {
                state.do_fork(&(first..stop));
            }
            if advice == libc::MADV_DONTFORK {
                state.unforked.push(first..stop);
            }
            page = stop;
        }
        drop(state);
        if code && matches!(advice, libc::MADV_DONTNEED | libc::MADV_REMOVE | libc::MADV_FREE) {
            self.changed(start..end);
        }
        if holes { Err(libc::ENOMEM) } else { Ok(()) }
    }

    /// shmat(2): attaches segment `id` at `addr` (0: we choose). Returns the address.
    pub fn map_shm(&self, id: i32, addr: u32, flags: i32) -> Result<u32, i32> {
        // Attached elsewhere first: as long as it is, `id` is this segment's, and the size below is what will be mapped.
        let _held = HeldSegment::new(id)?;
        // SAFETY: an all-zero shmid_ds is valid, and the call fills it.
        let size = unsafe {
            let mut info: libc::shmid_ds = std::mem::zeroed();
            if libc::shmctl(id, libc::IPC_STAT, &mut info) < 0 {
                return Err(std::io::Error::last_os_error()
                    .raw_os_error()
                    .unwrap_or(libc::EINVAL));
            }
            info.shm_segsz as u64
        };
        let count = u32::try_from(pages(size)).map_err(|_| libc::ENOMEM)?;
        if count == 0 || count > END {
            return Err(libc::ENOMEM);
        }
        let read_only = flags & libc::SHM_RDONLY != 0;
        let mut prot = if read_only {
            Prot::READ
        } else {
            Prot::READ | Prot::WRITE
        };
        if flags & libc::SHM_EXEC != 0 {
            prot |= Prot::EXEC;
        }
        let prot = self.implied(prot);
        let mut state = self.lock();
        let start = if addr == 0 {
            if flags & libc::SHM_REMAP != 0 {
                return Err(libc::EINVAL);
            }
            self.find_free(&state, count, ATTACH_ALIGN).ok_or(libc::ENOMEM)?
        } else {
            let page = addr >> PAGE_SHIFT;
            let start = match flags & libc::SHM_RND {
                // ARM enforces SHMLBA.
                0 if !aligned(addr) || !page.is_multiple_of(ATTACH_ALIGN) => return Err(libc::EINVAL),
                0 => page,
                _ => page - page % ATTACH_ALIGN,
            };
            let fits = start >= self.low && start <= END && count <= END - start;
            if !fits || flags & libc::SHM_REMAP == 0 && !self.is_free(&state, start..start + count) {
                return Err(libc::EINVAL);
            }
            start
        };
        let range = start..start + count;
        self.check_limits(&state, range.clone(), prot.bits() | SHARED)?;
        let host_flags = flags & libc::SHM_RDONLY | libc::SHM_REMAP;
        // SAFETY: the range is the guest's; SHM_REMAP lets the attachment replace the reservation.
        let got = unsafe { libc::shmat(id, self.at(start) as *const _, host_flags) };
        if got as isize == -1 {
            return Err(std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EINVAL));
        }
        let before = self.note_mapped(&mut state, range.clone(), prot.bits() | SHARED);
        state.attached.insert(start, count);
        drop(state);
        if before.code {
            self.changed(range);
        }
        Ok(start << PAGE_SHIFT)
    }

    /// shmdt(2): detaches the segment attached at `addr`. EINVAL if there is none.
    pub fn unmap_shm(&self, addr: u32) -> Result<(), i32> {
        let start = addr >> PAGE_SHIFT;
        let mut state = self.lock();
        if !aligned(addr) {
            return Err(libc::EINVAL);
        }
        let &count = state.attached.get(&start).ok_or(libc::EINVAL)?;
        // The host counts attachments by mapping: replacing the mapping detaches.
        let code = self.unmap_locked(&mut state, start..start + count)?;
        drop(state);
        if code {
            self.changed(start..start + count);
        }
        Ok(())
    }
}

/// A shared memory segment, attached outside of the window.
struct HeldSegment(*mut libc::c_void);

impl HeldSegment {
    fn new(id: i32) -> Result<HeldSegment, i32> {
        // SAFETY: the kernel chooses an address where nothing is.
        let at = unsafe { libc::shmat(id, std::ptr::null(), libc::SHM_RDONLY) };
        if at as isize == -1 {
            return Err(std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EINVAL));
        }
        Ok(HeldSegment(at))
    }
}

impl Drop for HeldSegment {
    fn drop(&mut self) {
        // SAFETY: the attachment is this value's own.
        unsafe { libc::shmdt(self.0) };
    }
}
