//! What a traced thread and its tracer share: a block in the tracee's emulator that both sides' emulators know.
//!
//! The tracer finds it by the tracee's fs base, near which the [`Anchor`] of every guest thread lies; both sides are the
//! same program. It reads and writes the block while the tracee is stopped.

use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Changes whenever the layout of what is here does.
pub const MAGIC: u64 = 0x656d_755f_7472_0001;

/// `flags`: the thread has a tracer, as far as it knows.
pub const TRACED: u32 = 1;
/// `flags`: resumed by PTRACE_SYSCALL.
pub const SYSCALLS: u32 = 2;
/// `flags`: events of PTRACE_O_TRACESECCOMP are wanted.
pub const SECCOMP: u32 = 4;

/// `wants`: a stop of PTRACE_EVENT_STOP, its signal in `want_signal`.
pub const WANT_STOP: u32 = 1;
/// `wants`: a group stop of a thread that was not seized, its signal in `want_signal`.
pub const WANT_GROUP: u32 = 2;
/// `wants`: the stop behind execve.
pub const WANT_EXEC: u32 = 4;
/// `wants`: the SIGSTOP of a thread that is traced from its birth.
pub const WANT_SIGSTOP: u32 = 8;

/// `wants`: the plain SIGTRAP behind execve.
pub const WANT_TRAP: u32 = 16;

/// `changed`: registers r0-r15, CPSR, ORIG_r0.
pub const CHANGED_REGS: u32 = 1;
/// `changed`: D registers and FPSCR.
pub const CHANGED_VFP: u32 = 2;
/// `changed`: the number of the system call.
pub const CHANGED_NUMBER: u32 = 4;
/// `changed`: the signal's information.
pub const CHANGED_INFO: u32 = 8;
/// `changed`: the signal mask.
pub const CHANGED_MASK: u32 = 16;

/// What a thread is stopped for, or why its registers may be looked at (`kind`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Kind {
    /// Running: the block's registers mean nothing.
    Running = 0,
    /// Signal-delivery-stop: `signal` and `info`.
    Signal,
    SyscallEntry,
    SyscallExit,
    /// Behind execve, before the first instruction.
    Exec,
    /// PTRACE_EVENT_SECCOMP, the filter's data in `message`.
    Seccomp,
    /// PTRACE_EVENT_STOP with `signal`.
    Stop,
    /// Group stop with `signal`, of a thread that was not seized.
    Group,
    /// In clone: the host's own fork events come here.
    Clone,
    /// About to take `signal`'s default action, or to end: group stops and the host's exit event come here.
    Passing,
}

impl Kind {
    pub fn of(number: u32) -> Kind {
        const ALL: [Kind; 10] = [
            Kind::Running,
            Kind::Signal,
            Kind::SyscallEntry,
            Kind::SyscallExit,
            Kind::Exec,
            Kind::Seccomp,
            Kind::Stop,
            Kind::Group,
            Kind::Clone,
            Kind::Passing,
        ];
        ALL.get(number as usize).copied().unwrap_or(Kind::Running)
    }
}

/// The block's contents. Host addresses are the tracee's.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Image {
    pub magic: u64,
    pub place: Place,
    pub orders: Orders,
    pub state: State,
}

/// What stays as it is while the thread executes one program.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Place {
    /// Where the host's pc is at a stop of our own making: behind the instruction that makes it.
    pub stop_pc: u64,
    /// Where the host's pc is in a system call that can be interrupted, and where to go on to leave it undone.
    pub syscall_pc: u64,
    pub leave_pc: u64,
    /// Host address of guest address 0, and of the page table's bytes.
    pub base: u64,
    pub pages: u64,
    /// Address of this process's [`Dirty`].
    pub dirty: u64,
    /// The auxiliary vector as the guest knows it: address and bytes.
    pub auxv: u64,
    pub auxv_len: u64,
    pub tid: i32,
    pub pid: i32,
    pub start_code: u32,
    pub end_code: u32,
}

/// Single words that either side changes at any stop of the host's.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Orders {
    pub flags: u32,
    pub wants: u32,
    pub want_signal: i32,
    /// A signal that the tracer has taken from the host for this thread; 0: none.
    pub taken: i32,
    /// The tracer has sent SIGTRAP only to bring the thread to a stop.
    pub poked: u32,
    /// A system call was left undone at `leave_pc`: the kernel's error, ERESTARTSYS and its kin.
    pub interrupted: u32,
    /// This signal's stop has been: the host may act on it.
    pub passing: i32,
    /// A [`Kind`]; other than [`Kind::Running`] only while `state` holds.
    pub kind: u32,
    /// `taken`'s siginfo in the host's layout.
    pub taken_info: [u8; 128],
}

/// The guest's state at a stop.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct State {
    pub signal: i32,
    pub message: u32,
    /// What the tracer has changed, `CHANGED_*`.
    pub changed: u32,
    /// The signal to go on with, 0 for none.
    pub resume: i32,
    /// Number of the system call.
    pub number: u32,
    pub uid: u32,
    pub tls: u32,
    pub fpscr: u32,
    /// r0-r15, CPSR, ORIG_r0.
    pub regs: [u32; 18],
    pub d: [u64; 32],
    pub mask: u64,
    /// The stop's siginfo in the guest's layout.
    pub info: [u8; 128],
}

