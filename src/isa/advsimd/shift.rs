//! Shifts by an immediate, fixed-point conversions, and the modified immediate.

use super::*;
use crate::isa::pattern::rows;
use crate::isa::simd::{SimdImm, SimdNarrow, SimdNarrow::*, SimdShift, SimdShift::*};

/// Size of the lanes from L:imm6, the place of the highest one bit: 3 for 1xxxxxx, 2 for 01xxxxx, 1 for 001xxxx, 0 for
/// 0001xxx. (Below that is the modified immediate.)
fn lanes(l: u32, imm6: u32) -> u8 {
    match (l << 6 | imm6) >> 3 {
        0..=1 => 0,
        2..=3 => 1,
        4..=7 => 2,
        _ => 3,
    }
}

/// `left` shifts are imm6 less the lane's bits, right shifts twice the lane's bits less imm6; both for 64 bits are of
/// imm6 by itself.
fn shift(op: SimdShift, l: u32, imm6: u32, u: u32, q: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    let size = lanes(l, imm6);
    let bits = 8 << size;
    let amount = match op {
        Shl | Sli | Qshl | Qshlu => imm6 & (bits - 1),
        Shr | Sra | Rshr | Rsra | Sri => bits - (imm6 & (bits - 1)),
    };
    Ok(Insn::Simd(Simd::Shift {
        op,
        size,
        unsigned: u == 1,
        q: q == 1,
        amount: amount as u8,
        d: vreg(q, d, cx)?,
        m: vreg(q, m, cx)?,
    }))
}

fn narrow(op: SimdNarrow, imm6: u32, u: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    let size = lanes(0, imm6);
    let bits = 8 << size;
    Ok(Insn::Simd(Simd::Narrow {
        op,
        size,
        unsigned: u == 1,
        amount: (bits - (imm6 & (bits - 1))) as u8,
        d: dreg(d, cx)?,
        m: qreg(m, cx)?,
    }))
}

/// VSHLL, VMOVL.
fn long(imm6: u32, u: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    let size = lanes(0, imm6);
    Ok(Insn::Simd(Simd::ShiftLong {
        size,
        unsigned: u == 1,
        amount: (imm6 & ((8 << size) - 1)) as u8,
        d: qreg(d, cx)?,
        m: dreg(m, cx)?,
    }))
}

/// VCVT between floating point and fixed point with 64 - imm6 fraction bits, which are 1 to the lane's bits.
fn fixed(to_fixed: u32, size: u32, imm6: u32, u: u32, q: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    let size = float(size, cx)?;
    let frac = 64 - imm6;
    if frac > 8 << size {
        return Err(Undefined);
    }
    let (unsigned, frac, d, m) = (u == 1, frac as u8, vreg(q, d, cx)?, vreg(q, m, cx)?);
    let q = q == 1;
    Ok(Insn::Simd(match to_fixed {
        1 => Simd::ToFixed {
            size,
            unsigned,
            frac,
            q,
            d,
            m,
        },
        _ => Simd::FromFixed {
            size,
            unsigned,
            frac,
            q,
            d,
            m,
        },
    }))
}

/// AdvSIMDExpandImm, for one D register. `None`: no instruction.
pub fn expand_imm(op: u32, cmode: u32, imm8: u32) -> Option<u64> {
    let imm = u64::from(imm8);
    let half = |v: u64| v * 0x0001_0001_0001_0001;
    let word = |v: u64| v << 32 | v;
    Some(match (cmode, op) {
        (0..8, _) => word(imm << (8 * (cmode >> 1))),
        (8..12, _) => half(imm << (8 * (cmode >> 1 & 1))),
        (12, _) => word(imm << 8 | 0xff),
        (13, _) => word(imm << 16 | 0xffff),
        (14, 0) => imm * 0x0101_0101_0101_0101,
        (14, _) => (0..8).map(|i| ((imm >> i & 1) * 0xff) << (8 * i)).sum(),
        (_, 0) => {
            let (sign, b) = (imm >> 7, imm >> 6 & 1);
            word(sign << 31 | (1 - b) << 30 | (b * 0x1f) << 25 | (imm & 0x3f) << 19)
        }
        _ => return None,
    })
}

fn modified(cmode: u32, o: u32, imm8: u32, q: u32, d: u32, cx: Context) -> Decode {
    let expanded = expand_imm(o, cmode, imm8).ok_or(Undefined)?;
    let or_bic = cmode < 12 && cmode & 1 == 1;
    let (op, value) = match (or_bic, o) {
        (true, 0) => (SimdImm::Orr, expanded),
        (true, _) => (SimdImm::Bic, expanded),
        (false, 1) if cmode < 14 => (SimdImm::Mov, !expanded),
        (false, _) => (SimdImm::Mov, expanded),
    };
    Ok(Insn::Simd(Simd::ModifiedImm {
        op,
        value,
        q: q == 1,
        d: vreg(q, d, cx)?,
    }))
}

