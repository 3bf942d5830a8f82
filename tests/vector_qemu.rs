//! Vector operations against qemu-arm: every form on special and random lanes, 8-bit pairs and 16-bit lanes whole.

mod guest_memory;
mod qemu_guest;
mod random;
mod vecstep;
mod vector_ops;

use emu::cpu::state::CpuState;
use emu::ir::builder::Builder;
use emu::ir::interp::{Exit, run};
use emu::ir::ops::{Inst, Op};
use emu::ir::vector::{Shape, VecOp};
use emu::ir::verify::verify;
use guest_memory::Window;
use random::Random;
use vecstep::{In, NOP, Stub, qemu};
use vector_ops::{Case, Trial, case, cases, differences, lanes_of, random_trials};

fn agree(cases: &[Case], trials: &[Trial]) {
    assert!(!trials.is_empty());
    let found = differences(cases, trials);
    let first: Vec<&String> = found.iter().take(20).collect();
    assert!(
        found.is_empty(),
        "{} of {} differ: {first:#?}",
        found.len(),
        trials.len()
    );
}

/// Every form has an instruction, but for those that the table has for symmetry alone.
#[test]
fn forms_without_an_instruction() {
    let mut without: Vec<(VecOp, Shape)> = VecOp::ALL
        .iter()
        .flat_map(|&op| op.forms().map(move |(s, imm)| (op, s, imm)))
        .filter(|&(op, s, imm)| case(op, s, imm).is_err())
        .map(|(op, s, _)| (op, s))
        .collect();
    without.dedup();
    assert_eq!(cases().len(), 4074);
    for (op, shape) in without {
        let expected = match op {
            VecOp::DupLane => shape.esize() == 64,
            VecOp::TrnEven | VecOp::TrnOdd => shape.esize() == 64,
            // VUZP and VZIP of two lanes are VTRN.
            VecOp::ZipLo | VecOp::ZipHi | VecOp::UzpEven | VecOp::UzpOdd => shape.lanes() == 2,
            VecOp::FRint => true,
            _ => false,
        };
        assert!(expected, "{op:?} {shape:?}");
    }
}

/// opc1 and opc2 of VMOV between lane `lane` of a D register and a core register, at their places.
fn lane_field(size: u8, lane: u32) -> u32 {
    let bits = match size {
        0 => 8 | lane,
        1 => 1 | lane << 1,
        _ => lane << 2,
    };
    (bits >> 2) << 21 | (bits & 3) << 5
}

/// VDUP, VMOV to a lane, VMOV from a lane, on q0 and r2.
#[test]
fn lanes_and_core_registers() {
    let mut rows = Vec::new();
    for size in 0..3u8 {
        for q in [false, true] {
            // B and E: 10 for bytes, 01 for halfwords.
            let field = [1 << 22, 1 << 5, 0][usize::from(size)];
            let word = 0xee80_2b10 | field | u32::from(q) << 21;
            rows.push((word, Op::VDup, Shape::new(size, q, false), 0));
        }
        for lane in 0..16u32 >> size {
            let per = 8 >> size;
            let d = lane / per * 0x1_0000;
            let word = 0xee00_2b10 | d | lane_field(size, lane % per);
            rows.push((word, Op::VInsert, Shape::new(size, true, false), lane));
            rows.push((word | 1 << 20, Op::VExtract, Shape::new(size, true, false), lane));
            if size < 2 {
                let unsigned = Shape::new(size, true, true);
                rows.push((word | 1 << 20 | 1 << 23, Op::VExtract, unsigned, lane));
            }
        }
    }
    let stubs: Vec<Stub> = rows.iter().map(|row| [row.0, NOP, NOP, NOP]).collect();
    let mut random = Random::new(5);
    let records: Vec<In> = (0..rows.len() * 20)
        .map(|i| In {
            stub: (i % rows.len()) as u32,
            fpscr: 0,
            r2: random.bits() as u32,
            q: [(); 4].map(|()| u128::from(random.bits()) << 64 | u128::from(random.bits())),
        })
        .collect();
    for (record, out) in records.iter().zip(qemu(&stubs, &records)) {
        let (word, op, shape, imm) = rows[record.stub as usize];
        let mut b = Builder::new();
        b.insn_start(0x1000, false, 0);
        let (vector, word_in) = (b.get_v(0, true), b.get_reg(2));
        let fields = Inst {
            imm,
            imm2: shape.0.into(),
            ..Inst::new(op)
        };
        match op {
            Op::VDup => {
                let v = b.push(Inst { a: word_in, ..fields });
                b.set_v(0, shape.is_q(), v);
            }
            Op::VInsert => {
                let v = b.push(Inst {
                    a: vector,
                    b: word_in,
                    ..fields
                });
                b.set_v(0, true, v);
            }
            _ => {
                let v = b.push(Inst { a: vector, ..fields });
                b.set_reg(2, v);
            }
        }
        b.jump(0x1004);
        let block = b.finish();
        assert_eq!(verify(&block), Ok(()));
        let mut state = CpuState::new();
        state.r[2] = record.r2;
        (state.d[0], state.d[1]) = (record.q[0] as u64, (record.q[0] >> 64) as u64);
        let mut memory = Window {
            start: 0,
            bytes: Vec::new(),
        };
        assert_eq!(run(&block, &mut state, &mut memory), Exit::Jump(0x1004));
        let ours = u128::from(state.d[0]) | u128::from(state.d[1]) << 64;
        assert_eq!(
            (ours, state.r[2]),
            (out.q[0], out.r2),
            "{word:08x} {op:?} {shape:?} {imm}"
        );
    }
}

