//! What a guest thread has on the host: its state, the translation stack, an alternate signal stack, the gs base.

use crate::cache::jump_table::{self, Form};
use crate::cpu::location::{FpKey, Location};
use crate::cpu::state::CpuState;
use crate::mem;
use std::cell::Cell;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

const PAGE: usize = 4096;
/// Bytes of a translation stack; a reset (2.6 us) comes after some 65,000 frames that never return.
const STACK_BYTES: usize = 1 << 20;
/// Bytes above the base of a translation stack, filled with sentinels.
const SENTINEL_BYTES: usize = 256;
/// The return tag above the base of a translation stack: an address where no guest code can be.
pub const SENTINEL_TAG: u32 = u32::MAX;
/// Bytes of an alternate signal stack: the frame of a processor with all its vector state is up to 12 KiB.
const ALT_BYTES: usize = 64 << 10;

/// Mappings that threads have left behind, for the next ones: a mapping of each kind costs three host calls, and page
/// faults. No lock, which a fork could find taken. Nothing in them matters.
static SPARE: [[AtomicUsize; 4]; 2] = [const { [const { AtomicUsize::new(0) }; 4] }; 2];

/// Where spare mappings of `len` bytes are.
fn spares(len: usize) -> &'static [AtomicUsize] {
    match len {
        STACK_BYTES => &SPARE[0],
        ALT_BYTES => &SPARE[1],
        _ => &[],
    }
}

/// A private mapping with an inaccessible page at either end.
#[derive(Debug)]
struct Guarded {
    start: usize,
    len: usize,
}

