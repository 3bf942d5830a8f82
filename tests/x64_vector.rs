//! Every vector operation in every shape, as the back end computes it and as the interpreter does, with each host
//! feature left out: operands in registers, in the state's D and Q registers and as constants, living on or not.

mod guest_memory;
mod random;
mod x64_bench;

use emu::cpu::state::CpuState;
use emu::ir::builder::Builder;
use emu::ir::interp;
use emu::ir::ops::{Block, Inst, Op, Value};
use emu::ir::print::print;
use emu::ir::vector::{Shape, VecOp};
use emu::ir::verify::verify;
use emu::x64::{HostFeatures, Options};
use guest_memory::Window;
use random::Random;
use std::sync::{Mutex, MutexGuard};
use x64_bench::{Bench, code_of, disassemble};

/// One at a time: the bench's memory has one address.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|e| e.into_inner())
}

/// 128 bits of lanes of `size`, among them those at which operations change their behaviour.
fn vector(random: &mut Random, size: u8) -> u128 {
    let esize = 8u32 << size;
    let style = random.below(4);
    (0..128 / esize).fold(0, |v, i| {
        let bits = random.bits();
        let lane = match (style, random.below(4)) {
            (0, _) => bits,
            // Around zero and the ends.
            (_, 0) => random.pick(&[0, 1, 2, u64::MAX, u64::MAX - 1]),
            (_, 1) => (1u64 << (esize - 1)).wrapping_add(random.pick(&[0, 1, u64::MAX, 2])),
            // Counts and small numbers.
            (_, 2) => (random.below(2 * u64::from(esize) + 3)).wrapping_sub(u64::from(esize) + 1),
            _ => bits >> random.below(64),
        };
        v | (u128::from(lane) & (u128::MAX >> (128 - esize))) << (i * esize)
    })
}

/// A block that applies `op` to Q0, Q1, Q2 (or constants): result in Q3, operands that live on in Q4 to Q6.
fn block(op: VecOp, shape: Shape, imm: u32, random: &mut Random) -> Block {
    let mut b = Builder::new();
    b.insn_start(0x8000, false, 0);
    let wide = |q: bool| u32::from(if q { Shape::Q } else { 0 });
    let mut operands = [Value::NONE; 3];
    for k in 0..op.args() {
        if k > 0 && random.below(6) == 0 {
            operands[k] = operands[k - 1];
            continue;
        }
        let register = 2 * k as u32;
        // D-form operands may have anything in their upper halves.
        let q = random.below(3) != 0 || op.reads_upper(shape, imm, k);
        let get = |b: &mut Builder, register: u32| {
            b.push(Inst {
                imm: register,
                imm2: wide(q),
                ..Inst::new(Op::GetV)
            })
        };
        operands[k] = match random.below(5) {
            // In the state only.
            0 | 1 => get(&mut b, register),
            2 => {
                let half = vector(random, shape.log2_bytes()) as u64;
                b.push(Inst {
                    imm: half as u32,
                    imm2: (half >> 32) as u32,
                    ..Inst::new(Op::VConst)
                })
            }
            // In a register only: the state's changes.
            _ => {
                let v = get(&mut b, register);
                let other = get(&mut b, register + 2);
                b.push(Inst {
                    a: other,
                    imm: register,
                    imm2: wide(q),
                    ..Inst::new(Op::SetV)
                });
                v
            }
        };
    }
    // Every size of D register operand that the operation may find instead.
    let q_operands = |k: usize| matches!(op, VecOp::Table | VecOp::Deinterleave3) && k == 0;
    for (k, v) in operands.iter_mut().enumerate().take(op.args()) {
        if q_operands(k) || op == VecOp::Table && k == 1 || op == VecOp::DupLane {
            let inst = b.block().insts[v.index()];
            if inst.op == Op::GetV && !Shape(inst.imm2 as u8).is_q() {
                *v = b.push(Inst {
                    imm2: wide(true),
                    ..inst
                });
            }
        }
    }
    let [a, b2, c] = operands;
    let r = b.push(Inst {
        a,
        b: b2,
        c,
        aux: op as u8,
        imm,
        imm2: u32::from(shape.0),
        ..Inst::new(op.class())
    });
    let q = op.writes_upper(shape);
    b.push(Inst {
        a: r,
        imm: 6,
        imm2: wide(q),
        ..Inst::new(Op::SetV)
    });
    for (k, v) in operands.into_iter().enumerate() {
        if !v.is_none() && random.below(2) == 0 {
            let inst = b.block().insts[v.index()];
            let q = inst.op != Op::GetV || Shape(inst.imm2 as u8).is_q();
            b.push(Inst {
                a: v,
                imm: 8 + 2 * k as u32,
                imm2: wide(q),
                ..Inst::new(Op::SetV)
            });
        }
    }
    b.jump(0x9000);
    b.finish()
}