/// Guest addresses at which the tracer has written: code from there must be translated again.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Dirty {
    /// Entries ever written, by tracers only.
    pub written: u32,
    /// Entries that the process has dealt with.
    pub flushed: u32,
    pub words: [u32; DIRTY_WORDS],
}

pub const DIRTY_WORDS: usize = 62;

/// A thread's block, shared with its own signal handler and with the tracer's process.
pub struct Block(UnsafeCell<Image>);

impl Default for Block {
    fn default() -> Block {
        // SAFETY: plain integers.
        let mut image: Image = unsafe { std::mem::zeroed() };
        image.magic = MAGIC;
        Block(UnsafeCell::new(image))
    }
}

macro_rules! words {
    ($($name:ident: $type:ty = $atomic:ty),*) => {
        $(pub fn $name(&self) -> &$atomic {
            // SAFETY: the field is aligned and lives as long as the block, and is only accessed atomically while the
            // thread runs.
            unsafe { <$atomic>::from_ptr(&raw mut (*self.0.get()).orders.$name) }
        })*
    };
}

impl Block {
    words!(
        flags: u32 = AtomicU32,
        wants: u32 = AtomicU32,
        want_signal: i32 = AtomicI32,
        taken: i32 = AtomicI32,
        poked: u32 = AtomicU32,
        interrupted: u32 = AtomicU32,
        passing: i32 = AtomicI32,
        kind: u32 = AtomicU32
    );

    /// The state, as the tracer may have left it.
    pub fn state(&self) -> State {
        // SAFETY: valid, aligned and initialised; volatile, as another process writes there.
        unsafe { ptr::read_volatile(&raw const (*self.0.get()).state) }
    }

    /// To be called while `kind` says that the state means nothing.
    pub fn set_state(&self, state: &State) {
        // SAFETY: as above.
        unsafe { ptr::write_volatile(&raw mut (*self.0.get()).state, *state) };
    }

    pub fn set_place(&self, place: &Place) {
        // SAFETY: as above.
        unsafe { ptr::write_volatile(&raw mut (*self.0.get()).place, *place) };
    }

    /// Forgets everything but the place: for a copy of the block that a child of fork has.
    pub fn clear_orders(&self) {
        let words = [
            self.flags(),
            self.wants(),
            self.poked(),
            self.interrupted(),
            self.kind(),
        ];
        for word in words {
            word.store(0, Ordering::Relaxed);
        }
        for word in [self.want_signal(), self.taken(), self.passing()] {
            word.store(0, Ordering::Relaxed);
        }
    }

    pub fn address(&self) -> u64 {
        self.0.get() as u64
    }

    pub fn is_traced(&self) -> bool {
        self.flags().load(Ordering::Relaxed) & TRACED != 0
    }

    /// In the handler: the signal that the tracer has taken for this thread, if that is what woke it.
    pub fn take(&self) -> Option<(i32, [u8; 128])> {
        self.poked().store(0, Ordering::Relaxed);
        let signo = self.taken().swap(0, Ordering::Relaxed);
        if signo == 0 {
            return None;
        }
        // SAFETY: as for `state`; the tracer writes it before `taken`, while the thread is stopped.
        let info = unsafe { ptr::read_volatile(&raw const (*self.0.get()).orders.taken_info) };
        Some((signo, info))
    }
}

/// What a tracer finds near the fs base of a guest thread.
#[repr(C)]
pub struct Anchor {
    pub magic: Cell<u64>,
    /// The thread's block; null before it is a guest thread.
    pub block: Cell<*const Block>,
    /// Set by the tracer for a thread that has no block yet: the `WANT_*` that it begins with.
    pub newborn: Cell<u32>,
}

thread_local! {
    /// Initialised without code, so that it is there from a thread's first instruction on.
    static ANCHOR: Anchor = const {
        Anchor { magic: Cell::new(MAGIC), block: Cell::new(ptr::null()), newborn: Cell::new(0) }
    };
}

/// Makes `block` the one of this host thread; null for none.
pub fn set_current(block: *const Block) {
    ANCHOR.with(|a| a.block.set(block));
}

/// This thread's block.
pub fn current<'a>() -> Option<&'a Block> {
    // SAFETY: `set_current`'s callers keep the block alive while it is current, and only its own thread asks.
    unsafe { ANCHOR.with(|a| a.block.get()).as_ref() }
}

/// What a tracer has left for a thread that begins.
pub fn take_newborn() -> u32 {
    ANCHOR.with(|a| {
        // Volatile: the tracer's write is none that the compiler sees.
        // SAFETY: the cell is this thread's.
        let wants = unsafe { ptr::read_volatile(a.newborn.as_ptr()) };
        a.newborn.set(0);
        wants
    })
}

/// Where the anchor is from the fs base: the same in every process of this program, which is linked statically.
pub fn anchor_offset() -> u64 {
    let base: u64;
    // SAFETY: the ABI's thread control block holds its own address at its start.
    unsafe { std::arch::asm!("mov {}, fs:0", out(reg) base, options(nostack, readonly, preserves_flags)) };
    ANCHOR.with(|a| (ptr::from_ref(a) as u64).wrapping_sub(base))
}
