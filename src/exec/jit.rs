//! The run loop: enters translated code, understands why it came back, and turns that into events.

use super::cold::{self, Left, Memo};
use super::fork_hints::Note;
use super::machine::{Event, Machine};
use super::runtime::{ForkGuards, Runtime, Shared};
use super::thread::{Captured, Thread};
use super::{FpMode, helpers};
use crate::cache::blocks::BlockId;
use crate::cpu::location::Location;
use crate::cpu::state::CpuState;
use crate::diag::log::{Items, enabled, line};
use crate::diag::stats::stats;
use crate::ir::interp;
use crate::ir::ops::Trap;
use crate::lift::intrinsic;
use crate::mem::{self, GuestAddr, Prot};
use crate::x64::stubs::ExitKind;
use std::io;
use std::sync::atomic::Ordering;

/// A guest thread's processor, run by the translator.
pub struct Jit {
    thread: Box<Thread>,
    runtime: &'static Runtime,
    mode: FpMode,
    fork: Option<HeldForFork>,
    memo: Memo,
}

/// Lock guards between `before_fork` and `after_fork_*`.
struct HeldForFork(ForkGuards);

// SAFETY: a guard must be dropped on the thread that took it, and it is: fork is called between two calls of the
// same thread on the machine it runs, with nothing in between that could move the machine.
unsafe impl Send for HeldForFork {}

// SAFETY: the state pointer and the cells belong to whichever thread owns the machine; other threads touch atomic
// fields only.
unsafe impl Send for Jit {}

/// What translated code came back for, as far as the run loop goes on.
enum Next {
    /// Enter here, the host address of a block.
    Enter(u64),
    /// Find or translate the block for the pc.
    Find,
    Event(Event),
}

impl Jit {
    /// A processor with this state, in the process's runtime.
    ///
    /// # Errors
    /// The host's error when there is no memory for the translation stack.
    pub(super) fn new(mut state: Box<CpuState>, runtime: &'static Runtime, mode: FpMode) -> io::Result<Jit> {
        state.code_base = runtime.base();
        state.host_sp = 0;
        helpers::fill(&mut state, runtime);
        let thread = Box::new(Thread::new(state)?);
        runtime.register(&thread);
        Ok(Jit {
            thread,
            runtime,
            mode,
            fork: None,
            memo: Memo::new(),
        })
    }

    fn state(&mut self) -> &mut CpuState {
        // SAFETY: the state lives as long as the thread; translated code and handlers don't run while the returned
        // reference is used (handlers only touch `pending`, which is accessed atomically).
        unsafe { &mut *self.thread.state() }
    }

    /// The location that the state says is next.
    fn location(&mut self) -> Location {
        let mode = self.mode;
        let state = self.state();
        Location {
            pc: state.r[15],
            thumb: state.thumb != 0,
            it: state.it,
            fp: mode.key(state.fpscr),
        }
    }

    /// Makes the state point at `target` (T bit in bit 0), outside an IT block.
    fn go_to(&mut self, target: u32) {
        let state = self.state();
        state.r[15] = target & !1;
        state.thumb = (target & 1) as u8;
        state.it = 0;
    }

    /// With the shared lock held: gets the thread ready to enter block `id`, whose host address it returns.
    fn prepare(thread: &Thread, runtime: &Runtime, shared: &mut Shared, id: BlockId) -> u64 {
        let epoch = runtime.epoch();
        if thread.epoch.get() != epoch {
            thread.reset_stack(runtime.sentinel());
            thread.epoch.set(epoch);
        }
        let fp = shared.cache.block(id).location.fp;
        match shared.cache.table(fp) {
            Ok((form, base)) => thread.set_table(base, form, fp, runtime.sentinel()),
            Err(e) => {
                // Half a megabyte is refused. Another mode's table would lead to wrong code.
                eprintln!("emu: no memory for a jump table: {e}");
                std::process::abort();
            }
        }
        shared.cache.entry(id)
    }

    /// Goes on at the pc: in its block, which the jump table knows from now on, or, as long as that is not worth a
    /// translation, by interpreting.
    fn find(&mut self) -> Next {
        if let Some(entry) = self.known_block() {
            return Next::Enter(entry);
        }
        let runtime = self.runtime;
        if runtime.places.is_cold(self.location().target()) {
            // SAFETY: the state lives as long as the thread; handlers that interrupt what follows only touch `pending`,
            // atomically.
            let state = unsafe { &mut *self.thread.state() };
            match cold::run(state, self.thread.pending(), &runtime.places, &mut self.memo) {
                Left::Find => return Next::Find,
                Left::Event(event) => return Next::Event(event),
                Left::Translate => {}
            }
        }
        Next::Enter(self.translate())
    }

