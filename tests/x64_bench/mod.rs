//! Runs what the back end makes of a block, without the run time: code is placed by hand, and helpers are the
//! interpreter's functions.

use emu::cpu::state::{CpuState, nzcv_to_fp_cmp};
use emu::exec::fp_traps;
use emu::ir::interp;
use emu::ir::liveness::Liveness;
use emu::ir::ops::{Block, Flags, Inst, Op};
use emu::ir::vector::{Shape, VecOp};
use emu::opt::{self, Outside};
use emu::softfp::{ESTIMATES, Mode, Status};
use emu::x64::code::Code;
use emu::x64::code::FpRow;
use emu::x64::regs::PINNED_SET;
use emu::x64::stubs::{ExitKind, Helper, Stubs};
use emu::x64::{Options, compile, stubs};
use std::cell::Cell;
use std::ops::Range;

/// Executable memory with the stubs at its start, and the guest's memory at its address.
pub struct Bench {
    arena: *mut u8,
    stubs: Stubs,
    stack: Vec<u64>,
    table: *mut u8,
}

const ARENA: usize = 1 << 20;

fn map(addr: usize, len: usize, prot: i32, flags: i32) -> *mut u8 {
    // SAFETY: a fresh anonymous mapping, at a free fixed address or wherever the kernel likes.
    let p = unsafe {
        libc::mmap(
            addr as *mut _,
            len,
            prot,
            flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    assert_ne!(p, libc::MAP_FAILED);
    p.cast()
}

/// The code of `block`, as it is or, with `optimise`, after the passes, where every flag is live behind each exit.
pub fn code_of(block: &mut Block, opts: &Options, optimise: bool) -> Code {
    let mut liveness = Liveness::default();
    let mut outside = Outside {
        live_at: &mut |_| Flags::NZCV,
        precise: opts.precise_flags,
        in_registers: PINNED_SET,
    };
    if optimise {
        opt::run(block, &mut outside, &mut liveness);
    } else {
        opt::analyse(block, &mut outside, &mut liveness);
    }
    compile(block, &liveness, opts)
}

impl Bench {
    /// With guest memory at `memory`.
    pub fn new(memory: Range<u32>) -> Bench {
        let rw = libc::PROT_READ | libc::PROT_WRITE;
        let arena = map(0, ARENA, rw | libc::PROT_EXEC, 0);
        let (bytes, stubs) = stubs::emit();
        // SAFETY: the arena is larger than the stubs.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), arena, bytes.len()) };
        map(memory.start as usize, memory.len(), rw, libc::MAP_FIXED);
        let table = map(0, 4 << 32, rw, 0);
        // SAFETY: the gs base is not used by anything else on x86-64 Linux user space.
        unsafe { libc::syscall(libc::SYS_arch_prctl, 0x1001, table) };
        catch_traps();
        Bench {
            arena,
            stubs,
            stack: vec![u64::MAX; 4096],
            table,
        }
    }

    /// Runs `code` on `state`, exceptions masked; the exit's kind, argument.
    pub fn run(&mut self, code: &Code, state: &mut CpuState) -> (ExitKind, u32) {
        let placed = self.place(code);
        state.mxcsr |= 0x1f80;
        self.enter(&placed, state)
    }

    /// Puts `code` into the arena, over what was there before.
    pub fn place(&mut self, code: &Code) -> Placed {
        let mut bytes = code.bytes.clone();
        for x in &code.exits {
            let at = x.id_imm as usize;
            bytes[at..at + 4].copy_from_slice(&x.target.to_le_bytes());
        }
        let at = 1 << 16;
        assert!(bytes.len() < ARENA - at);
        // SAFETY: within the arena; no other thread executes it.
        let entry = unsafe {
            let p = self.arena.add(at);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), p, bytes.len());
            p
        };
        Placed {
            entry: entry as u64,
            rows: code.fp_rows.clone(),
        }
    }

    /// Runs what was placed last on `state`. Floating-point traps that MXCSR in the state does not mask are settled as
    /// the run time does.
    pub fn enter(&mut self, placed: &Placed, state: &mut CpuState) -> (ExitKind, u32) {
        for (h, offset) in self.stubs.jumps.iter().enumerate() {
            state.helpers[h] = self.arena as u64 + u64::from(*offset);
        }
        state.helpers[Helper::FpOp as usize] = fp_op as *const () as u64;
        state.helpers[Helper::IntOp as usize] = int_op as *const () as u64;
        state.helpers[Helper::GetFpscr as usize] = get_fpscr as *const () as u64;
        state.helpers[Helper::SetFpscr as usize] = set_fpscr as *const () as u64;
        state.helpers[Helper::VecOp as usize] = vec_op as *const () as u64;
        state.helpers[Helper::Estimates as usize] = (&raw const ESTIMATES) as u64;
        state.code_base = self.arena as u64;
        // A tag that no random target equals.
        self.stack[2000..2064].fill(0x1357_9bdf_1357_9bdf);
        state.jit_sp = self.stack.as_ptr() as u64 + 8 * 2048;
        let enter = self.arena as usize + self.stubs.enter as usize;
        TRAPS.set((placed, state));
        // SAFETY: the stub has this signature; the state's fields have been set up for it above.
        unsafe {
            let f: extern "sysv64" fn(*mut CpuState, *const u8) = std::mem::transmute(enter);
            f(state, placed.entry as *const u8);
            // The guest's MXCSR stays; ours masks all exceptions.
            std::arch::asm!("ldmxcsr [{}]", in(reg) &0x1f80u32);
        }
        TRAPS.set((std::ptr::null(), std::ptr::null_mut()));
        let _ = self.table;
        let kind = match state.exit_kind {
            1 => ExitKind::Link,
            2 => ExitKind::Lookup,
            3 => ExitKind::Svc,
            4 => ExitKind::Trap,
            5 => ExitKind::Fpscr,
            7 => ExitKind::Align,
            k => panic!("exit kind {k}"),
        };
        (kind, state.exit_arg)
    }
}

