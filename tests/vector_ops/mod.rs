//! The instruction that does what each vector operation does, for each of its forms.

use super::random::Random;
use super::vecstep::{In, NOP, Out, Stub, VECTORS, qemu, qemu_pairs};
use emu::ir::interp::vec_op;
use emu::ir::ops::Op;
use emu::ir::vector::{RoundTo, Shape, VecOp};

/// A form of an operation and the stub that executes it.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub op: VecOp,
    pub shape: Shape,
    pub imm: u32,
    pub stub: Stub,
    /// The Q registers (0 to 3) that operands a, b, c are in.
    pub operands: [usize; 3],
    /// Where the result is, in D registers, and how many of them.
    pub result: (usize, usize),
}

/// d0, d2, d4 (or q0, q1, q2) as Vd, Vn, Vm.
const NM: u32 = 2 << 16 | 4;
/// d2 (q1) as Vm.
const M: u32 = 2;

/// Three registers of the same length (Arm ARM, F3.1: Advanced SIMD three registers of the same length).
fn same(u: u32, size: u32, opc: u32, o1: u32, q: bool) -> u32 {
    0xf200_0000 | u << 24 | size << 20 | opc << 8 | u32::from(q) << 6 | o1 << 4 | NM
}

/// Three registers of different lengths.
fn different(u: u32, size: u32, opc: u32) -> u32 {
    0xf280_0000 | u << 24 | size << 20 | opc << 8 | NM
}

/// Two registers, miscellaneous: opc1 and the five bits opc2:Q.
fn misc(size: u32, opc1: u32, opc2: u32, q: u32) -> u32 {
    0xf3b0_0000 | size << 18 | opc1 << 16 | opc2 << 7 | q << 6 | M
}

/// Two registers and a shift amount; `field` is L:imm6.
fn shift(u: u32, field: u32, opc: u32, q: u32) -> u32 {
    0xf280_0010 | u << 24 | (field & 63) << 16 | opc << 8 | (field >> 6) << 7 | q << 6 | M
}

/// L:imm6 of a left shift.
fn left(esize: u32, amount: u32) -> u32 {
    esize + amount
}

/// L:imm6 of a right shift.
fn right(esize: u32, amount: u32) -> u32 {
    2 * esize - amount
}

/// VEXT d0, d2, d4 or q0, q1, q2.
fn vext(imm: u32, q: u32) -> u32 {
    0xf2b0_0000 | imm << 8 | q << 6 | NM
}

