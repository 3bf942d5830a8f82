//! Advanced SIMD: conversions of floating point, and sums of products of several lanes (dot products, matrices, complex
//! numbers, bfloat16).

use super::simd::bits;
use super::{Lifter, vfp};
use crate::ir::ops::Value;
use crate::ir::vector::{Shape, VecOp};
use crate::isa::simd::Simd;

/// `imm` of FRint for "raise Inexact".
const EXACT: u32 = 8;

/// Four halves to or from four singles.
const HALVES: Shape = Shape::new(1, false, false);

impl Lifter<'_> {
    pub(super) fn simd_fp(&mut self, simd: &Simd) {
        match *simd {
            Simd::ToInt {
                size,
                unsigned,
                round,
                q,
                d,
                m,
            } => {
                let imm = vfp::round_to(round) as u32;
                self.convert_lanes(VecOp::FToInt, Shape::new(size, q, unsigned), imm, d, m);
            }
            Simd::FromInt {
                size,
                unsigned,
                q,
                d,
                m,
            } => self.convert_lanes(VecOp::IntToF, Shape::new(size, q, unsigned), 0, d, m),
            Simd::ToFixed {
                size,
                unsigned,
                frac,
                q,
                d,
                m,
            } => self.convert_lanes(VecOp::FToFixed, Shape::new(size, q, unsigned), frac.into(), d, m),
            Simd::FromFixed {
                size,
                unsigned,
                frac,
                q,
                d,
                m,
            } => self.convert_lanes(VecOp::FixedToF, Shape::new(size, q, unsigned), frac.into(), d, m),
            Simd::Rint {
                size,
                round,
                exact,
                q,
                d,
                m,
            } => {
                let imm = vfp::round_to(round) as u32 | if exact { EXACT } else { 0 };
                self.convert_lanes(VecOp::FRint, Shape::new(size, q, false), imm, d, m);
            }
            Simd::ToHalf { d, m } => self.narrow_fp(VecOp::FToHalf, d, m),
            Simd::ToBf16 { d, m } => self.narrow_fp(VecOp::FToBf16, d, m),
            Simd::FromHalf { d, m } => {
                let vm = self.b.get_v(m, false);
                let v = self.b.vec1(VecOp::HalfToF, HALVES, 0, vm);
                self.b.set_v(d, true, v);
            }

            Simd::Dot {
                unsigned_n,
                unsigned_m,
                q,
                d,
                n,
                m,
                index,
            } => {
                let shape = Shape::new(2, q, false);
                let vm = self.lanes_or_register(shape, m, index);
                self.products(VecOp::Dot, shape, signs(unsigned_n, unsigned_m), d, n, vm);
            }
            Simd::MatMul {
                unsigned_n,
                unsigned_m,
                d,
                n,
                m,
            } => {
                let vm = self.b.get_v(m, true);
                let imm = signs(unsigned_n, unsigned_m);
                self.products(VecOp::MatMul, Shape::new(2, true, false), imm, d, n, vm);
            }
            Simd::BfDot { q, d, n, m, index } => {
                let shape = Shape::new(2, q, false);
                let vm = self.lanes_or_register(shape, m, index);
                self.products(VecOp::BfDot, shape, 0, d, n, vm);
            }
            Simd::BfMatMul { d, n, m } => {
                let vm = self.b.get_v(m, true);
                self.products(VecOp::BfMatMul, Shape::new(2, true, false), 0, d, n, vm);
            }
            Simd::BfMlal { top, d, n, m, index } => {
                let shape = Shape::new(1, true, false);
                let vm = self.lanes_or_register(shape, m, index);
                self.products(VecOp::BfMlal, shape, u32::from(top), d, n, vm);
            }
            Simd::HalfMlal {
                sub,
                q,
                d,
                n,
                m,
                index,
            } => self.half_products(sub, q, d, n, m, index),
            Simd::ComplexAdd {
                size,
                rotate,
                q,
                d,
                n,
                m,
            } => {
                let shape = Shape::new(size, q, false);
                let (vn, vm) = (self.b.get_v(n, q), self.b.get_v(m, q));
                let vm = self.b.vec1(VecOp::Rev, shape, u32::from(size) + 1, vm);
                let vm = self.negate_parts(shape, rotate == 90, rotate == 270, vm);
                let v = self.b.vec2(VecOp::FAdd, shape, 0, vn, vm);
                self.b.set_v(d, q, v);
            }
            Simd::ComplexMla {
                size,
                rotate,
                q,
                d,
                n,
                m,
                index,
            } => self.complex_mla(Shape::new(size, q, false), rotate, d, n, m, index),
            _ => {}
        }
    }

    fn convert_lanes(&mut self, op: VecOp, shape: Shape, imm: u32, d: u8, m: u8) {
        let vm = self.b.get_v(m, shape.is_q());
        let v = self.b.vec1(op, shape, imm, vm);
        self.b.set_v(d, shape.is_q(), v);
    }

    fn narrow_fp(&mut self, op: VecOp, d: u8, m: u8) {
        let vm = self.b.get_v(m, true);
        let v = self.b.vec1(op, HALVES, 0, vm);
        self.b.set_v(d, false, v);
    }

    /// Register `m`, or one lane of D`m` in every lane.
    fn lanes_or_register(&mut self, shape: Shape, m: u8, index: Option<u8>) -> Value {
        match index {
            Some(index) => self.scalar_lanes(shape, m, index),
            None => self.b.get_v(m, shape.is_q()),
        }
    }

    /// d = op(d, n, m) of registers `d` and `n`.
    fn products(&mut self, op: VecOp, shape: Shape, imm: u32, d: u8, n: u8, m: Value) {
        let q = shape.is_q();
        let (vd, vn) = (self.b.get_v(d, q), self.b.get_v(n, q));
        let v = self.b.vec3(op, shape, imm, vd, vn, m);
        self.b.set_v(d, q, v);
    }

    /// S`s` in the low lane.
    fn single(&mut self, s: u8) -> Value {
        let v = self.b.get_v(s / 2, false);
        if s & 1 == 0 {
            v
        } else {
            self.b.vec1(VecOp::DupLane, Shape::new(2, false, false), 1, v)
        }
    }

    /// VFMAL, VFMSL.
    fn half_products(&mut self, sub: bool, q: bool, d: u8, n: u8, m: u8, index: Option<u8>) {
        let mut vn = if q { self.b.get_v(n, false) } else { self.single(n) };
        let vm = match (index, q) {
            (Some(index), true) => self.scalar_lanes(HALVES, m, index),
            (Some(index), false) => self.scalar_lanes(HALVES, m / 2, 2 * (m & 1) + index),
            (None, true) => self.b.get_v(m, false),
            (None, false) => self.single(m),
        };
        if sub {
            vn = self.b.vec1(VecOp::FNeg, HALVES, 0, vn);
        }
        let vd = self.b.get_v(d, q);
        let v = self.b.vec3(VecOp::FMlal, Shape::new(1, q, false), 0, vd, vn, vm);
        self.b.set_v(d, q, v);
    }

    /// `v` with the sign of its even or odd lanes changed: the real or imaginary parts of complex numbers.
    fn negate_parts(&mut self, shape: Shape, even: bool, odd: bool, v: Value) -> Value {
        let esize = shape.esize();
        let pair = u64::from(even) << (esize - 1) | u64::from(odd) << (2 * esize - 1);
        let signs = if esize == 16 { pair | pair << 32 } else { pair };
        if signs == 0 {
            return v;
        }
        let signs = self.b.vconst(signs);
        self.b.vec2(VecOp::Xor, bits(shape.is_q()), 0, v, signs)
    }

    /// VCMLA: the real or the imaginary part of each number in `n` by a number in `m`, rotated.
    fn complex_mla(&mut self, shape: Shape, rotate: u16, d: u8, n: u8, m: u8, index: Option<u8>) {
        let q = shape.is_q();
        let vn = self.b.get_v(n, q);
        let vm = match index {
            None => self.b.get_v(m, q),
            Some(index) => self.scalar_lanes(Shape::new(shape.log2_bytes() + 1, q, false), m, index),
        };
        let imaginary = matches!(rotate, 90 | 270);
        let part = if imaginary { VecOp::TrnOdd } else { VecOp::TrnEven };
        let vn = self.b.vec2(part, shape, 0, vn, vn);
        let vm = if imaginary {
            self.b
                .vec1(VecOp::Rev, shape, u32::from(shape.log2_bytes()) + 1, vm)
        } else {
            vm
        };
        let vm = self.negate_parts(shape, matches!(rotate, 90 | 180), matches!(rotate, 180 | 270), vm);
        let vd = self.b.get_v(d, q);
        let v = self.b.vec3(VecOp::FMa, shape, 0, vd, vn, vm);
        self.b.set_v(d, q, v);
    }
}

/// `imm` of Dot and MatMul.
fn signs(unsigned_n: bool, unsigned_m: bool) -> u32 {
    u32::from(unsigned_n) | u32::from(unsigned_m) << 1
}
