//! Floating point of translated code against the interpreter, traps settled as the run time does: every operation, in
//! every FPSCR mode, on special and random operands, flags compared exactly, with each host feature left out.

mod guest_memory;
#[allow(
    dead_code,
    reason = "of the tests against qemu-arm only the operands are used here"
)]
mod onestep;
#[allow(dead_code, reason = "as above")]
mod qemu_guest;
mod random;
#[allow(dead_code, reason = "as above")]
mod softfp_ops;
#[allow(dead_code, reason = "other tests use the rest")]
mod x64_bench;

use emu::cpu::state::CpuState;
use emu::ir::builder::Builder;
use emu::ir::interp::{self, fp_op, read_fpscr};
use emu::ir::ops::{Block, Inst, Op, Value};
use emu::ir::print::print;
use emu::ir::vector::{Shape, VecOp};
use emu::softfp::{Mode, Status};
use emu::x64::stubs::ExitKind;
use emu::x64::{HostFeatures, Options};
use guest_memory::Window;
use random::Random;
use softfp_ops::{Case, Kind, Trial, cases, random_trials, specials};
use std::sync::{Mutex, MutexGuard};
use x64_bench::{Bench, code_of, disassemble, traps};

/// One at a time: the bench's memory has one address.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|e| e.into_inner())
}

/// As `exec` compiles for these modes.
fn options(fpscr: u32, host: HostFeatures) -> Options {
    Options {
        soft_fp: false,
        flush: fpscr >> 24 & 1 != 0,
        default_nan: fpscr >> 25 & 1 != 0,
        directed: fpscr >> 22 & 3 != 0,
        precise_flags: false,
        hash_lookup: false,
        based: false,
        host,
        run_counter: None,
    }
}

/// The operation on S0/D0, S2/D1, S4/D2 (or r2 and up), result in S6/D3 or r1.
fn scalar_block(case: &Case) -> Block {
    let mut b = Builder::new();
    b.insn_start(0x8000, false, 0);
    let mut args = [Value::NONE; 3];
    for (k, kind) in case.operands.iter().enumerate() {
        args[k] = match kind {
            _ if k > 0 && case.name.ends_with("same") => args[0],
            Kind::Double => b.push(Inst {
                imm: k as u32,
                ..Inst::new(Op::GetD)
            }),
            Kind::Single => b.push(Inst {
                imm: 2 * k as u32,
                ..Inst::new(Op::GetS)
            }),
            _ => b.get_reg(2 + k as u8),
        };
    }
    if case.name.ends_with("same") {
        args = match case.op {
            Op::FSqrt32 => args,
            _ => [args[0], args[0], Value::NONE],
        };
    }
    let [a, c, d] = args;
    let result = b.push(Inst {
        aux: case.aux,
        imm: case.imm,
        imm2: case.imm2,
        a,
        b: c,
        c: d,
        ..Inst::new(case.op)
    });
    match case.result {
        Kind::Double => {
            b.push(Inst {
                imm: 3,
                a: result,
                ..Inst::new(Op::SetD)
            });
        }
        Kind::Single => {
            b.push(Inst {
                imm: 6,
                a: result,
                ..Inst::new(Op::SetS)
            });
        }
        Kind::Flags => {}
        _ => b.set_reg(1, result),
    }
    b.push(Inst {
        imm: 0x9000,
        ..Inst::new(Op::Jump)
    });
    b.finish()
}

/// Runs the trials of one case in one mode; `context` is for the message.
fn check_scalar(bench: &mut Bench, case: &Case, host: HostFeatures, fpscr: u32, operands: &[[u64; 3]]) {
    let mut block = scalar_block(case);
    let opts = options(fpscr, host);
    let code = code_of(&mut block, &opts, false);
    let placed = bench.place(&code);
    for &args in operands {
        let mut state = CpuState::new();
        interp::write_fpscr(&mut state, fpscr);
        for (k, kind) in case.operands.iter().enumerate() {
            match kind {
                Kind::Double => state.d[k] = args[k],
                Kind::Int | Kind::Half => state.r[2 + k] = args[k] as u32,
                _ => state.d[k] = 0xdead_beef << 32 | args[k],
            }
        }
        let [x, y, z] = if case.name.ends_with("same") {
            [args[0]; 3]
        } else {
            args
        };
        let mut status = Status::default();
        let mode = Mode::from_fpscr(fpscr);
        let expected = fp_op(case.op, case.aux, case.imm, case.imm2, x, y, z, mode, &mut status);
        // VJCVT has a result and flags.
        let (expected, flags) = match interp::fp_flags(case.op, expected) {
            Some(nzcv) if case.result != Kind::Flags => (expected & 0xffff_ffff, Some(nzcv)),
            _ => (expected, None),
        };
        let out = bench.enter(&placed, &mut state);
        assert_eq!(out, (ExitKind::Link, 0x9000));
        let after = read_fpscr(&state);
        let result = match case.result {
            Kind::Double => state.d[3],
            Kind::Single => state.d[3] & 0xffff_ffff,
            Kind::Flags => u64::from(after & 0xf000_0000),
            _ => state.r[1].into(),
        };
        let raised = after & Status::ALL;
        // D10 of docs/divergences.md: a result rounded up to the smallest normal number.
        let smallest = match case.result {
            Kind::Double => expected << 1 == 1 << 53,
            _ => expected as u32 == 0x0080_0000 || expected as u32 == 0x8080_0000,
        };
        let tolerated = if smallest && !mode.fz {
            status.0 & Status::UFC
        } else {
            0
        };
        assert!(
            result == expected
                && raised | tolerated == status.0
                && flags.is_none_or(|nzcv| nzcv == after & 0xf000_0000),
            "{} {fpscr:#x} {args:x?}: {result:#x} {raised:#x}, expected {expected:#x} {:#x}\n{host:?}\n{}\n{}",
            case.name,
            status.0,
            print(&block),
            disassemble(&code),
        );
    }
}