fn check(bench: &mut Bench, mut block: Block, host: HostFeatures, random: &mut Random, size: u8) {
    let opts = Options {
        soft_fp: false,
        flush: false,
        default_nan: false,
        directed: false,
        precise_flags: false,
        hash_lookup: false,
        based: false,
        host,
        run_counter: None,
    };
    let mut state = CpuState::new();
    for q in 0..16 {
        let v = vector(random, size);
        (state.d[2 * q], state.d[2 * q + 1]) = (v as u64, (v >> 64) as u64);
    }
    let mut expected = state.clone();
    let mut memory = Window {
        start: 0,
        bytes: Vec::new(),
    };
    interp::run(&block, &mut expected, &mut memory);
    let before = state.clone();
    let code = code_of(&mut block, &opts, false);
    bench.run(&code, &mut state);
    let qc = |s: &CpuState| s.fpscr >> 27 & 1 == 1 || s.qc != [0; 2];
    let same = state.d == expected.d && qc(&state) == qc(&expected);
    assert!(
        same,
        "{host:?}\n{}\n{}\nbefore {:x?}\nis     {:x?} {}\nnot    {:x?} {}",
        print(&block),
        disassemble(&code),
        before.d,
        state.d,
        qc(&state),
        expected.d,
        qc(&expected)
    );
}

/// Every operation of `class` in every shape and with every immediate.
fn campaign(class: Op) {
    let _turn = turn();
    let mut bench = Bench::new(0x4000_0000..0x4000_1000);
    let mut random = Random::new(0x5eed);
    let mut forms = 0;
    for op in VecOp::ALL.iter().copied().filter(|op| op.class() == class) {
        for (shape, imm) in op.forms() {
            for (k, host) in HostFeatures::detect().variants().into_iter().enumerate() {
                for _ in 0..if k < 2 { 6 } else { 2 } {
                    let block = block(op, shape, imm, &mut random);
                    verify(&block).expect("a valid block");
                    check(&mut bench, block, host, &mut random, shape.log2_bytes());
                    forms += 1;
                }
            }
        }
    }
    assert!(forms > 1000);
}

#[test]
fn plain_operations_agree() {
    campaign(Op::Vec);
}

#[test]
fn saturating_operations_agree() {
    campaign(Op::VecSat);
}

/// Rounds of AES with and without the mixing of columns that follows, halves of SHA-256's rounds on the same operands,
/// with other operations between them and values that live on or don't.
#[test]
fn pairs_of_cryptographic_operations_agree() {
    let _turn = turn();
    let mut bench = Bench::new(0x4000_0000..0x4000_1000);
    let mut random = Random::new(0xae5);
    let pairs = [
        (VecOp::AesE, VecOp::AesMc),
        (VecOp::AesD, VecOp::AesImc),
        (VecOp::AesE, VecOp::AesImc),
        (VecOp::Sha256H, VecOp::Sha256H2),
        (VecOp::Sha256H2, VecOp::Sha256H),
    ];
    for (k, host) in HostFeatures::detect().variants().into_iter().enumerate() {
        for _ in 0..if k < 2 { 200 } else { 20 } {
            let (first, second) = random.pick(&pairs);
            let block = pair_block(first, second, &mut random);
            verify(&block).expect("a valid block");
            check(&mut bench, block, host, &mut random, 2);
        }
    }
}

fn pair_block(first: VecOp, second: VecOp, random: &mut Random) -> Block {
    let mut b = Builder::new();
    b.insn_start(0x8000, false, 0);
    let shape = Shape::new(0, true, false);
    let imm2 = u32::from(shape.0);
    let get = |b: &mut Builder, imm: u32| {
        b.push(Inst {
            imm,
            imm2,
            ..Inst::new(Op::GetV)
        })
    };
    let set = |b: &mut Builder, imm: u32, a: Value| {
        b.push(Inst {
            a,
            imm,
            imm2,
            ..Inst::new(Op::SetV)
        })
    };
    let vec = |b: &mut Builder, op: VecOp, [a, b2, c]: [Value; 3]| {
        b.push(Inst {
            a,
            b: b2,
            c,
            aux: op as u8,
            imm2,
            ..Inst::new(Op::Vec)
        })
    };
    let (x, y, z) = (get(&mut b, 0), get(&mut b, 2), get(&mut b, 4));
    let sha = first.args() == 3;
    let one = vec(&mut b, first, if sha { [x, y, z] } else { [x, y, Value::NONE] });
    if random.below(3) == 0 {
        set(&mut b, 0, one);
    }
    // Enough of them push everything out of the registers.
    let between = random.pick(&[0, 0, 1, 3, 20]);
    let made: Vec<Value> = (0..between)
        .map(|i| {
            let v = get(&mut b, 8 + 2 * (i % 8));
            vec(&mut b, VecOp::Add, [v, z, Value::NONE])
        })
        .collect();
    let two = match sha {
        true if random.below(4) == 0 => vec(&mut b, second, [y, x, one]),
        true => vec(&mut b, second, [y, x, z]),
        false => vec(&mut b, second, [one, Value::NONE, Value::NONE]),
    };
    set(&mut b, 2, two);
    if random.below(3) == 0 {
        set(&mut b, 4, one);
    }
    for (i, v) in made.into_iter().enumerate() {
        set(&mut b, 8 + 2 * (i as u32 % 12), v);
    }
    b.jump(0x9000);
    b.finish()
}
