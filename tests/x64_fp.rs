//! Floating point of translated code against the interpreter, traps settled as the run time does: every operation, in
//! every FPSCR mode, on special and random operands, flags compared exactly, with each host feature left out.

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
use emu::ir::ops::{Block, Flags, Inst, Op, Value};
use emu::ir::print::print;
use emu::softfp::{Mode, Status};
use emu::x64::stubs::ExitKind;
use emu::x64::{HostFeatures, Options, compile};
use random::Random;
use softfp_ops::{Case, Kind, Trial, cases, random_trials, specials};
use std::sync::{Mutex, MutexGuard};
use x64_bench::{Bench, disassemble, traps};

/// One at a time: the bench's memory has one address.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|e| e.into_inner())
}

fn all_live(_: u32) -> Flags {
    Flags::NZCV
}

/// As `exec` compiles for these modes.
fn options(fpscr: u32, host: HostFeatures) -> Options<'static> {
    Options {
        soft_fp: false,
        flush: fpscr >> 24 & 1 != 0,
        default_nan: fpscr >> 25 & 1 != 0,
        directed: fpscr >> 22 & 3 != 0,
        precise_flags: false,
        hash_lookup: false,
        based: false,
        live_at: &all_live,
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
    let block = scalar_block(case);
    let opts = options(fpscr, host);
    let placed = bench.place(&block, &opts);
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
            disassemble(&compile(&block, &opts)),
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
