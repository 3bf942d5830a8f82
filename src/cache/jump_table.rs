//! Where indirect branches find their target: a table indexed by guest address, or a small hash where that is refused.
//!
//! The direct form has one 32-bit entry for each guest address with the T bit, 2^32 of them in a 16 GiB reservation of
//! which only the entries in use take memory: `mov edx, gs:[rcx*4]`. Its entries are offsets from the start of the
//! code arena, and an empty one (0) leads to offset 0, where the miss stub is.
//!
//! The hash form has 2^16 entries of 64 bits, the guest address with the T bit in the low and the offset in the high
//! half, at index `(ecx >> 1) & 0xffff`: `gs:[index*8]`. An entry whose low half is another address is a miss.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Bytes of the direct table.
const DIRECT_BYTES: usize = 4 << 32;
/// Entries of the hash table.
pub const HASH_ENTRIES: usize = 1 << 16;
/// Piece of the direct table made writable at once where the whole may not be (strict overcommit).
const CHUNK: usize = 2 << 20;

/// How a table is laid out; translated code is compiled for one or the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Direct,
    Hash,
}

/// One table. There is one for each floating-point mode in use: blocks of different modes never meet.
#[derive(Debug)]
pub struct JumpTable {
    base: usize,
    form: Form,
    /// Bitmap of the chunks that are writable, when they are made so one by one.
    chunks: Option<Vec<u64>>,
}

fn reserve(len: usize, prot: i32) -> io::Result<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping wherever the kernel likes.
    let p = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, -1, 0) };
    if p == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping made above. Huge pages would cost memory for nothing.
    unsafe { libc::madvise(p, len, libc::MADV_NOHUGEPAGE) };
    Ok(p as usize)
}

/// # Safety
/// A direct table is mapped at `base` and stays so for `'a`.
unsafe fn direct_entry<'a>(base: u64, target: u32) -> &'a AtomicU32 {
    // SAFETY: every 32-bit index lies in the table; entries are only accessed atomically.
    unsafe { &*((base + 4 * u64::from(target)) as *const AtomicU32) }
}

/// # Safety
/// A hash table is mapped at `base` and stays so for `'a`.
unsafe fn hash_entry<'a>(base: u64, target: u32) -> &'a AtomicU64 {
    let index = u64::from(target >> 1) & (HASH_ENTRIES as u64 - 1);
    // SAFETY: the index is below HASH_ENTRIES; entries are only accessed atomically.
    unsafe { &*((base + 8 * index) as *const AtomicU64) }
}

/// Where branches to `target` (guest address with the T bit) go by the table of form `form` at `base`.
///
/// # Safety
/// There is such a table.
pub unsafe fn look_up(base: u64, form: Form, target: u32) -> Option<u32> {
    let host = match form {
        // SAFETY: the caller's contract.
        Form::Direct => unsafe { direct_entry(base, target) }.load(Ordering::Acquire),
        Form::Hash => {
            // SAFETY: the caller's contract.
            let entry = unsafe { hash_entry(base, target) }.load(Ordering::Acquire);
            if entry as u32 == target {
                (entry >> 32) as u32
            } else {
                0
            }
        }
    };
    Some(host).filter(|&h| h != 0)
}

impl JumpTable {
    /// The best table that the host's limits allow: the direct one whole, then in chunks, then the hash.
    ///
    /// # Errors
    /// The host's error when not even the hash's half megabyte can be had.
    pub fn new() -> io::Result<JumpTable> {
        Self::direct()
            .or_else(|_| Self::chunked())
            .or_else(|_| Self::hash())
    }

    /// The direct table, writable as a whole.
    pub fn direct() -> io::Result<JumpTable> {
        let base = reserve(DIRECT_BYTES, libc::PROT_READ | libc::PROT_WRITE)?;
        Ok(JumpTable {
            base,
            form: Form::Direct,
            chunks: None,
        })
    }

    /// The direct table, read-only until a chunk is needed: what vm.overcommit_memory = 2 admits.
    pub fn chunked() -> io::Result<JumpTable> {
        let base = reserve(DIRECT_BYTES, libc::PROT_READ)?;
        Ok(JumpTable {
            base,
            form: Form::Direct,
            chunks: Some(vec![0; DIRECT_BYTES / CHUNK / 64]),
        })
    }

    /// The hash table.
    pub fn hash() -> io::Result<JumpTable> {
        let base = reserve(8 * HASH_ENTRIES, libc::PROT_READ | libc::PROT_WRITE)?;
        Ok(JumpTable {
            base,
            form: Form::Hash,
            chunks: None,
        })
    }

