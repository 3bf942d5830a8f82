//! mremap in all its forms.

use std::ops::Range;

use super::addr::{PAGE_SHIFT, PAGE_SIZE, Prot, TASK_SIZE, aligned, pages};
use super::host;
use super::page::{CODE, MAPPED, SHARED, STACK, WATCHED};
use super::space::{Space, State};

const END: u32 = TASK_SIZE >> PAGE_SHIFT;

impl Space {
    /// mremap(2): the new address, or the kernel's errno. `new_addr` counts with MREMAP_FIXED, and as a hint with
    /// MREMAP_DONTUNMAP.
    pub fn mremap(
        &self,
        addr: u32,
        old_len: u32,
        new_len: u32,
        flags: i32,
        new_addr: u32,
    ) -> Result<u32, i32> {
        let may_move = flags & libc::MREMAP_MAYMOVE != 0;
        let fixed = flags & libc::MREMAP_FIXED != 0;
        let keep = flags & libc::MREMAP_DONTUNMAP != 0;
        let known = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
        let start = addr >> PAGE_SHIFT;
        let old = pages(u64::from(old_len)) as u32;
        let new = pages(u64::from(new_len)) as u32;
        if flags & !known != 0
            || (fixed || keep) && !may_move
            || keep && old != new
            || !aligned(addr)
            || new == 0
        {
            return Err(libc::EINVAL);
        }
        let mut state = self.lock();
        if start >= END || self.table.get(start) & MAPPED == 0 {
            return Err(libc::EFAULT);
        }
        if fixed {
            let to = new_addr >> PAGE_SHIFT;
            let overlap = u64::from(start) + u64::from(old) > u64::from(to) && to + new > start;
            if !aligned(new_addr) || to > END || new > END - to || overlap {
                return Err(libc::EINVAL);
            }
            if to < self.low {
                return Err(libc::EPERM);
            }
        }
        if new < old && old > END - start {
            // The kernel's do_munmap of the tail, which it does first.
            return Err(libc::EINVAL);
        }
        let mut changed = None;
        // What it grows over holds no code: it is free, or the mapping moves.
        let end = start.saturating_add(old).min(END);
        if self.forget_code(start..end)? {
            changed = Some(start..end);
        }
        let mut old = old;
        if new < old {
            // The tail goes away first, whatever happens afterwards.
            self.unmap_locked(&mut state, start + new..start.saturating_add(old).min(END))?;
            old = new;
        }
        let result = if old == new && !fixed && !keep {
            Ok((start, false))
        } else {
            self.resize(&mut state, start..start.saturating_add(old), new, flags, new_addr)
        };
        drop(state);
        if let Some(range) = changed {
            self.changed(range);
        }
        let (to, code) = result?;
        if code {
            self.changed(to..to + new);
        }
        Ok(to << PAGE_SHIFT)
    }

    /// Takes back what [`Space::protect_code`] did to a range; whether it had done anything.
    fn forget_code(&self, range: Range<u32>) -> Result<bool, i32> {
        let had = self.table.summary(range.clone());
        if !had.code {
            return Ok(false);
        }
        for page in range {
            let byte = self.table.get(page);
            if byte & WATCHED != 0 {
                let prot = Prot::from_bits_truncate(byte).host();
                // SAFETY: a mapped page of the guest's gets the permission that the guest gave it.
                unsafe { host::protect(self.at(page), u64::from(PAGE_SIZE), prot)? };
            }
            self.table.set(page, byte & !(CODE | WATCHED));
        }
        Ok(true)
    }