/// RMode, FZ and DN.
fn modes() -> impl Iterator<Item = u32> {
    (0..16).map(|m| m << 22)
}

#[test]
fn scalars() {
    let _turn = turn();
    let mut bench = Bench::new(0x4000_0000..0x4000_1000);
    let host = HostFeatures::detect();
    let mut without_fma = host;
    without_fma.disable("fma");
    let hosts = [host, HostFeatures::default(), without_fma];
    let cases = cases();
    let mut random = Random::new(1);
    let mut trials: Vec<Trial> = random_trials(&cases, 60_000, &mut random);
    for (index, case) in cases.iter().enumerate() {
        let n = case.operands.len() as u32;
        let mut values = specials(case.operands[0]);
        if n == 3 {
            values = (0..14).map(|_| random.pick(&values)).collect();
        }
        if values.len() > 100 {
            values = (0..100).map(|_| random.pick(&values)).collect();
        }
        for i in 0..values.len().pow(n) {
            let digit = |place: u32| values[i / values.len().pow(place) % values.len()];
            trials.push(Trial {
                case: index,
                fpscr: 0,
                operands: [digit(0), digit(1), digit(2)],
            });
        }
    }
    trials.sort_by_key(|t| t.case);
    let before = traps();
    for of_case in trials.chunk_by(|a, b| a.case == b.case) {
        let case = &cases[of_case[0].case];
        let operands: Vec<_> = of_case.iter().map(|t| t.operands).collect();
        for (m, fpscr) in modes().enumerate() {
            for (h, &host) in hosts.iter().enumerate() {
                // The special operands in every mode; the hosts share the modes that are soft on each.
                if h == 0 || (m + h) % 4 == 0 {
                    check_scalar(&mut bench, case, host, fpscr, &operands);
                }
            }
        }
    }
    assert!(traps() - before > 100_000);
}

/// A lane of a floating-point vector: single precision (which serves as two halves or an integer just as well).
fn lane(random: &mut Random) -> u32 {
    let bits = random.bits() as u32;
    let sign = bits & 0x8000_0000;
    match random.below(8) {
        0 => specials(Kind::Single)[random.below(48) as usize] as u32,
        // Halves, one of them special.
        1 => {
            random.pick(&[0, 1, 0x3ff, 0x400, 0x7bff, 0x7c00, 0x7c01, 0x7e00, 0x7fff, 0x3c00])
                | bits & 0xffff_8000
        }
        // Around the ends of the integers, and halves between integers.
        2 => {
            random.pick(&[
                0x3f00_0000,
                0x3f7f_ffff,
                0x3f80_0000,
                0x3fc0_0000,
                0x4020_0000,
                0x4060_0000,
                0x4affffff,
                0x4b00_0001,
                0x4eff_ffff,
                0x4f00_0000,
                0x4f7f_ffff,
                0x4f80_0000,
                0x4f80_0001,
            ]) | sign
        }
        // Products of such are close to the smallest normal number, where they round up to it or not.
        3 => {
            sign | random.pick(&[63, 64]) << 23
                | random.pick(&[0, 1, 2, 3, 0x7f_ffff, 0x7f_fffe, 0x7f_fff0, 0x3504f3, 0x3504f4])
        }
        // Halves of such are denormal or just not.
        4 => {
            sign | random.pick(&[111, 112, 113, 142, 143]) << 23
                | bits & random.pick(&[0x7f_ffff, 0x7f_f000, 0x1fff])
                | bits >> 8 & 0x7f_e000
        }
        5 => sign | (120 + random.below(12) as u32) << 23 | bits & random.pick(&[0x7f_ffff, 0x70_0000]),
        6 => random.pick(&[
            0,
            1,
            0xffff_ffff,
            0x7fff_ffff,
            0x8000_0000,
            0x00ff_ffff,
            0x0100_0001,
        ]),
        _ => bits,
    }
}

fn vector_of(random: &mut Random) -> u128 {
    let plain = random.below(3) == 0;
    (0..4).fold(0, |v, _| {
        let l = if plain {
            0x3f80_0000 ^ random.bits() as u32 & 0x80ff_ffff
        } else {
            lane(random)
        };
        v << 32 | u128::from(l)
    })
}