    pub fn form(&self) -> Form {
        self.form
    }

    /// What gs is to point at.
    pub fn base(&self) -> u64 {
        self.base as u64
    }

    fn bytes(&self) -> usize {
        match self.form {
            Form::Direct => DIRECT_BYTES,
            Form::Hash => 8 * HASH_ENTRIES,
        }
    }

    fn direct_entry(&self, target: u32) -> &AtomicU32 {
        // SAFETY: the reservation lives as long as the table.
        unsafe { direct_entry(self.base as u64, target) }
    }

    fn hash_entry(&self, target: u32) -> &AtomicU64 {
        // SAFETY: the table lives as long as `self`.
        unsafe { hash_entry(self.base as u64, target) }
    }

    /// Makes the entry's chunk writable; false when the host has no memory to commit.
    fn make_writable(&mut self, target: u32) -> bool {
        let Some(chunks) = &mut self.chunks else {
            return true;
        };
        let chunk = 4 * target as usize / CHUNK;
        let (word, bit) = (chunk / 64, 1 << (chunk % 64));
        if chunks[word] & bit == 0 {
            let start = self.base + chunk * CHUNK;
            // SAFETY: a chunk of our own reservation.
            let ok = unsafe {
                libc::mprotect(
                    start as *mut libc::c_void,
                    CHUNK,
                    libc::PROT_READ | libc::PROT_WRITE,
                )
            };
            if ok != 0 {
                return false;
            }
            chunks[word] |= bit;
        }
        true
    }

    /// Sends branches to `target` (guest address with the T bit) to arena offset `host`. Says whether the entry is
    /// there now: without it the branch only keeps missing.
    pub fn set(&mut self, target: u32, host: u32) -> bool {
        match self.form {
            Form::Direct => {
                let ok = self.make_writable(target);
                if ok {
                    self.direct_entry(target).store(host, Ordering::Release);
                }
                ok
            }
            Form::Hash => {
                let entry = u64::from(target) | u64::from(host) << 32;
                self.hash_entry(target).store(entry, Ordering::Release);
                true
            }
        }
    }

    /// Empties the entry of `target` if it leads to `host`.
    pub fn clear(&mut self, target: u32, host: u32) {
        if self.get(target) != Some(host) {
            return;
        }
        match self.form {
            Form::Direct => self.direct_entry(target).store(0, Ordering::Release),
            Form::Hash => self.hash_entry(target).store(0, Ordering::Release),
        }
    }

    /// Where branches to `target` go.
    pub fn get(&self, target: u32) -> Option<u32> {
        // SAFETY: this table's own base and form.
        unsafe { look_up(self.base as u64, self.form, target) }
    }

    /// Empties the whole table and gives its memory back. Other threads may be reading it.
    pub fn wipe(&mut self) {
        // SAFETY: our own private anonymous mapping: reads of the range give zeros afterwards.
        unsafe { libc::madvise(self.base as *mut libc::c_void, self.bytes(), libc::MADV_DONTNEED) };
    }
}

impl Drop for JumpTable {
    fn drop(&mut self) {
        // SAFETY: the reservation is this table's own; no thread's gs points at it any more.
        unsafe { libc::munmap(self.base as *mut libc::c_void, self.bytes()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exercise(mut t: JumpTable) {
        for (target, host) in [(0, 16), (0xffff_ffff, 32), (0x1_0001, 48), (0x0800_0000, 64)] {
            assert_eq!(t.get(target), None);
            assert!(t.set(target, host));
            assert_eq!(t.get(target), Some(host));
        }
        t.clear(0x1_0001, 32);
        assert_eq!(t.get(0x1_0001), Some(48));
        t.clear(0x1_0001, 48);
        assert_eq!(t.get(0x1_0001), None);
        t.set(0x1_0001, 80);
        t.wipe();
        assert_eq!((t.get(0x1_0001), t.get(0xffff_ffff)), (None, None));
    }

    #[test]
    fn every_form_keeps_entries() {
        exercise(JumpTable::direct().unwrap());
        exercise(JumpTable::chunked().unwrap());
        exercise(JumpTable::hash().unwrap());
    }

    #[test]
    fn colliding_hash_entries_replace_each_other() {
        let mut t = JumpTable::hash().unwrap();
        t.set(0x1_0000, 16);
        t.set(0x3_0000, 32);
        assert_eq!((t.get(0x1_0000), t.get(0x3_0000)), (None, Some(32)));
        t.clear(0x1_0000, 16);
        assert_eq!(t.get(0x3_0000), Some(32));
    }
}