    /// The host address of the block for the pc, if there is one.
    fn known_block(&mut self) -> Option<u64> {
        let location = self.location();
        let (thread, runtime) = (&*self.thread, self.runtime);
        let mut shared = runtime.shared();
        let id = shared.cache.find(location)?;
        Some(Self::found(thread, runtime, location, &mut shared, id))
    }

    /// The host address of the block for the pc, which is made unless there is one.
    fn translate(&mut self) -> u64 {
        let location = self.location();
        let (thread, runtime) = (&*self.thread, self.runtime);
        runtime.translate(location, |shared, id| {
            Self::found(thread, runtime, location, shared, id)
        })
    }

    /// With the shared lock held: has the jump table know block `id` of `location`, and gets the thread ready to enter it.
    fn found(
        thread: &Thread,
        runtime: &Runtime,
        location: Location,
        shared: &mut Shared,
        id: BlockId,
    ) -> u64 {
        if !runtime.unlinked {
            shared.cache.fill_table(id);
            runtime.hints.note(Note::Filled(location));
        }
        Self::prepare(thread, runtime, shared, id)
    }

    /// Runs from host address `entry` until the next exit, which it understands.
    fn enter(&mut self, entry: u64) -> Next {
        if enabled(Items::EXEC) {
            let Location { pc, thumb, .. } = self.location();
            line(format_args!("{pc:08x} {}", if thumb { "T" } else { "A" }));
        }
        let thread = &*self.thread;
        thread.go_in(self.runtime.is_single_threaded());
        if thread.epoch.get() != self.runtime.epoch() {
            // The cache starts again: the address means nothing any more.
            thread.come_out();
            return Next::Find;
        }
        let stub = self.runtime.base() + u64::from(self.runtime.stubs().enter);
        let it = self.state().it;
        let thread = &*self.thread;
        // SAFETY: the stub is a function of this type; `entry` is a block of the current epoch, whose memory stays
        // until this thread has come out.
        unsafe {
            let enter: extern "sysv64" fn(*mut CpuState, u64) = std::mem::transmute(stub as *const ());
            (*thread.state()).it = 0;
            enter(thread.state(), entry);
        }
        let kind = self.state().exit_kind;
        if kind == ExitKind::Pending as u32 {
            // Nothing ran.
            self.state().it = it;
        }
        if let Some(counter) = stats().exits.get(kind as usize) {
            counter.add(1);
        }
        // An exit's identifier must be looked up before the cache may start again.
        let next = if kind == ExitKind::Link as u32 {
            self.follow_link()
        } else {
            Next::Find
        };
        self.thread.come_out();
        match next {
            Next::Find => self.understand(kind),
            other => other,
        }
    }

    /// A direct exit without a link: goes on at its target, over a patched jump from now on if that exists already.
    fn follow_link(&mut self) -> Next {
        let id = self.state().exit_arg;
        let (runtime, epoch) = (self.runtime, self.thread.epoch.get());
        let mut shared = runtime.shared();
        let Some(target) = shared.cache.exit_target(id) else {
            return Next::Find;
        };
        self.go_to(target.target());
        let block = shared.cache.find(target);
        if let Some(block) = block
            && epoch == runtime.epoch()
        {
            if !runtime.unlinked {
                shared.cache.link(id, block);
                runtime.hints.note(Note::Linked(id));
            }
            return Next::Enter(Self::prepare(&self.thread, runtime, &mut shared, block));
        }
        drop(shared);
        if runtime.places.is_cold(target.target()) {
            return Next::Find;
        }
        // Translating may start the cache again, so this thread must be seen to be out.
        self.thread.come_out();
        let thread = &*self.thread;
        Next::Enter(runtime.translate(target, |shared, block| {
            if !runtime.unlinked && thread.epoch.get() == runtime.epoch() {
                shared.cache.link(id, block);
                runtime.hints.note(Note::Linked(id));
            }
            Self::prepare(thread, runtime, shared, block)
        }))
    }

    /// Exits other than links.
    fn understand(&mut self, kind: u32) -> Next {
        let state = self.state();
        let (arg, addr) = (state.exit_arg, state.exit_addr);
        match kind {
            k if k == ExitKind::Lookup as u32 => {
                stats().indirect_misses.add(1);
                self.go_to(arg);
                self.find()
            }
            k if k == ExitKind::Svc as u32 => Next::Event(Event::Syscall { imm: arg }),
            k if k == ExitKind::Served as u32 => Next::Event(Event::Served),
            k if k == ExitKind::Undone as u32 => Next::Event(Event::Undone),
            k if k == ExitKind::Trap as u32 => self.trap(arg, addr as u32),
            k if k == ExitKind::Captured as u32 => match self.thread.captured.get() {
                Captured::Interrupted => Next::Event(Event::Interrupted),
                Captured::Stale => Next::Find,
                Captured::Fault {
                    signo,
                    code,
                    addr,
                    write,
                } => Next::Event(Event::Fault {
                    signo,
                    code,
                    addr,
                    write,
                }),
            },
            k if k == ExitKind::Align as u32 => Next::Event(bus_alignment(addr as u32)),
            // Pending (it is looked at next); Link without an identifier that means anything; Fpscr: go on at the pc,
            // in the mode that is now.
            _ => Next::Find,
        }
    }

