//! The host's memory calls, with errors as errno values.

use std::io;

/// The errno of the call that just failed.
fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// mmap at exactly `addr`, over whatever is there.
///
/// # Safety
/// The range must belong to the guest's window or its guard: what is mapped there is lost.
pub(super) unsafe fn map_fixed(
    addr: u64,
    len: u64,
    prot: i32,
    flags: i32,
    fd: i32,
    offset: u64,
) -> Result<(), i32> {
    // SAFETY: the caller vouches for the range; every argument is passed by value.
    let got = unsafe {
        libc::mmap(
            addr as *mut _,
            len as usize,
            prot,
            flags | libc::MAP_FIXED,
            fd,
            offset as libc::off_t,
        )
    };
    if got == libc::MAP_FAILED {
        Err(errno())
    } else {
        Ok(())
    }
}

/// Maps inaccessible, unaccounted memory at `addr` if nothing is there yet. EEXIST if something is.
pub(super) fn reserve_new(addr: u64, len: u64) -> Result<(), i32> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: MAP_FIXED_NOREPLACE replaces nothing.
    let got = unsafe { libc::mmap(addr as *mut _, len as usize, libc::PROT_NONE, flags, -1, 0) };
    if got == libc::MAP_FAILED {
        return Err(errno());
    }
    if got as u64 != addr {
        // SAFETY: the mapping was made just now and nobody else knows it.
        unsafe { libc::munmap(got, len as usize) };
        return Err(libc::EEXIST);
    }
    Ok(())
}

/// Maps inaccessible, unaccounted memory anywhere: its address.
pub(super) fn reserve_anywhere(len: u64) -> Result<u64, i32> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping, which replaces nothing.
    let got = unsafe { libc::mmap(std::ptr::null_mut(), len as usize, libc::PROT_NONE, flags, -1, 0) };
    if got == libc::MAP_FAILED {
        Err(errno())
    } else {
        Ok(got as u64)
    }
}

/// Returns a range to the reservation: inaccessible and unaccounted, so that nothing else lands there.
///
/// # Safety
/// As for [`map_fixed`].
pub(super) unsafe fn reserve_over(addr: u64, len: u64) -> Result<(), i32> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: the caller vouches for the range.
    unsafe { map_fixed(addr, len, libc::PROT_NONE, flags, -1, 0) }
}

/// munmap.
///
/// # Safety
/// As for [`map_fixed`].
pub(super) unsafe fn unmap(addr: u64, len: u64) -> Result<(), i32> {
    // SAFETY: the caller vouches for the range.
    match unsafe { libc::munmap(addr as *mut _, len as usize) } {
        0 => Ok(()),
        _ => Err(errno()),
    }
}

/// mprotect.
///
/// # Safety
/// As for [`map_fixed`].
pub(super) unsafe fn protect(addr: u64, len: u64, prot: i32) -> Result<(), i32> {
    // SAFETY: the caller vouches for the range.
    match unsafe { libc::mprotect(addr as *mut _, len as usize, prot) } {
        0 => Ok(()),
        _ => Err(errno()),
    }
}

/// madvise.
///
/// # Safety
/// As for [`map_fixed`]: some advice discards contents.
pub(super) unsafe fn advise(addr: u64, len: u64, advice: i32) -> Result<(), i32> {
    // SAFETY: the caller vouches for the range.
    match unsafe { libc::madvise(addr as *mut _, len as usize, advice) } {
        0 => Ok(()),
        _ => Err(errno()),
    }
}

/// mremap; `new` is the destination where `flags` has MREMAP_FIXED.
///
/// # Safety
/// As for [`map_fixed`], for both ranges.
pub(super) unsafe fn remap(old: u64, old_len: u64, new_len: u64, flags: i32, new: u64) -> Result<(), i32> {
    // SAFETY: the caller vouches for both ranges.
    let got = unsafe {
        libc::mremap(
            old as *mut _,
            old_len as usize,
            new_len as usize,
            flags,
            new as *mut u8,
        )
    };
    if got == libc::MAP_FAILED {
        Err(errno())
    } else {
        Ok(())
    }
}
