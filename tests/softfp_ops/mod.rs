//! The VFP instructions that `softfp` answers for: how qemu-arm executes each, and which operation it is here.

use super::onestep::{In, Out, qemu};
use super::random::Random;
use emu::ir::interp::fp_op;
use emu::ir::ops::Op;
use emu::softfp::{Mode, Status};

mod armv8;

/// What an operand or result is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Half,
    Single,
    Double,
    /// 32 bits, integer or fixed point.
    Int,
    /// FPSCR's N, Z, C, V.
    Flags,
    /// Both.
    IntAndFlags,
}

/// One instruction on d0, d1, d2 (s0, s2, s4 in single precision) with its result in d0 or s0.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    pub word: u32,
    pub op: Op,
    pub aux: u8,
    /// Fraction bits and size, for fixed point.
    pub imm: u32,
    pub imm2: u32,
    pub operands: &'static [Kind],
    pub result: Kind,
}

const S: &[Kind] = &[Kind::Single];
const SS: &[Kind] = &[Kind::Single; 2];
const SSS: &[Kind] = &[Kind::Single; 3];
const D: &[Kind] = &[Kind::Double];
const DD: &[Kind] = &[Kind::Double; 2];
const DDD: &[Kind] = &[Kind::Double; 3];
const I: &[Kind] = &[Kind::Int];
const H: &[Kind] = &[Kind::Half];
const HH: &[Kind] = &[Kind::Half; 2];
const HHH: &[Kind] = &[Kind::Half; 3];

/// Name, word, operation, its `aux`, operands, result.
type Row = (&'static str, u32, Op, u8, &'static [Kind], Kind);

/// Everything of VFPv4 but fixed point.
#[rustfmt::skip]
const PLAIN: [Row; 39] = [
    ("vadd.f32",      0xee30_0a01, Op::FAdd32,    0, SS,  Kind::Single),
    ("vsub.f32",      0xee30_0a41, Op::FSub32,    0, SS,  Kind::Single),
    ("vmul.f32",      0xee20_0a01, Op::FMul32,    0, SS,  Kind::Single),
    ("vdiv.f32",      0xee80_0a01, Op::FDiv32,    0, SS,  Kind::Single),
    ("vsqrt.f32",     0xeeb1_0ac0, Op::FSqrt32,   0, S,   Kind::Single),
    ("vfma.f32",      0xeea1_0a02, Op::FMa32,     0, SSS, Kind::Single),
    ("vneg.f32",      0xeeb1_0a40, Op::FNeg32,    0, S,   Kind::Single),
    ("vabs.f32",      0xeeb0_0ac0, Op::FAbs32,    0, S,   Kind::Single),
    ("vcmp.f32",      0xeeb4_0a41, Op::FCmp32,    0, SS,  Kind::Flags),
    ("vcmpe.f32",     0xeeb4_0ac1, Op::FCmp32,    1, SS,  Kind::Flags),
    ("vadd.f64",      0xee30_0b01, Op::FAdd64,    0, DD,  Kind::Double),
    ("vsub.f64",      0xee30_0b41, Op::FSub64,    0, DD,  Kind::Double),
    ("vmul.f64",      0xee20_0b01, Op::FMul64,    0, DD,  Kind::Double),
    ("vdiv.f64",      0xee80_0b01, Op::FDiv64,    0, DD,  Kind::Double),
    ("vsqrt.f64",     0xeeb1_0bc0, Op::FSqrt64,   0, D,   Kind::Double),
    ("vfma.f64",      0xeea1_0b02, Op::FMa64,     0, DDD, Kind::Double),
    ("vneg.f64",      0xeeb1_0b40, Op::FNeg64,    0, D,   Kind::Double),
    ("vabs.f64",      0xeeb0_0bc0, Op::FAbs64,    0, D,   Kind::Double),
    ("vcmp.f64",      0xeeb4_0b41, Op::FCmp64,    0, DD,  Kind::Flags),
    ("vcmpe.f64",     0xeeb4_0bc1, Op::FCmp64,    1, DD,  Kind::Flags),
    ("vcvt.f64.f32",  0xeeb7_0ac0, Op::F32ToF64,  0, S,   Kind::Double),
    ("vcvt.f32.f64",  0xeeb7_0bc0, Op::F64ToF32,  0, D,   Kind::Single),
    ("vcvtb.f32.f16", 0xeeb2_0a40, Op::HalfToF32, 0, H,   Kind::Single),
    ("vcvtb.f16.f32", 0xeeb3_0a40, Op::F32ToHalf, 0, S,   Kind::Half),
    ("vcvt.s32.f32",  0xeebd_0ac0, Op::F32ToInt,  3, S,   Kind::Int),
    ("vcvt.u32.f32",  0xeebc_0ac0, Op::F32ToInt,  2, S,   Kind::Int),
    ("vcvtr.s32.f32", 0xeebd_0a40, Op::F32ToInt,  1, S,   Kind::Int),
    ("vcvtr.u32.f32", 0xeebc_0a40, Op::F32ToInt,  0, S,   Kind::Int),
    ("vcvt.s32.f64",  0xeebd_0bc0, Op::F64ToInt,  3, D,   Kind::Int),
    ("vcvt.u32.f64",  0xeebc_0bc0, Op::F64ToInt,  2, D,   Kind::Int),
    ("vcvtr.s32.f64", 0xeebd_0b40, Op::F64ToInt,  1, D,   Kind::Int),
    ("vcvtr.u32.f64", 0xeebc_0b40, Op::F64ToInt,  0, D,   Kind::Int),
    ("vcvt.f32.s32",  0xeeb8_0ac0, Op::IntToF32,  1, I,   Kind::Single),
    ("vcvt.f32.u32",  0xeeb8_0a40, Op::IntToF32,  0, I,   Kind::Single),
    ("vcvt.f64.s32",  0xeeb8_0bc0, Op::IntToF64,  1, I,   Kind::Double),
    ("vcvt.f64.u32",  0xeeb8_0b40, Op::IntToF64,  0, I,   Kind::Double),
    // The same operations with an operand twice, as compilers emit them.
    ("vadd.f32 same", 0xee30_0a00, Op::FAdd32,    0, S,   Kind::Single),
    ("vmul.f64 same", 0xee20_0b00, Op::FMul64,    0, D,   Kind::Double),
    ("vdiv.f32 same", 0xee80_0a00, Op::FDiv32,    0, S,   Kind::Single),
];