/// l:i is L:imm6. With l = 0 and the top three bits of imm6 zero they are the modified immediates of the last rows.
#[rustfmt::skip]
pub const ROWS: &[Row] = rows! {
    "vshr"     "1111 001u 1dii iiii dddd 0000 lqm1 mmmm" NEON [u d i l q m; cx] => shift(Shr, l, i, u, q, (d, m), cx);
    "vsra"     "1111 001u 1dii iiii dddd 0001 lqm1 mmmm" NEON [u d i l q m; cx] => shift(Sra, l, i, u, q, (d, m), cx);
    "vrshr"    "1111 001u 1dii iiii dddd 0010 lqm1 mmmm" NEON [u d i l q m; cx] => shift(Rshr, l, i, u, q, (d, m), cx);
    "vrsra"    "1111 001u 1dii iiii dddd 0011 lqm1 mmmm" NEON [u d i l q m; cx] => shift(Rsra, l, i, u, q, (d, m), cx);
    "vsri"     "1111 0011 1dii iiii dddd 0100 lqm1 mmmm" NEON [d i l q m; cx] => shift(Sri, l, i, 0, q, (d, m), cx);
    "vshl"     "1111 0010 1dii iiii dddd 0101 lqm1 mmmm" NEON [d i l q m; cx] => shift(Shl, l, i, 0, q, (d, m), cx);
    "vsli"     "1111 0011 1dii iiii dddd 0101 lqm1 mmmm" NEON [d i l q m; cx] => shift(Sli, l, i, 0, q, (d, m), cx);
    "vqshlu"   "1111 0011 1dii iiii dddd 0110 lqm1 mmmm" NEON [d i l q m; cx] => shift(Qshlu, l, i, 0, q, (d, m), cx);
    "vqshl"    "1111 001u 1dii iiii dddd 0111 lqm1 mmmm" NEON [u d i l q m; cx] => shift(Qshl, l, i, u, q, (d, m), cx);
    "vshrn"    "1111 0010 1dii iiii dddd 1000 00m1 mmmm" NEON [d i m; cx] => narrow(Shrn, i, 0, (d, m), cx);
    "vrshrn"   "1111 0010 1dii iiii dddd 1000 01m1 mmmm" NEON [d i m; cx] => narrow(Rshrn, i, 0, (d, m), cx);
    "vqshrun"  "1111 0011 1dii iiii dddd 1000 00m1 mmmm" NEON [d i m; cx] => narrow(Qshrun, i, 0, (d, m), cx);
    "vqrshrun" "1111 0011 1dii iiii dddd 1000 01m1 mmmm" NEON [d i m; cx] => narrow(Qrshrun, i, 0, (d, m), cx);
    "vqshrn"   "1111 001u 1dii iiii dddd 1001 00m1 mmmm" NEON [u d i m; cx] => narrow(Qshrn, i, u, (d, m), cx);
    "vqrshrn"  "1111 001u 1dii iiii dddd 1001 01m1 mmmm" NEON [u d i m; cx] => narrow(Qrshrn, i, u, (d, m), cx);
    "vshll"    "1111 001u 1dii iiii dddd 1010 00m1 mmmm" NEON [u d i m; cx] => long(i, u, (d, m), cx);
    "vcvt"     "1111 001u 1dii iiii dddd 110k 0qm1 mmmm" NEON [u d i k q m; cx] => fixed(k, 1, i, u, q, (d, m), cx);
    "vcvt"     "1111 001u 1dii iiii dddd 111k 0qm1 mmmm" NEON [u d i k q m; cx] => fixed(k, 2, i, u, q, (d, m), cx);

    // Modified immediate: c is cmode, op the fixed bit 5. Odd cmodes below 1100 are VORR and VBIC.
    "vmov"     "1111 001i 1d00 0iii dddd 0cc0 0q01 iiii" NEON ^1 [i d c q; cx] => modified(c << 1, 0, i, q, d, cx);
    "vorr"     "1111 001i 1d00 0iii dddd 0cc1 0q01 iiii" NEON ^1 [i d c q; cx] => modified(c << 1 | 1, 0, i, q, d, cx);
    "vmov"     "1111 001i 1d00 0iii dddd 10c0 0q01 iiii" NEON ^1 [i d c q; cx] => modified(8 | c << 1, 0, i, q, d, cx);
    "vorr"     "1111 001i 1d00 0iii dddd 10c1 0q01 iiii" NEON ^1 [i d c q; cx] => modified(9 | c << 1, 0, i, q, d, cx);
    "vmov"     "1111 001i 1d00 0iii dddd 11cc 0q01 iiii" NEON ^1 [i d c q; cx] => modified(12 | c, 0, i, q, d, cx);
    "vmvn"     "1111 001i 1d00 0iii dddd 0cc0 0q11 iiii" NEON ^1 [i d c q; cx] => modified(c << 1, 1, i, q, d, cx);
    "vbic"     "1111 001i 1d00 0iii dddd 0cc1 0q11 iiii" NEON ^1 [i d c q; cx] => modified(c << 1 | 1, 1, i, q, d, cx);
    "vmvn"     "1111 001i 1d00 0iii dddd 10c0 0q11 iiii" NEON ^1 [i d c q; cx] => modified(8 | c << 1, 1, i, q, d, cx);
    "vbic"     "1111 001i 1d00 0iii dddd 10c1 0q11 iiii" NEON ^1 [i d c q; cx] => modified(9 | c << 1, 1, i, q, d, cx);
    "vmvn"     "1111 001i 1d00 0iii dddd 110c 0q11 iiii" NEON ^1 [i d c q; cx] => modified(12 | c, 1, i, q, d, cx);
    "vmov"     "1111 001i 1d00 0iii dddd 111c 0q11 iiii" NEON ^1 [i d c q; cx] => modified(14 | c, 1, i, q, d, cx);
};
