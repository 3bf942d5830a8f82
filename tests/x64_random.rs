//! Random IR blocks through the back end and the interpreter: same state, same memory, same way out.
//!
//! This test places code itself, without the run time: blocks whose interpretation faults or traps are left to the
//! tests of the run time.

mod guest_memory;
mod ir_gen;
mod random;
mod x64_bench;

use emu::cpu::state::{CpuState, STATE_BIAS};
use emu::ir::interp::{self, Exit};
use emu::ir::ops::{Block, Inst, Op, Value};
use emu::ir::print::print;
use emu::x64::stubs::ExitKind;
use emu::x64::{HostFeatures, Options};
use guest_memory::Window;
use ir_gen::{MEMORY, Shape, block_of, random_state};
use x64_bench::{Bench, code_of, disassemble};

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

/// `block` as a loop: it starts anew as long as r12, less one, is not 0.
fn around(block: &mut Block) {
    let first = &block.insts[0];
    let own = first.imm | u32::from(first.aux & 1);
    let terminator = block.insts.pop().expect("a terminator");
    let next = Value(block.insts.len() as u32);
    let ops = [
        Inst {
            imm: 12,
            ..Inst::new(Op::GetReg)
        },
        Inst {
            imm: 1,
            ..Inst::new(Op::Const)
        },
        Inst {
            a: next,
            b: Value(next.0 + 1),
            ..Inst::new(Op::Sub)
        },
        Inst {
            a: Value(next.0 + 2),
            imm: 12,
            ..Inst::new(Op::SetReg)
        },
        Inst {
            a: Value(next.0 + 2),
            imm: own,
            ..Inst::new(Op::ExitIfNonZero)
        },
        terminator,
    ];
    block.insts.extend(ops);
}

/// Rounds of a loop at most.
const ROUNDS: usize = 20;

fn check(bench: &mut Bench, seed: u64, shape: Shape, opts: &Options, optimise: bool, looped: bool) -> bool {
    let mut original = block_of(seed, shape);
    if looped {
        around(&mut original);
    }
    let own = original.insts[0].imm | u32::from(original.insts[0].aux & 1);
    let mut expected = random_state(seed);
    expected.r[12] = (seed % 5) as u32;
    let mut mem = fill(seed);
    // Translated, a block that leads to its own start is a loop, where the interpreter comes out each time round.
    let mut exit = interp::run(&original, &mut expected, &mut mem);
    for _ in 0..ROUNDS {
        if exit == Exit::Jump(own) {
            exit = interp::run(&original, &mut expected, &mut mem);
        }
    }
    if exit == Exit::Jump(own) || matches!(exit, Exit::Fault { .. }) {
        return false;
    }
    let mut block = original.clone();
    let mut state = random_state(seed);
    state.r[12] = (seed % 5) as u32;
    let memory = MEMORY.start as *mut u8;
    // SAFETY: `Bench` has mapped this range.
    unsafe { std::ptr::copy_nonoverlapping(fill(seed).bytes.as_ptr(), memory, MEMORY.len()) };
    let code = code_of(&mut block, opts, optimise);
    let out = bench.run(&code, &mut state);
    // SAFETY: as above.
    let after = unsafe { std::slice::from_raw_parts(memory, MEMORY.len()) };
    let text = || format!("seed {seed:#x}\n{}\n{}", print(&block), disassemble(&code));
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

fn campaign(shape: impl Fn(u64) -> Shape, soft_fp: bool, cases: u64) {
    campaign_of(shape, soft_fp, false, cases);
}

fn campaign_of(shape: impl Fn(u64) -> Shape, soft_fp: bool, looped: bool, cases: u64) {
    // One test at a time: the guest's memory has one address.
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let mut bench = Bench::new(MEMORY);
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
                flush: false,
                default_nan: false,
                directed: false,
                precise_flags: seed % 3 == 0,
                hash_lookup: false,
                based: false,
                host,
                run_counter: None,
            };
            compared += u64::from(check(&mut bench, seed, shape(seed), &opts, seed % 2 == 0, looped));
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
            vector: true,
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
            vector: true,
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
            vector: true,
        },
        true,
        4000,
    );
}

#[test]
fn vector_blocks_agree() {
    campaign(
        |s| Shape {
            insns: 1 + (s % 8) as usize,
            fp: false,
            memory: s % 2 == 1,
            vector: true,
        },
        false,
        4000,
    );
}

#[test]
fn vector_loops_agree() {
    campaign_of(
        |s| Shape {
            insns: 1 + (s % 8) as usize,
            fp: false,
            memory: s % 4 == 1,
            vector: true,
        },
        false,
        true,
        4000,
    );
}