/// Every case but fixed point.
pub fn plain() -> Vec<Case> {
    let vfp = PLAIN
        .into_iter()
        .map(|(name, word, op, aux, operands, result)| Case {
            name,
            word,
            op,
            aux,
            imm: 0,
            imm2: 0,
            operands,
            result,
        });
    vfp.chain(armv8::cases()).collect()
}

/// Every case, fixed point in all its widths and fraction bits included, at the end.
pub fn cases() -> Vec<Case> {
    let mut cases = plain();
    for (double, to_fixed, signed, size) in fixed_point_forms() {
        for frac in u32::from(size == 32)..=size {
            // VCVT (between floating point and fixed point), encoding A1: the field is size - frac, its low bit at
            // bit 5 and the rest in bits 3 to 0.
            let field = size - frac;
            let word = 0xeeba_0a40
                | u32::from(to_fixed) << 18
                | u32::from(!signed) << 16
                | u32::from(double) << 8
                | u32::from(size == 32) << 7
                | (field & 1) << 5
                | field >> 1;
            let (name, op, operands, result) = match (to_fixed, double) {
                (true, false) => ("vcvt.fixed.f32", Op::F32ToFixed, S, Kind::Int),
                (true, true) => ("vcvt.fixed.f64", Op::F64ToFixed, D, Kind::Int),
                (false, false) => ("vcvt.f32.fixed", Op::FixedToF32, I, Kind::Single),
                (false, true) => ("vcvt.f64.fixed", Op::FixedToF64, I, Kind::Double),
            };
            cases.push(Case {
                name,
                word,
                op,
                aux: u8::from(signed),
                imm: frac,
                imm2: size,
                operands,
                result,
            });
        }
    }
    cases.extend(armv8::fixed_point_cases());
    cases
}

fn fixed_point_forms() -> impl Iterator<Item = (bool, bool, bool, u32)> {
    (0..16).map(|i| {
        (
            i & 1 != 0,
            i & 2 != 0,
            i & 4 != 0,
            if i & 8 != 0 { 32 } else { 16 },
        )
    })
}

