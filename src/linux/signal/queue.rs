//! Signals taken from the host and not yet delivered to the guest: written by the host's signal handler.

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};

use super::host;
use super::set::SigSet;
use super::siginfo::host_bytes;
use crate::exec::signals::MaskAfter;
use crate::linux::process::Process;
use crate::linux::ptrace::block;

/// One signal with its siginfo, as the host kernel gave it.
#[derive(Clone, Copy)]
pub struct Queued {
    pub signo: i32,
    pub info: libc::siginfo_t,
}

/// Room for the signals that can arrive before the mask closes: two blockable signals for each time the thread opens
/// its mask without looking here first (at most two), and one of each kind that the host never blocks.
const CAPACITY: usize = 16;

/// A thread's queue: the handler is the only producer, the thread under it the only consumer.
pub struct SignalQueue {
    /// Next slot to read; written by the thread only.
    head: AtomicU32,
    /// Next slot to write; written by the handler only.
    tail: AtomicU32,
    slots: [UnsafeCell<MaybeUninit<Queued>>; CAPACITY],
    /// Set by the handler: the host's mask is closed (everything blocked) until the thread sets it again.
    closed: AtomicBool,
    /// Signals that the guest blocks and the host's mask lets in: the handler gives them back, and the mask takes them up.
    unblocked: AtomicU64,
    /// The thread.
    tid: AtomicI32,
    /// Whose handlers they are; `None` as long as the mask is to be closed for every signal.
    process: Cell<Option<&'static Process>>,
}

impl Default for SignalQueue {
    fn default() -> SignalQueue {
        SignalQueue {
            head: AtomicU32::new(0),
            tail: AtomicU32::new(0),
            slots: [const { UnsafeCell::new(MaybeUninit::uninit()) }; CAPACITY],
            closed: AtomicBool::new(false),
            unblocked: AtomicU64::new(0),
            tid: AtomicI32::new(0),
            process: Cell::new(None),
        }
    }
}

impl SignalQueue {
    /// Producer: takes a signal, or gives it back to the host. The first one leaves the mask as it is where what its
    /// handler blocks is kept in `unblocked` until it runs.
    fn arrive(&self, queued: Queued, sealed: bool) -> MaskAfter {
        let unblocked = SigSet(self.unblocked.load(Ordering::Relaxed));
        if unblocked.contains(queued.signo) {
            host::requeue(queued.signo, host_bytes(&queued.info));
            self.unblocked.store(0, Ordering::Relaxed);
            self.closed.store(true, Ordering::Release);
            return MaskAfter::With(unblocked.0);
        }
        let blocks = self.plainly_blocks(queued.signo);
        if let (Some(blocks), false, false, true) = (blocks, sealed, self.is_closed(), self.is_empty()) {
            self.push(queued);
            self.unblocked.fetch_or(blocks.0, Ordering::Relaxed);
            return MaskAfter::Kept;
        }
        self.closed.store(true, Ordering::Release);
        self.push(queued);
        MaskAfter::Closed
    }

    /// What the handler of `signo` blocks, where the host need not be told at once: signals that can be given back, and no
    /// other thread that could have taken them.
    fn plainly_blocks(&self, signo: i32) -> Option<SigSet> {
        let process = self.process.get().filter(|p| p.has_one_thread())?;
        let traced = block::current().is_none_or(|b| b.is_traced());
        process.actions.plainly_blocks(signo).filter(|_| !traced)
    }

    /// Producer: adds a signal. A standard signal of the kinds that the host never blocks is kept once, as the
    /// kernel keeps a pending standard signal once.
    fn push(&self, queued: Queued) {
        let (head, tail) = (
            self.head.load(Ordering::Acquire),
            self.tail.load(Ordering::Relaxed),
        );
        let mut waiting = head;
        while waiting != tail {
            // SAFETY: slots from head to tail are initialised, and the consumer does not change them.
            let other = unsafe { (*self.slot(waiting)).assume_init_ref() };
            if other.signo == queued.signo && SigSet::SYNCHRONOUS.contains(queued.signo) {
                return;
            }
            waiting = waiting.wrapping_add(1);
        }
        // Never full: see CAPACITY.
        if tail.wrapping_sub(head) as usize == CAPACITY {
            return;
        }
        // SAFETY: the slot is free, and this handler, the only producer, does not nest.
        unsafe { (*self.slot(tail)).write(queued) };
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
    }

    /// Consumer: moves all signals to `held`, the oldest first.
    pub fn drain(&self, held: &mut Vec<Queued>) {
        let mut head = self.head.load(Ordering::Relaxed);
        while head != self.tail.load(Ordering::Acquire) {
            // SAFETY: slots from head to tail are initialised, and the producer does not change them.
            held.push(*unsafe { (*self.slot(head)).assume_init_ref() });
            head = head.wrapping_add(1);
            self.head.store(head, Ordering::Release);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed) == self.tail.load(Ordering::Acquire)
    }