    /// Grows or moves `old` (empty: duplicates the shared mapping that begins there) to `new` pages. Returns the first
    /// page, and whether code was read from what was mapped there before.
    fn resize(
        &self,
        state: &mut State,
        old: Range<u32>,
        new: u32,
        flags: i32,
        new_addr: u32,
    ) -> Result<(u32, bool), i32> {
        let fixed = flags & libc::MREMAP_FIXED != 0;
        let keep = flags & libc::MREMAP_DONTUNMAP != 0;
        let old_count = old.end - old.start;
        if old.end > END || self.table.first_unmapped(old.clone()) != old.end {
            return Err(libc::EFAULT);
        }
        let byte = self.table.get(old.end.max(old.start + 1) - 1);
        if old_count == 0 && byte & SHARED == 0 {
            return Err(libc::EINVAL);
        }
        let more = if keep { new } else { new - old_count };
        let data = Prot::from_bits_truncate(byte).contains(Prot::WRITE) && byte & (SHARED | STACK) == 0;
        self.may_expand(state, more, if data { more } else { 0 })?;
        if !fixed && !keep && old_count > 0 && self.grow_in_place(state, &old, new, byte) {
            return Ok((old.start, false));
        }
        if flags & libc::MREMAP_MAYMOVE == 0 {
            return Err(libc::ENOMEM);
        }
        let to = if fixed {
            new_addr >> PAGE_SHIFT
        } else {
            let hint = new_addr >> PAGE_SHIFT;
            let hinted = keep
                && hint != 0
                && hint
                    .checked_add(new)
                    .is_some_and(|end| self.is_free(state, hint..end));
            if hinted {
                hint
            } else {
                self.find_free(state, new, 1).ok_or(libc::ENOMEM)?
            }
        };
        self.move_to(state, old, to..to + new, keep, byte)
    }

    /// Extends a mapping into the free pages behind it, if it can be.
    fn grow_in_place(&self, state: &mut State, old: &Range<u32>, new: u32, byte: u8) -> bool {
        let Some(end) = old.start.checked_add(new) else {
            return false;
        };
        let behind = old.end..end;
        if !self.is_free(state, behind.clone()) {
            return false;
        }
        let len = |range: &Range<u32>| u64::from(range.end - range.start) << PAGE_SHIFT;
        if self.reserved {
            // SAFETY: free pages of the window; the host needs them unmapped.
            if unsafe { host::unmap(self.at(behind.start), len(&behind)) }.is_err() {
                return false;
            }
        }
        let bytes = u64::from(new) << PAGE_SHIFT;
        // SAFETY: the guest's own mapping, growing into the pages released just now.
        let grown = unsafe { host::remap(self.at(old.start), len(old), bytes, 0, 0) };
        if grown.is_err() {
            if self.reserved {
                // Should this fail, the range stays unreserved: nobody else maps below 4 GiB.
                // SAFETY: free pages of the window.
                let _ = unsafe { host::reserve_over(self.at(behind.start), len(&behind)) };
            }
            return false;
        }
        self.note_mapped(state, behind, byte);
        true
    }

    /// After a call has failed that was to map all of a range: the host may have unmapped what was there already. Reserving the range
    /// anew tells. Returns whether code was read from it.
    pub(super) fn note_lost(&self, state: &mut State, range: Range<u32>) -> Result<bool, i32> {
        let (start, len) = (self.at(range.start), self.at(range.end) - self.at(range.start));
        if host::reserve_new(start, len).is_err() {
            return Ok(false);
        }
        if !self.reserved {
            self.release(range.clone())?;
        }
        Ok(self.note_unmapped(state, range).code)
    }

    /// Moves a mapping to `to`, which may be larger than it; the destination's mappings are lost.
    fn move_to(
        &self,
        state: &mut State,
        old: Range<u32>,
        to: Range<u32>,
        keep: bool,
        byte: u8,
    ) -> Result<(u32, bool), i32> {
        let len = |range: &Range<u32>| u64::from(range.end - range.start) << PAGE_SHIFT;
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | if keep { libc::MREMAP_DONTUNMAP } else { 0 };
        let (from, dest) = (self.at(old.start), self.at(to.start));
        // SAFETY: both ranges lie in the guest's window; the guest decides what it loses.
        if let Err(errno) = unsafe { host::remap(from, len(&old), len(&to), flags, dest) } {
            self.note_lost(state, to)?;
            return Err(errno);
        }
        let moved: Vec<u8> = old.clone().map(|page| self.table.get(page)).collect();
        let code = self.note_mapped(state, to.clone(), byte).code;
        if moved.iter().any(|&b| b != byte) {
            for (page, &b) in (to.start..).zip(&moved) {
                self.note_mapped(state, page..page + 1, b);
            }
        }
        if !old.is_empty() && !keep {
            if self.reserved {
                self.release(old.clone())?;
            }
            self.note_unmapped(state, old);
        }
        Ok((to.start, code))
    }
}