/// The case of a form, or why there is none.
pub fn case(op: VecOp, shape: Shape, imm: u32) -> Result<Case, &'static str> {
    use VecOp::*;
    let size = u32::from(shape.log2_bytes());
    let (e, u) = (shape.esize(), u32::from(shape.is_unsigned()));
    let (is_q, q) = (shape.is_q(), u32::from(shape.is_q()));
    // Of floats: 0 for single, 1 for half precision.
    let h = u32::from(e == 16);
    // Operands in Vn and Vm; in Vd, Vn, Vm; in Vm; in Vd and Vm.
    let (nm, dnm, m, dm) = ([1, 2, 0], [0, 1, 2], [1, 0, 0], [0, 1, 0]);
    let no_instruction = Err("no instruction has this form");
    let (word, operands) = match op {
        And => (same(0, 0, 1, 1, is_q), nm),
        AndNot => (same(0, 1, 1, 1, is_q), nm),
        Or => (same(0, 2, 1, 1, is_q), nm),
        OrNot => (same(0, 3, 1, 1, is_q), nm),
        Xor => (same(1, 0, 1, 1, is_q), nm),
        Not => (misc(0, 0, 11, q), m),
        BitSelect => (same(1, 1, 1, 1, is_q), dnm),

        Add => (same(0, size, 8, 0, is_q), nm),
        Sub => (same(1, size, 8, 0, is_q), nm),
        Mul => (same(0, size, 9, 1, is_q), nm),
        Neg => (misc(size, 1, 7, q), m),
        Abs => (misc(size, 1, 6, q), m),
        HAdd => (same(u, size, 0, 0, is_q), nm),
        RHAdd => (same(u, size, 1, 0, is_q), nm),
        HSub => (same(u, size, 2, 0, is_q), nm),
        Min => (same(u, size, 6, 1, is_q), nm),
        Max => (same(u, size, 6, 0, is_q), nm),
        AbsDiff => (same(u, size, 7, 0, is_q), nm),
        CmpEq => (same(1, size, 8, 1, is_q), nm),
        CmpGt => (same(u, size, 3, 0, is_q), nm),
        CmpGe => (same(u, size, 3, 1, is_q), nm),
        Tst => (same(0, size, 8, 1, is_q), nm),
        Clz => (misc(size, 0, 9, q), m),
        Cls => (misc(size, 0, 8, q), m),
        Cnt => (misc(0, 0, 10, q), m),
        PolyMul => (same(1, 0, 9, 1, is_q), nm),
        PairAdd => (same(0, size, 11, 1, false), nm),
        PairMin => (same(u, size, 10, 1, false), nm),
        PairMax => (same(u, size, 10, 0, false), nm),
        PairAddLong => (misc(size, 0, 4 | u, q), m),

        Shl => (shift(0, left(e, imm), 5, q), m),
        Shr => (shift(u, right(e, imm), 0, q), m),
        RShr => (shift(u, right(e, imm), 2, q), m),
        // The value is in Vm, the amounts in Vn.
        ShlVar => (same(u, size, 4, 0, is_q), [2, 1, 0]),
        RShlVar => (same(u, size, 5, 0, is_q), [2, 1, 0]),
        ShlInsert => (shift(1, left(e, imm), 5, q), dm),
        ShrInsert => (shift(1, right(e, imm), 4, q), dm),

        Widen => (shift(u, left(e, 0), 10, 0), m),
        MulLong => (different(u, size, 12), nm),
        PolyMulLong => (different(0, if e == 8 { 0 } else { 2 }, 14), nm),
        // Without a shift it is VMOVN; a shift by esize has the same field as one by 0 would have, of twice the size.
        NarrowShr if imm == 0 => (misc(size, 2, 4, 0), m),
        NarrowShr => (shift(0, right(e, imm), 8, 0), m),
        NarrowRShr => (shift(0, right(e, imm), 8, 1), m),

        DupLane if e == 64 => return no_instruction,
        // Vm is d2 or d3.
        DupLane => {
            let per = 64 / e;
            let field = (2 * (imm % per) + 1) << size;
            (0xf3b0_0c00 | field << 16 | q << 6 | (2 + imm / per), m)
        }
        Ext => (vext(imm, q), nm),
        Rev => (misc(size, 0, 3 - imm, q), m),
        // VTRN, VUZP and VZIP change both registers; d0 (q0) and d2 (q1) here.
        TrnEven | TrnOdd | UzpEven | UzpOdd | ZipLo | ZipHi => {
            if e == 64 {
                return no_instruction;
            }
            let (opc, second) = match op {
                TrnEven => (1, 0),
                TrnOdd => (1, 1),
                UzpEven => (2, 0),
                UzpOdd => (2, 1),
                ZipLo => (3, 0),
                _ => (3, 1),
            };
            if e == 32 && !is_q && opc != 1 {
                return no_instruction;
            }
            return Ok(Case {
                op,
                shape,
                imm,
                stub: [misc(size, 2, opc, q), NOP, NOP, NOP],
                operands: dm,
                result: (2 * second, if is_q { 2 } else { 1 }),
            });
        }
        // VTBL d0, {d2 ...}, d6.
        Table => (0xf3b0_0800 | (imm / 8 - 1) << 8 | 2 << 16 | 6, [1, 2, 3]),
        // VLD3 {d0, d1, d2}, [r0].
        Deinterleave3 => {
            return Ok(Case {
                op,
                shape,
                imm,
                stub: [0xf420_040f | size << 6, NOP, NOP, NOP],
                operands: [0, 1, 0],
                result: (imm as usize, 1),
            });
        }
        // VST3 {d0, d2, d4}, [r1]; VLD1 {d0-d3}, [r1].
        Interleave3 => {
            return Ok(Case {
                op,
                shape,
                imm,
                stub: [0xf401_050f | size << 6, 0xf421_02cf, NOP, NOP],
                operands: [0, 1, 2],
                result: if imm == 0 { (0, 2) } else { (2, 1) },
            });
        }
        // VUZP d0, d1, twice for structures of four; of words it is VTRN.
        Unzip => {
            let word = misc(size, 2, if e == 32 { 1 } else { 2 }, 0) & !M | 1;
            return Ok(Case {
                op,
                shape,
                imm,
                stub: [word, if imm == 4 { word } else { NOP }, NOP, NOP],
                operands: [0, 0, 0],
                result: (0, 2),
            });
        }
        // VMOV d0, d2; VMOV d1, d4.
        Concat => {
            return Ok(Case {
                op,
                shape,
                imm,
                stub: [0xf222_0112, 0xf224_1114, NOP, NOP],
                operands: [1, 2, 0],
                result: (0, 2),
            });
        }
        // VMOV d0, d3.
        High => (0xf223_0113, m),

        RecipEst => (misc(2, 3, 8, q), m),
        RsqrtEst => (misc(2, 3, 9, q), m),
        // VSDOT, VUDOT; VUSDOT, whose Vn is the unsigned one.
        Dot => match imm {
            1 => (0xfca0_0d00 | q << 6 | NM, dnm),
            2 => (0xfca0_0d00 | q << 6 | NM, [0, 2, 1]),
            both => (0xfc20_0d00 | q << 6 | (both & 1) << 4 | NM, dnm),
        },
        MatMul if imm == 1 => (0xfca0_0c40 | NM, dnm),
        MatMul => (0xfc20_0c40 | (imm & 1) << 4 | NM, dnm),

        AesE => (misc(0, 0, 6, 0), dm),
        AesD => (misc(0, 0, 6, 1), dm),
        AesMc => (misc(0, 0, 7, 0), m),
        AesImc => (misc(0, 0, 7, 1), m),
        Sha1C => (same(0, 0, 12, 0, true), dnm),
        Sha1P => (same(0, 1, 12, 0, true), dnm),
        Sha1M => (same(0, 2, 12, 0, true), dnm),
        Sha1Su0 => (same(0, 3, 12, 0, true), dnm),
        Sha256H => (same(1, 0, 12, 0, true), dnm),
        Sha256H2 => (same(1, 1, 12, 0, true), dnm),
        Sha256Su1 => (same(1, 2, 12, 0, true), dnm),
        Sha1H => (misc(2, 1, 5, 1), m),
        Sha1Su1 => (misc(2, 2, 7, 0), dm),
        Sha256Su0 => (misc(2, 2, 7, 1), dm),

        FNeg => (misc(size, 1, 15, q), m),
        FAbs => (misc(size, 1, 14, q), m),

        QAdd => (same(u, size, 0, 1, is_q), nm),
        QSub => (same(u, size, 2, 1, is_q), nm),
        QAbs => (misc(size, 0, 14, q), m),
        QNeg => (misc(size, 0, 15, q), m),
        QShlVar => (same(u, size, 4, 1, is_q), [2, 1, 0]),
        QRShlVar => (same(u, size, 5, 1, is_q), [2, 1, 0]),
        QShl => (shift(u, left(e, imm), 7, q), m),
        QShlu => (shift(1, left(e, imm), 6, q), m),
        // Without a shift they are VQMOVN and VQMOVUN.
        QNarrowShr if imm == 0 => (misc(size, 2, 5, u), m),
        QNarrowShr => (shift(u, right(e, imm), 9, 0), m),
        QNarrowShru if imm == 0 => (misc(size, 2, 4, 1), m),
        QNarrowShru => (shift(1, right(e, imm), 8, 0), m),
        QNarrowRShr => (shift(u, right(e, imm), 9, 1), m),
        QNarrowRShru => (shift(1, right(e, imm), 8, 1), m),
        QDMulH => (same(0, size, 11, 0, is_q), nm),
        QRDMulH => (same(1, size, 11, 0, is_q), nm),
        QDMulLong => (different(0, size, 13), nm),
        QRDMlaH => (same(1, size, 11, 1, is_q), dnm),
        QRDMlsH => (same(1, size, 12, 1, is_q), dnm),

        FAdd => (same(0, h, 13, 0, is_q), nm),
        FSub => (same(0, 2 | h, 13, 0, is_q), nm),
        FMul => (same(1, h, 13, 1, is_q), nm),
        FMa => (same(0, h, 12, 1, is_q), dnm),
        FMin => (same(0, 2 | h, 15, 0, is_q), nm),
        FMax => (same(0, h, 15, 0, is_q), nm),
        FMinNm => (same(1, 2 | h, 15, 1, is_q), nm),
        FMaxNm => (same(1, h, 15, 1, is_q), nm),
        FCmpEq => (same(0, h, 14, 0, is_q), nm),
        FCmpGe => (same(1, h, 14, 0, is_q), nm),
        FCmpGt => (same(1, 2 | h, 14, 0, is_q), nm),
        FRecpe => (misc(size, 3, 10, q), m),
        FRsqrte => (misc(size, 3, 11, q), m),
        FRecps => (same(0, h, 15, 1, is_q), nm),
        FRsqrts => (same(0, 2 | h, 15, 1, is_q), nm),
        FToInt if imm == RoundTo::Zero as u32 => (misc(size, 3, 14 | u, q), m),
        FToInt => {
            let mode = match imm {
                x if x == RoundTo::NearestAway as u32 => 0,
                x if x == RoundTo::NearestEven as u32 => 1,
                x if x == RoundTo::PlusInf as u32 => 2,
                _ => 3,
            };
            (misc(size, 3, mode << 1 | u, q), m)
        }
        IntToF => (misc(size, 3, 12 | u, q), m),
        // VCVT's field is 64 - fraction bits; F16's is 32 less, but bit 5 must be set.
        FToFixed => (shift(u, 64 - imm, if e == 16 { 13 } else { 15 }, q), m),
        FixedToF => (shift(u, 64 - imm, if e == 16 { 12 } else { 14 }, q), m),
        FRint => {
            let opc = match (imm & 7, imm & 8 != 0) {
                (x, false) if x == RoundTo::NearestEven as u32 => 8,
                (x, true) if x == RoundTo::NearestEven as u32 => 9,
                (x, false) if x == RoundTo::NearestAway as u32 => 10,
                (x, false) if x == RoundTo::Zero as u32 => 11,
                (x, false) if x == RoundTo::MinusInf as u32 => 13,
                (x, false) if x == RoundTo::PlusInf as u32 => 15,
                // VRINTX takes FPSCR's rounding, and Advanced SIMD's is to nearest.
                _ => return no_instruction,
            };
            (misc(size, 2, opc, q), m)
        }
        FMlal => (0xfc20_0810 | q << 6 | NM, dnm),
        HalfToF => (misc(1, 2, 14, 0), m),
        FToHalf => (misc(1, 2, 12, 0), m),
        FToBf16 => (misc(1, 2, 12, 1), m),
        BfDot => (0xfc00_0d00 | q << 6 | NM, dnm),
        BfMatMul => (0xfc00_0c40 | NM, dnm),
        BfMlal => (0xfc30_0810 | imm << 6 | NM, dnm),
    };
    let whole = op.writes_upper(shape);
    Ok(Case {
        op,
        shape,
        imm,
        stub: [word, NOP, NOP, NOP],
        operands,
        result: (0, if whole { 2 } else { 1 }),
    })
}