    /// Whether the handler has closed the host's mask since [`SignalQueue::set_open`].
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The thread is about to set the host's mask: what the handler does from now on counts.
    pub fn set_open(&self) {
        self.closed.store(false, Ordering::Release);
    }

    /// Signals that the guest blocks and the host's mask lets in.
    pub fn unblocked(&self) -> SigSet {
        SigSet(self.unblocked.load(Ordering::Relaxed))
    }

    /// Sets them, before the host's mask or the guest's changes so that they are let in or blocked.
    pub fn set_unblocked(&self, signals: SigSet) {
        self.unblocked.store(signals.0, Ordering::Relaxed);
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    }

    /// The host's mask has taken these up.
    pub fn settle_unblocked(&self, signals: SigSet) {
        self.unblocked.fetch_and(!signals.0, Ordering::Relaxed);
    }

    /// Whose signals come here: also to be set in the child of a fork.
    pub fn set_tid(&self, tid: i32) {
        self.tid.store(tid, Ordering::Relaxed);
    }

    /// `process`'s handlers are what signals here are for.
    pub fn set_process(&self, process: &'static Process) {
        self.process.set(Some(process));
    }

    fn slot(&self, index: u32) -> *mut MaybeUninit<Queued> {
        self.slots[index as usize % CAPACITY].get()
    }
}

thread_local! {
    /// The queue of the guest thread that runs on this host thread; null before and after.
    static CURRENT: Cell<*const SignalQueue> = const { Cell::new(ptr::null()) };
}

/// Makes `queue` the one that this thread's signals go to. It must outlive the next call of this function.
pub fn set_current(queue: *const SignalQueue) {
    CURRENT.set(queue);
}

/// Whether the calling thread is `tid`.
pub fn is_of(tid: i32) -> bool {
    let queue = CURRENT.get();
    // SAFETY: set_current's contract: the queue lives as long as it is current; this is its thread.
    !queue.is_null() && unsafe { (*queue).tid.load(Ordering::Relaxed) } == tid
}

/// Whether the host's mask lets signals of this thread in that the guest blocks.
pub fn lets_more_in() -> bool {
    let queue = CURRENT.get();
    // SAFETY: set_current's contract: the queue lives as long as it is current; this is its thread.
    !queue.is_null() && unsafe { (*queue).unblocked() } != SigSet::EMPTY
}

/// The sink of `exec::signals`: runs in the host's signal handler.
pub fn sink(signo: i32, info: &libc::siginfo_t, sealed: bool) -> MaskAfter {
    let queue = CURRENT.get();
    if queue.is_null() {
        return MaskAfter::Closed;
    }
    let mut queued = Queued { signo, info: *info };
    let poked = block::current().filter(|b| signo == libc::SIGTRAP && b.poked().load(Ordering::Relaxed) != 0);
    // SAFETY: set_current's contract: the queue lives as long as it is current; this is its thread.
    let queue = unsafe { &*queue };
    if let Some(block) = poked {
        queue.closed.store(true, Ordering::Release);
        let Some((signo, info)) = block.take() else {
            return MaskAfter::Closed;
        };
        // SAFETY: siginfo_t is 128 bytes of plain data.
        let info = unsafe { std::mem::transmute::<[u8; 128], libc::siginfo_t>(info) };
        queued = Queued { signo, info };
        queue.push(queued);
        return MaskAfter::Closed;
    }
    queue.arrive(queued, sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(signo: i32) -> Queued {
        // SAFETY: siginfo_t is plain integers.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        info.si_signo = signo;
        Queued { signo, info }
    }

    #[test]
    fn keeps_order_and_one_of_each_fault_signal() {
        let queue = SignalQueue::default();
        let mut held = Vec::new();
        queue.drain(&mut held);
        assert!(held.is_empty());
        for signo in [34, libc::SIGSEGV, 34, libc::SIGSEGV, libc::SIGBUS] {
            // Without a process nothing is known of handlers.
            assert_eq!(queue.arrive(queued(signo), false), MaskAfter::Closed);
        }
        assert!(queue.is_closed());
        queue.drain(&mut held);
        let order: Vec<i32> = held.iter().map(|q| q.signo).collect();
        assert_eq!(order, [34, libc::SIGSEGV, 34, libc::SIGBUS]);
        assert!(queue.is_empty());
    }

    #[test]
    fn wraps_round() {
        let queue = SignalQueue::default();
        for i in 0..100 {
            queue.push(queued(32 + i % 32));
            let mut held = Vec::new();
            queue.drain(&mut held);
            assert_eq!(held.len(), 1);
            assert_eq!(held[0].signo, 32 + i % 32);
        }
    }
}