impl Guarded {
    fn new(len: usize) -> io::Result<Guarded> {
        for spare in spares(len) {
            let start = spare.swap(0, Ordering::Acquire);
            if start != 0 {
                return Ok(Guarded { start, len });
            }
        }
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let whole = len + 2 * PAGE;
        // SAFETY: a new mapping wherever the kernel likes.
        let p = unsafe { libc::mmap(ptr::null_mut(), whole, libc::PROT_NONE, flags, -1, 0) };
        if p == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let map = Guarded {
            start: p as usize + PAGE,
            len,
        };
        // SAFETY: the inner part of the mapping just made.
        let ok = unsafe {
            libc::mprotect(
                map.start as *mut libc::c_void,
                len,
                libc::PROT_READ | libc::PROT_WRITE,
            )
        };
        if ok == 0 {
            Ok(map)
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Whether `addr` is in one of the guard pages.
    fn guards(&self, addr: u64) -> bool {
        let (low, high) = ((self.start - PAGE) as u64, (self.start + self.len + PAGE) as u64);
        (low..high).contains(&addr) && !self.contains(addr)
    }

    fn contains(&self, addr: u64) -> bool {
        (self.start as u64..(self.start + self.len) as u64).contains(&addr)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        for spare in spares(self.len) {
            if spare
                .compare_exchange(0, self.start, Ordering::Release, Ordering::Relaxed)
                .is_ok()
            {
                return;
            }
        }
        // SAFETY: the mapping is this value's own, and its user is gone.
        unsafe { libc::munmap((self.start - PAGE) as *mut libc::c_void, self.len + 2 * PAGE) };
    }
}

/// The stack of translated code: pairs of a return tag and a host return address, pushed by calls.
///
/// Nothing on it is ever needed: a tag that does not match is a miss, and the branch goes through the jump table.
/// So it may be emptied at any time that the thread is not in translated code, and also by the fault handler when
/// it runs into a guard page. It is 16-aligned between guest instructions, with tags in the upper words, so that it
/// overflows only where a tag (or the return address of a call to the run time) is pushed. Above the base lie
/// sentinel pairs: a guest that does return to [`SENTINEL_TAG`] gets to the run time's sentinel stub, which misses.
#[derive(Debug)]
pub struct TranslationStack(Guarded);

impl TranslationStack {
    fn new() -> io::Result<TranslationStack> {
        Guarded::new(STACK_BYTES).map(TranslationStack)
    }

    /// The stack pointer of the empty stack.
    pub fn base(&self) -> u64 {
        (self.0.start + self.0.len - SENTINEL_BYTES) as u64
    }

    fn fill(&self, sentinel: u64) {
        for at in (self.base()..self.base() + SENTINEL_BYTES as u64).step_by(16) {
            // SAFETY: both words lie in the mapping; only this thread uses it.
            unsafe {
                (at as *mut u64).write(sentinel);
                (at as *mut u64).add(1).write(SENTINEL_TAG.into());
            }
        }
    }

    /// Whether a fault at `addr` means that the stack is used up in one direction or the other.
    pub fn overrun(&self, addr: u64) -> bool {
        self.0.guards(addr)
    }
}

/// What a signal handler took a thread out of translated code for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Captured {
    /// A signal waits.
    Interrupted,
    /// The block at the pc is void: find or make the one for the code that is there now.
    Stale,
    /// As `machine::Event::Fault`.
    Fault {
        signo: i32,
        code: i32,
        addr: u32,
        write: bool,
    },
}

/// A guest thread as its run loop and the signal handlers that interrupt it share it: all on one host thread, except
/// [`Thread::in_code`] and `CpuState::pending`, which others look at or set.
pub struct Thread {
    /// Boxed so that its address stays; translated code and handlers write through the pointer.
    state: *mut CpuState,
    /// 1 from before the entry to translated code until its exit has been understood.
    in_code: AtomicU32,
    /// In a system call that translated code makes on its way: behind it nothing can fault before the run loop has looked
    /// at what is pending.
    pub in_direct_call: AtomicBool,
    /// The cache's epoch that the translation stack belongs to.
    pub epoch: Cell<u64>,
    pub stack: TranslationStack,
    pub captured: Cell<Captured>,
    /// The last fault that was tried again because the guest's page table allows the access, and how often.
    pub retried: Cell<(u64, u64, u32)>,
    /// Base of the current jump table, its form and its floating-point key.
    table: Cell<(u64, Form, FpKey)>,
    alt: Cell<Option<&'static Guarded>>,
}

/// What [`Thread::table`] holds before the first table.
const NO_TABLE: (u64, Form, FpKey) = (0, Form::Direct, FpKey::SCALAR);

thread_local! {
    static CURRENT: Cell<*const Thread> = const { Cell::new(ptr::null()) };
}

impl Thread {
    /// A thread around a copy of nothing: `state` is taken over.
    ///
    /// # Errors
    /// The host's error when there is no room for the translation stack.
    pub fn new(state: Box<CpuState>) -> io::Result<Thread> {
        let stack = TranslationStack::new()?;
        let thread = Thread {
            state: Box::into_raw(state),
            in_code: AtomicU32::new(0),
            in_direct_call: AtomicBool::new(false),
            epoch: Cell::new(u64::MAX),
            stack,
            captured: Cell::new(Captured::Interrupted),
            retried: Cell::new((0, 0, 0)),
            table: Cell::new(NO_TABLE),
            alt: Cell::new(None),
        };
        Ok(thread)
    }

    pub fn state(&self) -> *mut CpuState {
        self.state
    }

    /// The thread that this host thread runs, for handlers; null if none.
    pub fn current() -> *const Thread {
        CURRENT.get()
    }

    /// Makes this host thread the one that runs `self`: handlers find it, and have a stack to run on.
    pub fn attach(&self) {
        if ptr::eq(CURRENT.get(), self) {
            return;
        }
        if self.alt.get().is_none()
            && let Ok(stack) = Guarded::new(ALT_BYTES)
        {
            let alt = libc::stack_t {
                ss_sp: stack.start as *mut libc::c_void,
                ss_flags: 0,
                ss_size: stack.len,
            };
            // SAFETY: the mapping lives until the thread is dropped, which takes the stack out of use first.
            unsafe { libc::sigaltstack(&alt, ptr::null_mut()) };
            self.alt.set(Some(Box::leak(Box::new(stack))));
        }
        self.table.set(NO_TABLE);
        CURRENT.set(self);
    }

    /// Empties the translation stack; `sentinel` is the host address of the sentinel stub.
    pub fn reset_stack(&self, sentinel: u64) {
        self.stack.fill(sentinel);
        // SAFETY: the state lives as long as the thread; translated code, the only other user, is not running.
        unsafe { (*self.state).jit_sp = self.stack.base() };
    }

