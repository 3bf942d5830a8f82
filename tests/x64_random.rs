//! Random IR blocks through the back end and the interpreter: same state, same memory, same way out.
//!
//! This test places code itself, without the run time: blocks whose interpretation faults or traps are left to the
//! tests of the run time.

mod guest_memory;
mod ir_gen;
mod random;

use emu::cpu::state::{CpuState, STATE_BIAS, nzcv_to_fp_cmp};
use emu::ir::interp::{self, Exit};
use emu::ir::ops::{Block, Flags, Inst, Op};
use emu::ir::print::print;
use emu::softfp::{Mode, Status};
use emu::x64::stubs::{ExitKind, Helper, Stubs};
use emu::x64::{HostFeatures, Options, compile, stubs};
use guest_memory::Window;
use ir_gen::{MEMORY, Shape, block_of, random_state};

/// Executable memory with the stubs at its start, and the guest's memory at its address.
struct Bench {
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

impl Bench {
    fn new() -> Bench {
        let rw = libc::PROT_READ | libc::PROT_WRITE;
        let arena = map(0, ARENA, rw | libc::PROT_EXEC, 0);
        let (bytes, stubs) = stubs::emit();
        // SAFETY: the arena is larger than the stubs.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), arena, bytes.len()) };
        map(MEMORY.start as usize, MEMORY.len(), rw, libc::MAP_FIXED);
        let table = map(0, 4 << 32, rw, 0);
        // SAFETY: the gs base is not used by anything else on x86-64 Linux user space.
        unsafe { libc::syscall(libc::SYS_arch_prctl, 0x1001, table) };
        Bench {
            arena,
            stubs,
            stack: vec![u64::MAX; 4096],
            table,
        }
    }

