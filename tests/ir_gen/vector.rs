//! The vector part of the generator: values, valid shapes and immediates, and which values have an upper half that
//! means something.

use super::{Generator, double, single, word};
use emu::ir::ops::{Inst, Op, Type, Value};
use emu::ir::vector::{HalfOp, RoundTo, Shape, VecOp};

/// The pool of vectors whose upper half is defined; the other one holds all of them.
pub const WHOLE: usize = 5;

impl Generator {
    /// Shape, immediate and operands of a vector operation.
    pub fn vector_operands(&mut self, inst: &mut Inst) {
        match inst.op {
            Op::GetV | Op::SetV => {
                let q = self.random.below(2) == 1;
                inst.imm = self.random.below(32) as u32 & !u32::from(q);
                inst.imm2 = u32::from(Shape::new(3, q, true).0);
                if inst.op == Op::SetV {
                    inst.a = self.vector(q);
                }
            }
            Op::LoadV | Op::StoreV => {
                let q = self.random.below(2) == 1;
                inst.imm2 = u32::from(Shape::new(3, q, true).0);
                inst.a = self.value(Type::I32);
                if self.random.below(2) == 0 {
                    inst.b = self.value(Type::I32);
                }
                if inst.op == Op::StoreV {
                    inst.c = self.vector(q);
                }
            }
            Op::LoadDup | Op::LoadLane | Op::StoreLane => {
                let size = self.random.below(3) as u8;
                let q = self.random.below(2) == 1;
                let shape = Shape::new(size, q, true);
                inst.imm2 = u32::from(shape.0);
                inst.a = self.value(Type::I32);
                if self.random.below(2) == 0 {
                    inst.b = self.value(Type::I32);
                }
                if inst.op != Op::LoadDup {
                    inst.imm2 |= (self.random.below(u64::from(shape.lanes())) as u32) << 8;
                    inst.c = self.vector(q);
                }
            }
            Op::VConst => (inst.imm, inst.imm2) = (word(&mut self.random), word(&mut self.random)),
            Op::VDup => {
                inst.imm2 = self.random.below(8) as u32;
                inst.imm2 -= u32::from(inst.imm2 & 3 == 3);
                inst.a = self.value(Type::I32);
            }
            Op::VExtract | Op::VInsert => {
                let size = self.random.below(3) as u8;
                let q = self.random.below(2) == 1;
                let shape = Shape::new(size, q, self.random.below(2) == 1);
                inst.imm2 = u32::from(shape.0);
                inst.imm = self.random.below(u64::from(shape.lanes())) as u32;
                inst.a = self.vector(q);
                if inst.op == Op::VInsert {
                    inst.b = self.value(Type::I32);
                }
            }
            Op::VToI64 => {
                inst.imm = self.random.below(2) as u32;
                inst.a = self.vector(inst.imm == 1);
            }
            Op::VFromI64 => inst.a = self.value(Type::I64),
            op => self.vec_op(op, inst),
        }
    }

    fn vec_op(&mut self, class: Op, inst: &mut Inst) {
        let ops: Vec<VecOp> = VecOp::ALL
            .iter()
            .copied()
            .filter(|v| v.class() == class)
            .collect();
        let op = self.random.pick(&ops);
        let forms: Vec<(Shape, u32)> = op.forms().collect();
        let (shape, imm) = self.random.pick(&forms);
        inst.aux = op as u8;
        inst.imm2 = u32::from(shape.0);
        inst.imm = imm;
        let operands = [&mut inst.a, &mut inst.b, &mut inst.c];
        for (i, operand) in operands.into_iter().enumerate().take(op.args()) {
            *operand = self.vector(op.reads_upper(shape, imm, i));
        }
    }

    /// A vector in reach, or a new one; `whole`: one whose upper half is defined.
    fn vector(&mut self, whole: bool) -> Value {
        let pool = if whole { WHOLE } else { WHOLE - 1 };
        if !self.pools[pool].is_empty() && self.random.below(4) != 0 {
            let len = self.pools[pool].len() as u64;
            let back = self.random.below(len).min(self.random.below(len));
            return self.pools[pool][(len - 1 - back) as usize];
        }
        let q = whole || self.random.below(2) == 1;
        let inst = if self.random.below(3) == 0 {
            let bits = match self.random.below(3) {
                0 => double(&mut self.random),
                1 => u64::from(single(&mut self.random)) * 0x1_0000_0001,
                _ => u64::from(word(&mut self.random)) * 0x1_0000_0001,
            };
            Inst {
                imm: bits as u32,
                imm2: (bits >> 32) as u32,
                ..Inst::new(Op::VConst)
            }
        } else {
            Inst {
                imm: self.random.below(32) as u32 & !u32::from(q),
                imm2: u32::from(Shape::new(3, q, true).0),
                ..Inst::new(Op::GetV)
            }
        };
        let value = self.builder.push(inst);
        self.pool_vector(&inst, value);
        value
    }

    /// Puts the vector that `inst` defines in its pools.
    pub fn pool_vector(&mut self, inst: &Inst, value: Value) {
        self.pools[WHOLE - 1].push(value);
        let shape = Shape(inst.imm2 as u8);
        let whole = match inst.op {
            Op::GetV | Op::LoadV | Op::LoadDup | Op::VDup => shape.is_q(),
            Op::VConst | Op::VFromI64 => true,
            Op::VInsert => self.pools[WHOLE].contains(&inst.a),
            Op::LoadLane => self.pools[WHOLE].contains(&inst.c),
            _ => VecOp::from_aux(inst.aux).is_some_and(|op| op.writes_upper(shape)),
        };
        if whole {
            self.pools[WHOLE].push(value);
        }
    }

    /// `aux` and immediates of the scalar operations that came with ARMv8.
    pub fn scalar_fields(&mut self, inst: &mut Inst) {
        let random = &mut self.random;
        let rounding = random.below(1 + RoundTo::Fpscr as u64) as u32;
        match inst.op {
            Op::FRint32 | Op::FRint64 | Op::F32Round | Op::F64Round => {
                inst.aux = rounding as u8 | (random.below(2) as u8) << 3;
            }
            Op::HalfCmp => inst.aux = random.below(2) as u8,
            Op::Half => {
                let op = random.pick(&HalfOp::ALL);
                inst.aux = op as u8;
                inst.imm = match op {
                    HalfOp::Rint | HalfOp::ToInt => rounding | (random.below(2) as u32) << 3,
                    HalfOp::FromInt => (random.below(2) as u32) << 3,
                    HalfOp::ToFixed | HalfOp::FromFixed => {
                        let size = 16 << random.below(2);
                        let frac = u32::from(size == 32) + random.below(u64::from(size)) as u32;
                        size | frac << 8 | (random.below(2) as u32) << 16
                    }
                    _ => 0,
                };
                let absent = [Value::NONE; 3];
                [inst.a, inst.b, inst.c] = absent;
                let operands = [&mut inst.a, &mut inst.b, &mut inst.c];
                for operand in operands.into_iter().take(op.args()) {
                    *operand = self.value(Type::I32);
                }
            }
            _ => {}
        }
    }
}

/// Operations on vectors.
pub fn is_vector(op: Op) -> bool {
    op.result() == Type::Vec || op.args().contains('v')
}

/// Scalar floating-point operations of ARMv8.
pub fn is_armv8(op: Op) -> bool {
    (Op::FMinNm32 as u8..=Op::SelectF64 as u8).contains(&(op as u8))
}