#[test]
fn random_lanes() {
    let cases = cases();
    let mut random = Random::new(11);
    for _ in 0..4 {
        agree(&cases, &random_trials(&cases, 60, &mut random));
    }
}

/// All operands, where they are one of 16-bit lanes or two of bytes; of the amounts of shifts of 16-bit lanes, a few.
fn exhaustive(cases: &[Case], index: usize) -> Vec<Trial> {
    let case = &cases[index];
    let (size, _) = lanes_of(case, 0);
    let esize = case.shape.esize();
    if size == 16 && case.op.class() != Op::VecFp && ![0, 1, esize / 2, esize - 1, esize].contains(&case.imm)
    {
        return Vec::new();
    }
    let permutes = matches!(
        case.op,
        VecOp::DupLane | VecOp::Rev | VecOp::High | VecOp::Not | VecOp::AesMc | VecOp::AesImc | VecOp::Sha1H
    );
    let per = 128 / size;
    let vector = |f: &dyn Fn(u32) -> u32| (0..per).fold(0, |v, i| v | u128::from(f(i)) << (i * size));
    let (half_modes, float) = (case.shape.esize() == 16, case.op.class() == Op::VecFp);
    // A D form looks at the low half alone.
    let step = if case.shape.is_q() || size > case.shape.esize() {
        per
    } else {
        per / 2
    };
    let all: Vec<[u128; 3]> = match (case.op.args(), size) {
        (1, 8 | 16) if !permutes => (0..1 << size)
            .step_by(step as usize)
            .map(|base| [vector(&|i| (base + i) & ((1 << size) - 1)), 0, 0])
            .collect(),
        (2, 8) if lanewise_pairs(case.op) => (0..0x1_0000)
            .step_by(step as usize)
            .map(|base| [vector(&|i| (base + i) & 0xff), vector(&|_| base >> 8), 0])
            .collect(),
        _ => Vec::new(),
    };
    let modes: &[u32] = if float && half_modes {
        &[0, 0x0408_0000]
    } else {
        &[0]
    };
    modes
        .iter()
        .flat_map(|&fpscr| {
            all.iter().map(move |&operands| Trial {
                case: index,
                fpscr,
                operands,
            })
        })
        .collect()
}

fn lanewise_pairs(op: VecOp) -> bool {
    use VecOp::*;
    !matches!(
        op,
        Ext | TrnEven | TrnOdd | ZipLo | ZipHi | UzpEven | UzpOdd | Concat | And | Or | Xor | AndNot | OrNot
    ) && !matches!(op, Deinterleave3 | AesE | AesD | Sha1Su1 | Sha256Su0)
}

#[test]
fn all_pairs_of_bytes_and_all_16_bit_lanes() {
    let cases = cases();
    for chunk in cases.chunks(64) {
        let trials: Vec<Trial> = (0..chunk.len()).flat_map(|i| exhaustive(chunk, i)).collect();
        if !trials.is_empty() {
            agree(chunk, &trials);
        }
    }
}

/// All second operands with some first ones: a zero, the smallest and largest denormal and normal, numbers in between,
/// infinity, NaNs. `softfp_campaign` has all pairs.
#[test]
fn rows_of_half_precision_pairs() {
    let cases = vector_ops::half_pairs();
    assert!(cases.len() >= 12);
    let firsts = [
        0x8000, 0x0001, 0x03ff, 0x0400, 0x3c01, 0xc248, 0x7bff, 0xfc00, 0x7d01, 0x7e00,
    ];
    for (number, case) in cases.iter().enumerate() {
        for (k, first) in firsts.into_iter().enumerate() {
            // FZ16 in turn.
            let fpscr = if (number + k) % 2 == 0 {
                0
            } else {
                vector_ops::FZ16
            };
            let (count, found) = vector_ops::pairs(case, fpscr, first..first + 1);
            assert_eq!(count, 0x1_0000);
            assert!(found.is_empty(), "{} differ: {}", found.len(), found[0]);
        }
    }
}