/// `op` on Q0, Q1, Q2: result in Q3. Operands of a D form have anything above.
fn vector_block(op: VecOp, shape: Shape, imm: u32, random: &mut Random) -> Block {
    let mut b = Builder::new();
    b.insn_start(0x8000, false, 0);
    let mut args = [Value::NONE; 3];
    for k in 0..op.args() {
        let register = 2 * k as u32;
        let q = random.below(3) == 0 || op.reads_upper(shape, imm, k);
        let imm2 = u32::from(if q { Shape::Q } else { 0 });
        args[k] = b.push(Inst {
            imm: register,
            imm2,
            ..Inst::new(Op::GetV)
        });
        match random.below(4) {
            // Only in a register from here on.
            0 => {
                let other = b.push(Inst {
                    imm: 30,
                    imm2,
                    ..Inst::new(Op::GetV)
                });
                b.push(Inst {
                    a: other,
                    imm: register,
                    imm2,
                    ..Inst::new(Op::SetV)
                });
            }
            // What an integer operation leaves above is its own affair.
            1 => {
                args[k] = b.push(Inst {
                    a: args[k],
                    b: args[k],
                    aux: VecOp::Or as u8,
                    imm2,
                    ..Inst::new(Op::Vec)
                });
            }
            2 if k > 0 && random.below(4) == 0 => args[k] = args[k - 1],
            _ => {}
        }
    }
    let [a, c, d] = args;
    let r = b.push(Inst {
        a,
        b: c,
        c: d,
        aux: op as u8,
        imm,
        imm2: shape.0.into(),
        ..Inst::new(Op::VecFp)
    });
    let imm2 = u32::from(if op.writes_upper(shape) { Shape::Q } else { 0 });
    b.push(Inst {
        a: r,
        imm: 6,
        imm2,
        ..Inst::new(Op::SetV)
    });
    if random.below(2) == 0 {
        // The operands are what they were.
        for (k, v) in args.into_iter().enumerate().take(op.args()) {
            b.push(Inst {
                a: v,
                imm: 8 + 2 * k as u32,
                ..Inst::new(Op::SetV)
            });
        }
    }
    b.push(Inst {
        imm: 0x9000,
        ..Inst::new(Op::Jump)
    });
    b.finish()
}

#[test]
fn vectors() {
    let _turn = turn();
    let mut bench = Bench::new(0x4000_0000..0x4000_1000);
    let mut random = Random::new(2);
    let (before, mut runs) = (traps(), 0);
    // FZ, DN and RMode are not for these; AHP and FZ16 are.
    let modes = [
        0,
        0,
        0x0100_0000,
        0x0200_0000,
        0x0400_0000,
        0x0008_0000,
        0x0040_0000,
    ];
    for op in VecOp::ALL.iter().copied().filter(|op| op.class() == Op::VecFp) {
        for (shape, imm) in op.forms() {
            for (h, host) in HostFeatures::detect().variants().into_iter().enumerate() {
                for fpscr in modes {
                    let blocks = if h < 2 { 4 } else { 1 };
                    for _ in 0..blocks {
                        let mut block = vector_block(op, shape, imm, &mut random);
                        runs += check_vector(&mut bench, &mut block, host, fpscr, &mut random);
                    }
                }
            }
        }
    }
    assert!(runs > 100_000 && traps() - before > 10_000);
}

fn check_vector(
    bench: &mut Bench,
    block: &mut Block,
    host: HostFeatures,
    fpscr: u32,
    random: &mut Random,
) -> u32 {
    const RUNS: u32 = 12;
    let opts = options(fpscr, host);
    let code = code_of(block, &opts, false);
    let placed = bench.place(&code);
    for _ in 0..RUNS {
        let mut state = CpuState::new();
        interp::write_fpscr(&mut state, fpscr);
        for q in 0..16 {
            let v = vector_of(random);
            (state.d[2 * q], state.d[2 * q + 1]) = (v as u64, (v >> 64) as u64);
        }
        let mut expected = state.clone();
        let mut memory = Window {
            start: 0,
            bytes: Vec::new(),
        };
        interp::run(block, &mut expected, &mut memory);
        let initial = state.d;
        bench.enter(&placed, &mut state);
        let (is, should) = (read_fpscr(&state), read_fpscr(&expected));
        // D16 of docs/divergences.md: Inexact besides Underflow where a result was flushed.
        let flushed = fpscr & 0x0100_0000 == 0 && should & Status::UFC != 0;
        let tolerated = if flushed { is & Status::IXC } else { 0 };
        assert!(
            state.d == expected.d && is == should | tolerated,
            "{host:?} {fpscr:#x}\n{}\n{}\nbefore {initial:x?}\nis     {:x?} {is:#x}\nnot    {:x?} {should:#x}",
            print(block),
            disassemble(&code),
            state.d,
            expected.d,
        );
    }
    RUNS
}
