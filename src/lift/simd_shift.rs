//! Advanced SIMD: shifts by immediates, and operations between lanes of one size and lanes of twice that size.

use super::Lifter;
use crate::ir::ops::Value;
use crate::ir::vector::{Shape, VecOp};
use crate::isa::simd::{Simd, SimdHighHalf, SimdLong, SimdNarrow, SimdShift};

impl Lifter<'_> {
    pub(super) fn simd_resize(&mut self, simd: &Simd) {
        match *simd {
            Simd::Long {
                op,
                size,
                unsigned,
                d,
                n,
                m,
            } => {
                let (vn, vm) = (self.b.get_v(n, false), self.b.get_v(m, false));
                self.long(op, size, unsigned, d, vn, vm);
            }
            Simd::LongByScalar {
                op,
                size,
                unsigned,
                d,
                n,
                m,
                index,
            } => {
                let vn = self.b.get_v(n, false);
                let vm = self.scalar_lanes(Shape::new(size, false, false), m, index);
                self.long(op, size, unsigned, d, vn, vm);
            }
            Simd::Wide {
                sub,
                size,
                unsigned,
                d,
                n,
                m,
            } => {
                let (vn, vm) = (self.b.get_v(n, true), self.b.get_v(m, false));
                let vm = self.widen(size, unsigned, vm);
                let op = if sub { VecOp::Sub } else { VecOp::Add };
                let v = self.b.vec2(op, Shape::new(size + 1, true, false), 0, vn, vm);
                self.b.set_v(d, true, v);
            }
            Simd::HighHalf { op, size, d, n, m } => {
                let (vn, vm) = (self.b.get_v(n, true), self.b.get_v(m, true));
                let (op, narrow) = match op {
                    SimdHighHalf::Addhn => (VecOp::Add, VecOp::NarrowShr),
                    SimdHighHalf::Raddhn => (VecOp::Add, VecOp::NarrowRShr),
                    SimdHighHalf::Subhn => (VecOp::Sub, VecOp::NarrowShr),
                    SimdHighHalf::Rsubhn => (VecOp::Sub, VecOp::NarrowRShr),
                };
                let v = self.b.vec2(op, Shape::new(size + 1, true, false), 0, vn, vm);
                let v = self.b.vec1(narrow, Shape::new(size, false, false), 8 << size, v);
                self.b.set_v(d, false, v);
            }
            Simd::Shift {
                op,
                size,
                unsigned,
                q,
                amount,
                d,
                m,
            } => {
                let vm = self.b.get_v(m, q);
                let v = self.shift_lanes(op, Shape::new(size, q, unsigned), amount.into(), d, vm);
                self.b.set_v(d, q, v);
            }
            Simd::Narrow {
                op,
                size,
                unsigned,
                amount,
                d,
                m,
            } => {
                let vm = self.b.get_v(m, true);
                let op = match op {
                    SimdNarrow::Shrn => VecOp::NarrowShr,
                    SimdNarrow::Rshrn => VecOp::NarrowRShr,
                    SimdNarrow::Qshrn => VecOp::QNarrowShr,
                    SimdNarrow::Qrshrn => VecOp::QNarrowRShr,
                    SimdNarrow::Qshrun => VecOp::QNarrowShru,
                    SimdNarrow::Qrshrun => VecOp::QNarrowRShru,
                };
                let v = self
                    .b
                    .vec1(op, Shape::new(size, false, unsigned), amount.into(), vm);
                self.b.set_v(d, false, v);
            }
            Simd::ShiftLong {
                size,
                unsigned,
                amount,
                d,
                m,
            } => {
                let vm = self.b.get_v(m, false);
                let mut v = self.widen(size, unsigned, vm);
                if amount != 0 {
                    let wide = Shape::new(size + 1, true, unsigned);
                    v = self.b.vec1(VecOp::Shl, wide, amount.into(), v);
                }
                self.b.set_v(d, true, v);
            }
            _ => {}
        }
    }

    fn widen(&mut self, size: u8, unsigned: bool, v: Value) -> Value {
        self.b.vec1(VecOp::Widen, Shape::new(size, false, unsigned), 0, v)
    }

    /// Q`d` from the D-form values `n` and `m`.
    fn long(&mut self, op: SimdLong, size: u8, unsigned: bool, d: u8, n: Value, m: Value) {
        use SimdLong::*;
        let narrow = Shape::new(size, false, unsigned);
        let wide = |unsigned| Shape::new((size + 1) & 3, true, unsigned);
        let v = match op {
            Addl | Subl => {
                let (n, m) = (self.widen(size, unsigned, n), self.widen(size, unsigned, m));
                let op = if op == Addl { VecOp::Add } else { VecOp::Sub };
                self.b.vec2(op, wide(false), 0, n, m)
            }
            Abdl | Abal => {
                // The difference fits in the narrow lane, as an unsigned number.
                let v = self.b.vec2(VecOp::AbsDiff, narrow, 0, n, m);
                self.widen(size, true, v)
            }
            Mull | Mlal | Mlsl => self.b.vec2(VecOp::MulLong, narrow, 0, n, m),
            Qdmull | Qdmlal | Qdmlsl => self.b.vec2(VecOp::QDMulLong, narrow, 0, n, m),
            PolyMull => self.b.vec2(VecOp::PolyMulLong, narrow, 0, n, m),
        };
        let accumulate = match op {
            Abal | Mlal => Some(VecOp::Add),
            Mlsl => Some(VecOp::Sub),
            Qdmlal => Some(VecOp::QAdd),
            Qdmlsl => Some(VecOp::QSub),
            _ => None,
        };
        let v = match accumulate {
            Some(op) => {
                let old = self.b.get_v(d, true);
                self.b.vec2(op, wide(false), 0, old, v)
            }
            None => v,
        };
        self.b.set_v(d, true, v);
    }

    fn shift_lanes(&mut self, op: SimdShift, shape: Shape, amount: u32, d: u8, m: Value) -> Value {
        use SimdShift::*;
        let q = shape.is_q();
        match op {
            Shr => self.b.vec1(VecOp::Shr, shape, amount, m),
            Rshr => self.b.vec1(VecOp::RShr, shape, amount, m),
            Sra | Rsra => {
                let op = if op == Sra { VecOp::Shr } else { VecOp::RShr };
                let v = self.b.vec1(op, shape, amount, m);
                let d = self.b.get_v(d, q);
                self.b.vec2(VecOp::Add, shape, 0, d, v)
            }
            Sri => {
                let d = self.b.get_v(d, q);
                self.b.vec2(VecOp::ShrInsert, shape, amount, d, m)
            }
            Sli => {
                let d = self.b.get_v(d, q);
                self.b.vec2(VecOp::ShlInsert, shape, amount, d, m)
            }
            Shl if amount == 0 => m,
            Shl => self.b.vec1(VecOp::Shl, shape, amount, m),
            Qshl => self.b.vec1(VecOp::QShl, shape, amount, m),
            Qshlu => self.b.vec1(VecOp::QShlu, shape, amount, m),
        }
    }
}