    /// Makes the jump table of key `fp`, at `base`, the one of this thread's translated code: by gs, or by the state where
    /// gs is the base of guest memory. Tables stay where they are for the life of the process. Returns that wait on the
    /// translation stack lead to blocks of the mode they were called in: another mode forgets them.
    pub fn set_table(&self, base: u64, form: Form, fp: FpKey, sentinel: u64) {
        let (before, _, key) = self.table.get();
        if before == base {
            return;
        }
        if before != 0 && key != fp {
            self.reset_stack(sentinel);
        }
        let window = mem::space().base();
        if window != 0 {
            // SAFETY: as in `reset_stack`.
            unsafe { (*self.state).jump_table = base };
        }
        const ARCH_SET_GS: i32 = 0x1001;
        let gs = if window != 0 { window } else { base };
        let set = window != 0 && before != 0
            // SAFETY: nothing but translated code uses gs on x86-64 Linux.
            || unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, gs) } == 0;
        if set {
            self.table.set((base, form, fp));
        }
    }

    /// Arena offset of the block for `location` as translated code itself would find it, without any lock.
    pub fn look_up(&self, location: Location) -> Option<u32> {
        let (base, form, fp) = self.table.get();
        if base == 0 || fp != location.fp || location.it != 0 {
            return None;
        }
        // SAFETY: the current table.
        unsafe { jump_table::look_up(base, form, location.target()) }
    }

    /// Says that translated code is about to be entered. With other threads, sequentially consistent: afterwards either
    /// this thread sees a new epoch, or whoever began that epoch sees this thread in translated code.
    #[inline]
    pub fn go_in(&self, alone: bool) {
        if alone {
            self.in_code.store(1, Ordering::Relaxed);
        } else {
            self.in_code.swap(1, Ordering::SeqCst);
        }
    }

    pub fn come_out(&self) {
        self.in_code.store(0, Ordering::Release);
    }

    pub fn is_in_code(&self) -> bool {
        self.in_code.load(Ordering::SeqCst) != 0
    }

    /// `CpuState::pending`, which handlers and other threads set.
    pub fn pending(&self) -> &AtomicU32 {
        // SAFETY: the field lives as long as the thread and is an aligned u32.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.state).pending) }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let mine = ptr::eq(CURRENT.get(), self);
        if mine {
            CURRENT.set(ptr::null());
        }
        if let Some(stack) = self.alt.take() {
            if mine {
                let off = libc::stack_t {
                    ss_sp: ptr::null_mut(),
                    ss_flags: libc::SS_DISABLE,
                    ss_size: 0,
                };
                // SAFETY: this thread's own setting; no handler is running.
                unsafe { libc::sigaltstack(&off, ptr::null_mut()) };
            }
            // SAFETY: leaked from a box in `attach`, and out of use now.
            drop(unsafe { Box::from_raw(ptr::from_ref(stack).cast_mut()) });
        }
        // SAFETY: it came from a box, and translated code of this thread is not running.
        drop(unsafe { Box::from_raw(self.state) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_stack_holds_sentinels_and_has_guards() {
        let thread = Thread::new(CpuState::new()).unwrap();
        thread.reset_stack(0x1234_5678_9abc);
        let base = thread.stack.base();
        // SAFETY: the state is this test's.
        assert_eq!(unsafe { (*thread.state()).jit_sp }, base);
        assert_eq!(base % 16, 0);
        for i in 0..SENTINEL_BYTES as u64 / 16 {
            let pair = (base + 16 * i) as *const [u64; 2];
            // SAFETY: within the stack's mapping.
            assert_eq!(unsafe { *pair }, [0x1234_5678_9abc, SENTINEL_TAG.into()]);
        }
        let top = base + SENTINEL_BYTES as u64;
        assert!(thread.stack.overrun(top) && thread.stack.overrun(top + 4095));
        assert!(!thread.stack.overrun(top + 4096) && !thread.stack.overrun(top - 1));
        let bottom = top - STACK_BYTES as u64;
        assert!(thread.stack.overrun(bottom - 1) && !thread.stack.overrun(bottom));
    }
}