/// Every form that an instruction has.
pub fn cases() -> Vec<Case> {
    let forms = VecOp::ALL
        .iter()
        .flat_map(|&op| op.forms().map(move |(s, imm)| (op, s, imm)));
    forms.filter_map(|(op, s, imm)| case(op, s, imm).ok()).collect()
}

/// One test: an index into the cases, FPSCR before, operands a, b, c.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    pub case: usize,
    pub fpscr: u32,
    pub operands: [u128; 3],
}

/// Runs `trials` in qemu-arm and here. The differences, one line each.
pub fn differences(cases: &[Case], trials: &[Trial]) -> Vec<String> {
    let stubs: Vec<Stub> = cases.iter().map(|c| c.stub).collect();
    let records: Vec<In> = trials.iter().map(|t| record(&cases[t.case], t)).collect();
    let outs = qemu(&stubs, &records);
    trials
        .iter()
        .zip(outs)
        .filter_map(|(trial, out)| difference(&cases[trial.case], trial, &out))
        .collect()
}

/// The half-precision operations with two operands, as Q forms.
pub fn half_pairs() -> Vec<Case> {
    let halves = |c: &Case| c.op.class() == Op::VecFp && c.op.args() == 2 && c.shape.esize() == 16;
    let cases = cases().into_iter().filter(|c| halves(c) && c.shape.is_q());
    cases.collect()
}

