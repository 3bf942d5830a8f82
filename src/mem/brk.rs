//! The heap: brk(2).

use super::addr::{PAGE_SHIFT, Prot, TASK_SIZE, pages};
use super::host;
use super::space::{Space, State};

impl Space {
    /// Sets where the heap begins; it is empty. A page boundary.
    pub fn set_brk_start(&self, start: u32) {
        let mut state = self.lock();
        state.start_brk = start;
        state.brk = start;
    }

    /// Where the heap begins and where it ends, as /proc/self/stat shows them.
    pub fn heap(&self) -> (u32, u32) {
        let state = self.lock();
        (state.start_brk, state.brk)
    }

    /// brk(2) as the kernel has it: the new end of the heap, or the old one where `new` is impossible or 0.
    pub fn brk(&self, new: u32) -> u32 {
        let mut state = self.lock();
        let old = state.brk;
        if new < state.start_brk {
            return old;
        }
        let old_page = pages(u64::from(old)) as u32;
        let new_page = pages(u64::from(new)) as u32;
        let done = if new_page > old_page {
            self.grow(&mut state, old_page, new_page, new).map(|()| false)
        } else if new_page < old_page {
            self.unmap_locked(&mut state, new_page..old_page)
        } else {
            Ok(false)
        };
        let Ok(code) = done else { return old };
        state.brk = new;
        drop(state);
        if code {
            self.changed(new_page..old_page);
        }
        new
    }

    fn grow(&self, state: &mut State, old_page: u32, new_page: u32, new: u32) -> Result<(), i32> {
        let heap = u64::from(new - state.start_brk);
        if heap > self.limits.data.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(libc::ENOMEM);
        }
        // The kernel keeps one page free above the heap.
        if new_page >= TASK_SIZE >> PAGE_SHIFT || !self.is_free(state, old_page..new_page + 1) {
            return Err(libc::ENOMEM);
        }
        let count = new_page - old_page;
        self.may_expand(state, count, count)?;
        let prot = self.implied(Prot::READ | Prot::WRITE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a free range of the guest's window.
        unsafe {
            host::map_fixed(
                self.at(old_page),
                u64::from(count) << PAGE_SHIFT,
                prot.host(),
                flags,
                -1,
                0,
            )?;
        }
        self.note_mapped(state, old_page..new_page, prot.bits());
        Ok(())
    }
}