/// A compiled block in the arena.
pub struct Placed {
    entry: u64,
    rows: Vec<FpRow>,
}

thread_local! {
    /// What runs on this thread.
    static TRAPS: Cell<(*const Placed, *mut CpuState)> =
        const { Cell::new((std::ptr::null(), std::ptr::null_mut())) };
    static SETTLED: Cell<u64> = const { Cell::new(0) };
}

/// Traps settled on this thread so far.
#[allow(dead_code, reason = "not all tests look at them")]
pub fn traps() -> u64 {
    SETTLED.get()
}

/// Makes this thread's SIGFPE settle traps.
fn catch_traps() {
    let stack = map(0, 1 << 18, libc::PROT_READ | libc::PROT_WRITE, 0);
    // SAFETY: the stack is mapped for good, `action` is valid, and the handler touches only what this thread owns.
    unsafe {
        let stack = libc::stack_t {
            ss_sp: stack.cast(),
            ss_flags: 0,
            ss_size: 1 << 18,
        };
        libc::sigaltstack(&stack, std::ptr::null_mut());
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_trap as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGFPE, &action, std::ptr::null_mut());
    }
}

extern "C" fn on_trap(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let (placed, state) = TRAPS.get();
    // SAFETY: the kernel passes a context; what `enter` has set is valid until it comes back.
    let settled = unsafe {
        let context = &mut *context.cast::<libc::ucontext_t>();
        let rip = context.uc_mcontext.gregs[libc::REG_RIP as usize] as u64;
        !placed.is_null() && {
            let placed = &*placed;
            let offset = rip.wrapping_sub(placed.entry) as u32;
            let row = placed.rows.binary_search_by_key(&offset, |r| r.host);
            row.is_ok_and(|row| fp_traps::settle(context, &mut *state, &placed.rows[row]))
        }
    };
    SETTLED.set(SETTLED.get() + 1);
    if !settled {
        eprintln!("a floating-point trap where none is expected");
        std::process::abort();
    }
}

fn unpack(op: u64) -> Inst {
    Inst {
        aux: (op >> 8) as u8,
        imm2: (op >> 16 & 0xff) as u32,
        flags: Flags((op >> 24 & 15) as u8),
        imm: (op >> 32) as u32,
        ..Inst::new(Op::ALL[(op & 0xff) as usize])
    }
}

extern "sysv64" fn fp_op(state: &mut CpuState, op: u64, a: u64, b: u64, c: u64) -> u64 {
    let inst = unpack(op);
    let mut status = Status::default();
    let mode = Mode::from_fpscr(state.fpscr);
    let r = interp::fp_op(inst.op, inst.aux, inst.imm, inst.imm2, a, b, c, mode, &mut status);
    state.fpscr |= status.0;
    if let Some(nzcv) = interp::fp_flags(inst.op, r) {
        state.fp_cmp = nzcv_to_fp_cmp(nzcv);
        return u64::from(r as u32);
    }
    r
}

extern "sysv64" fn int_op(state: &mut CpuState, op: u64, a: u64, b: u64, c: u64) -> u64 {
    interp::eval(&unpack(op), [a, b, c], state)
}

extern "sysv64" fn get_fpscr(state: &mut CpuState, _: u64, _: u64, _: u64, _: u64) -> u64 {
    interp::read_fpscr(state).into()
}

extern "sysv64" fn set_fpscr(state: &mut CpuState, _: u64, a: u64, _: u64, _: u64) -> u64 {
    let before = state.fpscr;
    interp::write_fpscr(state, a as u32);
    u64::from((before ^ state.fpscr) & 0x0337_0000 != 0)
}

extern "sysv64" fn vec_op(state: &mut CpuState, op: u64, _: u64, _: u64, _: u64) -> u64 {
    let inst = unpack(op);
    let args = state
        .vec_args
        .map(|[lo, hi]| u128::from(lo) | u128::from(hi) << 64);
    let vec_op = VecOp::from_aux(inst.aux).expect("an operation of the table");
    let (result, raised) = interp::vec_op(vec_op, Shape(inst.imm2 as u8), inst.imm, args, state.fpscr);
    state.fpscr |= raised;
    state.vec_args[0] = [result as u64, (result >> 64) as u64];
    0
}

/// `code` as text, its constants left out.
pub fn disassemble(code: &Code) -> String {
    emu::diag::disasm::host(&code.bytes[..code.pool as usize], 0).join("\n")
}