/// FPSCR.FZ16.
pub const FZ16: u32 = 1 << 19;

/// Runs a Q form on two operands of 16-bit lanes, every A of `range` with every value, in qemu-arm and here: how many
/// lanes, and the differences.
pub fn pairs(case: &Case, fpscr: u32, range: std::ops::Range<u32>) -> (usize, Vec<String>) {
    assert_eq!(
        (case.operands[..2].as_ref(), case.result),
        ([1, 2].as_ref(), (0, 2))
    );
    let splat = |v: u32| (0..8).fold(0, |all, lane| all | u128::from(v) << (16 * lane));
    let count = 8 * VECTORS * range.len();
    let mut found = Vec::new();
    qemu_pairs(case.stub, fpscr, range, |a, q0, flags| {
        let first = (0..8).fold(0, |all, lane| all | lane << (16 * lane));
        for (i, (theirs, raised)) in q0.as_chunks::<16>().0.iter().zip(flags).enumerate() {
            let trial = Trial {
                case: 0,
                fpscr,
                operands: [splat(a), first + splat(8 * i as u32), 0],
            };
            let out = Out {
                fpscr: u32::from(*raised),
                r2: 0,
                q: [u128::from_le_bytes(*theirs), 0],
            };
            found.extend(difference(case, &trial, &out));
        }
    });
    (count, found)
}