/// One test: an index into the cases, FPSCR's mode bits and operands.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    pub case: usize,
    pub fpscr: u32,
    pub operands: [u64; 3],
}

/// Runs `trials` in qemu-arm and here. The differences, one line each.
pub fn differences(cases: &[Case], trials: &[Trial]) -> Vec<String> {
    let code: Vec<u32> = cases.iter().map(|c| c.word).collect();
    let records: Vec<In> = trials
        .iter()
        .map(|t| In {
            stub: t.case as u32,
            fpscr: t.fpscr,
            d: t.operands,
            ..In::default()
        })
        .collect();
    let outs = qemu(&code, &records);
    trials
        .iter()
        .zip(outs)
        .filter_map(|(trial, out)| difference(&cases[trial.case], trial, &out))
        .collect()
}

fn difference(case: &Case, trial: &Trial, out: &Out) -> Option<String> {
    let mut status = Status::default();
    let [a, b, c] = operands(case, trial);
    let mode = Mode::from_fpscr(trial.fpscr);
    let ours = fp_op(case.op, case.aux, case.imm, case.imm2, a, b, c, mode, &mut status);
    let theirs = match case.result {
        Kind::Half => out.d0 & 0xffff,
        Kind::Single | Kind::Int => out.d0 & 0xffff_ffff,
        Kind::Double => out.d0,
        Kind::Flags => u64::from(out.fpscr & 0xf000_0000),
        Kind::IntAndFlags => {
            // QEMU 7.2 calls a flushed denormal exact (issue 2375 of gitlab.com/qemu-project/qemu, since fixed).
            let exact = u32::from(out.fpscr & Status::IDC == 0) << 30;
            out.d0 & 0xffff_ffff | u64::from(out.fpscr & 0xb000_0000 | out.fpscr & exact) << 32
        }
    };
    let their_status = out.fpscr & Status::ALL;
    (ours != theirs || status.0 != their_status).then(|| {
        format!(
            "{} frac {} size {} aux {} {mode:?} {:x?}: {ours:#x} status {:#x}, qemu-arm {theirs:#x} status {their_status:#x}",
            case.name, case.imm, case.imm2, case.aux, &trial.operands[..case.operands.len()], status.0
        )
    })
}

/// The operands that the instruction sees. "Same" forms read d0 for each.
fn operands(case: &Case, trial: &Trial) -> [u64; 3] {
    if case.name.ends_with("same") {
        [trial.operands[0]; 3]
    } else {
        trial.operands
    }
}

/// Operand values at which something happens: both signs of each magnitude.
pub fn specials(kind: Kind) -> Vec<u64> {
    #[rustfmt::skip]
    const SINGLE: [u32; 24] = [
        0x0000_0000, 0x0000_0001, 0x0000_0003, 0x0040_0000, 0x007f_ffff, 0x0080_0000, 0x0080_0001, 0x00ff_ffff,
        0x2f80_0000, 0x3380_0000, 0x3f00_0000, 0x3f7f_ffff, 0x3f80_0000, 0x3f80_0001, 0x3fc0_0000, 0x4049_0fdb,
        0x477f_f000, 0x4eff_ffff, 0x4f00_0000, 0x7f7f_ffff, 0x7f80_0000, 0x7f80_0001, 0x7fc0_0000, 0x7fe1_2345,
    ];
    #[rustfmt::skip]
    const DOUBLE: [u64; 26] = [
        0x0000_0000_0000_0000, 0x0000_0000_0000_0001, 0x0008_0000_0000_0000, 0x000f_ffff_ffff_ffff,
        0x0010_0000_0000_0000, 0x0010_0000_0000_0001, 0x001f_ffff_ffff_ffff, 0x3690_0000_0000_0000,
        0x380f_ffff_ffff_ffff, 0x3810_0000_0000_0000, 0x3ca0_0000_0000_0000, 0x3fe0_0000_0000_0000,
        0x3fef_ffff_ffff_ffff, 0x3ff0_0000_0000_0000, 0x3ff0_0000_0000_0001, 0x3ff8_0000_1000_0000,
        0x400921fb_54442d18,   0x41df_ffff_ffc0_0000, 0x41e0_0000_0000_0000, 0x41ef_ffff_fff0_0000,
        0x47ef_ffff_f000_0000, 0x7fef_ffff_ffff_ffff, 0x7ff0_0000_0000_0000, 0x7ff0_0000_0000_0001,
        0x7ff8_0000_0000_0000, 0x7ffc_1234_5678_9abc,
    ];
    #[rustfmt::skip]
    const INT: [u32; 20] = [
        0, 1, 2, 3, 0x7f, 0x7fff, 0x8000, 0x8001, 0xffff, 0x1_0000, 0x00ff_ffff, 0x0100_0000, 0x0100_0001,
        0x0100_0003, 0x3fff_ffff, 0x7fff_ff80, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_ffff,
    ];
    let signed = |bits: &[u64], sign: u64| bits.iter().flat_map(|&m| [m, m | sign]).collect();
    match kind {
        Kind::Single => signed(&SINGLE.map(u64::from), 1 << 31),
        Kind::Double => signed(&DOUBLE, 1 << 63),
        Kind::Half => (0..=0xffff).collect(),
        Kind::Int | Kind::Flags | Kind::IntAndFlags => INT.map(u64::from).to_vec(),
    }
}