    fn trap(&mut self, trap: u32, arg: u32) -> Next {
        let state = self.state();
        match trap {
            t if t == Trap::Breakpoint as u32 => Next::Event(Event::Breakpoint),
            t if t == Trap::FetchFault as u32 => self.fetch_fault(arg),
            t if t == Trap::Intrinsic as u32 => self.in_it_block(arg),
            t if t == Trap::Yield as u32 => {
                state.r[15] = arg & !1;
                state.it = 0;
                std::thread::yield_now();
                Next::Find
            }
            _ => Next::Event(Event::Undefined),
        }
    }

    /// The instruction at the pc could not be fetched, because of address `addr`.
    fn fetch_fault(&mut self, addr: u32) -> Next {
        let state = self.state();
        if state.thumb == 0 && state.r[15] & 3 != 0 {
            return Next::Event(bus_alignment(addr));
        }
        let code = match mem::space().prot(GuestAddr(addr)) {
            None => 1,
            Some(prot) if !prot.contains(Prot::EXEC) => 2,
            Some(_) => {
                // Mapped since: no one was told, because there was nothing to watch.
                let pc = state.r[15];
                self.runtime.invalidate(pc, pc.wrapping_add(4));
                return Next::Find;
            }
        };
        Next::Event(Event::Fault {
            signo: libc::SIGSEGV,
            code,
            addr,
            write: false,
        })
    }

    /// An instruction that may not leave the middle of an IT block by an exit.
    fn in_it_block(&mut self, arg: u32) -> Next {
        match intrinsic::step(self.state(), arg) {
            intrinsic::Step::Done => Next::Find,
            intrinsic::Step::Svc(imm) => Next::Event(Event::Syscall { imm }),
            intrinsic::Step::Undefined => Next::Event(Event::Undefined),
        }
    }
}

/// SIGBUS, BUS_ADRALN.
fn bus_alignment(addr: u32) -> Event {
    Event::Fault {
        signo: libc::SIGBUS,
        code: 1,
        addr,
        write: false,
    }
}

impl Machine for Jit {
    fn cpu(&mut self) -> &mut CpuState {
        self.state()
    }

    fn run(&mut self) -> Event {
        self.thread.attach();
        let mut next = Next::Find;
        loop {
            next = match next {
                Next::Event(event) => return event,
                Next::Enter(entry) => self.enter(entry),
                Next::Find => {
                    if self.thread.pending().load(Ordering::SeqCst) != 0 {
                        return Event::Interrupted;
                    }
                    // After a system call or a signal the place is mostly a known one. A table of an older epoch knows
                    // nothing: `find` gets the thread the new one.
                    let location = self.location();
                    let is_current = self.thread.epoch.get() == self.runtime.epoch();
                    let known = is_current.then(|| self.thread.look_up(location));
                    match known.flatten() {
                        Some(offset) => Next::Enter(self.runtime.base() + u64::from(offset)),
                        None => self.find(),
                    }
                }
            };
        }
    }

    fn fpscr(&mut self) -> u32 {
        interp::read_fpscr(self.state())
    }

    fn set_fpscr(&mut self, value: u32) {
        interp::write_fpscr(self.state(), value);
    }

    fn flush_code(&mut self, start: u32, end: u32) {
        self.runtime.flush_code(start, end);
    }

    fn fork_thread(&mut self) -> io::Result<Box<dyn Machine>> {
        let mut copy = Box::new(self.state().clone());
        copy.pending = 0;
        Ok(Box::new(Jit::new(copy, self.runtime, self.mode)?))
    }

    fn before_fork(&mut self, private_files: bool) {
        self.fork = Some(HeldForFork(self.runtime.before_fork(private_files)));
    }

    fn after_fork_parent(&mut self) {
        self.fork = None;
    }

    fn after_fork_child(&mut self) {
        let Some(HeldForFork(guards)) = self.fork.take() else {
            return;
        };
        if let Err(e) = self.runtime.after_fork_child(guards, &self.thread) {
            eprintln!("emu: cannot make memory for translated code after fork: {e}");
            std::process::abort();
        }
    }
}

impl Drop for Jit {
    fn drop(&mut self) {
        self.runtime.unregister(&self.thread);
    }
}