/// The registers before a trial: operands where they belong, a pattern elsewhere.
fn record(case: &Case, trial: &Trial) -> In {
    const PATTERN: u128 = 0x0123_4567_89ab_cdef_1122_3344_5566_7788;
    let mut q = [PATTERN; 4];
    for i in 0..case.op.args() {
        q[case.operands[i]] = trial.operands[i];
    }
    In {
        stub: trial.case as u32,
        fpscr: trial.fpscr,
        r2: 0,
        q,
    }
}

/// QC and the cumulative exceptions.
const CUMULATIVE: u32 = 0x0800_009f;

fn difference(case: &Case, trial: &Trial, out: &Out) -> Option<String> {
    let (ours, raised) = vec_op(case.op, case.shape, case.imm, trial.operands, trial.fpscr);
    let d = |i: usize| out.q[i / 2] >> (64 * (i % 2)) & u128::from(u64::MAX);
    let (first, count) = case.result;
    let theirs = (0..count).fold(0, |v, i| v | d(first + i) << (64 * i));
    let their_raised = out.fpscr & CUMULATIVE;
    (ours != theirs || raised != their_raised).then(|| {
        format!(
            "{:?} {:?} #{} ({:08x}) fpscr {:#010x} {:#034x?}: {ours:#034x} raised {raised:#x}, qemu-arm {theirs:#034x} raised {their_raised:#x}",
            case.op,
            case.shape,
            case.imm,
            case.stub[0],
            trial.fpscr,
            &trial.operands[..case.op.args()],
        )
    })
}

/// What the lanes of an operand are.
#[derive(Clone, Copy)]
pub enum Kind {
    Int,
    /// Shift amounts in the low bytes.
    Amount,
    Float,
    Bf16,
}

/// Lane size in bits and kind of operand `i`.
pub fn lanes_of(case: &Case, i: usize) -> (u32, Kind) {
    use VecOp::*;
    let e = case.shape.esize();
    match case.op {
        ShlVar | RShlVar | QShlVar | QRShlVar if i == 1 => (e, Kind::Amount),
        NarrowShr | NarrowRShr | QNarrowShr | QNarrowShru | QNarrowRShr | QNarrowRShru => (2 * e, Kind::Int),
        Dot | MatMul if i > 0 => (8, Kind::Int),
        IntToF | FixedToF => (e, Kind::Int),
        FMlal if i == 0 => (32, Kind::Float),
        FToHalf | FToBf16 => (32, Kind::Float),
        BfDot | BfMatMul | BfMlal if i == 0 => (32, Kind::Float),
        BfDot | BfMatMul | BfMlal => (16, Kind::Bf16),
        op if op.class() == Op::VecFp => (e, Kind::Float),
        _ => (e, Kind::Int),
    }
}