/// A random operand: a third special, a third of random exponent and fraction, a third close to the others of its
/// instruction or with few bits set, where cancellation and ties live.
fn random_operand(kind: Kind, near: u64, random: &mut Random) -> u64 {
    let bits = random.bits();
    let value = match (random.below(4), kind) {
        (0, _) => random.pick(&few_specials(kind)),
        (1, Kind::Half) => near ^ (bits & random.pick(&[0x8007, 0x8c01, 0x8fff])),
        (1, Kind::Single) => near ^ (bits & random.pick(&[0x8000_0007, 0x8180_0001, 0x83ff_ffff])),
        (1, Kind::Double) => near ^ (bits & random.pick(&[0x8000_0000_0000_0007, 0x803f_ffff_ffff_ffff])),
        (2, Kind::Single) => (bits & 0xff) << 23 | (bits >> 32 & 3) << 31 | 1 << random.below(23),
        (2, Kind::Double) => (bits & 0x7ff) << 52 | (bits >> 32 & 1) << 63 | 1 << random.below(52),
        (2, Kind::Int) => bits >> random.below(32),
        _ => bits,
    };
    match kind {
        Kind::Half => value & 0xffff,
        Kind::Single | Kind::Int | Kind::Flags | Kind::IntAndFlags => value & 0xffff_ffff,
        Kind::Double => value,
    }
}

/// As [`specials`], but few of half precision.
pub fn few_specials(kind: Kind) -> Vec<u64> {
    #[rustfmt::skip]
    const HALF: [u64; 21] = [
        0, 1, 0x1ff, 0x200, 0x3ff, 0x400, 0x401, 0x3800, 0x3bff, 0x3c00, 0x3c01, 0x3e00, 0x4000, 0x4248, 0x77ff, 0x7800,
        0x7bff, 0x7c00, 0x7c01, 0x7e00, 0x7f55,
    ];
    match kind {
        Kind::Half => HALF.iter().flat_map(|&m| [m, m | 0x8000]).collect(),
        other => specials(other),
    }
}

/// `count` random trials over all `cases` and modes.
pub fn random_trials(cases: &[Case], count: usize, random: &mut Random) -> Vec<Trial> {
    // Fixed point has many encodings and little in each: half of the trials go to the others.
    let plain = plain().len() as u64;
    (0..count)
        .map(|_| {
            let among = if random.below(4) == 0 {
                cases.len() as u64
            } else {
                plain
            };
            let case = random.below(among) as usize;
            random_trial(cases, case, random)
        })
        .collect()
}

/// A random trial of a case, in any modes.
pub fn random_trial(cases: &[Case], case: usize, random: &mut Random) -> Trial {
    let mut operands = [0; 3];
    let mut near = 0;
    for (operand, &kind) in operands.iter_mut().zip(cases[case].operands) {
        *operand = random_operand(kind, near, random);
        near = *operand;
    }
    Trial {
        case,
        fpscr: (random.below(32) as u32) << 22 | (random.below(2) as u32) << 19,
        operands,
    }
}