    /// Runs `block` on `state`; the exit's kind, argument.
    fn run(&mut self, block: &Block, state: &mut CpuState, opts: &Options<'_>) -> (ExitKind, u32) {
        let code = compile(block, opts);
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
        for (h, offset) in self.stubs.jumps.iter().enumerate() {
            state.helpers[h] = self.arena as u64 + u64::from(*offset);
        }
        state.helpers[Helper::FpOp as usize] = fp_op as *const () as u64;
        state.helpers[Helper::IntOp as usize] = int_op as *const () as u64;
        state.helpers[Helper::GetFpscr as usize] = get_fpscr as *const () as u64;
        state.helpers[Helper::SetFpscr as usize] = set_fpscr as *const () as u64;
        state.code_base = self.arena as u64;
        // A tag that no random target equals.
        self.stack.fill(0x1357_9bdf_1357_9bdf);
        state.jit_sp = self.stack.as_ptr() as u64 + 8 * 2048;
        // Masked exceptions: traps are the run time's business.
        state.mxcsr |= 0x1f80;
        let enter = self.arena as usize + self.stubs.enter as usize;
        // SAFETY: the stub has this signature; the state's fields have been set up for it above.
        unsafe {
            let f: extern "sysv64" fn(*mut CpuState, *const u8) = std::mem::transmute(enter);
            f(state, entry);
        }
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

fn fill(seed: u64) -> Window {
    let mut random = random::Random::new(seed);
    Window {
        start: MEMORY.start,
        bytes: MEMORY.map(|_| random.bits() as u8).collect(),
    }
}

fn visible(s: &CpuState) -> (Vec<u32>, u32, u32, Vec<u64>, u32, u64, u64) {
    (
        s.r[..15].to_vec(),
        s.cpsr() & !0x0600_fc20,
        s.fp_nzcv() | s.fpscr | u32::from(s.qc != [0; 2]) << 27,
        s.d.to_vec(),
        s.ge,
        s.ex_addr,
        s.ex_val,
    )
}

fn check(bench: &mut Bench, seed: u64, shape: Shape, opts: &Options<'_>, optimise: bool) -> bool {
    let original = block_of(seed, shape);
    // Translated, a block that leads to its own start is a loop, where the interpreter comes out each time round.
    let own = original.insts[0].imm | u32::from(original.insts[0].aux & 1);
    let leaves =
        |i: &Inst| matches!(i.op, Op::ExitIf | Op::ExitIfZero | Op::ExitIfNonZero | Op::Jump) && i.imm == own;
    if original.insts.iter().any(leaves) {
        return false;
    }
    let mut expected = random_state(seed);
    let mut mem = fill(seed);
    let exit = interp::run(&original, &mut expected, &mut mem);
    if matches!(exit, Exit::Fault { .. }) {
        return false;
    }
    let mut block = original.clone();
    if optimise {
        emu::opt::run(&mut block, opts.live_at, opts.precise_flags);
    }
    let mut state = random_state(seed);
    let memory = MEMORY.start as *mut u8;
    // SAFETY: `Bench` has mapped this range.
    unsafe { std::ptr::copy_nonoverlapping(fill(seed).bytes.as_ptr(), memory, MEMORY.len()) };
    let out = bench.run(&block, &mut state, opts);
    // SAFETY: as above.
    let after = unsafe { std::slice::from_raw_parts(memory, MEMORY.len()) };
    let text = || {
        let code = compile(&block, opts);
        format!("seed {seed:#x}\n{}\n{}", print(&block), disassemble(&code.bytes))
    };
    let expected_out = match exit {
        Exit::Jump(t) | Exit::Call { target: t, .. } => (ExitKind::Link, t),
        Exit::JumpInd(t) | Exit::Return(t) | Exit::CallInd { target: t, .. } => (ExitKind::Lookup, t),
        Exit::Svc { imm, .. } => (ExitKind::Svc, imm),
        Exit::Trap { kind, .. } => (ExitKind::Trap, kind as u32),
        Exit::AlignFault { .. } => (ExitKind::Align, out.1),
        Exit::Fault { .. } => unreachable!(),
    };
    assert_eq!(out, expected_out, "{}", text());
    if matches!(exit, Exit::AlignFault { .. }) && !opts.precise_flags {
        // Flags that only a fault shows were dropped.
        state.set_nzcv(expected.nzcv());
    }
    assert_eq!(visible(&state), visible(&expected), "{}", text());
    assert!(after == mem.bytes, "memory: {}", text());
    true
}

fn disassemble(bytes: &[u8]) -> String {
    emu::diag::disasm::host(bytes, 0).join("\n")
}

fn all_live(_: u32) -> Flags {
    Flags::NZCV
}

fn campaign(shape: impl Fn(u64) -> Shape, soft_fp: bool, cases: u64) {
    // One test at a time: the guest's memory has one address.
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let mut bench = Bench::new();
    let mut compared = 0;
    for (round, host) in HostFeatures::detect().variants().into_iter().enumerate() {
        // The rounds with one feature missing share the cases among them.
        let seeds = if round < 2 {
            0..cases
        } else {
            cases * (round as u64 - 1)..cases * (round as u64 - 1) + cases / 4
        };
        for seed in seeds {
            let opts = Options {
                soft_fp,
                precise_flags: seed % 3 == 0,
                hash_lookup: false,
                based: false,
                live_at: &all_live,
                host,
                run_counter: None,
            };
            compared += u64::from(check(&mut bench, seed, shape(seed), &opts, seed % 2 == 0));
        }
    }
    assert!(compared > cases / 4, "{compared} of {cases} were comparable");
    assert_eq!(STATE_BIAS, 128);
}

#[test]
fn integer_blocks_agree() {
    campaign(
        |s| Shape {
            insns: 1 + (s % 12) as usize,
            fp: false,
            memory: false,
            vector: false,
        },
        false,
        4000,
    );
}

#[test]
fn memory_blocks_agree() {
    campaign(
        |s| Shape {
            insns: 1 + (s % 6) as usize,
            fp: false,
            memory: true,
            vector: false,
        },
        false,
        4000,
    );
}

#[test]
fn soft_floating_point_blocks_agree() {
    campaign(
        |s| Shape {
            insns: 1 + (s % 6) as usize,
            fp: true,
            memory: false,
            vector: false,
        },
        true,
        4000,
    );
}