/// A lane; `near` is one of the other operand.
fn random_lane(esize: u32, kind: Kind, near: u64, random: &mut Random) -> u64 {
    let mask = u64::MAX >> (64 - esize);
    let top = 1 << (esize - 1);
    let bits = random.bits();
    let value = match (kind, random.below(4)) {
        (Kind::Amount, 0..3) => {
            // Around every size, both ways.
            let amount = random.pick(&[0, 1, 7, 8, 15, 16, 31, 32, 63, 64, 127]);
            let amount = if bits & 1 != 0 { -amount } else { amount };
            (amount as u8).into()
        }
        (Kind::Amount, _) => bits,
        (Kind::Int, 0) => random.pick(&[
            0,
            1,
            2,
            top - 1,
            top,
            top + 1,
            u64::MAX,
            u64::MAX - 1,
            top | 1 << (esize / 2),
        ]),
        (Kind::Int, 1) => near.wrapping_add(random.below(3)).wrapping_sub(1),
        (Kind::Int, 2) => ((bits as i64) >> random.below(64)) as u64,
        (Kind::Int, _) => bits,
        (Kind::Float | Kind::Bf16, 0) => {
            let specials: &[u64] = match (kind, esize) {
                (Kind::Bf16, _) => &[
                    0, 1, 0x7f, 0x80, 0x3f80, 0x4000, 0x7f7f, 0x7f80, 0x7f81, 0x7fc0, 0x7fff,
                ],
                (_, 16) => &[
                    0, 1, 0x1ff, 0x200, 0x3ff, 0x400, 0x401, 0x3800, 0x3bff, 0x3c00, 0x3c01, 0x3e00, 0x4000,
                    0x4200, 0x6400, 0x77ff, 0x7800, 0x7bff, 0x7c00, 0x7c01, 0x7d55, 0x7e00, 0x7fff,
                ],
                _ => &[
                    0,
                    1,
                    0x0020_0000,
                    0x0040_0000,
                    0x007f_ffff,
                    0x0080_0000,
                    0x0080_0001,
                    0x00ff_ffff,
                    0x2f80_0000,
                    0x3380_0000,
                    0x3f00_0000,
                    0x3f7f_ffff,
                    0x3f80_0000,
                    0x3f80_0001,
                    0x3fc0_0000,
                    0x4000_0000,
                    0x4040_0000,
                    0x4049_0fdb,
                    0x477f_f000,
                    0x4b00_0001,
                    0x4eff_ffff,
                    0x4f00_0000,
                    0x7e7f_ffff,
                    0x7e80_0000,
                    0x7e80_0001,
                    0x7f7f_ffff,
                    0x7f7f_8000,
                    0x7f80_0000,
                    0x7f80_0001,
                    0x7fc0_0000,
                    0x7fe1_2345,
                ],
            };
            random.pick(specials) | bits & top
        }
        // The other's neighbourhood, and that of its reciprocal, whose product is close to one.
        (Kind::Float | Kind::Bf16, 1) => {
            near ^ bits & random.pick(&[top | 7, top | 1 << (esize - 6), top | (mask >> 9)])
        }
        (Kind::Float, 2) if esize == 32 => 0x7f00_0000_u64.wrapping_sub(near) ^ bits & (top | 0x3f),
        (Kind::Float, 2) => 0x7800_u64.wrapping_sub(near) ^ bits & (top | 7),
        _ => bits,
    };
    value & mask
}

/// An operand of random lanes.
fn random_vector(lanes: (u32, Kind), near: u128, random: &mut Random) -> u128 {
    let (esize, kind) = lanes;
    (0..128 / esize).fold(0, |v, i| {
        let near = (near >> (i * esize)) as u64;
        v | u128::from(random_lane(esize, kind, near, random)) << (i * esize)
    })
}

/// FPSCR before a trial: any modes, no cumulative bit.
fn random_modes(random: &mut Random) -> u32 {
    const MODES: u32 = 0x07c8_0000;
    match random.below(3) {
        0 => 0,
        _ => random.bits() as u32 & MODES,
    }
}

/// `each` random trials of every case.
pub fn random_trials(cases: &[Case], each: usize, random: &mut Random) -> Vec<Trial> {
    let mut trials = Vec::with_capacity(cases.len() * each);
    for (index, case) in cases.iter().enumerate() {
        for _ in 0..each {
            let mut operands = [0; 3];
            let mut near = 0;
            for (i, operand) in operands.iter_mut().enumerate() {
                *operand = random_vector(lanes_of(case, i), near, random);
                near = *operand;
            }
            trials.push(Trial {
                case: index,
                fpscr: random_modes(random),
                operands,
            });
        }
    }
    trials
}
